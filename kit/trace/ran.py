"""How the processes of a startup ended, as their runner knows it: what is read into a trace beside the probe's events."""

import math
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..incident.steps import Step
from .values import Broke

_SENT = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")  # by somebody; the other signals come of a crash


class Guards(NamedTuple):
    """What the supervisor says of a process: guards in force, what is missing, and what the kernel refused."""

    in_force: Sequence[str] = ()
    missing: Sequence[str] = ()
    refused: Sequence[dict] = ()


class Asked(NamedTuple):
    """When a process was asked by ``SIGINT`` to end, and what it had printed by then."""

    at: int  # nanoseconds, of the probe's clock
    printed: dict[str, int]  # stdout and stderr: bytes


class Ended(NamedTuple):
    """What the runner knows of a process that ended: whether it succeeded, and why it broke if it did."""

    steps: Sequence[tuple[int, Step]]
    folder: Path
    ok: bool
    why: Broke | None
    code: int | None
    port: int | None
    guards: Guards = Guards()
    asked: Asked | None = None  # as it was past its time
    stopped: Asked | None = None  # as all was done, of a server that was still up

    @property
    def until(self) -> float:
        """What came later, of the probe's clock, came of our asking."""
        return self.asked.at if self.asked else math.inf

    @property
    def in_process(self) -> bool:
        """Did it run steps of one interpreter, and no command?"""
        return self.steps[0][1].in_process


class RunPlace(Protocol):
    """Where a startup ran, as far as a trace tells of it: a :class:`~kit.startup.workspace.Workspace`."""

    folder: Path
    root: Path
    workdir: Path
    python: str
    left: tuple[str, ...]
    postgresql: Any  # name, server and door of the scratch database, or None


def ended_by(number: int) -> Broke:
    """A process was ended by a signal: one that somebody sends, or one that a crash makes."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return Broke("killed" if name in _SENT else "crashed", f"ended by {name}")
