"""The tables on the application's metadata over executed modules, as SVG text."""

from collections.abc import Sequence
from typing import NamedTuple

from .svg import BLUE, FAINT, GREY, INK, LABEL, RED, Sheet, plain
from .wording import listed

_MOST_MARKS = 200
Box = tuple[float, float, float, float]  # left, top, right, bottom


class Moment(NamedTuple):
    """One application module when its execution had ended; ``tables`` is the running total."""

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
    return str(plot)


class _Plot(Sheet):
    """The picture while it is drawn: where a value lies."""

    def __init__(self, moments: Sequence[Moment], narrow: bool):
        self.moments, self.narrow = moments, narrow
        self.left, self.top, self.across, self.up = (30, 46, 290, 150) if narrow else (46, 46, 840, 170)
        self.right = 12 if narrow else 24
        self.most = max(1, *(moment.tables for moment in moments))
        self.step = self.across / len(moments)
        self.end, self.foot = self.left + self.across, self.top + self.up
        super().__init__(self.end + self.right, self.foot + 46)

    def x(self, index: float) -> float:
        return round(self.left + self.step * index, 1)

    def y(self, tables: int) -> float:
        return round(self.foot - self.up * tables / self.most, 1)

    def note(self, x: float, y: float, text: str, kind: str, anchor: str = "middle", colour: str = GREY) -> None:
        """A text on a ground of its own, which can be read where it lies on a line."""
        self.write(x, y, plain(text), kind, anchor, colour, stroke="#ffffff", stroke_width=4, paint_order="stroke")

    @property
    def levels(self) -> list[int]:
        """The numbers of tables at which the axis has a line and a number."""
        return sorted({0, self.most // 2, self.most})

    def axes(self) -> None:
        """The grid with its numbers, and what they count."""
        for tables in self.levels:
            y = self.y(tables)
            self.line(self.left, y, self.end, y)
            self.note(self.left - 8, y + 4, str(tables), "axis", "end")
        self.note(4, 14, "tables on the metadata", "axis", "start")
        unit = "executed modules" if self.narrow else "executed modules, in the order of their end"
        self.note(self.end, self.foot + 36, f"{len(self.moments)} {unit}", "axis", "end")
        self.note(self.left, self.foot + 18, "1", "axis")
        if len(self.moments) > 1:
            self.note(self.end, self.foot + 18, str(len(self.moments)), "axis")

    def begins(self, index: int) -> bool:
        """Does a process begin with this moment?"""
        return not index or self.moments[index].process != self.moments[index - 1].process

    def processes(self) -> None:
        """A line where a process begins, and the line that climbs: a piece where the number of tables changes."""
        named, path, before = self.left, "", 0
        for index, moment in enumerate(self.moments):
            x = self.x(index)
            if index and self.begins(index):
                self.line(x, self.top, x, self.foot, FAINT, stroke_dasharray="3 3")
                if x - named > 85 and self.end - x > 55:
                    named = x
                    self.note(named, self.foot + 18, "next process", "axis")
                path += f"H{x}"
            if self.begins(index):
                before = moment.tables - moment.new
                path += f"M{x} {self.y(before)}"
            if moment.tables != before:
                path += f"H{self.x(index + 0.5)}V{self.y(moment.tables)}"
                before = moment.tables
        path += f"H{self.x(len(self.moments))}"
        self.shape("path", "first", d=path, fill="none", stroke=BLUE, stroke_width="2.4")

    def climb(self) -> list[Box]:
        """The boxes that the climbing line covers, one for each straight part."""
        boxes = []
        for n, moment in enumerate(self.moments):
            begin = moment.tables - moment.new if self.begins(n) else self.moments[n - 1].tables
            before, now, middle = self.y(begin), self.y(moment.tables), self.x(n + 0.5)
            boxes.append((self.x(n), before - 2, middle, before + 2))
            boxes.append((middle - 2, min(before, now), middle + 2, max(before, now)))
            boxes.append((middle, now - 2, self.x(n + 1), now + 2))
        return boxes

    def marks(self) -> None:
        """A mark where tables were registered, with its text where there is room; the text of an error may cover a line."""
        telling = [(n, moment) for n, moment in enumerate(self.moments) if moment.new or moment.rejected or moment.met]
        telling.sort(key=lambda item: (-len(item[1].rejected), -len(item[1].met), -item[1].new, item[0]))
        places = [(self.x(n + 0.5), self.y(moment.tables), moment) for n, moment in telling[:_MOST_MARKS]]
        # Where no text may lie: the line, the marks, and texts that lie there already.
        lines = [*self.climb(), *((px - 6, py - 6, px + 6, py + 6) for px, py, _ in places)]
        right = self.left - 8
        taken: list[Box] = [(right - len(str(n)) * 7.3, self.y(n) - 7, right, self.y(n) + 4) for n in self.levels]
        for px, py, moment in places:
            text = self.mark(px, py, moment)
            loud = bool(moment.rejected or moment.met)
            # Its table alone, where there is no room for more.
            texts = [
                plain(part, 38 if self.narrow else LABEL)
                for part in ([text, text.partition(": ")[2]] if loud else [text])
            ]
            placed = self.placed(texts, px, py, taken, lines, loud=loud)
            if placed:
                shown, box = placed
                taken.append(box)
                kind, colour = ("second", RED) if loud else ("label", INK)
                self.note(round(box[0], 1), box[1] + 11, shown, kind, "start", colour)

    def mark(self, px: float, py: float, moment: Moment) -> str:
        """Draw a moment's sign, a cross, a diamond or a dot; its text."""
        crossed = {"fill": "none", "stroke": RED, "stroke_width": 3}
        if moment.rejected:
            self.shape("path", "second", d=f"M{px} {py}m-6 -6l12 12m-12 0l12 -12", **crossed)
            return f"{moment.module}: {listed(moment.rejected, 1)} rejected"
        if moment.met:
            crossed |= {"fill": "#ffffff", "stroke_width": 2}
            self.shape("path", "second", d=f"M{px} {py}m0 -7l7 7l-7 7l-7 -7z", **crossed)
            return f"{moment.module}: {listed(moment.met, 1)} defined again"
        self.shape("circle", "first", cx=px, cy=py, r=4, fill=BLUE)
        return f"{moment.module} +{moment.new}"

    def placed(
        self, texts: Sequence[str], px: float, py: float, taken: Sequence[Box], lines: Sequence[Box], *, loud: bool
    ):
        """``(text, box)`` of the first text that has a free box; a loud text may cover a line; else None."""
        best = None
        for text in texts:
            boxes = [box for box in self.places(px, py, len(text) * 7.3) if not _meets(box, taken)]
            free = [box for box in boxes if not _meets(box, lines)]
            if free:
                return text, free[0]
            best = best or ((text, boxes[0]) if boxes and loud else None)
        return best

    def places(self, px: float, py: float, length: float) -> list[Box]:
        """Boxes for a text near a mark, the best first, moved inside the picture where they would not fit."""
        late = px > self.left + self.across / 2
        sides = (px - length - 9, px + 9) if late else (px + 9, px - length - 9)
        over, edge = (px - length if late else px), self.end + self.right - length
        corners = [(over, py - 12), *((side, py + 4) for side in sides)]
        corners += [(over, py + down) for down in (20, -27, 35)]
        corners += [(side, py + down) for side in sides for down in (18, 32, -18)]
        inside = [(min(max(start, 2), edge), at) for start, at in corners if edge >= 2 and 28 <= at <= self.foot - 4]
        return [(start, at - 11, start + length, at + 3) for start, at in inside]


def _meets(box: Box, others: Sequence[Box]) -> bool:
    return any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in others)
