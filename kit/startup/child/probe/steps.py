"""The startup's steps that share this interpreter, and the end of a process."""

import os
import sys

from .bodies import _WATCHED
from .frames import _error, _own
from .mappers import _judge
from .recorder import _FOLDER, _emit, _going_on, _quietly

# ---- below this line is the text of the probe


_judging = "INCIDENT_JUDGE" in os.environ
_steps = ()  # [[number, kind, text], ...]


def _step_begins():
    """Tells the runner that a step begins, or what comes after the last: the limit of time is one a step.

    By one more byte in a file, and without ``open``: that would import what the application has not asked for.
    """
    try:
        fd = os.open(
            os.path.join(_FOLDER, "stepping"),
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0),
            0o600,
        )
        try:
            os.write(fd, b".")
        finally:
            os.close(fd)
    except OSError:
        pass


def _run_steps():
    """Run the startup's steps in this interpreter, in ``__main__``, until one fails.

    ``INCIDENT_STEPS`` holds ``[[number, kind, text], ...]`` as a Python literal.
    """
    main = sys.modules["__main__"].__dict__
    failed = None
    for number, kind, text in _steps:
        _step_begins()
        _emit("step", s=number)
        try:
            if kind == "import":
                source = "import " + text
            elif kind == "call":
                module, _, name = text.partition(":")
                source = "import %s\n_incident_result = %s.%s()" % (module, module, name)
            else:
                source = text
            exec(compile(source, "<step %d>" % number, "exec"), main)
            result = main.pop("_incident_result", None)
            if hasattr(result, "cr_code"):  # a coroutine function was called: run what it gave
                import asyncio

                asyncio.run(result)
        except BaseException as problem:
            if not isinstance(problem, SystemExit) or problem.code not in (0, None):
                failed = problem
        _emit("stepped", s=number, error=_error(failed))
        if failed is not None and not _going_on:
            break
    _step_begins()
    if failed is not None and not isinstance(failed, SystemExit):
        tb = failed.__traceback__
        while tb is not None and tb.tb_frame.f_globals is _own:
            tb = tb.tb_next
        sys.excepthook(type(failed), failed.with_traceback(tb), tb)
    _flush()
    if _judging:
        _judge(True)
    _emit("exit", uncaught=None, steps=True)
    code = 0 if failed is None else failed.code if isinstance(failed, SystemExit) else 1
    del failed
    with open(os.path.join(_FOLDER, "finished"), "w"):
        pass  # tells the runner that only the application's own threads keep this process
    sys.exit(code)


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def _end():
    """The last thing that runs at the exit. Of a server that the kit ends, taking its interpreter apart shows nothing, and takes as long as a third of its start."""
    _at_exit()
    if os.path.exists(os.path.join(_FOLDER, "ending")):
        _flush()
        os._exit(0)


def _at_exit():
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if _judging:
        _judge(False)
    _emit("exit", uncaught=_error(error) if isinstance(error, BaseException) else None)


def _watch_signals(namespace):
    """A process that ends itself by the signal that it was sent, as uvicorn's below gunicorn, runs nothing at its exit: before."""
    plain = namespace.get("raise_signal")
    if plain is None:
        return

    @_quietly
    def ends(number):
        if namespace["getsignal"](number) == namespace["SIG_DFL"] and number in (2, 3, 15):
            if not _steps:
                _at_exit()

    def raise_signal(signalnum):
        ends(signalnum)
        return plain(signalnum)

    namespace["raise_signal"] = raise_signal


_WATCHED["signal"] = _watch_signals
