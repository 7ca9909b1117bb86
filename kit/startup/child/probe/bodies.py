"""The door before the bodies of modules: when one begins and how it ends; and code that no loader executes."""

import os
import sys
from time import perf_counter_ns as _now

from .bytecode import _RAW, _one_line_table, _return_line, _straight
from .frames import (
    _Body,
    _body,
    _bootstrap,
    _door,
    _error,
    _external,
    _files,
    _folders,
    _heads,
    _is_app,
    _module_files,
    _modules,
    _next,
    _packages,
    _walk,
)
from .imports import _alone, _declaration, _declared, _imported, _look, _looking
from .recorder import (
    _emit,
    _getframe,
    _going_on,
    _ident,
    _json,
    _lose,
    _main_thread,
    _quietly,
    _quote,
    _text,
    _thread_name,
    _write,
)

# ---- below this line is the text of the probe


_WATCHED = {}  # name of a module -> what is done with its namespace once its body was executed


def _exec_begins(code, namespace):
    global _body
    outer, number, main = _body, _next(), True
    body = _Body(f"{number}", outer)
    try:
        name, file = namespace.get("__name__"), namespace.get("__file__")
        # Four functions of the import system are below exec_module and the door, in an import statement of a body: to ask
        # for a frame makes an object of it, and of none between.
        try:
            caller = _getframe(6)
        except ValueError:
            caller = 0
        if caller is outer.frame:
            direct = caller.f_lasti == outer.seen
        else:
            direct = (caller is outer.caller or _calls(caller, outer)) and _getframe(5).f_globals is _bootstrap
        if direct and name not in _declared:
            line = outer.line_at(caller, outer.seen) if caller is outer.frame else caller.f_lineno
            via = f'"l":{line or 0}'  # of the innermost body
        else:
            main = _ident() == _main_thread
            via = _way(name, _getframe(2), main)
        if "__builtins__" in namespace and any(not (isinstance(k, str) and k[:2] == "__") for k in namespace):
            via += ',"again":true'
        if type(file) is type(name) is str:
            folder, _, tail = file.rpartition("/")
            head = _heads.get(folder)
            if head is None:
                body.library, head, tail = not _is_app(file), _quote(file)[:-1], '"'
                if folder[:1] == "/":
                    _heads[folder] = _quote(folder)[:-1] + "/"
            else:
                body.library, tail = not _folders[folder], _quote(tail)[1:]
            if code.co_filename == file:
                tail += _begin_body(body, number, code, namespace, name, file)
            name = _quote(name)
        else:
            body.library = type(file) is str and not _is_app(file)
            name = _quote(name if isinstance(name, str) else str(name))
            head, tail = _quote(_text(file)) if file else "null", ""
        # By hand, as with edges: these two are nearly all of a trace.
        _write(f'{{"k":"exec","t":{_now()},"n":{body.number},{via},"m":{name},"f":{head}{tail}}}\n')
    except Exception as problem:
        body.forget()
        _lose("_exec_begins", problem)
    if main:
        _body = body
        if body.library is _looking:
            _look(not body.library)
    else:
        body.outer = None
        if _alone:
            _see_thread(None)
    return body


def _begin_body(body, number, code, namespace, name, file):
    """A body whose place is its file and name; the event's fields that say so."""
    package = namespace.get("__package__")
    package, place = package if type(package) is str else None, number
    body.code, body.namespace = code, namespace
    if _module_files.get(name) == file:  # once more
        place = _modules[name]
        before = _imported.get(place, -1)
        body.seen, body.raw = (before, None) if type(before) is int else (-1, before)
        if _packages[place] != package:
            body.tail = f',"p":{_json(package)}}}\n'
            package = _packages[place]
    else:
        _modules[name], _module_files[name], _packages[number] = number, file, package
        if not body.library and type(namespace.get("__loader__")) is _external["SourceFileLoader"]:
            body.raw = raw = getattr(code, _RAW)
            body.straight = _straight(code, raw)
    body.place = place = f"{place}"
    return f',"c":{place},"p":{"null" if package is None else _quote(package)}'


def _calls(caller, outer):
    """Is a frame the body of a library, of the main thread, that is known to import from now on?"""
    body = caller and outer.caller is None and caller.f_globals is outer.namespace and _ident() == _main_thread
    if body and caller.f_back.f_globals is _door:
        outer.caller = caller
    return caller is outer.caller


def _way(name, frame, main):
    """The event's fields that say how a body came to be executed, in which one, and the frames between them."""
    how, frame = _how(frame)
    within, via = _walk(frame)
    if name in _declared and how == "import":
        declared = _declaration(name, frame)
        via += [] if declared is None else [declared]
    more = "" if main else ',"th":' + _json(_thread_name())
    return f'"b":{within},"via":{via},"how":"{how}"{more}'  # a list of numbers prints as JSON does


def _how(frame):
    """Did the import system come for this body, ``importlib.reload``, or did somebody call the loader?

    :returns: ``import``, ``reload`` or ``loader``, and a frame that all of the application's are beyond
    """
    try:
        # exec_module, _load_unlocked and _find_and_load_unlocked are nearly always between.
        caller = frame.f_back.f_back.f_back
        if caller.f_globals is _bootstrap and caller.f_code.co_name == "_find_and_load":
            return "import", caller
    except AttributeError:
        pass
    while frame is not None and (frame.f_globals is _external or frame.f_globals is _bootstrap):
        if frame.f_globals is _bootstrap and frame.f_code.co_name == "_find_and_load":
            return "import", frame
        frame = frame.f_back
    reloads = frame is not None and frame.f_code.co_name == "reload" and frame.f_globals.get("__name__") == "importlib"
    return "reload" if reloads else "loader", frame


def _exec_ended(body, namespace, error):
    global _body
    outer = body.outer
    if outer is not None:
        _body = outer
        if outer.library is _looking:
            _look(not outer.library)
    try:
        if body.caller is not None:
            if body.frame is not None:
                _imported[int(body.place)] = body.seen if body.names is None else body.raw
            body.caller = body.frame = None  # which holds the door's, which holds this
        if error is not None:
            _emit("done", n=int(body.number), error=_error(error))
            return
        _write(f'{{"k":"done","t":{_now()},"n":{body.number}}}\n')
        watch = _WATCHED.get(namespace.get("__name__"))
        if watch is not None:
            watch(namespace)  # an SQLAlchemy unlike any we know is "lost", and disturbs nothing
    except Exception as problem:
        _lose("_exec_ended", problem)


# Stands in for importlib._bootstrap._call_with_frames_removed, through which every standard
# loader executes a body (imports, reloads, alembic's env.py and revision files). Its frame is on
# the stack in a plain startup too, under this name, and import.c cuts it from tracebacks by name.
_DOOR = """
def _call_with_frames_removed(f, *args, **kwds):
    if f is not _exec: return f(*args, **kwds)
    body = _begins(args[0], args[1])
    try: result = _run(*args, **kwds)
    except BaseException as error: _ended(body, args[1], error); del body; raise
    _ended(body, args[1], None)
    return result
"""


def _open_module_door():
    global _door, _bootstrap, _external
    import _frozen_importlib as bootstrap
    import _frozen_importlib_external as external

    plain = bootstrap._call_with_frames_removed
    run = _exec_going_on if _going_on else _plain_exec
    scope = {"_exec": exec, "_run": run, "_begins": _exec_begins, "_ended": _exec_ended}
    exec(_DOOR, scope)  # not compile(): its first call makes all the classes of ``ast``
    door = scope["_call_with_frames_removed"]
    door.__code__ = door.__code__.replace(co_filename=plain.__code__.co_filename)
    if sys.version_info >= (3, 10):  # every instruction reports the line of the original's return
        table = _one_line_table(door.__code__)
        door.__code__ = door.__code__.replace(co_firstlineno=_return_line(plain), co_linetable=table)
    else:
        door.__code__ = door.__code__.replace(co_firstlineno=_return_line(plain), co_lnotab=b"")
    door.__doc__, door.__module__ = plain.__doc__, plain.__module__
    door.__qualname__ = plain.__qualname__
    _door, _bootstrap, _external = scope, vars(bootstrap), vars(external)
    bootstrap._call_with_frames_removed = door


_plain_exec = exec


def _see_exec(door, code, *others, **more):
    file = getattr(code, "co_filename", None)
    if file is not None and code.co_name == "<module>" and _files.get(file) is not False:
        _see_script(file, _getframe(1))
    return _EXECUTED


@_quietly
def _see_script(file, frame):
    if _is_app(file):
        within, via = _walk(frame)
        _emit("script", b=within, via=via, f=file, th=_thread_name())


# Stands in for ``builtins.exec``: calling a class has ``__new__`` see the arguments and return, and then ``__init__`` is the
# original itself, which finds the caller's frame where it looks for one. What is not a function is not bound.
_exec_door = type(
    "exec", (), {"__slots__": (), "__module__": "builtins", "__new__": _see_exec, "__init__": _plain_exec}
)
_EXECUTED = object.__new__(_exec_door)


def _open_exec_door():
    """``exec`` of a file's code by somebody else than a standard loader: ``runpy``, a runner of scripts or cells, the interpreter."""
    import builtins

    builtins.exec = _exec_door
    path = (getattr(sys, "argv", None) or [""])[0]
    if os.path.isfile(path):  # of ``python script.py``, which is about to be executed by no call of ``exec``
        _see_script(path if sys.version_info < (3, 9) else os.path.join(os.getcwd(), path), None)


def _see_thread(frame):
    global _alone
    _alone = False
    _look(True)


def _exec_going_on(code, namespace):
    """Only in a run that goes on past failures: a module of the application, statement by statement."""
    if not _is_app(code.co_filename):
        return _plain_exec(code, namespace)
    import __future__ as future

    import ast

    mask = 0
    for name in future.all_feature_names:
        mask |= getattr(future, name).compiler_flag
    try:
        with open(code.co_filename, "rb") as source:
            tree = ast.parse(source.read(), code.co_filename)
    except (OSError, SyntaxError, ValueError, RecursionError):  # bytecode without its source: as one piece
        return _plain_exec(code, namespace)
    for statement in tree.body:
        part = ast.Module(body=[statement], type_ignores=[])
        try:
            _plain_exec(compile(part, code.co_filename, "exec", code.co_flags & mask, True), namespace)
        except Exception as error:
            within, via = _walk(sys._getframe(1))
            _emit("behind", b=within, via=via, error=_error(error), bound=_bound(statement))
    return None


def _bound(statement):
    """The names that a statement would have bound, had it not failed."""
    import ast

    names = [getattr(statement, "name", None)]
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            names.append((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
    return sorted({name for name in names if name})
