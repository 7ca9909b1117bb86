"""What stands behind the first failure: what only the run that goes on past it shows."""

from ..trace.expected import refusal_in
from ..trace.trace import Trace
from ..trace.values import Behind, Error, names_missing


def stands_behind(trace: Trace, beyond: Trace) -> tuple[Behind, ...]:
    """Further collisions and errors that only the run past the first failure shows, each once, by site."""
    known = {(str(conflict.second.site), conflict.table) for conflict in trace.conflicts}
    known_errors = {str(error) for error in trace.errors}
    behind = []
    for conflict in beyond.conflicts:
        if (str(conflict.second.site), conflict.table) not in known:
            text = f"Table '{conflict.table}' is already defined for this MetaData instance."
            error = Error("sqlalchemy.exc.InvalidRequestError", text)
            behind.append(
                Behind(
                    error, conflict.second.frame._replace(line=conflict.second.site.line), conflict.second.chain, False
                )
            )
    unbound = {name for skipped in beyond.behind for name in skipped.unbound}
    first = next((step.number for step in trace.steps if step.ok is False), len(trace.steps))
    failed = [step for step in beyond.steps if step.exception is not None]
    candidates = [*beyond.behind, *(_of_step(step.exception, unbound, after=step.number > first) for step in failed)]
    behind += [
        candidate
        for candidate in candidates
        if str(candidate.error) not in known_errors and refusal_in(beyond, str(candidate.error)) is None
    ]
    unique: dict[tuple, Behind] = {}
    for later in behind:
        unique.setdefault((str(later.site), str(later.error)), later)
    return tuple(unique.values())


def _of_step(error: Error, unbound: set[str], *, after: bool) -> Behind:
    """The error of a step. It only follows where a skipped statement would have bound the name that is missing.

    It does so too where the database lacks what an earlier step, which failed, was to bring: ``after``.
    """
    site = next((frame for frame in reversed(error.frames) if frame.application), None)
    of_database = error.type.rpartition(".")[2] in ("OperationalError", "ProgrammingError", "UndefinedTable")
    return Behind(error, site, error.frames, bool(names_missing(error) & unbound) or after and of_database)
