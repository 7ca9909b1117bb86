"""The probe: runs inside the application's interpreter and writes down what happens there.

Standard library only, one file, CPython 3.8 and later. The runner (``startup.py``) copies it as
``sitecustomize.py`` into a folder that comes first on ``PYTHONPATH``, so Python itself loads it
before anything of the application, in every process of the startup.

It observes and never changes what the application sees, but for what it refuses: a connection to what this
run did not open, with an exception of the kind that a server which is down gives.

* it leaves no entry in ``sys.modules`` and none on ``sys.path``, and lets a ``sitecustomize`` of
  the application's own environment run in its place;
* no frame of its own is on the stack while code of the application runs: it stands in for
  functions that only decide or look up (``_get_table_key``, ``_sanity_check``), for one whose
  frame is there anyway (``_call_with_frames_removed``), or acts before the call (``_ImportDoor``);
  so tracebacks and ``stacklevel`` are those of the plain startup;
* it keeps no reference to an exception, a module, a ``MetaData``, or a frame but that of a body while it runs.

An event is one line of JSON, copied by one call into a memory-mapped file, one file a process:
every whole line is in the file whatever ends the process. A frame is ``[place, line]``, its place
written once; what is null or false may be left out. Kinds of events (``k``):

======== ==================================================================================
place    a function that frames and edges name by its number ``c``: file, function, module, package
process  a traced process begins: pid, parent, version, executable
step     a startup step of this process begins; ``stepped``: it ended, with ``error`` or null
exec     a module's body begins: ``n`` its number, ``b`` the body it runs in, ``via`` the frames
         between them, ``how`` import, reload or loader (somebody called a loader), ``again`` true
         if its namespace was in use before (a reload); ``c`` and ``p`` its place and package, if that
         is not written by an event of its own
script   the code of a file of the application is about to be executed by no standard loader
done     body ``n`` ended, with ``error`` or null
edge     an import by a module of the application, also one answered from ``sys.modules``: place,
         line, what it asks for; from a body that did not begin with ``exec`` (a script, ``runpy``),
         with its frames. None by a function that a library calls while its own body runs, nor, before
         3.12, by one in a thread that it started: what such an import executes shows by ``exec``
metadata a ``MetaData`` came to be; ``cleared``: one was emptied; ``created``: its ``create_all`` ran, or ``table.create``
engine   an engine was made: ``driver`` as in ``postgresql+asyncpg``, ``async`` true if that driver is asynchronous
table    ``Table(...)`` reached a ``MetaData``: ``outcome`` registered, rejected, extended, kept or
         reflected; ``gone``: a table was taken out again (its columns failed, or by ``remove``)
mapped   a class was mapped to a table, its mapper whole
behind   only in a run that goes on past failures: an exception that such a run went past
entry    something took a name in a registry (``r``: metric, blueprint, endpoint, task, route, include, mount, schema,
         model): ``i`` the registry's number, ``key`` the name, ``o`` the object's number, ``at`` and ``name`` where it is
         defined, ``more``: methods of a route, rule and methods of an endpoint; ``blueprint made`` and ``route made``: it was
         constructed
silenced ``logging.config`` is about to disable these ``loggers``, for they are there already
handled  from CPython 3.12 on: an exception came from another function of the application, or from SQLAlchemy, to a handler
         of the application; each handler tells of a type once
record   a record of the level warning or above that carries an exception, or any of a logger that is disabled (``lost``)
guard    a guard of the probe's own is in place: its ``name``
refused  something outside the workspace was about to be reached: ``what``, its secrets left out
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
_ident, _getframe = _thread.get_ident, sys._getframe
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
import gc as _gc
import mmap as _mmap

_counts = _gc.get_count()
for _name in set(sys.modules) - _before:  # as it was: whoever imports these first is the first
    del sys.modules[_name]


class _TraceFile:
    """Lines in a shared memory map over ``<folder>/<pid>-<time>.jsonl``, one file a process."""

    def __init__(self, folder):
        self.folder = folder
        self.open()

    def open(self):
        global _put
        self.path = os.path.join(self.folder, "%d-%d.jsonl" % (os.getpid(), _now()))
        self.offset = 0
        self.full = False
        self.grow()
        _put = self.map.write

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

    def go_on(self, line):
        """Write a line for which this chunk has no room left: its rest stays NUL, the reader skips that."""
        global _put
        if self.full:
            return
        try:
            self.grow()
            _put = self.map.write
            _put(line if len(line) <= _CHUNK else b'{"k":"lost","why":"one event was too long"}\n')
        except OSError as error:
            self.lost(error)

    def lost(self, error):
        global _put
        self.full = True
        _put = len  # nothing more is written
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


_file = _put = None  # ``_put``: one C call, whole or not at all, also from several threads


def _emit(kind, **fields):
    _write('{"k":"%s","t":%d,%s\n' % (kind, _now(), _json(fields)[1:]))


def _write(line):
    line = line.encode()  # ASCII, by ``_quote``
    try:
        _put(line)
    except ValueError:
        _file.go_on(line)


def _thread_name():
    """The name of this thread, or None in the main thread."""
    ident = _ident()
    if ident == _main_thread:
        return None
    threads = getattr(sys.modules.get("threading"), "_active", None) or {}
    return getattr(threads.get(ident), "name", None) or "thread %d" % ident


def _lose(what, problem):
    try:
        _emit("lost", why="%s: %r" % (what, problem))
    except Exception:
        pass


def _quietly(act):
    """``act`` as a function that never lets an exception of its own into the application."""

    def acting(*args):
        try:
            return act(*args)
        except Exception as problem:
            _lose(act.__name__, problem)

    return acting


# ----------------------------------------------------------------------------------- frames
#
# Where it counts, a frame is known by its globals: ``f_code`` is an audit event, and so a call of ``_heard``, each time;
# so is ``id()``. What stays is text and numbers: a tuple counts for the collector of garbage, which would come earlier.


def _text(value):
    try:
        text = str(value)
    except Exception as error:
        text = "(no text: its __str__ raised %s)" % type(error).__name__
    return text if len(text) <= _TEXT else text[:_TEXT] + "…"


_places = {}  # file, function and module, a line each -> its number
_packages = {}  # the number -> its package when it was first seen
_next_place = iter(range(1, 1 << 60)).__next__  # one C call: no number twice, also from several threads


def _place_of(code, namespace):
    """The number of where a frame is, but for its line; module from its globals, not from the path. Written down the first time."""
    module = namespace.get("__name__")
    module = module if isinstance(module, str) else None
    file, name = code.co_filename, code.co_name
    key = f"{file}\n{name}\n{module}"
    place = _places.get(key)
    if place is None:
        package = namespace.get("__package__")
        place, package = _next_place(), package if isinstance(package, str) else None
        file, name, module, said = map(_json, (file, name, module, package))
        _write(f'{{"k":"place","c":{place},"f":{file},"fn":{name},"m":{module},"p":{said}}}\n')
        _packages[place] = package
        _places[key] = place  # only now: what names it comes after it in the file
    return place


def _place_of_body(file, name, package):
    """The same for the body of a module of the application that begins, and what its event says of it beside its file and name."""
    key = f"{file}\n<module>\n{name}"
    number = _places.get(key)
    if number is None:
        number = _places[key] = _next_place()
        _packages[number] = package
    place = f"{number}"
    return place, _packages[number], f',"c":{place},"p":{_quoted.get(package) or _quote_once(package)}'


_quoted = {}  # name of a module, or None -> as JSON


def _quote_once(name):
    _quoted[name] = quoted = _json(name)
    return quoted


def _walk(frame):
    """Frames from the enclosing body (exclusive of the import system) to ``frame``, outermost first.

    :returns: ``(number of the body this runs in or 0, [[place, line], ...])``
    """
    frames = []
    while frame is not None:
        namespace = frame.f_globals
        if frame is _body.frame:
            frames.append([int(_body.place), frame.f_lineno or 0])
            number = int(_body.number)
            break
        if namespace is _door:
            number = frame.f_locals.get("number")
            if number is not None:
                number = int(number)
                break
        elif not (namespace is _bootstrap or namespace is _external or namespace is _own):
            code = frame.f_code
            if not code.co_filename.startswith(_FROZEN):
                frames.append([_place_of(code, namespace), frame.f_lineno or 0])
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
        code, namespace = frame.f_code, frame.f_globals
        if namespace is not _own and not code.co_filename.startswith(_FROZEN):
            frames.append([_place_of(code, namespace), tb.tb_lineno or 0])
        tb = tb.tb_next
    links, seen, todo = [], set(), [error]
    while todo and len(seen) < 20:
        link = todo.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        links.append([id(link), type(link).__name__, _text(link)])
        todo.append(link.__cause__ or (None if link.__suppress_context__ else link.__context__))
        group = getattr(link, "exceptions", None)  # of an ExceptionGroup
        todo += [member for member in group if isinstance(member, BaseException)] if type(group) is tuple else []
    kind = type(error)
    module = kind.__module__ if isinstance(kind.__module__, str) else ""
    value = {
        "type": kind.__name__ if module == "builtins" else module + "." + kind.__qualname__,
        "text": _text(error),
        "frames": frames if len(frames) <= _DEEP else frames[: _DEEP // 2] + frames[-_DEEP // 2 :],
        "links": links,
    }
    if isinstance(error, ImportError) and isinstance(error.name, str):
        value["name"] = error.name
    if isinstance(error, SyntaxError):
        value["at"] = [_text(error.filename), error.lineno or 0]
    return value


# ---------------------------------------------------------------------- door 1: module bodies

_next_body = iter(range(1, 1 << 60)).__next__
_own = globals()


_in_library = False  # is the innermost body of the main thread a library's? Its imports need no look then


def _exec_begins(code, namespace):
    global _in_library, _body
    number, main, outer = f"{_next_body()}", _ident() == _main_thread, None
    library, body = False, _NOBODY
    try:
        library, body = _see_body(number, code, namespace, _getframe(2), main)
    except Exception as problem:
        _lose("_see_body", problem)
    if main:
        outer = _in_library, _body
        _in_library, _body = library, body
        if library is _looking:
            _look(not library)
    elif _alone:
        _on_thread(None)
    return number, outer


def _see_body(number, code, namespace, frame, main):
    """:returns: whether this is a library's body, and of one of the application that the main thread executes its ``_Importer``"""
    name, file, body = namespace.get("__name__"), namespace.get("__file__"), _NOBODY
    library = type(file) is str and not _is_app(file)
    within, line = 0, None
    if main:
        within, line = _body.imports(frame)
    if line is not None:
        how, via = "import", f"[[{_body.place},{line}]]"
    else:
        how, frame = _how(frame)
        within, via = _walk(frame)
        if name in _declared and how == "import":
            declared = _declaration(name, frame)
            via += [] if declared is None else [declared]
    more = ""
    if not main:
        more = ',"th":' + _json(_thread_name())
    if "__builtins__" in namespace and any(not (isinstance(k, str) and k[:2] == "__") for k in namespace):
        more += ',"again":true'
    if main and not library and type(name) is type(file) is str and code.co_filename == file:
        package = namespace.get("__package__")
        place, before, this = _place_of_body(file, name, package if type(package) is str else None)
        more += this
        body = _Importer(code, namespace, place, before)
        body.number, body.namespace = number, namespace
    name, file = _quote(name if isinstance(name, str) else str(name)), _quote(_text(file)) if file else "null"
    # By hand, as with edges: these two are nearly all of a trace. A list of numbers prints as JSON does.
    _write(
        f'{{"k":"exec","t":{_now()},"n":{number},"b":{within},"m":{name},"f":{file},"via":{via},"how":"{how}"{more}}}\n'
    )
    return library, body


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
    global _in_library, _body
    if outer is not None:
        body, (_in_library, _body) = _body, outer
        if _in_library is _looking:
            _look(not _in_library)
        body.end()
    try:
        if error is not None:
            _emit("done", n=int(number), error=_error(error))
            return
        _write(f'{{"k":"done","t":{_now()},"n":{number}}}\n')
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
    run = _exec_going_on if _going_on else exec
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


@_quietly
def _see_script(args):
    """``exec`` of a file's code by somebody else than a standard loader: ``runpy``, a runner of scripts or cells."""
    code = args[0]
    if code.co_name != "<module>" or not _is_app(code.co_filename):
        return
    try:
        frame = sys._getframe(4)
    except ValueError:  # the interpreter itself, as for `python script.py`
        frame = None
    if frame is None or frame.f_globals is not _door:
        within, via = _walk(frame)
        _emit("script", b=within, via=via, f=code.co_filename, th=_thread_name())


def _heard(event, args):
    """Python's own audit events: they come before the act, and with no frame of ours on the stack."""
    if event in _heeded:
        _heeded[event](args)


def _on_exec(args):
    if _files.get(args[0].co_filename) is not False:  # most are text that a library made
        _see_script(args)


def _on_thread(args):
    global _alone
    _alone = False
    _look(True)


# From 3.12 on a thread's start is heard.
_heeded = {"exec": _on_exec, "_thread.start_new_thread": _on_thread, "_thread.start_joinable_thread": _on_thread}


def _exec_going_on(code, namespace):
    """Only in a run that goes on past failures: a module of the application, statement by statement."""
    if not _is_app(code.co_filename):
        return exec(code, namespace)
    import __future__ as future

    import ast

    mask = 0
    for name in future.all_feature_names:
        mask |= getattr(future, name).compiler_flag
    try:
        with open(code.co_filename, "rb") as source:
            tree = ast.parse(source.read(), code.co_filename)
    except (OSError, SyntaxError, ValueError, RecursionError):  # bytecode without its source: as one piece
        return exec(code, namespace)
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


_door = _bootstrap = _external = None  # globals: of the door, and of the import system's two halves


# ----------------------------------------------------------------------- door 2: import edges

_files = {}  # co_filename -> is it a file of the application?
_importers = {}  # (file, first line, function, module) -> ``_Importer``, but for the bodies that the main thread executes


def _is_app(filename):
    known = _files.get(filename)
    return _see_file(filename) if known is None else known


def _see_file(filename):
    within = filename.startswith(_roots)
    if not within or "/." in filename or "-packages/" in filename:  # not as plain as nearly all of the application's
        path = filename
        if filename[:1] != "/" or "//" in path or "/./" in path or "/../" in path:
            path = "" if filename.startswith("<") else os.path.abspath(filename)
        within = path.startswith(_roots) and "/site-packages/" not in path and "/dist-packages/" not in path
    _files[filename] = within
    return within


class _AtImport:
    """Acts when Python looks up how to call ``__import__``: before the call, and off the stack."""

    __slots__ = ()

    def __get__(self, door, owner=None):
        if _in_library and _ident() == _main_thread:
            return _plain_import
        try:
            frame, importer, more = _getframe(1), _body, ""
            if importer.frame is not frame:
                importer, more = _see_importer(importer, frame)
                if importer is None:
                    return _plain_import
            at = frame.f_lasti
            if at not in importer.seen:
                importer.seen.add(at)
                _see_statement(importer, frame, at, more)
        except (ValueError, TypeError):  # asked by the interpreter itself, as for `python -m`; a strange ``__file__``
            pass
        except Exception as problem:
            _lose("import", problem)
        return _plain_import


_at_import = _AtImport()


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


class _Importer:
    """A body or function of the application with imports: what is the same for each of its statements.

    Place, numbers and lines are text: each is written more than once, and turning a number into text is what takes long.
    """

    __slots__ = (
        *("at", "code", "consts", "frame", "head", "line", "lines", "names", "namespace", "number", "place", "range"),
        *("raw", "seen", "tail", "wide"),
    )

    def __init__(self, code, namespace, place, package, seen=None):
        self.code, self.place, self.seen, self.at = code, place, seen, -1
        self.frame = self.namespace = None  # of the main thread's body that executes it
        now = namespace.get("__package__")
        more = "" if now is package or now == package else ',"p":' + _json(now if isinstance(now, str) else None)
        self.head, self.tail = f',"c":{place},"l":', more + "}\n"

    def begin(self):
        """Its first import statement is about to be executed."""
        code = self.code
        self.raw, self.consts, self.names = code.co_code, code.co_consts, code.co_names
        # Could an instruction that makes up an import statement be a wide one, or not what it always was?
        self.wide = len(self.consts) > 256 or len(self.names) > 256 or sys.version_info >= (3, 14)
        if self.seen is None:
            self.seen = set(map(ord, _imported.get(self.place, "")))
        # Where a line begins and ends, the line, and an iterator over those after it (from 3.10 on).
        self.range, self.lines = (0, 0, None), code.co_lines() if hasattr(code, "co_lines") else None

    def end(self):
        """This body was executed: only which statements of it were is needed, should it be executed again."""
        if self.frame is not None:
            try:
                _imported[self.place] = "".join(map(chr, self.seen))
            except ValueError:  # a million bytes into the code: should it be executed again, they are seen again
                pass
            self.frame = self.code = self.namespace = self.lines = None

    def imports(self, frame):
        """Does an import statement of this very body execute what ``frame``, of its loader, loads?

        :returns: ``(number of this body, line)``; the line is None where it is not so, or not as plain as nearly always
        """
        if self.frame is None:
            return 0, None
        try:
            caller = frame.f_back.f_back.f_back.f_back  # past exec_module, and three functions of the import system
        except AttributeError:
            return 0, None
        if caller is not self.frame:
            return 0, None
        at = caller.f_lasti
        if at == self.at:  # of the statement that was seen last
            return self.number, self.line
        if self.raw[at] != _IMPORT_NAME:
            return 0, None
        return self.number, f"{caller.f_lineno or 0}"

    def line_at(self, frame, at):
        """``f_lineno``, which looks through the code from its start each time, where imports come one after the other."""
        span = self.range
        if at >= span[1] and self.lines is not None:
            for span in self.lines:
                if at < span[1]:
                    break
            self.range = span
        # Asked for an earlier one, or another thread went on with the lines meanwhile: in the long way.
        return span[2] if span[0] <= at < span[1] and span[2] else frame.f_lineno or 0


_NEAR = 400  # bytes from the start of the code, up to which ``f_lineno`` is the quicker
_NOBODY = _Importer(None, {}, "0", None)
_body = _NOBODY  # the innermost body of the main thread, if it is one of the application
_imported = {}  # place of a body -> where its import statements are that were executed, a character each


def _see_importer(body, frame):
    """Who imports in a frame that is not that of the innermost body, or is so for the first time.

    :returns: an ``_Importer`` or None, and more to write of an import in a body that no loader executes
    """
    namespace = frame.f_globals
    if namespace is _external:  # as each time that a module's file is opened: that imports ``_io``
        return None, ""
    if body.namespace is namespace and body.frame is None and _ident() == _main_thread:
        outer = frame.f_back
        if outer is not None and outer.f_globals is _door:
            body.begin()
            body.frame = frame
            return body, ""
    if _files.get(namespace.get("__file__")) is False:  # a module of a library
        return None, ""
    code = frame.f_code
    if not _is_app(code.co_filename):
        file = namespace.get("__file__")
        if isinstance(file, str):
            _is_app(file)  # next time it is known
        return None, ""
    key = (code.co_filename, code.co_firstlineno, code.co_name, namespace.get("__name__"))
    importer = _importers.get(key)
    if importer is None or importer.code is not code:
        place = _place_of(code, namespace)
        seen = set() if importer is None else importer.seen  # another code of the same place: executed again
        importer = _importers[key] = _Importer(code, namespace, f"{place}", _packages[place], seen)
        importer.begin()
    more = ""
    if code.co_name == "<module>" and frame.f_lasti not in importer.seen:
        outer = frame.f_back
        if outer is None or outer.f_globals is not _door:
            more = ',"b":%d,"via":%s' % _walk(frame)  # a body that no loader executes: this may be all that shows it
    return importer, more


def _see_statement(importer, frame, at, more):
    raw, consts = importer.raw, importer.consts
    if raw[at] == _IMPORT_NAME and not importer.wide:
        # The two instructions before it load the names after `from ... import` and the number of dots.
        names, dots, to = consts[raw[at - 1]], consts[raw[at - 3]], importer.names[raw[at + 1]]
    else:
        parts = _wide_statement(importer, at)
        if parts is None:
            return
        names, dots, to = parts
    if dots and type(dots) is int:
        to = "." * dots + to
    importer.line = line = f"{frame.f_lineno or 0 if at < _NEAR else importer.line_at(frame, at)}"
    importer.at, tail = at, importer.tail
    if more:
        tail = more + tail
    to = _quoted.get(to) or _quote_once(to)
    if names and type(names) is tuple:
        names = _quote(",".join(names))
        _write(f'{{"k":"edge","t":{_now()}{importer.head}{line},"to":{to},"names":{names}{tail}')
    else:
        _write(f'{{"k":"edge","t":{_now()}{importer.head}{line},"to":{to}{tail}')


def _wide_statement(importer, at):
    """:returns: names, dots and module of an import statement, in the long way; None where it is none"""
    raw, consts = importer.raw, importer.consts
    while at >= 0 and raw[at] == _EXTENDED_ARG:  # before 3.11 this is where a frame with many names is
        at += 2
    if at < 0 or raw[at] != _IMPORT_NAME:  # a direct call of __import__: its argument is out of sight
        return None
    index, before = _argument(raw, at)
    names, earlier = _argument(raw, before)
    dots, _ = _argument(raw, earlier)
    # From 3.14 on a small number stands by itself; from 3.15 on None does.
    names = consts[names] if before >= 0 and raw[before] == _LOAD_CONST else None
    if earlier >= 0 and raw[earlier] == _LOAD_CONST:
        dots = consts[dots]
    return names, dots, importer.names[index >> _LAZINESS]


def _argument(raw, at):
    """The argument of the instruction at an offset of bytecode, and the offset of the one before it."""
    if at < 0:
        return -1, -1
    value, shift, back = raw[at + 1], 8, at - 2
    while back >= 0 and raw[back] == _EXTENDED_ARG:
        value |= raw[back + 1] << shift
        shift, back = shift + 8, back - 2
    return value, back


class _AtLazyImport:
    """Acts when Python, from 3.15 on, looks up how to call ``__lazy_import__``: where a ``lazy import`` stands, before it is used."""

    __slots__ = ("plain",)

    def __init__(self, plain):
        self.plain = plain

    def __get__(self, door, owner=None):
        _see_declaration()
        return self.plain


_declared = {}  # name of a module -> where it is declared lazily: [(file, [place, line]), ...]


@_quietly
def _see_declaration():
    frame = _getframe(2)
    while frame.f_globals is _own:
        frame = frame.f_back
    importer, more = _body, ""
    if importer.frame is not frame:
        importer, more = _see_importer(importer, frame)
    if importer is None:
        return
    at = frame.f_lasti
    if at not in importer.seen:
        importer.seen.add(at)
        _see_statement(importer, frame, at, more)
    found = _wide_statement(importer, at)
    if found is None:
        return
    names, dots, to = found
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
    global _plain_import, _IMPORT_NAME, _EXTENDED_ARG, _LOAD_CONST, _LAZINESS
    import builtins

    # opcode.py would be one more entry in sys.modules: ask what the compiler makes of these instead.
    def importing():
        import a  # noqa: F401

    def assigning():
        a = 1  # noqa: F841
        b = None  # noqa: F841

    (_IMPORT_NAME,) = set(importing.__code__.co_code[::2]) - set(assigning.__code__.co_code[::2])

    def few(c):
        a, *b = c

    def many(c):
        *a, b = c  # its one argument is the names behind the star times 256

    (_EXTENDED_ARG,) = set(many.__code__.co_code[::2]) - set(few.__code__.co_code[::2])

    def names():
        import a  # noqa: F401
        from b import c  # noqa: F401

    raw = names.__code__.co_code
    second = raw.rindex(bytes((_IMPORT_NAME,)), 0, len(raw) - 2)
    second -= second % 2
    _LOAD_CONST = raw[second - 2]
    # How many low bits of an import statement's argument say whether it is lazy: the rest is the number of a name, here 1.
    _LAZINESS = raw[second + 1].bit_length() - 1
    lazy = getattr(builtins, "__lazy_import__", None)
    if lazy is not None:
        door = {"__call__": _AtLazyImport(lazy), "__name__": "__lazy_import__", "__qualname__": "__lazy_import__"}
        builtins.__lazy_import__ = type("_LazyImportDoor", (), {**door, "__module__": "builtins"})()
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


# ------------------------------------------------------------------- door 3: tables, metadata

_metadata = {}  # id -> (weak reference, number); the number outlives a reuse of the id
_metadatas = 0
_newest = (int, 0)  # the one that was asked for last: ``id()`` is an audit event, too


def _number_of(metadata):
    global _newest
    known = _newest
    if known[0]() is not metadata:
        known = _metadata.get(id(metadata))
        if known is None or known[0]() is not metadata:
            _see_metadata(metadata)
            known = _metadata[id(metadata)]
        _newest = known
    return known[1]


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

    together = set()  # threads that are within ``create_all``: it says where it is called once, not for each table

    @_quietly
    def created(metadata, connection):
        together.add(_ident())
        within, via = _walk(sys._getframe(1))
        _emit("created", i=_number_of(metadata), url=repr(connection.engine.url), b=within, via=via)

    def before_create(target, connection, **kw):
        created(target, connection)

    def after_create(target, connection, **kw):
        together.discard(_ident())

    @_quietly
    def created_alone(table, connection):
        place = {}
        if _ident() not in together:
            place["b"], place["via"] = _walk(sys._getframe(1))
        _emit("created", i=_number_of(table.metadata), url=repr(connection.engine.url), table=_text(table.key), **place)

    def before_create_alone(target, connection, **kw):
        created_alone(target, connection)

    event = sys.modules["sqlalchemy.event"]
    event.listen(metadata_class, "before_create", before_create)
    event.listen(metadata_class, "after_create", after_create)
    event.listen(sys.modules["sqlalchemy.sql.schema"].Table, "before_create", before_create_alone)


# Where no class is mapped.
_BELOW_MAPPING = ("sqlalchemy.sql.", "sqlalchemy.util.")


def _defining(frame):
    """The class that is being mapped and the frame that defines the table.

    That frame is the first one outward which is neither SQLAlchemy's nor a hook of the class
    being made (a metaclass or ``__init_subclass__`` of the application or of a library), nor the
    ``__new__`` of a kind of ``Table``.

    :returns: ``(class or None, frame or None, is it mapped only later)``
    """
    mapped = None
    later = False  # is the class mapped on purpose only later?
    while frame is not None:
        module = frame.f_globals.get("__name__")
        library = isinstance(module, str) and (module == "sqlalchemy" or module.startswith("sqlalchemy."))
        if library and module.startswith(_BELOW_MAPPING):
            pass
        elif library or frame.f_code.co_filename.startswith(_FROZEN):
            # Once the class is known its mapping is, too: what maps it later is the ``self`` that is given the class.
            names = frame.f_locals if mapped is None else {}  # each look makes it anew
            later = later or "Deferred" in type(names.get("self")).__name__
            for name in ("cls", "cls_", "class_", "self") if names else ():
                value = names.get(name)
                value = value if isinstance(value, type) else getattr(value, "cls", None)
                if isinstance(value, type) and not str(value.__module__).startswith("sqlalchemy."):
                    arguments = () if name == "self" else frame.f_code.co_varnames
                    if name == "self" or "registry" in arguments or "dict_" in arguments:
                        mapped = value
                        break
        elif not _is_class_hook(frame, mapped):
            return mapped, frame, later
        frame = frame.f_back
    return mapped, None, later


def _is_class_hook(frame, mapped):
    code = frame.f_code
    if not code.co_argcount:
        return False
    first = frame.f_locals.get(code.co_varnames[0])
    if first is None or not isinstance(first, type):
        return False
    if issubclass(first, sys.modules["sqlalchemy.sql.schema"].Table):
        return code.co_name == "__new__"  # a kind of Table, as ``db.Table``: who calls it defines the table
    return first is mapped or issubclass(first, type) or code.co_name in ("__table_cls__", "__init_subclass__")


def _default(default):
    """A column's default as text; a function by its name."""
    if default is None:
        return None
    value = getattr(default, "arg", default)
    return _text("%s()" % value.__qualname__ if hasattr(value, "__qualname__") else value)[:200]


def _columns(items):
    """Columns as values, foreign keys by name only: resolving one would change the metadata."""
    columns = []
    for item in items:
        if getattr(item, "__visit_name__", None) != "column":
            continue
        try:
            default, server = getattr(item, "default", None), getattr(item, "server_default", None)
            columns.append(
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
            columns.append(
                {"name": _text(getattr(item, "name", "?")), "type": "(unreadable: %s)" % type(error).__name__}
            )
    return columns


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


def _threads_beside(code):
    """Is another thread inside this function now, and when did this thread begin (nanoseconds, or None)?"""
    mine, inside, since = _ident(), False, None
    for ident, frame in sys._current_frames().items():
        while ident != mine and frame is not None and not inside:
            inside = frame.f_code is code
            frame = frame.f_back
    if mine != _main_thread and hasattr(_thread, "get_native_id"):
        try:
            import time

            with open("/proc/self/task/%d/stat" % _thread.get_native_id(), "rb") as stat:
                ticks = int(stat.read().rsplit(b")", 1)[1].split()[19])
            asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
            since = int((ticks / os.sysconf("SC_CLK_TCK") - asleep) * 1e9)
        except (OSError, ValueError, IndexError, AttributeError):
            pass
    return inside, since


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
    mapped, site, later = _defining(frame.f_back)
    # From the site outward only: what SQLAlchemy does below it is the same for every table.
    within, via = _walk(site if site is not None else frame.f_back)
    columns = [item for item in _items(args) if getattr(item, "__visit_name__", None) == "column"]
    event = {}
    if _ident() != _main_thread:
        event["th"] = _thread_name()
    if later:
        event["later"] = True
    if site is not None and existing is not None:
        event["inside"], event["since"] = _threads_beside(site.f_code)
    if existing is not None:
        event["existing"] = _columns(existing.columns)
        event["new"] = _columns(columns)
        event["mapped"] = _is_mapped(existing)
    more = "," + _json(event)[1:-1] if event else ""
    if mapped is not None:
        attributes = vars(mapped)
        named = "true" if "__tablename__" in attributes or "__table__" in attributes else "false"
        module = _quote(_text(getattr(mapped, "__module__", None)))
        more = f',"cls":{_quote(_text(getattr(mapped, "__qualname__", mapped)))},"mod":{module},"named":{named}{more}'
    number = _number_of(metadata)
    _write(
        f'{{"k":"table","t":{_now()},"i":{number},"table":{_quote(_text(key))},"outcome":"{outcome}",'
        f'"b":{within},"via":{via},"cols":{len(columns)}{more}}}\n'
    )
    return outcome


def _ask_by_another_name(namespace, name, method):
    """Have one method ask for a global of its module by a name of its own: others ask for it 17 times a table.

    :returns: the new name; None where this is no such method (SQLAlchemy 1)
    """
    function = getattr(method, "__func__", None)
    code = getattr(function, "__code__", None)
    if code is None or function.__globals__ is not namespace or name not in code.co_names:
        return None
    if "metadata" not in code.co_varnames:
        return None
    function.__code__ = code.replace(co_names=tuple(name + "_" if used == name else used for used in code.co_names))
    return name + "_"


def _watch_schema(namespace):
    plain_key = namespace["_get_table_key"]
    metadata_class = namespace["MetaData"]

    def _get_table_key(name, schema):
        key = plain_key(name, schema)
        frame = sys._getframe(1)
        if alone or frame.f_code.co_name in ("_new", "__new__") and "metadata" in frame.f_locals:
            outcome = _see_table(frame, key)
            if outcome == "rejected" and _going_on:
                return key + " (set aside)"  # not taken yet: the second definition takes the first one's place
        return key

    alone = _ask_by_another_name(namespace, "_get_table_key", vars(namespace["Table"]).get("_new"))
    namespace[alone or "_get_table_key"] = _get_table_key

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
    version = getattr(package, "__version__", None)
    if version is None and getattr(package, "__file__", None):
        try:
            with open(package.__file__, encoding="utf-8", errors="replace") as source:
                for line in source:
                    if line.startswith("__version__"):
                        return line.split("=", 1)[1].strip().strip("'\"")
        except OSError:
            pass
    return version


def _watch_mappers(namespace):
    """``_flag_new_mapper`` is the last thing that the construction of a mapper does."""
    registry = namespace["registry"]
    plain = registry._flag_new_mapper

    @_quietly
    def mapped(mapper):
        table, class_ = mapper.local_table, mapper.class_
        if getattr(table, "metadata", None) is not None and isinstance(getattr(table, "key", None), str):
            key, module, name = map(_quote, (_text(table.key), _text(class_.__module__), _text(class_.__qualname__)))
            number = _number_of(table.metadata)
            _write(f'{{"k":"mapped","t":{_now()},"i":{number},"table":{key},"mod":{module},"cls":{name}}}\n')

    def _flag_new_mapper(self, mapper):
        mapped(mapper)
        return plain(self, mapper)

    registry._flag_new_mapper = _flag_new_mapper


def _watch_engines(namespace):
    """By the logger that each engine gives itself last: ``Engine.__init__`` may not be replaced, its arguments are looked at."""
    engine, log = namespace["Engine"], namespace["log"]
    plain, begins = log.instance_logger, vars(engine)["__init__"].__code__

    @_quietly
    def made(instance, frame):
        within, via = _walk(frame)
        asynchronous = bool(getattr(instance.dialect, "is_async", False))
        to = {"async": asynchronous, "db": _text(str(instance.url.database or ""))}
        _emit("engine", driver=_text(instance.url.drivername), **to, b=within, via=via)

    def instance_logger(instance, echoflag=None):
        frame = sys._getframe(1)
        if frame.f_code is begins and isinstance(instance, engine):
            made(instance, frame)
        return plain(instance, echoflag)

    instance_logger.__doc__, instance_logger.__qualname__, instance_logger.__module__ = (
        plain.__doc__,
        plain.__qualname__,
        plain.__module__,
    )
    instance_logger.__code__ = instance_logger.__code__.replace(co_filename=plain.__code__.co_filename)
    log.instance_logger = instance_logger


# ------------------------------------------------- door 4: registries, log records
#
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


_handling = {}  # code to whether it is the application's; (code, offset, type): of these it was told
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
    own = _handling.get(code)
    if own is None:
        own = _handling[code] = _is_app(code.co_filename)
    if own and len(_handling) < 100000:
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


def _varints(table):
    """The numbers of an exception table: of each entry start, length, target, depth."""
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            yield value
            value = 0


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


_numbers = {}  # id -> (weak reference, number) of what is in a registry, and of registries
_next_number = iter(range(1, 1 << 60)).__next__


def _number_of_object(thing):
    """A number that stands for one object as long as it lives; 0 for what no weak reference can be made to."""
    known = _numbers.get(id(thing))
    if known is None or known[0]() is not thing:
        from _weakref import ref

        try:
            known = _numbers[id(thing)] = (ref(thing), _next_number())
        except TypeError:
            return 0
    return known[1]


def _read_metric(names):
    metric = names["collector"]
    return names["self"], getattr(metric, "_name", None) or type(metric).__qualname__, metric, None


def _read_blueprint(names):
    blueprint, options = names["blueprint"], names.get("options") or {}
    return names["self"], options.get("name", blueprint.name), blueprint, None


def _read_endpoint(names):
    view = names.get("view_func")
    if view is None:
        return None
    methods = names["options"].get("methods") or getattr(view, "methods", None) or ("GET",)
    more = [names["rule"], *sorted(str(method).upper() for method in methods)]
    return names["self"], names.get("endpoint") or getattr(view, "__name__", "?"), view, more


def _read_task(names):
    fun, app, name = names["fun"], names["self"], names.get("name")
    module = app.main if fun.__module__ == "__main__" and app.main else fun.__module__
    return app, name or "%s.%s" % (module, fun.__name__), fun, None


def _read_task_object(names):
    task = names["task"]
    return names["self"], getattr(task, "name", None) or type(task).__qualname__, task, None


def _read_route(names):
    router, methods = names["self"], names.get("methods") or ("GET",)
    path = str(getattr(router, "prefix", "")) + names["path"]
    return router, path, names["endpoint"], sorted(map(str, methods))


def _read_routes(names):
    """The routes and mounts that a router is made with, in a list."""
    for route in names.get("routes") or ():
        endpoint, app = getattr(route, "endpoint", None), getattr(route, "app", None)
        path = getattr(route, "path", None)
        if type(path) is str and endpoint is not None:
            yield names["self"], path, endpoint, sorted(map(str, getattr(route, "methods", None) or ()))
        elif type(path) is str and app is not None:
            yield names["self"], path, getattr(app, "router", app), None


def _read_own_route(names):
    return None, names["path"], names["endpoint"], None


def _read_include(names):
    router = names["self"]
    return router, str(getattr(router, "prefix", "")) + str(names.get("prefix", "")), names["router"], None


def _read_mount(names):
    return names["self"], names["path"], getattr(names["app"], "router", names["app"]), None


def _read_schema(names):
    return None, names["classname"], names["cls"], None


def _read_model(names):
    return names["self"], "%s.%s" % (names["app_label"], names["model"]._meta.model_name), names["model"], None


def _read_own_blueprint(names):
    return None, names["name"], names["self"], None


# Module -> its registries: the kind, class (or None) and method that registers, and what reads from the method's names
# the registry, the name that is taken, the object that takes it and more of it.
_REGISTRIES = {
    "prometheus_client.registry": (("metric", "CollectorRegistry", "register", _read_metric),),
    "flask.app": (
        ("blueprint", "Flask", "register_blueprint", _read_blueprint),
        ("endpoint", "Flask", "add_url_rule", _read_endpoint),
    ),
    "flask.sansio.app": (
        ("blueprint", "App", "register_blueprint", _read_blueprint),
        ("endpoint", "App", "add_url_rule", _read_endpoint),
    ),
    "flask.blueprints": (("blueprint made", "Blueprint", "__init__", _read_own_blueprint),),
    "flask.sansio.blueprints": (("blueprint made", "Blueprint", "__init__", _read_own_blueprint),),
    "celery.app.base": (
        ("task", "Celery", "_task_from_fun", _read_task),
        ("task", "Celery", "register_task", _read_task_object),
    ),
    "starlette.routing": (
        ("route", "Router", "add_route", _read_route),
        ("route", "Router", "__init__", _read_routes),
        ("route made", "Route", "__init__", _read_own_route),
        ("mount", "Router", "mount", _read_mount),
    ),
    "fastapi.routing": (
        ("route", "APIRouter", "add_api_route", _read_route),
        ("include", "APIRouter", "include_router", _read_include),
    ),
    "marshmallow.class_registry": (("schema", None, "register", _read_schema),),
    "django.apps.registry": (("model", "Apps", "register_model", _read_model),),
}


def _watch_registries(namespace):
    for kind, owner, name, read in _REGISTRIES[namespace["__name__"]]:
        method = namespace.get(name) if owner is None else vars(namespace[owner]).get(name)
        if method is not None:
            _at_start(method, _entry_door(kind, read))


def _entry_door(kind, read):
    @_quietly
    def see_entry(frame):
        entries = read(frame.f_locals)
        for registry, key, thing, more in (entries,) if type(entries) is tuple else entries or ():
            within, via = _walk(frame.f_back)
            place = _place_of_thing(thing)
            fields = {"th": _thread_name(), "more": more, "at": place and place[:2], "name": place and place[2]}
            number = 0 if registry is None else _number_of_object(registry)
            given_fields = {name: value for name, value in fields.items() if value is not None}
            of = "mount" if kind == "route" and more is None else kind
            _emit(
                "entry", r=of, i=number, key=_text(key), o=_number_of_object(thing), b=within, via=via, **given_fields
            )

    return see_entry


def _place_of_thing(thing):
    """``(file, line, qualified name)`` of a function, however it is decorated; None of anything else."""
    for _ in range(20):
        inner = getattr(thing, "__wrapped__", None) or getattr(thing, "__func__", None) or getattr(thing, "func", None)
        if inner is None or not callable(inner):
            break
        thing = inner
    code = getattr(thing, "__code__", None)
    name = _text(getattr(thing, "__qualname__", None) or type(thing).__qualname__)
    return None if code is None else (_text(code.co_filename), code.co_firstlineno, name)


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


_WATCHED = {
    "sqlalchemy.sql.schema": _watch_schema,
    "sqlalchemy.orm.decl_api": _watch_mappers,
    "logging": _watch_logging,
    "logging.config": _watch_logging_config,
    **dict.fromkeys(_REGISTRIES, _watch_registries),
    "sqlalchemy.engine.base": _watch_engines,
}


# -------------------------------------------------------------------------------------- guards
#
# They explain: the kernel, where it can, has its own (``guard/landlock.py``, ``guard/seccomp.py``).

_inside = None  # the workspace; None: no guards asked for
_allowed = ()  # (host, port) that the runner allows, as text
_scratch = None  # the scratch database as _database() gives it; None for a file in the workspace
_opened = []  # weak references to sockets that this process bound
_BELONGS = "A reproduction reaches its scratch database and what it opens itself, nothing else"


def _refused(what):
    """Write down what is about to be refused, with the way to it.

    :returns: the text for the application's exception
    """
    _see_refused(what)
    return "%s: refused by the incident kit. %s." % (what, _BELONGS)


@_quietly
def _see_refused(what):
    within, via = _walk(sys._getframe(2))
    if not within and not _leads_to_app(sys._getframe(2)):
        for frame in _waiting():
            outer, above = _walk(frame)
            if outer or _leads_to_app(frame):
                within, via = outer, above + via
                break
    _emit("refused", what=_text(what), b=within, via=via, th=_thread_name())


def _leads_to_app(frame):
    while frame is not None and not _is_app(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None


def _waiting():
    """Frames that wait for this one: of the greenlets below which it runs, else of the main thread, for a library's own."""
    greenlet = sys.modules.get("greenlet")
    parent = greenlet.getcurrent().parent if hasattr(greenlet, "getcurrent") else None
    while parent is not None:
        if parent.gr_frame is not None:
            yield parent.gr_frame
        parent = parent.parent
    if _ident() != _main_thread:
        yield sys._current_frames().get(_main_thread)


def _number(name, otherwise):
    return getattr(sys.modules.get("errno"), name, otherwise)


def _on_connect(args):
    what = _socket_target(args[0], args[1]) if args[1] is not None else None
    if what:
        raise ConnectionRefusedError(_number("ECONNREFUSED", 111), _refused(what))


def _on_look_up(args):
    what = _name_target(*args[:2])
    if what:
        sockets = sys.modules["_socket"]
        raise sockets.gaierror(sockets.EAI_AGAIN, _refused(what))


def _on_sqlite(args):
    what = _sqlite_target(args[0])
    if what:
        raise PermissionError(_number("EACCES", 13), _refused(what))


@_quietly
def _on_bind(args):
    from _weakref import ref

    _opened[:] = [opened for opened in _opened if opened() is not None] + [ref(args[0])]


_GUARDED = {
    "socket.connect": _on_connect,
    "socket.sendto": _on_connect,
    "socket.sendmsg": _on_connect,
    "socket.getaddrinfo": _on_look_up,
    "socket.gethostbyname": _on_look_up,
    "socket.bind": _on_bind,
    "sqlite3.connect": _on_sqlite,
}


@_quietly
def _socket_target(sock, address):
    """An address that may not be reached, in words; None for one that may."""
    if isinstance(address, (str, bytes)):
        return _unix_target(os.fsdecode(address))
    if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[0], str):
        return None  # the kernel's own, as netlink
    host, port = address[:2]
    if _may_reach(host, port):
        return None
    return "%s %s" % ("udp" if int(sock.type) & 15 == 2 else "tcp", _at(host, port))


def _at(host, port):
    return "%s:%s" % ("[%s]" % host if ":" in host else host, port)


def _unix_target(path):
    if path[:1] in ("", "\0") or not os.path.exists(path) or _is_inside(path):
        return None
    return "unix socket " + path


def _is_inside(path):
    return os.path.realpath(path).startswith(_inside)


def _may_reach(host, port):
    if _at(host, port) in _allowed or (host == "localhost" and _at("127.0.0.1", port) in _allowed):
        return True
    return _is_here(host) and _is_ours(int(port))


def _is_here(host):
    """Is this an address of this machine? One that a socket can be bound to."""
    if host in ("", "localhost", "0.0.0.0", "::", "::1") or host.startswith("127."):
        return True
    if not _is_literal(host):
        return False
    sockets = sys.modules["_socket"]
    probe = sockets.socket(sockets.AF_INET6 if ":" in host else sockets.AF_INET, sockets.SOCK_DGRAM)
    try:
        probe.bind((host, 0))
        return True
    except OSError:
        return False
    finally:
        probe.close()


def _is_literal(host):
    return ":" in host or host.replace(".", "").isdigit()


def _is_ours(port):
    """Did a process of this run open this port? A database of the machine's own is none of it."""
    for opened in _opened:
        try:
            if opened() is not None and opened().getsockname()[1] == port:
                return True
        except (OSError, IndexError, TypeError):
            continue
    wanted, mark = set(), b"INCIDENT_INSIDE=" + os.fsencode(_inside.rstrip(os.sep)) + b"\0"
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in _read("/proc/self/net/" + name).splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rsplit(b":", 1)[1], 16) == port and (name[0] == "u" or fields[3] == b"0A"):
                wanted.add("socket:[%s]" % fields[9].decode())
    for pid in os.listdir("/proc") if wanted else ():
        if pid.isdigit() and mark in _read("/proc/%s/environ" % pid):
            try:
                folder = "/proc/%s/fd/" % pid
                if any(os.readlink(folder + fd) in wanted for fd in os.listdir(folder)):
                    return True
            except OSError:
                continue
    return False


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


@_quietly
def _name_target(host, port=None):
    """A name that only a name server knows; asking one would leave this machine."""
    host = os.fsdecode(host) if isinstance(host, (str, bytes)) else ""
    if not host or _is_literal(host) or host == "localhost" or host.endswith(".localhost"):
        return None
    known = {os.uname().nodename} if hasattr(os, "uname") else set()
    for line in _read("/etc/hosts").decode("utf-8", "replace").splitlines():
        known.update(line.split("#")[0].split()[1:])
    if host in known or any(address.startswith(host + ":") for address in _allowed):
        return None
    return "%s (looking up its name)" % (host if port is None else _at(host, port))


@_quietly
def _sqlite_target(name):
    """A database file outside the workspace that would not be opened for reading only."""
    name = os.fsdecode(name)
    if name.startswith("file:"):
        name, _, query = name[5:].split("#")[0].partition("?")
        name = "/" + name[2:].partition("/")[2] if name.startswith("//") else name
        if {"mode=memory", "mode=ro", "immutable=1"} & set(query.split("&")):
            return None
    if name in ("", ":memory:") or _is_inside(name):
        return None
    return "sqlite:///" + os.path.realpath(name)


# -- engines and drivers in C, which no audit event shows


def _watch_engine(namespace):
    """A veto on every engine but those of the scratch database, before its driver is called."""
    global _vetoing
    engine, event = sys.modules.get("sqlalchemy.engine"), sys.modules.get("sqlalchemy.event")
    if _inside is None or _vetoing or engine is None or event is None:
        return

    def do_connect(dialect, connection_record, cargs, cparams):
        what = _engine_target(dialect, cargs, cparams)
        if what:
            driver = getattr(dialect, "dbapi", None)  # its own class: SQLAlchemy wraps it as it would a real failure
            raise getattr(driver, "OperationalError", ConnectionRefusedError)(_refused(what))

    try:
        event.listen(engine.Engine, "do_connect", do_connect)
    except Exception:  # 1.3 knows the event only once sqlalchemy.events is there
        if namespace.get("__name__") == "sqlalchemy.events":
            raise
        return
    _vetoing = True
    _emit("guard", name="engine veto")


_vetoing = False


def _watch_engines_events(namespace):
    _watch_engine(namespace)
    _watch_statements(namespace)


def _watch_statements(namespace):
    """Only in a run that forces a race: each process waits once, before its first statement that begins as the one that raced.

    What it executes, and whether, is its own affair.
    """
    engine, event = sys.modules.get("sqlalchemy.engine"), sys.modules.get("sqlalchemy.event")
    if not _holding or _held or engine is None or event is None:
        return
    begins = _holding.partition(" ")[2]

    def before_cursor_execute(connection, cursor, statement, parameters, context, executemany):
        if " ".join(statement.split()).lower().startswith(begins):
            _hold()

    event.listen(engine.Engine, "before_cursor_execute", before_cursor_execute)
    _held.add(None)


_holding = None  # ``seconds what``: what a process is held before; only in a run that forces a race
_held = set()  # processes that have waited; None: the event is listened to


@_quietly
def _hold():
    """Wait, once a process, until another has come as far, or for some seconds."""
    if os.getpid() in _held:
        return
    _held.add(os.getpid())
    import time

    try:
        os.mkdir(_meeting)
    except FileExistsError:
        pass
    os.close(os.open(os.path.join(_meeting, str(os.getpid())), os.O_WRONLY | os.O_CREAT, 0o600))
    end = time.monotonic() + float(_holding.partition(" ")[0])
    while len(os.listdir(_meeting)) < 2 and time.monotonic() < end:
        time.sleep(0.005)


def _begin_holding():
    """Have a process held before it makes a file or opens a port; before a statement: see :func:`_watch_statements`."""
    global _holding
    _holding = os.environ.get("INCIDENT_HOLD")
    kind, _, name = (_holding or "").partition(" ")[2].partition(" ")
    if kind == "port":
        _hold_at("socket.bind", lambda args: True)
    elif kind == "file":
        for event in ("os.mkdir", "open", "os.rename", "os.symlink", "os.link"):
            _hold_at(event, lambda args: any(_is_called(name, path) for path in args[:2]))


def _is_called(name, path):
    path = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
    return path.rstrip("/").rpartition("/")[2] == name


def _hold_at(event, is_it):
    heeded = _heeded.get(event)

    def heed(args):
        if heeded is not None:
            heeded(args)
        if is_it(args):
            _hold()

    _heeded[event] = heed


@_quietly
def _engine_target(dialect, cargs, cparams):
    """The URL, its password masked, of an engine that may not connect; None for one that may."""
    first = cargs[0] if cargs and isinstance(cargs[0], (str, bytes)) else None
    if dialect.name in ("sqlite", "duckdb") and not cparams.get("host"):
        return _sqlite_target(cparams.get("database", "") if first is None else first)

    def option(*names):
        return next((str(cparams[name]) for name in names if cparams.get(name)), "")

    host, port = option("host", "hostname", "server", "unix_socket"), option("port")
    if dialect.driver.startswith(("psycopg", "asyncpg")):  # as the driver itself does
        port = port or os.environ.get("PGPORT", "")
    database = option("dbname", "database", "db")
    here = "127.0.0.1" if host == "localhost" else host
    if _scratch is not None and (dialect.name, here, port, database) == _scratch:
        return None
    who = option("user", "username") + (":***" if option("password", "passwd", "pwd") else "")
    where = (who + "@" if who else "") + host + (":" + port if port else "")
    url = "%s+%s://%s/%s" % (dialect.name, dialect.driver, where, database)
    return url + (" (the rest is in a connection string)" if first else "")


def _database(url):
    """``(dialect, host, port, database)`` of a URL; None for SQLite, whose files the workspace holds."""
    scheme, _, rest = url.partition("://")
    dialect = scheme.split("+")[0]
    if not rest or dialect == "sqlite":
        return None
    where, _, database = rest.split("?")[0].partition("/")
    host, _, port = where.rpartition("@")[2].partition(":")
    return {"postgres": "postgresql"}.get(dialect, dialect), host, port, database


class _AtDriver:
    """Acts when Python looks up how to call a driver written in C: before the call, and off the stack."""

    __slots__ = ("plain", "name", "parse", "error")

    def __init__(self, plain, name, parse, error):
        self.plain, self.name, self.parse, self.error = plain, name, parse, error

    def __get__(self, door, owner=None):
        what = self.target(sys._getframe(1).f_locals.get(self.name))
        if what:
            raise self.error(_refused(what))
        return self.plain

    def target(self, text):
        return _driver_target(self.parse, text)


@_quietly
def _driver_target(parse, text):
    """Where libpq would go with these words, if it may not."""
    words = parse(text) if isinstance(text, str) else {}
    hosts = str(words.get("hostaddr") or words.get("host") or os.environ.get("PGHOST") or "").split(",")
    port = str(words.get("port") or os.environ.get("PGPORT") or 5432).split(",")[0]
    for host in hosts:
        if not host or host[0] in "/@":
            folders = [host] if host else ["/var/run/postgresql", "/tmp"]
            what = next(filter(None, (_unix_target("%s/.s.PGSQL.%s" % (folder, port)) for folder in folders)), None)
        else:
            what = None if _may_reach(host, port) else "postgresql://%s" % _at(host, port)
        if what:
            return what + ("/%s" % words["dbname"] if words.get("dbname") and "://" in what else "")
    database = str(words.get("dbname") or os.environ.get("PGDATABASE") or "")
    if _scratch is not None and port == _scratch[2] and database and database != _scratch[3]:
        return "postgresql://%s/%s" % (_at(host, port), database)  # behind that port is the scratch database only
    return None


def _watch_driver(name, local, parser, errors):
    """Put a door before ``name`` of the namespace, whose caller holds the connection string in ``local``."""

    def watch(namespace):
        if _inside is None or name not in namespace:
            return

        def parse(text):
            module, _, function = parser.rpartition(".")
            return getattr(sys.modules[module], function)(text)

        def error(message):
            return sys.modules[errors].OperationalError(message)

        door = type("_DriverDoor", (), {"__call__": _AtDriver(namespace[name], local, parse, error)})
        namespace[name] = door()

    return watch


_WATCHED.update(
    {
        "sqlalchemy.engine": _watch_engines_events,
        "sqlalchemy.events": _watch_engines_events,
        "psycopg2": _watch_driver("_connect", "dsn", "psycopg2.extensions.parse_dsn", "psycopg2"),
        "psycopg.generators": _watch_driver("connect", "conninfo", "psycopg.conninfo.conninfo_to_dict", "psycopg"),
    }
)


def _begin_guards():
    global _inside, _allowed, _scratch
    inside = os.environ.get("INCIDENT_INSIDE")
    if inside:
        _inside = os.path.join(os.path.realpath(inside), "")
        _allowed = tuple(os.environ.get("INCIDENT_ALLOWED", "").split())
        _scratch = _database(os.environ.get("INCIDENT_SCRATCH", ""))
        _heeded.update(_GUARDED)
        _emit("guard", name="audit hook")


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
            import gc

            gc.collect()  # a class that nothing holds any more is no second one, whenever its turn would have come
            try:
                orm.configure_mappers()
                error = None
            except Exception as problem:
                error = _error(problem)
            mappers = _mappers()  # afterwards: some classes are mapped only then
            _emit("judged", error=error, mappers=mappers)
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
    entries = []
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
            entries.append(entry)
    entries.sort(key=lambda e: (e.get("table") or "", e["mod"], e["cls"]))
    return entries


# --------------------------------------------------------------------------------------- steps


def _begun():
    """Tells the runner that a step begins, or what comes after the last: the limit of time is one a step.

    By one more byte in a file, and without ``open``: that would import what the application has not asked for.
    """
    try:
        fd = os.open(_stepping, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
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
        _begun()
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
    _begun()
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
    global _main_thread, _in_library, _body
    _main_thread, _in_library, _body = _ident(), False, _NOBODY
    _look(True)
    parent = os.getppid()
    _file.open()
    _places.clear()  # they stand in the parent's file
    _emit("process", pid=os.getpid(), parent=parent, forked=True)


def _begin():
    global _file, _roots, _judging, _going_on, _finished, _stepping, _steps, _main_thread, _meeting
    _main_thread = _ident()
    _file = _TraceFile(os.environ["INCIDENT_TRACE"])
    root = os.environ["INCIDENT_ROOT"]
    _roots = tuple({os.path.join(root, ""), os.path.join(os.path.realpath(root), "")})
    _judging = "INCIDENT_JUDGE" in os.environ
    _going_on = "INCIDENT_GO_ON" in os.environ
    _finished = os.path.join(os.environ["INCIDENT_TRACE"], "finished")
    _stepping = os.path.join(os.environ["INCIDENT_TRACE"], "stepping")
    _meeting = os.path.join(os.environ["INCIDENT_TRACE"], "meeting")
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
    _watch_handlers()
    _open_module_door()
    _open_import_door()
    _open_import_module_door()
    _begin_guards()
    _begin_holding()
    for name in _before & set(_WATCHED):  # there already, as by a .pth file
        _WATCHED[name](vars(sys.modules[name]))
    sys.addaudithook(_heard)


def _hand_over():
    """Leave the place of ``sitecustomize`` to the one that the environment has, or to none."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    sys.path_importer_cache.pop(folder, None)
    sys.modules.pop("sitecustomize", None)
    import sitecustomize  # noqa: F401  none there: an ImportError that site.py takes for just that


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
    own = bool(code.co_names) + bool(code.co_consts) + bool(code.co_varnames or code.co_cellvars or code.co_freevars)
    return own + sum(_allocated(one) if hasattr(one, "co_consts") else type(one) is tuple for one in code.co_consts)


_kept = []  # allocations that were counted before

if _ENABLED and __name__ == "sitecustomize":
    try:
        _begin()
    finally:
        _as_before(_counts)
        _hand_over()
