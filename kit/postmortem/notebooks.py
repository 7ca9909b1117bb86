"""Copies the kit's notebooks into a folder, ready for the Python that will run them."""

import json
import platform
import shutil
from pathlib import Path
from typing import Any

from ..base.errors import IncidentError
from ..base.places import notebooks

_LEFT_OUT = shutil.ignore_patterns(".ipynb_checkpoints", "requirements.txt", "*.png")


def copy_notebooks(target: Path) -> tuple[list[Path], list[Path]]:
    """Copy the notebooks, the page that they begin with and the bundled incident; files that exist are kept.

    :returns: the files that were written, and those that existed
    :raises IncidentError: the folder cannot be made or written to
    """
    source, written, kept = notebooks(), [], []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.glob("*.ipynb")):
            where = target / path.name
            if where.exists():
                kept.append(where)
                continue
            notebook = _for_this_python(json.loads(path.read_text("utf-8")))
            where.write_text(json.dumps(notebook, indent=1) + "\n", "utf-8")
            written.append(where)
        shutil.copy(source / "start.md", target / "start.md")
        if not (target / "incidents").exists():
            shutil.copytree(source / "incidents", target / "incidents", ignore=_LEFT_OUT)
            written.append(target / "incidents")
    except OSError as error:
        raise IncidentError(f"{target}: the notebooks cannot be put there: {error.strerror or error}") from None
    return written, kept


def _for_this_python(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the metadata that JupyterLab writes when it opens one, so that it is not "unsaved" at once."""
    about = notebook["metadata"]
    about["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about["language_info"] = {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),
    }
    return notebook
