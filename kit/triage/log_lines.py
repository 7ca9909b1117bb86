"""A log's lines: read in pieces, without those that cannot belong to a traceback, JSON and escapes unpacked."""

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

_PIECE = 1 << 20  # bytes read at once
_LONGEST = 4 << 20  # bytes of one line; what is longer is read in parts
# One by one they are found many times faster than as one pattern.
_TELLING = (rb"Traceback \(most recent", rb'File \\*"', rb"\.pyw?:\d+: ", rb'"lineno": ?\d', rb"\n> ")
_TRIGGERS = tuple(map(re.compile, (*_TELLING, rb"is already defined for this MetaData")))


def lines_that_matter(stream: BinaryIO, active: Callable[[], bool]) -> Iterator[tuple[int, str | None]]:
    """Numbered lines that may matter; while no traceback is open, others are passed over unread.

    The last one, None, only carries the number of lines.
    """
    first = stream.read(2)
    if first in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):  # what some shells write for `> log.txt`
        text = io.TextIOWrapper(stream, "utf-16-le" if first == codecs.BOM_UTF16_LE else "utf-16-be", "replace")
        number = 0
        for number, line in enumerate(text, 1):
            yield number, line.rstrip("\r\n")
        yield number, None
        return
    number, rest = 0, first
    while True:
        new = stream.read(_PIECE)
        piece = rest + new
        end = piece.rfind(b"\n") + 1 if new else len(piece)
        if not end and len(piece) > _LONGEST:
            end = len(piece)
        piece, rest = piece[:end], piece[end:]
        at, nearest = 0, _finder(piece)
        while at < len(piece):
            if not active():
                where = nearest(at)
                if where is None:
                    break
                start = max(at, piece.rfind(b"\n", 0, where + 1) + 1)
                number += piece.count(b"\n", at, start)
                at = start
            stop = piece.find(b"\n", at)
            stop = len(piece) if stop < 0 else stop
            number += 1
            yield number, piece[at:stop].rstrip(b"\r").decode("utf-8", "replace")
            at = stop + 1
        number += piece.count(b"\n", at) if at < len(piece) else 0
        if not new:
            break
    yield number, None


def _finder(piece: bytes) -> Callable[[int], int | None]:
    """A function that finds the next line that may matter from a position on; each pattern scans a piece once."""
    # A piece's first line has no line end before it by which a mark could be found: it is always looked at.
    ahead: dict[re.Pattern, int] = dict.fromkeys(_TRIGGERS, -1)

    def nearest(at: int) -> int | None:
        for pattern, where in ahead.items():
            # The line end before a mark is the one before this place.
            if where < at - 1:
                match = pattern.search(piece, max(0, at - 1))
                ahead[pattern] = match.start() if match else len(piece)
        where = min(ahead.values())
        return where if where < len(piece) else None

    return nearest


def unfolded(line: str) -> list[str] | None:
    """The lines of a traceback that was written as one line with escaped line ends; None for any other line."""
    separator = next((escape for escape in ("\\n", "#012") if escape in line), None)
    if separator is None or not ("File " in line or "Traceback" in line):
        return None
    return re.sub(r"\\([\"'])", r"\1", line).replace("\\t", "\t").replace("\\r", "").split(separator)


def json_texts(line: str) -> list[tuple[str, Any]] | None:
    """The texts of a JSON object that a line ends with, each with its place; None if there is none.

    An exception whose frames are values already, as error trackers write it, comes as a dict with
    ``type``, ``text`` and ``frames``.
    """
    if not line.rstrip().endswith("}"):
        return None
    try:
        value = json.loads(line[line.index("{") :])
    except (ValueError, RecursionError):
        return None
    return list(_texts(value, "")) if isinstance(value, dict) else None


def _texts(value: Any, where: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every text in a JSON value with its place; an exception whose frames are values comes as a dict."""
    if depth > 20:
        return
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        raised = _structured(value)
        if raised:
            yield where, raised
        for key, inner in value.items():
            if not (raised and key == "frames"):
                yield from _texts(inner, f"{where}.{key}", depth + 1)
    elif isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            yield where, "".join(item if item.endswith("\n") else item + "\n" for item in value)
        else:
            for inner in value:
                yield from _texts(inner, f"{where}[]", depth + 1)


def _structured(value: dict) -> dict | None:
    """An exception whose frames the log has as values, as error trackers and structured loggers write it."""
    inner = value.get("stacktrace") if isinstance(value.get("stacktrace"), dict) else value
    frames = inner.get("frames")
    if not isinstance(frames, list) or not frames:
        return None
    values = []
    for frame in frames:
        file = frame.get("abs_path") or frame.get("filename") if isinstance(frame, dict) else None
        line = frame.get("lineno") if file else None
        if not isinstance(file, str) or not isinstance(line, int):
            return None
        text = frame.get("context_line") or frame.get("line")
        name = frame.get("function") or frame.get("name")
        text = text.strip() or None if isinstance(text, str) else None
        values.append({"file": file, "line": line, "function": str(name) if name else None, "text": text})
    kind, text = value.get("exc_type") or value.get("type"), value.get("exc_value") or value.get("value")
    return {"type": str(kind) if kind else None, "text": str(text) if text else None, "frames": values}
