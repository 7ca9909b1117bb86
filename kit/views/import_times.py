"""The imports as they ran, in time: who imported whom, how long each took, and what came with it."""

import posixpath
import re
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from ..trace.graph import Module, import_graph
from ..trace.values import Trace
from .figure import figure
from .markup import Part, code, count, fold, para, stack, table
from .picture import FONT, plain

_ROWS = 90  # modules with a row of their own; the others are counted in between
_SLOWEST = 8
_DEEPEST = 12  # steps to the right
_HIGH = 18  # of a row


class Bar(NamedTuple):
    """One executed module; times are seconds since the first began, ``own`` without what it imported itself."""

    module: Module
    depth: int
    began: float
    seconds: float | None  # None: its end was not seen
    own: float


def import_timeline(trace: Trace) -> list[Part]:
    """Every executed module of the application in import order, as a folded picture with its slowest as a table."""
    bars = _bars(trace)
    if not bars:
        return []
    slowest = sorted((bar for bar in bars if bar.seconds is not None), key=lambda bar: (-bar.own, bar.module.number))
    rows = [
        (
            code(one.module.module),
            str(one.module.number),
            _by(one.module) or "the step",
            _said(one.own),
            _said(one.seconds),
        )
        for one in slowest[:_SLOWEST]
    ]
    head = ("module", "number", "imported by", "without them", "with the modules of the application that it imports")
    caption = (
        "Each row is a module, in the order in which the imports began, moved to the right under what imported it; its bar "
        "lasts from the beginning to the end of its execution. A dot: tables registered, with how many. A cross: a table "
        "rejected. An exclamation mark: an error left it."
    )
    alt = f"Timeline of imports: {count(len(bars), 'module')} in import order. The slowest are in the table below."
    shown = figure(timeline_picture(bars), alt, caption, narrow=timeline_picture(bars, narrow=True))
    slow = table("What took longest, the libraries that it imports included", head, rows) if rows else None
    title = f"Every import in time: who imported whom, and how long it took ({count(len(bars), 'module')})"
    return [
        fold(
            title,
            stack(shown, slow, para("Traced, so slower than an untraced startup.")),
            kind="kit-timeline-of-imports",
        )
    ]


def _bars(trace: Trace) -> list[Bar]:
    modules = import_graph(trace).modules
    if not modules:
        return []
    ran = {module.key: trace.import_of(module.key) for module in modules}
    start = min(one.began for one in ran.values())
    inside: dict[int, float] = {}
    depth: dict[int, int] = {}
    for module in modules:
        outer = _outer(trace, module.key)
        depth[module.key] = depth.get(outer, -1) + 1
        if outer is not None:
            inside[outer] = inside.get(outer, 0.0) + (ran[module.key].seconds or 0.0)
    found = []
    for module in modules:
        seconds = ran[module.key].seconds
        own = max(0.0, (seconds or 0.0) - inside.get(module.key, 0.0))
        found.append(Bar(module, depth[module.key], (ran[module.key].began - start) / 1e9, seconds, own))
    return found


def _outer(trace: Trace, key: int) -> int | None:
    """The application's module in whose execution this one began."""
    within = trace.import_of(key).within
    while within is not None and (one := trace.import_of(within)) is not None:
        if one.application:
            return one.number
        within = one.within
    return None


def _by(module: Module, *, short: bool = False) -> str:
    """The line that led to it: one of the application, or else the library that asked for it."""
    if module.by is None or module.by.file.startswith("<"):
        return ""
    if not module.by.application:
        return plain(re.split(r"[/.]", module.by.module or module.by.file)[0], 30)
    return plain(f"{posixpath.basename(module.by.file) if short else module.by.file}:{module.by.line}", 40)


def _said(seconds: float | None) -> str:
    return "not seen" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def timeline_picture(bars: Sequence[Bar], *, narrow: bool = False) -> str:
    """The timeline as SVG text, in at most 90 rows and as many counts between them.

    :param bars: in import order, at least one
    """
    rows = _rows(bars)
    wide, label = (334, 190) if narrow else (1100, 480)
    room = wide - label - (52 if narrow else 78)
    last = max(bar.began + (bar.seconds or 0.0) for bar in bars) or 1.0
    high = _HIGH * len(rows) + 34
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">']
    parts.append('<rect class="ground" width="100%" height="100%" fill="#ffffff"></rect>')
    size = 10 if narrow else 12

    def write(
        x: float, y: float, text: str, kind: str = "label", anchor: str = "start", colour: str = "#1f2328"
    ) -> None:
        parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
            f'font-family="{FONT}">{escape(text)}</text>'
        )

    for share in (0.0, 0.5, 1.0):
        x = label + room * share
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="18" x2="{x:.1f}" y2="{high - 8}" stroke="#d0d7de"></line>')
        write(x, 12, _said(last * share), "axis", "middle", "#57606a")
    for number, row in enumerate(rows):
        y = 24 + _HIGH * number
        if not isinstance(row, Bar):
            write(4, y + 12, f"… {row} more", "axis", "start", "#57606a")
            continue
        shift = min(row.depth, _DEEPEST) * (4 if narrow else 10)
        one = row.module
        by = f" ← {_by(one, short=True)}" if _by(one) and not narrow else ""
        name = one.module.rpartition(".")[2] if narrow else one.module
        room_of_name = int((label - 10 - shift) / (size * 0.61)) - len(f"{one.number} {by}")
        write(4 + shift, y + 12, f"{one.number} {plain(name, room_of_name)}{by}")
        x = label + room * row.began / last
        length = max(1.5, room * (row.seconds or 0.0) / last)
        kind = "second" if one.rejected or one.error else "first"
        fill = "#a32400" if kind == "second" else "#0550ae"
        parts.append(
            f'<rect class="bar {kind}" x="{x:.1f}" y="{y + 4}" width="{length:.1f}" height="9" fill="{fill}"></rect>'
        )
        said = _said(row.seconds) + (f" ●{len(one.tables)}" if one.tables else "") + (" ×" if one.rejected else "")
        said += " !" if one.error else ""
        after = x + length + 5
        if after + len(said) * size * 0.61 <= wide:
            write(
                after,
                y + 12,
                said,
                kind if kind == "second" else "label",
                "start",
                "#a32400" if kind == "second" else "#1f2328",
            )
        else:
            write(
                x - 5,
                y + 12,
                said,
                kind if kind == "second" else "label",
                "end",
                "#a32400" if kind == "second" else "#1f2328",
            )
    parts.append("</svg>")
    return "".join(parts)


def _rows(bars: Sequence[Bar]) -> list[Bar | int]:
    """The bars that are drawn, with the number of those that are left out between them."""
    by_weight = sorted(
        range(len(bars)),
        key=lambda n: (
            not bars[n].module.rejected,
            not bars[n].module.error,
            not bars[n].module.tables,
            -bars[n].own,
            n,
        ),
    )
    # Half the rows tell what was registered, the other half what took long.
    kept = set(by_weight[: _ROWS // 2])
    for n in sorted(range(len(bars)), key=lambda n: (-bars[n].own, n)):
        if len(kept) >= _ROWS:
            break
        kept.add(n)
    rows: list[Bar | int] = []
    left_out = 0
    for n, one in enumerate(bars):
        if n in kept:
            rows += [left_out] if left_out else []
            rows.append(one)
            left_out = 0
        else:
            left_out += 1
    return [*rows, left_out] if left_out else rows
