"""A race shows in some runs and not in others: each build is started several times, and one lucky start is no cure."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from ..trace.trace import Trace

TIMES = 5  # starts of each build where the incident is a race


class _Attempt(Protocol):
    trace: Trace
    reproduced: bool


A = TypeVar("A", bound=_Attempt)


def of_runs(attempts: Sequence[A], is_there: Callable[[A], bool]) -> tuple[A, int]:
    """The run that counts of several starts of one build, and how many of them show the incident.

    That is the first that shows it, else the first in which a step failed, else the first.
    """
    shown = [attempt for attempt in attempts if is_there(attempt)]
    failed = [attempt for attempt in attempts if not attempt.trace.whole]
    return (shown or failed or list(attempts))[0], len(shown)


def again(submit: Callable[[], "Future[A]"]) -> "list[Future[A]]":
    """Start a build as often as a race wants it, beside the once that it has run."""
    return [submit() for _ in range(TIMES - 1)]


def with_rates(says: str, shown: int, control: int) -> str:
    """A verdict's reason, with how often the incident showed with the fix and without it."""
    return (
        f"{says}; it is a race: with the fix it showed in {shown} of {TIMES} starts, without it in {control} of {TIMES}"
    )
