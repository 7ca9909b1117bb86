"""What is being run, in a notebook: a bar of tqdm with what is done, of how much, and the time left."""

import time
from typing import Any

from ..base.progress import Bar
from .markup import Shown, para, preformatted


class Progress:
    """Call it with a text for each thing that is begun or done, and at the end ``done``.

    The line is replaced, not added to, and the page leaves it out.
    """

    def __init__(self):
        self.seconds = 0.0
        self._began = time.monotonic()
        self._bar = Bar()
        self.handle: Any | None = None

    def __call__(self, text: str) -> None:
        self._bar.told(text)
        self._show(preformatted(str(self._bar)), para(text, kind="kit-note"))

    def done(self) -> None:
        """Everything has run; ``seconds`` says how long that took."""
        self.seconds = time.monotonic() - self._began
        self._show(para(f"Done, after {self.seconds:.0f} seconds.", kind="kit-note"))

    def _show(self, *lines) -> None:
        from IPython.display import display

        shown = Shown(lines, place="progress")
        if self.handle is None:
            self.handle = display(shown, display_id=True)
        else:
            self.handle.update(shown)
