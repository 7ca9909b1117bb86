"""A diagnosis in a file, with all that its runs gave: it can be judged again without a run."""

from pathlib import Path

from ..base.errors import IncidentError
from ..incident.model import Step
from ..incident.revisions import Operation, Revision
from ..incident.source import Named, Statement
from ..incident.variables import Reading
from ..startup.migrations import Migrations
from ..trace.end_state import CheckResult
from ..trace.saved import load, save
from ..trace.trace import TYPES, Trace
from ..trace.values import Conflict
from .definitions import Column, Definitions
from .diagnosis import Diagnosis
from .hypotheses import Tested
from .smallest import Smallest
from .two_registrations import Finding
from .unseen_tables import Unseen
from .values import Fault, Looked, Outcome, Place

KEPT_TYPES = (
    *(*TYPES, CheckResult, Column, Conflict, Definitions, Diagnosis, Fault, Finding, Looked, Migrations, Named),
    *(Operation, Outcome, Place, Reading, Revision, Smallest, Statement, Step, Tested, Unseen),
)


def save_diagnosis(diagnosis: Diagnosis, file: str | Path) -> None:
    """Write a diagnosis with its runs, secrets masked; :meth:`kit.trace.Trace.load` reads the startup's trace out of it.

    :raises IncidentError: the file cannot be written
    """
    save(diagnosis, file)


def load_diagnosis(file: str | Path) -> Diagnosis | Trace:
    """What ``diagnose --trace`` wrote, or the trace alone that another command wrote.

    :raises IncidentError: it cannot be read, is not whole, is of a newer form, or holds neither
    """
    kept = load(file, KEPT_TYPES)
    if not isinstance(kept, (Diagnosis, Trace)):
        raise IncidentError(f"{file}: there is no trace in it")
    return kept
