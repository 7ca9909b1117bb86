"""The incident's time line as SVG text: commits, what people recorded, and how long it was exposed."""

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from ..incident.model import Postmortem
from .picture import FONT, SVG, plain

if TYPE_CHECKING:
    from ..history.search import History

_ROW = 20  # pixels of a label's row
_MOST = 14  # moments that are drawn


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


def dates_picture(told: Postmortem, history: "History | None") -> Dates | None:
    """The time line; None where fewer than two moments have a date that can be read."""
    moments = _moments(told, history)
    if len(moments) < 2:
        return None
    came = next((one.when for one in moments if one.kind == "came"), None)
    went = next((one.when for one in moments if one.kind == "went"), None)
    span = (came, went or moments[-1].when) if came is not None else None
    alternative = "Time line. " + "; ".join(f"{one.at}: {one.what}" for one in moments) + "."
    caption = (
        "A dot: what people recorded. A square: the commit that introduced the incident, and the one that fixed it."
    )
    caption += " The band: the time during which it was exposed." if span else ""
    return Dates(_drawn(moments, span, 1100), _drawn(moments, span, 340), alternative[:2000], caption)


def _moments(told: Postmortem, history: "History | None") -> list[Moment]:
    found = []
    for kind, change in (("came", history.introduced), ("went", history.fixed)) if history is not None else ():
        if change is not None and (when := _read(change.commit.date)):
            what = f"{'introduced' if kind == 'came' else 'fixed'} by {change.commit.sha[:9]}"
            found.append(Moment(when, change.commit.date[:16].replace("T", " "), what, kind))
    commits = [one.when for one in found]
    for event in told.timeline:
        when = _read(event.at)
        if when is not None and not any(abs((when - one).total_seconds()) < 120 for one in commits):
            found.append(Moment(when, event.at, event.what.replace("`", ""), "event"))
    found.sort(key=lambda one: (one.when, one.kind))
    return found[:_MOST]


def _read(text: str) -> datetime.datetime | None:
    """A date as people write it, as UTC; None where it is none that can be read."""
    try:
        when = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return when.astimezone(datetime.UTC) if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def _drawn(moments: Sequence[Moment], span: tuple[datetime.datetime, datetime.datetime] | None, wide: int) -> str:
    """Time runs from top to bottom in equal rows, so that five events of one hour can be read beside one of a month before."""
    high = _ROW * len(moments) + 16
    axis = 150 if wide > 500 else 128
    parts = [f'<svg xmlns="{SVG}" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">']
    parts.append('<rect class="ground" width="100%" height="100%" fill="#ffffff"></rect>')

    def y(number: int) -> float:
        return 16 + _ROW * number

    if span is not None:
        inside = [number for number, one in enumerate(moments) if span[0] <= one.when <= span[1]]
        top, bottom = y(inside[0]), y(inside[-1])
        parts.append(
            f'<rect class="span" x="{axis - 7}" y="{top}" width="14" height="{bottom - top}" fill="#ffd8cc"></rect>'
        )
    parts.append(
        f'<line class="grid" x1="{axis}" y1="{y(0)}" x2="{axis}" y2="{y(len(moments) - 1)}" stroke="#8c959f" stroke-width="2"></line>'
    )
    size = 12 if wide > 500 else 10
    room = int((wide - axis - 18) / (size * 0.62))
    for number, one in enumerate(moments):
        parts.append(_text(axis - 14, y(number) + 4, one.at[:16], "axis", "end", size, "#57606a"))
        kind = {"came": "second", "went": "first"}.get(one.kind, "label")
        colour = {"came": "#a32400", "went": "#0550ae"}.get(one.kind, "#57606a")
        mark = (
            f'<circle class="event" cx="{axis}" cy="{y(number)}" r="4" fill="{colour}"></circle>'
            if one.kind == "event"
            else f'<rect class="{kind}" x="{axis - 6}" y="{y(number) - 6}" width="12" height="12" fill="{colour}"></rect>'
        )
        parts.append(mark)
        text_colour = colour if one.kind != "event" else "#1f2328"
        parts.append(_text(axis + 14, y(number) + 4, plain(one.what, room), kind, "start", size, text_colour))
    return "".join([*parts, "</svg>"])


def _text(x: float, y: float, text: str, kind: str, anchor: str, size: int, colour: str) -> str:
    return (
        f'<text class="{kind}" x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
        f'font-family="{FONT}">{escape(text)}</text>'
    )
