"""A seccomp filter whose few questions the supervisor answers: may this call connect there, change that file's mode,
make one more process?

Standard library only; Linux 5.0 and later, x86-64 and ARM64; needs no privilege, and cannot be undone.
The child installs the filter between fork and exec (:func:`install`) and hands its listener to the supervisor,
which answers with a :class:`Broker`. The kernel has no rule for "loopback ports that this run opened" nor for
UNIX sockets by path, and none for the number of processes that holds for root as well: so somebody has to
look. The application's other calls are not touched.

A TCP connection that is allowed is made by the supervisor itself, on a copy of the socket, to the address
that was judged. Where the machine does not let it (``pidfd_getfd``), the kernel goes on with the
application's own call; then a hostile thread could exchange the address in between.
"""

import _socket
import _thread
import ctypes
import errno
import fcntl
import os
import struct

_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5
_RECV, _SEND = 0xC0502100, 0xC0182101
_ALLOW, _ASK, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
_CONTINUE = 1
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_HARMLESS = (0, 16, 38)  # unspecified (disconnects), netlink (asks the kernel), the kernel's ciphers
_MOST = 100  # refusals that are kept

# How a call names its file: ("path", argument), ("link", argument) where a link itself is meant,
# ("at", folder, argument, flags that may say so or None) or ("fd", argument).
_FILES = {
    "x86_64": {
        **dict.fromkeys((90, 92, 132, 188, 197, 235), ("path", 0)),
        **dict.fromkeys((94, 189, 198), ("link", 0)),
        **dict.fromkeys((261, 268), ("at", 0, 1, None)),
        260: ("at", 0, 1, 4),
        280: ("at", 0, 1, 3),
        452: ("at", 0, 1, 3),
        **dict.fromkeys((91, 93, 190, 199), ("fd", 0)),
    },
    "aarch64": {
        **dict.fromkeys((5, 14), ("path", 0)),
        **dict.fromkeys((6, 15), ("link", 0)),
        53: ("at", 0, 1, None),
        54: ("at", 0, 1, 4),
        88: ("at", 0, 1, 3),
        452: ("at", 0, 1, 3),
        **dict.fromkeys((7, 16, 52, 55), ("fd", 0)),
    },
}
_NOFOLLOW = 0x100
# The architecture in the kernel's words; seccomp(2); connect, sendto, sendmsg, sendmmsg.
_MACHINES = {"x86_64": (0xC000003E, 317, 42, 44, 46, 307), "aarch64": (0xC00000B7, 277, 203, 206, 211, 269)}
_MACHINE = os.uname().machine
_IO_URING_SETUP = 425
# clone, and those that are it under other names; clone3 hides its flags from a filter, and has clone to fall back on.
_CLONES = {"x86_64": (56, (57, 58)), "aarch64": (220, ())}
_CLONE3, _CLONE_THREAD = 435, 0x10000

_libc = ctypes.CDLL(None, use_errno=True)


# ------------------------------------------------------------------------------ in the child


def known_machine():
    """Are this machine's numbers known?"""
    return _MACHINE in _MACHINES and ctypes.sizeof(ctypes.c_void_p) == 8


def install(channel):
    """Filter this process and all below it, and send the listener through ``channel``, a UNIX socket.

    :raises OSError: the kernel refuses
    """
    # sendmsg is one of the calls that will be asked about, and nobody can answer yet: but for this descriptor.
    out = fcntl.fcntl(channel.fileno(), fcntl.F_DUPFD_CLOEXEC, 200)
    program = _program(out)
    code = b"".join(struct.pack("<HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer))
    seccomp = _MACHINES[_MACHINE][1]
    for flags in (_LISTENER | _WAIT_KILLABLE, _LISTENER):
        listener = _libc.syscall(seccomp, 1, flags, fprog)
        if listener >= 0:
            break
    else:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", listener))]
    _socket.socket(fileno=out).sendmsg([b"x"], rights)
    os.close(listener)


def _program(out):
    """The filter in the kernel's own instructions: ``(code, jump if true, jump if false, value)``."""
    arch, _, connect, sendto, sendmsg, sendmmsg = _MACHINES[_MACHINE]
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06

    def argument(number):
        return 16 + 8 * number

    lines = [
        (load, 0, 0, 4),
        (equal, 1, 0, arch),
        (give, 0, 0, _ERRNO | errno.ENOSYS),  # another architecture's calls have other numbers
        (load, 0, 0, 0),
        (at_least, 0, 1, 0x40000000),
        (give, 0, 0, _ERRNO | errno.ENOSYS),  # so has the x32 variant
        (equal, 0, 1, _IO_URING_SETUP),
        (give, 0, 0, _ERRNO | errno.ENOSYS),  # its requests would be seen by no filter
        (equal, 0, 1, _CLONE3),
        (give, 0, 0, _ERRNO | errno.ENOSYS),
        (equal, 0, 4, _CLONES[_MACHINE][0]),
        (load, 0, 0, argument(0)),
        (any_bit, 0, 1, _CLONE_THREAD),
        (give, 0, 0, _ALLOW),
        (give, 0, 0, _ASK),
        (equal, 0, 6, sendto),
        (load, 0, 0, argument(4)),  # both halves of the address: none means a connected socket
        (equal, 0, 2, 0),
        (load, 0, 0, argument(4) + 4),
        (equal, 1, 0, 0),
        (give, 0, 0, _ASK),
        (give, 0, 0, _ALLOW),
        (equal, 0, 4, sendmsg),
        (load, 0, 0, argument(0)),
        (equal, 0, 1, out),
        (give, 0, 0, _ALLOW),
        (give, 0, 0, _ASK),
    ]
    for number in (connect, sendmmsg, *_CLONES[_MACHINE][1], *sorted(_FILES[_MACHINE])):
        lines += [(equal, 0, 1, number), (give, 0, 0, _ASK)]
    return [*lines, (give, 0, 0, _ALLOW)]


# ------------------------------------------------------------------------- in the supervisor


def received(channel):
    """The listener that :func:`install` sent; None if it did not."""
    try:
        _, rights, _, _ = channel.recvmsg(1, 64, getattr(_socket, "MSG_DONTWAIT", 0))
    except OSError:
        return None
    return struct.unpack("i", rights[0][2][:4])[0] if rights else None


def can_take_sockets(pid):
    """May this process copy a descriptor of its child?"""
    copy = _take(pid, 2)
    if copy is not None:
        os.close(copy)
    return copy is not None


def _take(pid, fd):
    handle = _libc.syscall(_PIDFD_OPEN, pid, 0)
    if handle < 0:
        return None
    copy = _libc.syscall(_PIDFD_GETFD, handle, fd, 0)
    os.close(handle)
    return copy if copy >= 0 else None


class Broker:
    """Answers the filter's questions.

    :ivar fileno: the listener, readable when somebody asks
    :ivar refused: ``{"what": target, "by": the program that tried}``, in order, each once
    :ivar beyond: true once there would have been more processes than there may be
    :ivar closing: set at the end: no process is made any more, so that all can be found and killed
    """

    def __init__(self, listener, *, writable, allowed, descendants, taking, most):
        self.most, self.counted, self.beyond, self.closing = most, 1, False, False
        self.listener, self.taking, self.descendants = listener, taking, descendants
        self.writable = tuple(os.path.realpath(path) for path in writable)
        self.allowed = {(host, int(port)) for host, port in allowed}
        self.refused = []
        self.forks = {_CLONES[_MACHINE][0], *_CLONES[_MACHINE][1]}
        self.calls = dict(zip(_MACHINES[_MACHINE][2:], ("connect", "sendto", "sendmsg", "sendmmsg"), strict=True))

    def fileno(self):
        return self.listener

    def answer(self):
        """Read one question and answer it; whatever fails here refuses. False when nobody asked."""
        request = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECV, request)
        except OSError:
            return False  # who asked is gone
        ask = struct.unpack("<QIIiIQ6Q", request)
        key, pid, number, args = ask[0], ask[1], ask[3], ask[6:]
        try:
            answered = self.judge(key, pid, number, args)
        except (OSError, ValueError, IndexError, struct.error):
            answered = errno.EACCES
        if answered is not None:
            self.reply(key, answered)
        return True

    def reply(self, key, error):
        flags = 0 if error else _CONTINUE
        try:
            fcntl.ioctl(self.listener, _SEND, struct.pack("<QqiI", key, 0, -error, flags))
        except OSError:
            pass  # who asked is gone

    def judge(self, key, pid, number, args):
        """0 to go on, an error number to refuse, None when somebody else answers later."""
        call = self.calls.get(number)
        if number in self.forks:
            return self.judge_fork()
        if call is None:
            return self.judge_file(pid, number, args)
        for address in _addresses(pid, call, args):
            target = _Target(pid, address)
            if not self.may_reach(target):
                self.refuse(target.shown(call, pid, args[0], self.taking), pid)
                return errno.ECONNREFUSED
            if call == "connect" and target.port is not None and self.taking:
                copy = _take(_group(pid), args[0])
                if copy is not None:
                    _thread.start_new_thread(self.connect, (key, copy, address))
                    return None
        return 0

    def connect(self, key, copy, address):
        """Connect a copy of the application's socket; in a thread, for a full backlog may keep it waiting."""
        result = _libc.connect(copy, address, len(address))
        number = ctypes.get_errno()
        os.close(copy)
        try:
            fcntl.ioctl(self.listener, _SEND, struct.pack("<QqiI", key, 0, -number if result else 0, 0))
        except OSError:
            pass

    def may_reach(self, target):
        if target.family in _HARMLESS:
            return True
        if target.path is not None:
            return self.may_ask(target)
        if target.port is None:
            return False
        if (target.host, target.port) in self.allowed:
            return True
        return _is_local(target.host) and self.owns(target.pid, target.port)

    def may_ask(self, target):
        """A UNIX socket: of the workspace, of the run itself, or of nobody."""
        if target.path.startswith("\0"):
            return self.owns_abstract(target)
        return not os.path.exists(target.real) or self.inside(target.real)

    def inside(self, path):
        return any(path == root or path.startswith(root + "/") for root in self.writable)

    def owns(self, pid, port):
        """Does a process of this run listen on (TCP) or use (UDP) this port?"""
        inodes = set()
        for name in ("tcp", "tcp6", "udp", "udp6"):
            for fields in _lines(f"/proc/{pid}/net/{name}"):
                local = int(fields[1].rsplit(":", 1)[1], 16)
                if local == port and (name[0] == "u" or fields[3] == "0A"):
                    inodes.add(fields[9])
        return self.holds(inodes)

    def owns_abstract(self, target):
        shown = "@" + target.path[1:]
        return self.holds({fields[6] for fields in _lines(f"/proc/{target.pid}/net/unix") if fields[7:] == [shown]})

    def holds(self, inodes):
        """Has a process of this run one of these sockets open?"""
        wanted = {f"socket:[{inode}]" for inode in inodes}
        for pid in self.descendants() if wanted else ():
            try:
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if _link(f"/proc/{pid}/fd/{fd}") in wanted:
                        return True
            except OSError:
                continue
        return False

    def judge_fork(self):
        """One more process? Counted anew only when those allowed since the last count could be too many."""
        if self.closing or self.beyond:
            return errno.EAGAIN
        self.counted += 1
        if self.most and self.counted > self.most:
            self.counted = len(self.descendants()) + 1
            self.beyond = self.counted > self.most
        return errno.EAGAIN if self.beyond else 0

    def judge_file(self, pid, number, args):
        """Mode, owner, times and attributes of a file: only inside the workspace."""
        path = _named_file(pid, _FILES[_MACHINE][number], args)
        if path is None or not os.path.exists(path) or self.inside(path):
            return 0
        self.refuse(f"change of mode, owner, times or attributes of {path}", pid)
        return errno.EPERM

    def refuse(self, what, pid):
        entry = {"what": what, "by": _program_of(pid)}
        if what and len(self.refused) < _MOST and entry not in self.refused:
            self.refused.append(entry)


class _Target:
    """An address as the kernel was given it."""

    def __init__(self, pid, raw):
        self.pid, self.host, self.port, self.path = pid, None, None, None
        (self.family,) = struct.unpack_from("<H", raw)
        if self.family == _socket.AF_INET:
            (self.port,) = struct.unpack_from(">H", raw, 2)
            self.host = _socket.inet_ntop(_socket.AF_INET, raw[4:8])
        elif self.family == _socket.AF_INET6:
            (self.port,) = struct.unpack_from(">H", raw, 2)
            self.host = _socket.inet_ntop(_socket.AF_INET6, raw[8:24]).removeprefix("::ffff:")
        elif self.family == _socket.AF_UNIX:
            name = raw[2:]
            name = name if name[:1] == b"\0" else name.split(b"\0", 1)[0]
            self.path = os.fsdecode(name)

    @property
    def real(self):
        return os.path.realpath(os.path.join(_link(f"/proc/{self.pid}/cwd") or "/", self.path))

    def shown(self, call, pid, fd, taking):
        """In words; empty for a look that sends nothing, as ``getaddrinfo`` has one to sort its answers."""
        if self.path is not None:
            return f"unix socket {self.path.replace(chr(0), '@')}"
        if self.port is None:
            return f"a socket of family {self.family}"
        datagrams = call != "connect" or taking and _is_datagram(_group(pid), fd)
        if datagrams and call == "connect" and (self.port == 0 or _is_local(self.host)):
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        name = " (looking up a name)" if datagrams and self.port == 53 else ""
        return f"{'udp' if datagrams else 'tcp'} {host}:{self.port}{name}"


def _addresses(pid, call, args):
    """The addresses that a call names; a connected socket names none."""
    if call == "connect":
        return [_read(pid, args[1], args[2])]
    if call == "sendto":
        return [_read(pid, args[4], args[5])]
    found = []
    for number in range(min(args[2], 1024) if call == "sendmmsg" else 1):
        name, size = struct.unpack("<QI", _read(pid, args[1] + number * 64, 12))
        if name and size:
            found.append(_read(pid, name, size))
    return found


def _read(pid, address, size):
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(address)
        return memory.read(min(size & 0xFFFFFFFF, 128))


def _text_at(pid, address):
    text = b""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        while b"\0" not in text and len(text) < 4096:
            memory.seek(address + len(text))
            text += memory.read(256 - (address + len(text)) % 256)  # never across a page that may not be there
    return os.fsdecode(text.split(b"\0", 1)[0])


def _named_file(pid, form, args):
    """The file that a call is about, its links followed; None for what is no file."""
    if form[0] == "fd":
        path = _link(f"/proc/{pid}/fd/{args[0]}")
        return path if path and path.startswith("/") and not path.endswith(" (deleted)") else None
    folder, name_at, itself = _link(f"/proc/{pid}/cwd"), 0, form[0] == "link"
    if form[0] == "at":
        _, fd_at, name_at, flags_at = form
        number = ctypes.c_int32(args[fd_at] & 0xFFFFFFFF).value
        folder = folder if number == -100 else _link(f"/proc/{pid}/fd/{number}")
        itself = flags_at is not None and bool(args[flags_at] & _NOFOLLOW)
    name = _text_at(pid, args[name_at]) if args[name_at] else ""
    if not folder:
        return None
    path = os.path.join(folder, name) if name else folder
    if itself:
        return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.realpath(path)


def _group(pid):
    """The process that a thread belongs to."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))


def _is_datagram(pid, fd):
    copy = _take(pid, fd)
    if copy is None:
        return False
    with _socket_of(copy) as one:
        return one.getsockopt(_socket.SOL_SOCKET, _socket.SO_TYPE) == _socket.SOCK_DGRAM


class _socket_of:
    def __init__(self, fd):
        self.socket = _socket.socket(fileno=fd)

    def __enter__(self):
        return self.socket

    def __exit__(self, *_):
        self.socket.close()


def _is_local(host):
    """An address of this machine: one that a socket can be bound to."""
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    try:
        with _socket_of(_socket.socket(family, _socket.SOCK_DGRAM).detach()) as one:
            one.bind((host, 0))
    except OSError:
        return False
    return True


def _lines(path):
    try:
        with open(path) as table:
            return [line.split() for line in table][1:]
    except OSError:
        return []


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def _program_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as name:
            return name.read().strip()
    except OSError:
        return "?"
