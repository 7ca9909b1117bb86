"""Functions of libraries that are to be seen when they begin, and handlers of the application that keep an exception."""

import sys

from .bodies import _WATCHED, _see_thread
from .bytecode import _varints
from .frames import _error, _is_app, _libraries
from .recorder import _emit, _quietly, _thread_name

# ---- below this line is the text of the probe


# A method of a library that is to be seen is given one call more at its start, in its own bytecode (before 3.12), or is
# monitored (from 3.12 on): its frame, name and lines stay what they are, and no frame of ours is ever below it.

_starts = {}  # code that is monitored -> what sees its frame when it begins


def _at_start(function, see):
    """Have ``see`` called with the frame of each call of a Python function, as it begins."""
    function = getattr(function, "__func__", function)
    while getattr(function, "__wrapped__", None) is not None:  # a decorator stands before it
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None or sys.implementation.name != "cpython":
        return
    if sys.version_info < (3, 12):
        function.__code__ = _with_a_call(code, lambda: see(sys._getframe(1)))
        return
    monitoring = sys.monitoring
    if not _starts:
        monitoring.register_callback(_TOOL, monitoring.events.PY_START, _on_start)
    _starts[code] = see
    monitoring.set_local_events(_TOOL, code, monitoring.events.PY_START)


_TOOL = 4  # of six; debuggers, coverage, profilers and optimizers have numbers of their own


def _on_start(code, offset):
    see = _starts.get(code)
    if see is not None:
        see(sys._getframe(1))


_handling = {}  # (code, offset, type): of these it was told; None: of how many
_MOST_HANDLED = 200


def _watch_handlers():
    """From 3.12 on: what is raised costs a look where it is handled, and nothing else costs anything."""
    if sys.implementation.name == "cpython" and sys.version_info >= (3, 12):
        monitoring = sys.monitoring
        if monitoring.get_tool(_TOOL) is None:
            monitoring.use_tool_id(_TOOL, "incident")
        monitoring.register_callback(_TOOL, monitoring.events.EXCEPTION_HANDLED, _on_handled)
        monitoring.set_events(_TOOL, monitoring.events.EXCEPTION_HANDLED)


def _on_handled(code, offset, error):
    # By its file: for the hash of a code object CPython 3.12 goes through all of its bytecode and constants, each time.
    if code.co_filename not in _libraries and _is_app(code.co_filename):
        _see_handled(code, offset, error)


@_quietly
def _see_handled(code, offset, error):
    tb, key = error.__traceback__, (code, offset, type(error))
    if tb is None or not isinstance(error, Exception) or key in _handling or _handling.get(None, 0) >= _MOST_HANDLED:
        return
    tb = tb.tb_next
    while tb is not None and not _is_app(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    if tb is None and not (type(error).__module__ or "").startswith("sqlalchemy."):
        return  # of a library, and caught where it was asked
    _handling[key], _handling[None] = True, _handling.get(None, 0) + 1
    _emit("handled", error=_error(error), th=_thread_name())


_WATCHED["threading"] = lambda namespace: _at_start(namespace["Thread"].start, _see_thread)


def _with_a_call(code, act):
    """The code, with a call of ``act`` before all else; the code itself where that cannot be."""
    change = _with_a_call_before_311 if sys.version_info < (3, 11) else _with_a_call_311
    changes = change(code, _instruction(100, len(code.co_consts)))  # LOAD_CONST
    if changes is None:
        return code
    return code.replace(co_consts=code.co_consts + (act,), co_stacksize=max(code.co_stacksize, 2), **changes)


def _with_a_call_before_311(code, load):
    """Its first instructions move behind the end, where the call stands before them, and a jump leads there: no target moves."""
    raw, unit = code.co_code, 2 if sys.version_info >= (3, 10) else 1  # bytes that a jump's argument counts
    jump, size = _instruction(113, len(raw) // unit), 0  # JUMP_ABSOLUTE
    while size < len(jump) or raw[size - 2] == 144:  # an extended argument belongs to what follows
        size += 2
    if not {93, 110, 122, 143, 154}.isdisjoint(raw[:size:2]):  # these jump from where they stand
        return None
    for at in range(0, len(raw), 2):
        if (
            raw[at] in (111, 112, 113, 114, 115, 121)
            and 0 < raw[at + 1] * unit < size
            and (not at or raw[at - 2] != 144)
        ):
            return None  # a jump into what moves
    tail = load + b"\x83\0\1\0" + raw[:size] + _instruction(113, size // unit)  # CALL_FUNCTION 0, POP_TOP, and back
    return {"co_code": jump + b"\x09\0" * ((size - len(jump)) // 2) + raw[size:] + tail}


def _with_a_call_311(code, load):
    """It is put in behind RESUME, before which a frame is not yet whole; every jump is relative and none crosses that place."""
    raw, begin = code.co_code, 0
    while raw[begin] != 151:
        begin += 2
    begin += 2
    # PUSH_NULL, LOAD_CONST, PRECALL 0, CALL 0, POP_TOP, with room for what the interpreter notes there.
    call = b"\2\0" + load + b"\xa6\0" + bytes(2) + b"\xab\0" + bytes(8) + b"\1\0"
    lines, at, units = code.co_linetable, 0, 0
    while units < begin // 2:  # an entry begins with a byte above 127 that holds how many units it covers
        units += (lines[at] & 7) + 1
        at += 1
        while at < len(lines) and lines[at] < 128:
            at += 1
    if units != begin // 2:
        return None
    more, entry = len(call) // 2, b""
    for left in range(more, 0, -8):
        entry += bytes((0x80 | 15 << 3 | min(left, 8) - 1,))  # it stands in no line
    table = b""
    for number, value in enumerate(_varints(code.co_exceptiontable)):
        value += more if number % 4 in (0, 2) and value >= begin // 2 else 0
        table += _varint(value, number % 4 == 0)
    return {
        "co_code": raw[:begin] + call + raw[begin:],
        "co_linetable": lines[:at] + entry + lines[at:],
        "co_exceptiontable": table,
    }


def _varint(value, first):
    parts = [value & 63]
    while value > 63:
        value >>= 6
        parts.append(value & 63 | 64)
    parts[-1] |= 128 * first
    return bytes(reversed(parts))


def _instruction(number, argument):
    wide = b"".join(bytes((144, argument >> shift & 255)) for shift in (24, 16, 8) if argument >> shift)
    return wide + bytes((number, argument & 255))
