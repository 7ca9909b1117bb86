"""What only people know of an incident, as they wrote it: the page names what is missing once, at its top."""

import datetime
from typing import TYPE_CHECKING, NamedTuple

from ..incident.model import Incident
from .markup import Part, Shown, absent, beside, code, day, items, join, para, stack, strip, strong, with_code

if TYPE_CHECKING:
    from ..history.search import History

_LEARNED = {
    "went_well": "What went well",
    "went_wrong": "What went wrong",
    "lucky": "Where we were lucky",
    "surprised": "What surprised us",
}


def _paragraphs(incident: Incident, *names: str) -> list[Part]:
    texts = {name: getattr(incident.postmortem, name) for name in names}
    return [para(strong(f"{name.capitalize()}. "), with_code(text)) for name, text in texts.items() if text]


class _Moment(NamedTuple):
    """A point in time, as people wrote it, and what happened then."""

    when: datetime.datetime
    at: str
    what: Part


def timeline(incident: Incident, history: "History | None" = None) -> Shown:
    """What happened when: commits and what people recorded in one row, the time of exposure marked; events without an ISO date below it.

    :param history: a search over commits, or None
    """
    moments, undated, commits = [], [], {}
    for text, change in (("introduced", history.introduced), ("fixed", history.fixed)) if history else ():
        if change is not None and (when := _read(change.commit.date)):
            at = change.commit.date[:16].replace("T", " ")
            moments.append(_Moment(when, at, join(strong(f"{text} by "), code(change.commit.sha[:9]))))
            commits[text] = when
    for event in incident.postmortem.timeline:
        when = _read(event.at)
        undated += [] if when else [join(event.at, ": ", with_code(event.what))]
        moments += [_Moment(when, event.at, with_code(event.what))] if when else []
    moments.sort(key=lambda moment: moment.when)
    parts = _paragraphs(incident, "summary", "detection")
    if moments:
        began, ended = commits.get("introduced"), commits.get("fixed", moments[-1].when)
        exposed = [n for n, moment in enumerate(moments) if began is not None and began <= moment.when <= ended]
        parts.append(strip((stack(para(day(it.at, 16)), para(it.what)) for it in moments), marked=exposed))
        note = "Under a red line: exposed, from the commit that introduced it on, as far as is known."
        parts += [para(note, kind="kit-note")] if exposed else []
    parts += [items(undated)] if undated else []
    nothing = "The incident file has no timeline, and there is no history to draw one from."
    return Shown(parts) if parts else absent(nothing)


def _read(text: str) -> datetime.datetime | None:
    """A date as people write it, in UTC; None if it cannot be parsed."""
    try:
        when = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return when.astimezone(datetime.UTC) if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def people(incident: Incident) -> Shown:
    """What went well, what went wrong, where luck helped, what surprised."""
    postmortem = incident.postmortem
    parts: list[Part] = []
    for name, title in _LEARNED.items():
        if lines := getattr(postmortem, name):
            parts.append(stack(para(strong(title)), items(map(with_code, lines))))
    return Shown([beside(*parts)]) if parts else absent("Nobody has written down what was learned.")


def still_to_be_written(incident: Incident) -> Part | None:
    """One box that names what only people can add; None where all of it is there."""
    absent_ = [name.replace("_", " ") for name in incident.postmortem.missing]
    if not absent_:
        return None
    where = join(" in ", code(incident.file.name), ", under postmortem: ")
    return para(strong("Still to be written"), where, f"{', '.join(absent_)}.", kind="kit-note")
