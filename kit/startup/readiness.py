"""Is a server up? When it answers, and every process of it has come to rest; or when it is silent and at rest for long."""

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

from ..trace.events import read_events
from .ports import Heard, ask
from .process import Process

_SILENT = 10.0  # seconds of silence at rest after which a server counts as up: not all of them speak HTTP
_FIRST_BYTE = 0.5  # seconds that one request waits
_REST = 0.15  # seconds in which no process works
_MOST_RESTING = 10.0  # seconds that are waited for that: some never rest
_MOST_EXECUTING = 40.0  # the same, while bodies are under way
_QUIET = 3.0  # seconds without any work, after which a body that is under way is no start any more
_TICKS = 2  # hundredths of a second of the processor's time that are no work
_IDLE = 10  # of the same, in all the time in which a worker waits
_AGAIN = 1.0  # seconds in which a server that answered has to answer once more


class Readiness:
    """Watches one server until it is up."""

    def __init__(self, process: Process):
        self.process = process
        self.silent_since: float | None = None
        self.used: dict[int, int] = {}
        self.answered = False  # once: what ends after that ends while it is asked, and not while it starts
        self.traces = 0  # processes that were looked at for workers that end

    def up(self) -> bool:
        """Is it up by now? Takes as long as its first byte does, half a second at most; with several processes, until they rest."""
        if self.process.port is None:
            return False
        heard = ask(self.process.port, _FIRST_BYTE)
        if heard is Heard.ANSWER:
            self.answered = True
            return self.at_rest()
        if heard is Heard.NOTHING_THERE:
            self.silent_since = None
            return False
        now, used = time.monotonic(), processor_time(self.process.supervisor.pid)
        if self.silent_since is None or working(self.used, used):
            self.silent_since = now
        self.used = used
        return now - self.silent_since > _SILENT

    def rests(self) -> bool:
        """Has it, as a worker that waits for its tasks, done next to nothing for long, with no body under way?"""
        now, used = time.monotonic(), processor_time(self.process.supervisor.pid)
        if self.silent_since is None or sum(used.values()) - sum(self.used.values()) > _IDLE:
            self.silent_since, self.used = now, used
        return now - self.silent_since > _SILENT and not executing(self.process.folder)

    def at_rest(self) -> bool:
        """Have all processes of a server with several ended their work, as workers have when they are loaded?"""
        began, before = time.monotonic(), processor_time(self.process.supervisor.pid)
        quiet_since = began
        while len(before) > 1 and not self.process.ended(_REST):
            now, waited = processor_time(self.process.supervisor.pid), time.monotonic() - began
            quiet_since = quiet_since if now == before else time.monotonic()
            starting = executing(self.process.folder) and time.monotonic() - quiet_since < _QUIET
            if waited > (_MOST_EXECUTING if starting else _MOST_RESTING) or not (starting or working(before, now)):
                break
            before = now
        return not self.process.ended()

    def ends_anew(self) -> bool:
        """Did a worker of it end, and the one that took its place too, each after it executed the same of the application?"""
        paths = sorted(self.process.folder.glob("*.jsonl"))
        if self.answered or len(paths) == self.traces or len(paths) < 4:
            return False  # a server, two that ended, and the next: looked at as often as one comes
        self.traces, ended = len(paths), {}
        for path in paths:
            events = [(at, event) for at, _, event in read_events(path.parent, {}, path.name)]
            first = events[0][1] if events else {}
            bodies = frozenset(event.get("f") for _, event in events if event.get("k") == "exec")
            if first.get("forked") and bodies and not os.path.exists(f"/proc/{first.get('pid')}"):
                began, last = ended.setdefault((first.get("parent"), bodies), (events[0][0], events[-1][0]))
                if events[0][0] > last:
                    return True
        return False


def executing(folder: Path) -> bool:
    """Is a body under way in a traced process? A server that is started while a module is imported has one as long as it is up."""
    under_way: set[tuple[str, int]] = set()
    for _, file, event in read_events(folder, {}):
        if event.get("k") == "exec":
            under_way.add((file, event.get("n")))
        elif event.get("k") == "done":
            under_way.discard((file, event.get("n")))
    return bool(under_way)


def working(before: dict[int, int], now: dict[int, int]) -> bool:
    """Did a process come, or use the processor, between two looks?"""
    return any(pid not in before or used - before[pid] > _TICKS for pid, used in now.items())


def answers_again(process: Process) -> bool:
    """Does a server that was up still answer? One that restarts a worker is given a moment."""
    until = time.monotonic() + _AGAIN
    while not process.ended():
        if ask(process.port, _FIRST_BYTE) is not Heard.NOTHING_THERE:
            return True
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return False


def processor_time(supervisor: int) -> dict[int, int]:
    """The processes below a supervisor: each with the processor's time that it used, in hundredths of a second."""
    used = {}
    with suppress(psutil.Error):
        for process in psutil.Process(supervisor).children(recursive=True):
            with suppress(psutil.Error):  # it has ended meanwhile
                times = process.cpu_times()
                if process.status() != psutil.STATUS_ZOMBIE:
                    used[process.pid] = round(100 * (times.user + times.system))
    return used
