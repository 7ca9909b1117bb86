"""Answers the filter's questions, in the supervisor.

A TCP connection that is allowed is made by the supervisor itself, on a copy of the socket, to the address
that was judged. Where the machine does not let it (``pidfd_getfd``), the kernel goes on with the
application's own call; then a hostile thread could exchange the address in between.
Standard library only.
"""

import _socket
import _thread
import ctypes
import errno
import fcntl
import os
import struct

from seccomp import CLONES, FILES, MACHINE, MACHINES, NOFOLLOW, libc

RECV, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1
_HARMLESS = (0, 16, 38)  # unspecified (disconnects), netlink (asks the kernel), the kernel's ciphers
_MOST = 100  # refusals that are kept
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438


def received(channel):
    """The listener that :func:`install` sent; None if it did not."""
    try:
        _, rights, _, _ = channel.recvmsg(1, 64, getattr(_socket, "MSG_DONTWAIT", 0))
    except OSError:
        return None
    return struct.unpack("i", rights[0][2][:4])[0] if rights else None


def can_take_sockets(pid):
    """May this process copy a descriptor of its child?"""
    copy = take(pid, 2)
    if copy is not None:
        os.close(copy)
    return copy is not None


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
        self.forks = {CLONES[MACHINE][0], *CLONES[MACHINE][1]}
        self.calls = dict(zip(MACHINES[MACHINE][2:], ("connect", "sendto", "sendmsg", "sendmmsg"), strict=True))

    def fileno(self):
        return self.listener

    def answer(self):
        """Read one question and answer it; whatever fails here refuses. False when nobody asked."""
        request = bytearray(80)
        try:
            fcntl.ioctl(self.listener, RECV, request)
        except OSError:
            return False  # who asked is gone
        ask = struct.unpack("<QIIiIQ6Q", request)
        key, pid, number, args = ask[0], ask[1], ask[3], ask[6:]
        try:
            answered = self.judge(key, pid, number, args)
        except (OSError, ValueError, IndexError, struct.error):
            answered = errno.EACCES
        if answered is not None:
            self.reply(key, answered, 0 if answered else CONTINUE)
        return True

    def reply(self, key, error, flags):
        try:
            fcntl.ioctl(self.listener, SEND, struct.pack("<QqiI", key, 0, -error, flags))
        except OSError:
            pass  # who asked is gone

    def judge(self, key, pid, number, args):
        """0 to go on, an error number to refuse, None when somebody else answers later."""
        call = self.calls.get(number)
        if number in self.forks:
            return self.judge_fork()
        if call is None:
            return self.judge_file(pid, number, args)
        for address in addresses(pid, call, args):
            target = Target(pid, address)
            if not self.may_reach(target):
                self.refuse(target.shown(call, pid, args[0], self.taking), pid)
                return errno.ECONNREFUSED
            if call == "connect" and target.port is not None and self.taking:
                copy = take(group_of(pid), args[0])
                if copy is not None:
                    _thread.start_new_thread(self.connect, (key, copy, address))
                    return None
        return 0

    def connect(self, key, copy, address):
        """Connect a copy of the application's socket; in a thread, for a full backlog may keep it waiting."""
        result = libc.connect(copy, address, len(address))
        number = ctypes.get_errno()
        os.close(copy)
        self.reply(key, number if result else 0, 0)

    def may_reach(self, target):
        if target.family in _HARMLESS:
            return True
        if target.path is not None:
            return self.may_ask(target)
        if target.port is None:
            return False
        if (target.host, target.port) in self.allowed:
            return True
        return is_local(target.host) and self.owns(target.pid, target.port)

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
            for fields in lines_of(f"/proc/{pid}/net/{name}"):
                local = int(fields[1].rsplit(":", 1)[1], 16)
                if local == port and (name[0] == "u" or fields[3] == "0A"):
                    inodes.add(fields[9])
        return self.holds(inodes)

    def owns_abstract(self, target):
        shown = "@" + target.path[1:]
        return self.holds({fields[6] for fields in lines_of(f"/proc/{target.pid}/net/unix") if fields[7:] == [shown]})

    def holds(self, inodes):
        """Has a process of this run one of these sockets open?"""
        wanted = {f"socket:[{inode}]" for inode in inodes}
        for pid in self.descendants() if wanted else ():
            try:
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if link_of(f"/proc/{pid}/fd/{fd}") in wanted:
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
        path = named_file(pid, FILES[MACHINE][number], args)
        if path is None or not os.path.exists(path) or self.inside(path):
            return 0
        self.refuse(f"change of mode, owner, times or attributes of {path}", pid)
        return errno.EPERM

    def refuse(self, what, pid):
        entry = {"what": what, "by": program_of(pid)}
        if what and len(self.refused) < _MOST and entry not in self.refused:
            self.refused.append(entry)


# -- what a call names: addresses, files, processes, read from the process that makes it


def take(pid, fd):
    handle = libc.syscall(_PIDFD_OPEN, pid, 0)
    if handle < 0:
        return None
    copy = libc.syscall(_PIDFD_GETFD, handle, fd, 0)
    os.close(handle)
    return copy if copy >= 0 else None


class Target:
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
        return os.path.realpath(os.path.join(link_of(f"/proc/{self.pid}/cwd") or "/", self.path))

    def shown(self, call, pid, fd, taking):
        """In words; empty for a look that sends nothing, as ``getaddrinfo`` has one to sort its answers."""
        if self.path is not None:
            return f"unix socket {self.path.replace(chr(0), '@')}"
        if self.port is None:
            return f"a socket of family {self.family}"
        datagrams = call != "connect" or taking and is_datagram(group_of(pid), fd)
        if datagrams and call == "connect" and (self.port == 0 or is_local(self.host)):
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        name = " (looking up a name)" if datagrams and self.port == 53 else ""
        return f"{'udp' if datagrams else 'tcp'} {host}:{self.port}{name}"


def addresses(pid, call, args):
    """The addresses that a call names; a connected socket names none."""
    if call == "connect":
        return [_read(pid, args[1], args[2])]
    if call == "sendto":
        return [_read(pid, args[4], args[5])]
    addresses_ = []
    for number in range(min(args[2], 1024) if call == "sendmmsg" else 1):
        name, size = struct.unpack("<QI", _read(pid, args[1] + number * 64, 12))
        if name and size:
            addresses_.append(_read(pid, name, size))
    return addresses_


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


def named_file(pid, form, args):
    """The file that a call is about, its links followed; None for what is no file."""
    if form[0] == "fd":
        path = link_of(f"/proc/{pid}/fd/{args[0]}")
        return path if path and path.startswith("/") and not path.endswith(" (deleted)") else None
    folder, name_at, itself = link_of(f"/proc/{pid}/cwd"), 0, form[0] == "link"
    if form[0] == "at":
        _, fd_at, name_at, flags_at = form
        number = ctypes.c_int32(args[fd_at] & 0xFFFFFFFF).value
        folder = folder if number == -100 else link_of(f"/proc/{pid}/fd/{number}")
        itself = flags_at is not None and bool(args[flags_at] & NOFOLLOW)
    name = _text_at(pid, args[name_at]) if args[name_at] else ""
    if not folder:
        return None
    path = os.path.join(folder, name) if name else folder
    if itself:
        return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.realpath(path)


def group_of(pid):
    """The process that a thread belongs to."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))


def is_datagram(pid, fd):
    copy = take(pid, fd)  # closed with the socket that is made of it, as soon as nothing holds that
    kind = copy is not None and _socket.socket(fileno=copy).getsockopt(_socket.SOL_SOCKET, _socket.SO_TYPE)
    return kind == _socket.SOCK_DGRAM


def is_local(host):
    """An address of this machine: one that a socket can be bound to."""
    try:
        _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_DGRAM).bind((host, 0))
    except OSError:
        return False
    return True


def lines_of(path):
    try:
        with open(path) as table:
            return [line.split() for line in table][1:]
    except OSError:
        return []


def link_of(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def program_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as name:
            return name.read().strip()
    except OSError:
        return "?"
