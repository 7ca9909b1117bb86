"""The probe: runs inside the application's interpreter and writes down what happens there.

Standard library only, one file, CPython 3.8 and later. The runner (``startup.py``) copies it as
``sitecustomize.py`` into a folder that comes first on ``PYTHONPATH``, so Python itself loads it
before anything of the application, in every process of the startup.

It observes and never changes what the application sees:

* it leaves no entry in ``sys.modules`` and none on ``sys.path``, and lets a ``sitecustomize`` of
  the application's own environment run in its place;
* no frame of its own is on the stack while code of the application runs: it stands in for
  functions that only decide or look up (``_get_table_key``, ``_sanity_check``), for one whose
  frame is there anyway (``_call_with_frames_removed``), or acts before the call (``_ImportDoor``);
  so tracebacks and ``stacklevel`` are those of the plain startup;
* it keeps no reference to an exception, a frame, a module or a ``MetaData``.

An event is one line of JSON, copied by one call into a memory-mapped file, one file a process:
every whole line is in the file whatever ends the process. Kinds of events (``k``):

======== ==================================================================================
process  a traced process begins: pid, parent, version, executable
step     a startup step of this process begins; ``stepped``: it ended, with ``error`` or null
exec     a module's body begins: ``n`` its number, ``b`` the body it runs in, ``via`` the frames
         between them, ``how`` import, reload or loader (somebody called a loader), ``again`` true
         if its namespace was in use before (a reload)
script   the code of a file of the application is about to be executed by no standard loader
done     body ``n`` ended, with ``error`` or null
edge     an import by a module of the application, also one answered from ``sys.modules``; from a
         body that did not begin with ``exec`` (a script, ``runpy``), with its frames
metadata a ``MetaData`` came to be; ``cleared``: one was emptied; ``created``: its ``create_all`` ran
table    ``Table(...)`` reached a ``MetaData``: ``outcome`` registered, rejected, extended, kept or
         reflected; ``gone``: a table was taken out again (its columns failed, or by ``remove``)
mapped   a class was mapped to a table, its mapper whole
behind   only in a run that goes on past failures: an exception that such a run went past
exit     the process ends in order; ``uncaught`` the exception that ended it, or null
judged   what ``configure_mappers()`` says, in a copy of this process or at its end (only where asked for)
lost     the trace file could not grow: nothing after this was recorded
======== ==================================================================================
"""

import _thread
import os
import sys
from time import perf_counter_ns as _now

_before = set(sys.modules)
_ENABLED = "INCIDENT_TRACE" in os.environ
_CHUNK = 1 << 20  # bytes the trace file grows by; a longer event is cut
_TEXT = 4000  # characters kept of a message
_DEEP = 60  # frames kept of a traceback or between two bodies
_FROZEN = ("<frozen importlib", "<sqlalchemy generated")


# ---------------------------------------------------------------------------------- writing


def _json(value):
    """A value as JSON text. By hand: importing ``json`` would change the application's import order."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, dict):
        return "{" + ",".join(_quote(k) + ":" + _json(v) for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_json, value)) + "]"
    return _quote(str(value))


def _plain_quote(text):
    out = ['"']
    for c in text:
        n = ord(c)
        if c in '"\\':
            out.append("\\" + c)
        elif 32 <= n < 127:
            out.append(c)
        elif n < 0x10000:
            out.append("\\u%04x" % n)
        else:
            n -= 0x10000
            out.append("\\u%04x\\u%04x" % (0xD800 | n >> 10, 0xDC00 | n & 0x3FF))
    return "".join(out) + '"'


try:
    from _json import encode_basestring_ascii as _quote
except ImportError:  # an interpreter without the accelerator
    _quote = _plain_quote
import mmap as _mmap

for _name in set(sys.modules) - _before:  # as it was: whoever imports these first is the first
    del sys.modules[_name]


class _TraceFile:
    """Lines in a shared memory map over ``<folder>/<pid>-<time>.jsonl``, one file a process."""

    def __init__(self, folder):
        self.folder = folder
        self.open()

    def open(self):
        self.path = os.path.join(self.folder, "%d-%d.jsonl" % (os.getpid(), _now()))
        self.offset = 0
        self.full = False
        self.grow()

    def grow(self):
        # Not kept open: an application that closes every descriptor does not close a mapping.
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            # Real blocks, not a hole: a full disk is an error here, and not SIGBUS at a write later.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, self.offset, _CHUNK)
            else:
                os.ftruncate(fd, self.offset + _CHUNK)
            self.map = _mmap.mmap(fd, _CHUNK, offset=self.offset)
        finally:
            os.close(fd)
        self.offset += _CHUNK

    def write(self, line):
        if self.full:
            return
        try:
            self.map.write(line)  # one C call: whole or not at all, also from several threads
        except ValueError:  # no room left in this chunk: its rest stays NUL, the reader skips that
            try:
                self.grow()
                self.map.write(line if len(line) <= _CHUNK else b'{"k":"lost","why":"one event was too long"}\n')
            except OSError as error:
                self.lost(error)

    def lost(self, error):
        self.full = True
        try:
            line = ('{"k":"lost","t":%d,"why":%s}\n' % (_now(), _quote(str(error)))).encode("ascii")
            # The last chunk keeps no room for this line: it goes into a small file of its own.
            fd = os.open(self.path + ".lost", os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(fd, line)
            finally:
                os.close(fd)
        except OSError:
            pass


_file = None


def _emit(kind, **fields):
    fields = {"k": kind, "t": _now(), **fields}
    _file.write((_json(fields) + "\n").encode("ascii", "replace"))


def _thread_name():
    """The name of this thread, or None in the main thread."""
    ident = _thread.get_ident()
    if ident == _main_thread:
        return None
    threads = getattr(sys.modules.get("threading"), "_active", None) or {}
    return getattr(threads.get(ident), "name", None) or "thread %d" % ident


def _quietly(act):
    """``act`` as a function that never lets an exception of its own into the application."""

    def acting(*args):
        try:
            return act(*args)
        except Exception as problem:
            try:
                _emit("lost", why="%s: %r" % (act.__name__, problem))
            except Exception:
                pass

    return acting


# ----------------------------------------------------------------------------------- frames


def _text(value):
    try:
        text = str(value)
    except Exception as error:
        text = "(no text: its __str__ raised %s)" % type(error).__name__
    return text if len(text) <= _TEXT else text[:_TEXT] + "…"


def _frame(frame, line=None):
    """``[file, line, function, module]``; module from the frame's globals, not from the path."""
    code = frame.f_code
    name = frame.f_globals.get("__name__")
    return [code.co_filename, line or frame.f_lineno, code.co_name, name if isinstance(name, str) else None]


def _walk(frame):
    """Frames from the enclosing body (exclusive of the import system) to ``frame``, outermost first.

    :returns: ``(number of the body this runs in or 0, [[file, line, function, module], ...])``
    """
    frames = []
    while frame is not None:
        code = frame.f_code
        if code is _door_code:
            number = frame.f_locals.get("number")
            if number is not None:
                break
        elif frame.f_globals is not _own and not code.co_filename.startswith(_FROZEN):
            frames.append(_frame(frame))
        frame = frame.f_back
    else:
        number = 0
    frames.reverse()
    if len(frames) > _DEEP:  # the two ends tell most
        frames = frames[: _DEEP // 2] + frames[-_DEEP // 2 :]
    return number, frames


def _error(error):
    """An exception as a value: type, text, the frames it passed, and what it came from."""
    if error is None:
        return None
    tb, frames = error.__traceback__, []
    while tb is not None:
        frame = tb.tb_frame
        if frame.f_globals is not _own and not frame.f_code.co_filename.startswith(_FROZEN):
            frames.append(_frame(frame, tb.tb_lineno))
        tb = tb.tb_next
    links, seen, link = [], set(), error
    while link is not None and id(link) not in seen and len(seen) < 20:
        seen.add(id(link))
        links.append([id(link), type(link).__name__, _text(link)])
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    kind = type(error)
    module = kind.__module__ if isinstance(kind.__module__, str) else ""
    found = {
        "type": kind.__name__ if module == "builtins" else module + "." + kind.__qualname__,
        "text": _text(error),
        "frames": frames if len(frames) <= _DEEP else frames[: _DEEP // 2] + frames[-_DEEP // 2 :],
        "links": links,
    }
    if isinstance(error, ImportError) and isinstance(error.name, str):
        found["name"] = error.name
    if isinstance(error, SyntaxError):
        found["at"] = [_text(error.filename), error.lineno or 0]
    return found


# ---------------------------------------------------------------------- door 1: module bodies

_count = 0
_own = globals()


def _exec_begins(namespace):
    global _count
    _count = number = _count + 1
    _see_body(number, namespace, sys._getframe(2))
    return number


@_quietly
def _see_body(number, namespace, frame):
    name = namespace.get("__name__")
    within, via = _walk(frame)
    _emit(
        "exec",
        n=number,
        b=within,
        m=name if isinstance(name, str) else str(name),
        f=_text(namespace.get("__file__")) if namespace.get("__file__") else None,
        via=via,
        how=_how(frame),
        th=_thread_name(),
        again=any(not (isinstance(k, str) and k[:2] == "__") for k in namespace),
    )


def _how(frame):
    """Did the import system come for this body, ``importlib.reload``, or did somebody call the loader?"""
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        if frame.f_code.co_name == "_find_and_load":
            return "import"
        frame = frame.f_back
    reloading = (
        frame is not None and frame.f_code.co_name == "reload" and frame.f_globals.get("__name__") == "importlib"
    )
    return "reload" if reloading else "loader"


@_quietly
def _exec_ended(number, namespace, error):
    name = namespace.get("__name__")
    _emit("done", n=number, error=_error(error))
    if error is None and name in _WATCHED:
        _WATCHED[name](namespace)  # an SQLAlchemy unlike any we know is "lost", and disturbs nothing


# Stands in for importlib._bootstrap._call_with_frames_removed, through which every standard
# loader executes a body (imports, reloads, alembic's env.py and revision files). Its frame is on
# the stack in a plain startup too, under this name, and import.c cuts it from tracebacks by name.
_DOOR = """
def _call_with_frames_removed(f, *args, **kwds):
    if f is not _exec: return f(*args, **kwds)
    number = _begins(args[1])
    try: result = _run(*args, **kwds)
    except BaseException as error: _ended(number, args[1], error); raise
    _ended(number, args[1], None)
    return result
"""


def _open_module_door():
    import _frozen_importlib as bootstrap

    plain = bootstrap._call_with_frames_removed
    run = _exec_going_on if _going_on else exec
    scope = {"_exec": exec, "_run": run, "_begins": _exec_begins, "_ended": _exec_ended}
    exec(compile(_DOOR, plain.__code__.co_filename, "exec"), scope)
    door = scope["_call_with_frames_removed"]
    if sys.version_info >= (3, 10):  # every instruction reports the line of the original's return
        table = _one_line_table(door.__code__)
        door.__code__ = door.__code__.replace(co_firstlineno=_return_line(plain), co_linetable=table)
    else:
        door.__code__ = door.__code__.replace(co_firstlineno=_return_line(plain), co_lnotab=b"")
    door.__doc__, door.__module__ = plain.__doc__, plain.__module__
    door.__qualname__ = plain.__qualname__
    global _door_code
    _door_code = door.__code__
    bootstrap._call_with_frames_removed = door


@_quietly
def _see_script(code):
    """``exec`` of a file's code by somebody else than a standard loader: ``runpy``, a runner of scripts or cells."""
    if code.co_name != "<module>" or not _is_app(code.co_filename):
        return
    try:
        frame = sys._getframe(3)
    except ValueError:  # the interpreter itself, as for `python script.py`
        frame = None
    if frame is None or frame.f_code is not _door_code:
        within, via = _walk(frame)
        _emit("script", b=within, via=via, f=code.co_filename, th=_thread_name())


def _heard(event, args):
    """Python's own audit events: they come before the act, and with no frame of ours on the stack."""
    if event == "exec":
        _see_script(args[0])


def _exec_going_on(code, namespace):
    """Only in a run that goes on past failures: a module of the application, statement by statement."""
    if not _is_app(code.co_filename):
        return exec(code, namespace)
    import __future__ as future

    import ast

    mask = 0
    for name in future.all_feature_names:
        mask |= getattr(future, name).compiler_flag
    with open(code.co_filename, "rb") as source:
        tree = ast.parse(source.read(), code.co_filename)
    for statement in tree.body:
        part = ast.Module(body=[statement], type_ignores=[])
        try:
            exec(compile(part, code.co_filename, "exec", code.co_flags & mask, True), namespace)
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


def _return_line(function):
    code = function.__code__
    if hasattr(code, "co_lines"):
        return max(line for _, _, line in code.co_lines() if line)
    return code.co_firstlineno + sum(code.co_lnotab[1::2])


def _one_line_table(code):
    """A line table that puts all of ``code`` on its first line."""
    size = len(code.co_code)
    if sys.version_info < (3, 11):  # pairs of (bytes covered, line delta); 254 is the most
        table = b""
        while size > 0:
            step = min(size, 254)
            table += bytes((step, 0))
            size -= step
        return table
    units, table = size // 2, b""  # 3.11+: entries of up to 8 code units, kind 13 = no column, delta 0
    while units > 0:
        step = min(units, 8)
        table += bytes((0x80 | 13 << 3 | step - 1, 0))
        units -= step
    return table


_door_code = None


# ----------------------------------------------------------------------- door 2: import edges

_app_files = {}  # co_filename -> does it belong to the application?
_edges = set()


def _is_app(filename):
    known = _app_files.get(filename)
    if known is None:
        path = "" if filename.startswith("<") else os.path.abspath(filename)
        known = path.startswith(_roots) and "/site-packages/" not in path and "/dist-packages/" not in path
        _app_files[filename] = known
    return known


class _AtImport:
    """Acts when Python looks up how to call ``__import__``: before the call, and off the stack."""

    __slots__ = ()

    def __get__(self, door, owner=None):
        try:
            frame = sys._getframe(1)
        except ValueError:  # asked by the interpreter itself, as for `python -m`
            return _plain_import
        filename = frame.f_code.co_filename
        if _app_files.get(filename) is not False and _is_app(filename):
            _see_import(frame)
        return _plain_import


class _ImportDoor:
    """Stands in for ``builtins.__import__``; calling it runs the original and nothing else."""

    __call__ = _AtImport()
    __name__ = __qualname__ = "__import__"
    __module__ = "builtins"


@_quietly
def _see_import(frame):
    code = frame.f_code
    at = frame.f_lasti
    module = frame.f_globals.get("__name__")
    key = (code.co_filename, code.co_firstlineno, code.co_name, at, module)
    if key in _edges:
        return
    _edges.add(key)
    raw = code.co_code
    if at < 0 or raw[at] != _IMPORT_NAME:  # a direct call of __import__: its argument is out of sight
        return
    index, before = _argument(raw, at)
    # The two instructions before it load the names after `from ... import` and the number of dots.
    names, earlier = _argument(raw, before)
    dots, _ = _argument(raw, earlier)
    names = code.co_consts[names] if 0 <= names < len(code.co_consts) else None
    if earlier >= 0 and raw[earlier] == raw[before]:  # a constant; from 3.14 on a small number by itself
        dots = code.co_consts[dots] if dots < len(code.co_consts) else 0
    package = frame.f_globals.get("__package__")
    event = {
        "m": module,
        "f": code.co_filename,
        "l": frame.f_lineno,
        "fn": code.co_name,
        "to": ("." * dots if isinstance(dots, int) else "") + code.co_names[index],
        "names": names if isinstance(names, tuple) else None,
        "p": package if isinstance(package, str) else None,
    }
    if code.co_name == "<module>" and (frame.f_back is None or frame.f_back.f_code is not _door_code):
        event["b"], event["via"] = _walk(frame)  # a body that no loader executes: this may be all that shows it
    _emit("edge", **event)


def _argument(raw, at):
    """The argument of the instruction at an offset of bytecode, and the offset of the one before it."""
    if at < 0:
        return -1, -1
    value, shift, back = raw[at + 1], 8, at - 2
    while back >= 0 and raw[back] == _EXTENDED_ARG:
        value |= raw[back + 1] << shift
        shift, back = shift + 8, back - 2
    return value, back


def _open_import_door():
    global _plain_import, _IMPORT_NAME, _EXTENDED_ARG
    import builtins

    def opcodes(source):
        return set(compile(source, "", "exec").co_code[::2])

    # opcode.py would be one more entry in sys.modules: ask the compiler instead.
    (_IMPORT_NAME,) = opcodes("import a") - opcodes("a = 1; b = None")
    names = ["a%d" % i for i in range(300)]
    (_EXTENDED_ARG,) = opcodes(";".join(names)) - opcodes("a0;a1")
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


@_quietly
def _see_import_module(name, package, level, frame):
    while frame is not None and (
        frame.f_code.co_filename.startswith(_FROZEN) or frame.f_globals.get("__name__") == "importlib"
    ):
        frame = frame.f_back
    if frame is None or not isinstance(name, str) or not _is_app(frame.f_code.co_filename):
        return
    file, line, function, module = _frame(frame)
    key = (file, line, name, level)
    if key not in _edges:
        _edges.add(key)
        _emit("edge", m=module, f=file, l=line, fn=function, to="." * level + name, p=package, dyn=True)


# ------------------------------------------------------------------- door 3: tables, metadata

_metadata = {}  # id -> (weak reference, number); the number outlives a reuse of the id
_metadatas = 0


def _number_of(metadata):
    known = _metadata.get(id(metadata))
    if known is not None and known[0]() is metadata:
        return known[1]
    return _see_metadata(metadata)


def _see_metadata(metadata):
    global _metadatas
    from _weakref import ref

    _metadatas = number = _metadatas + 1
    if number == 1:
        _watch_create_all(type(metadata))
    _metadata[id(metadata)] = (ref(metadata), number)
    within, via = _walk(sys._getframe(2))
    try:
        schema = _text(metadata.schema) if getattr(metadata, "schema", None) else None
    except Exception:
        schema = None
    _emit("metadata", i=number, b=within, via=via, th=_thread_name(), schema=schema)
    return number


def _watch_create_all(metadata_class):
    """By SQLAlchemy's own event: a method of ours around ``create_all`` would stand in its tracebacks."""
    while metadata_class.__mro__[1].__name__ != "SchemaItem" and metadata_class.__name__ != "MetaData":
        metadata_class = metadata_class.__mro__[1]

    @_quietly
    def created(metadata, connection):
        _emit("created", i=_number_of(metadata), url=repr(connection.engine.url))

    def before_create(target, connection, **kw):
        created(target, connection)

    sys.modules["sqlalchemy.event"].listen(metadata_class, "before_create", before_create)


def _in_sqlalchemy(frame):
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and (name == "sqlalchemy" or name.startswith("sqlalchemy."))


def _defining(frame):
    """The class that is being mapped and the frame that defines the table.

    That frame is the first one outward which is neither SQLAlchemy's nor a hook of the class
    being made (a metaclass or ``__init_subclass__`` of the application or of a library).

    :returns: ``(class or None, frame or None)``
    """
    mapped = None
    while frame is not None:
        if _in_sqlalchemy(frame) or frame.f_code.co_filename.startswith(_FROZEN):
            if mapped is None:
                for name in ("cls", "cls_", "class_", "self"):
                    value = frame.f_locals.get(name)
                    value = value if isinstance(value, type) else getattr(value, "cls", None)
                    if isinstance(value, type) and not str(value.__module__).startswith("sqlalchemy."):
                        if (
                            "registry" in frame.f_code.co_varnames
                            or "dict_" in frame.f_code.co_varnames
                            or name == "self"
                        ):
                            mapped = value
                            break
        elif not _is_class_hook(frame, mapped):
            return mapped, frame
        frame = frame.f_back
    return mapped, None


def _is_class_hook(frame, mapped):
    code = frame.f_code
    if not code.co_argcount:
        return False
    first = frame.f_locals.get(code.co_varnames[0])
    if first is None or not isinstance(first, type):
        return False
    return first is mapped or issubclass(first, type) or code.co_name in ("__table_cls__", "__init_subclass__")


def _default(default):
    """A column's default as text; a function by its name."""
    if default is None:
        return None
    value = getattr(default, "arg", default)
    return _text("%s()" % value.__qualname__ if hasattr(value, "__qualname__") else value)[:200]


def _columns(items):
    """Columns as values, foreign keys by name only: resolving one would change the metadata."""
    found = []
    for item in items:
        if getattr(item, "__visit_name__", None) != "column":
            continue
        try:
            default, server = getattr(item, "default", None), getattr(item, "server_default", None)
            found.append(
                {
                    "name": _text(item.name),
                    "key": _text(item.key),
                    "type": _text(repr(item.type))[:200],
                    "nullable": bool(item.nullable),
                    "primary_key": bool(item.primary_key),
                    "unique": bool(item.unique),
                    "index": bool(item.index),
                    "default": _default(default),
                    "server_default": _default(server),
                    "foreign_keys": sorted(_text(getattr(k, "_colspec", ""))[:200] for k in item.foreign_keys),
                }
            )
        except Exception as error:
            found.append({"name": _text(getattr(item, "name", "?")), "type": "(unreadable: %s)" % type(error).__name__})
    return found


def _items(args):
    for item in args:
        if isinstance(item, (list, tuple)):
            for inner in _items(item):
                yield inner
        else:
            yield item


def _is_mapped(table):
    """Does a mapper use this very Table? None where it cannot be told. Configures nothing."""
    try:
        for registry in list(_registries()):
            for manager in list(registry._managers):
                if manager.is_mapped and table in getattr(manager.mapper, "tables", ()):
                    return True
        return False
    except Exception:
        return None  # SQLAlchemy 1.3 has no registries


def _registries():
    module = sys.modules.get("sqlalchemy.orm.mapper")
    return () if module is None else module._mapper_registries  # _all_registries() would wait for a lock


@_quietly
def _see_table(frame, key):
    """``frame`` is inside ``Table.__new__``, about to decide about ``key``."""
    names = frame.f_locals
    metadata, kw = names.get("metadata"), names.get("kw") or {}
    args = names.get("other_args", names.get("args", ()))
    existing = metadata.tables.get(key)
    reflecting = bool(kw.get("autoload_with") is not None or kw.get("autoload"))
    if existing is None:
        if names.get("must_exist") or names.get("mustexist"):
            return None
        outcome = "reflected" if reflecting else "registered"
    elif kw.get("extend_existing"):
        if reflecting:
            outcome = "reflected"
        elif args:
            outcome = "extended"
        else:
            return None
    elif not args:
        return None  # a look-up
    else:
        outcome = "kept" if kw.get("keep_existing") else "rejected"
    mapped, site = _defining(frame.f_back)
    # From the site outward only: what SQLAlchemy does below it is the same for every table.
    within, via = _walk(site if site is not None else frame.f_back)
    columns = [item for item in _items(args) if getattr(item, "__visit_name__", None) == "column"]
    event = {
        "i": _number_of(metadata),
        "table": _text(key),
        "outcome": outcome,
        "b": within,
        "via": via,
        "th": _thread_name(),
        "cls": None if mapped is None else _text(getattr(mapped, "__qualname__", mapped)),
        "mod": None if mapped is None else _text(getattr(mapped, "__module__", None)),
        "cols": len(columns),
    }
    if mapped is not None:
        event["named"] = "__tablename__" in vars(mapped) or "__table__" in vars(mapped)
    if existing is not None:
        event["existing"] = _columns(existing.columns)
        event["new"] = _columns(columns)
        event["mapped"] = _is_mapped(existing)
    _emit("table", **event)
    return outcome


def _watch_schema(namespace):
    plain_key = namespace["_get_table_key"]
    metadata_class = namespace["MetaData"]

    def _get_table_key(name, schema):
        key = plain_key(name, schema)
        frame = sys._getframe(1)
        if frame.f_code.co_name in ("_new", "__new__") and "metadata" in frame.f_locals:
            outcome = _see_table(frame, key)
            if outcome == "rejected" and _going_on:
                return key + " (set aside)"  # not taken yet: the second definition takes the first one's place
        return key

    namespace["_get_table_key"] = _get_table_key

    def method(name, act):
        plain = vars(metadata_class)[name]

        def watched(self, *args, **kw):
            result = plain(self, *args, **kw)
            act(self, *args)
            return result

        watched.__name__, watched.__doc__ = plain.__name__, plain.__doc__
        watched.__qualname__ = getattr(plain, "__qualname__", name)
        watched.__module__ = plain.__module__
        watched.__wrapped__ = plain  # inspect.signature() shows the original's
        watched.__code__ = watched.__code__.replace(
            co_filename=plain.__code__.co_filename, co_name=plain.__code__.co_name
        )
        setattr(metadata_class, name, watched)

    @_quietly
    def gone(metadata, name, schema=None):
        within, via = _walk(sys._getframe(3))
        _emit("gone", i=_number_of(metadata), table=_text(plain_key(name, schema)), b=within, via=via)

    @_quietly
    def cleared(metadata):
        within, via = _walk(sys._getframe(3))
        _emit("cleared", i=_number_of(metadata), b=within, via=via)

    @_quietly
    def made(metadata, *args):
        _number_of(metadata)

    method("__init__", made)
    method("_remove_table", gone)
    method("clear", cleared)
    sqlalchemy = sys.modules.get("sqlalchemy")
    _emit("library", name="sqlalchemy", version=_text(_version_near(sqlalchemy)))


def _version_near(package):
    """The version of a package that is still being imported, from its source line or its metadata folder."""
    found = getattr(package, "__version__", None)
    if found is None and getattr(package, "__file__", None):
        try:
            with open(package.__file__, encoding="utf-8", errors="replace") as source:
                for line in source:
                    if line.startswith("__version__"):
                        return line.split("=", 1)[1].strip().strip("'\"")
        except OSError:
            pass
    return found


def _watch_mappers(namespace):
    """``_flag_new_mapper`` is the last thing that the construction of a mapper does."""
    registry = namespace["registry"]
    plain = registry._flag_new_mapper

    @_quietly
    def mapped(mapper):
        table, class_ = mapper.local_table, mapper.class_
        if getattr(table, "metadata", None) is not None and isinstance(getattr(table, "key", None), str):
            _emit(
                "mapped",
                i=_number_of(table.metadata),
                table=_text(table.key),
                mod=_text(class_.__module__),
                cls=_text(class_.__qualname__),
            )

    def _flag_new_mapper(self, mapper):
        mapped(mapper)
        return plain(self, mapper)

    registry._flag_new_mapper = _flag_new_mapper


_WATCHED = {"sqlalchemy.sql.schema": _watch_schema, "sqlalchemy.orm.decl_api": _watch_mappers}


# ------------------------------------------------------------------------------------- judging


def _judge(in_copy):
    """Configure the mappers of this process, and write down what came out.

    ``configure_mappers()`` changes what it looks at, and stays failed once it failed: so in a forked copy,
    unless this process has nothing more to do.
    """
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is None:
        return
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork() if in_copy and hasattr(os, "fork") else 0
        if pid:
            _wait(pid, 30)
            return
        try:
            found = _mappers()
            try:
                orm.configure_mappers()
                error = None
            except Exception as problem:
                error = _error(problem)
            _emit("judged", error=error, mappers=found)
        except BaseException as problem:
            _emit("judged", error=_error(problem), mappers=None)
        finally:
            if in_copy and hasattr(os, "fork"):
                os._exit(0)


def _wait(pid, seconds):
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    _emit("lost", why="judging the mappers took more than %d seconds" % seconds)


def _mappers():
    """Every mapped class: its table, on which metadata, and whether that metadata still holds it."""
    found = []
    for registry in list(_registries()):
        for manager in list(registry._managers):
            class_ = manager.class_
            entry = {"cls": _text(class_.__qualname__), "mod": _text(class_.__module__), "ok": bool(manager.is_mapped)}
            if manager.is_mapped:
                mapper = manager.mapper
                table = mapper.local_table
                inherits = mapper.inherits is not None and mapper.inherits.local_table is table
                metadata = getattr(table, "metadata", None)
                key = getattr(table, "key", None)
                held = metadata is not None and metadata.tables.get(key) is table
                columns = getattr(table, "c", ())
                orphans = [
                    c.key for c in mapper.columns if getattr(c, "table", None) is table and c not in set(columns)
                ]
                entry.update(
                    table=None if key is None else _text(key),
                    i=None if metadata is None else _number_of(metadata),
                    id=id(table),
                    inherits=inherits,
                    held=held,
                    columns=sorted(_text(c.name) for c in columns),
                    orphans=sorted(map(_text, orphans)),
                    bind=_text(getattr(class_, "__bind_key__", None))
                    if getattr(class_, "__bind_key__", None)
                    else None,
                )
            found.append(entry)
    found.sort(key=lambda e: (e.get("table") or "", e["mod"], e["cls"]))
    return found


# --------------------------------------------------------------------------------------- steps


def _run_steps():
    """Run the startup's steps in this interpreter, in ``__main__``, until one fails.

    ``INCIDENT_STEPS`` holds ``[[number, kind, text], ...]`` as a Python literal.
    """
    main = sys.modules["__main__"].__dict__
    failed = None
    for number, kind, text in _steps:
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
    if failed is not None and not isinstance(failed, SystemExit):
        tb = failed.__traceback__
        while tb is not None and tb.tb_frame.f_globals is _own:
            tb = tb.tb_next
        sys.excepthook(type(failed), failed.with_traceback(tb), tb)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    if _judging:
        _judge(True)
    _emit("exit", uncaught=None, steps=True)
    code = 0 if failed is None else failed.code if isinstance(failed, SystemExit) else 1
    del failed
    with open(_finished, "w"):
        pass  # tells the runner that only the application's own threads keep this process
    sys.exit(code)


def _at_exit():
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if _judging:
        _judge(False)
    _emit("exit", uncaught=_error(error) if isinstance(error, BaseException) else None)


# --------------------------------------------------------------------------------------- start


def _after_fork():
    global _main_thread
    _main_thread = _thread.get_ident()
    parent = os.getppid()
    _file.open()
    _emit("process", pid=os.getpid(), parent=parent, forked=True)


def _begin():
    global _file, _roots, _judging, _going_on, _finished, _steps, _main_thread
    _main_thread = _thread.get_ident()
    _file = _TraceFile(os.environ["INCIDENT_TRACE"])
    root = os.environ["INCIDENT_ROOT"]
    _roots = tuple({os.path.join(root, ""), os.path.join(os.path.realpath(root), "")})
    _judging = "INCIDENT_JUDGE" in os.environ
    _going_on = "INCIDENT_GO_ON" in os.environ
    _finished = os.path.join(os.environ["INCIDENT_TRACE"], "finished")
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

        atexit.register(_at_exit)
        if not known and sys.version_info >= (3, 10):  # before, what is registered belongs to the module
            del sys.modules["atexit"]
    else:
        _steps = eval(steps, {"__builtins__": {}})  # a literal of the runner's own making
        sys._incident_steps = _run_steps
    _open_module_door()
    _open_import_door()
    _open_import_module_door()
    sys.addaudithook(_heard)


def _hand_over():
    """Leave the place of ``sitecustomize`` to the one that the environment has, or to none."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    sys.path_importer_cache.pop(folder, None)
    sys.modules.pop("sitecustomize", None)
    import sitecustomize  # noqa: F401  none there: an ImportError that site.py takes for just that


if _ENABLED and __name__ == "sitecustomize":
    try:
        _begin()
    finally:
        _hand_over()
