"""The versions and settings that a startup was run with, and how to run it again."""

import datetime
import os
import platform
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import __version__
from ..base.places import project
from ..incident.builds import identity
from ..incident.model import Incident
from ..trace.trace import Trace
from .diff import patch_file
from .import_times import import_timeline
from .markup import Part, Shown, code, folded_table, join, line_of_times, para


def provenance(
    incident: Incident, trace: Trace, parameters: Mapping[str, Any] | None = None, *, took: float | None = None
) -> Shown:
    """The versions and settings of this run, and how to run it again.

    :param took: seconds of the whole run. Every time stands in the last line, that of the imports in a picture
        there, so that two runs of the same incident give the same page but for that line.
    """
    seen = trace.provenance
    app = incident.app
    build = f"{app.repository} at {app.revision}" if app.repository else f"folder {app.root}"
    rows: list[tuple] = [
        ("application", join(build, ", ", code(identity(incident)))),
        ("application's Python", f"{seen.get('implementation') or ''} {seen.get('python') or 'unknown'}".strip()),
    ]
    rows += [("SQLAlchemy", seen.get("sqlalchemy") or "not loaded"), ("database", str(seen.get("database")))]
    known = ("python", "implementation", "sqlalchemy", "database", "run_at")
    for name in sorted(set(seen) - set(known)):
        if value := seen[name]:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((name.replace("_", " "), shown))
    rows += [("incident-kit", __version__), ("notebook's Python", platform.python_version())]
    rows += [(name, version(name)) for name in ("papermill", "pandas", "graphviz-pure")]
    rows += [(f"parameter {name}", code(repr(_short(value)))) for name, value in sorted((parameters or {}).items())]
    times = [f"step {step.number} {step.seconds:.2f} s" for step in trace.steps if step.seconds is not None]
    line = (
        f"Run at {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"
        + (f", the startup at {seen['run_at']} UTC, and nothing of it has changed since" if "run_at" in seen else "")
        + (f", {took:.1f} s in all" if took is not None else "")
        + "".join(f", {time}" for time in times)
        + "."
    )
    table = folded_table("Provenance", ("what", "value"), rows)
    return Shown([para(*_again(incident)), table, line_of_times(para(line), *import_timeline(trace))])


def _again(incident: Incident) -> tuple:
    """The command that makes this page again; in a checkout, the Makefile's."""
    if project() is not None:
        return "In the kit's folder: ", code(f"make postmortem INCIDENT={shlex.quote(_from_here(incident))}")
    return "", code(f"incident-kit postmortem {shlex.quote(_short(str(incident.file)))}")


def applied_by(incident: Incident, name: str) -> Part:
    """The commands that write a proposal's patch to a file, and apply it."""
    where, kit = ("In the kit's folder, ", ".venv/bin/python -m kit") if project() else ("", "incident-kit")
    path = _from_here(incident) if project() else _short(str(incident.file))
    written = code(f"{kit} propose {shlex.quote(path)} -o proposed")
    applied = code(f"git apply …/proposed/{patch_file(name)}")
    return para(where, written, " writes it to a file; in the application's folder, ", applied, " applies it.")


def _from_here(incident: Incident) -> str:
    """The incident file's path from the kit's folder, which tells nothing else about this machine."""
    root = str(project() or Path.cwd())
    home = os.path.join(os.path.expanduser("~"), "")
    if str(incident.file).startswith(home) and not root.startswith(home):
        return f"~/{str(incident.file).removeprefix(home)}"
    return os.path.relpath(incident.file, root)


def _short(value: Any) -> Any:
    """A path without its beginning, which is particular to this machine."""
    return "/".join(value.split(os.sep)[-2:]) if isinstance(value, str) and os.path.isabs(value) else value
