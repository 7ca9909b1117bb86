"""Interpreters that have imported an application's packages and wait: each run is forked from them, where that shows the same.

What is imported beforehand is what a run of the build as it is imported of packages. The application's own modules, and
whatever it does before and after, are executed in each run. Linux only. It is off where a package does at its import what a
forked process would not have, or would share (``child/probe/warm.py``), and for all of them unless the build as it is shows
the same both ways. A run that sets a variable which a package read at its import is run again in a new interpreter, and so
is one in whose copy a file takes the name of a package.
"""

import marshal
import os
import re
import sys
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..base import interrupt
from ..base.janitor import folder as temporary_folder
from ..base.janitor import forget, remove, wait_for
from ..incident.model import Incident
from ..trace.events import read_events
from ..trace.trace import Trace
from .process import Process, close, readable, supervisor
from .workspace import Workspace

_KEPT = ".incident-kit"  # of the folder: what marks it as the kit's
_WAITING = "waiting"  # the part of a place's folder that stays


@dataclass(frozen=True)
class _Packages:
    """What one command imported of packages.

    :ivar names: modules, in order, those that the application or the command itself asked for
    :ivar tops: the names of all packages and modules outside the application that were executed
    """

    names: tuple[str, ...]
    tops: frozenset[str]


class Warm:
    """The places of one investigation, and what is known of the commands that are run there.

    :ivar same: does the build as it is show the same both ways? None: that was not tried, and nothing is forked
    :ivar reasons: why a command is not forked, in order, each once
    """

    def __init__(self) -> None:
        self.same: bool | None = None
        self.reasons: dict[str, None] = {}
        self._packages: dict[Hashable, _Packages | None] = {}  # None: not to be forked
        self._free: list[Place] = []
        self._changing, self._local = threading.Lock(), threading.local()
        self._folders: list[Any] = []

    @property
    def forks(self) -> bool:
        """Would a run that begins now in this thread be forked?"""
        here = getattr(self._local, "forks", None)
        return self.same is True if here is None else here

    @property
    def trying(self) -> bool:
        """Is it being tried whether a run that is forked shows the same?"""
        return self.forks and self.same is None

    def can(self) -> bool:
        """Is a command known that could be forked?"""
        return self.same is None and any(self._packages.values())

    @contextmanager
    def only(self, *, forked: bool) -> Iterator[None]:
        """Within, in this thread, runs are forked, proven or not; or none is."""
        before = getattr(self._local, "forks", None)
        self._local.forks = forked
        try:
            yield
        finally:
            self._local.forks = before

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """A folder for one run, with the interpreters that wait there; its path is that of runs before."""
        with self._changing:
            place = self._free.pop() if self._free else None
        if place is None:
            holder = temporary_folder()
            place = Place(holder.__enter__(), self)
            with self._changing:
                self._folders.append((holder, place))
        try:
            yield place
        finally:
            place.clear()
            with self._changing:
                self._free.append(place)

    def close(self) -> None:
        """End what waits, and remove the folders."""
        for holder, place in self._folders:
            place.end()
            holder.__exit__(None, None, None)

    def known(self, key: Hashable) -> _Packages | None:
        return self._packages.get(key)

    def learn(self, key: Hashable, folder: Path, root: Path) -> None:
        """From the trace of a run, what it imported of packages."""
        if key not in self._packages:
            self._packages[key] = _packages_of(folder, root)

    def give_up(self, key: Hashable, reason: str) -> None:
        self._packages[key] = None
        self.reasons[reason] = None


@contextmanager
def waiting(incident: Incident, wanted: bool) -> Iterator[Incident]:
    """The incident such that its runs may be forked, where that is ``wanted`` and can be; they have to end before this context does."""
    incident = incident.model_copy()  # whoever else runs it meanwhile does so in new interpreters
    if not wanted or not sys.platform.startswith("linux"):
        yield incident
        return
    incident._warm = Warm()
    try:
        yield incident
    finally:
        incident._warm.close()


@dataclass
class Place:
    """Where runs take place one after the other.

    :ivar forked: how many processes of this run were forked
    """

    folder: Path
    warm: Warm
    forked: int = 0
    waiting: dict[Hashable, "_Waiting"] = field(default_factory=dict)
    begun: list[tuple[Hashable, Path]] = field(default_factory=list)  # processes of this run that were not forked
    traces: list[Path] = field(default_factory=list)  # of those that were

    def told(self, trace: Trace) -> Trace:
        """The trace of a run that took place here; its provenance says how many of its processes were forked, and whether in vain."""
        if not self.forked:
            return trace
        files = (folder / "unlike" for folder in self.traces)
        unlike = [
            f"it sets {file.read_text('utf-8')}, which a package read at its import" for file in files if file.exists()
        ]
        unlike += [str(trace.broke)] if trace.broke else []
        return replace(trace, provenance={**trace.provenance, "forked": self.forked, "unlike": "; ".join(unlike)})

    def start(self, config: dict[str, Any], space: Workspace, seconds: float) -> Process | None:
        """A process that is forked from one that waits; None where it has to be started anew.

        :param config: as the supervisor takes it
        :param seconds: within which packages have to be imported
        """
        if "INCIDENT_TRACE" not in config["env"] or not _is_python(config["argv"][0]):
            return None
        key = _key(config, {**space.scratch, str(self.folder): "{folder}"})
        trace = Path(config["env"]["INCIDENT_TRACE"])
        packages = self.warm.known(key)
        if not self.warm.forks or packages is None or _shadowed(packages, config, space.workdir):
            self.begun.append((key, trace))
            return None
        if key not in self.waiting:
            self.waiting[key] = _Waiting(config, packages, self.folder / _WAITING / str(len(self.waiting)), seconds)
            if self.waiting[key].reason:
                self.warm.give_up(key, self.waiting[key].reason)
        process = self.waiting[key].fork(config, trace)
        if process is not None:
            self.forked += 1
            self.traces.append(trace)
        return process

    def clear(self) -> None:
        """Learn from what ran here, and remove it."""
        for key, trace in self.begun:
            self.warm.learn(key, trace, self.folder / "app")
        self.forked, self.begun, self.traces = 0, [], []
        for path in self.folder.iterdir():
            if path.name not in (_KEPT, _WAITING):
                remove(path)

    def end(self) -> None:
        for waiting in self.waiting.values():
            waiting.end()


class _Waiting:
    """One interpreter that waits, below a supervisor of its own.

    :ivar reason: why it does not
    """

    def __init__(self, config: dict[str, Any], packages: _Packages, folder: Path, seconds: float):
        self.inside = folder.parents[1]
        folder.mkdir(parents=True)
        modules = folder / "modules"
        modules.write_text("\n".join(packages.names), "utf-8")
        env = {**config["env"], "INCIDENT_TRACE": str(folder), "INCIDENT_WARM": str(modules)}
        streams = {name: str(folder / name) for name in ("stdout", "stderr")}
        self.supervisor = supervisor()
        self.named = wait_for(self.supervisor.pid)
        self.pid: int | None = None
        try:
            interrupt.under_way(self.supervisor, close)
            self._send({**config, **streams, "env": env, "warm": str(modules)})
            says = self.read() if readable(self.supervisor.stdout, seconds) else {"warm": "its packages take too long"}
        except (OSError, ValueError):  # ended, and its pipe closed
            says = None
        says = says or {}
        self.pid = says.get("pid")
        self.reason = None if says.get("warm") == "ready" else says.get("warm") or "it cannot wait to be forked"
        if self.reason:
            self.end()

    def fork(self, config: dict[str, Any], trace: Path) -> Process | None:
        if self.reason:
            return None
        order = {name: config[name] for name in ("argv", "cwd", "env", "stdout", "stderr")}
        try:
            self._send({**order, "allowed": config["guard"]["allowed"]})
            begun = self.read()
        except (OSError, ValueError):  # ended, and its pipe closed
            begun = None
        if not begun or begun["pid"] is None:
            self.reason = "what waits has ended"
            self.end()
            return None
        return Process([], trace, self.supervisor, time.monotonic(), self.inside, self.named, waiting=self)

    def _send(self, content: dict[str, Any]) -> None:
        self.supervisor.stdin.write(f"{marshal.dumps(content).hex()}\n".encode())
        self.supervisor.stdin.flush()

    def read(self) -> dict | None:
        """The supervisor's next answer; None when it has ended."""
        pipe = self.supervisor.stdout.fileno()  # past the buffer: what is in there is not seen by a poll
        content = _exactly(pipe, int.from_bytes(_exactly(pipe, 4), "big"))
        return marshal.loads(content) if content else None

    def end(self) -> None:
        close(self.supervisor)
        self.supervisor.wait()
        forget(self.named)


def _exactly(pipe: int, size: int) -> bytes:
    """So many bytes; fewer where there are no more."""
    content = b""
    while len(content) < size and (more := os.read(pipe, size - len(content))):
        content += more
    return content


def _key(config: dict[str, Any], scratch: dict[str, str]) -> Hashable:
    """What a command is, whatever its port and its scratch database are called."""
    env = {name: text for name, text in config["env"].items() if name not in _OF_A_RUN}
    names = {**scratch, config["env"].get("PORT", ""): "{port}"}

    def plain(text: str) -> str:
        for value, name in names.items():
            text = text.replace(value, name) if value else text
        return text

    return tuple(map(plain, config["argv"])), plain(config["cwd"]), tuple(sorted((k, plain(v)) for k, v in env.items()))


_OF_A_RUN = ("INCIDENT_TRACE", "INCIDENT_ALLOWED", "INCIDENT_SCRATCH", "PORT")


def _is_python(program: str) -> bool:
    """Is it an interpreter, or a script that names one in its first line?"""
    if re.fullmatch(r"python[\d.]*", os.path.basename(program)):
        return True
    try:
        with open(program, "rb") as file:
            return bool(re.match(rb"#!\S*/python[\d.]*\s*$", file.readline(300)))
    except OSError:
        return False


def _packages_of(folder: Path, root: Path) -> _Packages | None:
    """By the trace of the first process of a command, the one that was started."""
    first = min(folder.glob("*.jsonl"), key=lambda path: int(path.stem.rpartition("-")[2]), default=None)
    if first is None:
        return None
    roots = tuple({f"{root}{os.sep}", f"{os.path.realpath(root)}{os.sep}"})
    names: dict[str, None] = {}
    tops, failed, libraries = set(), set(), {}
    for _, _, event in read_events(folder, {}, first.name):
        if event.get("k") == "done" and event.get("error"):
            failed.add(libraries.get(event.get("n")))
        if event.get("k") != "exec" or not (name := event.get("m")) or not (file := event.get("f")):
            continue
        if file.startswith(roots) or not file.startswith("/"):
            continue
        tops.add(name.partition(".")[0])
        outer = event.get("b") in libraries
        libraries[event["n"]] = name
        if not outer and name != "__main__" and event.get("how", "import") == "import" and not event.get("th"):
            names[name] = None
    return _Packages(tuple(name for name in names if name not in failed), frozenset(tops))


def _shadowed(packages: _Packages, config: dict[str, Any], workdir: Path) -> bool:
    """Does a file of this copy take the name of a package that is imported already?"""
    entries = [workdir, *map(Path, config["env"].get("PYTHONPATH", "").split(os.pathsep)[1:])]
    entries += [Path(word).parent for word in config["argv"][:2] if word.endswith(".py")]
    for folder in entries:
        for top in packages.tops if folder.is_dir() else ():
            if (folder / f"{top}.py").exists() or (folder / top / "__init__.py").exists():
                return True
    return False
