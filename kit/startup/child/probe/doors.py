"""The guards before sockets, names of machines and SQLite's files: what may be reached, and what is refused."""

import os
import sys

from .bodies import _WATCHED
from .frames import _is_app, _walk
from .imports import _door_of
from .recorder import _emit, _ident, _main_thread, _quietly, _text, _thread_name
from .starts import _at_start

# ---- below this line is the text of the probe


# They explain: the kernel, where it can, has its own (``guard/landlock.py``, ``guard/seccomp.py``).

_inside = None  # the workspace; None: no guards asked for
_allowed = ()  # (host, port) that the runner allows, as text
_scratch = None  # the scratch database as _database() gives it; None for a file in the workspace
_opened = []  # weak references to sockets that this process bound
_BELONGS = "A reproduction reaches its scratch database and what it opens itself, nothing else"


def _refused(what):
    """Write down what is about to be refused, with the way to it.

    :returns: the text for the application's exception
    """
    _see_refused(what)
    return "%s: refused by the incident kit. %s." % (what, _BELONGS)


@_quietly
def _see_refused(what):
    within, via = _walk(sys._getframe(2))
    if not within and not _leads_to_app(sys._getframe(2)):
        for frame in _waiting():
            outer, above = _walk(frame)
            if outer or _leads_to_app(frame):
                within, via = outer, above + via
                break
    _emit("refused", what=_text(what), b=within, via=via, th=_thread_name())


def _leads_to_app(frame):
    while frame is not None and not _is_app(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None


def _waiting():
    """Frames that wait for this one: of the greenlets below which it runs, else of the main thread, for a library's own."""
    greenlet = sys.modules.get("greenlet")
    parent = greenlet.getcurrent().parent if hasattr(greenlet, "getcurrent") else None
    while parent is not None:
        if parent.gr_frame is not None:
            yield parent.gr_frame
        parent = parent.parent
    if _ident() != _main_thread:
        yield sys._current_frames().get(_main_thread)


_heeded = {}  # audit event -> what is done with its arguments
_hearing = False


def _hear(frame=None):
    """Add the audit hook: that there is one makes Python collect the arguments of each event, two dozen a module."""
    global _hearing
    if not _hearing:
        _hearing = True
        sys.addaudithook(_heard)


def _heard(event, args):
    """Python's own audit events: they come before the act, and with no frame of ours on the stack."""
    if event in _heeded:
        _heeded[event](args)


def _watch_guarded(namespace):
    """The hook is added with the first socket, look-up of a name or connection of SQLite."""
    if _inside is None:
        return
    for name in ("gethostbyname", "gethostbyname_ex") if "gethostbyname" in namespace else ("connect",):
        namespace[name] = _door_of(namespace[name], _hear)
    if "getaddrinfo" in namespace:
        _at_start(namespace["getaddrinfo"], _hear)
        _at_start(namespace["socket"].__init__, _hear)


_WATCHED.update({"socket": _watch_guarded, "sqlite3.dbapi2": _watch_guarded})
_WATCHED["gevent"] = lambda namespace: _inside is None or _hear()  # its sockets are not those of ``socket``


def _number(name, otherwise):
    return getattr(sys.modules.get("errno"), name, otherwise)


def _on_connect(args):
    target = _socket_target(args[0], args[1]) if args[1] is not None else None
    if target:
        raise ConnectionRefusedError(_number("ECONNREFUSED", 111), _refused(target))


def _on_look_up(args):
    target = _name_target(*args[:2])
    if target:
        sockets = sys.modules["_socket"]
        raise sockets.gaierror(sockets.EAI_AGAIN, _refused(target))


def _on_sqlite(args):
    target = _sqlite_target(args[0])
    if target:
        raise PermissionError(_number("EACCES", 13), _refused(target))


@_quietly
def _on_bind(args):
    from _weakref import ref

    if type(args[0]).__weakrefoffset__:  # Python's own; one of ``_socket`` is found by the system's list
        _opened[:] = [opened for opened in _opened if opened() is not None] + [ref(args[0])]


_GUARDED = {
    "socket.connect": _on_connect,
    "socket.sendto": _on_connect,
    "socket.sendmsg": _on_connect,
    "socket.getaddrinfo": _on_look_up,
    "socket.gethostbyname": _on_look_up,
    "socket.bind": _on_bind,
    "sqlite3.connect": _on_sqlite,
}


@_quietly
def _socket_target(sock, address):
    """An address that may not be reached, in words; None for one that may."""
    if isinstance(address, (str, bytes)):
        return _unix_target(os.fsdecode(address))
    if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[0], str):
        return None  # the kernel's own, as netlink
    host, port = address[:2]
    if _may_reach(host, port):
        return None
    return "%s %s" % ("udp" if int(sock.type) & 15 == 2 else "tcp", _at(host, port))


def _at(host, port):
    return "%s:%s" % ("[%s]" % host if ":" in host else host, port)


def _unix_target(path):
    if path[:1] in ("", "\0") or not os.path.exists(path) or _is_inside(path):
        return None
    return "unix socket " + path


def _is_inside(path):
    return os.path.realpath(path).startswith(_inside)


def _may_reach(host, port):
    if _at(host, port) in _allowed or (host == "localhost" and _at("127.0.0.1", port) in _allowed):
        return True
    return _is_here(host) and _is_ours(int(port))


def _is_here(host):
    """Is this an address of this machine? One that a socket can be bound to."""
    if host in ("", "localhost", "0.0.0.0", "::", "::1") or host.startswith("127."):
        return True
    if not _is_literal(host):
        return False
    sockets = sys.modules["_socket"]
    probe = sockets.socket(sockets.AF_INET6 if ":" in host else sockets.AF_INET, sockets.SOCK_DGRAM)
    try:
        probe.bind((host, 0))
        return True
    except OSError:
        return False
    finally:
        probe.close()


def _is_literal(host):
    return ":" in host or host.replace(".", "").isdigit()


def _is_ours(port):
    """Did a process of this run open this port? A database of the machine's own is none of it."""
    for opened in _opened:
        try:
            if opened() is not None and opened().getsockname()[1] == port:
                return True
        except (OSError, IndexError, TypeError):
            continue
    wanted, mark = set(), b"INCIDENT_INSIDE=" + os.fsencode(_inside.rstrip(os.sep)) + b"\0"
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in _read("/proc/self/net/" + name).splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rsplit(b":", 1)[1], 16) == port and (name[0] == "u" or fields[3] == b"0A"):
                wanted.add("socket:[%s]" % fields[9].decode())
    for pid in os.listdir("/proc") if wanted else ():
        if pid.isdigit() and mark in _read("/proc/%s/environ" % pid):
            try:
                folder = "/proc/%s/fd/" % pid
                if any(os.readlink(folder + fd) in wanted for fd in os.listdir(folder)):
                    return True
            except OSError:
                continue
    return False


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


@_quietly
def _name_target(host, port=None):
    """A name that only a name server knows; asking one would leave this machine."""
    host = os.fsdecode(host) if isinstance(host, (str, bytes)) else ""
    if not host or _is_literal(host) or host == "localhost" or host.endswith(".localhost"):
        return None
    known = {os.uname().nodename} if hasattr(os, "uname") else set()
    for line in _read("/etc/hosts").decode("utf-8", "replace").splitlines():
        known.update(line.split("#")[0].split()[1:])
    if host in known or any(address.startswith(host + ":") for address in _allowed):
        return None
    return "%s (looking up its name)" % (host if port is None else _at(host, port))


@_quietly
def _sqlite_target(name):
    """A database file outside the workspace that would not be opened for reading only."""
    name = os.fsdecode(name)
    if name.startswith("file:"):
        name, _, query = name[5:].split("#")[0].partition("?")
        name = "/" + name[2:].partition("/")[2] if name.startswith("//") else name
        if {"mode=memory", "mode=ro", "immutable=1"} & set(query.split("&")):
            return None
    if name in ("", ":memory:") or _is_inside(name):
        return None
    return "sqlite:///" + os.path.realpath(name)


def _database(url):
    """``(dialect, host, port, database)`` of a URL; None for SQLite, whose files the workspace holds."""
    scheme, _, rest = url.partition("://")
    dialect = scheme.split("+")[0]
    if not rest or dialect == "sqlite":
        return None
    where, _, database = rest.split("?")[0].partition("/")
    host, _, port = where.rpartition("@")[2].partition(":")
    return {"postgres": "postgresql"}.get(dialect, dialect), host, port, database


def _begin_guards():
    global _inside, _allowed, _scratch
    inside = os.environ.get("INCIDENT_INSIDE")
    if inside:
        _inside = os.path.join(os.path.realpath(inside), "")
        _allowed = tuple(os.environ.get("INCIDENT_ALLOWED", "").split())
        _scratch = _database(os.environ.get("INCIDENT_SCRATCH", ""))
        _heeded.update(_GUARDED)
        _emit("guard", name="audit hook")
