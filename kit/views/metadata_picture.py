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
    plot = _Plot(moments, narrow)
    plot.axes()
    plot.processes()
    plot.marks()
    return "".join([*plot.parts, "</svg>"])


class _Plot:
    """The picture while it is drawn: where a value lies, and the pieces of SVG until now."""

    def __init__(self, moments: Sequence[Moment], narrow: bool):
        self.moments, self.narrow = moments, narrow
        self.left, self.top, self.wide, self.high = (30, 46, 290, 150) if narrow else (46, 46, 840, 170)
        self.right = 12 if narrow else 24
        self.most = max(1, *(moment.tables for moment in moments))
        self.step = self.wide / len(moments)
        size = f"{self.left + self.wide + self.right} {self.top + self.high + 46}".split()
        self.parts = [f'<svg xmlns="{SVG}" viewBox="0 0 {" ".join(size)}" width="{size[0]}" height="{size[1]}">']
        self.parts.append('<rect class="ground" width="100%" height="100%" fill="#ffffff"></rect>')

    def x(self, index: float) -> float:
        return round(self.left + self.step * index, 1)

    def y(self, tables: int) -> float:
        return round(self.top + self.high - self.high * tables / self.most, 1)

    def write(
        self, px: float, py: float, text: str, kind: str, anchor: str = "middle", colour: str = "#57606a"
    ) -> None:
        shown = escape(plain(text))
        self.parts.append(
            f'<text class="{kind}" x="{px}" y="{py}" font-size="12" text-anchor="{anchor}" fill="{colour}" '
            f'stroke="#ffffff" stroke-width="4" paint-order="stroke" font-family="{FONT}">{shown}</text>'
        )

    def axes(self) -> None:
        """The grid with its numbers, and what they count."""
        end, foot = self.left + self.wide, self.top + self.high
        for tables in sorted({0, self.most // 2, self.most}):
            y = self.y(tables)
            self.parts.append(
                f'<line class="grid" x1="{self.left}" y1="{y}" x2="{end}" y2="{y}" stroke="#d0d7de"></line>'
            )
            self.write(self.left - 8, y + 4, str(tables), "axis", "end")
        self.write(4, 14, "tables on the metadata", "axis", "start")
        unit = "executed modules" if self.narrow else "executed modules, in the order of their end"
        self.write(end, foot + 36, f"{len(self.moments)} {unit}", "axis", "end")
        self.write(self.left, foot + 18, "1", "axis")
        if len(self.moments) > 1:
            self.write(end, foot + 18, str(len(self.moments)), "axis")

    def processes(self) -> None:
        """A line where a process begins, and the line that climbs."""
        named, foot, moments = self.left, self.top + self.high, self.moments
        for index in range(1, len(moments)):
            if moments[index].process != moments[index - 1].process:
                x = self.x(index)
                self.parts.append(
                    f'<line class="grid" x1="{x}" y1="{self.top}" x2="{x}" y2="{foot}" stroke="#d0d7de" stroke-dasharray="3 3"></line>'
                )
                if x - named > 85 and self.left + self.wide - x > 55:
                    named = x
                    self.write(named, foot + 18, "next process", "axis")
        climb = _climb(moments, self.x, self.y)
        self.parts.append(f'<path class="first" d="{climb}" fill="none" stroke="#0550ae" stroke-width="2.4"></path>')

    def marks(self) -> None:
        """A mark where tables were registered, with its text where there is room; the text of an error may cover a line."""
        telling = [
            (index, moment) for index, moment in enumerate(self.moments) if moment.new or moment.rejected or moment.met
        ]
        telling.sort(key=lambda item: (-len(item[1].rejected), -len(item[1].met), -item[1].new, item[0]))
        telling = telling[:_MOST_MARKS]
        # Where no text may lie: the line, the marks, and texts that lie there already, as (left, top, right, bottom).
        line = _pieces(self.moments, self.x, self.y)
        marks = [
            (self.x(i + 0.5) - 6, self.y(m.tables) - 6, self.x(i + 0.5) + 6, self.y(m.tables) + 6) for i, m in telling
        ]
        taken: list[tuple[float, float, float, float]] = []
        for index, moment in telling:
            px, py = self.x(index + 0.5), self.y(moment.tables)
            text, sign = _mark(moment, px, py)
            self.parts.append(sign)
            loud = bool(moment.rejected or moment.met)
            texts = [plain(text, 38 if self.narrow else LABEL)]
            if loud:  # its table alone, where there is no room for more
                texts.append(plain(text.partition(": ")[2], 38 if self.narrow else LABEL))
            placed = self.placed(texts, px, py, taken, (*line, *marks), loud=loud)
            if placed:
                shown, box = placed
                taken.append(box)
                kind, colour = ("second", "#a32400") if loud else ("label", "#1f2328")
                self.write(round(box[0], 1), box[1] + 11, shown, kind, "start", colour)

    def placed(self, texts: Sequence[str], px: float, py: float, taken: Sequence, lines: Sequence, *, loud: bool):
        """``(text, box)`` of the first text that has a free box; a loud text may cover a line; else None."""
        best = None
        for text in texts:
            boxes = [
                box for box in self.places(px, py, len(text) * 7.3) if not any(_meet(box, other) for other in taken)
            ]
            free = [box for box in boxes if not any(_meet(box, other) for other in lines)]
            best = (text, free[0]) if free else best or ((text, boxes[0]) if boxes and loud else None)
            if free:
                break
        return best

    def places(self, px: float, py: float, length: float) -> list[tuple[float, float, float, float]]:
        """Boxes for a text near a mark, the best first, moved inside the picture where they would not fit."""
        late = px > self.left + self.wide / 2
        sides = (px - length - 9, px + 9) if late else (px + 9, px - length - 9)
        over, edge = (px - length if late else px), self.left + self.wide + self.right - length
        corners = [
            (over, py - 12),
            *((side, py + 4) for side in sides),
            (over, py + 20),
            (over, py - 27),
            (over, py + 35),
        ]
        corners += [(side, py + down) for side in sides for down in (18, 32, -18)]
        return [
            _covered(min(max(start, 2), edge), at, length)
            for start, at in corners
            if edge >= 2 and 28 <= at <= self.top + self.high - 4
        ]


def _mark(moment: Moment, px: float, py: float) -> tuple[str, str]:
    """The text of a moment, and its sign: a cross, a diamond or a dot."""
    if moment.rejected:
        more = f" and {len(moment.rejected) - 1} more" if len(moment.rejected) > 1 else ""
        cross = f'<path class="second" d="M{px} {py}m-6 -6l12 12m-12 0l12 -12" fill="none" stroke="#a32400" '
        return f"{moment.module}: {moment.rejected[0]}{more} rejected", cross + 'stroke-width="3"></path>'
    if moment.met:
        more = f" and {len(moment.met) - 1} more" if len(moment.met) > 1 else ""
        diamond = f'<path class="second" d="M{px} {py}m0 -7l7 7l-7 7l-7 -7z" fill="#ffffff" stroke="#a32400" '
        return f"{moment.module}: {moment.met[0]}{more} defined again", diamond + 'stroke-width="2"></path>'
    return f"{moment.module} +{moment.new}", f'<circle class="first" cx="{px}" cy="{py}" r="4" fill="#0550ae"></circle>'


def _covered(start: float, at: float, length: float) -> tuple[float, float, float, float]:
    """The box that a text covers: (left, top, right, bottom)."""
    return start, at - 11, start + length, at + 3


def _meet(box: Sequence[float], other: Sequence[float]) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def _pieces(
    moments: Sequence[Moment], x: Callable[[float], float], y: Callable[[int], float]
) -> list[tuple[float, float, float, float]]:
    """The boxes that the line of :func:`_climb` covers, one for each straight part."""
    boxes = []
    for index, moment in enumerate(moments):
        new = not index or moment.process != moments[index - 1].process
        before, now = y(moment.tables - moment.new if new else moments[index - 1].tables), y(moment.tables)
        boxes.append((x(index), before - 2, x(index + 0.5), before + 2))
        boxes.append((x(index + 0.5) - 2, min(before, now), x(index + 0.5) + 2, max(before, now)))
        boxes.append((x(index + 0.5), now - 2, x(index + 1), now + 2))
    return boxes


def _climb(moments: Sequence[Moment], x: Callable[[float], float], y: Callable[[int], float]) -> str:
    """The line of a picture through time: a piece where the number of tables changes or a process begins."""
    path, process, before = [], None, 0
    for index, moment in enumerate(moments):
        if moment.process != process:
            if index:
                path.append(f"H{x(index)}")
            process, before = moment.process, moment.tables - moment.new
            path.append(f"M{x(index)} {y(before)}")
        if moment.tables != before:
            path.append(f"H{x(index + 0.5)}V{y(moment.tables)}")
            before = moment.tables
    return "".join(path) + f"H{x(len(moments))}"
