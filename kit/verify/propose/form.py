"""Edits in the form that the project's files have: what ruff finds in order in a file before, it finds so after."""

import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import ruff

_LENGTH = re.compile(r"^\s*(?:line[-_]length|max[-_]line[-_]length)\s*=\s*(\d+)", re.M)
_USUAL = (88, 79, 100, 120)  # characters of a line
_ORDERS = (  # of imports, as projects have them: ruff's own, Google's, a name a line, without groups
    "",
    "lint.isort.force-sort-within-sections = true",
    "lint.isort.force-single-line = true",
    "lint.isort.order-by-type = false",
    "lint.isort.no-sections = true",
)
_IMPORTS, _LINES = ("check", "--select=I", "--fix-only", "--ignore-noqa"), ("format",)


def in_form(edits: Mapping[str, str], sources: Mapping[str, str], tops: Collection[str] = ()) -> dict[str, str]:
    """Edits with their imports in order and their lines laid out, where that is so of the file before; of a new one, of its neighbour.

    :param tops: the first parts of the names of the application's modules
    """
    texts = {file: text for file, text in edits.items() if file.endswith(".py")}
    like = {file: text for file in texts if (text := _like(file, sources)) is not None}
    configured = (text for file, text in sources.items() if not file.endswith(".py"))
    lengths = [*dict.fromkeys([*(int(length) for text in configured for length in _LENGTH.findall(text)), *_USUAL])]
    for command, forms in ((_IMPORTS, [*_orders(lengths, tops)]), (_LINES, [*_layouts(lengths)])):
        chosen: dict[str, str] = {}
        for some in (forms[:1], forms[1:]):  # most files have the first
            pairs = [(file, form) for file in like.keys() - chosen.keys() for form in some]
            after = _by_ruff(command, [(form, like[file]) for file, form in pairs])
            for (file, form), text in zip(pairs, after, strict=True):
                if text == like[file]:
                    chosen.setdefault(file, form)
        texts |= zip(chosen, _by_ruff(command, [(form, texts[file]) for file, form in chosen.items()]), strict=True)
    return {**edits, **texts}


def _like(file: str, sources: Mapping[str, str]) -> str | None:
    """The file before; for a new one the longest in its folder, or else in the application."""
    if sources.get(file):
        return sources[file]
    folder = file.rpartition("/")[0]
    others = ((name, text) for name, text in sources.items() if name.endswith(".py") and text)
    return max(((name.rpartition("/")[0] == folder, len(text), text) for name, text in others), default=(0, 0, None))[2]


def _orders(lengths: Sequence[int], tops: Collection[str]) -> Iterator[str]:
    for first_party in [sorted(tops), []] if tops else [[]]:
        for order in _ORDERS:
            for length in lengths:
                yield f"line-length = {length}\nlint.isort.known-first-party = {first_party}\n{order}\n"


def _layouts(lengths: Sequence[int]) -> Iterator[str]:
    for indent in ("space", "tab"):
        for quotes in ("double", "single", "preserve"):
            for length in lengths:
                yield f'line-length = {length}\nformat.quote-style = "{quotes}"\nformat.indent-style = "{indent}"\n'


def _by_ruff(command: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Each text as ruff leaves it by the settings beside it; one that it cannot read stays as it is."""
    with tempfile.TemporaryDirectory(prefix="kit-form-") as root:
        folders: dict[str, Path] = {}
        files = []
        for number, (settings, text) in enumerate(pairs):
            if settings not in folders:
                folders[settings] = Path(root, str(number))
                folders[settings].mkdir()
                (folders[settings] / "ruff.toml").write_text(settings, "utf-8")
            files.append(folders[settings] / f"{number}.py")
            files[-1].write_bytes(text.encode())
        if files:
            ran = [ruff.find_ruff_bin(), *command, "--no-cache", "--quiet", root]
            subprocess.run(ran, cwd=root, capture_output=True, check=False)
        return [file.read_bytes().decode() for file in files]
