"""Log records that are lost: ``logging.config`` disabled the loggers that were there before it."""

from collections.abc import Callable

from ..trace.values import Record, Silenced
from .case import Case, Fault, Place

_ERROR = 40  # logging's level


def loggers_disabled(case: Case) -> Fault | None:
    """An error was logged by a logger that ``fileConfig`` or ``dictConfig`` had disabled, so nobody could read it."""
    for record in case.trace.records:
        if not record.lost or record.site is None or not (record.error is not None or record.level >= _ERROR):
            continue
        caller = _disabled_by(case, record)
        if caller is not None and caller.site is not None:
            return _fault(caller, record)
    return None


def _disabled_by(case: Case, record: Record) -> Silenced | None:
    """Who disabled the logger of a record, in its process or in one that it was forked from."""
    past = {record.process: record.at, **case.trace.forked_from(record.process)}
    earlier = [one for one in case.trace.silenced if one.at < past.get(one.process, 0)]
    return next((one for one in reversed(earlier) if record.logger in one.loggers), None)


def _fault(caller: Silenced, record: Record) -> Fault:
    hidden = f": {record.error}" if record.error is not None else ""
    because = (
        f"{caller.site} configures logging and disables {len(caller.loggers)} loggers that were there before, {record.logger} among them",
        f"the first error that is lost is logged at {record.site}: {record.text!r}{hidden}",
    )
    sites = [Place.of("disables", caller.site), Place.of("lost record", record.site)]
    raised = (
        next((frame for frame in reversed(record.error.frames) if frame.application), None) if record.error else None
    )
    sites += [Place.of("hidden error", raised)] if raised is not None else []
    return Fault("loggers-disabled", because, sites=tuple(sites))


MECHANISMS: tuple[Callable[[Case], Fault | None], ...] = (loggers_disabled,)
