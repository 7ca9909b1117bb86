"""The incident's time line as SVG text: commits, what people recorded, and how long it was exposed."""

import datetime
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from ..incident.model import Postmortem
from .picture import FONT, SVG, plain

if TYPE_CHECKING:
    from ..history.search import History

_ROW = 20  # pixels of a label's row
_MOST = 10  # moments that are drawn
_LINES = 5  # of one moment's text
_LOOK = {
    "came": ("second", "#a32400"),
    "went": ("first", "#0550ae"),
    "event": ("label", "#1f2328"),
}  # class and colour of its text
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
    came = next((moment.when for moment in moments if moment.kind == "came"), None)
    went = next((moment.when for moment in moments if moment.kind == "went"), None)
    span = (came, went or moments[-1].when) if came is not None else None
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
    high, axis, size = _ROW * len(moments) + 16, 128, 10
    room = int((wide - axis - 18) / (size * 0.62))

    def y(number: int) -> int:
        return 16 + _ROW * number

    parts = [_canvas(wide, high)]
    if inside := _inside(moments, span):
        height = y(inside[-1]) - y(inside[0])
        parts.append(
            f'<rect class="span" x="{axis - 9}" y="{y(inside[0])}" width="18" height="{height}" fill="#ffd8cc"></rect>'
        )
    parts.append(_line(axis, y(0), axis, y(len(moments) - 1)))
    for number, moment in enumerate(moments):
        kind, colour = _LOOK[moment.kind]
        parts.append(_text(axis - 14, y(number) + 4, moment.at[:16], "axis", "end", size, "#57606a"))
        parts.append(_sign(axis, y(number), moment.kind))
        parts.append(_text(axis + 14, y(number) + 4, plain(moment.what, room), kind, "start", size, colour))
    return "".join([*parts, "</svg>"])


def _level(moments: Sequence[Moment], span: Span | None, wide: int) -> str:
    """The time line from left to right, in equal steps: the date above the line, the event below it."""
    step, axis, size = (wide - 40) / len(moments), 34, 11
    letters = int(step / (size * 0.62)) - 1
    texts = [_wrapped(plain(moment.what, letters * _LINES), letters) for moment in moments]
    high = axis + 22 + 14 * max(map(len, texts))

    def x(number: int) -> float:
        return round(20 + step * (number + 0.5), 1)

    parts = [_canvas(wide, high)]
    if inside := _inside(moments, span):
        width = x(inside[-1]) - x(inside[0])
        parts.append(
            f'<rect class="span" x="{x(inside[0])}" y="{axis - 9}" width="{width}" height="18" fill="#ffd8cc"></rect>'
        )
    parts.append(_line(x(0), axis, x(len(moments) - 1), axis))
    for number, moment in enumerate(moments):
        kind, colour = _LOOK[moment.kind]
        parts.append(_text(x(number), axis - 18, moment.at[:16], "axis", "middle", size, "#57606a"))
        parts.append(_sign(x(number), axis, moment.kind))
        for row, text in enumerate(texts[number]):
            parts.append(_text(x(number), axis + 24 + 14 * row, text, kind, "middle", size, colour))
    return "".join([*parts, "</svg>"])


def _inside(moments: Sequence[Moment], span: Span | None) -> list[int]:
    return (
        [] if span is None else [number for number, moment in enumerate(moments) if span[0] <= moment.when <= span[1]]
    )


def _wrapped(text: str, letters: int) -> list[str]:
    lines = textwrap.wrap(text, max(8, letters)) or [""]
    return [*lines[: _LINES - 1], lines[_LINES - 1] + " …"] if len(lines) > _LINES else lines


def _canvas(wide: int, high: int) -> str:
    return (
        f'<svg xmlns="{SVG}" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">'
        '<rect class="ground" width="100%" height="100%" fill="#ffffff"></rect>'
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#8c959f" stroke-width="2"></line>'


def _sign(x: float, y: float, kind: str) -> str:
    name, colour = _LOOK[kind]
    if kind == "event":
        return f'<circle class="event" cx="{x}" cy="{y}" r="4" fill="#57606a"></circle>'
    return f'<rect class="{name}" x="{x - 6}" y="{y - 6}" width="12" height="12" fill="{colour}"></rect>'


def _text(x: float, y: float, text: str, kind: str, anchor: str, size: int, colour: str) -> str:
    return (
        f'<text class="{kind}" x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
        f'font-family="{FONT}">{escape(text)}</text>'
    )
