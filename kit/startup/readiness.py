"""Is a server up? When it answers, and every process of it has come to rest; or when it is silent and at rest for long."""

import os
import time
from collections.abc import Callable

from .ports import Heard, ask
from .process import Process

_SILENT = 10.0  # seconds of silence at rest after which a server counts as up: not all of them speak HTTP
_FIRST_BYTE = 0.5  # seconds that one request waits
_REST = 0.15  # seconds in which no process works
_MOST_RESTING = 10.0  # seconds that are waited for that: some never rest
_TICKS = 2  # of the processor's time (hundredths of a second) that are no work
_AGAIN = 1.0  # seconds in which a server that answered has to answer once more


class Readiness:
    """Watches one server until it is up."""

    def __init__(self, process: Process):
        self.process = process
        self.silent_since: float | None = None
        self.used: dict[int, int] = {}

    def up(self) -> bool:
        """Is it up by now? Takes as long as its first byte does, half a second at most; with several processes, until they rest."""
        if self.process.port is None:
            return False
        heard = ask(self.process.port, _FIRST_BYTE)
        if heard is Heard.ANSWER:
            return self.at_rest()
        if heard is Heard.NOTHING_THERE:
            self.silent_since = None
            return False
        now, used = time.monotonic(), processor_time(self.process.supervisor.pid)
        if self.silent_since is None or working(self.used, used):
            self.silent_since = now
        self.used = used
        return now - self.silent_since > _SILENT

    def at_rest(self) -> bool:
        """Have all processes of a server with several ended their work, as workers have when they are loaded?"""
        until, before = time.monotonic() + _MOST_RESTING, processor_time(self.process.supervisor.pid)
        while len(before) > 1 and time.monotonic() < until and not self.process.ended(_REST):
            now = processor_time(self.process.supervisor.pid)
            if not working(before, now):
                break
            before = now
        return not self.process.ended()


def working(before: dict[int, int], now: dict[int, int]) -> bool:
    """Did a process come, or use the processor, between two looks?"""
    return any(pid not in before or used - before[pid] > _TICKS for pid, used in now.items())


def answers_again(process: Process, pause: Callable[[float], None] = time.sleep) -> bool:
    """Does a server that was up still answer? One that restarts a worker is given a moment."""
    until = time.monotonic() + _AGAIN
    while not process.ended():
        if ask(process.port, _FIRST_BYTE) is not Heard.NOTHING_THERE:
            return True
        if time.monotonic() > until:
            break
        pause(0.1)
    return False


def processor_time(supervisor: int) -> dict[int, int]:
    """The processes below a supervisor: each with the processor's time that it used, in ticks; empty where the system does not tell."""
    parents: dict[int, tuple[int, int]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stat:
                    fields = stat.read().rsplit(b")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if fields[0] != b"Z":
                parents[int(entry)] = int(fields[1]), int(fields[11]) + int(fields[12])
    below, todo = {}, [supervisor]
    while todo:
        parent = todo.pop()
        for pid, (of, used) in parents.items():
            if of == parent:
                below[pid] = used
                todo.append(pid)
    return below
