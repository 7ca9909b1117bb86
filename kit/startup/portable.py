"""Startups on workers that do not share this machine's files: what an incident needs is sent along with it; a Dask cluster by its address.

``verify(incident, executor=Portable(client.get_executor(pure=False)))`` and the like: any
:class:`concurrent.futures.Executor` will do. A worker needs the kit and the application's interpreter. Everything
else (the application's files or its repository, the patches, the log) is packed once, and unpacked for each startup in
a folder of its own, below ``TMPDIR``.
"""

import hashlib
import io
import os
import platform
import socket
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..base.errors import IncidentError, KitError, RunBroke
from ..base.janitor import folder as temporary_folder
from ..base.janitor import mark
from ..incident.copying import copy_tree
from ..incident.model import Incident
from ..incident.repository import open_repository, run_git
from ..incident.steps import Preparation
from .installed_packages import installed
from .kept_runs import package_digest


class Bundle(NamedTuple):
    """An incident that needs nothing of the machine it was packed on, but for ``app.python`` where it names a path.

    :ivar incident: its paths are relative to where the bundle is unpacked
    :ivar folder: where they were relative to, so that messages say the same
    :ivar left: what of the application was not packed, each with the reason
    """

    incident: Incident
    folder: str
    left: tuple[str, ...]


class Portable(Executor):
    """An executor that sends incidents as bundles.

    An application is packed when it is first given: all startups of this executor see the same files.

    :param put: called with the packed files (bytes), once a bundle; gives what is sent in their place with each
        startup. With Dask, ``lambda data: client.submit(bytes, data)`` sends them to a worker once, and again if it dies
    """

    def __init__(self, executor: Executor, put: Callable[[bytes], Any] = lambda data: data):
        self.executor, self.put = executor, put
        self._packed: dict[tuple, tuple[tuple[str, ...], Any]] = {}
        self._packing = threading.Lock()

    def submit(self, function, /, *args, **named) -> Future:
        data, sent = None, []
        for argument in args:
            if isinstance(argument, Incident):
                argument, data = self._bundle(argument)
            sent.append(argument)
        return self.executor.submit(run_unpacked, data, machine(), function, tuple(sent), named)

    def _bundle(self, incident: Incident) -> tuple[Bundle, Any]:
        portable, files = _relative(incident)
        loose = None if incident.app.repository is None else _loose(incident)
        key = (loose, *sorted((target, str(source)) for target, source in files.items()))
        with self._packing:
            if key not in self._packed:
                data, left = pack(incident, files)
                self._packed[key] = left, self.put(data)
            left, data = self._packed[key]
        return Bundle(portable, str(incident.folder), left), data


def _relative(incident: Incident) -> tuple[Incident, dict[str, Path]]:
    """The incident as it is within its bundle, and where each of its files and folders comes from."""
    files: dict[str, Path] = {}

    def inside(path: str | None) -> str | None:
        if path is None:
            return None
        source, plain = incident.resolve(path), Path(path)
        if plain.is_absolute() or ".." in plain.parts or path.startswith("~") or plain == Path("."):
            digest = hashlib.sha256(str(source).encode()).hexdigest()[:12]
            path = f"elsewhere/{digest}/{source.name}"
        files[path] = source
        return path

    app = incident.app
    python = app.python if app.python is None or "/" not in app.python else str(incident.resolve(app.python))
    where = {"root": inside(app.root), "repository": inside(app.repository), "python": python}

    def packed(steps: list[Preparation] | None) -> list[Preparation] | None:
        if steps is None:
            return None
        return [step.model_copy(update={"text": inside(step.text)}) if step.kind == "sql" else step for step in steps]

    fixes = {}
    for name, fix in incident.fixes.items():
        its = fix.python if fix.python is None or "/" not in fix.python else str(incident.resolve(fix.python))
        patches = [inside(patch) for patch in fix.patches]
        fixes[name] = fix.model_copy(update={"patches": patches, "prepare": packed(fix.prepare), "python": its})
    named = {"log": inside(incident.log), "history": inside(incident.history), "file": Path(incident.file.name)}
    runs = {"app": app.model_copy(update=where), "fixes": fixes, "prepare": packed(incident.prepare)}
    return incident.model_copy(update={**runs, **named}), files


def pack(incident: Incident, files: dict[str, Path]) -> tuple[bytes, tuple[str, ...]]:
    """A tar of these files: ``{path in it: path here}``; the application by the rules of a workspace's copy.

    :returns: the tar, and what of the application was left behind

    :raises RunBroke: something cannot be read
    """
    buffer = io.BytesIO()
    app, left = incident.app, ()
    with temporary_folder() as draft, tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        try:
            for number, (target, source) in enumerate(sorted(files.items())):
                copy = draft / str(number)
                if app.repository is not None and source == incident.resolve(app.repository):
                    _copy_repository(source, copy, _loose(incident), incident)
                    source = copy
                elif app.root is not None and source == incident.resolve(app.root):
                    left = tuple(copy_tree(source, copy, incident.limits.copy_mb << 20))
                    source = copy
                tar.add(source, target)
        except OSError as error:
            raise RunBroke(f"{incident.file}: it cannot be packed for other machines: {error}") from None
    return buffer.getvalue(), left


def _loose(incident: Incident) -> str | None:
    """The revision's commit, where no branch or tag leads to it."""
    repository = open_repository(incident.resolve(incident.app.repository), named=f"{incident.file}: app.repository")
    commits = repository.order("--max-count=1", repository.resolve(incident.app.revision), "--not", "--all")
    return commits[0] if commits else None


def _copy_repository(source: Path, target: Path, loose: str | None, incident: Incident) -> None:
    """A bare copy with every branch and tag, HEAD and a loose commit; nothing of its hooks and configuration."""

    def git(*words: str) -> str:
        quiet = ("-c", "protocol.file.allow=always")
        done = run_git(*quiet, *words, folder=target.parent, environment=mark(target.parent))
        if done.returncode:
            raise IncidentError(
                f"{incident.file}: app.repository: {source} cannot be packed for other machines: {done.stderr.strip()}"
            )
        return done.stdout.strip()

    form = git("-C", str(source), "rev-parse", "--show-object-format")
    git("init", "--quiet", "--bare", f"--object-format={form}", "--template=", str(target))
    any_commit = "--upload-pack=git -c uploadpack.allowAnySHA1InWant=true upload-pack"
    fetch = ("-C", str(target), "fetch", "--quiet", "--no-tags", "--update-shallow", any_commit, str(source))
    git(*fetch, "+refs/*:refs/*", *([f"+{loose}:refs/incident/revision"] if loose else []))
    try:
        head = git("-C", str(source), "rev-parse", "--verify", "HEAD^{commit}")
    except IncidentError:
        return  # no commit on the branch that is checked out
    git(*fetch, f"+{head}:refs/incident/head")
    git("-C", str(target), "update-ref", "--no-deref", "HEAD", head)


class Machine(NamedTuple):
    """What a machine's answers depend on beside the bundle; ``packages`` only where the kit's own interpreter runs the application."""

    python: str
    kit: str
    packages: tuple[tuple[str, str], ...]


@cache
def machine() -> Machine:
    """This one."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return Machine(python, package_digest(), installed(sys.executable).versions)


def run_unpacked(data: bytes | None, asked_by: Machine, function: Callable, args: tuple, named: dict[str, Any]) -> Any:
    """Call a function of the kit with its bundle unpacked here.

    :raises RunBroke: this machine would answer otherwise than the one that asks
    """
    bundle = next((argument for argument in args if isinstance(argument, Bundle)), None)
    _refuse_another(asked_by, bundle is not None and bundle.incident.app.python is None)
    if bundle is None:
        return function(*args, **named)
    with temporary_folder() as folder, tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(folder, filter="tar")
        incident = bundle.incident.model_copy(update={"file": folder / bundle.incident.file})
        incident._packed = bundle.left
        try:
            return function(*(incident if isinstance(argument, Bundle) else argument for argument in args), **named)
        except KitError as error:
            raise type(error)(str(error).replace(str(folder), bundle.folder)) from None


def _refuse_another(asked_by: Machine, runs_here: bool) -> None:
    here, differs = machine(), []
    if here.python != asked_by.python:
        differs.append(f"has {here.python}, and not {asked_by.python}")
    if here.kit != asked_by.kit:
        differs.append("has another version of the kit")
    if runs_here and not differs and here.packages != asked_by.packages:
        name, version = min(set(asked_by.packages) ^ set(here.packages))
        differs.append(f"has other packages, {name} {version} among them, and app.python names no interpreter")
    if differs:
        raise RunBroke(
            f"the worker on {socket.gethostname()} {' and '.join(differs)}: its answers could differ. Install there what is here"
        )


VARIABLE = "KIT_EXECUTOR"  # names the executor for the processes that a command starts
_SECONDS = 20  # a scheduler that has not answered by then is not there


@contextmanager
def named_executor(address: str | None = None) -> Iterator[Executor | None]:
    """The executor at an address, ``dask://HOST:PORT``; by default of the environment's KIT_EXECUTOR, None where it is not set.

    :raises IncidentError: the address is none, nobody answers there, or Dask is not installed
    :raises RunBroke: the scheduler was lost meanwhile
    """
    address = address or os.environ.get(VARIABLE)
    if not address:
        yield None
        return
    scheme, _, place = address.partition("://")
    if scheme != "dask" or not place:
        raise IncidentError(f"--executor {address}: an executor is named as in dask://127.0.0.1:8786")
    try:
        from distributed import Client
    except ImportError:
        raise IncidentError(
            f"--executor {address}: Dask is not installed here; pip install distributed, here and on each worker"
        ) from None
    try:
        client = Client(f"tcp://{place}", timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise IncidentError(
            f"--executor {address}: no Dask scheduler answers there: {error}. Is it up (dask scheduler), and is this its address?"
        ) from None
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise IncidentError(f"--executor {address}: it has no worker; start one: dask worker tcp://{place}")
        try:
            yield Portable(client.get_executor(pure=False), put=lambda data: client.submit(bytes, data))
        except CancelledError:
            raise RunBroke(
                f"--executor {address}: the scheduler was lost, and with it what ran there. What had ended is kept; run it again"
            ) from None
