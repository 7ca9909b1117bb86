"""A process that waits where the application would begin, its packages imported, and is forked for each run."""

import os
import sys
from time import perf_counter_ns as _now

from .doors import _database, _hear, _heeded, _inside
from .recorder import _file, _json, _write
from .steps import _steps

# ---- below this line is the text of the probe

_ORDERS, _NEWS = 240, 241  # as the supervisor has them
_WARM = os.environ.pop("INCIDENT_WARM", None)  # a file: the modules to import, each in a line
_asked = set()  # names of the environment that packages read or set while they were imported
_set = {}  # what they set
_waiting = _WARM is not None
_unlike = []  # why a run that is forked would not be as any other


class _Environment(dict):
    """Notes what is read of it; None: all of it."""

    def __getitem__(self, key):
        _asked.add(os.fsdecode(key))
        return dict.__getitem__(self, key)

    def __iter__(self):
        _asked.add(None)
        return dict.__iter__(self)


def _wait_warm():
    """Import the packages and wait; returns in each process that is forked, as if it had just done that by itself."""
    if not _waiting:
        return
    try:
        began = _now()
        _import_packages(_content_of(_WARM).decode().split())
        reason = _unlike[0] if _unlike else _left_behind()
        before = [] if reason else _cut_lines(_content_of(_file.path).decode())
        os.write(_NEWS, (reason or "ready").replace("\n", " ").encode("ascii", "replace") + b"\n")
        order = None if reason else _next_order(_now() - began)
    except BaseException as problem:
        os.write(_NEWS, ("it fails: %r" % problem).replace("\n", " ").encode("ascii", "replace") + b"\n")
        order = None
    if order is None:
        os._exit(1)  # never on to the application
    try:
        _be_run(*order, before)
    except BaseException:
        os.write(_NEWS, b"failed\n")
        os._exit(1)
    os.write(_NEWS, b"%d\n" % os.getpid())
    os.close(_NEWS)
    os.close(_ORDERS)


def _next_order(spent):
    """In a process that is forked for it: the next order, and ``spent``; None when there is none any more."""
    while True:  # each run is a child of nobody, as it is where the supervisor starts it
        order = b""
        while not order.endswith(b"\n"):
            more = os.read(_ORDERS, 1 << 16)
            if not more:
                return None
            order += more
        first = os.fork()
        if first == 0:
            if os.fork() != 0:
                os._exit(0)
            return sys.modules["marshal"].loads(bytes.fromhex(order.decode("ascii"))), spent
        os.waitpid(first, 0)


def _emit_process(time, steps):
    """This process begins; ``steps``: to run those of the startup."""
    fields = {"pid": os.getpid(), "parent": os.getppid(), "version": list(sys.version_info[:3])}
    fields.update(implementation=sys.implementation.name, executable=sys.executable, steps=steps)
    _write('{"k":"process","t":%d,%s\n' % (time, _json(fields)[1:]))


def _import_packages(names):
    """Import them in order, and see what they do beside: the application's copy is not on the path."""
    path, heeded, before = list(sys.path), dict(_heeded), dict(os.environ)
    sys.path[:] = [entry for entry in path if entry and not _is_in_workspace(entry)]
    _hear()
    for event, says in _TELLING.items():
        _heeded[event] = lambda args, says=says: _unlike.append(says)
    _heeded.update({"open": _on_open, "os.listdir": _on_list, "os.scandir": _on_list})
    noted = os.environ._data = _Environment(os.environ._data)
    try:
        for name in names:
            if name not in sys.modules:
                __import__(name)
    except BaseException as problem:
        _unlike.append("%s cannot be imported without the application: %s" % (name, type(problem).__name__))
    finally:
        os.environ._data = {name: dict.__getitem__(noted, name) for name in dict.keys(noted)}
        _heeded.clear()
        _heeded.update(heeded)
        sys.path[:] = path
    _set.update((name, text) for name, text in os.environ.items() if before.get(name) != text)
    _asked.update(_set)
    if before.keys() - os.environ.keys():
        _unlike.append("a package takes something out of the environment while it is imported")
    here = (name for name, module in list(sys.modules.items()) if _is_in_workspace(getattr(module, "__file__", None)))
    _unlike.extend("%s is of the application" % name for name in here)


_TELLING = {
    "_thread.start_new_thread": "a package starts a thread while it is imported",
    "_thread.start_joinable_thread": "a package starts a thread while it is imported",
    "socket.connect": "a package connects while it is imported",
    "subprocess.Popen": "a package starts a process while it is imported",
    "os.fork": "a package forks while it is imported",
    "os.posix_spawn": "a package starts a process while it is imported",
    "sqlite3.connect": "a package opens a database while it is imported",
    "os.chdir": "a package changes the working folder while it is imported",
}


def _is_in_workspace(path):
    return isinstance(path, str) and bool(_inside) and os.path.realpath(path).startswith(_inside)


def _on_open(args):
    path, _, flags = args
    if isinstance(path, (str, bytes)) and path != _file.path:
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and path != os.devnull or _is_in_workspace(os.path.abspath(os.fsdecode(path))):
            _unlike.append("a package opens %s while it is imported" % os.path.basename(os.fsdecode(path)))


def _on_list(args):
    if isinstance(args[0], (str, bytes)) and _is_in_workspace(os.path.abspath(os.fsdecode(args[0]))):
        _unlike.append("a package looks through the application's folder while it is imported")


def _left_behind():
    """What imports left that a forked process does not have, or shares: threads, descriptors; and what they printed."""
    if len(os.listdir("/proc/self/task")) > 1:
        return "a package leaves a thread that runs"
    for fd in os.listdir("/proc/self/fd"):
        place = "/proc/self/fd/" + fd
        if int(fd) not in (0, 1, 2, _ORDERS, _NEWS) and os.path.exists(place) and os.readlink(place) != _file.path:
            return "a package leaves open: " + os.path.basename(os.readlink(place))
    if os.fstat(1).st_size or os.fstat(2).st_size:
        return "a package prints while it is imported"
    return None


def _content_of(path):
    """Of a file, and without ``open``, which may import something."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def _cut_lines(trace):
    """What was recorded until now, each line cut at its time: ``(before, time or None, after)``."""
    cut = []
    for line in trace.rstrip("\0").split("\n")[:-1]:
        head, mark, rest = line.partition('"t":')
        time, _, tail = rest.partition(",")
        cut.append((head + mark, int(time), "," + tail + "\n") if mark else (head + "\n", None, ""))
    return cut


def _be_run(order, spent, before):
    """Become the run that was asked for: where it writes, its environment and arguments, its own trace.

    That begins with what the imports recorded, as if they had come just now.
    """
    global _FOLDER, _file, _allowed, _scratch, _waiting
    os.setsid()
    for number, path in ((1, order["stdout"]), (2, order["stderr"])):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"], **_set)
    os.environ.pop("INCIDENT_STEPS", None)
    count = len(sys.argv) - 1
    for argv in (sys.argv, getattr(sys, "orig_argv", [])):
        argv[len(argv) - count :] = order["argv"][len(order["argv"]) - count :]
    _allowed = tuple(os.environ.get("INCIDENT_ALLOWED", "").split())
    _scratch = _database(os.environ.get("INCIDENT_SCRATCH", ""))
    _FOLDER = _file.folder = os.environ["INCIDENT_TRACE"]
    _file.open()
    _waiting = False
    begun = before[0][1]
    later = _now() - spent - begun
    _emit_process(begun + later, steps=bool(_steps))
    for head, time, tail in before[1:]:
        _write(head + ("" if time is None else "%d" % (time + later)) + tail)
    _heeded["os.putenv"] = _heeded["os.unsetenv"] = _on_environment


def _on_environment(args):
    """A package was imported under another value than this one: whoever reads the trace is told."""
    name = os.fsdecode(args[0])
    if name in _asked or None in _asked:
        fd = os.open(os.path.join(_FOLDER, "unlike"), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, name.encode())
        os.close(fd)
