"""Landlock: from here on this process and everything below it writes only where it may (Linux 5.19 and later).

Standard library only; used by ``supervisor.py`` between fork and exec. Needs no privilege, and cannot be
undone. Reading stays allowed everywhere. See ``man 7 landlock``.
"""

import ctypes
import os
import stat

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # system calls, the same numbers on every architecture
_PR_SET_NO_NEW_PRIVS = 38
_WRITE_FILE = 1 << 1
# Remove folder and file; make device, folder, file, socket, fifo, block device and link.
_CHANGE = sum(1 << bit for bit in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12))
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_CONNECT_TCP = 1 << 1
_ABSTRACT_UNIX, _SIGNAL = 1 << 0, 1 << 1

_libc = ctypes.CDLL(None, use_errno=True)


class _Beneath(ctypes.Structure):
    """``struct landlock_path_beneath_attr``."""

    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("fd", ctypes.c_int32)]


def version():
    """The kernel's version of Landlock; 0 where it has none or it is switched off."""
    return max(0, _libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1))


def no_new_privileges():
    """What the application executes gains no rights by it; Landlock and seccomp ask for this."""
    return _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


def confine(writable, ports):
    """Apply what this kernel has.

    :param writable: folders and device files that may be changed
    :param ports: TCP ports that may be connected to, on any host; None: any
    :returns: ``(names of guards in force, sentences on what is missing)``
    """
    abi = version()
    if abi < 2:  # version 1 refuses every rename between two folders, also inside the workspace
        lacking = (
            "no Landlock here" if not abi else "only the first version of Landlock is here (Linux 5.19 has the next)"
        )
        return [], [f"{lacking}: files outside the workspace are not protected"]
    files = _CHANGE | _REFER | (_TRUNCATE if abi >= 3 else 0)
    net = _CONNECT_TCP if abi >= 4 and ports is not None else 0
    scoped = _ABSTRACT_UNIX | _SIGNAL if abi >= 6 else 0
    attributes = (ctypes.c_uint64 * 3)(files, net, scoped)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return [], [f"Landlock refused a rule set: {os.strerror(ctypes.get_errno())}"]
    try:
        for path in writable:
            _allow_path(ruleset, path, files)
        for port in ports if net else ():
            rule = (ctypes.c_uint64 * 2)(_CONNECT_TCP, port)
            _check(_libc.syscall(_ADD_RULE, ruleset, 2, rule, 0))
        _check(_libc.syscall(_RESTRICT, ruleset, 0))
    except OSError as error:
        return [], [f"Landlock could not be applied: {error}"]
    finally:
        os.close(ruleset)
    return _report(abi, bool(net))


def _report(abi, net):
    guards, missing = ["landlock files"], []
    if abi < 3:
        missing.append("this Landlock does not see truncation: files outside the workspace can be emptied")
    if net:
        guards.append("landlock tcp")
    if abi >= 6:
        guards += ["landlock signals", "landlock abstract sockets"]
    else:
        missing.append("this Landlock does not hold signals: other processes of this user can be signalled")
    return guards, missing


def _allow_path(ruleset, path, rights):
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there: nothing to allow
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _WRITE_FILE | _TRUNCATE
        _check(_libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(_Beneath(rights, fd)), 0))
    finally:
        os.close(fd)


def _check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
