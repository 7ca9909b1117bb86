"""The imports over time: who imported whom, how long each took, and what it registered."""

import posixpath
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..trace.graph import Module, import_graph
from ..trace.trace import Trace
from .figure import figure
from .markup import Part, code, count, fold, para, stack, table
from .svg import BLUE, GREY, INK, RED, Sheet, plain

_ROWS = 90  # modules with a row of their own; the others are counted in between
_SLOWEST = 8
_DEEPEST = 12  # steps to the right
_HIGH = 18  # of a row


class Bar(NamedTuple):
    """One executed module; times are in seconds since the first began; ``alone`` is the time without its own imports."""

    module: Module
    depth: int
    began: float
    seconds: float | None  # None: its end was not seen
    alone: float


def import_timeline(trace: Trace) -> list[Part]:
    """Every executed module of the application in import order, as a folded picture with its slowest as a table."""
    bars = _bars(trace)
    if not bars:
        return []
    slowest = sorted((bar for bar in bars if bar.seconds is not None), key=lambda bar: (-bar.alone, bar.module.number))
    rows = []
    for bar in slowest[:_SLOWEST]:
        by = _by(bar.module) or "the step"
        rows.append((code(bar.module.module), str(bar.module.number), by, _time(bar.alone), _time(bar.seconds)))
    head = ("module", "number", "imported by", "time alone", "time with the application's modules that it imports")
    caption = (
        "Each row is a module, in the order in which the imports began, indented under the module that imported it; its bar "
        "spans its execution. A dot: it registered tables, with their number. A cross: a table was rejected. An exclamation "
        "mark: an error ended it."
    )
    alt = f"Timeline of imports: {count(len(bars), 'module')} in import order. The slowest are in the table below."
    shown = figure(timeline_picture(bars), alt, caption, narrow=timeline_picture(bars, narrow=True))
    slow = table("What took longest; the time of imported libraries is included", head, rows) if rows else None
    title = f"Every import in time: who imported whom, and how long it took ({count(len(bars), 'module')})"
    content = stack(shown, slow, para("The tracer makes this startup slower than it usually is."))
    return [fold(title, content, kind="kit-timeline-of-imports")]


def _bars(trace: Trace) -> list[Bar]:
    modules = import_graph(trace).modules
    ran = {module.key: trace.import_of(module.key) for module in modules}
    start = min((import_.began for import_ in ran.values()), default=0)
    inside: dict[int, float] = {}
    depth: dict[int | None, int] = {None: -1}
    for module in modules:
        outer = _outer(trace, module.key)
        depth[module.key] = depth.get(outer, -1) + 1
        if outer is not None:
            inside[outer] = inside.get(outer, 0.0) + (ran[module.key].seconds or 0.0)
    bars = []
    for module in modules:
        seconds = ran[module.key].seconds
        alone = max(0.0, (seconds or 0.0) - inside.get(module.key, 0.0))
        bars.append(Bar(module, depth[module.key], (ran[module.key].began - start) / 1e9, seconds, alone))
    return bars


def _outer(trace: Trace, key: int) -> int | None:
    """The application's module in whose execution this one began."""
    outer = trace.import_of(trace.import_of(key).within)
    while outer is not None and not outer.application:
        outer = trace.import_of(outer.within)
    return outer.number if outer is not None else None


def _by(module: Module, *, short: bool = False) -> str:
    """The application's line that imported it, or else the library that did."""
    if module.by is None or module.by.file.startswith("<"):
        return ""
    if not module.by.application:
        return plain(re.split(r"[/.]", module.by.module or module.by.file)[0], 30)
    return plain(f"{posixpath.basename(module.by.file) if short else module.by.file}:{module.by.line}", 40)


def _time(seconds: float | None) -> str:
    return "not seen" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def timeline_picture(bars: Sequence[Bar], *, narrow: bool = False) -> str:
    """The timeline as SVG text, in at most 90 rows; the modules left out between them are counted.

    :param bars: in import order, at least one
    """
    rows = _rows(bars)
    sheet = _Timeline(narrow, _HIGH * len(rows) + 34, max(bar.began + (bar.seconds or 0.0) for bar in bars) or 1.0)
    for share in (0.0, 0.5, 1.0):
        x = sheet.at(sheet.last * share)
        sheet.line(x, 18, x, sheet.high - 8)
        sheet.write(x, 12, _time(sheet.last * share), "axis", "middle", GREY)
    for number, row in enumerate(rows):
        y = 24 + _HIGH * number
        if isinstance(row, Bar):
            sheet.bar(y, row)
        else:
            sheet.write(4.0, y + 12, f"… {row} more", "axis", colour=GREY)
    return str(sheet)


class _Timeline(Sheet):
    """The picture while it is drawn.

    :ivar label: pixels of a row that the module's name has, ``room`` those of the time
    :ivar last: seconds at its right edge
    """

    def __init__(self, narrow: bool, high: int, last: float) -> None:
        super().__init__(334 if narrow else 1100, high, 10 if narrow else 12)
        self.narrow, self.last, self.label = narrow, last, 190 if narrow else 480
        self.room = self.wide - self.label - (52 if narrow else 78)

    def at(self, seconds: float) -> float:
        return self.label + self.room * seconds / self.last

    def bar(self, y: float, bar: Bar) -> None:
        """A row: the module's name, its bar, and beside the bar what it registered."""
        module, narrow = bar.module, self.narrow
        shift = min(bar.depth, _DEEPEST) * (4 if narrow else 10)
        by = f" ← {_by(module, short=True)}" if _by(module) and not narrow else ""
        name = module.module.rpartition(".")[2] if narrow else module.module
        room_of_name = int((self.label - 10 - shift) / (self.size * 0.61)) - len(f"{module.number} {by}")
        self.write(4.0 + shift, y + 12, f"{module.number} {plain(name, room_of_name)}{by}")
        x, length = self.at(bar.began), max(1.5, self.room * (bar.seconds or 0.0) / self.last)
        wrong = bool(module.rejected or module.error)
        kind, fill = ("bar second", RED) if wrong else ("bar first", BLUE)
        self.shape("rect", kind, x=x, y=y + 4, width=length, height=9, fill=fill)
        words = _time(bar.seconds) + (f" ●{len(module.tables)}" if module.tables else "")
        words += (" ×" if module.rejected else "") + (" !" if module.error else "")
        after = x + length + 5
        fits = after + len(words) * self.size * 0.61 <= self.wide
        kind, colour = ("second", RED) if wrong else ("label", INK)
        self.write(after if fits else x - 5, y + 12, words, kind, "start" if fits else "end", colour)


def _rows(bars: Sequence[Bar]) -> list[Bar | int]:
    """The bars that are drawn, with the number of those that are left out between them."""

    def weight(n: int) -> tuple:
        module = bars[n].module
        return not module.rejected, not module.error, not module.tables, -bars[n].alone, n

    # Half the rows tell what was registered, the other half what took long.
    telling = sorted(range(len(bars)), key=weight)[: _ROWS // 2]
    slowest = sorted(range(len(bars)), key=lambda n: (-bars[n].alone, n))
    kept = set([*telling, *(n for n in slowest if n not in telling)][:_ROWS])
    rows: list[Bar | int] = []
    for n, bar in enumerate(bars):
        if n in kept:
            rows.append(bar)
        elif rows and isinstance(rows[-1], int):
            rows[-1] += 1
        else:
            rows.append(1)
    return rows
