"""The probe: runs inside the application's interpreter and writes down what happens there.

Standard library only, CPython 3.8 and later. The runner puts the texts of this folder's modules below each other (``startup/probe.py``)
as ``sitecustomize.py`` into a folder that comes first on ``PYTHONPATH``, so Python itself loads it
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
exec     a module's body begins: ``n`` its number, ``b`` the body it runs in, ``via`` the frames between them, or, for
         both, ``l``: the innermost body at that line; ``how`` import, reload or loader (somebody called a loader), ``again``
         true if its namespace was in use before (a reload); ``c`` and ``p`` its place and package, if that is not written
         by an event of its own
script   the code of a file of the application is about to be executed by no standard loader
done     body ``n`` ended, with ``error`` or null
edge     an import by a module of the application, also one answered from ``sys.modules``: place,
         line, what it asks for; its time is that of the event before it; from a body that did not begin with ``exec`` (a script, ``runpy``),
         with its frames. None by a function that a library calls while its own body runs, nor, before
         3.12, by one in a thread that it started: what such an import executes shows by ``exec``
         An empty line is one more of the import statements that the source of the main thread's innermost body begins with
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
_FOLDER = os.environ.get("INCIDENT_TRACE")  # for traces; None: this is no process of a startup
_main_thread = _ident()
_going_on = "INCIDENT_GO_ON" in os.environ  # past failures
_CHUNK = 1 << 20  # bytes the trace file grows by; a longer event is cut
_TEXT = 4000  # characters kept of a message
_DEEP = 60  # frames kept of a traceback or between two bodies
_FROZEN = ("<frozen importlib", "<sqlalchemy generated")


def _json(value):
    """A value as JSON text. By hand: importing ``json`` would change the application's import order."""
    if value is None or value is True or value is False:
        return "null" if value is None else str(value).lower()
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, dict):
        return "{" + ",".join(_quote(k) + ":" + _json(v) for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_json, value)) + "]"
    return _quote(str(value))


import gc as _gc
import mmap as _mmap
from _json import encode_basestring_ascii as _quote

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


def _text(value):
    try:
        text = str(value)
    except Exception as error:
        text = "(no text: its __str__ raised %s)" % type(error).__name__
    return text if len(text) <= _TEXT else text[:_TEXT] + "…"
