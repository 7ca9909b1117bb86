"""The incident's time line as SVG text: commits, what people recorded, and how long it was exposed."""

import datetime
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..incident.model import Postmortem
from .svg import BLUE, GREY, INK, RED, Sheet, plain

if TYPE_CHECKING:
    from ..history.search import History

_ROW = 20  # pixels of a label's row
_MOST = 10  # moments that are drawn
_LINES = 5  # of one moment's text
_LOOK = {"came": ("second", RED), "went": ("first", BLUE), "event": ("label", INK)}  # class and colour of its text
Span = tuple[datetime.datetime, datetime.datetime]


class Moment(NamedTuple):
    """A point in time; ``kind`` is ``came``, ``went`` or ``event``; ``at`` as people wrote it."""

    when: datetime.datetime
    at: str
    what: str
    kind: str


class Dates(NamedTuple):
    """The time line twice, wide and for a narrow screen, with its text alternative and caption."""

    wide: str
    narrow: str
    alternative: str
    caption: str


def dates_picture(postmortem: Postmortem, history: "History | None") -> Dates | None:
    """The time line; None if fewer than two moments have a date that can be parsed."""
    moments = _moments(postmortem, history)
    if len(moments) < 2:
        return None
    at = {moment.kind: moment.when for moment in moments}
    span = (at["came"], at.get("went", moments[-1].when)) if "came" in at else None
    alternative = "Time line. " + "; ".join(f"{moment.at}: {moment.what}" for moment in moments) + "."
    caption = (
        "A dot: what people recorded. A square: the commit that introduced the incident, and the one that fixed it."
    )
    caption += " The band: the time during which it was exposed." if span else ""
    return Dates(_level(moments, span, 1100), _upright(moments, span, 340), alternative[:2000], caption)


def _moments(postmortem: Postmortem, history: "History | None") -> list[Moment]:
    moments = []
    for kind, change in (("came", history.introduced), ("went", history.fixed)) if history is not None else ():
        if change is not None and (when := _read(change.commit.date)):
            what = f"{'introduced' if kind == 'came' else 'fixed'} by {change.commit.sha[:9]}"
            moments.append(Moment(when, change.commit.date[:16].replace("T", " "), what, kind))
    commits = [moment.when for moment in moments]
    for event in postmortem.timeline:
        when = _read(event.at)
        if when is not None and not any(abs((when - commit).total_seconds()) < 120 for commit in commits):
            moments.append(Moment(when, event.at, event.what.replace("`", ""), "event"))
    moments.sort(key=lambda moment: (moment.when, moment.kind))
    return [moment for moment in moments if moment.kind != "event"] if len(moments) > _MOST else moments


def _read(text: str) -> datetime.datetime | None:
    """A date as people write it, in UTC; None if it cannot be parsed."""
    try:
        when = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return when.astimezone(datetime.UTC) if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def _upright(moments: Sequence[Moment], span: Span | None, wide: int) -> str:
    """The time line from top to bottom, in equal rows: five events in one hour stay readable beside one a month earlier."""
    axis, sheet = 128, Sheet(wide, _ROW * len(moments) + 16, 10)
    room = int((wide - axis - 18) / (sheet.size * 0.62))
    rows = [16 + _ROW * number for number in range(len(moments))]
    if inside := _inside(moments, span):
        first, last = rows[inside[0]], rows[inside[-1]]
        sheet.shape("rect", "span", x=axis - 9, y=first, width=18, height=last - first, fill="#ffd8cc")
    sheet.line(axis, rows[0], axis, rows[-1], "#8c959f", stroke_width=2)
    for y, moment in zip(rows, moments, strict=True):
        kind, colour = _LOOK[moment.kind]
        sheet.write(axis - 14, y + 4, moment.at[:16], "axis", "end", GREY)
        _sign(sheet, axis, y, moment.kind)
        sheet.write(axis + 14, y + 4, plain(moment.what, room), kind, "start", colour)
    return str(sheet)


def _level(moments: Sequence[Moment], span: Span | None, wide: int) -> str:
    """The time line from left to right, in equal steps: the date above the line, the event below it."""
    step, axis, size = (wide - 40) / len(moments), 34, 11
    letters = int(step / (size * 0.62)) - 1
    wrap = textwrap.TextWrapper(max(8, letters), max_lines=_LINES, placeholder=" …").wrap
    texts = [wrap(plain(moment.what, letters * _LINES)) or [""] for moment in moments]
    sheet = Sheet(wide, axis + 22 + 14 * max(map(len, texts)), size)
    columns = [round(20 + step * (number + 0.5), 1) for number in range(len(moments))]
    if inside := _inside(moments, span):
        first, last = columns[inside[0]], columns[inside[-1]]
        sheet.shape("rect", "span", x=first, y=axis - 9, width=last - first, height=18, fill="#ffd8cc")
    sheet.line(columns[0], axis, columns[-1], axis, "#8c959f", stroke_width=2)
    for x, moment, lines in zip(columns, moments, texts, strict=True):
        kind, colour = _LOOK[moment.kind]
        sheet.write(x, axis - 18, moment.at[:16], "axis", "middle", GREY)
        _sign(sheet, x, axis, moment.kind)
        for row, text in enumerate(lines):
            sheet.write(x, axis + 24 + 14 * row, text, kind, "middle", colour)
    return str(sheet)


def _inside(moments: Sequence[Moment], span: Span | None) -> list[int]:
    """The numbers of the moments that lie in a span."""
    return [n for n, moment in enumerate(moments) if span is not None and span[0] <= moment.when <= span[1]]


def _sign(sheet: Sheet, x: float, y: float, kind: str) -> None:
    name, colour = _LOOK[kind]
    if kind == "event":
        sheet.shape("circle", "event", cx=x, cy=y, r=4, fill=GREY)
    else:
        sheet.shape("rect", name, x=x - 6, y=y - 6, width=12, height=12, fill=colour)
