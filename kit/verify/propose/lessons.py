"""What the setup of an incident lacks behind it: learnt from a build in which the incident is gone, and put into both builds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...incident.model import Incident
from ...trace.expected import stable
from ...trace.trace import Trace
from ..attempts import Attempt
from ..verification import FixResult, met


@dataclass(frozen=True)
class Lesson:
    """What a setup lacks, and how that is known.

    :ivar settings: keys of the incident file with their new values
    :ivar incident: with them; None where the kit cannot supply it
    """

    because: str
    settings: dict[str, Any]
    incident: Incident | None


def stands_behind(result: FixResult) -> bool:
    """Is the incident gone with a fix, and does something else stand behind it?"""
    gone = any(check.kind == "gone" and check.ok for check in result.checks)
    return gone and result.verdict in ("does-not-cure", "undecided")


def errors_of(result: FixResult, control: Attempt) -> set[str]:
    """What the run of a fix met in place of the incident, by what is stable of it."""
    return {stable(error) for error, _ in met(result, control)}


Teach = Callable[[Incident, Trace], Sequence[Lesson]]


def nothing(incident: Incident, trace: Trace) -> Sequence[Lesson]:
    return ()


def settings_of(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """What several lessons set, as keys of the incident file: the variables of all, of the rest the last."""
    settings: dict[str, Any] = {}
    for lesson in lessons:
        env = {**settings.get("app", {}).get("env", {}), **lesson.settings.get("app", {}).get("env", {})}
        settings |= {**lesson.settings, **({"app": {"env": env}} if env else {})}
    return settings
