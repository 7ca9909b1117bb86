"""The door before the bodies of modules: when one begins and how it ends; and code that no loader executes."""

import os
import sys
from time import perf_counter_ns as _now

from .bytecode import _one_line_table, _return_line
from .frames import (
    _NOBODY,
    _Body,
    _body,
    _bootstrap,
    _door,
    _error,
    _external,
    _files,
    _is_app,
    _next,
    _packages,
    _places,
    _see_file,
    _walk,
)
from .imports import _alone, _declaration, _declared, _look, _looking
from .recorder import (
    _emit,
    _file,
    _getframe,
    _going_on,
    _ident,
    _json,
    _lose,
    _main_thread,
    _put,
    _quietly,
    _quote,
    _quoted,
    _text,
    _thread_name,
)

# ---- below this line is the text of the probe


_WATCHED = {}  # name of a module -> what is done with its namespace once its body was executed


def _exec_begins(code, namespace):
    global _body
    number, outer, main = _next(), _body, _ident() == _main_thread
    body = _Body(f"{number}")
    try:
        _see_body(body, number, outer if main else _NOBODY, code, namespace, main)
    except Exception as problem:
        _lose("_see_body", problem)
    if main:
        _body = body
        if body.library is _looking:
            _look(not body.library)
        return body.number, outer
    if _alone:
        _see_thread(None)
    return body.number, None


def _see_body(body, number, outer, code, namespace, main):
    name, file = namespace.get("__name__"), namespace.get("__file__")
    try:
        # Three functions of the import system are before exec_module and the door, in an import statement of a body: to
        # ask for a frame makes an object of it, and of none between.
        caller = _getframe(7)
        if caller is not outer.frame or outer.raw[caller.f_lasti]:
            if _getframe(6).f_globals is not _bootstrap:
                caller = None
            elif caller is not outer.caller:
                if caller.f_globals is outer.namespace and caller.f_back.f_globals is _door:
                    outer.caller = caller
                else:
                    caller = None
    except (AttributeError, ValueError):
        caller = None
    if caller is not None and name not in _declared:
        how, within = "import", outer.number
        line = outer.line_at(caller, caller.f_lasti) if outer.frame is caller else caller.f_lineno
        via = f"[[{outer.place},{line or 0}]]"
    else:
        how, frame = _how(_getframe(3))
        within, via = _walk(frame)
        if name in _declared and how == "import":
            declared = _declaration(name, frame)
            via += [] if declared is None else [declared]
    more = "" if main else ',"th":' + _json(_thread_name())
    if "__builtins__" in namespace and any(not (isinstance(k, str) and k[:2] == "__") for k in namespace):
        more += ',"again":true'
    if type(file) is type(name) is str:
        known = _files.get(file)
        body.library = not (_see_file(file) if known is None else known)
        if code.co_filename == file:
            package = namespace.get("__package__")
            package = package if type(package) is str else None
            key = f"{file}\n<module>\n{name}"
            place = _places.get(key)
            if place is None:
                _places[key], _packages[number], body.place = number, package, body.number
            else:
                body.place = f"{place}"
                if _packages[place] != package:
                    body.tail = f',"p":{_json(package)}}}\n'
                    package = _packages[place]
            body.namespace, body.code = namespace, code
            more += f',"c":{body.place},"p":{_quoted[package]}'
        name, file = _quote(name), _quote(file)
    else:
        body.library = type(file) is str and not _is_app(file)
        name, file = _quote(name if isinstance(name, str) else str(name)), _quote(_text(file)) if file else "null"
    # By hand, as with edges: these two are nearly all of a trace. A list of numbers prints as JSON does.
    line = f'{{"k":"exec","t":{_now()},"n":{body.number},"b":{within},"m":{name},"f":{file},"via":{via},"how":"{how}"{more}}}\n'
    try:
        _put(line.encode())
    except ValueError:
        _file.go_on(line.encode())


def _how(frame):
    """Did the import system come for this body, ``importlib.reload``, or did somebody call the loader?

    :returns: ``import``, ``reload`` or ``loader``, and a frame that all of the application's are beyond
    """
    try:
        caller = (
            frame.f_back.f_back.f_back
        )  # exec_module, _load_unlocked and _find_and_load_unlocked are nearly always between
        if caller.f_globals is _bootstrap and caller.f_code.co_name == "_find_and_load":
            return "import", caller
    except AttributeError:
        pass
    while frame is not None and (frame.f_globals is _external or frame.f_globals is _bootstrap):
        if frame.f_globals is _bootstrap and frame.f_code.co_name == "_find_and_load":
            return "import", frame
        frame = frame.f_back
    reloading = (
        frame is not None and frame.f_code.co_name == "reload" and frame.f_globals.get("__name__") == "importlib"
    )
    return "reload" if reloading else "loader", frame


def _exec_ended(number, namespace, error, outer):
    global _body
    if outer is not None:
        _body = outer
        if outer.library is _looking:
            _look(not outer.library)
    try:
        if error is not None:
            _emit("done", n=int(number), error=_error(error))
            return
        line = f'{{"k":"done","t":{_now()},"n":{number}}}\n'.encode()
        try:
            _put(line)
        except ValueError:
            _file.go_on(line)
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
    number, outer = _begins(args[0], args[1])
    try: result = _run(*args, **kwds)
    except BaseException as error: _ended(number, args[1], error, outer); raise
    _ended(number, args[1], None, outer)
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
