"""Log records that are lost: ``logging.config`` disabled the loggers that were there before it."""

import ast
from collections.abc import Callable

from ..incident.source import nodes_at
from ..trace.trace import Trace
from ..trace.values import Record, Silenced
from .experiments import first_line
from .values import Case, Experiment, Fault, Place, innermost

_ERROR = 40  # logging's level


def loggers_disabled(case: Case) -> Fault | None:
    """An error was logged by a logger that ``fileConfig`` or ``dictConfig`` had disabled, so nobody could read it."""
    for record in case.trace.records:
        if not record.lost or record.site is None or not (record.error is not None or record.level >= _ERROR):
            continue
        caller = _disabled_by(case, record)
        if caller is not None and caller.site is not None:
            return _fault(case, caller, record)
    return None


def _disabled_by(case: Case, record: Record) -> Silenced | None:
    """Who disabled the logger of a record, in its process or in one that it was forked from."""
    past = {record.process: record.at, **case.trace.forked_from(record.process)}
    earlier = [silencing for silencing in case.trace.silenced if silencing.at < past.get(silencing.process, 0)]
    return next((silencing for silencing in reversed(earlier) if record.logger in silencing.loggers), None)


def _fault(case: Case, caller: Silenced, record: Record) -> Fault:
    hidden = f": {record.error}" if record.error is not None else ""
    because = (
        f"{caller.site} configures logging and disables {len(caller.loggers)} loggers that were there before, {record.logger} among them",
        f"the first error that is lost is logged at {record.site}: {record.text!r}{hidden}",
    )
    sites = [Place.of("disables", caller.site), Place.of("lost record", record.site)]
    raised = innermost(record.error) if record.error is not None else None
    sites += [Place.of("hidden error", raised)] if raised is not None else []
    return Fault("loggers-disabled", because, sites=tuple(sites), experiment=_kept(case, caller))


def _kept(case: Case, silenced: Silenced) -> Experiment | None:
    """The run in which that call keeps the loggers."""
    file, line = silenced.site.file, silenced.site.line
    text = case.sources.get(file)
    calls = [
        call for call in nodes_at(case.tree(file), line, ast.Call) if ast.unparse(call.func).endswith("fileConfig")
    ]
    if text is None or not calls:
        return None
    call, lines = calls[0], text.splitlines(keepends=True)
    number, column = call.end_lineno - 1, len(lines[call.end_lineno - 1].encode()[: call.end_col_offset].decode()) - 1
    before = lines[number][:column].rstrip()
    comma = "" if before.endswith((",", "(")) else ", "
    lines[number] = f"{before}{comma}disable_existing_loggers=False{lines[number][column:]}"

    def judge(trace: Trace) -> tuple[bool | None, str]:
        lost = [record for record in trace.records if record.lost and record.level >= _ERROR]
        if lost:
            return False, f"{lost[0].logger} still loses a record"
        kept = next((record for record in trace.records if record.error is not None), None)
        return True, f"no record is lost{f', and the log shows {first_line(str(kept.error))}' if kept else ''}"

    says = f"disable_existing_loggers=False at {silenced.site}"
    return Experiment(says, case.incident, judge, {file: "".join(lines)})


MECHANISMS: tuple[Callable[[Case], Fault | None], ...] = (loggers_disabled,)
