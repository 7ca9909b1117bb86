"""Places, frames and the bodies of modules that run: where something happens, and on which ways it was reached."""

import os

from .bytecode import _IMPORT_NAME, _LAZINESS
from .recorder import _DEEP, _FROZEN, _json, _text, _write

# ---- below this line is the text of the probe


# Where it counts, a frame is known by its globals: ``f_code`` is an audit event, and so a call of ``_heard``, each time;
# so is ``id()``. What stays is text and numbers: a tuple counts for the collector of garbage, which would come earlier.

_places = {}  # file, function and module, a line each -> its number
_modules, _module_files = {}, {}  # name of a module -> the number of its body's place, and its file
_packages = {}  # the number -> its package when it was first seen
_next = iter(range(1, 1 << 60)).__next__  # of a place or body; one C call: no number twice, also from several threads


def _place_of(code, namespace):
    """The number of where a frame is, but for its line; module from its globals, not from the path. Written down the first time."""
    module = namespace.get("__name__")
    module = module if isinstance(module, str) else None
    file, name = code.co_filename, code.co_name
    key = f"{file}\n{name}\n{module}"
    place = _places.get(key)
    if place is None and name == "<module>" and _module_files.get(module) == file:
        place = _modules[module]
    if place is None:
        package = namespace.get("__package__")
        place, package = _next(), package if isinstance(package, str) else None
        file, name, module, of_package = map(_json, (file, name, module, package))
        _write(f'{{"k":"place","c":{place},"f":{file},"fn":{name},"m":{module},"p":{of_package}}}\n')
        _packages[place] = package
        _places[key] = place  # only now: what names it comes after it in the file
    return place


def _walk(frame):
    """Frames from the enclosing body (exclusive of the import system) to ``frame``, outermost first.

    :returns: ``(number of the body this runs in or 0, [[place, line], ...])``
    """
    frames = []
    while frame is not None:
        namespace = frame.f_globals
        if frame is _body.caller:
            frames.append([int(_body.place), frame.f_lineno or 0])
            number = int(_body.number)
            break
        if namespace is _door:
            body = frame.f_locals.get("body")
            if body is not None:
                number = int(body.number)
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
    """An exception as a value: type, text, the frames it passed, and the same of what it came from."""
    if error is None:
        return None
    links, causes, seen, todo = [], [], set(), [(error, False)]
    while todo and len(seen) < 20:
        link, handled = todo.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        causes.append(_passed(link))
        if handled:
            causes[-1]["handled"] = True
        links.append([id(link), type(link).__name__, causes[-1]["text"]])
        cause = link.__cause__
        todo.append((cause or (None if link.__suppress_context__ else link.__context__), not cause))
        group = getattr(link, "exceptions", None)  # of an ExceptionGroup
        todo += [(it, False) for it in group if isinstance(it, BaseException)] if type(group) is tuple else []
    value = causes.pop(0)
    value["links"] = links
    if causes:
        value["causes"] = causes
    return value


def _passed(error):
    """Type and text of an exception, and the frames that it passed."""
    tb, frames = error.__traceback__, []
    while tb is not None:
        frame = tb.tb_frame
        code, namespace = frame.f_code, frame.f_globals
        if namespace is not _own and not code.co_filename.startswith(_FROZEN):
            frames.append([_place_of(code, namespace), tb.tb_lineno or 0])
        tb = tb.tb_next
    kind = type(error)
    module = kind.__module__ if isinstance(kind.__module__, str) else ""
    value = {
        "type": kind.__name__ if module == "builtins" else module + "." + kind.__qualname__,
        "text": _text(error),
        "frames": frames if len(frames) <= _DEEP else frames[: _DEEP // 2] + frames[-_DEEP // 2 :],
    }
    if isinstance(error, ImportError) and isinstance(error.name, str):
        value["name"] = error.name
    if isinstance(error, SyntaxError):
        value["at"] = [_text(error.filename), error.lineno or 0]
    return value


_own = globals()


class _Body:
    """A module's body while it runs, or a function of the application with imports: what is the same for each of its statements.

    Place, number and line are text: each is written more than once, and turning a number into text is what takes long.
    """

    __slots__ = (
        *("caller", "code", "consts", "end", "frame", "head", "library", "line", "lines", "looked", "names"),
        *("namespace", "number", "odd", "outer", "place", "raw", "script", "seen", "straight", "tail"),
    )

    def __init__(self, number, outer=None):
        self.number, self.outer = number, outer
        self.library = False  # is it a library's? Its imports need no look then
        self.script = False  # may it run without a loader?
        self.names = self.raw = None  # of its code, once it was described; its bytecode
        self.seen = self.looked = -1  # where its newest import statement stands; what was asked for its line
        self.tail = "}\n"
        self.forget()

    def forget(self):
        """It has ended, or goes on in a forked process, whose file says nothing of it."""
        self.caller = None  # its frame, once it is known to import
        self.frame = None  # the same, of a body of the application that the main thread executes
        self.code = self.namespace = None  # of a body whose place is its file and name
        self.straight = 0  # up to where a statement is told by its number among the first ones of a source

    def describe(self):
        """What telling an import statement in words takes; could an instruction that makes up one be a wide one?"""
        self.consts, self.names = self.code.co_consts, self.code.co_names
        self.odd = self.script or len(self.consts) > 256 or len(self.names) > 256 >> _LAZINESS
        self.head = f'{{"k":"edge","c":{self.place},"l":'
        # Its bytecode: an import statement that was seen is none there any more.
        raw, marks = bytearray(self.code.co_code), self.raw if type(self.raw) is bytearray else bytes(self.seen + 1)
        for at in range(0, min(len(marks), len(raw)), 2):
            if not marks[at] and raw[at] == _IMPORT_NAME:
                raw[at] = 0
        self.raw = raw

    def line_at(self, frame, at):
        """``f_lineno``, which looks through the code from its start each time, where imports come one after the other."""
        if at < _NEAR:
            return frame.f_lineno or 0
        if self.looked < 0:  # where lines begin and end, from the last one asked for on, its line, and where it ends
            self.lines, self.end = self.code.co_lines() if hasattr(self.code, "co_lines") else (), 0
        if self.looked <= at < self.end:
            line = self.line
        else:
            start = line = 0
            if at > self.looked:
                for start, self.end, line in self.lines:
                    if at < self.end:
                        break
            else:  # back again: from now on it is asked in the long way
                self.lines, self.end = (), 0
            line = line if line and start <= at else frame.f_lineno or 0
        self.looked, self.line = at, line
        return line


_NEAR = 200  # bytes from the start of the code, up to which ``f_lineno`` is the quicker


_NOBODY = _Body("0")
_NOBODY.place = "0"
_body = _NOBODY  # the innermost body of the main thread


_door = _bootstrap = _external = None  # globals: of the door, and of the import system's two halves


_root = os.environ.get("INCIDENT_ROOT", "")
_roots = tuple({os.path.join(_root, ""), os.path.join(os.path.realpath(_root), "")}) if _root else ()
_heads = {}  # a folder, by its whole path -> how the text of a file in it begins, as JSON
_files = {}  # co_filename -> is it a file of the application?
_libraries = set()  # the files that are none
_folders = {}  # the same of all that lies in a folder: a whole path says so by its folder


def _is_app(filename):
    known = _files.get(filename)
    return _see_file(filename) if known is None else known


def _see_file(filename):
    folder = filename.rpartition("/")[0]
    within = _folders.get(folder)
    if within is None:
        within = _see_path(filename)
        if folder[:1] == "/":
            _folders[folder] = within
    _files[filename] = within
    if not within:
        _libraries.add(filename)
    return within


def _see_path(filename):
    path = filename
    if path[:1] != "/" or "//" in path or "/." in path:  # not as plain as nearly all
        path = "" if filename.startswith("<") else os.path.abspath(filename)
    return path.startswith(_roots) and "/site-packages/" not in path and "/dist-packages/" not in path
