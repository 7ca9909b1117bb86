"""Where a startup ran and how its processes ended, as their runner knows it: what is read into a trace beside the probe's events."""

import glob
import math
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..base.redact import redact
from ..incident.steps import Step
from .values import Broke

_SENT = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")  # by somebody; the other signals come of a crash
# The folder that a library is installed in says where a machine keeps things, not what went wrong.
_INSTALLED = re.compile(r"/[^\s\"':]*/(?:site-packages|dist-packages|lib(?=/python3\.\d+/))/")


class Guards(NamedTuple):
    """What the supervisor says of a process: guards in force, what is missing, and what the kernel refused."""

    in_force: Sequence[str] = ()
    missing: Sequence[str] = ()
    refused: Sequence[dict] = ()


class Asked(NamedTuple):
    """When a process was asked for something, as by ``SIGINT`` to end, and what it had printed by then."""

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
    answering: Asked | None = None  # what comes later came of requests of the kit's own

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


class Paths:
    """What the names of one run's files and its texts become; each name is looked at once."""

    def __init__(self, space: RunPlace):
        self.space = space
        self.roots = tuple(dict.fromkeys((str(space.root) + os.sep, os.path.realpath(space.root) + os.sep)))
        # Where the interpreter's own environment lies, for console scripts that a traceback names.
        place = os.path.dirname(os.path.dirname(space.python))
        self.environment = f"{place}{os.sep}" if os.path.isfile(os.path.join(place, "pyvenv.cfg")) else None
        self._shown: dict[str | None, tuple[str, bool]] = {}
        self.whole: dict[str, str] = {}  # a resolved file as it is shown, to where it lies
        self._reals: dict[str, str] = {}
        self._folders: dict[str, str] = {}  # each with where it really is

    def shown(self, name: str | None) -> tuple[str, bool]:
        """A file as it is shown, and whether it is the application's."""
        known = self._shown.get(name)
        if known is None:
            known = self._shown[name] = self._look(name)
        return known

    def _look(self, name: str | None) -> tuple[str, bool]:
        if not name:
            return "?", False
        full = name if os.path.isabs(name) or name.startswith("<") else os.path.join(self.space.workdir, name)
        full = os.path.normpath(full) if not full.startswith("<") else full
        if not os.path.isabs(name) and not os.path.exists(full) and (name.endswith(".pyx") or self._of_a_library(name)):
            return name, False  # a compiled module, whose frames have the name that its source had
        for root in self.roots:
            if full.startswith(root):
                below = full[len(root) :].replace(os.sep, "/")
                return below, not re.search(r"(^|/)(site|dist)-packages/", below)
        for mark in ("/site-packages/", "/dist-packages/"):
            if mark in full:
                return full.rsplit(mark, 1)[1], False
        library = re.search(r"/lib/(python3\.\d+/.*)$", full)
        if library:
            return library.group(1), False
        full = full.replace(str(self.space.folder), "<workspace>")
        if not full.startswith("<"):  # a console script, say: where a machine keeps it is nobody's business
            full = "…/" + "/".join(full.split("/")[-2:])
        return (full if full.startswith("<") else redact(full)), False

    def _of_a_library(self, name: str) -> bool:
        top = name.partition("/")[0]
        place = os.path.dirname(os.path.dirname(self.space.python))
        return top != name and bool(glob.glob(f"{glob.escape(place)}/lib*/python3*/*-packages/{glob.escape(top)}"))

    def real(self, name: str | None) -> str | None:
        """A file with links resolved, as it is shown."""
        if not name:
            return None
        if name not in self._reals:
            path = self._resolved(os.path.join(self.space.workdir, name))
            self._reals[name] = self.shown(path)[0]
            self.whole[self._reals[name]] = path
        return self._reals[name]

    def _resolved(self, path: str) -> str:
        """``os.path.realpath``, asking for each folder once."""
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        path = os.path.join(self._folders[folder], name)
        return os.path.realpath(path) if os.path.islink(path) else path

    def text(self, raw: object) -> str:
        """Text of the application: paths of the workspace taken back to the application's root, secrets masked."""
        text = str(raw)
        for root in self.roots:
            text = text.replace(root, "")
        if self.space.postgresql:  # named anew in every run
            text = text.replace(self.space.postgresql.name, "scratch")
        text = _INSTALLED.sub("", text.replace(str(self.space.folder), "<workspace>"))
        return redact(text.replace(self.environment, "…/") if self.environment else text)
