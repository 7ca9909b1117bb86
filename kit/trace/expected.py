"""Does a startup show the incident? The one question, asked here by every command.

Texts of errors are compared by what is the same in every run: not by addresses, the order of a set, statements or folders.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ..base.redact import redact
from ..incident.model import DATABASE_SERVER, Incident
from .end_state import looked_at
from .printed_errors import SUGGESTED
from .trace import Trace
from .values import Broke, Conflict, Error

EXPECTED = "expected-check"  # the kind of sign of the check that ``expect`` names, where it failed
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_STATEMENT = re.compile(r"\[(?:SQL|parameters): (?:[^\[\]]|\[[^\[\]]*\])*\]?|\(Background on this error at: \S*\)?")
_SET = re.compile(r"\{((?:'[^']*'|\"[^\"]*\")(?:, (?:'[^']*'|\"[^\"]*\"))+)\}")
_FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?:[\w.~@+-]+|…|<workspace>)?(?:[/\\][\w.~@+-]+)*[/\\](?=[\w.-]+\.\w+\b)")
_TEMPORARY = re.compile(r"\btmp[a-z0-9_]{8}\b")
_SCRATCH = re.compile(r"\bkit_scratch_\w+\b")


def shows_incident(incident: Incident, trace: Trace) -> bool:
    """Does the startup show what ``expect`` says? Where it says nothing: did anything go wrong?

    What no error shows, a failing check or a mechanism that raises nothing, is among ``Trace.signs``: :mod:`kit.diagnose.diagnosis`
    asks for those that ``expect`` needs.
    """
    if incident.expect.empty:
        return bool(trace.conflicts or trace.signs or any(True for _ in own_errors(trace)))
    if incident.expect.check is not None:
        return any(sign.kind == EXPECTED for sign in trace.signs)
    error, table = expected_error(incident), incident.expect.table
    conflicts = [conflict for conflict in trace.conflicts if table in (None, conflict.table)]
    if table is not None and not conflicts:
        about = [registration for registration in trace.registrations if registration.table == table]
        if error is None:
            merged = any(registration.outcome in ("extended", "kept") for registration in about)
            return merged or any(sign.kind == "mechanism" and sign.table == table for sign in trace.signs)
        if "is already defined" in error or not about:
            return False
    return error is None or any(holds(text, error) for text in _texts(trace, conflicts))


def own_errors(trace: Trace) -> Iterator[tuple[str, Error | None]]:
    """Every error of the application itself that a step ended with or that was caught: its text, and as it was seen.

    What the kit made is none: a refusal of its guards, a limit, a kill, a variable that the incident file does not give.
    """
    for swallowed in trace.swallowed:
        if not _of_the_kit(trace, swallowed.error, str(swallowed.error)):
            yield str(swallowed.error), swallowed.error
    for step in trace.steps:
        if step.ok is False and not (step.broke and step.broke.of_the_kit):
            text = step.error or ""
            if not _of_the_kit(trace, step.exception, text):
                yield text, step.exception


def _of_the_kit(trace: Trace, error: Error | None, text: str) -> bool:
    return refusal_in(trace, text) is not None or of_set_up(error)


def broke_before(incident: Incident, trace: Trace) -> Broke | None:
    """Why the run broke; None where it did not, or where ``expect`` names that very end, as a crash: then that is the incident."""
    error, broke = expected_error(incident), trace.broke
    is_incident = broke is not None and not broke.of_the_kit and error is not None and holds(str(broke), error)
    return None if is_incident else broke


def why_not(incident: Incident, trace: Trace, *, with_failures: bool = False) -> list[str]:
    """What ``expect`` asked for and the startup did not show, against what it showed; for a run that does not reproduce.

    :param with_failures: the caller prints each failed step with its error, so no sentence repeats it
    """
    error, table = expected_error(incident), incident.expect.table
    refused = next((refusal for step in trace.steps if step.error and (refusal := refusal_in(trace, step.error))), None)
    if refused is not None:
        return [
            f"The kit itself refused what the application asked for: {refused}. Give it the scratch "
            "database: name the variable that it reads in database_env, or write '{database_url}' into app.env, an option of a step, "
            "or a settings file that a step under 'prepare' writes."
        ]
    failed = next((step for step in trace.steps if step.error), None)
    seen = failed and failed.error
    if incident.expect.empty and failed is not None and of_set_up(failed.exception):
        of = "What went wrong comes of how the incident file starts the application, and is no incident"
        return [f"{of}." if with_failures else f"{of}: {seen}"]
    seen = seen or next((str(error.error) for error in trace.swallowed), None)
    instead = f" What was seen: {seen or f'every step succeeded, nothing was swallowed {looked_at(trace)}'}"
    instead = "" if with_failures and seen else instead
    reasons = []
    if incident.expect.check is not None:
        reasons.append(f"expect.check did not fail: {incident.expect.check}.{instead}")
    if error is not None and not any(holds(text, error) for text in _texts(trace)):
        reasons.append(f"expect.error was not seen: {error!r}.{instead}")
    tables = sorted({conflict.table for conflict in trace.conflicts})
    if table is not None and table not in tables:
        twice = f"Registered a second time: {', '.join(tables)}" if tables else "No table was registered a second time"
        reasons.append(f"expect.table was not seen: {table!r}. {twice}.")
    return reasons


def refusal_in(trace: Trace, text: str) -> str | None:
    """What the run's own guards refused, where an error's text is of that: no incident of the application."""
    return next((refused["what"] for refused in trace.refused if refused["what"] and refused["what"] in text), None)


def refused_step(trace: Trace) -> str | None:
    """What the guards refused, where a step failed for it."""
    return next(filter(None, (refusal_behind(trace, step.exception, step.error or "") for step in trace.steps)), None)


def refusal_behind(trace: Trace, error: Error | None, text: str) -> str | None:
    """What the guards refused, where an error is of that, or a library's came from one that is."""
    by_library = error is not None and error.frames and not error.frames[-1].application
    texts = (text, *(cause for _, _, cause in error.links)) if by_library else (text,)
    return next((refusal for part in texts if (refusal := refusal_in(trace, part)) is not None), None)


def expected_error(incident: Incident) -> str | None:
    """The error that the incident is, as a trace has it, its secrets masked."""
    return None if incident.expect.error is None else redact(incident.expect.error)


def _texts(trace: Trace, conflicts: Sequence[Conflict] = ()) -> list[str]:
    """Every text in which an error may show: exceptions, what they came from, those of the mappers, and what was printed.

    Without the lines that name an address which the run's own guards refused: they show the kit, not the incident.
    """
    texts = [conflict.error for conflict in conflicts]
    for error in (*trace.errors, *(judged.error for judged in trace.judged if judged.error is not None)):
        texts += [str(error), *(text for _, _, text in error.links)]
    texts += [step.error or "" for step in trace.steps] + [step.output for step in trace.steps]
    refused = {address for attempt in trace.refused if (address := attempt["what"].partition(" (")[0])}
    if not refused:
        return texts
    return ["\n".join(line for line in text.splitlines() if not any(map(line.__contains__, refused))) for text in texts]


def incident_tables(incident: Incident, trace: Trace) -> tuple[str, ...]:
    """The tables that the incident is about."""
    named = {incident.expect.table} if incident.expect.table else set()
    return tuple(sorted(named | {conflict.table for conflict in trace.conflicts}))


@lru_cache(maxsize=4096)
def stable(text: str) -> str:
    """The text without what differs from run to run and from machine to machine."""
    text = SUGGESTED.sub("", _STATEMENT.sub("", text))
    text = _ADDRESS.sub("0x…", text)
    text = _SET.sub(lambda match: "{" + ", ".join(sorted(match[1].replace('"', "'").split(", "))) + "}", text)
    text = _FOLDERS.sub("", text)
    text = _SCRATCH.sub("scratch", _TEMPORARY.sub("tmp…", text))
    return " ".join(text.split())


def holds(text: str, expected: str) -> bool:
    """Does a text hold the expected one, as it stands or by what is stable of both?"""
    if expected in text:
        return True
    wanted = stable(expected).removesuffix("…").removesuffix("...").rstrip()
    return bool(wanted) and wanted in stable(text)


_VARIABLE = re.compile(r"KeyError: '([A-Z][A-Z0-9_]+)'")
_NO_URL = re.compile("Could not parse (?:SQLAlchemy|rfc1738) URL")
_NOT_INSTALLED = re.compile(
    r"extension \"([\w-]+)\" is not available|could not open extension control file \"[^\"]*?([\w-]+)\.control\""
)
_NOT_ALLOWED = re.compile(r"permission denied to create extension \"([\w-]+)\"")


def of_set_up(error: Error | None) -> bool:
    """Does an error say that a variable is not given, that one given is no URL, or that the scratch database's server lacks
    an extension: how the startup is run, and no fault of it?

    A ``KeyError`` is of a variable where ``os`` itself raised it; any other mapping may lack a key too.
    """
    if error is None or error.own_words:
        return False
    by_os = bool(error.frames) and re.search(r"(?:^|/)os\.py$|^<frozen os>$", error.frames[-1].file)
    lacks = _NOT_INSTALLED.search(error.text) or _NOT_ALLOWED.search(error.text)
    return bool(error.type == "KeyError" and by_os or _NO_URL.search(error.text) or lacks)


def advice(incident: Incident, error: str | None) -> list[str]:
    """What to change in the incident file for a step's error; nothing where that says no more than the error."""
    error = error or ""
    name = _VARIABLE.match(error)
    if name:
        return [
            f"The environment starts empty: give {name[1]} in app.env, or, if it is the database's URL, "
            f"'database_env: {name[1]}'."
        ]
    module = re.match(r"ModuleNotFoundError: No module named '([\w.]+)'", error)
    expected = expected_error(incident)
    if module and not (expected and holds(error, expected)):  # to find it would be to lose the incident
        return [
            f"If {module[1]} is there, put the folder that holds it on app.path, or name the interpreter that has it in app.python."
        ]
    if extension := _NOT_INSTALLED.search(error):
        return [
            f"The PostgreSQL server of the scratch database has no extension {extension[1] or extension[2]}. Install it for that server "
            f"by its package manager, or set {incident.database_server or DATABASE_SERVER} to the URL of a server that has it."
        ]
    if extension := _NOT_ALLOWED.search(error):
        return [
            f"Only a superuser may create the extension {extension[1]}, and the scratch database's role is none. Create it once in "
            f"template1 of a server of yours, set {incident.database_server or DATABASE_SERVER} to that server's URL, and have the "
            "application say CREATE EXTENSION IF NOT EXISTS: each scratch database is made with what template1 holds."
        ]
    if _NO_URL.search(error):
        env = incident.app.env.items()
        names = [variable for variable, value in env if "{database" not in value and "://" not in value]
        of = f" (one of these, of app.env? {', '.join(names[:6])})" if names else ""
        return [
            "The application took a text that is no URL for the URL of its database. The scratch database's URL is in "
            f"{incident.database_env}: name in 'database_env' the variable that the application reads{of}, or give that one as "
            '"{database_url}" in app.env.'
        ]
    return []


def refusals(refused: Sequence[dict]) -> str | None:
    """What the guards refused (``Trace.refused``), as a sentence with the place of each attempt; None: nothing was."""
    attempts = []
    for attempt in refused:
        by = f" by {attempt['by']}" if attempt.get("by") else ""
        at = f" at {attempt['site']['file']}:{attempt['site']['line']}" if attempt["site"] else by
        attempts += [f"{attempt['what']}{at}"] if f"{attempt['what']}{at}" not in attempts else []
    if not attempts:
        return None
    more = f", and {len(attempts) - 5} more (all are in the JSON, under 'refused')" if len(attempts) > 5 else ""
    variable = " If it is the application's database, name the variable that it reads in 'database_env'."
    advised = variable if any("://" in attempt["what"] for attempt in refused) else ""
    return (
        f"The kit refused {', '.join(attempts[:5])}{more}: a reproduction reaches its scratch database and what it opens "
        f"itself, nothing else.{advised}"
    )
