"""What an application's files require of a library: the line that lets a version in."""

import re
from collections.abc import Iterator
from pathlib import Path

_FILES = re.compile(
    r"^(.*requirements.*\.(txt|in)|constraints.*\.txt|pyproject\.toml|setup\.(py|cfg)|Pipfile|environment\.ya?ml)$"
)
_LINE = re.compile(
    r"^[\s\-]*['\"]?(?P<name>[A-Za-z][\w.-]*)['\"]?\s*(?:\[[^\]]*\])?\s*(?:=\s*['\"])?(?P<range>(?:[<>=!~^*][^'\";#]*)?)"
)


def requirements_of(root: Path) -> dict[str, list[tuple[str, int, str]]]:
    """Each library that a file of requirements names, in small letters: ``(file, line, range)``, the range as it is written."""
    requirements: dict[str, list[tuple[str, int, str]]] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not _FILES.match(path.name) or "site-packages/" in name or "node_modules/" in name:
            continue
        try:
            lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            for library, range_ in _named(line):
                requirements.setdefault(library, []).append((name, number, range_))
    return requirements


def _named(line: str) -> Iterator[tuple[str, str]]:
    quoted = re.findall(r"['\"]([A-Za-z][\w.-]*(?:\[[^\]]*\])?[^'\"]*)['\"]", line)
    for text in [line, *quoted]:
        match = _LINE.match(text)
        if match and not line.lstrip().startswith("#"):
            yield match["name"].lower().replace("_", "-"), match["range"].strip()
