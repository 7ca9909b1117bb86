"""The tables on the application's metadata over executed modules, as SVG text."""

from collections.abc import Mapping, Sequence
from typing import Any

from .svg import BLUE, FAINT, GREY, INK, LABEL, RED, Sheet, plain
from .wording import listed

Row = Mapping[str, Any]  # as :func:`kit.trace.tables.after_each_import` gives it
_MOST_MARKS = 200
_MOST_NAMED = 4  # tables that were defined again: each has a row of its own above the plot


def metadata_picture(moments: Sequence[Row], *, narrow: bool = False) -> str:
    """Tables on the application's metadata over executed modules, every rejected table marked; SVG text.

    Its size is bounded: of very many registrations the largest have a dot, of many rejected tables the first have a name.

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

    def __init__(self, moments: Sequence[Row], narrow: bool):
        self.moments, self.narrow = moments, narrow
        self.named = [n for n, moment in enumerate(moments) if moment["rejected"] or moment["extended"]][:_MOST_NAMED]
        self.left, self.across, self.up = (30, 290, 150) if narrow else (46, 840, 170)
        self.top = 30 + 16 * len(self.named)
        self.right = 12 if narrow else 24
        self.most = max(1, *(moment["tables_total"] for moment in moments))
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

    def axes(self) -> None:
        """The grid with its numbers, and what they count."""
        for tables in sorted({0, self.most // 2, self.most}):
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
        return not index or self.moments[index]["process"] != self.moments[index - 1]["process"]

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
                before = moment["tables_total"] - len(moment["registered"])
                path += f"M{x} {self.y(before)}"
            if moment["tables_total"] != before:
                path += f"H{self.x(index + 0.5)}V{self.y(moment['tables_total'])}"
                before = moment["tables_total"]
        path += f"H{self.x(len(self.moments))}"
        self.shape("path", "first", d=path, fill="none", stroke=BLUE, stroke_width="2.4")

    def marks(self) -> None:
        """A mark where tables were registered or defined again; what was defined again has its name above."""
        counts = [tuple(-len(it[name]) for name in ("rejected", "extended", "registered")) for it in self.moments]
        telling = sorted((n for n, count in enumerate(counts) if any(count)), key=lambda n: (counts[n], n))
        for row, n in enumerate(self.named):
            moment, x, y = self.moments[n], self.x(n + 0.5), 30 + 16 * row
            outcome = "rejected" if moment["rejected"] else "extended"
            again = f"{listed(moment[outcome], 1)} {'rejected' if outcome == 'rejected' else 'defined again'}"
            self.line(x, y, x, self.y(moment["tables_total"]), RED, stroke_dasharray="2 3")
            side, anchor = (-6, "end") if x > self.left + self.across / 2 else (6, "start")
            text = plain(f"{moment['module']}: {again}", 38 if self.narrow else LABEL)
            self.write(x + side, y + 4, text, "second", anchor, RED)
        for n in telling[:_MOST_MARKS]:
            self.mark(self.x(n + 0.5), self.y(self.moments[n]["tables_total"]), self.moments[n])

    def mark(self, px: float, py: float, moment: Row) -> None:
        """A moment's sign: a cross, a diamond or a dot with the number of its tables."""
        crossed = {"fill": "none", "stroke": RED, "stroke_width": 3}
        if moment["rejected"]:
            self.shape("path", "second", d=f"M{px} {py}m-6 -6l12 12m-12 0l12 -12", **crossed)
        elif moment["extended"]:
            crossed |= {"fill": "#ffffff", "stroke_width": 2}
            self.shape("path", "second", d=f"M{px} {py}m0 -7l7 7l-7 7l-7 -7z", **crossed)
        else:
            self.shape("circle", "first", cx=px, cy=py, r=4, fill=BLUE)
            if self.step > 14 or len(moment["registered"]) > 1:
                self.note(px + 6, py + 14, f"+{len(moment['registered'])}", "label", "start", INK)
