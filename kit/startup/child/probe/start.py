"""The start of the probe in a process: its doors are opened, and all else is left as it was before."""

import os
import sys

from .bodies import _WATCHED, _open_exec_door, _open_module_door
from .doors import _begin_guards
from .engines import _begin_holding
from .frames import _NOBODY, _module_files, _places, _root
from .imports import _look, _open_import_door, _open_import_module_door
from .recorder import _FOLDER, _before, _counts, _emit, _file, _gc, _getframe, _ident, _TraceFile
from .starts import _watch_handlers
from .steps import _end, _run_steps

# ---- below this line is the text of the probe


def _after_fork():
    global _main_thread, _body
    body, _main_thread, _body = _body, _ident(), _NOBODY
    while body is not None:
        body.forget()
        body = body.outer
    _look(True)
    parent = os.getppid()
    _file.open()
    _places.clear()  # they stand in the parent's file
    _module_files.clear()
    _emit("process", pid=os.getpid(), parent=parent, forked=True)


def _begin():
    global _file, _steps
    _file = _TraceFile(_FOLDER)
    # Taken out of the environment: a process that the application starts runs no steps of its own.
    steps = os.environ.pop("INCIDENT_STEPS", None)
    _emit(
        "process",
        pid=os.getpid(),
        parent=os.getppid(),
        version=list(sys.version_info[:3]),
        implementation=sys.implementation.name,
        executable=sys.executable,
        steps=steps is not None,
    )
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
    if steps is None:
        known = "atexit" in sys.modules
        import atexit

        atexit.register(_end)
        if not known and sys.version_info >= (3, 10):  # before, what is registered belongs to the module
            del sys.modules["atexit"]
    else:
        _steps = eval(steps, {"__builtins__": {}})  # a literal of the runner's own making
        sys._incident_steps = _run_steps
    _watch_handlers()
    _open_exec_door()
    _open_module_door()
    _open_import_door()
    _open_import_module_door()
    _begin_guards()
    _begin_holding()
    for name in _before & set(_WATCHED):  # there already, as by a .pth file
        _WATCHED[name](vars(sys.modules[name]))


def _hand_over():
    """Leave the place of ``sitecustomize`` to the one that the environment has, or to none."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [_in_copy(entry) for entry in sys.path if os.path.abspath(entry or ".") != folder]
    for name in [name for name in sys.modules if name.startswith("__editable__")]:
        mapping = getattr(sys.modules[name], "MAPPING", {})
        mapping.update([(package, _in_copy(place)) for package, place in mapping.items()])
    sys.path_importer_cache.pop(folder, None)
    sys.modules.pop("sitecustomize", None)
    import sitecustomize  # noqa: F401  none there: an ImportError that site.py takes for just that


def _in_copy(place):
    """Where an environment has the application as a link to its own folder, the same place in the copy, be it there or not.

    An environment that lies in that folder stays where it is, as does a workspace that is made there.
    """
    source, place = os.environ.get("INCIDENT_SOURCE", "?"), os.fspath(place)
    real = os.path.realpath(place)
    copied = _root + real[len(source) :]
    environments = [prefix for prefix in (sys.prefix, sys.base_prefix) if _holds(source, prefix)]
    kept = any(_holds(folder, place) for folder in environments) or _holds(os.path.dirname(_root), real)
    return copied if _holds(source, real) and (os.path.exists(copied) or not kept) else place


def _holds(folder, place):
    return (place + os.sep).startswith(folder + os.sep)


def _as_before(counts):
    """Leave the collector of garbage with as many allocations until its next turns as it had before this file was loaded.

    When it comes decides what an application still sees of what is gone, as the warning that a class of this name is there already.
    """
    if not hasattr(_gc, "freeze") or _gc.get_freeze_count():
        return
    young, middle, old = counts
    young -= _allocated(_getframe(1).f_code)
    if young < 0:
        young, middle = young + _gc.get_threshold()[0], middle - 1
    _gc.freeze()  # this, and nothing else, makes the counts nought without a collection
    _gc.unfreeze()
    for generation, turns in ((1, old), (0, middle)):
        for _ in range(turns):
            _gc.collect(generation)  # of nothing: it counts as a turn
    _kept.extend([] for _ in range(young - _gc.get_count()[0]))


def _allocated(code):
    """How many tuples were made for a code object and those inside it, when they were loaded."""
    count, kind, codes = 0, type(code), [code]
    for code in codes:  # which grows
        count += (
            bool(code.co_names) + bool(code.co_consts) + bool(code.co_varnames or code.co_cellvars or code.co_freevars)
        )
        for const in code.co_consts:
            if type(const) is kind:
                codes.append(const)
            elif type(const) is tuple:
                count += 1
    return count


_kept = []  # allocations that were counted before

if _FOLDER and __name__ == "sitecustomize":
    try:
        _begin()
    finally:
        _as_before(_counts)
        _hand_over()
