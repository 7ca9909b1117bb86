"""What must be true after a fix: each check, run for real against one startup; every page that a server is asked for."""

import http.client
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import shorten

from ..base.errors import last_line
from ..base.redact import redact
from ..incident.model import Incident
from ..incident.steps import Check, Http
from ..trace.chains import executed_by_alembic
from ..trace.end_state import (
    Answer,
    CheckResult,
    answers_in_words,
    executed_by_alembic_modules,
    judge_mappers,
    judge_start,
    listed,
)
from ..trace.printed_errors import printed_error
from ..trace.processes import Asked, Paths
from ..trace.reader import entries_so_far
from ..trace.routes import endpoint_of, names_of, pages_of
from ..trace.trace import Trace
from ..trace.values import is_scratch
from .child.uncompiled import uncompiled
from .migrations import Migrations, look
from .process import command_line, run, sizes_of, so_far
from .workspace import Workspace

_EXPECTED = -1  # the number of the check that the incident is
_MOST_READ = 8 << 20  # bytes of an answer in which a text is looked for
_NO_SERVER = "no server is up"
_UNCOMPILED = str(Path(__file__).parent / "child" / "uncompiled.py")


class Asker:
    """Asks what has to be asked while the application is up; what needs the trace comes after."""

    def __init__(self, incident: Incident, *, all: bool = True, config: str | None = None):
        """Ask, beside the check that the incident is, ``all`` checks, and Alembic whatever they are, where ``config`` names its file."""
        self.incident, self.config = incident, config
        self.checks = incident.checks if all else []
        self.answers: dict[int, CheckResult] = {}
        self.migrated: Migrations | None = None
        self.uncompiled: str | None = None  # a file that a patch made such that Python cannot compile it
        self.called = False

    def __call__(self, space: Workspace, port: int | None) -> None:
        self.uncompiled = _uncompiled(space, self.incident) if space.patched else None
        self.called, late = True, False
        for number, check in self.asked:
            if check.http is not None:
                self.answers[number], broke = _ask_http(check, check.http, self.incident, port)
                late = late or broke
            elif check.command is not None:
                self.answers[number] = _ask_command(check, space, self.incident, f"check-{number}", port)
            elif check.migrations is not None and port is not None:
                self._ask_alembic(number, check, space)
            elif check.routes:
                named = check.routes if isinstance(check.routes, list) else ()
                asked = ask_routes(self.incident, space, port, named)  # holds what a server printed
                answers = tuple(replace(answer, error=redact(answer.error)) for answer in asked.answers)
                self.answers[number] = replace(asked, seen=redact(asked.seen), answers=answers)
        if late:
            until_printed(space.folder / "trace")

    def ask_afterwards(self, space: Workspace) -> None:
        """What can be asked as well when the startup has ended: Alembic, unless a server was up, which may tidy up as it ends."""
        for number, check in self.asked:
            if check.migrations is not None and number not in self.answers:
                self._ask_alembic(number, check, space)
        if self.config is not None and self.migrated is None:
            self.migrated = look(self.incident, space, self.config, "alembic")

    def _ask_alembic(self, number: int, check: Check, space: Workspace) -> None:
        self.migrated = look(self.incident, space, check.migrations, f"check-{number}")
        self.answers[number] = _of_alembic(check, self.migrated)

    @property
    def served(self) -> bool:
        return any(step.kind == "serve" for step in self.incident.startup)

    @property
    def asked_while_up(self) -> list[Check]:
        """What is asked while the application is up, in order: another run in which something else is asked is not the same."""
        return [c for _, c in self.asked if c.http or c.command or c.routes or (c.migrations and self.served)]

    @property
    def asked(self) -> list[tuple[int, Check]]:
        """Every check by its number, after them the one that the incident is, and last what is left out of the trace."""
        expected = self.incident.expect.check
        numbered = [*enumerate(self.checks), *([(_EXPECTED, expected)] if expected is not None else [])]
        return sorted(numbered, key=lambda check: bool(check[1].routes))

    @property
    def requests(self) -> list[tuple[int, Check]]:
        """Those of them that make the application do something."""
        return [(number, check) for number, check in self.asked if check.http or check.command or check.routes]

    def remember(self, answers: Sequence[CheckResult], migrated: Migrations | None, uncompiled: str | None) -> None:
        """What another run of the same build answered, ``answers`` in the order of ``requests``."""
        self.migrated, self.uncompiled = migrated, uncompiled
        self.answers = {number: answer for (number, _), answer in zip(self.requests, answers, strict=True)}
        for number, check in self.asked:
            if check.migrations is not None and migrated is not None:
                self.answers[number] = _of_alembic(check, migrated)


def answer_checks(incident: Incident, trace: Trace, asker: Asker, tables: Sequence[str]) -> tuple[CheckResult, ...]:
    """Every check of the incident, in its order, with those that the trace decides.

    :param tables: what the incident is about: two classes for one of these are wrong on any metadata
    """
    results = [_answered(number, check, trace, asker, tables) for number, check in enumerate(asker.checks)]
    return tuple(result for result in results if result is not None)


def answer_expected(incident: Incident, trace: Trace, asker: Asker, tables: Sequence[str]) -> CheckResult | None:
    """The check that the incident is, where it is one."""
    check = incident.expect.check
    return None if check is None else _answered(_EXPECTED, check, trace, asker, tables)


def _answered(number: int, check: Check, trace: Trace, asker: Asker, tables: Sequence[str]) -> CheckResult | None:
    """One check's result; None for one that asks for nothing."""
    if number in asker.answers:
        result = asker.answers[number]
        if check.migrations is not None:
            result = with_unseen_models(result, trace, asker.migrated)
            if result.behind and (stopped := stopped_by(trace)):
                result = replace(result, seen=f"{result.seen}; {stopped}")
        if check.http is not None and check.http.served_by is not None and result.ok:
            result = _served_by(result, check.http, trace)
        if check.http is not None and result.ok is False and (error := _printed_by_servers(trace)):
            result = replace(result, seen=f"{result.seen}; the server printed: {error}")
        if check.http is not None and result.ok is False and result.seen == _NO_SERVER:
            failed = next((f", since step {s.number} ({s}) failed" for s in trace.steps if s.ok is False), "")
            result = replace(result, seen=_NO_SERVER + failed)
        if trace.cut and result.ok is False:
            result = replace(result, ok=None, seen=f"{result.seen}; the run broke: {trace.broke}")
    elif check.mappers:
        result = judge_mappers(trace, tables)
    elif check.clean_start:
        result = judge_start(trace)
    elif False in (check.mappers, check.clean_start, check.routes):
        return None
    else:
        result = CheckResult(str(check), None, "the startup did not get far enough to be asked", kind=check.kind)
    return result


def _printed_by_servers(trace: Trace) -> str | None:
    """The last exception in what a server that stays up printed: of a request that fails, why."""
    outputs = [step.output for step in trace.steps if step.kind == "serve" and step.ok]
    errors = [error for output in outputs if (error := printed_error(output, lambda file: False))]
    return str(errors[-1]) if errors else None


def _served_by(result: CheckResult, request: Http, trace: Trace) -> CheckResult:
    """The check of an answer as it should be, with who gave it."""
    site = endpoint_of(trace, request.method, request.path)
    names = names_of(trace, site) if site is not None else []
    if not names:
        return replace(result, ok=None, seen=f"{result.seen}; which endpoint answers was not seen")
    return replace(result, ok=request.served_by in names, seen=f"{result.seen} by {names[0]} at {site}")


def _of_alembic(check: Check, compared: Migrations) -> CheckResult:
    """The migrations check, by what Alembic says of the database."""
    if compared.problem:
        ok = None if compared.broke is not None and compared.broke.from_outside else False
        return CheckResult(str(check), ok, compared.problem, kind="migrations", behind=True)
    if compared.current != compared.heads:  # what it lacks a revision may make that did not run
        at = ", ".join(compared.current) or "no revision"
        seen = f"the database is at {at}, head is {', '.join(compared.heads)}: what the models name is not compared"
        return CheckResult(str(check), False, seen, (), "migrations", behind=True)
    if not compared.differences:
        seen = f"at head {', '.join(compared.heads)}; models and schema agree"
        return CheckResult(str(check), True, seen, kind="migrations")
    about = tuple(sorted(set(compared.differing)))
    return CheckResult(str(check), False, listed(compared.differences), about, "migrations")


def stopped_by(trace: Trace) -> str | None:
    """The line of a revision that stopped the migrations, with its error, as a sentence; None where none did."""
    files = {import_.file for import_ in trace.imports if executed_by_alembic(import_) and import_.file}
    scripts = {file for file in files if not file.endswith("env.py")}
    for error in trace.errors:
        for frame in reversed(error.frames):
            if frame.file in scripts and frame.function in ("upgrade", "<module>"):
                return f"the revision in {frame.file} stopped the run at {frame}: {str(error).splitlines()[0]}"
    return None


def with_unseen_models(result: CheckResult, trace: Trace, migrated: Migrations | None) -> CheckResult:
    """The migrations check, with what Alembic cannot see: classes whose table in the database lacks their columns."""
    if migrated is None or result.behind:
        return result
    problems, about, frozen = [], set(), executed_by_alembic_modules(trace)
    # Metadata whose tables the startup creates in another database than the one that is migrated.
    here = {created.metadata for created in trace.created if is_scratch(created.url)}
    elsewhere = {created.metadata for created in trace.created} - here
    labels = {(metadata.process, metadata.number): metadata.label for metadata in trace.metadata}
    for judged in trace.judged:
        asked_in = (judged.process, *trace.forked_from(judged.process))
        for mapper in judged.mappers:
            if any(labels.get((process, mapper.metadata)) in elsewhere for process in asked_in):
                continue
            there = migrated.database.get(mapper.table)
            lacking = ", ".join(sorted(set(mapper.columns) - set(there))) if there is not None else ""
            by_env = migrated.models.get(mapper.table)
            if lacking and mapper.module not in frozen and (by_env is None or tuple(by_env) != mapper.columns):
                problems.append(f"{mapper} maps table {mapper.table}, which has no column {lacking} in the database")
                about.add(mapper.table)
    if not problems:
        return result
    seen = listed([*([] if result.ok else [result.seen]), *sorted(set(problems))])
    return replace(result, ok=False, seen=seen, tables=tuple(sorted({*result.tables, *about})))


def _ask_http(check: Check, request: Http, incident: Incident, port: int | None) -> tuple[CheckResult, bool]:
    """What a request shows, and whether the server may still be about to print why it failed: as with routes, only below 500 not."""
    if port is None:
        return CheckResult(str(check), False, _NO_SERVER, kind="http"), False
    seconds = incident.limits.seconds
    try:
        most, question = _MOST_READ if request.contains is not None else 2000, (request.method, request.path)
        status, reason, body = _answer(port, seconds, most, *question, body=request.body, headers=request.headers)
    except TimeoutError:
        says = f"no answer after {seconds:g} seconds (limits.seconds)"
        return CheckResult(str(check), None, says, kind="http"), False
    except (OSError, http.client.HTTPException) as error:
        return CheckResult(str(check), False, f"no answer: {type(error).__name__}: {error}", kind="http"), True
    lacking = request.contains is not None and request.contains not in body
    ok = status in request.statuses and not lacking
    # The body of an answer as it should be may differ from run to run, and says nothing.
    without = f", without {request.contains!r}" if lacking else ""
    seen = f"{status} {reason}{without}" + (f": {_start(body)}" if body and not ok else "")
    return CheckResult(str(check), ok, redact(seen), kind="http"), not ok and status >= 500


def _answer(port: int, seconds: float, most: int, method: str, path: str, **more) -> tuple[int, str, str]:
    """Status, reason and the beginning of the body of what answers on a port; nothing that it names is followed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, **more)
        answer = connection.getresponse()
        return answer.status, answer.reason, answer.read(most).decode("utf-8", "replace").strip()
    finally:
        connection.close()


def _start(body: str) -> str:
    """How an answer begins, in one line: HTML without its tags, cut between two words."""
    text = re.sub(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", " ", body, flags=re.S | re.I)
    return shorten(text, 160, placeholder=" …")


def _ask_command(check: Check, space: Workspace, incident: Incident, name: str, port: int | None) -> CheckResult:
    if port is None and "{port}" in check.command:
        return CheckResult(str(check), False, _NO_SERVER, kind="command")
    words = command_line(space.filled(check.command.replace("{port}", str(port))), space)
    ran = run(words, space, incident.limits, name)
    printed = "" if ran.ok else f": {Paths(space).text(last_line(ran.stderr) or last_line(ran.stdout))}"
    ok = None if ran.why is not None and ran.why.from_outside else ran.ok
    return CheckResult(str(check), ok, ran.why.says if ran.why else f"exit code {ran.code}{printed}", kind="command")


def _uncompiled(space: Workspace, incident: Incident) -> str | None:
    """A file that the application's Python cannot compile with the patches and can without them, and what it says."""
    if space.python == sys.executable:  # no process needed: this is the interpreter
        reason = uncompiled(space.root, space.before, space.patched)
    else:
        names = space.folder / "patched.json"
        names.write_text(json.dumps(space.patched), encoding="utf-8")
        argv = [space.python, "-I", _UNCOMPILED, str(space.root), str(space.before), str(names)]
        reason = last_line(run(argv, space, incident.limits, "compiled").stdout)
    return reason or None


MOST = 20  # routes that are asked
_PATIENCE = 10.0  # seconds for one answer
_IN_ALL = 60.0  # seconds, after which no further route is asked
_PRINTED = 0.4  # seconds without output after which a server has printed what it had to say of a request
_MOST_PRINTING = 3.0  # seconds that are waited for that
_USUAL = ("/", "/health")  # asked where no route of the application's own was seen
# Parts of a name by which a route ends a session, or takes something away.
_ENDS = re.compile(
    r"(?i)(log|sign)[-_]?(out|off)|delet|remov|destroy|drop|purge|reset|shut[-_]?down|kill|stop|restart|unsubscribe"
    r"|clear|flush|wipe|cancel|revoke|disable|deactivate|terminate|truncate|erase|logoff"
)


def ask_routes(incident: Incident, space: Workspace, port: int | None, named: Sequence[str] = ()) -> CheckResult:
    """Ask for each route once; below 500 is an answer, whatever it says.

    What the application does and prints meanwhile came of the asking, and is left out of the startup's trace.

    :param named: the paths; by default those that the application has mounted, at most :data:`MOST`
    :returns: ``ok`` is None where nothing can be asked
    """
    if port is None:
        return CheckResult("routes", None, "no server is up, so that no route can be asked", kind="routes")
    clock = time.perf_counter_ns()
    space.asked.update({process.folder: Asked(clock, sizes_of(process.folder)) for process in space.up})
    mounted = pages_of(entries_so_far(space, so_far(space)))
    safe = [page.path for page in mounted if not _ENDS.search(f"{page.path} {page.name}")]
    paths = list(named or safe[:MOST] or _USUAL)
    end = time.monotonic() + _IN_ALL
    answers = []
    for path in paths:
        if time.monotonic() > end:
            break
        answers.append(_ask(port, path, space.folder / "trace"))
    unasked = [page.path for page in mounted if page.path not in {answer.path for answer in answers}]
    ok = not any(answer.fails for answer in answers)
    if ok and any(answer.late for answer in answers):
        ok = None
    seen = answers_in_words(answers, [path for path in unasked if path not in safe], len(unasked))
    return CheckResult("routes", ok, seen, kind="routes", answers=tuple(answers))


def _ask(port: int, path: str, traces: Path) -> Answer:
    before = {stream: stream.stat().st_size for stream in _streams(traces)}
    try:
        status, _, _ = _answer(port, _PATIENCE, 0, "GET", path, headers={"Accept": "text/html,application/json,*/*"})
    except TimeoutError:
        return Answer(path, None, f"no answer within {_PATIENCE:g} seconds", late=True)
    except (OSError, http.client.HTTPException) as error:
        return Answer(path, None, f"{type(error).__name__}: {error}")
    if status < 500:
        return Answer(path, status)
    until_printed(traces)
    texts = (stream.read_bytes()[before.get(stream, 0) :] for stream in _streams(traces))
    printed = b"".join(texts).decode("utf-8", "replace")
    error = printed_error(printed, lambda file: False)
    return Answer(path, status, str(error) if error is not None else "")


def _streams(traces: Path) -> list[Path]:
    return [path for name in ("stdout", "stderr") for path in traces.glob(f"*/{name}")]


def until_printed(traces: Path) -> None:
    """Wait until the servers' output has come to rest: why a request failed is printed after it is answered."""
    seen, since, began = None, 0.0, time.monotonic()
    while time.monotonic() - began < _MOST_PRINTING:
        sizes = [path.stat().st_size for path in _streams(traces)]
        if sizes != seen:
            seen, since = sizes, time.monotonic()
        elif time.monotonic() - since > _PRINTED:
            return
        time.sleep(0.05)
