"""The bounded search: startups are run in the kit's guarded workspace, side by side, until one shows the log's error.

What a trial shows instead tells what the next one has otherwise (:mod:`kit.new.next_setups`).
"""

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from ..base.errors import KitError
from ..base.interrupt import cores, interruptible, pool_of
from ..base.progress import Hears, silent
from ..diagnose.diagnosis import reproduce
from ..incident.environment import Variable, named_in, refused_settings
from ..incident.model import Incident, Limits
from ..incident.project import Project
from ..trace.expected import holds, shows_incident
from ..trace.routes import endpoint_of
from ..trace.trace import Trace
from ..triage.evidence import Evidence, common, evidence_of, of_the_surroundings
from ..triage.logs import read_log
from .candidates import Start

MOST_TRIALS = 24
MOST_SECONDS = 170.0
_OF_THE_URL = re.compile(r"\b(?:postgres\w*|mysql|mariadb|sqlite)(?:\+\w+)?://|\bdatabase[ _]ur[il]\b", re.I)
_SECONDS = 25.0  # of one step at first; a step that is only slow gets longer once
_NEARLY = 4  # more trials, where one shows the error, but at other lines
_BETTER = 5  # points of a candidate's score
SHOWN = 3  # levels of what a trial shows: the log's error at the log's lines,
_ERROR = 2  # the log's error elsewhere,
_KIND = 1  # an error of its type at its lines


@dataclass(frozen=True)
class Setup:
    """One hypothesis: everything in an incident file on how the application is run; ``known`` has the reason for each key."""

    start: Start
    path: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    database: str = "sqlite"
    driver: str | None = None
    database_env: str | None = None
    prepare: tuple[tuple[str, str], ...] = ()
    seconds: float = _SECONDS
    run: int = 1  # of the same setup: where processes race, one run says little
    score: float = 0
    known: dict[str, str] = field(default_factory=dict)

    def changed(self, key: str, because: str, **fields) -> "Setup":
        return replace(self, known={**self.known, key: because}, score=self.score - 1, **fields)

    @property
    def key(self) -> str:
        run = (self.start.steps, self.start.workdir, self.path, self.env, self.prepare, self.seconds, self.run)
        return repr((*run, self.database, self.driver, self.database_env))

    def content(self, python: str) -> dict:
        """The keys of an incident file that it stands for, but for title, root and what is expected."""
        app = {"workdir": self.start.workdir, "path": list(self.path), "python": python}
        content = {"app": app | ({"env": self.env} if self.env else {}), "database": self.database}
        steps = [{kind: int(text) if kind == "rows" else text} for kind, text in self.prepare]
        others = {"database_driver": self.driver, "database_env": self.database_env, "prepare": steps}
        content |= {key: value for key, value in others.items() if value}
        return {**content, "startup": [{kind: text} for kind, text in self.start.steps]}


@dataclass(frozen=True)
class Trial:
    """One run of a setup and what it showed."""

    setup: Setup
    trace: Trace | None
    level: int
    shows: str
    seen: Evidence
    seconds: float
    broke: str | None = None
    expected: str | None = None  # the part of the log's text that this run had too, where particulars differ

    @property
    def shows_incident(self) -> bool:
        """Does the trial show the log's error, in a run that came to its end?"""
        return self.level >= _ERROR and self.broke is None

    @property
    def up(self) -> bool:
        """Did every step succeed, and the server answer, or something of the application run?"""
        deployed = self.setup.start.tier == 0 and self.trace and any(it.application for it in self.trace.imports)
        return self.healthy and self.level == 0 and bool(self.setup.start.serves or deployed)

    @property
    def healthy(self) -> bool:
        return self.trace is not None and self.trace.whole and not self.trace.swallowed and not self.trace.broke


@dataclass
class Search:
    """What a search works on: the application, the log, the interpreter, and where its files may lie meanwhile."""

    project: Project
    evidence: Evidence
    python: str
    folder: Path
    progress: Hears
    installed: frozenset[str] = frozenset()  # top-level names of the interpreter's packages
    asked_python: str = ""  # the Python that the application asks for, where the interpreter is none of it
    variables: list[Variable] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    def incident(self, setup: Setup, expected: str | None = None) -> Incident:
        """The incident that a setup stands for, as it is tried."""
        content = setup.content(self.python)
        content["app"]["root"] = str(self.project.root)
        content |= {"title": "a trial", "checks": checks_of(self.project, setup), "limits": {"seconds": setup.seconds}}
        content |= {"expect": expect_of(self.evidence, setup, expected), "file": self.folder / "incident.yaml"}
        incident = Incident.model_validate(content)
        usual = Limits()  # of the file that is written: who came to the end sooner keeps them as well
        incident._kept_as = usual if setup.seconds <= usual.seconds else None
        return incident


def expect_of(evidence: Evidence, setup: Setup, expected: str | None = None, trace: Trace | None = None) -> dict:
    """How the incident looks: the log's error, or where a request showed it to somebody, that request.

    :param trace: of a run that shows it: whether the request has a route there
    """
    if evidence.request and setup.start.steps[-1][0] == "serve":
        method, path = evidence.request
        # What it answers when all is well, no log of a failure says.
        nowhere = trace is not None and trace.entries and endpoint_of(trace, method, path) is None
        well = "below 400" if not evidence.expected else "below 500" if nowhere else "below 500, not 404"
        return {"check": {"http": {**({"method": method} if method != "GET" else {}), "path": path, "status": well}}}
    expect = {"error": expected or evidence.expected, "table": evidence.table}
    return {key: value for key, value in expect.items() if value is not None}


def checks_of(project: Project, setup: Setup) -> list[dict]:
    """The checks that must hold after a fix, as far as the startup shows them."""
    named = re.search(r"\balembic\b.* (?:-c|--config)[ =](\S+)", str(setup.start))
    migrates = any("alembic" in text or ".sh" in text for _, text in setup.start.steps)
    names = [named[1] if named else PurePosixPath(ini).name for ini in project.alembic if migrates]
    there = [name for name in names if "[alembic]" in project.text(str(PurePosixPath(setup.start.workdir, name)))]
    return [*({"migrations": name} for name in there[:1]), {"mappers": True}, {"clean_start": True}]


Lessons = Callable[[Search, Trial], list[Setup]]


@interruptible
def search(work: Search, setups: Sequence[Setup], lessons: Lessons, *, progress=silent) -> Trial | None:
    """Run setups, the likeliest first, and what each trial teaches, until one shows the incident or the bounds are met.

    :returns: the trial that shows it, or the nearest; None where nothing could be run
    """
    began, seen = time.monotonic(), set()
    by_log = bool(work.evidence.expected)
    ordered = (lambda setup: -setup.score) if by_log else (lambda setup: (setup.start.tier, -setup.score))
    # Without a log a script of tests or docs is no answer beside a surer start.
    surest = min((setup.start.tier for setup in setups), default=0)
    waiting = [setup for setup in setups if by_log or setup.start.tier < 2 or setup.start.tier == surest]
    waiting.sort(key=ordered)
    running: dict[Future, Setup] = {}
    begun = since = 0
    with pool_of(None) as pool:
        while True:
            late = begun >= MOST_TRIALS or time.monotonic() - began > MOST_SECONDS
            best = best_of(work.trials, by_log)
            if best is not None and best.level >= SHOWN:
                # What explains the log clearly better goes on, where a trial said what it lacks.
                better = best.setup.score + _BETTER
                waiting = [setup for setup in waiting if setup.score > better and begun < since + _NEARLY]
            if not by_log:
                # A surer start is waited for before another is tried.
                under_way = min((setup.start.tier for setup in running.values()), default=9)
                waiting = [setup for setup in waiting if not decided(work.trials, setup.start.tier)]
                late = late or bool(waiting and running and waiting[0].start.tier > under_way)
            enough = best is not None and best.level == _ERROR and begun >= since + _NEARLY
            while waiting and not late and not enough and len(running) < min(2, cores()):
                setup = waiting.pop(0)
                if setup.key in seen:
                    continue
                seen.add(setup.key)
                begun += 1
                because = f" ({list(setup.known.values())[-1]})" if setup.known else ""
                progress(f"trial {begun}: {setup.start}{because}")
                running[pool.submit(run_trial, work, setup)] = setup
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                running.pop(future)
                trial = future.result()
                taught = lessons(work, trial if by_log else replace(trial, level=0))
                if not by_log and (taught or _of_its_entry(work, trial)):
                    trial = replace(trial, level=0)  # as far as it is known, it failed of what the kit had chosen
                work.trials.append(trial)
                progress(f"shows: {trial.shows}")
                since = begun if trial.level >= _ERROR and not enough else since
                waiting = sorted([*with_what_is_known(waiting, trial, taught), *taught], key=ordered)
    return best_of(work.trials, by_log)


def _of_its_entry(work: Search, trial: Trial) -> bool:
    """May an import fail only because a guess enters by this module? Which import of a cycle fails depends on the first."""
    start = trial.setup.start
    surer = [other for other in work.starts if other.tier <= start.tier]
    guessed = start.tier > 0 and not any(other.tier < start.tier and other.entry == start.entry for other in surer)
    others = any(other.entry != start.entry for other in surer)
    alike = (other.setup.start.entry for other in work.trials if other.seen.error == trial.seen.error)
    of_import = trial.seen.type == "ImportError" or "due to a circular import" in trial.seen.error
    return of_import and guessed and others and {*alike} <= {start.entry}


def with_what_is_known(waiting: Sequence[Setup], trial: Trial, taught: Sequence[Setup]) -> list[Setup]:
    """What waits, with the variables that a trial was taught: one that a start lacks, the others lack too."""
    new = [(name, text) for name, text in taught[0].env.items() if name not in trial.setup.env] if taught else []
    learnt = {name: text for name, text in new if "{database_host}" not in text}  # the others may have another database
    known = {f"env.{name}": taught[0].known.get(f"env.{name}", "another start needed it") for name in learnt}
    return [replace(setup, env={**learnt, **setup.env}, known={**known, **setup.known}) for setup in waiting]


def best_of(trials: Sequence[Trial], by_log: bool = True) -> Trial | None:
    """The trial nearest to the log; among equals, the one whose startup explains it best."""

    def near(trial: Trial) -> tuple:
        setup, whole = trial.setup, trial.broke is None
        answer = trial.up, -setup.start.tier, len(setup.known), whole  # it has what others lacked
        # Without a log the end of a start that comes up as a whole fails only for want of what is before it.
        part = not by_log and any(other.up and setup.start.ends(other.setup.start) for other in trials)
        logged = trial.level > 0 and whole, setup.start.score, whole  # a limit may have ended what the log tells of
        return 0 if part else trial.level, logged if by_log else answer, setup.start.score, len(setup.known)

    return max(trials, key=near, default=None)


def run_trial(work: Search, setup: Setup) -> Trial:
    """One trial."""
    began = time.monotonic()
    try:
        incident = work.incident(setup)
        trace = reproduce(incident)
    except (KitError, ValidationError) as error:
        message = str(error).partition(". Its last lines:")[0].rpartition("incident.yaml: ")[2]
        seen = evidence_of(read_log(message), message, work.project)
        return Trial(setup, None, 0, message[:300], seen, time.monotonic() - began, message)
    seen = seen_in(work, trace)
    level, expected = _level(work, setup, incident, trace, seen)
    shows = (str(trace.broke) if trace.broke else _failure(trace, seen)) or "every step succeeded"
    if level >= _ERROR and work.evidence.expected:
        at = f", and then: {shows}" if trace.broke else ", at the log's lines" if level == SHOWN else ", at other lines"
        shows = "the log's error" + (at if work.evidence.frames or trace.broke else "")
    shows, broke = " ".join(shows.split())[:300], str(trace.broke) if trace.broke else None
    return Trial(setup, trace, level, shows, seen, time.monotonic() - began, broke, expected)


def _failure(trace: Trace, seen: Evidence) -> str:
    """The first failure, in one line; empty if there is none."""
    failed = next((step for step in trace.steps if step.ok is False), None)
    if failed is not None:
        return str(failed.exception or "") or seen.error or failed.error or ""
    asked = (f"{sign.text}: {sign.seen}" for sign in trace.signs if sign.seen)
    caught = (f"swallowed: {it.error}" for it in (*trace.conflicts, *trace.swallowed) if it.error)
    return next(iter([*asked, *caught]), "")


def seen_in(work: Search, trace: Trace) -> Evidence:
    """The evidence in a run's own output, read as a log, with the variables that its error names."""
    failed = next((step for step in trace.steps if step.ok is False), None)
    output = failed.output if failed is not None else "\n".join(step.output for step in trace.steps)
    seen = evidence_of(read_log(output), output, work.project)
    error = failed.exception if failed is not None else None
    # What follows from a worker's end says nothing of why.
    if error is not None and not (seen.error and any(kind.endswith("HaltServer") for _, kind, _ in error.links)):
        # Its whole text, where what was printed is its first line, or of another error.
        causes = "".join(f"{cause}\n" for _, _, cause in error.links)
        of_error = evidence_of(read_log(""), f"{causes}{error.type}: {error.text}\n", work.project)
        kinds = ("missing_modules", "missing_variables")
        missing = {kind: getattr(seen, kind) | getattr(of_error, kind) for kind in kinds}
        seen = replace(seen, error=str(error), type=error.type, text=error.text, **missing)
    read = named_in(f"{seen.error} {seen.text}", work.variables, work.project)
    return replace(seen, missing_variables=seen.missing_variables | read)


def _level(work: Search, setup: Setup, incident: Incident, trace: Trace, seen: Evidence) -> tuple[int, str | None]:
    """How near a trial is to the log, and the expected text if it has to be more general than the log's own."""
    evidence = work.evidence
    shown, here = shows_incident(incident, trace), _at_lines(evidence, trace, seen)
    if evidence.expected is None:
        failed = any(step.ok is False for step in trace.steps)
        through = seen.frames or any(frame.application for error in trace.errors for frame in error.frames)
        chosen = seen.type.endswith("NoSuchModuleError") or _OF_THE_URL.search(seen.text)  # both are the kit's
        lacks = seen.missing_modules or seen.missing_variables or refused_settings(work.project, seen.text)
        causes = [kind for step in trace.steps if step.exception for _, kind, _ in step.exception.links]
        of_setup = chosen or lacks or work.asked_python or evidence.healthy or trace.broke or not through
        if failed and not trace.conflicts and (of_setup or of_the_surroundings(seen, causes, work.project)):
            return 0, None  # of how it was started, as far as anybody can tell
        return (SHOWN if shown and here else 0), None  # a log may end before its error, and have its lines
    if shown and incident.expect.check is not None:
        # A request fails for many a reason: only the log's own is the incident.
        shown = any(holds(step.output, evidence.expected) for step in trace.steps)
    if shown:
        return (SHOWN if here and not trace.broke else _ERROR), None
    if here and evidence.type and seen.type.rpartition(".")[2] == evidence.type.rpartition(".")[2]:
        varies = len(evidence.alike) > 1 or (evidence.workers or 1) > 1
        wider = common([evidence.text, *evidence.alike, seen.text]) if varies else None
        return (SHOWN, wider) if wider and any(wider in step.output for step in trace.steps) else (_KIND, None)
    return 0, None


def _at_lines(evidence: Evidence, trace: Trace, seen: Evidence) -> bool:
    """Did the innermost frame that the log has of the application show in the trial too, by its line or its function?"""
    if not evidence.frames:
        return True
    last = evidence.frames[-1]
    errors = [*trace.errors, *(caught.error for caught in trace.caught)]
    frames = [frame for error in errors for frame in error.frames]
    frames += [frame for conflict in trace.conflicts for frame in conflict.second.chain]
    frames = [*(frame for frame in frames if frame.application), *seen.frames]
    inside = last.function not in (None, "<module>")
    near = [f for f in frames if f"/{f.file}".endswith(f"/{last.file}") or f"/{last.file}".endswith(f"/{f.file}")]
    here = any(frame.line == last.line or (inside and frame.function == last.function) for frame in near)
    return here or any(f"{last.file}:{last.line}" in step.output for step in trace.steps)


def decided(trials: Sequence, tier: int) -> bool:
    """Have the startups that are surer than a tier, or from that of application objects on as sure, failed of themselves or come up?"""
    surer = [trial for trial in trials if trial.setup.start.tier < tier or trial.setup.start.tier == tier > 0]
    return any(trial.level >= SHOWN or trial.up for trial in surer)
