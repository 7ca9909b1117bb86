"""The events that the probe wrote, line by line, as far as they are whole."""

import heapq
import json
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import orjson

_NONE = type(None)
# What an event's fields hold, where later code counts on it; an event that holds something else is not read.
_TYPES = {
    **dict.fromkeys(("t", "n", "i", "l", "c", "s", "pid"), (int,)),
    **dict.fromkeys(("b", "parent", "cols", "since"), (int, _NONE)),
    **dict.fromkeys(("fn", "to", "what", "url", "outcome", "how", "why", "implementation"), (str,)),
    **dict.fromkeys(("m", "f", "p", "th", "table", "cls", "mod", "name", "names"), (str, _NONE)),
    **dict.fromkeys(("via", "bound", "existing", "new", "mappers"), (list, _NONE)),
    **dict.fromkeys(("error", "uncaught"), (dict, _NONE)),
    "version": (str, list),
}
_ITEMS = {"bound": str, "existing": dict, "new": dict, "mappers": dict}


def read_events(folder: Path) -> Iterator[tuple[int, str, dict]]:
    """Every whole event under ``folder`` as ``(time, file, event)``, in order of time; torn and foreign lines are passed over.

    One file holds one process, whose events stay in the order in which it wrote them: the time is never back in time, as
    that of an event is whose thread waited between clock and file.
    """
    files = [_events_of(path) for path in sorted(map(str, Path(folder).glob("**/*.jsonl*")))]
    return files[0] if len(files) == 1 else heapq.merge(*files, key=itemgetter(0, 1))


def _events_of(path: str) -> Iterator[tuple[int, str, dict]]:
    now = 0
    with open(path, "rb") as file:
        for line in file:
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:  # also half a letter, as in a file's name that is no text
                try:
                    event = json.loads(line.strip(b"\0\n").decode("ascii", "replace"))
                except (ValueError, RecursionError):
                    continue
            if type(event) is dict and type(event.get("k")) is str:
                stamp = event.get("t")
                if type(stamp) is int and stamp > now:
                    now = stamp
                yield now, path, event


def in_order(event: dict) -> bool:
    """Do its fields hold what later code counts on?"""
    if not isinstance(event.get("t", 0 if event["k"] == "place" else None), int):
        return False
    for name, value in event.items():
        if name in _TYPES and not isinstance(value, _TYPES[name]):
            return False
        if name in _ITEMS and not all(isinstance(one, _ITEMS[name]) for one in value or ()):
            return False
        if name in ("existing", "new") and not all(isinstance(one.get("name"), str) for one in value or ()):
            return False
    return True
