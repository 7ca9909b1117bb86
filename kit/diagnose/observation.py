"""One startup of a build, with what its sources say and what Alembic says of it."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from ..base.progress import Hears, silent
from ..incident.model import Expect, Incident
from ..incident.scripts import is_script
from ..incident.sources import read_sources
from ..incident.steps import Step
from ..startup import kept_runs
from ..startup.checks import Asker, answer_checks, answer_expected
from ..startup.migrations import build, find_config, look
from ..startup.run import run_startup
from ..startup.workspace import Workspace, workspace
from ..trace.end_state import CheckResult, judge_mappers
from ..trace.expected import EXPECTED, incident_tables, own_errors, shows_incident
from ..trace.trace import Trace
from ..trace.values import Sign
from .registered_twice import Pair, judge
from .values import Fault, Looked

# What says how an application is started, for a platform to run.
_STARTS = re.compile(
    r"(.*\.sh|Procfile.*|.*Dockerfile.*|Containerfile|Makefile|(docker-)?compose.*\.ya?ml|.*\.service)$"
)
INSTALLS = re.compile(
    r"(.*/)?((dev-)?requirements[\w.-]*\.(txt|in)|constraints[\w.-]*\.txt|Pipfile(\.lock)?|(poetry|uv|pdm)\.lock|environment\.ya?ml)$"
)
RACES = frozenset({"startup-race", "race-in-lazy-definition"})
TIMES = 5  # how often a startup of several processes is tried before its incident counts as not reproduced


def look_until_shown(
    incident: Incident,
    progress: Hears = silent,
    *,
    checks: bool | None = None,
    times: int = TIMES,
    hold: str | None = None,
    ended: Callable[[Trace], None] = lambda trace: None,
) -> Looked:
    """As :func:`look_at`, of the build as it is; where several processes ran side by side, once more until the incident shows.

    What a start alone does not show, an answer may: then once more, with every request and command of the checks, as ``verify`` asks.
    """
    for _ in range(times):
        looked = signed(incident, look_at(incident, progress, checks=checks, hold=hold, ended=ended), None)
        if shows_incident(incident, looked.trace) or not may_race(looked.trace):
            break
    unexpected = incident.expect.error is None and incident.expect.table is None
    if checks or unexpected or shows_incident(incident, looked.trace) or not Asker(incident).asked_while_up:
        return looked
    progress("not seen in the start alone: once more, with the requests and commands of its checks")
    asked = signed(incident, look_at(incident, progress, checks=True), None)
    return asked if shows_incident(incident, asked.trace) else looked


def signed(incident: Incident, looked: Looked, fault: Fault | None) -> Looked:
    """The startup with the signs that ``expect`` asks for.

    :param fault: the mechanism that was decided, where it rejects no table
    """
    return replace(looked, trace=with_signs(incident, looked.trace, looked.checks, looked.expected, fault))


def look_at(
    incident: Incident,
    progress: Hears = silent,
    *,
    fix: str | None = None,
    checks: bool | None = None,
    hold: str | None = None,
    ended: Callable[[Trace], None] = lambda trace: None,
    hand_over: bool = False,
) -> Looked:
    """Start the application once; when it has ended, and the first answer is given, read its sources and ask Alembic.

    :param fix: the build with this fix, in place of the one as it is
    :param checks: ask every check while it is up; by default where ``expect`` says nothing
    :param hold: the statement before which processes wait for each other: see :func:`kit.startup.run.run_startup`
    :param ended: hears the trace of the startup, before anything more is asked
    :param hand_over: see :func:`kit.startup.kept_runs.once`
    """
    changes = [] if fix is None else incident.changes_of(fix)
    incident = incident.with_fix(fix)
    wanted = incident.expect.empty if checks is None else checks
    # Where nothing is asked while the application is up, the run is the same whoever asks, and all are asked.
    quiet = not Asker(incident).asked_while_up
    with workspace(incident, changes) as space:
        asker = Asker(incident, all=wanted or quiet, config=find_config(incident, space))

        def run() -> kept_runs.Ran:
            known = _of_failed_start(incident, space, asker, fix) if hold is None else None
            return known or _run(incident, space, asker, fix, progress, ended, hold=hold)

        key = _key_of(incident, space, asker, fix) if hold is None else None
        ran = kept_runs.once(key, space, run, lasting=lasts, progress=progress, hand_over=hand_over)
        trace = ran.trace
        if not asker.called:
            asker.remember(ran.answers, ran.migrations, ran.uncompiled)
            progress(first_answer(trace))
            ended(trace)
        sources = read_sources(space.root, incident.app.path, (incident.database_env, *incident.app.env))
        scripts = _scripts(incident, space)
        unrun = _unrun(incident, space, scripts)
    tables = incident_tables(incident, trace)
    return Looked(
        trace=trace,
        migrations=ran.migrations,
        created=ran.created,
        stopped=ran.stopped,
        scripts=scripts,
        checks=answer_checks(incident, trace, asker, tables) if wanted else (),
        expected=answer_expected(incident, trace, asker, tables),
        uncompiled=asker.uncompiled,
        unrun=unrun,
        **vars(sources),
    )


def startup_of(incident: Incident, *, while_up: Asker | None = None, progress: Hears, **asks) -> Trace:
    """The trace alone of a startup that :func:`look_at` is asked for as well; where the incident shows unasked, it is kept for that."""

    def bare(trace: Trace) -> bool:
        return while_up is not None and while_up.called or not shows_incident(incident, trace)

    quiet = not Asker(incident).asked_while_up
    with workspace(incident) as space:
        asker = Asker(incident, all=incident.expect.empty or quiet, config=find_config(incident, space))
        key, how = _key_of(incident, space, asker, None), {"bare": bare, "while_up": while_up or asker, **asks}
        run, lasting = (
            partial(_run, incident, space, asker, None, progress, **how),
            lambda ran: not bare(ran.trace) and lasts(ran),
        )
        return kept_runs.once(key, space, run, lasting=lasting, progress=progress).trace


def ran_of(
    incident: Incident, *, patches: Sequence[Path] = (), judge: bool = False, go_on: bool = False, compare: bool = False
) -> kept_runs.Ran:
    """As :func:`kit.startup.run.reproduce`; a run of the same content that is kept is not run again.

    :param compare: ask Alembic afterwards
    """
    with workspace(incident, patches) as space:
        config = find_config(incident, space) if compare else None

        def run() -> kept_runs.Ran:
            trace = run_startup(incident, space, judge=judge, go_on=go_on)
            return kept_runs.Ran(trace, look(incident, space, config, "alembic") if config else None)

        key = kept_runs.key_of(incident, space, ["trace", judge, go_on, compare])
        return kept_runs.once(key, space, run, lasting=lasts, progress=silent)


def only(incident: Incident, steps: Sequence[Step]) -> Incident:
    """The incident with these steps as its startup, of which nothing is expected or asked."""
    return incident.model_copy(update={"startup": list(steps), "expect": Expect(), "checks": []})


def _run(
    incident: Incident,
    space: Workspace,
    asker: Asker,
    fix: str | None,
    progress: Hears,
    ended: Callable[[Trace], None] = lambda trace: None,
    bare: Callable[[Trace], bool] = lambda trace: False,
    **asks,
) -> kept_runs.Ran:
    """Start a build that lies in a workspace, and ask what is to be asked of it; nothing beyond its trace where that is ``bare``."""
    builds = asker.config is not None and fix is None
    with ThreadPoolExecutor(1) as beside:
        # Depends on nothing of the startup; begun when it is up, since a server does little as it ends.
        revisions = cache(lambda: beside.submit(build, incident, space, asker.config, "revisions") if builds else None)

        def up(*where) -> None:
            revisions()
            asker(*where)

        trace = run_startup(incident, space, judge=True, progress=progress, **{"while_up": up, **asks})
        progress(first_answer(trace))
        ended(trace)
        if bare(trace):
            return kept_runs.Ran(trace)
        asker.ask_afterwards(space)
        created, stopped = building.result() if (building := revisions()) is not None else ({}, None)
    answers = tuple(asker.answers[number] for number, _ in asker.requests if number in asker.answers)
    return kept_runs.Ran(trace, asker.migrated, created, stopped, answers, asker.uncompiled)


def _of_failed_start(incident: Incident, space: Workspace, asker: Asker, fix: str | None) -> kept_runs.Ran | None:
    """A kept run that was asked nothing, as it is with all that is asked here; None where that would be another.

    Nothing was up when it had failed, so that no request reaches anything. What a command would find is not kept.
    """
    bare, mute = (Asker(incident, all=all_, config=asker.config) for all_ in (False, True))
    asks = asker.served and asker.asked_while_up and not bare.asked_while_up
    if not asks or any(check.command for _, check in asker.requests):
        return None
    key = _key_of(incident, space, bare, fix)
    ran = kept_runs.kept(key, space) if key else None
    if ran is None or any(step.kind == "serve" and step.ok for step in ran.trace.steps):
        return None
    mute(space, None)
    return replace(ran, answers=tuple(mute.answers[number] for number, _ in asker.requests))


def _key_of(incident: Incident, space: Workspace, asker: Asker, fix: str | None) -> str | None:
    """What a run depends on; None where several migrations are asked of it."""
    files = {str(space.workdir / named) for named in (asker.config, *(c.migrations for _, c in asker.asked)) if named}
    if len(files) > 1:
        return None
    while_up = [check.model_dump(mode="json") for check in asker.asked_while_up]
    config = next(iter(files), "").removeprefix(str(space.folder))
    return kept_runs.key_of(incident, space, [while_up, config, space.patched, fix is None])


def lasts(ran: kept_runs.Ran) -> bool:
    """Would the same build show the same again? Not where it raced, or where a question found no answer."""
    trace = ran.trace
    pairs = [Pair(trace, conflict.first, conflict.second) for conflict in trace.conflicts if conflict.first is not None]
    raced = may_race(trace) or any(judge(pair).mechanism in RACES for pair in pairs)
    # What a thread does, another run may do earlier or later.
    beside = any(event.thread for event in (*trace.imports, *trace.registrations) if event.application)
    unasked = any(answer.ok is None and (answer.kind != "routes" or answer.answers) for answer in ran.answers)
    alembic_broke = ran.migrations is not None and ran.migrations.broke is not None
    return not (raced or beside or unasked or alembic_broke or trace.lost)


def _scripts(incident: Incident, space: Workspace) -> dict[str, str]:
    """The files of the application that the steps' command lines name, as text; for Alembic its own, wherever that is."""
    texts, env = {}, incident.app.env
    steps = [step.text for step in incident.startup if step.kind in ("command", "serve")]
    named = set(re.sub(r"\$\{?(\w+)\}?", lambda it: env.get(it[1], it[0]), " ".join(steps)).split())
    for word in {*named, *({find_config(incident, space) or "alembic.ini"} if "alembic" in named else ())}:
        path = (space.workdir / word).resolve()
        inside = path.is_relative_to(space.root.resolve()) and "\0" not in word
        if inside and path.is_file() and path.stat().st_size <= 1 << 18:
            texts[path.relative_to(space.root.resolve()).as_posix()] = path.read_text("utf-8", "replace")
    return texts


def _unrun(incident: Incident, space: Workspace, scripts: dict[str, str]) -> tuple[str, ...]:
    """The changed files that start the application by a program of a step, and that neither a step nor its script names; what is installed."""
    steps = [step.text for step in (*incident.prepare, *incident.startup) if step.kind in ("command", "serve")]
    names = " ".join([*steps, *scripts.values()])
    programs = {text.split()[0] for text in steps if text.split()}
    unrun = []
    for file in space.changed:
        name, path = file.rpartition("/")[2], space.root / file
        text = path.read_text("utf-8", "replace") if path.is_file() and not path.is_symlink() else ""
        starts = is_script(text) or _STARTS.match(name)
        named = starts and name not in names and programs.intersection(re.split(r"[\s\"',\[\]]+", text))
        if INSTALLS.match(file) or named:
            unrun.append(file)
    return tuple(unrun)


def first_answer(trace: Trace) -> str:
    """What one startup shows before anything else is run: the mechanism with both sites, or the first failure with its place."""
    conflict = next((conflict for conflict in trace.conflicts if conflict.first is not None), None)
    if conflict is not None:
        mechanism = judge(Pair(trace, conflict.first, conflict.second)).mechanism
        return f"table {conflict.table}: {mechanism}; first {conflict.first.site}, second {conflict.second.site}"
    failed = next((step for step in trace.steps if step.ok is False), None)
    if failed is not None:
        frames = failed.exception.frames if failed.exception is not None else ()
        site = next((f" at {frame}" for frame in reversed(frames) if frame.application), "")
        return f"step {failed.number} fails{site}: {failed.error}"
    if trace.swallowed:
        return f"swallowed at {trace.swallowed[0].site}: {trace.swallowed[0].error}"
    return "every step of the startup succeeds"


def with_signs(
    incident: Incident, trace: Trace, checks: tuple[CheckResult, ...], expected: CheckResult | None, fault: Fault | None
) -> Trace:
    """The trace with the signs that ``expect`` asks for; those of checks that it has already stay.

    :param checks: as far as they were asked
    :param expected: the result of the check that the incident is
    :param fault: the mechanism that was decided, where it rejects no table
    """
    signs = [sign for sign in trace.signs if sign.kind != "mechanism"]
    by_the_kit = broken_by_the_kit(trace)
    if expected is not None and expected.ok is False and not by_the_kit:
        signs.append(Sign(EXPECTED, expected.check, seen=expected.seen))
    if incident.expect.empty and not by_the_kit:
        # Of the start itself the trace's own errors tell, and which of them the kit made.
        failed = [check for check in checks if check.ok is False and check.kind != "clean_start"]
        mappers = judge_mappers(trace)
        if mappers.ok is False and not any(check.kind == "mappers" for check in failed):
            signs.append(Sign("mappers", "mappers", seen=mappers.seen))
        kinds = ("mappers" if check.kind == "mappers" else "check" for check in failed)
        signs += [Sign(kind, check.check, seen=check.seen) for kind, check in zip(kinds, failed, strict=True)]
    if incident.expect.error is None and incident.expect.check is None and fault is not None and fault.error is None:
        signs.append(Sign("mechanism", fault.mechanism, fault.table))
    return replace(trace, signs=tuple(dict.fromkeys(signs)))


def broken_by_the_kit(trace: Trace) -> bool:
    """Did a step fail for something that the kit made, so that what fails after it says nothing?"""
    failed = [step for step in trace.steps if step.ok is False]
    return bool(failed or trace.broke) and not any(True for _ in own_errors(trace))


def may_race(trace: Trace) -> bool:
    """Did several processes of one serving step execute the same module of the application, and did nothing break?"""
    if trace.cut:
        return False
    serving = {f"step {step.number}" for step in trace.steps if step.kind == "serve"}
    ran: dict[tuple[str, str], set[int]] = {}
    for import_ in trace.imports:
        if import_.application and import_.file and import_.step in serving and import_.how != "exec":
            ran.setdefault((import_.step, import_.file), set()).add(import_.process)
    return any(len(processes) > 1 for processes in ran.values())
