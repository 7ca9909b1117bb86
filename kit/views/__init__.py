"""Values as something to look at: HTML and plain text at once. Nothing is decided here."""

from .after_imports import metadata, stepper
from .banner import overview, verdict
from .by_people import people, timeline
from .collisions import collision, sites
from .diagnosis import behind, definitions, hypotheses, mechanism, smallest, static_and_run, unseen
from .history import came_and_went, changes, claimed, searched
from .import_ways import imports
from .progress import Progress
from .proposals import proposals
from .ran_with import provenance
from .startup import errors, steps, swallowed, why
from .triage import builds, deductions, frames, made_by
from .verification import before_and_after, fixes, matrix

__all__ = [
    "Progress",
    "before_and_after",
    "behind",
    "builds",
    "came_and_went",
    "changes",
    "claimed",
    "collision",
    "deductions",
    "definitions",
    "errors",
    "fixes",
    "frames",
    "hypotheses",
    "imports",
    "made_by",
    "matrix",
    "mechanism",
    "metadata",
    "overview",
    "people",
    "proposals",
    "provenance",
    "searched",
    "sites",
    "smallest",
    "static_and_run",
    "stepper",
    "steps",
    "swallowed",
    "timeline",
    "unseen",
    "verdict",
    "why",
]
