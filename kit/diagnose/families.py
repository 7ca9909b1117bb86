"""Every family of mechanisms, in order of precedence: what asks for more special evidence comes first."""

from collections.abc import Callable

from ..trace.expected import expected_error
from . import drivers, imports, loggers, mapping, migrations, names, race, registries, removed, settings, unseen
from .case import Case, Fault
from .relatives import FAULTS

MECHANISMS: tuple[Callable[[Case], Fault | None], ...] = (
    *FAULTS,
    *unseen.MECHANISMS,
    *race.MECHANISMS,
    *migrations.MECHANISMS,
    *mapping.MECHANISMS,
    *drivers.MECHANISMS,
    *settings.MECHANISMS,
    *removed.MECHANISMS,
    *names.MECHANISMS,
    *imports.MECHANISMS,
    *registries.MECHANISMS,
    *loggers.MECHANISMS,
)


def faults_of(case: Case) -> list[Fault]:
    """Every mechanism that the trace shows, the one that explains the incident first.

    What explains the error that the incident names comes before what explains another step's failure, that before
    what raises nothing, and what explains an error that the incident does not name comes last.
    """
    faults = [fault for look_for in MECHANISMS if (fault := look_for(case)) is not None]
    return sorted(faults, key=lambda fault: _rank(case, fault))


def _rank(case: Case, fault: Fault) -> int:
    expected = expected_error(case.incident)
    if fault.error is None:
        return 2
    texts = [str(fault.error), *(text for _, _, text in fault.error.links)]
    if expected is not None:
        return 0 if any(expected in text for text in texts) else 3
    failed = [step.exception for step in case.trace.steps if step.ok is False and step.exception is not None]
    return 1 if any(error.comes_from(fault.error) or fault.error.comes_from(error) for error in failed) else 2
