"""Does a trace show the incident? Asked here, by everybody."""

from collections.abc import Sequence

from ..base.redact import redact
from ..incident.model import Incident
from .advice import of_set_up
from .values import Conflict, Trace


def shows_incident(incident: Incident, trace: Trace) -> bool:
    """Does the trace show what ``expect`` says? Without ``expect``: did anything go wrong?"""
    error, table = _expected(incident), incident.expect.table
    if error is None and table is None:
        failed = [step for step in trace.steps if step.ok is False and not (step.broke and step.broke.from_outside)]
        wrong = [(swallowed.error, str(swallowed.error)) for swallowed in trace.swallowed]
        wrong += [(step.exception, step.error or "") for step in failed]
        own = [text for error, text in wrong if refusal_in(trace, text) is None and not of_set_up(error)]
        return bool(trace.conflicts or own)
    conflicts = [one for one in trace.conflicts if table in (None, one.table)]
    if table is not None and not conflicts:
        about = [one for one in trace.registrations if one.table == table]
        if error is None and not any(one.outcome in ("extended", "kept") for one in about):
            return False
        if error is not None and ("is already defined" in error or not about):
            return False
    return error is None or any(error in text for text in _texts(trace, conflicts))


def why_not(incident: Incident, trace: Trace, *, told: bool = False) -> list[str]:
    """What ``expect`` asked for and the startup did not show, against what it showed; for a run that does not reproduce.

    :param told: the errors that were seen are told beside it
    """
    error, table = _expected(incident), incident.expect.table
    refused = next((what for step in trace.steps if step.error and (what := refusal_in(trace, step.error))), None)
    if refused is not None:
        return [
            f"The kit itself refused what the application asked for: {refused}. Give it the scratch "
            "database: name the variable that it reads in database_env, or write '{database_url}' into app.env, an option of a step, "
            "or a settings file that a step under 'prepare' writes."
        ]
    failed = next((step for step in trace.steps if step.error), None)
    seen = failed and failed.error
    if error is None and table is None and failed is not None and of_set_up(failed.exception):
        of = "What went wrong comes of how the incident file starts the application, and is no incident"
        return [f"{of}." if told else f"{of}: {seen}"]
    seen = seen or next((str(one.error) for one in trace.swallowed), None)
    instead = f" What was seen: {seen or 'every step succeeded, nothing was swallowed'}"
    found = []
    if error is not None and not any(error in text for text in _texts(trace)):
        found.append(f"expect.error was not seen: {error!r}.{'' if told and seen else instead}")
    tables = sorted({one.table for one in trace.conflicts})
    if table is not None and table not in tables:
        said = f"registered a second time: {', '.join(tables)}" if tables else "no table was registered a second time"
        found.append(f"expect.table was not seen: {table!r}. {said[0].upper()}{said[1:]}.")
    return found


def refusal_in(trace: Trace, text: str) -> str | None:
    """What the run's own guards refused, where an error's text is of that: no incident of the application."""
    return next((refused["what"] for refused in trace.refused if refused["what"] and refused["what"] in text), None)


def _expected(incident: Incident) -> str | None:
    """The error as a trace has it, its secrets masked."""
    return None if incident.expect.error is None else redact(incident.expect.error)


def _texts(trace: Trace, conflicts: Sequence[Conflict] = ()) -> list[str]:
    """Every text in which an error may show: exceptions, what they came from, and what was printed."""
    texts = [one.error for one in conflicts]
    for error in trace.errors:
        texts += [str(error), *(text for _, _, text in error.links)]
    return texts + [step.error or "" for step in trace.steps] + [step.output for step in trace.steps]


def incident_tables(incident: Incident, trace: Trace) -> tuple[str, ...]:
    """The tables that the incident is about."""
    named = {incident.expect.table} if incident.expect.table else set()
    return tuple(sorted(named | {one.table for one in trace.conflicts}))
