"""Values as something to look at: HTML and plain text at once. Nothing is decided here."""

from .diagnosis import behind, definitions, hypotheses, mechanism, smallest, static_and_run, unseen
from .startup import collision, errors, imports, metadata, stepper, steps, swallowed
from .verification import (
    Progress,
    actions,
    before_and_after,
    claims,
    fixes,
    impact,
    matrix,
    people,
    provenance,
    timeline,
    verdict,
)

__all__ = [
    "Progress",
    "actions",
    "before_and_after",
    "behind",
    "claims",
    "collision",
    "definitions",
    "errors",
    "fixes",
    "hypotheses",
    "impact",
    "imports",
    "matrix",
    "mechanism",
    "metadata",
    "people",
    "provenance",
    "smallest",
    "static_and_run",
    "stepper",
    "steps",
    "swallowed",
    "timeline",
    "unseen",
    "verdict",
]
