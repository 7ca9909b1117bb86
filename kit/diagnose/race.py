"""Several processes of one startup at the same statement at the same time: what one does, another has just done."""

import re

from ..incident.model import Incident
from ..trace.trace import Trace
from ..trace.values import Error, Frame
from .experiments import first_line, with_environment
from .values import Case, Experiment, Fault, Place, innermost

_TIMES = 3  # how often each number of processes is started
_DATABASE = {"IntegrityError", "OperationalError", "ProgrammingError", "InternalError", "DBAPIError"}
_SERVERS = re.compile(r"\b(gunicorn|uvicorn|hypercorn|granian|fastapi|daphne|waitress-serve|celery)\b")
_WORKERS = re.compile(r"(?<!\S)(--workers[= ]\s*|-w[= ]?\s*|--concurrency[= ]\s*)(\d+)(?!\S)")
_VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GUNICORN_WORKERS", "WORKERS")


def startup_race(case: Case) -> Fault | None:
    for error in case.failures:
        site = innermost(error)
        if site is None or not _of_database(error):
            continue
        spans = _spans(case.trace, error)
        if len(spans) < 2:
            continue
        start = min(began for began, _ in spans.values())
        times = [f"process {p}: {(b - start) / 1e6:.0f} to {(e - start) / 1e6:.0f} ms" for p, (b, e) in spans.items()]
        overlap = _overlap(spans)
        because = (
            f"{len(spans)} processes of one step execute the statement at {site}, and for one of them: {first_line(str(error))}",
            f"{'their times overlap' if overlap else 'their times were not seen to overlap'}: {', '.join(times)}",
        )
        against = {
            "created-by-two-revisions": f"the statement is one, {site}, and several processes execute it",
            "created-outside-migrations": f"what is there already comes from another process at the same {site}",
        }
        experiment = _one_against_all(case, error, site)
        if experiment is None and not overlap:
            continue
        if experiment is None:
            because += (
                "not tried with one process: no number of workers stands in the step, its script or a variable",
            )
        sites = (Place.of("statement", site),)
        return Fault("startup-race", because, sites=sites, against=against, error=error, experiment=experiment)
    return None


MECHANISMS = (startup_race,)


def _of_database(error: Error) -> bool:
    return bool(_DATABASE & {error.type.rpartition(".")[2], *(name for _, name, _ in error.links)})


def _spans(trace: Trace, error: Error) -> dict[int, tuple[int, int]]:
    """The processes of one step that execute what an error passed: each with when it began and ended (nanoseconds)."""
    files = {frame.file for frame in error.frames if frame.application}
    spans: dict[str, dict[int, tuple[int, int]]] = {}
    for event in trace.created:  # the nearest to the statement itself
        spans.setdefault(event.step, {})[event.process] = _wider(spans, event.step, event.process, event.at)
    ran: dict[str, dict[int, tuple[int, int]]] = {}
    for body in trace.imports:
        if body.application and body.file in files:
            for at in (body.began, body.ended or body.began):
                ran.setdefault(body.step, {})[body.process] = _wider(ran, body.step, body.process, at)
    several = [together for by_step in (spans, ran) for together in by_step.values() if len(together) > 1]
    return several[0] if several else {}


def _wider(spans: dict[str, dict[int, tuple[int, int]]], step: str, process: int, at: int) -> tuple[int, int]:
    began, ended = spans.get(step, {}).get(process, (at, at))
    return min(began, at), max(ended, at)


def _overlap(spans: dict[int, tuple[int, int]]) -> bool:
    order = sorted(spans.values())
    return any(later[0] <= earlier[1] for earlier, later in zip(order, order[1:], strict=False))


def _one_against_all(case: Case, error: Error, site: Frame) -> Experiment | None:
    alone = with_one_process(case.incident)
    script = _script_with_one(case)
    if alone is None and script is None:
        return None

    def met(trace: Trace) -> bool:
        return any(e.type == error.type and innermost(e) == site for e in trace.errors)

    def judge(*traces: Trace) -> tuple[bool | None, str]:
        alone = sum(map(met, traces[:_TIMES]))
        all_ = 1 + sum(map(met, traces[_TIMES:]))  # the startup that was looked at is one of them
        words = f"with one process {alone} of {_TIMES} starts failed, as it is {all_} of {len(traces) - _TIMES + 1}"
        return alone == 0, words

    says = f"one process, {_TIMES} times, against the number that the incident has"
    if alone is not None:
        return Experiment(says, alone, judge, beside=(*[alone] * (_TIMES - 1), *[case.incident] * _TIMES))
    # The edited script is in every run of an experiment: the failing startup itself is the other side.
    return Experiment(says, case.incident, judge, script, tuple([case.incident] * (_TIMES - 1)))


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


def _script_with_one(case: Case) -> dict[str, str] | None:
    """The scripts that the steps run, with one worker in place of several."""
    edits = {file: _with_one_worker(text) for file, text in case.scripts.items()}
    return {file: text for file, text in edits.items() if text is not None} or None


def _with_one_worker(text: str) -> str | None:
    """A command line that serves, with one worker in place of several; None where it says no such number."""
    several = _SERVERS.search(text) and any(int(match[2]) > 1 for match in _WORKERS.finditer(text))
    return _WORKERS.sub(r"\g<1>1", text) if several else None
