"""What stands behind the first failure: what only the run that goes on past it shows."""

from ..trace.expected import refusal_in
from ..trace.trace import Trace
from ..trace.values import Behind, Error


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
    failed = [step.exception for step in beyond.steps if step.exception is not None]
    candidates = [*beyond.behind, *(_of_step(error) for error in failed)]
    behind += [
        candidate
        for candidate in candidates
        if str(candidate.error) not in known_errors and refusal_in(beyond, str(candidate.error)) is None
    ]
    unique: dict[tuple, Behind] = {}
    for later in behind:
        unique.setdefault((str(later.site), str(later.error)), later)
    return tuple(unique.values())


def _of_step(error) -> Behind:
    site = next((frame for frame in reversed(error.frames) if frame.application), None)
    return Behind(error, site, error.frames, False)
