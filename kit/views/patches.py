"""Patches of an incident file, as a reader sees them."""

import re

from ..incident.model import Incident
from .diff import patch
from .markup import Part, code, fold, join

_OF_GIT = re.compile(
    r"(diff --git|index |From |Date: |Subject: |(new|deleted) file mode|(old|new) mode|similarity |rename )"
)  # lines of a patch that say nothing of what changes


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


def text_of(incident: Incident, path: str) -> str:
    """The text of a patch that the incident file names; where it cannot be read, why."""
    try:
        return incident.resolve(path).read_text("utf-8", "replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
