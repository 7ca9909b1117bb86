"""Runs one command so that nothing of it outlives its end: a process between the kit and the application.

Standard library only, and little of it, for each process of a startup has one; started as ``python -I -S supervisor.py``,
with a configuration, by ``marshal`` and in hexadecimal, as a line of its standard input, which stays open: a line ``end`` there
asks the command by ``SIGINT`` to end, which has a grace; when it closes (the kit will not wait, or is gone), everything below is ended.

Configuration: ``argv``, ``cwd``, ``env``, ``stdout`` and ``stderr`` (paths), ``limits`` (names of
``resource``, to numbers), ``processes`` (the most there may be at once), ``guard`` (or null: none):
``writable`` (folders and devices that may be changed) and ``allowed`` (``(host, port)`` that may be reached beside the ports that
the command itself opens). On standard output, when all is over, by ``marshal``: ``{"status": wait status or None, "error": text or None,
"why": the limit that ended it or None, "left": processes that had to be killed, "guards": names of those in force,
"unguarded": sentences on what is missing, "refused": [{"what": target, "by": program}]}``.
"""

import _signal as signal
import ctypes
import marshal
import os
import resource
import select
import sys
import time

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # last: some of the kit's names are the library's too

_LINUX = sys.platform.startswith("linux")
if _LINUX:
    import _socket

    import broker
    import landlock
    import seccomp

_GRACE = 5.0  # seconds between asking and killing
_MOST_KILLING = 60.0  # seconds after which what still forks away is left
_LOOK = 0.05  # seconds between looks at how many processes there are
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_PDEATHSIG = 1


def _prctl(option, value):
    """Set an option of this process; elsewhere than on Linux there is none."""
    if _LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class _Started:
    """The command: ``pid`` or ``error``, the guards that it is under, and the broker who answers its calls."""

    def __init__(self):
        self.pid, self.error, self.broker = None, None, None
        self.guards, self.unguarded = [], []


def _start(config):
    """Fork and execute the command under its guards; an error before ``exec`` comes back as text."""
    started = _Started()
    guard = config.get("guard")
    read, write = os.pipe()
    go_read, go_write = os.pipe()
    ours, theirs = _socket.socketpair() if guard and _LINUX else (None, None)
    pid = os.fork()
    if not pid:
        _run(config, write, go_read, theirs)
    os.close(write)
    os.close(go_read)
    taking = bool(ours) and broker.can_take_sockets(pid)
    os.write(go_write, b"1" if taking else b"0")
    os.close(go_write)
    report = {}
    with os.fdopen(read, "rb") as answer:  # until ``exec`` closes it
        while answer.peek(1):
            report.update(marshal.load(answer))
    started.guards, started.unguarded = report.get("guards", []), report.get("unguarded", [])
    listener = broker.received(ours) if ours else None
    if listener is not None:
        rules = {"writable": guard["writable"], "allowed": guard["allowed"], "most": config.get("processes")}
        started.broker = broker.Broker(listener, descendants=_descendants, taking=taking, **rules)
    if "error" in report:
        os.waitpid(pid, 0)
        started.error = report["error"]
    else:
        started.pid = pid
    return started


def _run(config, write, go, channel):
    """In the child: everything between fork and exec; never returns."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a supervisor that is killed takes the command with it
        os.chdir(config["cwd"])
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(config["stdout"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        err = os.open(config["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.set_inheritable(write, False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        taking = os.read(go, 1) == b"1"
        if config.get("guard"):
            guards, unguarded = _guard(config["guard"], channel, taking)
            os.write(write, marshal.dumps({"guards": guards, "unguarded": unguarded}))
        for name, value in config["limits"].items():
            which = getattr(resource, name, None)
            if which is not None:
                hard = resource.getrlimit(which)[1]
                if hard != resource.RLIM_INFINITY:
                    value = min(value, hard)
                resource.setrlimit(which, (value, value))
        os.execvpe(config["argv"][0], config["argv"], config["env"])
    except BaseException as error:
        os.write(write, marshal.dumps({"error": str(error) or "cannot be started"}))
    finally:
        os._exit(127)


def _guard(guard, channel, taking):
    """Apply every guard that this kernel has; one that it lacks never fails the run.

    :returns: ``(names of guards in force, sentences on what is missing)``
    """
    if not _LINUX:
        return [], ["the kernel's guards are Linux's: here, what is no Python code can reach files and network"]
    ports = [port for _, port in guard["allowed"]]
    if not landlock.no_new_privileges():
        return [], ["the kernel does not let a process give up new privileges: no guard of it can be used"]
    guards, missing = [], []
    try:
        if not seccomp.known_machine():
            raise OSError(f"not written for {os.uname().machine}")
        seccomp.install(channel)
        guards += ["seccomp " + it for it in ("connections", "datagrams", "unix sockets", "file modes", "processes")]
        ports = [] if taking else None  # the broker connects, or looks at each connection
    except OSError as error:
        unheld = "UNIX sockets, datagrams and file modes are not held"
        missing.append(f"no seccomp filter ({error}): {unheld}")
    by_landlock, not_there = landlock.confine(guard["writable"], ports)
    if "landlock tcp" not in by_landlock and not guards:
        missing.append("nothing in the kernel holds connections: drivers that are not Python's can reach the network")
    return by_landlock + guards, missing + not_there


_strangers = set()  # processes that were there before this one: nothing of the command's


def _running():
    return {entry for entry in os.listdir("/proc") if entry.isdigit()} if os.path.isdir("/proc/self") else set()


def _descendants():
    """Every living process below this one, by ``/proc``."""
    children, running = {}, _running()
    _strangers.intersection_update(running)  # a number that is free may become a descendant's
    for entry in running - _strangers:
        try:
            with open("/proc/%s/stat" % entry, "rb") as stat:
                fields = stat.read().rsplit(b")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if fields[0] != b"Z":
            children.setdefault(int(fields[1]), []).append(int(entry))
    pids, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        pids += below
        todo += below
    return pids


def _kill_rest(group, ended, broker):
    """Kill what is left until nothing is, also what forks away meanwhile.

    Orphans become children of this process, so when it has no child left there is no descendant either.
    """
    if broker:
        broker.closing = True
    killed, until = set(), time.monotonic() + _MOST_KILLING
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
    while not _reap(ended) and time.monotonic() < until:
        while broker and select.select([broker], [], [], 0)[0] and broker.answer():
            pass
        rest = _descendants()
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stop first, so that nobody forks away meanwhile
            for pid in rest:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
        killed.update(rest)
        if not killed:
            time.sleep(0.001)
    return len(killed)


def _reap(ended):
    """Collect ended children into ``ended``: pid to wait status. True when there is no child left."""
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False
        ended[pid] = code


class _Count:
    """How many processes there are below this one, asked every now and then where no broker counts them."""

    def __init__(self, most):
        self.most, self.next = most, 0.0

    def beyond(self, broker):
        """Are there too many? Where there is no ``/proc``, nobody counts."""
        now = time.monotonic()
        if broker or not self.most or now < self.next:
            return broker and broker.beyond
        self.next = now + _LOOK
        # Which of them are below this one is asked only when there are enough to matter.
        return len(_running() - _strangers) > self.most and len(_descendants()) > self.most


def main():
    config = marshal.loads(bytes.fromhex(sys.stdin.readline()))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the kit ends this process by closing its input
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of the command become children of this process
    _strangers.update(_running())
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    started = _start(config)
    group, ended = started.pid, {}
    why = _wait(group, ended, wake, started.broker, _Count(config.get("processes"))) if group is not None else None
    left = 0 if group is None else _kill_rest(group, ended, started.broker)
    refused = started.broker.refused if started.broker else []
    answer = {"status": ended.get(group), "error": started.error, "why": why, "left": left}
    answer.update(guards=started.guards, unguarded=started.unguarded, refused=refused)
    try:
        sys.stdout.buffer.write(marshal.dumps(answer))
        sys.stdout.flush()
    except OSError:
        pass


def _wait(group, ended, wake, broker, count):
    """Until the command ends, or must end; the limit that it passed, in words."""
    asked, look = None, None if broker else _LOOK
    while group not in ended:
        timeout = look if asked is None else max(0, min(_LOOK, asked + _GRACE - time.monotonic()))
        watched = [wake, 0] + ([broker] if broker else [])
        ready, _, _ = select.select(watched, [], [], timeout)
        if broker in ready:
            broker.answer()
        if wake in ready:
            os.read(wake, 4096)
        _reap(ended)
        if count.beyond(broker):
            return f"more than {count.most} processes at once (limits.processes)"
        if group not in ended and 0 in ready:  # the kit asks for the end, or is gone
            order = os.read(0, 100)
            asked = time.monotonic() if order.startswith(b"end") else time.monotonic() - _GRACE  # closed: at once
            try:
                os.killpg(group, signal.SIGINT)
            except OSError:
                pass
        if asked is not None and time.monotonic() >= asked + _GRACE:
            break
    return None


if __name__ == "__main__":
    main()
