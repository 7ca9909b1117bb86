"""What must be true after a fix: each check, run for real against one startup."""

import http.client
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .incident import Check, Http, Incident
from .migrations import Migrations, last_line, look
from .process import command_line, run
from .redact import redact
from .trace import Trace, executed_by_alembic, from_outside
from .uncompiled import uncompiled
from .workspace import Workspace

_MOST = 5  # sentences shown of a long list
_NO_SERVER = "no server is up"
_UNCOMPILED = str(Path(__file__).with_name("uncompiled.py"))


@dataclass(frozen=True)
class CheckResult:
    """One check: ``ok`` is None where it could not be decided; ``seen`` is what was there, or why nothing could be seen."""

    check: str
    ok: bool | None
    seen: str
    tables: tuple[str, ...] = ()  # what a failed check is about, where that is known
    kind: str = ""


class Asker:
    """Asks what has to be asked while the application is up; what needs the trace comes after."""

    def __init__(self, incident: Incident):
        self.incident = incident
        self.answers: dict[int, CheckResult] = {}
        self.migrated: Migrations | None = None
        self.uncompiled: str | None = None  # a file that a patch made such that Python cannot compile it

    def __call__(self, space: Workspace, port: int | None) -> None:
        self.uncompiled = _uncompiled(space, self.incident) if space.patched else None
        for number, check in enumerate(self.incident.checks):
            if check.http is not None:
                self.answers[number] = _ask_http(check, check.http, self.incident, port)
            elif check.command is not None:
                self.answers[number] = _ask_command(check, space, self.incident, f"check-{number}", port)
            elif check.migrations is not None:
                self.answers[number] = self._ask_alembic(check, space, f"check-{number}")

    def _ask_alembic(self, check: Check, space: Workspace, name: str) -> CheckResult:
        found = self.migrated = look(self.incident, space, check.migrations, name)
        if found.problem:
            ok = None if from_outside(found.problem) else False
            return CheckResult(str(check), ok, found.problem, kind="migrations")
        problems = []
        if found.current != found.heads:
            at = ", ".join(found.current) or "no revision"
            problems.append(f"the database is at {at}, head is {', '.join(found.heads)}")
        problems += found.differences
        if not problems:
            seen = f"at head {', '.join(found.heads)}; models and schema agree"
            return CheckResult(str(check), True, seen, kind="migrations")
        return CheckResult(str(check), False, _listed(problems), tuple(sorted(set(found.differing))), "migrations")


def answer_checks(incident: Incident, trace: Trace, asker: Asker, tables: Sequence[str]) -> tuple[CheckResult, ...]:
    """Every check of the incident, in its order, with those that the trace decides.

    :param tables: what the incident is about: two classes for one of these are wrong on any metadata
    """
    results = []
    for number, check in enumerate(incident.checks):
        if number in asker.answers:
            result = asker.answers[number]
            if check.migrations is not None:
                result = with_unseen_models(result, trace, asker.migrated)
            if check.http is not None and result.ok is False and result.seen == _NO_SERVER:
                failed = next((f", since step {s.number} ({s}) failed" for s in trace.steps if s.ok is False), "")
                result = replace(result, seen=_NO_SERVER + failed)
            if trace.cut and result.ok is False:
                result = replace(result, ok=None, seen=f"{result.seen}; the run broke: {trace.broke}")
        elif check.mappers:
            result = judge_mappers(trace, tables)
        elif check.clean_start:
            result = judge_start(trace)
        elif check.mappers is False or check.clean_start is False:
            continue
        else:
            result = CheckResult(str(check), None, "the startup did not get far enough to be asked", kind=check.kind)
        results.append(result)
    return tuple(results)


def judge_start(trace: Trace, known: Iterable[str] = ()) -> CheckResult:
    """Every step succeeded and nothing was swallowed; ``known`` errors are passed over.

    Undecided where nothing is wrong but that the run was ended from outside.
    """
    known = set(known)
    steps = [step for step in trace.steps if not step.ok]
    if trace.cut:
        steps = [step for step in steps if step.ok is False and not from_outside(step.error)]
    failed = [f"step {step.number} ({step}): {step.error or 'did not run'}" for step in steps]
    caught = [f"swallowed at {one.site}: {one.error}" for one in trace.swallowed if str(one.error) not in known]
    failed += dict.fromkeys(caught)  # one that is caught again and again is told once
    if trace.cut and not failed:
        return CheckResult("clean_start", None, f"the run broke: {trace.broke}", kind="clean_start")
    new = " new" if trace.swallowed else ""
    seen = _listed(failed) if failed else f"every step succeeded, nothing{new} was swallowed"
    return CheckResult("clean_start", not failed, seen, kind="clean_start")


def judge_mappers(trace: Trace, tables: Sequence[str] = ()) -> CheckResult:
    """Every mapper configures, its table is in its metadata, and no table has two mapped classes that do not inherit from each other."""
    if not trace.judged:
        if trace.whole and not any(one.module == "sqlalchemy.orm" for one in trace.imports):
            return CheckResult(
                "mappers", True, "no process loaded sqlalchemy.orm: there is nothing to configure", kind="mappers"
            )
        long = next((said for said in trace.lost if said.startswith("judging the mappers took")), None)
        early = long or "the processes ended before their mappers could be tried" + _how_far(trace)
        return CheckResult("mappers", None, early, kind="mappers")
    frozen = _frozen(trace)
    problems, about, classes_seen = [], set(), set()
    lost: dict[str, str] = {}  # what metadata.clear() and remove() leave behind: a class to its table
    for judged in trace.judged:
        if judged["error"] is not None:
            problems.append(f"configure_mappers(): {judged['error']}")
        by_table: dict = {}
        for one in judged["mappers"] or ():
            classes_seen.add((one["mod"], one["cls"]))
            if not one["ok"]:
                problems.append(f"class {one['mod']}.{one['cls']} is not mapped")
            if one.get("orphans"):
                problems.append(
                    f"{one['mod']}.{one['cls']} maps columns that table {one['table']} replaced: {', '.join(one['orphans'])}"
                )
                about.add(one["table"])
            elif one.get("held") is False and one.get("i") and one["mod"] not in frozen:
                lost[f"{one['mod']}.{one['cls']} ({one['table']})"] = one["table"]
            if one.get("table") and not one.get("inherits"):
                by_table.setdefault(one["table"], []).append(one)
        for table, classes in sorted(by_table.items()):
            apart = [c for c in classes if c["mod"] in frozen and sum(o["i"] == c["i"] for o in classes) == 1]
            classes = [c for c in classes if c not in apart]
            met = sum(1 for r in trace.registrations if r.process == judged["process"] and r.table == table) > 1
            one_metadata = met and len({c["i"] for c in classes}) < len(classes)
            if len(classes) > 1 and (one_metadata or table in tables and not _views(classes)):
                names = " and ".join(f"{c['mod']}.{c['cls']}" for c in classes)
                problems.append(f"{len(classes)} mapped classes for table {table}: {names}")
                about.add(table)
    problems = list(dict.fromkeys(problems))
    if lost:
        named = ", ".join(list(lost)[:_MOST]) + (f" and {len(lost) - _MOST} more" if len(lost) > _MOST else "")
        maps = "1 mapped class has" if len(lost) == 1 else f"{len(lost)} mapped classes have"
        problems.append(f"{maps} a table that is no longer in its MetaData: {named}")
        about.update(lost.values())
    if problems:
        return CheckResult("mappers", False, _listed(problems), tuple(sorted(about)), "mappers")
    if not classes_seen and not trace.whole:
        return CheckResult("mappers", None, "no class was mapped" + _how_far(trace), kind="mappers")
    seen = f"{len(classes_seen)} mapped class{'es configure' if len(classes_seen) != 1 else ' configures'}, one a table"
    # Classes that were seen are right; of those that a run from outside kept away nothing is known.
    return CheckResult("mappers", None if trace.cut else True, seen + _how_far(trace), kind="mappers")


def _how_far(trace: Trace) -> str:
    """That a startup did not come to its end, and where that was, as the end of a sentence; nothing where it did."""
    ended = next((step for step in trace.steps if not step.ok), None)
    return "" if ended is None else f", as far as the startup came: step {ended.number} did not succeed"


def _frozen(trace: Trace) -> set[str]:
    """Modules that Alembic executed: what a revision declares on a base of its own is how a table once was, on purpose."""
    return {one.module for one in trace.imports if executed_by_alembic(one)}


def _views(classes: Sequence[dict]) -> bool:
    """Could these be views of one table on purpose, each on a metadata of its own: are its columns among the widest's?"""
    widest = max((set(c["columns"]) for c in classes), key=len)
    return all(set(c["columns"]) <= widest for c in classes)


def with_unseen_models(result: CheckResult, trace: Trace, migrated: Migrations | None) -> CheckResult:
    """The migrations check, with what Alembic cannot see: classes whose table in the database lacks their columns."""
    if migrated is None or migrated.problem:
        return result
    problems, about, frozen = [], set(), _frozen(trace)
    for judged in trace.judged:
        for one in judged["mappers"] or ():
            there = migrated.database.get(one.get("table"))
            lacking = sorted(set(one.get("columns", ())) - set(there)) if there is not None else []
            if lacking and one["mod"] not in frozen and migrated.models.get(one["table"]) != one["columns"]:
                problems.append(
                    f"{one['mod']}.{one['cls']} maps table {one['table']}, which has no column {', '.join(lacking)} in the database"
                )
                about.add(one["table"])
    if not problems:
        return result
    problems = sorted(set(problems))
    before = [] if result.ok else [result.seen]
    return CheckResult(
        result.check, False, _listed(before + problems), tuple(sorted({*result.tables, *about})), result.kind
    )


def _ask_http(check: Check, request: Http, incident: Incident, port: int | None) -> CheckResult:
    if port is None:
        return CheckResult(str(check), False, _NO_SERVER, kind="http")
    seconds = incident.limits.seconds
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(request.method, request.path, body=request.body, headers=request.headers)
        answer = connection.getresponse()
        body = answer.read(2000).decode("utf-8", "replace").strip()
    except TimeoutError:
        return CheckResult(str(check), None, f"no answer after {seconds:g} seconds (limits.seconds)", kind="http")
    except (OSError, http.client.HTTPException) as error:
        return CheckResult(str(check), False, f"no answer: {type(error).__name__}: {error}", kind="http")
    finally:
        connection.close()
    ok = answer.status == request.status
    # The body of an answer as it should be may differ from run to run, and says nothing.
    seen = f"{answer.status} {answer.reason}" + (f": {_start(body)}" if body and not ok else "")
    return CheckResult(str(check), ok, redact(seen), kind="http")


def _start(body: str, most: int = 160) -> str:
    """How an answer begins, in one line: HTML without its tags, cut between two words."""
    text = " ".join(re.sub(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", " ", body, flags=re.S | re.I).split())
    return text if len(text) <= most else text[:most].rpartition(" ")[0] + " …"


def _ask_command(check: Check, space: Workspace, incident: Incident, name: str, port: int | None) -> CheckResult:
    if port is None and "{port}" in check.command:
        return CheckResult(str(check), False, _NO_SERVER, kind="command")
    ran = run(
        command_line(space.filled(check.command.replace("{port}", str(port))), space), space, incident.limits, name
    )
    seen = ran.why or (
        f"exit code {ran.code}" + ("" if ran.ok else f": {last_line(ran.stderr) or last_line(ran.stdout)}")
    )
    return CheckResult(str(check), None if from_outside(ran.why) else ran.ok, redact(seen), kind="command")


def _uncompiled(space: Workspace, incident: Incident) -> str | None:
    """A file that the application's Python cannot compile with the patches and can without them, and what it says."""
    if space.python == sys.executable:  # no process needed: this is the interpreter
        said = uncompiled(space.root, space.before, space.patched)
    else:
        names = space.folder / "patched.json"
        names.write_text(json.dumps(space.patched), encoding="utf-8")
        argv = [space.python, "-I", _UNCOMPILED, str(space.root), str(space.before), str(names)]
        said = last_line(run(argv, space, incident.limits, "compiled").stdout)
    return redact(said) if said else None


def _listed(sentences: Sequence[str]) -> str:
    """Sentences in one line; the end of a long list as a count."""
    more = len(sentences) - _MOST
    return "; ".join(sentences[:_MOST]) + (f"; and {more} more" if more > 0 else "")
