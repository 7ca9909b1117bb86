"""Values as something to look at: HTML and plain text at once. Nothing is decided here."""

from .banner import overview, verdict
from .diagnosis import behind, definitions, hypotheses, mechanism, smallest, static_and_run, unseen
from .fixes import before_and_after, claims, fixes, matrix
from .history import came_and_went, changes, claimed, searched
from .imports import imports
from .metadata import metadata, stepper
from .people import actions, impact, people, timeline
from .progress import Progress
from .ran_with import provenance
from .sites import collision, sites
from .startup import errors, steps, swallowed
from .triage import builds, deductions, frames, made_by

__all__ = [
    "Progress",
    "actions",
    "before_and_after",
    "behind",
    "builds",
    "came_and_went",
    "changes",
    "claimed",
    "claims",
    "collision",
    "deductions",
    "definitions",
    "errors",
    "fixes",
    "frames",
    "hypotheses",
    "impact",
    "imports",
    "made_by",
    "matrix",
    "mechanism",
    "metadata",
    "overview",
    "people",
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
]
