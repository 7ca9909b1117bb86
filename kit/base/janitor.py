"""Clears up after a kit that was killed: a small process that outlives it.

The kit names what will have to go before it makes it: a temporary folder, a draft of a file, a command that undoes
something. When it ends, by whatever, the pipe to the janitor closes; what is still named then is undone, the newest
first. A janitor that was killed too is made up for by the next one, which looks for folders that nobody holds.

The process itself (``python -I -S janitor.py FOLDER``) needs the standard library only. It reads lines of JSON:
``{"id", "do": "remove", "path"}``, ``{"id", "do": "run", "argv", "stdin"}``, ``{"id", "do": "wait", "pid"}``, and
``{"id", "do": "forget"}`` for what is done with.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

MARKER = ".incident-kit"  # in every folder of ours: no other is ever swept away
_NAME = re.compile(r"incident-[0-9a-f]{16}")  # longer than what ``tempfile`` makes for somebody else
_LATE = 0.5  # seconds after which a process that was only being started when the kit was killed has shown itself
_PATIENCE = 60.0  # seconds in which something that comes back is removed again


class _Janitor:
    """The pipe to this process's janitor, which is started when it is first needed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.process: subprocess.Popen | None = None
        self.pipe = -1
        self.named: dict[int, dict] = {}
        self.count = 0

    def name(self, **entry) -> int:
        with self.lock:
            self.count += 1
            number = self.count
            self.named[number] = {"id": number, **entry}
            self.tell([self.named[number]])
            return number

    def forget(self, number: int) -> None:
        with self.lock:
            if self.named.pop(number, None) is not None:
                self.tell([{"id": number, "do": "forget"}])

    def tell(self, entries: list[dict]) -> None:
        if self.process is None or self.process.poll() is not None:  # none yet, or it was killed
            self.start()
            entries = list(self.named.values())
        with suppress(OSError):  # killed at this very moment: the next entry finds out
            for entry in entries:  # a line that an interruption tore stands by itself
                line = b"\n" + json.dumps(entry).encode() + b"\n"
                while line:
                    line = line[os.write(self.pipe, line) :]

    def start(self) -> None:
        if self.pipe >= 0:
            os.close(self.pipe)
        read, self.pipe = os.pipe()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", os.path.abspath(__file__), tempfile.gettempdir()],
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # what is sent to the kit's group does not reach it
                cwd="/",
            )
        finally:
            os.close(read)


_ours = _Janitor()


def _after_fork() -> None:
    """Give a forked child a janitor of its own: its copy of the pipe would keep the parent's janitor waiting."""
    global _ours
    if _ours.pipe >= 0:
        os.close(_ours.pipe)
    _ours = _Janitor()


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def folder(base: Path | None = None) -> Iterator[Path]:
    """A temporary folder, only for this user; it is removed at the end, also if the kit is killed.

    :param base: the folder to make it in; default: where this machine keeps temporary files
    """
    base = (base or Path(tempfile.gettempdir())).resolve()
    held = None
    while held is None:
        path = base / f"incident-{os.urandom(8).hex()}"
        number = _ours.name(do="remove", path=str(path))
        held = _made(path)
        if held is None:
            _ours.forget(number)
    try:
        (path / MARKER).touch()
        yield path
    finally:
        remove(path)
        os.close(held)
        _ours.forget(number)


def _made(path: Path) -> int | None:
    """Make a folder and lock it, so that no sweep takes it for one that was left behind; None if that fails."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return None
    try:
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # swept away already
        return None
    fcntl.flock(held, fcntl.LOCK_SH)
    if path.exists():
        return held
    os.close(held)
    return None


@contextmanager
def at_end(argv: Sequence[str], stdin: str = "") -> Iterator[None]:
    """If the kit is killed inside this context, ``argv`` is run with ``stdin`` as its standard input.

    Leaving the context in order runs nothing: what the command would undo has been undone by then.
    """
    number = _ours.name(do="run", argv=list(argv), stdin=stdin)
    try:
        yield
    finally:
        _ours.forget(number)


def wait_for(pid: int) -> int:
    """Wait for a process that ends by itself after the kit, before anything is removed; the number is for :func:`forget`."""
    return _ours.name(do="wait", pid=pid)


def forget(number: int) -> None:
    """Drop the entry with this number: what it names has ended."""
    _ours.forget(number)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, whatever happens meanwhile.

    :raises OSError: it cannot be written
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    number = _ours.name(do="remove", path=str(draft.absolute()))
    try:
        if isinstance(content, str):
            content = content.encode("utf-8", "backslashreplace")  # JSON reads half a letter back
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
        _ours.forget(number)


def remove(path: str | Path) -> None:
    """Remove a file, or a folder with everything in it, read-only files too. A path that does not exist is no error."""

    def again(function, failed, _):
        with suppress(OSError):
            if failed != path:  # never the folder that it lies in: that is not ours
                os.chmod(os.path.dirname(failed), 0o700)
            os.chmod(failed, 0o700)
            function(failed)

    path = os.fspath(path)
    try:
        os.unlink(path)
    except OSError:
        shutil.rmtree(path, onerror=again)


def mark(path: str | Path) -> dict[str, str]:
    """The variable that marks a process which writes into a folder of ours without working in it: it is ended first."""
    return {"INCIDENT_INSIDE": str(path)}


def end_processes_inside(path: str | Path) -> int:
    """Kill every process that works in this folder or has its mark; the number of them. Needs ``/proc``."""
    path, killed = str(path), 0
    (variable,) = mark(path)
    marked = variable.encode() + b"=" + os.fsencode(path) + b"\0"
    for _ in range(1000):  # what forks away meanwhile is found the next time
        pids = [pid for pid in _processes() if _is_of(pid, path, marked)]
        if not pids:
            break
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        time.sleep(0.01)
    return killed


def _processes() -> list[int]:
    """The living processes of this user; for root, all of them."""
    pids = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        try:
            if entry.isdigit() and os.getuid() in (0, os.stat(f"/proc/{entry}").st_uid):
                with open(f"/proc/{entry}/stat", "rb") as stat:
                    if stat.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X"):
                        pids.append(int(entry))
        except (OSError, IndexError):
            continue
    return [pid for pid in pids if pid != os.getpid()]


def _is_of(pid: int, path: str, marked: bytes) -> bool:
    try:
        folder = os.readlink(f"/proc/{pid}/cwd")
        with open(f"/proc/{pid}/environ", "rb") as environment:
            return folder == path or folder.startswith(path + os.sep) or marked in environment.read()
    except OSError:
        return False


def _sweep(base: str) -> None:
    """Remove the folders that a killed kit and its killed janitor left: marked as ours, and locked by nobody."""
    for name in os.listdir(base):
        path = os.path.join(base, name)
        if not _NAME.fullmatch(name):
            continue
        try:
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            inside = os.listdir(path)  # killed before it set its mark: then it is empty
            if os.fstat(held).st_uid == os.getuid() and (MARKER in inside or not inside):
                _clear(path)
        except OSError:
            pass  # held by a run that is under way
        finally:
            os.close(held)


def _clear(path: str) -> None:
    """Remove a path for good."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if os.path.isdir(path):
            end_processes_inside(path)
        remove(path)
        if not os.path.lexists(path):
            return
        time.sleep(0.05)


def _wait(pid: int) -> None:
    """Wait for a supervisor: it sees the kit's end by itself, and ends what runs below it."""
    until = time.monotonic() + _PATIENCE
    while pid in _processes() and time.monotonic() < until:
        time.sleep(0.01)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sweeping = threading.Thread(target=_sweep, args=sys.argv[1:], daemon=True)
    sweeping.start()
    named: dict[int, dict] = {}
    for line in sys.stdin:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # between lines, or torn: what it names was never made
        named.pop(entry["id"], None)
        if entry["do"] != "forget":
            named[entry["id"]] = entry
    for entry in named.values():
        if entry["do"] == "wait":
            _wait(entry["pid"])
    for entry in reversed(named.values()):
        if entry["do"] == "remove":
            _clear(entry["path"])
        elif entry["do"] == "run":
            with suppress(OSError, subprocess.SubprocessError):
                subprocess.run(entry["argv"], input=entry["stdin"].encode(), timeout=_PATIENCE, check=False)
    time.sleep(_LATE)
    for entry in named.values():
        if os.path.lexists(entry.get("path", "")):
            _clear(entry["path"])
    sweeping.join(_PATIENCE)


if __name__ == "__main__":
    main()
