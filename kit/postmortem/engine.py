"""The papermill engine of the kit: it reports progress, and an interrupt reaches what the kernel runs."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.log import logger

from ..base import interrupt
from ..base.progress import Hears, Step, silent
from ..base.scan import WHOLE

NAME = "kit"
_KIT = str(Path(__file__).resolve().parents[2])  # the folder that holds the package
_ASK_AGAIN = 2.0  # seconds: a kernel that has not yet begun with the cell does not hear
_MOST_ASKING = 15
# A kernel is interrupted when it is shut down, and would tell the terminal of that as an error.
_QUIET = ["--log-level=CRITICAL"]


class _Client(PapermillNotebookClient):
    """Executes the cells of one notebook in a kernel of its own."""

    def __init__(self, *args, progress: Hears, **kwargs):
        super().__init__(*args, **kwargs)
        self.progress = progress
        self.in_cell = threading.Event()

    def execute(self, **kwargs) -> Any:
        interrupt.under_way(self, _Client.end)
        # The kernel runs the kit that runs it, also where another one is installed beside it.
        path = os.pathsep.join([_KIT, *filter(None, [os.environ.get("PYTHONPATH")])])
        return super().execute(env={**os.environ, WHOLE: "1", "PYTHONPATH": path}, **kwargs)

    def execute_cell(self, cell: Any, cell_index: int, **kwargs) -> Any:
        interrupt.check()
        self.in_cell.set()
        try:
            return super().execute_cell(cell, cell_index, **kwargs)
        except Exception:  # papermill would call the cell of a kernel that died completed, and all after it
            self.nb_man.cell_exception(cell, cell_index)
            raise
        finally:
            self.in_cell.clear()

    def process_message(self, message: dict, *args, **kwargs) -> Any:
        content = message["content"]
        about = content.get("metadata") or {}
        if about.get("kit") == "progress":
            says, step = about["kit_says"], about["kit_step"]
            self.progress(Step(says, *step) if step else says)
        return super().process_message(message, *args, **kwargs)

    def end(self) -> None:
        """Interrupt the kernel as JupyterLab does; what it runs then ends in order. Returns at once."""
        threading.Thread(target=self._interrupt, daemon=True).start()

    def _interrupt(self) -> None:
        for asked in range(_MOST_ASKING + 1):
            if not self.in_cell.is_set():
                return
            pid = self.km.provisioner.pid
            os.kill(pid, signal.SIGINT if asked < _MOST_ASKING else signal.SIGKILL)
            threading.Event().wait(_ASK_AGAIN)


class _Engine(Engine):
    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, progress=silent, start_timeout=60, config=None, **_):
        kwargs = {"kernel_name": kernel_name, "startup_timeout": start_timeout, "config": config, "log": logger}
        kwargs["extra_arguments"] = _QUIET
        # Papermill would write the whole notebook twice a cell, which takes more than all else that it does; nobody reads
        # it before its end, and then it is written however that end came.
        output, nb_man.output_path = nb_man.output_path, None
        try:
            return _Client(nb_man, progress=progress, **kwargs).execute()
        finally:
            nb_man.output_path = output


papermill_engines.register(NAME, _Engine)
