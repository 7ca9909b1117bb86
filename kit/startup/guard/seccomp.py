"""A seccomp filter whose few questions the supervisor answers: may this call connect there, change that file's mode,
make one more process?

Standard library only; Linux 5.0 and later, x86-64 and ARM64; needs no privilege, and cannot be undone.
The child installs the filter between fork and exec (:func:`install`) and hands its listener to the supervisor,
which answers with a broker (``broker.py``). The kernel has no rule for "loopback ports that this run opened" nor for
UNIX sockets by path, and none for the number of processes that holds for root as well: so somebody has to
look. The application's other calls are not touched.
"""

import _socket
import ctypes
import errno
import fcntl
import os
import struct

LISTENER, WAIT_KILLABLE = 1 << 3, 1 << 5
_ALLOW, _ASK, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000

# The architecture in the kernel's words; seccomp(2); connect, sendto, sendmsg, sendmmsg.
MACHINES = {"x86_64": (0xC000003E, 317, 42, 44, 46, 307), "aarch64": (0xC00000B7, 277, 203, 206, 211, 269)}
MACHINE = os.uname().machine
_IO_URING_SETUP = 425
# clone, and those that are it under other names; clone3 hides its flags from a filter, and has clone to fall back on.
CLONES = {"x86_64": (56, (57, 58)), "aarch64": (220, ())}
_CLONE3, _CLONE_THREAD = 435, 0x10000

libc = ctypes.CDLL(None, use_errno=True)

# How a call names its file: ("path", argument), ("link", argument) where a link itself is meant,
# ("at", folder, argument, flags that may say so or None) or ("fd", argument).
FILES = {
    "x86_64": {
        **dict.fromkeys((90, 92, 132, 188, 197, 235), ("path", 0)),
        **dict.fromkeys((94, 189, 198), ("link", 0)),
        **dict.fromkeys((261, 268), ("at", 0, 1, None)),
        260: ("at", 0, 1, 4),
        **dict.fromkeys((280, 452), ("at", 0, 1, 3)),
        **dict.fromkeys((91, 93, 190, 199), ("fd", 0)),
    },
    "aarch64": {
        **dict.fromkeys((5, 14), ("path", 0)),
        **dict.fromkeys((6, 15), ("link", 0)),
        53: ("at", 0, 1, None),
        54: ("at", 0, 1, 4),
        **dict.fromkeys((88, 452), ("at", 0, 1, 3)),
        **dict.fromkeys((7, 16, 52, 55), ("fd", 0)),
    },
}
NOFOLLOW = 0x100


def known_machine():
    """Are this machine's numbers known?"""
    return MACHINE in MACHINES and ctypes.sizeof(ctypes.c_void_p) == 8


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
    seccomp = MACHINES[MACHINE][1]
    for flags in (LISTENER | WAIT_KILLABLE, LISTENER):
        listener = libc.syscall(seccomp, 1, flags, fprog)
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
    arch, _, connect, sendto, sendmsg, sendmmsg = MACHINES[MACHINE]
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
        (equal, 0, 4, CLONES[MACHINE][0]),
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
    for number in (connect, sendmmsg, *CLONES[MACHINE][1], *sorted(FILES[MACHINE])):
        lines += [(equal, 0, 1, number), (give, 0, 0, _ASK)]
    return [*lines, (give, 0, 0, _ALLOW)]
