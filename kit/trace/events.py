"""The events that the probe wrote, line by line, as far as they are whole."""

import gc
import heapq
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from .edges import FileEdges

_BLOCK = 1 << 16  # bytes that are parsed at once; of each process a block is held
_NONE = type(None)
# What an event's fields hold, where later code counts on it; an event that holds something else is not read.
_TYPES = {
    **dict.fromkeys(("t", "n", "i", "l", "c", "s", "o", "pid", "level"), (int,)),
    **dict.fromkeys(("b", "parent", "cols", "since"), (int, _NONE)),
    **dict.fromkeys(
        ("fn", "to", "what", "url", "outcome", "how", "why", "implementation", "r", "key", "logger"), (str,)
    ),
    **dict.fromkeys(("m", "f", "p", "th", "table", "cls", "mod", "name", "names"), (str, _NONE)),
    **dict.fromkeys(("via", "bound", "existing", "new", "mappers", "more", "loggers", "at"), (list, _NONE)),
    **dict.fromkeys(("error", "uncaught"), (dict, _NONE)),
    "version": (str, list),
}
_ITEMS = {"more": str, "loggers": str, "bound": str, "existing": dict, "new": dict, "mappers": dict}


def read_events(
    folder: Path, edges: dict[str, FileEdges] | None = None, name: str = "*.jsonl*"
) -> Iterator[tuple[int, str, dict]]:
    """Every whole event under ``folder`` as ``(time, file, event)``, in order of time; torn and foreign lines are passed over.

    One file holds one process, whose events stay in the order in which it wrote them: the time is never back in time, as
    that of an event is whose thread waited between clock and file.

    :param name: of the files that are read
    :param edges: takes the edges, by file, that then are left out here; but for those with frames, which may tell of a body
    """
    files = [_events_of(path, edges) for path in sorted(map(str, Path(folder).glob(f"**/{name}")))]
    return files[0] if len(files) == 1 else heapq.merge(*files, key=itemgetter(0, 1))


def _events_of(path: str, edges: dict[str, FileEdges] | None) -> Iterator[tuple[int, str, dict]]:
    now = last = 0
    # Of the main thread's bodies, by number: which one each runs in, its place, and how many of the statements that it
    # begins with were executed; and the innermost.
    bodies: dict[Any, list] = defaultdict(lambda: [0, None, 0])
    innermost = 0
    with open(path, "rb") as file:
        while lines := file.readlines(_BLOCK):
            events, aside = [], []
            for event in _parsed(lines):
                if event == 0 and bodies[innermost][1] is not None:  # one more of them
                    bodies[innermost][2] += 1
                    event = {"k": "edge", "c": bodies[innermost][1], "to": "", "l": -bodies[innermost][2]}
                if type(event) is dict:
                    kind = event.get("k")
                    if kind == "edge":
                        event.setdefault("t", last)  # the time of what was written before it
                        if edges is not None and "via" not in event:
                            aside.append(event)
                            continue
                    elif kind in ("exec", "done") and type(number := event.get("n")) is int:
                        innermost = _running(event, number, innermost, bodies)
                    if type(kind) is str:
                        events.append(event)
                        last = event.get("t", last)
            if aside:
                edges.setdefault(path, FileEdges()).add(aside)
            for event in events:
                stamp = event.get("t")
                if type(stamp) is int and stamp > now:
                    now = stamp
                yield now, path, event


def _running(event: dict, number: int, innermost: int, bodies: dict[Any, list]) -> int:
    """The innermost body after an event; what its ``exec`` leaves out is put in."""
    if event["k"] == "done":
        return bodies.pop(number)[0] if number in bodies else innermost
    if "l" in event:
        event.update(b=innermost, via=[[bodies[innermost][1], event.pop("l")]])
    if "th" in event:
        return innermost
    bodies[number] = [innermost, event.get("c"), 0]
    return number


def _parsed(lines: Sequence[bytes]) -> Sequence:
    """The values of these lines, 0 for an empty line: all at once, which is cheaper, unless a line among them is none."""
    try:
        values = orjson.loads(b"[" + b",".join([b"0" if line == b"\n" else line for line in lines]) + b"]")
    except orjson.JSONDecodeError:
        values = ()
    return values if len(values) == len(lines) else [value for line in lines for value in _value(line)]


def _value(line: bytes) -> Iterator:
    line = line.lstrip(b"\0")  # what was left of a part of the file
    try:
        yield orjson.loads(b"0" if line == b"\n" else line)
    except orjson.JSONDecodeError:  # also half a letter, as in a file's name that is no text
        with suppress(ValueError, RecursionError):
            yield json.loads(line.strip(b"\0\n").decode("ascii", "replace"))


def in_order(event: dict) -> bool:
    """Do its fields hold what later code counts on?"""
    if not isinstance(event.get("t", 0 if event["k"] == "place" else None), int):
        return False
    for name, value in event.items():
        if name in _TYPES and not isinstance(value, _TYPES[name]):
            return False
        if name in _ITEMS and not all(isinstance(item, _ITEMS[name]) for item in value or ()):
            return False
        if name in ("existing", "new") and not all(isinstance(column.get("name"), str) for column in value or ()):
            return False
    return True


@contextmanager
def no_garbage() -> Iterator[None]:
    """While the values of a trace are made: all of them stay, and to look for those that do not takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
