"""Patches as a reader sees them: line by line, or the old and the new text side by side."""

import html
import re
from collections.abc import Iterable, Sequence

from .markup import CAPTION, LEFT, PRE, Part, in_line, in_lines, para, part, stack, styled


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
    for kind, old, new in _paired(lines.splitlines()):
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


def _paired(lines: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    """The lines of a unified diff in pairs, before and after, each with its kind: place, same or changed."""
    name = ""
    gone: list[str] = []
    come: list[str] = []
    old = new = left_old = left_new = 0

    def flush() -> Iterable[tuple[str, str, str]]:
        for number in range(max(len(gone), len(come))):
            yield "changed", gone[number] if number < len(gone) else "", come[number] if number < len(come) else ""
        gone.clear()
        come.clear()

    for line in lines:
        hunk = re.match(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)", line)
        if hunk and left_old <= 0 and left_new <= 0:
            yield from flush()
            old, new = int(hunk[1]), int(hunk[3])
            left_old, left_new = (int(hunk[n]) if hunk[n] is not None else 1 for n in (2, 4))
            where = f"{name}, line {new}" + (f", in{hunk[5]}" if hunk[5].strip() else "")
            yield "place", where, where
        elif left_old <= 0 and left_new <= 0:
            named = re.match(r"(?:---|\+\+\+) (?:[ab]/)?([^\t]+)", line)
            name = named[1] if named and named[1] != "/dev/null" else name
        elif line.startswith("-"):
            gone.append(f"- {old:>4}  {line[1:]}")
            old, left_old = old + 1, left_old - 1
        elif line.startswith("+"):
            come.append(f"+ {new:>4}  {line[1:]}")
            new, left_new = new + 1, left_new - 1
        elif not line.startswith("\\"):
            yield from flush()
            yield "same", f"  {old:>4}  {line[1:]}", f"  {new:>4}  {line[1:]}"
            old, new, left_old, left_new = old + 1, new + 1, left_old - 1, left_new - 1
    yield from flush()
