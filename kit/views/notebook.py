"""Helpers for notebooks: find the incident file from where the notebook runs, and write its result."""

import ast
import atexit
import difflib
import gc
import json
import os
from pathlib import Path
from typing import Any

from ..base.errors import IncidentError
from ..base.janitor import write_whole
from ..base.places import notebooks, project
from ..base.redact import redacted
from ..base.scan import refuse_secrets
from ..diagnose.diagnosis import Diagnosis, save_diagnosis
from ..incident.load import load
from ..incident.model import Incident
from .markup import Shown, para
from .progress import show_failed_cell

# When a kernel ends, IPython looks for garbage twice, and all that is left goes anyway.
atexit.register(gc.freeze)

_INJECTED = "# Parameters\n"  # how papermill begins the cell that it adds after the one with the tag


def open_incident(path: str, *, result: str = "", trace: str = "") -> Incident:
    """Load an incident file whose path is relative to here, to the notebooks' folder or to the project.

    :param result: where the result will be written; checked now, not only after the work is done
    :param trace: where the trace will be written; checked too
    :raises IncidentError: it is in none of these places, it is not valid, one of the two cannot be written, or a
        parameter of the notebook is misspelt
    """
    _check_parameters()
    if not path:
        raise IncidentError("incident is not set, or its name is misspelt: run the parameters' cell, then this one")
    check_writable("result", result)
    check_writable("trace", trace)
    gc.freeze()  # what a kernel has imported stays
    wanted = Path(path).expanduser()
    tried = [wanted] if wanted.is_absolute() else [it / wanted for it in (Path.cwd(), notebooks(), project()) if it]
    existing = next((candidate for candidate in tried if candidate.exists()), None)
    if existing is None:
        places = ", ".join(dict.fromkeys(str(candidate.parent) for candidate in tried))
        raise IncidentError(
            f"incident = {path!r}: there is no such file. It was looked for in: {places}. Give the path of an incident.yaml."
        )
    return load(existing)


def begin_notebook() -> None:
    """From here on the window moves to each cell that failed; a parameter that nobody sets is empty, and not unknown."""
    if (shell := _shell()) is not None:
        shell.user_ns.setdefault("incident", "")
        if show_failed_cell not in shell.events.callbacks["post_run_cell"]:
            shell.events.register("post_run_cell", show_failed_cell)


def _check_parameters() -> None:
    """
    :raises IncidentError: a parameter is misspelt: the notebook would silently use another value
    """
    if (shell := _shell()) is None:
        return
    cells = [str(code) for code in shell.user_ns.get("In", ())]
    injected = next((number for number, code in enumerate(cells) if code.startswith(_INJECTED)), None)
    if not injected:
        return
    known, names = (_assigned(cells[number]) for number in (injected - 1, injected))
    for name in [name for name in names if name not in known]:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known)}"
        raise IncidentError(f"-p {name}: this notebook has no such parameter; {hint}")


def _shell():
    """IPython's shell in a kernel; None elsewhere."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _assigned(code: str) -> list[str]:
    """The names that the statements of a cell assign."""
    try:
        statements = ast.parse(code).body
    except SyntaxError:
        return []
    targets = [target for statement in statements if isinstance(statement, ast.Assign) for target in statement.targets]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def check_writable(name: str, path: str) -> None:
    """Stop early where a parameter's file could not be written at the end.

    :raises IncidentError: the folder is not there, or not to be written to
    """
    folder = Path(path).expanduser().absolute().parent
    if path and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise IncidentError(
            f"{name} = {path!r}: there is no folder {folder} that can be written to. Make it, or leave {name} empty."
        )


def write_result(path: str, report: dict[str, Any]) -> Shown:
    """Write a report as JSON, whole or not at all, and display that it is written; nothing if ``path`` is empty.

    :raises SecretFound: it would hold a secret
    """
    if not path:
        return Shown([para("No result file was asked for.")], place="lab")
    text = json.dumps(redacted(report), indent=2, ensure_ascii=False) + "\n"
    refuse_secrets({"result.json": text})
    write_whole(Path(path).expanduser(), text)
    return Shown([para("The result was written as JSON.")], place="lab")


def write_trace(path: str, diagnosis: Diagnosis) -> None:
    """Write the startup's trace with what was diagnosed, secrets masked; nothing where ``path`` is empty.

    :raises IncidentError: the file cannot be written
    """
    if path:
        save_diagnosis(diagnosis, Path(path).expanduser())
