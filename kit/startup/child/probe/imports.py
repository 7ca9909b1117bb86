"""The doors before imports: ``__import__``, ``__lazy_import__`` and ``importlib.import_module`` tell of each edge."""

import _thread
import sys
from time import perf_counter_ns as _now

from .bytecode import _EXTENDED_ARG, _IMPORT_NAME, _LAZINESS, _LOAD_CONST, _wide_statement
from .frames import _Body, _body, _bootstrap, _door, _external, _is_app, _own, _packages, _place_of, _walk
from .recorder import _emit, _file, _getframe, _ident, _json, _lose, _main_thread, _put, _quietly, _quote, _write

# ---- below this line is the text of the probe


_IMPORTING = _IMPORT_NAME, _EXTENDED_ARG  # before 3.11 a frame is at the latter, where a statement is a wide one
_imported = {}  # place of a body -> its bytecode, without the import statements that were executed, or up to where it was
_importers = {}  # (file, first line, function, module) -> ``_Body``, but for the bodies that the main thread executes


@property
def _at_import(door):
    """Acts when Python looks up how to call ``__import__``: before the call, and off the stack."""
    try:
        importer, frame = _body, _getframe(1)
        if frame is not importer.frame:
            # As each time that a module's file is opened, that imports ``_io``.
            importer = None if frame.f_globals is _external else _importer_of(frame, importer)
            if importer is None:
                return _plain_import
        at = frame.f_lasti
        if importer.seen < at < importer.straight and importer.raw[at] == _IMPORT_NAME:
            importer.seen = at
            try:
                _put(b"\n")
            except ValueError:
                _file.go_on(b"\n")
        else:
            _see_import(importer, frame)
    except (ValueError, TypeError):  # asked by the interpreter itself, as for `python -m`; a strange ``__file__``
        pass
    except Exception as problem:
        _lose("import", problem)
    return _plain_import


def _see_import(importer, frame):
    """In words: what an import statement asks for, unless it was executed before or there is none where a frame is."""
    if importer.names is None:
        importer.describe()
    at, raw = frame.f_lasti, importer.raw
    if raw[at] != _IMPORT_NAME and (raw[at] != _EXTENDED_ARG or not importer.odd):
        return
    line = importer.line_at(frame, at)
    if importer.odd:
        statement = _odd_statement(importer, frame, at)
        if statement is None:
            return
        names, dots, to, tail = statement
    else:  # the two instructions before it load the names after `from ... import` and the number of dots
        by, dots, names_by, names, _, to = raw[at - 4 : at + 2]
        names = importer.consts[names] if names_by == _LOAD_CONST else None
        dots = importer.consts[dots] if by == _LOAD_CONST else dots
        to, tail = importer.names[to >> _LAZINESS], importer.tail
    raw[at], importer.seen = 0, at
    names = f',"names":{_quote(",".join(names))}' if names else ""
    _write(f'{importer.head}{line},"to":{_quote("." * dots + to)}{names}{tail}')


_plain_import = __import__


class _ImportDoor:
    """Stands in for ``builtins.__import__``; calling it runs the original and nothing else."""

    __call__ = _at_import
    __name__ = __qualname__ = "__import__"
    __module__ = "builtins"


_alone = True  # is the main thread the only one, as far as is known?
_looking = True  # does the door look?


def _look(wanted):
    """While a library's body runs in the only thread, the door is the original itself: that is most of all imports."""
    global _alone, _looking
    if wanted is not _looking:
        _alone = _alone and not _thread._count()
        if wanted or _alone:
            _ImportDoor.__call__ = _at_import if wanted else _plain_import
            _looking = wanted


def _odd_statement(importer, frame, at):
    """:returns: names, dots and module of an import statement, and the end of its event; None where it is none"""
    statement, tail = _wide_statement(importer, at), importer.tail
    if statement is None:
        return None
    if importer.script and (frame.f_back is None or frame.f_back.f_globals is not _door):
        # A body that no loader executes: this may be all that shows it.
        tail = ',"b":%d,"via":%s' % _walk(frame) + f',"t":{_now()}{tail}'
    return (*statement, tail)


def _importer_of(frame, body):
    """Who imports in a frame that is not known to be that of the innermost body; None where nobody of the application does."""
    if body.frame is None and body.code is frame.f_code and not body.library:
        body.frame = body.caller = frame
        return body
    namespace, code = frame.f_globals, frame.f_code
    if body.library and _ident() == _main_thread or namespace is _own:  # the last: an import of the probe's own
        return None
    if code.co_code[frame.f_lasti] not in _IMPORTING:  # what it calls imports, as a generic class's C code for ``[]``
        return None
    file = namespace.get("__file__")
    if type(file) is str and not _is_app(file) or not _is_app(code.co_filename):  # a library's, as nearly all
        return None
    key = (code.co_filename, code.co_firstlineno, code.co_name, namespace.get("__name__"))
    importer = _importers.get(key)
    if importer is None or importer.code is not code:
        before = None if importer is None else importer.raw  # another code of the same place: executed again
        importer = _Body("0")
        place, now = _place_of(code, namespace), namespace.get("__package__")
        importer.place = f"{place}"
        if now != _packages[place]:
            importer.tail = f',"p":{_json(now if isinstance(now, str) else None)}}}\n'
        importer.code, importer.raw, importer.script = code, before, code.co_name == "<module>"
        _importers[key] = importer
    return importer


def _door_of(plain, act):
    """Stands in for a function in C: ``act`` is called when Python looks up how to call it, so before the call, and off the stack."""

    def look_up(door):
        act()
        return plain

    known = {key: getattr(plain, key) for key in ("__doc__", "__module__", "__name__", "__qualname__")}
    return type("_Door", (), {**known, "__call__": property(look_up)})()


_declared = {}  # name of a module -> where it is declared lazily: [(file, [place, line]), ...]


@_quietly
def _see_declaration():
    frame = _getframe(2)
    while frame.f_globals is _own:
        frame = frame.f_back
    importer = _body if _body.frame is frame else _importer_of(frame, _body)
    if importer is not None:
        importer.straight = 0  # an older grammar does not read its source beyond this
        _see_import(importer, frame)
    statement = None if importer is None else _wide_statement(importer, frame.f_lasti)
    if statement is None:
        return
    names, dots, to = statement
    if dots:
        package = frame.f_globals.get("__package__") or ""
        to = ".".join(package.split(".")[: -(dots - 1) or None] + ([to] if to else []))
    parts = to.split(".")
    modules = [".".join(parts[: size + 1]) for size in range(len(parts))]
    modules += [to + "." + name for name in names or ()]
    where = frame.f_code.co_filename, [int(importer.place), frame.f_lineno or 0]
    for name in modules:
        if where not in _declared.setdefault(name, []):
            _declared[name].append(where)


def _declaration(name, frame):
    """Where the import is declared that the first use of a name, in a frame, has Python carry out; None where it is none of these."""
    used = None if frame is None else frame.f_back
    if used is None or used.f_globals.get("__name__") == "importlib":
        return None
    raw, at = used.f_code.co_code, used.f_lasti
    while at >= 0 and raw[at] == _EXTENDED_ARG:
        at += 2
    if at >= 0 and raw[at] == _IMPORT_NAME:
        return None
    declared = _declared[name]
    return next((place for file, place in declared if file == used.f_code.co_filename), declared[0][1])


def _open_import_door():
    global _plain_import
    import builtins

    lazy = getattr(builtins, "__lazy_import__", None)
    if lazy is not None:
        builtins.__lazy_import__ = _door_of(lazy, _see_declaration)
    _plain_import = builtins.__import__
    builtins.__import__ = _ImportDoor()


def _open_import_module_door():
    """``importlib.import_module`` asks ``_sanity_check`` first, which returns before anything is loaded."""
    import _frozen_importlib as bootstrap

    plain = bootstrap._sanity_check

    def _sanity_check(name, package, level):
        _see_import_module(name, package, level, sys._getframe(1))
        return plain(name, package, level)

    _sanity_check.__code__ = _sanity_check.__code__.replace(co_filename=plain.__code__.co_filename)
    bootstrap._sanity_check = _sanity_check


_called = set()  # what was asked of ``import_module``: (file, line, name, level)


@_quietly
def _see_import_module(name, package, level, frame):
    while frame is not None and (
        frame.f_globals is _bootstrap or frame.f_globals is _own or frame.f_globals.get("__name__") == "importlib"
    ):
        frame = frame.f_back
    code = None if frame is None else frame.f_code
    if code is None or not isinstance(name, str) or not _is_app(code.co_filename):
        return
    line = frame.f_lineno or 0
    key = (code.co_filename, line, name, level)
    if key not in _called:
        _called.add(key)
        _emit("edge", c=_place_of(code, frame.f_globals), l=line, to="." * level + name, p=package, dyn=True)
