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

from questions import Target, addresses, group_of, is_local, lines_of, link_of, named_file, program_of, take
from seccomp import CLONES, FILES, MACHINE, MACHINES, libc

RECV, SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
_HARMLESS = (0, 16, 38)  # unspecified (disconnects), netlink (asks the kernel), the kernel's ciphers
_MOST = 100  # refusals that are kept


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
            self.reply(key, answered)
        return True

    def reply(self, key, error):
        flags = 0 if error else CONTINUE
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
        try:
            fcntl.ioctl(self.listener, SEND, struct.pack("<QqiI", key, 0, -number if result else 0, 0))
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
