"""Runs an incident's startup in child processes with the probe, within limits, and gives its trace."""

import http.client
import json
import math
import os
import random
import select
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from . import interrupt
from .errors import RunBroke
from .incident import Incident, Limits, Step
from .janitor import end_processes_inside, forget, mark, wait_for
from .reader import Asked, Ended, Guards, read_trace, signal_name
from .redact import redact
from .trace import Trace
from .workspace import Workspace, workspace

_POLL = 0.02  # seconds between looks whether a server answers
_LOOK = 0.1  # seconds between looks at the limits
_TELLING = 2.0  # seconds that a step which hangs has to end by SIGINT, whose traceback says where it hung
_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUALLY_GIVEN = 32_768  # and above: ports that a system gives to whoever asks for any
_UNPRIVILEGED = 10_000  # and above: few services have a port of their own
_SHELL = set("|&;<>$`\n")
_DRIVER = "import sys; sys.__dict__.pop('_incident_steps')()"
_SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))
# What a process may write to outside its workspace: nothing that stays, but for shared memory and semaphores.
_DEVICES = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm"]


@dataclass
class _Process:
    """One process of the startup under its supervisor."""

    steps: list[tuple[int, Step]]
    folder: Path  # its part of the trace, and what it printed
    supervisor: subprocess.Popen
    started: float
    inside: Path  # its workspace
    named: int  # what the janitor knows it by
    port: int | None = None
    answer: dict | None = field(default=None)
    begun: tuple[int, float] = (0, 0)  # how many steps have begun in it, and when that was seen

    def ended(self, wait: float | None = 0) -> bool:
        """Has it ended, or does it within ``wait`` seconds (None: however long that takes)?"""
        # Its supervisor writes when all is over, and ends: until then nothing needs to be asked.
        if self.answer is None and _readable(self.supervisor.stdout, wait):
            text = self.supervisor.stdout.read()
            self.supervisor.wait()
            forget(self.named)
            self.answer = json.loads(text) if text else self.orphaned()
        return self.answer is not None

    def orphaned(self) -> dict:
        """Its supervisor was killed: what that would have ended is ended here."""
        left = end_processes_inside(self.inside)
        return {"status": None, "error": None, "why": "its supervisor was killed", "left": left}

    def finish(self, *, kill: bool = False) -> None:
        """Ask for the end by SIGINT, or kill at once; returns when nothing of it is left."""
        if not self.ended():
            try:
                if not kill:
                    self.supervisor.stdin.write(b"end\n")
                    self.supervisor.stdin.flush()
                    self.ended(None)
                self.supervisor.stdin.close()
            except OSError:
                pass
            self.ended(None)

    def ask(self) -> Asked:
        """Ask for the end by SIGINT, and do not wait for it."""
        asked = Asked(time.perf_counter_ns(), {path.name: path.stat().st_size for path in self.folder.glob("std*")})
        try:
            self.supervisor.stdin.write(b"end\n")
            self.supervisor.stdin.flush()
        except OSError:
            pass
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

    def printed(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("std*"))


def _readable(stream, wait: float | None) -> bool:
    poll = select.poll()
    poll.register(stream, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(None if wait is None else wait * 1000))


@interrupt.interruptible
def reproduce(
    incident: Incident,
    *,
    patches: Sequence[Path] = (),
    judge: bool = False,
    go_on: bool = False,
    while_up: Callable[[Workspace, int | None], None] | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Trace:
    """Run the startup once, in a workspace of its own, and give what was seen.

    :param patches: applied to the copy before it starts
    :param judge: when a process has ended its work, ask in a forked copy of it whether its mappers configure
    :param go_on: go on past failures: a rejected table takes the place of the first, a module's failing statement
        is passed over; what comes out is marked as such (``Trace.behind``) and is no picture of the real startup
    :param while_up: called with the workspace and the served port (or None) after the last step, while
        what ``serve`` started is still up; also called when a step failed
    :raises IncidentError: a patch does not apply
    :raises RunBroke: before anything could run (no interpreter, no space); a run that breaks later
        gives a trace whose ``broke`` says why
    """
    with workspace(incident, patches) as space:
        return run_startup(incident, space, judge=judge, go_on=go_on, while_up=while_up, progress=progress)


def run_startup(
    incident: Incident,
    space: Workspace,
    *,
    judge: bool = False,
    go_on: bool = False,
    while_up: Callable[[Workspace, int | None], None] | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Trace:
    """As :func:`reproduce`, in a workspace that is already there."""
    for number, step in enumerate(incident.prepare, 1):
        progress(f"prepare {number}: {step}")
        prepared = _run_steps(incident, space, [(number, step)], "prepare", {})
        if prepared.why or not prepared.ok:
            raise RunBroke(
                f"{incident.file}: prepare {number}: {step}: {prepared.why or 'it failed'}. "
                "Steps under 'prepare' are not judged and must succeed. Its last lines:\n" + _tail(prepared.folder)
            )
    orders = {name: "1" for name, given in (("INCIDENT_JUDGE", judge), ("INCIDENT_GO_ON", go_on)) if given}
    ended: list[Ended] = []
    up: list[_Process] = []
    port = None
    try:
        for group in _groups(incident.startup):
            progress("; ".join(f"step {number}: {step}" for number, step in group))
            if group[0][1].kind == "serve":
                process, outcome = _serve(incident, space, group, orders)
                if outcome is None:
                    up.append(process)
                    port = process.port
                    _served.setdefault(space.folder, []).append(port)
                    continue
            else:
                outcome = _run_steps(incident, space, group, "startup", orders)
            ended.append(outcome)
            if outcome.why or not (outcome.ok or go_on):
                break
        if while_up is not None:
            while_up(space, port)
    finally:
        _served.pop(space.folder, None)
        for process in up:
            died = process.ended()
            process.finish()
            ended.append(_outcome(process, ok=not died, why=_died(process) if died else None))
    return read_trace(incident, space, sorted(ended, key=lambda one: one.steps[0][0]))


def _died(process: _Process) -> str:
    """How a server ended that should have stayed up."""
    status = process.answer["status"]
    code = None if status is None else os.waitstatus_to_exitcode(status)
    how = process.answer["why"] or ("" if code is None else f"exit code {code}")
    how = how if code is None or code >= 0 else f"ended by {signal_name(-code)}"
    return "the server ended while it was asked" + (f" ({how})" if how else "")


def _groups(steps: Sequence[Step]) -> list[list[tuple[int, Step]]]:
    """Numbered steps; consecutive import, call and code steps share one interpreter."""
    groups: list[list[tuple[int, Step]]] = []
    for number, step in enumerate(steps, 1):
        if step.in_process and groups and groups[-1][-1][1].in_process:
            groups[-1].append((number, step))
        else:
            groups.append([(number, step)])
    return groups


def _run_steps(incident: Incident, space: Workspace, group, phase: str, orders: dict[str, str]) -> Ended:
    limits = incident.limits
    process = _start_steps(space, group, limits, phase=phase, orders=orders)
    return _wait(process, limits.seconds, limits, space, told=True)


def _wait(process: _Process, seconds: float, limits: Limits, space: Workspace, *, told: bool = False) -> Ended:
    """Wait for a process to end by itself, or end it at a limit; ``told``: where it hung is to be known."""
    free = shutil.disk_usage(space.folder).free
    quiet_since = None
    try:
        while not process.ended(_LOOK):
            why = _beyond(process, seconds, limits, space, free)
            if why:
                asked = _end_at_limit(process, seconds, limits, space, free) if told else None
                process.finish(kill=True)
                return _outcome(process, ok=False, why=why, asked=asked)
            if (process.folder / "finished").exists():
                # All steps are done; threads of the application may keep the interpreter for ever.
                quiet_since = quiet_since or time.monotonic()
                if time.monotonic() - quiet_since > 2:
                    process.finish(kill=True)
                    return _outcome(process, ok=True, why=None)
    finally:
        process.finish(kill=True)  # also when the kit itself is interrupted
    return _outcome(process, ok=None, why=_printed_too_much(process, limits))


def _serve(incident: Incident, space: Workspace, group, orders: dict[str, str]) -> tuple[_Process, Ended | None]:
    """Start a server and wait until it answers; an outcome only if it did not come up."""
    limits = incident.limits
    process = _start_steps(space, group, limits, orders=orders)
    free = shutil.disk_usage(space.folder).free
    look = 0.0
    try:
        # Asked less often the longer it takes: the wait adds at most a fiftieth.
        while not process.ended(max(_POLL, (time.monotonic() - process.started) / 50)):
            if answers(process.port):
                return process, None
            if time.monotonic() < look:
                continue
            look = time.monotonic() + _LOOK
            why = _beyond(process, limits.seconds, limits, space, free)
            if why:
                asked = _end_at_limit(process, limits.seconds, limits, space, free)
                process.finish(kill=True)
                return process, _outcome(process, ok=False, why=f"no answer on its port; {why}", asked=asked)
    except BaseException:
        process.finish(kill=True)
        raise
    return process, _outcome(process, ok=False, why=_printed_too_much(process, limits))


def _end_at_limit(process: _Process, seconds: float, limits: Limits, space: Workspace, free: int) -> Asked | None:
    """Let a process that is past its time tell where it is, within every other limit; when it was asked, or None."""
    if time.monotonic() - process.since() <= seconds:
        return None
    asked, until = process.ask(), time.monotonic() + _TELLING
    while not process.ended(_LOOK) and time.monotonic() < until and not _beyond(process, math.inf, limits, space, free):
        pass
    return asked


def _beyond(process: _Process, seconds: float, limits: Limits, space: Workspace, free: int) -> str | None:
    """Which limit is passed, in words; None while none is. The seconds are those of one step."""
    if time.monotonic() - process.since() > seconds:
        return f"still running after {seconds:g} seconds (limits.seconds)"
    if printed := _printed_too_much(process, limits):
        return printed
    if space.postgresql and space.postgresql.size() > limits.disk_mb << 20:
        return f"its database holds more than {limits.disk_mb} MB (limits.disk_mb)"
    # Walking the workspace costs more than asking the disk: only when enough is gone from the disk.
    gone = free - shutil.disk_usage(space.folder).free
    if gone > limits.disk_mb << 20 and _size(space.folder) > limits.disk_mb << 20:
        return f"wrote more than {limits.disk_mb} MB (limits.disk_mb)"
    return None


def _printed_too_much(process: _Process, limits: Limits) -> str | None:
    """Asked once more at the end: what prints fast fails at the largest file there may be before anybody looks."""
    too_much = process.printed() > limits.output_mb << 20
    return f"printed more than {limits.output_mb} MB (limits.output_mb)" if too_much else None


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                pass
    return total


def _outcome(process: _Process, *, ok: bool | None, why: str | None, asked: Asked | None = None) -> Ended:
    answer = process.answer
    status = answer["status"]
    code = None if status is None else os.waitstatus_to_exitcode(status)
    why = why or answer.get("why")
    if answer["error"]:
        why = f"cannot be started: {answer['error']}"
    elif ok is None and not why and code is not None and code < 0:
        why = f"ended by {signal_name(-code)}"
    if ok is None:
        ok = code == 0 and not why
    guards = Guards(answer.get("guards", ()), answer.get("unguarded", ()), answer.get("refused", ()))
    return Ended(process.steps, process.folder, ok, why, code, process.port, guards, asked)


def _start_steps(space: Workspace, group, limits: Limits, *, phase="startup", orders: dict[str, str]) -> _Process:
    """Start the traced process of one group of steps."""
    folder = space.folder / "trace" / f"{phase}-{group[0][0]}"
    environment = {**space.environment, **orders, "INCIDENT_TRACE": str(folder)}
    step, port = group[0][1], None
    if step.in_process:
        environment["INCIDENT_STEPS"] = repr([(number, one.kind, one.text) for number, one in group])
        argv = [space.python, "-c", _DRIVER]
    else:
        if step.kind == "serve":
            port = free_port()
            environment["PORT"] = str(port)
        argv = command_line(space.filled(step.text.replace("{port}", str(port))), space)
    process = _start(argv, environment, folder, space, limits)
    process.steps, process.port = list(group), port
    return process


def _start(argv: list[str], environment: dict[str, str], folder: Path, space: Workspace, limits: Limits) -> _Process:
    """Start one process under a supervisor of its own."""
    folder.mkdir(parents=True)
    environment = {
        **environment,
        **mark(space.folder),
        "INCIDENT_ALLOWED": " ".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in _allowed(space)
        ),
    }
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
        "guard": {"writable": [str(space.folder), *_DEVICES], "allowed": _allowed(space)},
    }
    interrupt.check()
    supervisor = subprocess.Popen(
        [sys.executable, "-I", "-S", _SUPERVISOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C in a terminal reaches the kit, which then ends the run in order
    )
    supervisor.stdin.write((json.dumps(config) + "\n").encode())
    supervisor.stdin.flush()
    process = _Process([], folder, supervisor, time.monotonic(), space.folder, wait_for(supervisor.pid))
    try:
        interrupt.under_way(supervisor, _end)
    except BaseException:
        process.finish(kill=True)
        raise
    return process


def _end(supervisor: subprocess.Popen) -> None:
    """Let go of a supervisor: it ends all that is below it, and itself."""
    try:
        supervisor.stdin.close()
    except OSError:
        pass


_served: dict[Path, list[int]] = {}  # workspace to the loopback ports that its servers answer on


def _allowed(space: Workspace) -> list[tuple[str, int]]:
    """What a process may connect to beside the ports that it opens itself: servers of the same run, its database."""
    database = [("127.0.0.1", space.postgresql.port)] if space.postgresql else []
    return database + [(host, port) for port in _served.get(space.folder, ()) for host in ("127.0.0.1", "::1")]


class Ran(NamedTuple):
    """A command that ran to its end, or past a limit: ``why`` says which."""

    ok: bool
    why: str | None
    code: int | None
    stdout: str
    stderr: str
    ended: Ended


def run(argv: list[str], space: Workspace, limits: Limits, name: str, *, traced: bool = False) -> Ran:
    """Run one command in the workspace, within limits; its trace is read from ``Ran.ended`` if it is traced."""
    folder = space.folder / "runs" / name
    environment = {**space.environment, **({"INCIDENT_TRACE": str(folder)} if traced else {})}
    process = _start(argv, environment, folder, space, limits)
    process.steps = [(1, Step.model_validate({"command": name}))]
    outcome = _wait(process, limits.seconds, limits, space)
    texts = [(folder / stream).read_text("utf-8", "replace") for stream in ("stdout", "stderr")]
    return Ran(outcome.ok, outcome.why, outcome.code, *texts, outcome)


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
    if _SHELL & set(text) or "=" in words[0]:
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


def free_port() -> int:
    """A loopback port that nobody uses at this moment, and that the system gives to nobody who asks for any.

    One of those might be somebody else's before the server has bound it.
    """
    try:
        given = int(_GIVEN.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        given = _USUALLY_GIVEN
    below = range(_UNPRIVILEGED, given)
    for port in [*random.sample(below, min(len(below), 100)), 0]:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise RunBroke("no loopback port is free for the server")


def answers(port: int | None) -> bool:
    """Does a server answer on this loopback port? Any answer counts, and so does silence on an open line.

    A connection alone proves little: some servers listen before they have loaded the application.
    """
    if port is None:
        return False
    try:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            probe.connect(("127.0.0.1", port))
    except OSError:
        return False
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/", timeout=10):
            return True
    except urllib.error.HTTPError as answer:
        answer.close()
        return True
    except (TimeoutError, ValueError, http.client.HTTPException):  # silence, or no HTTP
        return True
    except urllib.error.URLError as error:
        return not isinstance(error.reason, ConnectionRefusedError)
    except OSError:
        return True


def _tail(folder: Path, lines: int = 8) -> str:
    text = "".join(
        (folder / name).read_text("utf-8", "replace") for name in ("stdout", "stderr") if (folder / name).exists()
    )
    return redact("\n".join("    " + line for line in text.strip().splitlines()[-lines:]))
