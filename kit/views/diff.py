"""Patches as a reader sees them, line by line."""

import html
import re

from ..incident.model import Incident
from .markup import PRE, Part, code, fold, in_line, in_lines, join, part

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
