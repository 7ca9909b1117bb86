"""What a startup showed, kept by content: the same build, interpreter, packages, steps and kit are not run twice.

Kept is what was seen of a run that came to its end by itself and in which nothing raced. What the sources say is read anew from
the copy that would be run. A run that holds what is masked on its way into a file is not kept: what is kept is what was run.
"""

import fcntl
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

from ..base import interrupt
from ..base.errors import IncidentError
from ..base.janitor import MARKER
from ..base.janitor import folder as temporary_folder
from ..base.progress import Hears
from ..incident.model import Incident
from ..trace.end_state import Answer, CheckResult
from ..trace.saved import load, redact_once, save
from ..trace.trace import TYPES, Trace
from .installed_packages import packages_of
from .migrations import Migrations
from .workspace import Workspace

FOLDER = "INCIDENT_KIT_RUNS"  # the variable that names the folder where runs are kept; without it none is
_COMMAND = "INCIDENT_KIT_COMMAND"  # the variable that names who hands runs over
_MOST = 200  # runs that are kept; the one that was asked for longest ago goes first
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ran:
    """What one startup of a build showed.

    :ivar migrations: what Alembic says of the database that it left
    :ivar created: table to columns, by the revisions alone; and ``stopped``: what ended them early
    :ivar answers: of the checks that were asked by a request or a command, in their order
    :ivar uncompiled: what a patch wrote that is no Python
    :ivar packages: the hash of the interpreter that ran it, with its packages
    :ivar at: when it was run, ISO 8601 in UTC; of a kept run ``Trace.provenance["run_at"]`` says it too
    """

    trace: Trace
    migrations: Migrations | None = None
    created: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    stopped: str | None = None
    answers: tuple[CheckResult, ...] = ()
    uncompiled: str | None = None
    packages: str | None = None
    at: str = ""


_TYPES = (*TYPES, Answer, CheckResult, Migrations, Ran)


@contextmanager
def keeping(folder: Path | None) -> Iterator[None]:
    """Within, also in processes that are started, runs are kept in a folder and asked for first; None: in one that goes at its end."""
    before = os.environ.get(FOLDER)
    with temporary_folder() if folder is None else nullcontext(folder) as kept:
        os.environ[FOLDER] = str(kept)
        try:
            yield
        finally:
            del os.environ[FOLDER]
            if before is not None:
                os.environ[FOLDER] = before


@contextmanager
def handing_over() -> Iterator[None]:
    """Within, also in processes that are started, a run that is not kept, as one past its limit, may be handed over to who asks next."""
    os.environ[_COMMAND] = f"{os.getpid()}-{time.monotonic_ns()}"
    try:
        yield
    finally:
        mine = os.environ.pop(_COMMAND)
        for path in (Path(os.environ[FOLDER]) / "startups").glob(f"*.{mine}.*"):
            path.unlink(missing_ok=True)


def keeps() -> bool:
    """Are runs kept here?"""
    return bool(os.environ.get(FOLDER))


def once(
    key: str | None, space: Workspace, run: Callable[[], Ran], *,
    lasting: Callable[[Ran], bool], progress: Hears, hand_over: bool = False,
) -> Ran:  # fmt: skip
    """The kept run of this key, else that of ``run``; who asks for one that is under way waits for it.

    :param lasting: would the same build show the same again?
    :param hand_over: is a run that is not kept the run of who asks next? see :func:`handing_over`
    """
    if key is None:
        return run()
    with _turn(key) as file:
        handed = file.with_name(f"{key}.{os.environ.get(_COMMAND)}.json.gz")
        kept = _read(file, space) or _read(handed, space)
        with suppress(OSError):
            handed.unlink()
        if kept is not None:
            progress("this build was run before and has not changed: the result of that run is used")
            return kept
        Thread(target=_packages, args=(space,), daemon=True).start()  # beside the run: it takes a while
        result = run()
        packages = _packages(space)
        kept_for_all = result.trace.broke is None and lasting(result)
        if packages is not None and (kept_for_all or hand_over):
            at = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
            _write(file if kept_for_all else handed, replace(result, packages=packages, at=at))
        return result


def _packages(space: Workspace) -> str | None:
    """The hash of the interpreter with its packages; while a command lasts they are those that they are."""
    for_now = (Path(os.environ[FOLDER]) / MARKER).exists()
    return "" if for_now else packages_of(space.python)


@contextmanager
def _turn(name: str) -> Iterator[Path]:
    """The file of a key, one after the other among threads and processes; without order where the folder cannot be written."""
    folder = Path(os.environ[FOLDER]) / "startups"
    file = folder / f"{name}.json.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / f"{name}.lock", "w")  # noqa: SIM115 - closed below
    except OSError:
        yield file
        return
    with lock:
        while True:
            interrupt.check()
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
        yield file


def _read(file: Path, space: Workspace) -> Ran | None:
    try:
        kept = load(file, _TYPES)
        if kept.packages != _packages(space):
            return None
        os.utime(file)
        sources = {name: (space.root / name).read_text("utf-8", "replace") for name in kept.trace.sources}
    except (IncidentError, OSError, AttributeError, TypeError):
        return None  # not there, or not whole: it is run again
    provenance = {**kept.trace.provenance, "run_at": kept.at}
    return replace(kept, trace=replace(kept.trace, sources=sources, provenance=provenance))


def _write(file: Path, ran: Ran) -> None:
    without = replace(ran, trace=replace(ran.trace, sources=dict.fromkeys(ran.trace.sources, "")))
    with suppress(IncidentError, OSError):  # a full disk costs the next one time, and nothing else
        save(without, file, _as_it_is)
        kept = sorted(file.parent.glob("*.json.gz"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-_MOST]:
            old.unlink(missing_ok=True)
            old.with_name(old.name.replace(".json.gz", ".lock")).unlink(missing_ok=True)


def _as_it_is(text: str) -> str:
    if redact_once(text) != text:
        raise IncidentError("it would be masked")
    return text


def kept(key: str, space: Workspace) -> Ran | None:
    """The kept run of this key, waited for where it is under way; None where there is none."""
    with _turn(key) as file:
        return _read(file, space)


def key_of(incident: Incident, space: Workspace, asked: Sequence[Any]) -> str | None:
    """The hash of all that what a startup shows depends on, but for the packages; ``asked``: beside its steps. None: nothing is kept."""
    if not keeps():
        return None
    content = content_of(incident)
    content["asked"] = asked
    content["left"] = list(space.left)
    scripts = [incident.resolve(step.text) for step in incident.prepare if step.kind == "sql"]
    content["scripts"] = [hashlib.sha256(script.read_bytes()).hexdigest() for script in scripts]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode())
    for part in (space.python, package_digest(), tree_digest(space.root), str(platform.uname())):
        digest.update(part.encode())
    return digest.hexdigest()[:32]


def content_of(incident: Incident) -> dict[str, Any]:
    """What an incident file says of how its application is run."""
    keys = {"startup", "prepare", "database", "database_env", "database_driver", "database_server"}
    content = incident.model_dump(mode="json", include=keys)
    if incident.database == "postgresql":
        from .postgresql import version_for_key

        content["server"] = version_for_key(incident)
    content["limits"] = (incident._kept_as or incident.limits).model_dump()
    content["app"] = incident.app.model_dump(include={"workdir", "path", "env"})
    return content


def tree_digest(root: Path, without: str = "") -> str:
    """The hash of every file below a folder: names, content, links, and what may be executed; folders of one name left out."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != without)
        for name in sorted([*files, *(name for name in folders if os.path.islink(os.path.join(folder, name)))]):
            path = os.path.join(folder, name)
            digest.update(os.fsencode(os.path.relpath(path, root)) + b"\0")
            if os.path.islink(path):
                digest.update(b"link" + os.fsencode(os.readlink(path)))
                continue
            with open(path, "rb") as file:
                digest.update(b"%o" % (os.fstat(file.fileno()).st_mode & 0o111))
                digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(b"".join(os.fsencode(name) + b"/\0" for name in folders))
    return digest.hexdigest()


@cache
def package_digest(package: Path = _PACKAGE) -> str:
    """The hash of every file of the kit: what is kept depends on all of them, since any may decide it."""
    return tree_digest(package, without="__pycache__")
