"""Several processes of one startup at the same statement, file or port at the same time: what one does, another has just done.

Where it is known what they race for, the race is forced: each process is held before it until another has come as far.
"""

import re
from itertools import pairwise

from ..incident.model import Incident
from ..trace.trace import Trace
from ..trace.values import Error, Frame
from .experiments import first_line, with_environment
from .values import Case, Experiment, Fault, Place, of_failures

FORCED = 2  # starts in which a race is forced
_TIMES = 3  # how often each number of processes is started where it is not
_STATEMENT = re.compile(r"\[sql: (create [a-z]+|insert into \S+|alter table \S+|update \S+)")
_FILE = re.compile(r"file exists: '([^']+)'")
_PORT = re.compile(r"address already in use")
_DATABASE = {"IntegrityError", "OperationalError", "ProgrammingError", "InternalError", "DBAPIError"}
_SERVERS = re.compile(r"\b(gunicorn|uvicorn|hypercorn|granian|fastapi|daphne|waitress-serve|celery)\b")
_WORKERS = re.compile(r"(?<!\S)(--workers[= ]\s*|-w[= ]?\s*|--concurrency[= ]\s*)(\d+)(?!\S)")
_VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GUNICORN_WORKERS", "WORKERS")


def startup_race(case: Case, error: Error) -> Fault | None:
    site = error.site
    of_database = _DATABASE & {error.type.rpartition(".")[2], *(name for _, name, _ in error.links)}
    if site is None or not (of_database or _raced_for(error)):
        return None
    spans = _spans(case.trace, error)
    if len(spans) < 2:
        return None
    start = min(began for began, _ in spans.values())
    times = [f"process {p}: {(b - start) / 1e6:.0f} to {(e - start) / 1e6:.0f} ms" for p, (b, e) in spans.items()]
    order = sorted(spans.values())
    overlap = any(later[0] <= earlier[1] for earlier, later in pairwise(order))
    because = (
        f"{len(spans)} processes of one step execute {site}; in one of them it raises {first_line(str(error))}",
        f"{'they overlap in time' if overlap else 'they were not seen to overlap in time'}: {', '.join(times)}",
    )
    against = {
        "created-by-two-revisions": f"there is only one statement, {site}, and several processes execute it",
        "created-outside-migrations": f"another process created it, at the same {site}",
    }
    experiment = _one_against_all(case, error, site)
    if (experiment is None or experiment.incident is case.incident and not experiment.edits) and not overlap:
        return None
    if experiment is None:
        unknown = "neither the step, its script nor a variable gives a number of workers"
        because += (f"not tried with one process: {unknown}",)
    sites = (Place.of("statement", site),)
    return Fault("startup-race", because, sites=sites, against=against, error=error, experiment=experiment)


MECHANISMS = of_failures(startup_race)


def _spans(trace: Trace, error: Error) -> dict[int, tuple[int, int]]:
    """The processes of one step that execute what an error passed: each with when it began and ended (nanoseconds)."""
    files = {frame.file for frame in error.frames if frame.application}
    created: dict[str, dict[int, list[int]]] = {}
    ran: dict[str, dict[int, list[int]]] = {}
    for event in trace.created:  # the nearest to the statement itself
        created.setdefault(event.step, {}).setdefault(event.process, []).append(event.at)
    for body in trace.imports:
        if body.application and body.file in files:
            ran.setdefault(body.step, {}).setdefault(body.process, []).extend((body.began, body.ended or body.began))
    several = [times for by_step in (created, ran) for times in by_step.values() if len(times) > 1]
    return {process: (min(times), max(times)) for process, times in several[0].items()} if several else {}


def _one_against_all(case: Case, error: Error, site: Frame) -> Experiment | None:
    """One process must not fail, and several must, held where they race; where it is not known for what, without holding them."""
    alone, held = with_one_process(case.incident), _raced_for(error)
    scripts = {file: _with_one_worker(text) for file, text in case.scripts.items()}
    script = {file: text for file, text in scripts.items() if text is not None} or None
    times = FORCED if held and alone else _TIMES

    def met(trace: Trace) -> bool:
        return any(e.type == error.type and e.site == site for e in trace.errors)

    def judge_forced(free: Trace, *forced: Trace) -> tuple[bool | None, str]:
        seen = f"{sum(map(met, forced))} of {FORCED} starts failed when the processes waited, and {1 + met(free)} of 2 when not"
        return True if all(map(met, forced)) and not met(free) else None, seen

    def judge(*traces: Trace) -> tuple[bool | None, str]:
        by_one, by_several = (sum(map(met, part)) for part in (traces[:times], traces[times:]))
        seen = f"{by_one} of {times} starts failed with one process"
        if held and alone:
            seen += f", and {by_several} of {times} when each process waited before {in_words(held)} until another had come as far"
            return False if by_one else True if by_several else None, seen
        # The startup that was looked at is one of them.
        return by_one == 0, f"{seen}, and {by_several + 1} of {len(traces) - times + 1} as it is"

    if alone is None and script is None:
        if not held:
            return None
        says = f"a start in which each process waits before {in_words(held)}, against a start in which none waits"
        return Experiment(says, case.incident, judge_forced, beside=(case.incident,) * FORCED, hold=held)
    says = f"the startup with one process, {times} times, against as many starts with all its processes"
    says += f", each of which waits before {in_words(held)}" if held and alone else ""
    if alone is not None:
        beside = (*[alone] * (times - 1), *[case.incident] * times)
        return Experiment(says, alone, judge, beside=beside, hold=held)
    # The edited script is in every run of an experiment: the failing startup itself is the other side.
    return Experiment(says, case.incident, judge, script, tuple([case.incident] * (times - 1)))


def raced_for(trace: Trace) -> str | None:
    """What the processes raced for by the errors of a startup, as an order to hold them there; None where that is not known.

    How a statement begins (what it does, and to what where that is the same in every process; small letters, single spaces), or
    ``file NAME``, or ``port``. Of a table that is made only that: which of many is first differs from run to run.
    """
    return next(filter(None, map(_raced_for, trace.errors)), None)


def _raced_for(error: Error) -> str | None:
    text = " ".join(str(error).split())
    if statement := _STATEMENT.search(text.lower()):
        return statement[1]
    if file := _FILE.search(text.replace("File", "file")):
        return f"file {file[1].rstrip('/').rpartition('/')[2]}"
    return "port" if _PORT.search(text.lower()) else None


def in_words(held: str) -> str:
    """What a process is held before, as the end of a sentence."""
    kind, _, name = held.partition(" ")
    named = {"file": f'it makes the file "{name}"', "port": "it opens a port"}
    return named.get(kind, f'its first "{held} …"')


def with_one_process(incident: Incident) -> Incident | None:
    """The incident with one worker in place of several; None where its steps and variables say no number."""
    steps = []
    for step in incident.startup:
        text = _with_one_worker(step.text)
        if text is None and re.search(r"\bgunicorn\b", step.text):  # whatever its configuration file says
            text = re.sub(r"\bgunicorn\b", "gunicorn --workers 1", step.text, count=1)
        steps.append(step if text is None else step.model_copy(update={"text": text}))
    changed = steps != list(incident.startup)
    values = {name: "1" for name in _VARIABLES if incident.app.env.get(name, "1") != "1"}
    if not changed and not values:
        return None
    incident = with_environment(incident, values) if values else incident
    return incident.model_copy(update={"startup": steps})


def _with_one_worker(text: str) -> str | None:
    """A command line that serves, with one worker in place of several; None where it says no such number."""
    several = _SERVERS.search(text) and any(int(match[2]) > 1 for match in _WORKERS.finditer(text))
    return _WORKERS.sub(r"\g<1>1", text) if several else None
