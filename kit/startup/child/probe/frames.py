"""Places, frames and the bodies of modules that run: where something happens, and on which ways it was reached."""

import os

from .bytecode import _IMPORT_NAME, _LAZINESS, _straight
from .recorder import _DEEP, _FROZEN, _json, _text, _write

# ---- below this line is the text of the probe


# Where it counts, a frame is known by its globals: ``f_code`` is an audit event, and so a call of ``_heard``, each time;
# so is ``id()``. What stays is text and numbers: a tuple counts for the collector of garbage, which would come earlier.

_places = {}  # file, function and module, a line each -> its number
_packages = {}  # the number -> its package when it was first seen
_next = iter(range(1, 1 << 60)).__next__  # of a place or body; one C call: no number twice, also from several threads


def _place_of(code, namespace):
    """The number of where a frame is, but for its line; module from its globals, not from the path. Written down the first time."""
    module = namespace.get("__name__")
    module = module if isinstance(module, str) else None
    file, name = code.co_filename, code.co_name
    key = f"{file}\n{name}\n{module}"
    place = _places.get(key)
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


_own = globals()


class _Body:
    """A module's body while it runs, or a function of the application with imports: what is the same for each of its statements.

    Place, number and line are text: each is written more than once, and turning a number into text is what takes long.
    """

    __slots__ = (
        *("at", "caller", "code", "consts", "end", "ends", "frame", "head", "library", "line", "lines", "mark"),
        *("names", "namespace", "number", "odd", "place", "raw", "script", "straight", "tail"),
    )

    def __init__(self, number):
        self.number = number
        self.library = False  # is it a library's? Its imports need no look then
        self.caller = None  # its frame, once it is known to import
        # The same, of a body of the application in the main thread, once its first import statement was seen.
        self.frame = None
        self.straight = 0  # up to where a statement is told by its number among the first ones of a source
        self.namespace = None  # of a body whose place is its file and name
        self.tail = "}\n"

    def begin(self, code, before, script=False):
        """Its first import statement is about to be executed. What most bodies never need is made here.

        :param before: its bytecode as it was left the last time
        :param script: may it run without a loader?
        """
        self.code, self.script, self.names = code, script, None
        # Its bytecode: an import statement that was seen is none there any more.
        raw = code.co_code
        self.raw = seen = bytearray(raw)
        if before:
            for at in range(min(len(before), len(seen))):
                if not before[at] and seen[at] == _IMPORT_NAME:
                    seen[at] = 0
        elif self.namespace is not None and type(self.namespace.get("__loader__")) is _external["SourceFileLoader"]:
            self.straight = straight = _straight(code, raw)
            if straight >> 3 >= len(_ENDS):  # a statement takes eight bytes or more, but for the last one
                _ENDS.extend(b"%d}\n" % number for number in range(len(_ENDS) + 1, straight // 8 + 2))
            self.mark, self.ends = f'{{"k":"edge","c":{self.place},"to":"","l":-'.encode(), iter(_ENDS)
        self.at = -1  # nothing was asked for its line yet

    def describe(self):
        """What telling an import statement in words takes; could an instruction that makes up one be a wide one?"""
        self.consts, self.names = self.code.co_consts, self.code.co_names
        self.odd = self.script or len(self.consts) > 256 or len(self.names) > 256 >> _LAZINESS
        self.head = f'{{"k":"edge","c":{self.place},"l":'
        return self.odd

    def line_at(self, frame, at):
        """``f_lineno``, which looks through the code from its start each time, where imports come one after the other."""
        if at < _NEAR:
            return frame.f_lineno or 0
        if self.at < 0:  # where lines begin and end, from the last one asked for on, its line, and where it ends
            self.lines, self.end = self.code.co_lines() if hasattr(self.code, "co_lines") else (), 0
        if self.at <= at < self.end:
            line = self.line
        else:
            start = line = 0
            if at > self.at:
                for start, self.end, line in self.lines:
                    if at < self.end:
                        break
            else:  # back again: from now on it is asked in the long way
                self.lines, self.end = (), 0
            line = line if line and start <= at else frame.f_lineno or 0
        self.at, self.line = at, line
        return line


_NEAR = 200  # bytes from the start of the code, up to which ``f_lineno`` is the quicker


_ENDS = []  # of the events of the first, second, … import statement of a body
_NOBODY = _Body("0")
_NOBODY.place = "0"
_body = _NOBODY  # the innermost body of the main thread


_door = _bootstrap = _external = None  # globals: of the door, and of the import system's two halves


_root = os.environ.get("INCIDENT_ROOT", "")
_roots = tuple({os.path.join(_root, ""), os.path.join(os.path.realpath(_root), "")}) if _root else ()
_files = {}  # co_filename -> is it a file of the application?
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
    return within


def _see_path(filename):
    path = filename
    if path[:1] != "/" or "//" in path or "/." in path:  # not as plain as nearly all
        path = "" if filename.startswith("<") else os.path.abspath(filename)
    return path.startswith(_roots) and "/site-packages/" not in path and "/dist-packages/" not in path
