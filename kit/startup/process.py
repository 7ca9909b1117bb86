"""One process in a workspace: started under a supervisor, watched at its limits, ended with all below it."""

import marshal
import math
import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..base import interrupt
from ..base.errors import RunBroke
from ..base.janitor import end_processes_inside, forget, mark, wait_for
from ..base.redact import redact
from ..incident.model import Limits
from ..incident.steps import Step
from ..trace.processes import Asked, Ended, Guards, ended_by
from ..trace.values import Broke
from .workspace import Workspace

LOOK = 0.1  # seconds between looks at the limits
_TELLING = 2.0  # seconds that a step which hangs has to end by SIGINT, whose traceback says where it hung
_SHELL = set("|&;<>$`\n")
_SUPERVISOR = str(Path(__file__).parent / "guard" / "supervisor.py")
# What a process may write to outside its workspace: nothing that stays, but for shared memory and semaphores.
_DEVICES = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm"]


@dataclass
class Process:
    """One process of the startup under its supervisor."""

    steps: list[tuple[int, Step]]
    folder: Path  # its part of the trace, and what it printed
    supervisor: subprocess.Popen
    started: float
    inside: Path  # its workspace
    named: int  # what the janitor knows it by
    port: int | None = None
    answer: dict | None = field(default=None)
    stopped: Asked | None = None
    begun: tuple[int, float] = (0, 0)  # how many steps have begun in it, and when that was seen

    def ended(self, wait: float | None = 0) -> bool:
        """Has it ended, or does it within ``wait`` seconds (None: however long that takes)?"""
        # Its supervisor writes when all is over, and ends: until then nothing needs to be asked.
        if self.answer is None and _readable(self.supervisor.stdout, wait):
            text = self.supervisor.stdout.read()
            self.supervisor.wait()
            forget(self.named)
            self.answer = marshal.loads(text) if text else self.orphaned()
        return self.answer is not None

    def orphaned(self) -> dict:
        """Its supervisor was killed: what that would have ended is ended here."""
        left = end_processes_inside(self.inside)
        return {"status": None, "error": None, "why": Broke("killed", "its supervisor was killed"), "left": left}

    def finish(self, *, kill: bool = False) -> None:
        """Ask for the end by SIGINT, or kill at once; returns when nothing of it is left."""
        if not self.ended():
            with suppress(OSError):
                if not kill:
                    (self.folder / "ending").touch()
                    self.stopped = self.ask()
                    self.ended(None)
                self.supervisor.stdin.close()
            self.ended(None)

    def ask(self) -> Asked:
        """Ask for the end by SIGINT, and do not wait for it; when that was, and what was printed by then."""
        asked = Asked(time.perf_counter_ns(), sizes_of(self.folder))
        with suppress(OSError):
            self.supervisor.stdin.write(b"end\n")
            self.supervisor.stdin.flush()
        return asked

    def since(self) -> float:
        """When the step that it is at began; before the first, when the process did."""
        try:
            count = (self.folder / "stepping").stat().st_size
        except OSError:
            count = 0
        if count != self.begun[0]:
            self.begun = (count, time.monotonic())
        return self.begun[1] if self.begun[0] > 1 else self.started


def sizes_of(folder: Path) -> dict[str, int]:
    """How much a process has printed, by stream."""
    return {path.name: path.stat().st_size for path in folder.glob("std*")}


def _readable(stream, wait: float | None) -> bool:
    poll = select.poll()
    poll.register(stream, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(None if wait is None else wait * 1000))


class Ran(NamedTuple):
    """A command that ran to its end, or past a limit: ``why`` says which; secrets of ``stderr`` are masked, ``stdout`` may be data."""

    ok: bool
    why: Broke | None
    code: int | None
    stdout: str
    stderr: str
    ended: Ended


def run(argv: list[str], space: Workspace, limits: Limits, name: str, *, traced: bool = False) -> Ran:
    """Run one command in the workspace, within limits; its trace is read from ``Ran.ended`` if it is traced."""
    folder = space.folder / "runs" / name
    environment = {**space.environment, **({"INCIDENT_TRACE": str(folder)} if traced else {})}
    process = start(argv, environment, folder, space, limits)
    process.steps = [(1, Step.model_validate({"command": name}))]
    outcome = wait(process, limits.seconds, limits, space)
    stdout, stderr = ((folder / stream).read_text("utf-8", "replace") for stream in ("stdout", "stderr"))
    return Ran(outcome.ok, outcome.why, outcome.code, stdout, redact(stderr), outcome)


def command_line(text: str, space: Workspace) -> list[str]:
    """A command as its words; through a shell only where it uses one.

    :raises RunBroke: there is no such program
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise RunBroke(f"command {text!r}: {error}") from None
    if not words:
        raise RunBroke("a command is empty")
    # Within single quotes a shell reads nothing; where others, or a backslash, decide what is within, it is asked.
    unquoted = text if set(text) & set('"\\') else re.sub(r"'[^']*'", "", text)
    if _SHELL & set(unquoted) or "=" in words[0]:
        return ["/bin/sh", "-c", text]
    if words[0] in ("python", "python3"):
        return [space.python, *words[1:]]
    program = shutil.which(words[0], path=space.environment["PATH"]) if "/" not in words[0] else words[0]
    if program is None:
        raise RunBroke(
            f"command {text!r}: there is no program {words[0]!r} beside {Path(space.python).name} of the application's "
            "environment nor on the system's path. Install it there, or name another interpreter in app.python."
        )
    return [program, *words[1:]]


def start(argv: list[str], environment: dict[str, str], folder: Path, space: Workspace, limits: Limits) -> Process:
    """Start one process under a supervisor of its own."""
    folder.mkdir(parents=True)
    # What it may connect to beside the ports that it opens itself: its database, servers of the same run.
    allowed = [("127.0.0.1", space.postgresql.port)] if space.postgresql else []
    allowed += [(host, process.port) for process in space.up for host in ("127.0.0.1", "::1")]
    shown = " ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in allowed)
    environment = {**environment, **mark(space.folder), "INCIDENT_ALLOWED": shown}
    if space.postgresql:  # a file in the workspace needs no naming
        environment["INCIDENT_SCRATCH"] = space.database_url
    resources = {"RLIMIT_CORE": 0, "RLIMIT_AS": limits.memory_mb << 20, "RLIMIT_FSIZE": limits.disk_mb << 20}
    config = {
        "argv": argv,
        "cwd": str(space.workdir),
        "env": environment,
        "stdout": str(folder / "stdout"),
        "stderr": str(folder / "stderr"),
        "limits": resources,
        "processes": limits.processes,
        "guard": {"writable": [str(space.folder), *_DEVICES], "allowed": allowed},
    }
    interrupt.check()
    supervisor = subprocess.Popen(
        [sys.executable, "-I", "-S", _SUPERVISOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C in a terminal reaches the kit, which then ends the run in order
    )
    supervisor.stdin.write(f"{marshal.dumps(config).hex()}\n".encode())
    supervisor.stdin.flush()
    process = Process([], folder, supervisor, time.monotonic(), space.folder, wait_for(supervisor.pid))
    try:
        interrupt.under_way(supervisor, _end)
    except BaseException:
        process.finish(kill=True)
        raise
    return process


def _end(supervisor: subprocess.Popen) -> None:
    """Let go of a supervisor: it ends all that is below it, and itself."""
    with suppress(OSError):
        supervisor.stdin.close()


def so_far(space: Workspace) -> list[Ended]:
    """The processes that serve, as if they had ended now."""
    return [Ended(process.steps, process.folder, True, None, None, process.port) for process in space.up]


def wait(
    process: Process, seconds: float, limits: Limits, space: Workspace, *, ask_where: bool = False, done: Callable[[], bool] | None = None,
) -> Ended:  # fmt: skip
    """Wait for a process to end by itself, or end it at a limit; ``ask_where``: find out where it hung.

    :param done: has it done all that it does, and would stay up for ever?
    """
    free = shutil.disk_usage(space.folder).free
    quiet_since = None
    try:
        while not process.ended(LOOK):
            why = beyond(process, seconds, limits, space, free)
            if why:
                asked = end_at_limit(process, seconds, limits, space, free) if ask_where else None
                process.finish(kill=True)
                return outcome_of(process, ok=False, why=why, asked=asked)
            if done is not None and done():
                process.finish()
                return outcome_of(process, ok=True, why=None)
            if (process.folder / "finished").exists():
                # All steps are done; threads of the application may keep the interpreter for ever.
                quiet_since = quiet_since or time.monotonic()
                if time.monotonic() - quiet_since > 2:
                    process.finish(kill=True)
                    return outcome_of(process, ok=True, why=None)
    finally:
        process.finish(kill=True)  # also when the kit itself is interrupted
    return outcome_of(process, ok=None, why=printed_too_much(process, limits))


def end_at_limit(process: Process, seconds: float, limits: Limits, space: Workspace, free: int) -> Asked | None:
    """Let a process that is past its time tell where it is, within every other limit; when it was asked, or None."""
    if time.monotonic() - process.since() <= seconds:
        return None
    asked, until = process.ask(), time.monotonic() + _TELLING
    while not process.ended(LOOK) and time.monotonic() < until and not beyond(process, math.inf, limits, space, free):
        pass
    return asked


def beyond(process: Process, seconds: float, limits: Limits, space: Workspace, free: int) -> Broke | None:
    """Which limit is passed; None while none is. The seconds are those of one step."""
    if time.monotonic() - process.since() > seconds:
        return Broke("limit", f"still running after {seconds:g} seconds (limits.seconds)", "seconds")
    if printed := printed_too_much(process, limits):
        return printed
    if space.postgresql and space.postgresql.size() > limits.disk_mb << 20:
        return Broke("limit", f"its database holds more than {limits.disk_mb} MB (limits.disk_mb)", "disk_mb")
    # Walking the workspace costs more than asking the disk: only when enough is gone from the disk.
    gone = free - shutil.disk_usage(space.folder).free
    if gone > limits.disk_mb << 20 and _size(space.folder) > limits.disk_mb << 20:
        return Broke("limit", f"wrote more than {limits.disk_mb} MB (limits.disk_mb)", "disk_mb")
    return None


def printed_too_much(process: Process, limits: Limits) -> Broke | None:
    """Asked once more at the end: what prints fast fails at the largest file there may be before anybody looks."""
    too_much = sum(sizes_of(process.folder).values()) > limits.output_mb << 20
    says = f"printed more than {limits.output_mb} MB (limits.output_mb)"
    return Broke("limit", says, "output_mb") if too_much else None


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def limit_of(answer: dict) -> Broke | None:
    """Why the supervisor ended a process: the only limit that it watches is that of processes."""
    why = answer.get("why")
    return Broke("limit", why, "processes") if isinstance(why, str) else why


def outcome_of(process: Process, *, ok: bool | None, why: Broke | None, asked: Asked | None = None) -> Ended:
    answer = process.answer
    status = answer["status"]
    code = None if status is None else os.waitstatus_to_exitcode(status)
    why = why or limit_of(answer)
    if answer["error"]:
        why = Broke("not-started", f"cannot be started: {answer['error']}")
    elif ok is None and not why and code is not None and code < 0:
        why = ended_by(-code)
    if ok is None:
        ok = code == 0 and not why
    guards = Guards(answer.get("guards", ()), answer.get("unguarded", ()), answer.get("refused", ()))
    return Ended(process.steps, process.folder, ok, why, code, process.port, guards, asked, process.stopped)
