"""What only people know of an incident, as they wrote it: the page names what is missing once, at its top."""

from ..incident.model import Incident
from .figure import figure
from .markup import (
    Part,
    Shown,
    absent,
    beside,
    code,
    count,
    fold,
    items,
    join,
    missing,
    para,
    stack,
    strong,
    table,
    with_code,
)
from .time_line import dates_picture

_LEARNED = {
    "went_well": "What went well",
    "went_wrong": "What went wrong",
    "lucky": "Where we were lucky",
    "surprised": "What surprised us",
}


def impact(incident: Incident) -> Shown:
    """Summary, impact and detection, as people wrote them."""
    parts = _paragraphs(incident, "summary", "impact", "detection")
    return Shown(parts) if parts else absent("Nobody has written a summary, the impact or how it was detected.")


def _paragraphs(incident: Incident, *names: str) -> list[Part]:
    texts = {name: getattr(incident.postmortem, name) for name in names}
    return [para(strong(f"{name.capitalize()}. "), with_code(text)) for name, text in texts.items() if text]


def timeline(incident: Incident, history=None) -> Shown:
    """What happened when: a picture with the commits and the time of exposure, what people wrote, and every event.

    :param history: a search over commits (``kit.history.History``), or None
    """
    postmortem = incident.postmortem
    parts: list[Part] = []
    drawn = dates_picture(postmortem, history)
    if drawn is not None:
        parts.append(figure(drawn.wide, drawn.alternative, drawn.caption, narrow=drawn.narrow))
    parts += _paragraphs(incident, "summary", "detection")
    if postmortem.timeline:
        rows = [(event.at, with_code(event.what)) for event in postmortem.timeline]
        events = table("Events", ("when", "what happened"), rows, kind="kit-cards kit-timeline")
        parts.append(fold(f"{count(len(rows), 'event')} that people recorded", events, open=drawn is None))
    nothing = "The incident file has no timeline, and there is no history to draw one from."
    return Shown(parts) if parts else absent(nothing)


def actions(incident: Incident) -> Shown:
    """What is to be done, by whom, until when; a missing owner or date is named."""
    tasks = incident.postmortem.actions
    if not tasks:
        return absent("The incident file names no action.")
    rows = [(with_code(task.what), task.owner or missing("owner"), task.due or missing("due")) for task in tasks]
    return Shown([table("Actions", ("action", "owner", "due"), rows)])


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
