"""Records that a logger takes or loses, and loggers that are disabled."""

import sys

from .bodies import _WATCHED
from .frames import _error, _walk
from .recorder import _emit, _quietly, _text, _thread_name
from .starts import _at_start

# ---- below this line is the text of the probe


_MOST_RECORDS = 200  # a process that logs an error again and again says nothing new
_records = 0


def _watch_logging(namespace):
    logger = namespace["Logger"]
    for level, name in ((30, "warning"), (40, "error"), (50, "critical")):
        _at_start(vars(logger)[name], _record_door(level))
    _at_start(vars(logger)["log"], _record_door(None))


def _record_door(level):
    @_quietly
    def see_record(frame):
        global _records
        names = frame.f_locals
        logger, exc_info = names["self"], names["kwargs"].get("exc_info")
        if not exc_info and not logger.disabled or _records >= _MOST_RECORDS:
            return
        _records += 1
        error = (
            exc_info if isinstance(exc_info, BaseException) else exc_info[1] if isinstance(exc_info, tuple) else None
        )
        if exc_info and error is None:
            error = sys.exc_info()[1]
        within, via = _walk(frame.f_back)
        text, args = names["msg"], names["args"]
        try:
            text = str(text) % args if args else text
        except Exception:  # what the logger, too, would only complain of
            pass
        of = names.get("level") if level is None else level
        of = of if type(of) is int else 0
        fields = {"logger": _text(logger.name), "level": of, "lost": bool(logger.disabled), "error": _error(error)}
        _emit("record", text=_text(text), b=within, via=via, th=_thread_name(), **fields)

    return see_record


def _watch_logging_config(namespace):
    @_quietly
    def see_silenced(frame):
        names = frame.f_locals
        known = sys.modules["logging"].root.manager.loggerDict
        silenced = [
            _text(name)
            for name in names["existing"]
            if name not in names["child_loggers"] and getattr(known.get(name), "disabled", True) is False
        ]
        if not names["disable_existing"] or not silenced:
            return
        within, via = _walk(frame.f_back)
        _emit("silenced", loggers=silenced[:_MOST_RECORDS], b=within, via=via)
        _also_quiet_records()

    _at_start(namespace["_handle_existing_loggers"], see_silenced)


def _also_quiet_records():
    """From the first time on that loggers were disabled: what is lost need be no error."""
    global _also_quiet_records
    _also_quiet_records = int
    logger = sys.modules["logging"].Logger
    _at_start(vars(logger)["info"], _record_door(20))
    _at_start(vars(logger)["debug"], _record_door(10))


_WATCHED.update({"logging": _watch_logging, "logging.config": _watch_logging_config})
