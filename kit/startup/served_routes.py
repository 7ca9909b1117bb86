"""Asks a server that is up for the application's own pages: every route without a parameter, by GET."""

import http.client
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..incident.model import Incident
from ..trace.end_state import Answer, CheckResult, answers_in_words
from ..trace.printed_errors import printed_error
from ..trace.processes import Asked, Ended
from ..trace.reader import entries_so_far
from ..trace.routes import pages_of
from .workspace import Workspace

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
    traces = [path for path in (space.folder / "trace").glob("startup-*") if path.is_dir()]
    space.asked.update({folder: Asked(clock, sizes_of(folder)) for folder in traces})
    mounted = pages_of(entries_so_far(space, list(_so_far(incident, traces))))
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


def _so_far(incident: Incident, traces: Sequence[Path]) -> Iterator[Ended]:
    """The processes that serve, as if they had ended now."""
    for folder in traces:
        number = int(folder.name.rpartition("-")[2])
        step = incident.startup[number - 1]
        if step.kind == "serve":
            yield Ended([(number, step)], folder, None, None, None, None)


def _ask(port: int, path: str, traces: Path) -> Answer:
    before = {stream: stream.stat().st_size for stream in _streams(traces)}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)  # follows nothing
    try:
        connection.request("GET", path, headers={"Accept": "text/html,application/json,*/*"})
        status = connection.getresponse().status
    except TimeoutError:
        return Answer(path, None, f"no answer within {_PATIENCE:g} seconds", late=True)
    except (OSError, http.client.HTTPException) as error:
        return Answer(path, None, f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    if status < 500:
        return Answer(path, status)
    until_printed(traces)
    printed = "".join(_after(stream, before.get(stream, 0)) for stream in _streams(traces))
    error = printed_error(printed, lambda file: False)
    return Answer(path, status, str(error) if error is not None else "")


def _after(stream: Path, size: int) -> str:
    with stream.open("rb") as file:
        file.seek(size)
        return file.read(1 << 20).decode("utf-8", "replace")


def sizes_of(folder: Path) -> dict[str, int]:
    """How much a process has printed, by stream."""
    return {path.name: path.stat().st_size for path in folder.glob("std*")}


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
