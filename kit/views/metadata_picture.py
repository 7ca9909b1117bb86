"""The tables on the application's metadata over executed modules, as SVG text."""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from .picture import FONT, LABEL, SVG, plain

_MOST_MARKS = 200


class Moment(NamedTuple):
    """One application module when its execution had ended; ``tables`` is the running total."""

    number: int
    module: str
    tables: int
    new: int
    rejected: Sequence[str]
    process: int
    met: Sequence[str] = ()  # tables that a further definition met without being rejected


def metadata_picture(moments: Sequence[Moment], *, narrow: bool = False) -> str:
    """Tables on the application's metadata over executed modules, every rejected table marked; SVG text.

    Its size is bounded: of very many registrations the largest have a dot.

    :param moments: at least one
    :param narrow: for a small screen
    """
    left, top, wide, high = (30, 46, 290, 150) if narrow else (46, 46, 840, 170)
    right = 12 if narrow else 24
    most = max(1, *(one.tables for one in moments))
    step = wide / len(moments)
    size = f"{left + wide + right} {top + high + 46}".split()
    parts = [f'<svg xmlns="{SVG}" viewBox="0 0 {" ".join(size)}" width="{size[0]}" height="{size[1]}">']
    parts.append('<rect class="ground" width="100%" height="100%" fill="#ffffff"></rect>')

    def x(index: float) -> float:
        return round(left + step * index, 1)

    def y(tables: int) -> float:
        return round(top + high - high * tables / most, 1)

    def write(px: float, py: float, text: str, kind: str, anchor: str = "middle", colour: str = "#57606a") -> None:
        shown = escape(plain(text))
        parts.append(
            f'<text class="{kind}" x="{px}" y="{py}" font-size="12" text-anchor="{anchor}" fill="{colour}" '
            f'stroke="#ffffff" stroke-width="4" paint-order="stroke" font-family="{FONT}">{shown}</text>'
        )

    for tables in sorted({0, most // 2, most}):
        parts.append(
            f'<line class="grid" x1="{left}" y1="{y(tables)}" x2="{left + wide}" y2="{y(tables)}" stroke="#d0d7de"></line>'
        )
        write(left - 8, y(tables) + 4, str(tables), "axis", "end")
    write(4, 14, "tables on the metadata", "axis", "start")
    said = "executed modules" if narrow else "executed modules, in the order of their end"
    write(left + wide, top + high + 36, f"{len(moments)} {said}", "axis", "end")
    write(left, top + high + 18, "1", "axis")
    if len(moments) > 1:
        write(left + wide, top + high + 18, str(len(moments)), "axis")
    named = left
    for index in range(1, len(moments)):
        if moments[index].process != moments[index - 1].process:
            parts.append(
                f'<line class="grid" x1="{x(index)}" y1="{top}" x2="{x(index)}" y2="{top + high}" stroke="#d0d7de" stroke-dasharray="3 3"></line>'
            )
            if x(index) - named > 85 and left + wide - x(index) > 55:
                named = x(index)
                write(named, top + high + 18, "next process", "axis")
    parts.append(
        f'<path class="first" d="{_climb(moments, x, y)}" fill="none" stroke="#0550ae" stroke-width="2.4"></path>'
    )
    telling = [(index, one) for index, one in enumerate(moments) if one.new or one.rejected or one.met]
    telling.sort(key=lambda item: (-len(item[1].rejected), -len(item[1].met), -item[1].new, item[0]))

    def places(px: float, py: float, length: float) -> list[tuple[float, float, float, float]]:
        """Boxes for a text near a mark, the best first; one that does not fit beside it begins where it fits."""
        sides = (px - length - 9, px + 9) if px > left + wide / 2 else (px + 9, px - length - 9)
        over, edge = (px - length if px > left + wide / 2 else px), left + wide + right - length
        found = [
            (over, py - 12),
            *((side, py + 4) for side in sides),
            (over, py + 20),
            (over, py - 27),
            (over, py + 35),
        ]
        found += [(side, py + down) for side in sides for down in (18, 32, -18)]
        return [
            _covered(min(max(start, 2), edge), at, length)
            for start, at in found
            if edge >= 2 and 28 <= at <= top + high - 4
        ]

    # Where no text may lie: the line, the marks, and texts that lie there already, as (left, top, right, bottom).
    line = _pieces(moments, x, y)
    marks = [(x(i + 0.5) - 6, y(m.tables) - 6, x(i + 0.5) + 6, y(m.tables) + 6) for i, m in telling[:_MOST_MARKS]]
    taken: list[tuple[float, float, float, float]] = []
    for index, one in telling[:_MOST_MARKS]:
        px, py = x(index + 0.5), y(one.tables)
        if one.rejected:
            parts.append(
                f'<path class="second" d="M{px} {py}m-6 -6l12 12m-12 0l12 -12" fill="none" stroke="#a32400" '
                'stroke-width="3"></path>'
            )
            more = f" and {len(one.rejected) - 1} more" if len(one.rejected) > 1 else ""
            text = f"{one.module}: {one.rejected[0]}{more} rejected"
        elif one.met:
            parts.append(
                f'<path class="second" d="M{px} {py}m0 -7l7 7l-7 7l-7 -7z" fill="#ffffff" stroke="#a32400" stroke-width="2"></path>'
            )
            more = f" and {len(one.met) - 1} more" if len(one.met) > 1 else ""
            text = f"{one.module}: {one.met[0]}{more} met again"
        else:
            parts.append(f'<circle class="first" cx="{px}" cy="{py}" r="4" fill="#0550ae"></circle>')
            text = f"{one.module} +{one.new}"
        loud = bool(one.rejected or one.met)
        texts = [plain(text, 38 if narrow else LABEL)]
        if loud:  # its table alone, where there is no room for more
            texts.append(plain(text.partition(": ")[2], 38 if narrow else LABEL))
        found = None
        for text in texts:
            boxes = [box for box in places(px, py, len(text) * 7.3) if not any(_meet(box, other) for other in taken)]
            free = [box for box in boxes if not any(_meet(box, other) for other in (*line, *marks))]
            found = (text, free[0]) if free else found or ((text, boxes[0]) if boxes and loud else None)
            if free:
                break
        if found:  # what is wrong is said, if over a line
            text, box = found
            taken.append(box)
            kind, colour = ("second", "#a32400") if loud else ("label", "#1f2328")
            write(round(box[0], 1), box[1] + 11, text, kind, "start", colour)
    parts.append("</svg>")
    return "".join(parts)


def _covered(start: float, at: float, length: float) -> tuple[float, float, float, float]:
    """What a text covers: (left, top, right, bottom)."""
    return start, at - 11, start + length, at + 3


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _pieces(
    moments: Sequence[Moment], x: Callable[[float], float], y: Callable[[int], float]
) -> list[tuple[float, float, float, float]]:
    """What the line of :func:`_climb` covers, a box for each of its straight parts."""
    found = []
    for index, one in enumerate(moments):
        new = not index or one.process != moments[index - 1].process
        before, now = y(one.tables - one.new if new else moments[index - 1].tables), y(one.tables)
        found.append((x(index), before - 2, x(index + 0.5), before + 2))
        found.append((x(index + 0.5) - 2, min(before, now), x(index + 0.5) + 2, max(before, now)))
        found.append((x(index + 0.5), now - 2, x(index + 1), now + 2))
    return found


def _climb(moments: Sequence[Moment], x: Callable[[float], float], y: Callable[[int], float]) -> str:
    """The line of a picture through time: a piece where the number of tables changes or a process begins."""
    path, process, before = [], None, 0
    for index, one in enumerate(moments):
        if one.process != process:
            if index:
                path.append(f"H{x(index)}")
            process, before = one.process, one.tables - one.new
            path.append(f"M{x(index)} {y(before)}")
        if one.tables != before:
            path.append(f"H{x(index + 0.5)}V{y(one.tables)}")
            before = one.tables
    return "".join(path) + f"H{x(len(moments))}"
