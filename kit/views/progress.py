"""Progress in a notebook: what is being run, and a tqdm bar with done, all and the time left."""

import time
from typing import Any

from ..base.progress import Bar, Step
from .markup import Part, Shown, para, part, preformatted


class Progress:
    """Call it with a text for each part that begins or ends, and call ``done`` at the end.

    The line is replaced, not added to, and the page leaves it out.
    """

    def __init__(self):
        self.seconds = 0.0
        self._began = time.monotonic()
        self._bar = Bar()
        self.handle: Any | None = None

    def __call__(self, text: str) -> None:
        self._bar.take(text)
        step = [text.part, text.done, text.of] if isinstance(text, Step) else None
        bar = [preformatted(str(self._bar))] if self._bar.of else []
        self._show(*bar, para(text, kind="kit-note"), says=text, step=step)

    def done(self) -> None:
        """Everything has run; ``seconds`` says how long that took."""
        self.seconds = time.monotonic() - self._began
        summary = f"Done, after {self.seconds:.0f} seconds."
        self._show(para(summary, kind="kit-note"), says=summary)

    def _show(self, *lines: Part, says: str, step: list | None = None) -> None:
        from IPython.display import display

        shown = Shown(lines, place="progress", more={"kit_says": part(says).text, "kit_step": step})
        if self.handle is None:
            self.handle = display(shown, display_id=True)
        else:
            self.handle.update(shown)
