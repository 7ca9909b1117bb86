"""Python tracebacks in a log, as values.

A log is rarely only a traceback: lines carry timestamps and container names, several processes write in
turn, a JSON field holds the whole text with its line ends escaped, pytest has a form of its own. What
stands before a traceback's first line is learnt from it and taken off the lines that follow. The file
is read in pieces, and lines that cannot belong to a traceback are passed over without being decoded.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .log_lines import json_texts, lines_that_matter, unfolded

_PATIENCE = 200  # lines of others between two lines of one traceback
_AFTERWARDS = 6  # lines after the exception, in which a chained one may follow
_POINTED = 30  # lines between pytest's mark and the file's name
_MOST = 500  # different tracebacks kept

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MARKED = re.compile(r"^> (?=File \")")  # loguru's, of the frame that caught it
_HEADER = re.compile(r"(?P<group>Exception Group )?Traceback \(most recent call last\):?\s*$")
_FRAME = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d{1,9})(?:, in (?P<name>.+?))?\s*$')
_BOXED = re.compile(r"\s*│ (?P<file>[^│\n]+?\.pyw?):(?P<line>\d{1,9})(?: in (?P<name>\S+))?\s*│?\s*$")
_IPYTHON = re.compile(r"File (?P<file>[^\s:]\S*?\.py):(?P<line>\d{1,9})(?:, in (?P<name>[\w.<>]+)\(.*)?$")
_REPEATED = re.compile(r"\[Previous line repeated (\d{1,9}) more times?\]\s*$")
_ERROR = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?:: ?(?P<text>.*))?$")
_WITHOUT_TEXT = re.compile(r".*\.\w+|\w*(Error|Exception|Exit|Interrupt|Iteration|Warning|Group)")
_LEVELS = {"TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "SEVERE"}
_PYTEST = re.compile(
    r"(?P<file>(?:[A-Za-z]:)?[^\s:\"][^:\"]*\.pyw?):(?P<line>\d{1,9}): ?(?:in (?P<name>\S.*)|(?P<error>[\w.]*))$"
)
_LINKS = (
    ("During handling of the above exception, another exception occurred:", "context"),
    ("The above exception was the direct cause of the following exception:", "cause"),
)
_REGISTERED_TWICE = re.compile(r"Table '[^'\n]+' is already defined for this MetaData instance")
_MEMBER = re.compile(r"\s*[+|] $")


@dataclass(frozen=True)
class LogFrame:
    """One frame as the log has it; ``text`` is the source line, None where the log has none."""

    file: str
    line: int
    function: str | None
    text: str | None
    repeated: int = 0


@dataclass(frozen=True)
class Raised:
    """One exception with its frames, outermost first; ``link`` is how it belongs to the one before it."""

    type: str | None
    text: str | None
    frames: tuple[LogFrame, ...]
    link: str | None = None  # context, cause, member (of a group); None for the first

    def __str__(self) -> str:
        return ": ".join(part for part in (self.type, self.text) if part) or "the log ends before the exception"


@dataclass(frozen=True)
class Traceback:
    """The exceptions of one printed traceback, in order; ``line`` is its line in the log, ``times`` how often it occurs."""

    raised: tuple[Raised, ...]
    line: int
    times: int = 1

    @property
    def error(self) -> Raised:
        """The exception that ended the run; for a group, the group itself and not a member."""
        return next(raised for raised in reversed(self.raised) if raised.link != "member")

    @property
    def frames(self) -> tuple[LogFrame, ...]:
        return tuple(dict.fromkeys(frame for raised in self.raised for frame in raised.frames))


@dataclass(frozen=True)
class Log:
    """The content of a log: its distinct tracebacks in the order of their first appearance.

    :ivar left_out: distinct tracebacks beyond the number that is kept
    :ivar logged: the first line that says a table is already defined, in a traceback or by itself: its number, and that text
    """

    tracebacks: tuple[Traceback, ...]
    lines: int
    left_out: int = 0
    logged: tuple[int, str] | None = None


def read_log(source: Path | str | BinaryIO) -> Log:
    """Every traceback of a log.

    :param source: a file's path, an open binary stream, or the text itself
    :raises OSError: the file cannot be read
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return _read(stream)
    return _read(io.BytesIO(source.encode("utf-8", "surrogatepass")) if isinstance(source, str) else source)


def _read(stream: BinaryIO) -> Log:
    reader = _Reader()
    stream = io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream
    total = 0
    for number, line in lines_that_matter(stream, lambda: bool(reader.open or reader.pointed)):
        total = number
        if line is not None:
            reader.feed(number, line)
    reader.close_all()
    tracebacks = [Traceback(raised, line, times) for raised, (line, times) in reader.counted.items()]
    return Log(tuple(sorted(tracebacks, key=lambda traceback: traceback.line)), total, reader.left_out, reader.logged)


@dataclass
class _Open:
    """A traceback that is being read."""

    channel: str
    line: int
    shape: re.Pattern  # what stands before each of its lines
    base: re.Pattern  # the same, without the marks of an exception group
    group: bool
    done: list[Raised] = field(default_factory=list)
    frames: list[LogFrame] = field(default_factory=list)
    error: tuple[str, str | None] | None = None
    link: str | None = None
    next_link: str | None = None
    indent: int = 2  # of the last frame's line
    wants_text: bool = False
    sure: bool = False  # have the lines after the first shown whether they carry the prefix?
    pytest: bool = False
    idle: int = 0

    def rest(self, line: str) -> str | None:
        match = self.shape.match(line)
        return line[match.end() :] if match else None

    def finish_one(self) -> None:
        if self.frames or self.error:
            kind, text = self.error or (None, None)
            self.done.append(Raised(kind, text, tuple(self.frames), self.link if self.done else None))
        self.frames, self.error, self.link, self.next_link = [], None, self.next_link, None


class _Reader:
    def __init__(self):
        self.open: list[_Open] = []
        self.counted: dict[tuple[Raised, ...], tuple[int, int]] = {}
        self.left_out = 0
        self.logged: tuple[int, str] | None = None
        self.pointed: str | None = None  # pytest's last line with a mark, of the frame that is named below it
        self.pointed_at = 0
        self.said: tuple[str, str | None] | None = None  # the error below that line, before the file's name

    def feed(self, number: int, line: str) -> None:
        line = _MARKED.sub("  ", _ANSI.sub("", line))
        if line.lstrip().startswith(("╭", "│", "╰")):  # drawn in a box, as rich does it
            frame = _BOXED.match(line)
            if frame:
                line = f'  File "{frame["file"]}", line {frame["line"]}, in {frame["name"] or "<module>"}'
            elif "Traceback (most recent call last)" in line:
                line = "Traceback (most recent call last):"
            else:
                return
        elif in_ipython := _IPYTHON.match(line):
            line = f'  File "{in_ipython["file"]}", line {in_ipython["line"]}, in {in_ipython["name"] or "<module>"}'
        if self.logged is None and (registered_twice := _REGISTERED_TWICE.search(line)):
            self.logged = (number, registered_twice[0])
        if "{" in line and self._feed_json(number, line):
            return
        frame = _FRAME.search(line)
        # A path may hold the letters of an escaped line end; a function's name does not.
        parts = unfolded(line) if not frame or re.search(r"\\n|#012", frame["name"] or "") else None
        if parts:
            for part in parts:
                self._line(number, part, "folded")
            self._close(lambda traceback: traceback.channel == "folded")
            return
        self._line(number, line, "")

    def _feed_json(self, number: int, line: str) -> bool:
        values = json_texts(line)
        if values is None:
            return False
        for where, text in values:
            channel = f"json{where}"
            if isinstance(text, dict):
                frames = tuple(LogFrame(**frame) for frame in text["frames"])  # the log has them as values
                self._keep((Raised(text["type"], text["text"], frames),), number)
                continue
            parts = text.rstrip("\n").split("\n")
            if len(parts) > 1:  # a field that holds the whole of it is read on its own
                before, self.open = self.open, []
                for part in parts:
                    self._line(number, part.rstrip("\r"), channel)
                self.close_all()
                self.open = before
            else:
                self._line(number, parts[0], channel)
        return True

    def _line(self, number: int, line: str, channel: str) -> None:
        header = _HEADER.search(line)
        if header:
            self._begin(number, line[: header.start()], bool(header["group"]), channel)
            return
        owner = self._owner(line, channel)
        if owner is None:
            frame = _FRAME.search(line)
            located = None if frame else _PYTEST.match(line)
            if frame:  # the log begins in the middle of a traceback
                head = line[: frame.start()]
                owner = self._begin(number, head.removesuffix("  "), False, channel)
            elif located and (located["name"] or self.pointed is not None or located["error"]):
                owner = self._begin(number, "", False, channel)
                owner.pytest, owner.error = True, self.said
            elif line.startswith(">"):
                self.pointed, self.pointed_at, self.said = line[1:].strip(), number, None
                return
            elif line.startswith("E ") and self.pointed is not None and self.said is None:
                self.said = _error(line[2:].strip()) or ("AssertionError", line[2:].strip())
                return
            else:
                if number - self.pointed_at > _POINTED:
                    self.pointed = None
                return
        self._take(owner, line)
        others = [traceback for traceback in self.open if traceback is not owner]
        for traceback in (traceback for traceback in others if traceback.channel == channel):
            traceback.idle += 1
        self._close(lambda it: it.idle > (_AFTERWARDS if it.error and not it.group else _PATIENCE))

    def _begin(self, number: int, head: str, group: bool, channel: str) -> _Open:
        shape, base = _shape(head, group), _shape(_MEMBER.sub("", head), False)
        plain = _MEMBER.sub("", head)
        for traceback in reversed(self.open):
            chained = traceback.next_link and (traceback.shape.fullmatch(head) or traceback.base.fullmatch(head))
            member = traceback.group and traceback.error is None and not traceback.frames and traceback.done
            member = member or (traceback.group and traceback.error)
            member = member and head != plain and traceback.base.fullmatch(plain)
            if traceback.channel == channel and (chained or member):
                traceback.next_link = traceback.next_link if chained else "member"
                traceback.finish_one()
                traceback.shape, traceback.group, traceback.idle = shape, traceback.group or group, 0
                traceback.sure = traceback.wants_text = False
                return traceback
        # A second one at the same place: the one before it is over.
        self._close(lambda traceback: traceback.channel == channel and bool(traceback.shape.fullmatch(head)))
        traceback = _Open(channel, number, shape, base, group)
        self.open.append(traceback)
        return traceback

    def _owner(self, line: str, channel: str) -> _Open | None:
        """The open traceback that a line belongs to: the one with the longest matching prefix."""
        best, most = None, -1
        for traceback in self.open:
            if traceback.channel != channel:
                continue
            prefix = traceback.shape.match(line)
            if not traceback.sure and not traceback.pytest:
                # The first line of a log record carries a prefix, those that follow it often none.
                frame = _FRAME.search(line)
                if frame and not (prefix and not line[prefix.end() : frame.start()].strip()):
                    head = line[: frame.start()].removesuffix("  ")
                    plain = _MEMBER.sub("", head) if traceback.group else head
                    if plain.strip():
                        continue
                    traceback.shape, traceback.base = re.compile(re.escape(head)), re.compile(re.escape(plain))
                    prefix = traceback.shape.match(line)
                traceback.sure = bool(frame)
            prefix = prefix or (traceback.base.match(line) if any(text in line for text, _ in _LINKS) else None)
            if prefix and prefix.end() > most:
                best, most = traceback, prefix.end()
        return best

    def _take(self, traceback: _Open, line: str) -> None:
        rest = traceback.rest(line)
        rest = line if rest is None else rest
        stripped = rest.strip()
        link = next((kind for text, kind in _LINKS if text in rest), None)
        if link:
            traceback.next_link, traceback.idle = link, 0
            return
        if traceback.pytest:
            self._take_pytest(traceback, rest)
            return
        frame = _FRAME.match(rest.lstrip())
        traceback.idle += 1
        if frame:
            indent = len(rest) - len(rest.lstrip())
            if traceback.error is not None and indent < traceback.indent:
                return  # frames that something else printed below it
            if traceback.error is not None:
                traceback.error = None  # what was taken for the exception was another line
            traceback.frames.append(LogFrame(frame["file"], int(frame["line"]), frame["name"], None))
            traceback.indent, traceback.wants_text, traceback.idle = indent, True, 0
            return
        if traceback.frames and (repeated := _REPEATED.match(stripped)):
            last = traceback.frames[-1]
            traceback.frames[-1] = LogFrame(last.file, last.line, last.function, last.text, int(repeated[1]))
            traceback.wants_text, traceback.idle = False, 0
            return
        if not stripped or not set(stripped) - set("~^ "):
            return
        indent = len(rest) - len(rest.lstrip())
        if traceback.wants_text and (
            indent > traceback.indent or traceback.indent == 0 and not traceback.frames[-1].file.startswith("<")
        ):
            last = traceback.frames[-1]
            traceback.frames[-1] = LogFrame(last.file, last.line, last.function, stripped)
            traceback.wants_text, traceback.idle = False, 0
        elif (
            indent == 0
            and traceback.error is None
            and (traceback.frames or traceback.next_link is None)
            and (error := _error(rest))
        ):
            traceback.error, traceback.wants_text, traceback.idle = error, False, 0

    def _take_pytest(self, traceback: _Open, rest: str) -> None:
        traceback.idle += 1
        located = _PYTEST.match(rest)
        if located:
            text = self.pointed
            traceback.frames.append(LogFrame(located["file"], int(located["line"]), located["name"], text))
            traceback.wants_text, traceback.idle, self.pointed = bool(located["name"]), 0, None
            if located["error"] and traceback.error is None:
                traceback.error = (located["error"], None)
        elif rest.startswith("E ") and rest[2:].strip():
            if traceback.error is None or not traceback.error[1]:
                traceback.error = _error(rest[2:].strip()) or traceback.error
            traceback.wants_text, traceback.idle = False, 0
        elif rest.startswith(">"):
            self.pointed, traceback.idle = rest[1:].strip(), 0
        elif traceback.wants_text and rest.startswith("    ") and set(rest.strip()) - set("~^ "):
            last = traceback.frames[-1]
            traceback.frames[-1] = LogFrame(last.file, last.line, last.function, rest.strip())
            traceback.wants_text = False
        elif rest.startswith(("====", "____", "----")):
            self._close(lambda other: other is traceback)

    def _close(self, which: Callable[[_Open], bool]) -> None:
        for traceback in [traceback for traceback in self.open if which(traceback)]:
            self.open.remove(traceback)
            traceback.finish_one()
            if any(raised.frames for raised in traceback.done):
                self._keep(tuple(traceback.done), traceback.line)

    def close_all(self) -> None:
        self._close(lambda traceback: True)

    def _keep(self, raised: tuple[Raised, ...], line: int) -> None:
        if raised in self.counted:
            first, times = self.counted[raised]
            self.counted[raised] = (first, times + 1)
        elif len(self.counted) < _MOST:
            self.counted[raised] = (line, 1)
        else:
            self.left_out += 1


def _shape(head: str, group: bool) -> re.Pattern:
    """The prefix of a line as a pattern; the numbers in it may change from line to line."""
    tail = ""
    if group and head.endswith("+ "):
        head, tail = head[:-2], r"[+|] "
    parts = re.split(r"(\d+)", head)
    return re.compile("".join(r"\d+" if part.isdigit() else re.escape(part) for part in parts) + tail)


def _error(line: str) -> tuple[str, str | None] | None:
    match = _ERROR.match(line.rstrip())
    if not match or match["type"] in _LEVELS:
        return None
    if not match["text"] and not _WITHOUT_TEXT.fullmatch(match["type"]):
        return None
    return match["type"], match["text"] or None
