"""A build that was tried, and what a fixed one is compared with: the build as it is, its errors, its quiet mechanisms, its database, and how often a race shows."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..diagnose.definitions import one_place
from ..diagnose.unseen_tables import MISSED, NOT_IMPORTED
from ..incident.model import Incident
from ..trace.chains import executed_by_alembic
from ..trace.end_state import CheckResult, judge_mappers, judge_start, listed, where_caught
from ..trace.expected import incident_tables, own_errors, refusal_behind, shows_incident, stable
from ..trace.trace import Trace
from ..trace.values import Sign

_URL = re.compile(r"(?:sqlite\w*|postgres\w*|mysql\w*|mariadb|oracle|mssql)(?:\+\w+)?://")
_OF_DATABASE = re.compile(r"://|:(?:5432|3306|1433|1521)\b")
_NO_ADDRESS = re.compile(r"\[Errno -[235]\]")  # of a name, as the system's library says it
_WORDS = {"tcp", "udp", "connect", "127"}  # of what a guard says, beside the place


@dataclass(frozen=True)
class Attempt:
    """One build of the application, started and checked; ``patches`` are file names, in order.

    :ivar quiet: the mechanisms that are there and raise nothing
    :ivar passed_over: tables of the database that ``env.py`` hides from Alembic, as any other that it does not know
    :ivar raising: slugs of those that raise the error that ``expect`` names
    :ivar handed: the tables that ``env.py`` hands to Alembic; None where Alembic could not compare
    """

    name: str
    patches: tuple[str, ...]
    trace: Trace
    checks: tuple[CheckResult, ...]
    reproduced: bool
    uncompiled: str | None = None  # what a patch wrote that is no Python
    quiet: tuple[Sign, ...] = ()
    passed_over: tuple[str, ...] = ()
    raising: frozenset[str] = frozenset()
    handed: frozenset[str] | None = None
    races: bool = False  # is it a race, that shows in some starts and not in others?
    unrun: tuple[str, ...] = ()  # scripts and deployments that a patch changes, and no step runs


def still_there(incident: Incident, tried: Trace, control: Trace) -> bool:
    """Is the incident still there with a fix? Where ``expect`` says nothing: is anything left of what went wrong in the control?"""
    if not incident.expect.empty:
        return shows_incident(incident, tried)
    tables = {conflict.table for conflict in control.conflicts}
    if any(conflict.table in tables for conflict in tried.conflicts):
        return True
    if errors := errors_of_incident(control):
        return bool(errors_of(tried) & errors)
    left, there = ({(sign.kind, sign.text) for sign in trace.signs} for trace in (tried, control))
    return bool(left & there) and not (warnings_of(control) and not warnings_of(control) & warnings_of(tried))


def errors_of(trace: Trace) -> set[str]:
    """The application's own errors, by what is stable of them; those that were swallowed among them."""
    return {stable(text) for text, _ in own_errors(trace)}


def errors_of_incident(control: Trace) -> set[str]:
    """The errors that a build shows, as the incident: where something was rejected or failed, without what is beside it."""
    errors, swallowed = errors_of(control), {stable(str(caught.error)) for caught in control.swallowed}
    if not control.conflicts and not errors - swallowed:
        return errors
    return errors - {stable(text) for text in beside_incident(control)}


def beside_incident(control: Trace) -> list[str]:
    """What a build swallows that is not how its incident came to be: it left no module, or did so after a table was rejected."""
    rejected = min((conflict.second.at for conflict in control.conflicts), default=None)
    later = [caught for caught in control.swallowed if rejected is not None and caught.at > rejected]
    return [str(caught.error) for caught in control.swallowed if caught.how != "left" or caught in later]


def warnings_of(trace: Trace) -> set[str]:
    """The warnings that Python printed, by category and text."""
    lines = (line for step in trace.steps for line in step.output.splitlines())
    return {stable(line.partition(": ")[2]) for line in lines if "Warning: " in line}


def shared(check: CheckResult, before: Iterable[CheckResult]) -> bool:
    """Does a check of the migrations fail as it did in the control, where the database did not come to head?

    Then what stopped the migrations is no matter of the fix, and what the check says of the tables is no evidence.
    """
    same = (earlier for earlier in before if earlier.check == check.check and earlier.ok is False)
    return check.behind and any(earlier.behind and stable(earlier.seen) == stable(check.seen) for earlier in same)


def beside(after: CheckResult, before: CheckResult | None) -> CheckResult:
    """The routes of a fixed build beside those of the build as it is: what failed before may fail, what answered may not.

    A 404 is no answer of a route that gave a page, or led to one.
    """
    earlier = {answer.path: answer for answer in before.answers if not answer.late} if before is not None else {}
    if not earlier:
        return replace(
            after, seen=f"{after.seen}; the build as it is served nothing, so that nothing tells what answered before"
        )
    well = {path: answer.status for path, answer in earlier.items() if not answer.fails and answer.status}
    again = {answer.path: answer for answer in after.answers}
    lost = [a for a in again.values() if a.path in well and (a.fails or a.status == 404 and well[a.path] < 400)]
    late = [path for path in well if path not in again or again[path].late]
    before_ = ", ".join(f"{answer.path} answers {well[answer.path]}" for answer in lost)
    says = f"without the change {before_}" if lost else "" if late else "each that answered without the change answers"
    seen = "; ".join(filter(None, [after.seen, says]))
    return replace(after, ok=False if lost else None if late else True, seen=seen)


def compared(incident: Incident, tried: Attempt, control: Attempt) -> tuple[CheckResult, ...]:
    """The checks of a fixed build, and what no fix may leave behind, also where the incident file does not ask for it.

    A clean start is asked beside what the build as it is swallows for another reason, where the incident is gone.
    """
    kinds, tables = {check.kind for check in incident.checks}, incident_tables(incident, control.trace)
    missed = [] if tried.reproduced else of_the_empty_database(incident, tried, control)
    known = [] if tried.reproduced else beside_incident(control.trace)
    refused = [] if tried.reproduced else of_the_guards(incident, tried)
    routes = next((check for check in control.checks if check.kind == "routes"), None)
    checks = []
    for check in tried.checks:
        anew = check.kind == "clean_start" and check.ok is False and (known or missed or refused)
        check = _start_beside(tried.trace, known, missed, refused) if anew else check
        checks.append(beside(check, routes) if check.kind == "routes" else check)
    implied = [judge_mappers(tried.trace, tables)] if "mappers" not in kinds else []
    if "clean_start" not in kinds:
        # What was swallowed before and has nothing to do with the incident stays allowed.
        known = [str(error.error) for error in control.trace.swallowed] if not tried.reproduced else []
        implied.append(_start_beside(tried.trace, known, missed, refused))
    kept = (check for check in implied if check.ok is not None or tried.trace.cut)
    return (*checks, *kept, *_merged(tried, tables), *hidden(incident, tried, control, tables))


def _start_beside(trace: Trace, known: Sequence[str], missed: Sequence[str], refused: Sequence[str]) -> CheckResult:
    """Was it a clean start, but for errors that are known, of tables that no step makes, or of services out of reach? Those are told."""
    check = judge_start(trace, [*known, *missed, *refused])
    reasons = "as without the fix", "since no step makes the table", "since the kit lets no run reach it"
    for errors, why in zip((known, missed, refused), reasons, strict=True):
        left = (caught for caught in trace.swallowed if str(caught.error) in errors)
        if sentences := list(dict.fromkeys(f"{where_caught(trace, caught)}: {caught.error}" for caught in left)):
            check = replace(check, seen=f"{check.seen}; {why}, swallowed at {listed(sentences)}")
    return check


def of_the_empty_database(incident: Incident, tried: Attempt, control: Attempt) -> list[str]:
    """The errors that a server logs, and no step fails for, of a table that no step makes: the scratch database is empty.

    The build as it is never came to ask for it. Of a change that names the table, or whose text is not known, that is no excuse.
    """
    before, after = control.trace, tried.trace
    makers = (*after.created, *before.created, *incident.prepare)
    changes = incident.changes_of(tried.name)
    unknown = any(isinstance(change, str) for change in changes)
    if makers or unknown or incident.expect.empty or any(map(executed_by_alembic, after.imports)):
        return []
    words = words_of("\n".join(change.read_text("utf-8", "replace") for change in changes))
    missed = []
    for caught in after.swallowed:
        table = next((match[match.lastindex] for match in MISSED.finditer(caught.error.text)), None)
        if caught.how != "left" and table is not None and not words & {*table.split("."), "create_all"}:
            missed.append(str(caught.error))
    return missed


def of_the_guards(incident: Incident, tried: Attempt) -> list[str]:
    """The errors of services that no run reaches, where no step fails for one: they are the guards' doing, and none of the application's.

    That of a database is none of these: it is another than the scratch one. A change that names the service's place, that edits the
    file where it is asked, or that is not known, has no excuse.
    """
    fix, trace, changes = incident.fixes[tried.name], tried.trace, incident.changes_of(tried.name)
    if any(isinstance(changed, str) for changed in changes):
        return []
    text = "\n".join([*(change.read_text("utf-8", "replace") for change in changes)])
    words = words_of(text) | set(re.findall(r"\w+", " ".join(filter(None, fix.env.values()))))
    refused, looked_up = [], any(":53 " in attempt["what"] for attempt in trace.refused)
    for caught in trace.swallowed:
        target = refusal_behind(trace, caught.error, str(caught.error))
        if target is None and looked_up and _NO_ADDRESS.search(caught.error.text):
            target = "://" if fix.env or f"+++ b/{caught.site.file}" in text else ""
        if (
            target is not None
            and not _OF_DATABASE.search(target)
            and not words & {*re.findall(r"\w{3,}", target)} - _WORDS
        ):
            refused.append(str(caught.error))
    return refused


def words_of(patch: str) -> set[str]:
    """The words of the lines that a patch writes or takes away."""
    lines = [line[1:] for line in patch.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return set(re.findall(r"\w+", "\n".join(lines)))


def _merged(tried: Attempt, tables: Sequence[str]) -> tuple[CheckResult, ...]:
    """A table of the incident that two definitions share now: its columns are merged, or one set is dropped."""
    for registration in tried.trace.registrations:
        if registration.table in tables and registration.outcome in ("extended", "kept"):
            first = tried.trace.holder(registration)
            if first and first.outcome != "reflected" and first.site != registration.site:
                effect = "adds its columns to" if registration.outcome == "extended" else "is ignored in favour of"
                again, table = one_place(first, registration), registration.table
                seen = f"the definition at {registration.site} {effect} the one at {first.site}"
                seen = f"{again}: at {registration.site} the second {effect} the first" if again else seen
                about = f"table {table}: {seen}"
                return (CheckResult("one definition per table", False, about, (table,), "definitions"),)
    return ()


def hidden(incident: Incident, tried: Attempt, control: Attempt, tables: Sequence[str]) -> tuple[CheckResult, ...]:
    """What a fix may have done in place of a cure: left the database, or had Alembic look away; or a mechanism that is left."""
    results = []
    if (left := _left_the_database(incident, tried.name, tried.trace, control.trace)) is not None:
        results.append(CheckResult("the scratch database is used", False, left, kind="hidden"))
    passed = [table for table in tried.passed_over if table not in control.passed_over]
    if passed:
        says = f"env.py has Alembic pass over every table that no model names; in the database: {', '.join(passed)}"
        results.append(CheckResult("Alembic sees every table", False, says, kind="hidden"))
    sign = _quiet_left(incident, tried, control, tables)
    if sign is not None:
        about = f" of table {sign.table}" if sign.table else ""
        results.append(CheckResult("no mechanism is left", False, f"{sign.text}{about} is there", kind="hidden"))
    return tuple(results)


def _quiet_left(incident: Incident, tried: Attempt, control: Attempt, tables: Sequence[str]) -> Sign | None:
    """A mechanism that raises nothing and is left with a fix: the incident's own, or a new one about its tables."""
    of_incident = () if _raises(incident, control, tables) else {sign.text for sign in control.quiet}
    known = {(sign.text, sign.table) for sign in control.quiet}
    known |= {(NOT_IMPORTED, table) for table in never_handed(incident, tried, control, tables)}
    for sign in tried.quiet:
        if sign.text in of_incident or (sign.table in tables and (sign.text, sign.table) not in known):
            return sign
    return None


def _raises(incident: Incident, control: Attempt, tables: Sequence[str]) -> bool:
    """Is the incident an error or a second registration? What raises nothing beside it is another matter then."""
    rejected = any(conflict.table in tables for conflict in control.trace.conflicts)
    return rejected or bool(control.raising)


def never_handed(incident: Incident, tried: Attempt, control: Attempt, tables: Sequence[str]) -> tuple[str, ...]:
    """The tables that ``env.py`` does not hand to Alembic, neither with a fix nor in the build as it is.

    A startup that failed had not come to them, so that no mechanism showed; it is no work of the fix.
    """
    if control.handed is None or NOT_IMPORTED in control.raising or not _raises(incident, control, tables):
        return ()
    unseen = (sign.table for sign in tried.quiet if sign.text == NOT_IMPORTED and sign.table)
    return tuple(table for table in unseen if table not in control.handed)


def _left_the_database(incident: Incident, fix: str, tried: Trace, control: Trace) -> str | None:
    """Where an engine is made with a fix, and none any more for the scratch database; None where that is as it was.

    An incident that gives a URL of its own choice never had the application use the scratch database. Where the build as it is came
    to no engine, a fix is to blame for one that it writes itself, or whose URL it sets: else the application always had it so.
    """
    chosen = [value for value in incident.app.env.values() if _URL.match(value) and "{database_" not in value]
    engines, before = tried.engines, control.engines
    if chosen:
        return None
    if (
        not engines
        or any(engine.on_scratch for engine in engines)
        or (before and not any(e.on_scratch for e in before))
    ):
        return None
    if not before and not _writes_an_engine(incident, fix, tried):
        return None
    where = engines[0].database or "a database in memory"
    return (
        f"{engines[0].site} makes an engine for {engines[0].driver}: {where}, and none is made for the scratch database"
    )


def _writes_an_engine(incident: Incident, fix: str, tried: Trace) -> bool:
    """Does a fix set something beside its patches, write a URL of a database, or the line where an engine is made?"""
    changes = incident.changes_of(fix)
    if incident.fixes[fix].settings or not all(isinstance(change, Path) for change in changes):
        return True
    texts = [change.read_text("utf-8", "replace") for change in changes]
    added = {line[1:].strip() for text in texts for line in text.splitlines() if line.startswith("+")}
    lines = [text for engine in tried.engines if engine.site for _, text in tried.excerpt(engine.site, around=0)]
    return any(_URL.search(line) for line in added) or any(line.strip() in added for line in lines)


TIMES = 5  # starts of each build where the incident is a race
MOST = 15  # starts of a fix with which it did not show: one that only makes the race rarer shows it in some of so many
DOUBT = 0.05  # probability of luck above which nothing is said


@dataclass(frozen=True)
class Rates:
    """How often a race showed: with a fix, and without it.

    :ivar control_shown, control_starts: of starts that were not chosen for showing it
    """

    shown: int
    starts: int
    control_shown: int
    control_starts: int

    @property
    def by_luck(self) -> float:
        """How likely a build that races as the control does shows it in none of so many starts.

        A control that reproduced, and in no further start, is taken to do so once in that many.
        """
        rate = self.control_shown / self.control_starts if self.control_shown else 1 / TIMES
        return (1 - rate) ** self.starts

    @property
    def at_most(self) -> float:
        """The share of starts, at most, in which a race that did not show may still show, but for :data:`DOUBT`."""
        return 1 - DOUBT ** (1 / self.starts)

    def __str__(self) -> str:
        says = f"with the fix it showed in {self.shown} of {self.starts} starts, without it in {self.control_shown} of {self.control_starts}"
        rarer = f"a rarer one may be left, in at most {self.at_most:.0%} of starts"
        return f"{says} further ones" + (f" (by luck: {self.by_luck:.1%}; {rarer})" if self.shown == 0 else "")


def of_runs(attempts: Sequence[Attempt], is_there: Callable[[Attempt], bool]) -> tuple[Attempt, int]:
    """The run that counts of several starts of one build, and how many of them show the incident.

    That is the first that shows it, else the first in which a step failed, else the first.
    """
    shown = [attempt for attempt in attempts if is_there(attempt)]
    failed = [attempt for attempt in attempts if not attempt.trace.whole]
    return (shown or failed or list(attempts))[0], len(shown)
