"""The progress of a run: its messages, with how much is done of how much where that is known; and a tqdm bar."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Hears = Callable[[str], None]  # is given each message


def silent(text: str) -> None:
    """Hear a message, and say nothing."""


class Step(str):
    """A progress message that also says how far its part of the run is.

    :ivar part: what is counted, as ``fixes``
    :ivar done, of: how many of them are done, and how many there are
    """

    part: str
    done: int
    of: int

    def __new__(cls, text: str, part: str, done: int, of: int) -> "Step":
        step = super().__new__(cls, text)
        step.part, step.done, step.of = part, done, of
        return step

    def __reduce__(self):
        return Step, (str(self), self.part, self.done, self.of)


class Bar:
    """All parts of a run in one bar; ``str(bar)`` is the bar as tqdm draws it, with the time left."""

    def __init__(self):
        self.done = self.of = 0
        self._parts: dict[str, tuple[int, int]] = {}
        self._began = time.monotonic()

    def take(self, text: str) -> None:
        """Take a progress message; only a :class:`Step` moves the bar."""
        if isinstance(text, Step):
            self._parts[text.part] = (text.done, max(text.of, text.done))
            self.done = sum(done for done, _ in self._parts.values())
            self.of = sum(of for _, of in self._parts.values())

    def __str__(self) -> str:
        from tqdm import tqdm

        return tqdm.format_meter(self.done, self.of or None, time.monotonic() - self._began, ncols=72, unit="run")


@contextmanager
def on_terminal(say: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Show progress: on a terminal by a bar below the messages, elsewhere by one line per message.

    :param say: prints one line to standard error
    """
    if not sys.stderr.isatty():
        yield say
        return
    from tqdm import tqdm

    state, shown = Bar(), None

    def tell(text: str) -> None:
        nonlocal shown
        state.take(text)
        if shown is None and state.of:
            shown = tqdm(total=state.of, unit="run", file=sys.stderr, leave=False, dynamic_ncols=True)
        if shown is not None:
            shown.total, shown.n = state.of, state.done
            shown.refresh()
        with tqdm.external_write_mode(file=sys.stderr):
            say(text)

    try:
        yield tell
    finally:
        if shown is not None:
            shown.close()
