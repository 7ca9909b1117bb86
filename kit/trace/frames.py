"""Lines that were being executed, and exceptions with the frames that they passed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Frame(NamedTuple):
    """One line that was being executed; ``file`` is relative to the application's root if it is the application's."""

    file: str
    line: int
    function: str
    module: str | None
    application: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Site(NamedTuple):
    """Where something is defined; ``name`` is the class or variable."""

    file: str
    line: int
    module: str | None
    name: str | None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def application_frames(chain: Sequence[Frame]) -> tuple[Frame, ...]:
    """The application's own frames of a chain, each line once in a row."""
    frames: list[Frame] = []
    for frame in chain:
        if frame.application and not (frames and (frames[-1].file, frames[-1].line) == (frame.file, frame.line)):
            frames.append(frame)
    return tuple(frames)


@dataclass(frozen=True)
class Error:
    """An exception as it was seen; ``frames`` are those it passed, outermost first."""

    type: str
    text: str
    frames: tuple[Frame, ...] = ()
    links: tuple[tuple, ...] = ()  # (identity, type, text) of it and of what it came from
    name: str | None = None  # the module that an ImportError asked for
    causes: tuple["Error", ...] = ()  # what it came from, the nearest first
    handled: bool = False  # of a cause: was the other only raised while handling it, and does not name it as its cause?

    def __str__(self) -> str:
        return f"{self.type}: {self.text}" if self.text else self.type

    @property
    def site(self) -> Frame | None:
        """The application's innermost frame that it passed."""
        return next(iter(application_frames(self.frames)[::-1]), None)

    @property
    def chain(self) -> tuple["Error", ...]:
        """It, and what it came from as far as another line of the application raised that, the nearest first."""
        chain = [self]
        chain += [cause for cause in self.causes if cause.site not in (None, chain[-1].site)]
        return tuple(chain)

    @property
    def as_cause(self) -> str:
        """It, as what another one came from, for a sentence."""
        return f"{'it was raised while handling' if self.handled else 'it came of'} {' '.join(str(self).split())}"

    @property
    def own_words(self) -> bool:
        """Did the application, and not the interpreter at its line, raise it, of nothing else? Its text says nothing then."""
        by_python = ("TypeError", "AttributeError", "ImportError", "ModuleNotFoundError", "KeyError", "NameError")
        raised_here = bool(self.frames) and self.frames[-1].application
        return raised_here and len(self.links) <= 1 and self.type not in by_python

    def comes_from(self, other: "Error") -> bool:
        """Is ``other`` this exception, or one that it was raised from or while handling?"""
        return bool(other.links) and other.links[0] in self.links


def from_the_outermost(frames: tuple[Frame, ...], caused: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The frames of an exception that another one came of: its traceback begins where it was caught, which the other's passed."""
    first = caused[0] if caused else None
    alike = (n for n, it in enumerate(frames) if first and (it.file, it.function) == (first.file, first.function))
    return (*frames[: max(alike, default=0)], *caused)
