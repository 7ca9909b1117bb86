"""Runs one command so that nothing of it outlives its end: a process between the kit and the application.

Standard library only; started as ``python -I -S supervisor.py``, with a configuration as JSON on its
standard input, which stays open: when it closes (the kit asks, or the kit itself is gone), everything
below this process is ended, the command first asked by ``SIGINT``.

Configuration: ``argv``, ``cwd``, ``env``, ``stdout`` and ``stderr`` (paths), ``limits`` (names of
``resource``, to numbers). On standard output, when all is over, one line of JSON:
``{"status": wait status or null, "error": text or null, "left": processes that had to be killed}``.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time

_GRACE = 5.0  # seconds between asking and killing
_PR_SET_CHILD_SUBREAPER = 36


def _become_subreaper():
    """Orphans of the command become children of this process (Linux); elsewhere its group has to do."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _start(config):
    """Fork and execute the command; an error before ``exec`` comes back as text."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        with os.fdopen(read, "r") as answer:
            error = answer.read()
        if error:
            os.waitpid(pid, 0)
            return None, error
        return pid, None
    try:
        os.setsid()
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
        for name, value in config["limits"].items():
            which = getattr(resource, name, None)
            if which is not None:
                hard = resource.getrlimit(which)[1]
                if hard != resource.RLIM_INFINITY:
                    value = min(value, hard)
                resource.setrlimit(which, (value, value))
        os.execvpe(config["argv"][0], config["argv"], config["env"])
    except BaseException as error:
        os.write(write, str(error).encode("utf-8", "replace") or b"cannot be started")
    finally:
        os._exit(127)


def _descendants():
    """Every living process below this one, by ``/proc``."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry, "rb") as stat:
                    fields = stat.read().rsplit(b")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if fields[0] != b"Z":
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _kill_rest(group, ended):
    """Kill what is left until nothing is: stop first, so that nobody forks away meanwhile."""
    killed = set()
    for _ in range(200):
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass
        rest = _descendants() if os.path.isdir("/proc/self") else []
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in rest:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
        killed.update(rest)
        _reap(ended)
        if not rest and group in ended:
            break
        time.sleep(0.01)
    return len(killed)


def _reap(ended):
    """Collect ended children into ``ended``: pid to wait status."""
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ended[pid] = code


def main():
    config = json.loads(sys.stdin.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the kit ends this process by closing its input
    _become_subreaper()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    group, error = _start(config)
    ended, asked = {}, None
    while group is not None and group not in ended:
        timeout = None if asked is None else max(0, asked + _GRACE - time.monotonic())
        ready, _, _ = select.select([wake] + ([0] if asked is None else []), [], [], timeout)
        if wake in ready:
            os.read(wake, 4096)
        _reap(ended)
        if group not in ended and 0 in ready:  # the kit asks for the end, or is gone
            order = os.read(0, 100)
            asked = time.monotonic() if order.startswith(b"end") else time.monotonic() - _GRACE
            try:
                os.killpg(group, signal.SIGINT)
            except OSError:
                pass
        if asked is not None and time.monotonic() >= asked + _GRACE:
            break
    left = 0 if group is None else _kill_rest(group, ended)
    answer = {"status": ended.get(group), "error": error, "left": left}
    try:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    except OSError:
        pass


if __name__ == "__main__":
    main()
