"""Progress in a notebook: what is being run, a tqdm bar with done, all and the time left, and the window on it."""

import time
from typing import Any

from ..base.progress import Bar, Step
from .markup import Part, Shown, para, part, preformatted

# "Run All Cells" moves the window to the last cell. This moves it to the cell that has something to say, unless that
# cell is in sight; not when the notebook is opened again later, and only where JupyterLab runs what an output brings.
_FOLLOW = """
if (Math.abs(Date.now() - %d) < 60000) setTimeout(() => {
    const cell = element.closest(".jp-Cell"), window_ = cell && cell.closest(".jp-WindowedPanel-outer, .jp-Notebook");
    const at = cell && cell.getBoundingClientRect(), of = window_ && window_.getBoundingClientRect();
    if (of && (at.top < of.top || at.top > of.bottom - 200)) cell.scrollIntoView({block: "start"});
}, 100);
"""


class Progress:
    """Call it with a text for each part that begins or ends, and call ``done`` at the end.

    The line is replaced, not added to, and the page leaves it out. The window of JupyterLab follows.
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
        if self.handle is not None:  # else nothing had to be run
            self._show(para(summary, kind="kit-note"), says=summary)

    def _show(self, *lines: Part, says: str, step: list | None = None) -> None:
        from IPython.display import display

        shown = Shown(lines, place="progress", more={"kit_says": part(says).text, "kit_step": step})
        if self.handle is None:
            self.handle = display(shown, display_id=True)
            show_this_cell()
        else:
            self.handle.update(shown)


def show_this_cell() -> None:
    """Move JupyterLab's window to the cell that runs, where it is out of sight."""
    from IPython.display import display

    bundle = {"application/javascript": _FOLLOW % (time.time() * 1000), "text/plain": ""}
    display(bundle, raw=True, metadata={"kit": "lab"})


def show_failed_cell(result: Any) -> None:
    """Move the window to a cell that failed; IPython calls it after each cell."""
    if result.error_before_exec or result.error_in_exec:
        show_this_cell()
