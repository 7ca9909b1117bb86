"""A race shows in some runs and not in others: one lucky start is no cure.

Where the statement that raced is known, the race is forced: each process is held before it until another has come as far. Where that
does not show it on the build as it is, each build is started several times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..trace.trace import Trace

TIMES = 5  # starts of each build where the incident is a race
MOST = 15  # starts of a fix with which it did not show: one that only makes the race rarer shows it in some of so many
DOUBT = 0.05  # probability of luck above which nothing is said


class _Attempt(Protocol):
    trace: Trace
    reproduced: bool


A = TypeVar("A", bound=_Attempt)


@dataclass(frozen=True)
class Rates:
    """How often a race showed: with a fix, and without it.

    :ivar control_shown, control_starts: of starts that were not chosen for showing it
    """

    shown: int
    starts: int
    control_shown: int
    control_starts: int

    @property
    def by_luck(self) -> float:
        """How likely a build that races as the control does shows it in none of so many starts.

        A control that reproduced, and in no further start, is taken to do so once in that many.
        """
        rate = self.control_shown / self.control_starts if self.control_shown else 1 / TIMES
        return (1 - rate) ** self.starts

    @property
    def may_be_luck(self) -> bool:
        return self.shown == 0 and self.by_luck > DOUBT

    @property
    def at_most(self) -> float:
        """The share of starts, at most, in which a race that did not show may still show, but for :data:`DOUBT`."""
        return 1 - DOUBT ** (1 / self.starts)

    def __str__(self) -> str:
        says = f"with the fix it showed in {self.shown} of {self.starts} starts, without it in {self.control_shown} of {self.control_starts}"
        return f"{says} further ones" + (
            f" (by luck: {self.by_luck:.1%}; a rarer one may be left, in at most {self.at_most:.0%} of starts)"
            if self.shown == 0
            else ""
        )


def of_runs(attempts: Sequence[A], is_there: Callable[[A], bool]) -> tuple[A, int]:
    """The run that counts of several starts of one build, and how many of them show the incident.

    That is the first that shows it, else the first in which a step failed, else the first.
    """
    shown = [attempt for attempt in attempts if is_there(attempt)]
    failed = [attempt for attempt in attempts if not attempt.trace.whole]
    return (shown or failed or list(attempts))[0], len(shown)
