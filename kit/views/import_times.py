"""The imports over time: who imported whom, how long each took, and what it registered."""

import posixpath
import re
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from ..trace.graph import Module, import_graph
from ..trace.trace import Trace
from .figure import figure
from .markup import Part, code, count, fold, para, stack, table
from .picture import FONT, plain

_ROWS = 90  # modules with a row of their own; the others are counted in between
_SLOWEST = 8
_DEEPEST = 12  # steps to the right
_HIGH = 18  # of a row
_INK, _GREY, _RED = "#1f2328", "#57606a", "#a32400"


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
    rows = [
        (
            code(bar.module.module),
            str(bar.module.number),
            _by(bar.module) or "the step",
            _said(bar.alone),
            _said(bar.seconds),
        )
        for bar in slowest[:_SLOWEST]
    ]
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
    return [
        fold(
            title,
            stack(shown, slow, para("The tracer makes this startup slower than it usually is.")),
            kind="kit-timeline-of-imports",
        )
    ]


def _bars(trace: Trace) -> list[Bar]:
    modules = import_graph(trace).modules
    if not modules:
        return []
    ran = {module.key: trace.import_of(module.key) for module in modules}
    start = min(import_.began for import_ in ran.values())
    inside: dict[int, float] = {}
    depth: dict[int, int] = {}
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
    within = trace.import_of(key).within
    while within is not None and (outer := trace.import_of(within)) is not None:
        if outer.application:
            return outer.number
        within = outer.within
    return None


def _by(module: Module, *, short: bool = False) -> str:
    """The application's line that imported it, or else the library that did."""
    if module.by is None or module.by.file.startswith("<"):
        return ""
    if not module.by.application:
        return plain(re.split(r"[/.]", module.by.module or module.by.file)[0], 30)
    return plain(f"{posixpath.basename(module.by.file) if short else module.by.file}:{module.by.line}", 40)


def _said(seconds: float | None) -> str:
    return "not seen" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def timeline_picture(bars: Sequence[Bar], *, narrow: bool = False) -> str:
    """The timeline as SVG text, in at most 90 rows; the modules left out between them are counted.

    :param bars: in import order, at least one
    """
    rows = _rows(bars)
    last = max(bar.began + (bar.seconds or 0.0) for bar in bars) or 1.0
    sheet = _Sheet(narrow, _HIGH * len(rows) + 34, last)
    for share in (0.0, 0.5, 1.0):
        sheet.grid_line(last * share)
    for number, row in enumerate(rows):
        y = 24 + _HIGH * number
        if isinstance(row, Bar):
            sheet.bar(y, row)
        else:
            sheet.write(4, y + 12, f"… {row} more", "axis", colour=_GREY)
    return "".join([*sheet.parts, "</svg>"])


class _Sheet:
    """The picture while it is drawn.

    :ivar label: pixels of a row that the module's name has, ``room`` those of the time
    :ivar last: seconds at its right edge
    """

    def __init__(self, narrow: bool, high: int, last: float) -> None:
        self.narrow, self.high, self.last = narrow, high, last
        self.wide, self.label = (334, 190) if narrow else (1100, 480)
        self.room = self.wide - self.label - (52 if narrow else 78)
        self.size = 10 if narrow else 12
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.wide} {high}" width="{self.wide}" height="{high}">',
            '<rect class="ground" width="100%" height="100%" fill="#ffffff"></rect>',
        ]

    def write(
        self, x: float, y: float, text: str, kind: str = "label", anchor: str = "start", colour: str = _INK
    ) -> None:
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y}" font-size="{self.size}" text-anchor="{anchor}" fill="{colour}" '
            f'font-family="{FONT}">{escape(text)}</text>'
        )

    def at(self, seconds: float) -> float:
        return self.label + self.room * seconds / self.last

    def grid_line(self, seconds: float) -> None:
        x = self.at(seconds)
        self.parts.append(
            f'<line class="grid" x1="{x:.1f}" y1="18" x2="{x:.1f}" y2="{self.high - 8}" stroke="#d0d7de"></line>'
        )
        self.write(x, 12, _said(seconds), "axis", "middle", _GREY)

    def bar(self, y: float, bar: Bar) -> None:
        """A row: the module's name, its bar, and beside the bar what it registered."""
        module, narrow = bar.module, self.narrow
        shift = min(bar.depth, _DEEPEST) * (4 if narrow else 10)
        by = f" ← {_by(module, short=True)}" if _by(module) and not narrow else ""
        name = module.module.rpartition(".")[2] if narrow else module.module
        room_of_name = int((self.label - 10 - shift) / (self.size * 0.61)) - len(f"{module.number} {by}")
        self.write(4 + shift, y + 12, f"{module.number} {plain(name, room_of_name)}{by}")
        x, length = self.at(bar.began), max(1.5, self.room * (bar.seconds or 0.0) / self.last)
        wrong = bool(module.rejected or module.error)
        kind, fill = ("second", _RED) if wrong else ("first", "#0550ae")
        self.parts.append(
            f'<rect class="bar {kind}" x="{x:.1f}" y="{y + 4}" width="{length:.1f}" height="9" fill="{fill}"></rect>'
        )
        words = _said(bar.seconds) + (f" ●{len(module.tables)}" if module.tables else "")
        words += (" ×" if module.rejected else "") + (" !" if module.error else "")
        after = x + length + 5
        fits = after + len(words) * self.size * 0.61 <= self.wide
        kind, colour = ("second", _RED) if wrong else ("label", _INK)
        self.write(after if fits else x - 5, y + 12, words, kind, "start" if fits else "end", colour)


def _rows(bars: Sequence[Bar]) -> list[Bar | int]:
    """The bars that are drawn, with the number of those that are left out between them."""
    by_weight = sorted(
        range(len(bars)),
        key=lambda n: (
            not bars[n].module.rejected,
            not bars[n].module.error,
            not bars[n].module.tables,
            -bars[n].alone,
            n,
        ),
    )
    # Half the rows tell what was registered, the other half what took long.
    kept = set(by_weight[: _ROWS // 2])
    for n in sorted(range(len(bars)), key=lambda n: (-bars[n].alone, n)):
        if len(kept) >= _ROWS:
            break
        kept.add(n)
    rows: list[Bar | int] = []
    left_out = 0
    for n, bar in enumerate(bars):
        if n in kept:
            rows += [left_out] if left_out else []
            rows.append(bar)
            left_out = 0
        else:
            left_out += 1
    return [*rows, left_out] if left_out else rows
