"""The text of a log that was given: whole where it is short, and of a long one what tells of an error."""

import io
import re
import sys
from collections import deque
from pathlib import Path
from typing import BinaryIO

from ..base.errors import IncidentError
from .log_lines import json_texts
from .logs import Log, read_log

_LONGEST_LOG = 4 << 20  # bytes that are copied beside the incident file
_HEAD = 1 << 16  # bytes by which a text is known
_TELLING = 300  # lines that are kept because they tell of an error
_TELLS = re.compile(rb"FAILED: |Error\b|ERROR|CRITICAL|Warning: ")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What stands before each line: of compose, of kubectl, the time that docker, kubectl and CI services put there, of journald, Heroku and fly.
_BEFORE_LINES = re.compile(
    r"^(?:[\w.-]+ +\| ?|\[pod/\S+\] )?(?:(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d) ?|"
    r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[AP]M  ?|\S+ ))(?:[\w.@/-]+\[[\w.-]+\](?:: | \w{3} ?\[\w+\] ?))?(?:##\[error\])?)?",
    re.M,
)
_RECORD = re.compile(r"^\{.*\}$", re.M)
_MESSAGE = (".log", ".message", ".msg", ".event")
_LITTLE = re.compile(r"\S{,80}|[\d\W]*(?:[A-Z][a-z]{2}[\d\W]*)?[A-Z]{,4}")  # a level, a logger, a stream, a time


def plain(text: str) -> str:
    """A log's lines without colours, and without what a container's, a service's or a CI's log puts before or around each."""
    return _RECORD.sub(_message, _BEFORE_LINES.sub("", _ANSI.sub("", text)))


def _message(record: re.Match) -> str:
    """The line that a record in JSON holds; the record itself where it holds several, none, or more than that."""
    texts = json_texts(record[0]) or []
    at = next((key for key in _MESSAGE if isinstance(dict(texts).get(key), str)), None)
    line = dict(texts).get(at, record[0]).rstrip("\n")
    more = any(not isinstance(text, str) or not _LITTLE.fullmatch(text) for where, text in texts if where != at)
    return record[0] if more or "\n" in line or line == record[0] else plain(line)


def text_of(log: str) -> tuple[str, Log]:
    """A log's text, of a long log only the telling parts, and its tracebacks.

    :raises IncidentError: it cannot be read, is empty, or is no text
    """
    try:
        if log == "-" and sys.stdin.isatty():
            print("kit: paste the log, then Ctrl+D on a line of its own", file=sys.stderr)
        stdin = io.BytesIO(sys.stdin.buffer.read()) if log == "-" else None
        with stdin or Path(log).expanduser().open("rb") as stream:
            head = stream.read(_HEAD)
            stream.seek(0)
            read = read_log(stream)
            stream.seek(0)
            content = stream.read(_LONGEST_LOG + 1)
            stream.seek(0)
            content = content if len(content) <= _LONGEST_LOG else _excerpt(stream, read)
    except OSError as error:
        raise IncidentError(f"--log {log}: cannot be read: {error.strerror}") from None
    if not content.strip():
        raise IncidentError(
            f"--log {log}: it is empty. Give what the application printed when it failed, from the first line on."
        )
    utf16 = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    odd = sum(byte < 9 or 13 < byte < 27 for byte in head)
    if not utf16 and (odd > 0.02 * len(head) or b"\0" in head):
        raise IncidentError(f"--log {log}: this is no text. Give the log as the application printed it, unpacked.")
    return content.decode("utf-16" if utf16 else "utf-8", "replace").replace("\r\n", "\n"), read


def _excerpt(stream: BinaryIO, read: Log) -> bytes:
    """The telling parts of a long log: its beginning and end, what is around its tracebacks, and lines that mention an error."""
    first, last = read.tracebacks[:10], read.tracebacks[-10:]
    about = {n for traceback in (*first, *last) for n in range(max(0, traceback.line - 50), traceback.line + 500)}
    kept, size, telling = [], 0, 0
    end: deque[bytes] = deque(maxlen=1000)
    for number, line in enumerate(stream, 1):
        tells = telling < _TELLING and _TELLS.search(line) is not None
        telling += tells
        if size < _LONGEST_LOG and (number <= 1000 or number in about or tells):
            kept.append(line[:_HEAD])
            size += len(kept[-1])
        else:
            end.append(line[-_HEAD:])
    return b"".join(kept) + b"".join(end)[-_LONGEST_LOG:]
