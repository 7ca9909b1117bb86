"""What a search for fixes comes to: each proposal with what running it showed."""

from dataclasses import dataclass
from typing import Any

from ...trace.trace import Trace
from ..verification import FixResult
from .lessons import Lesson, settings_of


@dataclass(frozen=True)
class Proposal:
    """A fix that the kit wrote and tried.

    :ivar patch: for ``git apply`` at the application's root; "" where only settings change
    :ivar changes: ``env``, ``path``, ``startup``: what is set otherwise
    """

    name: str
    says: str
    patch: str
    changes: dict
    result: FixResult

    @property
    def verdict(self) -> str:
        return self.result.verdict


@dataclass(frozen=True)
class Proposals:
    """What was proposed and tried, verified ones first, the smallest patch first.

    :ivar mechanism: that of the build as it is; ``trace``: its startup
    :ivar note: why there is none, or why the search ended
    :ivar maskers: where they were asked for: what only hides, and what each run of it showed; none is a proposal
    :ivar lessons: what the setup lacked behind the incident: with it both builds were started, and the incident still showed
    """

    mechanism: str
    reproduced: bool
    tried: tuple[Proposal, ...]
    startups: int
    trace: Trace
    note: str = ""
    maskers: tuple[Proposal, ...] = ()
    lessons: tuple[Lesson, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """What the lessons set, as keys of the incident file."""
        return settings_of(self.lessons)

    @property
    def verified(self) -> tuple[str, ...]:
        return tuple(proposal.name for proposal in self.tried if proposal.verdict == "cures")
