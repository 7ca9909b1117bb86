"""What a call that the filter asks about names: addresses, files, processes, read from the process that makes it.

Standard library only.
"""

import _socket
import ctypes
import os
import struct

from seccomp import NOFOLLOW, libc

_PIDFD_OPEN, _PIDFD_GETFD = 434, 438


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
    copy = take(pid, fd)
    if copy is None:
        return False
    with _socket_of(copy) as connection:
        return connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_TYPE) == _socket.SOCK_DGRAM


class _socket_of:
    def __init__(self, fd):
        self.socket = _socket.socket(fileno=fd)

    def __enter__(self):
        return self.socket

    def __exit__(self, *_):
        self.socket.close()


def is_local(host):
    """An address of this machine: one that a socket can be bound to."""
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    try:
        with _socket_of(_socket.socket(family, _socket.SOCK_DGRAM).detach()) as connection:
            connection.bind((host, 0))
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
