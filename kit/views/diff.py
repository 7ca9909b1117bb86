"""Patches as a reader sees them: line by line, or the old and the new text side by side."""

import html
import re
from collections.abc import Iterator
from itertools import zip_longest

from unidiff import PatchSet, UnidiffParseError

from ..incident.model import Incident
from .markup import CAPTION, LEFT, PRE, Part, code, fold, in_line, in_lines, join, para, part, stack, styled

_OF_GIT = re.compile(
    r"(diff --git|index |From |Date: |Subject: |(new|deleted) file mode|(old|new) mode|similarity |rename )"
)  # lines of a patch that say nothing of what changes


def patch(text: str) -> Part:
    """A patch; an added or removed line keeps its + or -, and has a colour where there is a style sheet."""
    rows, shown = [], part(text).text
    for line in shown.splitlines():
        kind = ("ins", "kit-come") if line.startswith("+") and not line.startswith("+++") else None
        kind = ("del", "kit-gone") if line.startswith("-") and not line.startswith("---") else kind
        rows.append(in_line(kind, html.escape(line)))
    joined = in_lines(rows)
    return Part(f'<pre class="kit-patch"{PRE}><code>{joined}</code></pre>', shown)


def sides(caption: str, text: str, *, most: int = 160) -> Part:
    """A patch as two columns, old and new; each changed line keeps its number and its ``-`` or ``+``.

    :param most: how many of its lines are shown
    """
    rows, left_out, lines = [], 0, part(text).text
    try:
        paired = list(_paired(lines))
    except UnidiffParseError:
        return stack(caption, patch(text))
    for kind, old, new in paired:
        if len(rows) == most:
            left_out += 1
        elif kind == "place":
            rows.append(f'<tr><th colspan="2" scope="rowgroup"{LEFT}>{html.escape(old)}</th></tr>')
        elif kind == "same":
            rows.append(f'<tr class="kit-same"><td{LEFT}>{html.escape(old)}</td><td{LEFT}>{html.escape(new)}</td></tr>')
        else:
            was = in_line(("del", "kit-gone"), html.escape(old)) if old else ""
            now = in_line(("ins", "kit-come"), html.escape(new)) if new else ""
            rows.append(f"<tr><td{LEFT}>{was}</td><td{LEFT}>{now}</td></tr>")
    shown = (
        f"<table{styled('kit-sides')}><caption{CAPTION}>{part(caption).html}</caption>"
        f'<thead><tr><th scope="col">before</th><th scope="col">after</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )
    rest = para(f"{left_out} more lines are in the patch itself.") if left_out else None
    return stack(Part(shown, f"{caption}\n{lines}"), rest)


def _paired(text: str) -> Iterator[tuple[str, str, str]]:
    """The lines of a patch in pairs, before and after, each with its kind: place, same or changed."""
    for file in PatchSet(text):
        for hunk in file:
            where = f"{file.path}, line {hunk.target_start}"
            where += f", in {hunk.section_header}" if hunk.section_header else ""
            yield "place", where, where
            gone, come = [], []
            for line in (*hunk, None):
                if line is not None and line.is_removed:
                    gone.append(f"- {line.source_line_no:>4}  {line.value.rstrip()}")
                elif line is not None and line.is_added:
                    come.append(f"+ {line.target_line_no:>4}  {line.value.rstrip()}")
                elif line is None or line.is_context:
                    yield from (("changed", *pair) for pair in zip_longest(gone, come, fillvalue=""))
                    gone, come = [], []
                    if line is not None:
                        shown = line.value.rstrip()
                        yield "same", f"  {line.source_line_no:>4}  {shown}", f"  {line.target_line_no:>4}  {shown}"


def patch_of(incident: Incident, path: str, *, most: int) -> list[Part]:
    """A patch file: the first ``most`` lines of its changes, and all of it in a fold where there are more."""
    return patch_text(text_of(incident, path), path.rpartition("/")[2], most=most)


def patch_text(text: str, name: str, *, most: int) -> list[Part]:
    """The text of a patch: the first ``most`` lines of its changes, and all of it in a fold where there are more."""
    lines = [line for line in text.splitlines() if not _OF_GIT.match(line)]
    if len(lines) <= most:
        return [patch("\n".join(lines))]
    head = [patch("\n".join(lines[:most]))] if most else []
    return [*head, fold(join("The whole patch " if most else "Patch ", code(name)), patch(text))]


def patch_file(name: str) -> str:
    """The name of the file that ``propose -o`` writes a proposal of this name to."""
    return re.sub(r"[^\w.+-]", "-", name) + ".patch"


def text_of(incident: Incident, path: str) -> str:
    """The text of a patch that the incident file names; where it cannot be read, why."""
    try:
        return incident.resolve(path).read_text("utf-8", "replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
