"""Brings the scratch database into the state that an incident begins from: a revision, a row a table, a file of statements."""

import sys
from pathlib import Path

from ..base.errors import RunBroke
from ..incident.model import Incident
from ..incident.steps import Preparation
from .migrations import ALEMBIC_CHILD, find_config, flask_application
from .process import Ran, run
from .workspace import Workspace

KINDS = ("upgrade", "rows", "sql")
_CHILD = str(Path(__file__).parent / "child" / "database_state.py")


def bring(incident: Incident, space: Workspace, step: Preparation, name: str) -> Ran:
    """Run one preparation of the kinds in ``KINDS``, in a process of its own and under the startup's guards.

    :raises RunBroke: there is nothing to upgrade
    """
    if step.kind == "upgrade":
        config = find_config(incident, space)
        if config is None:
            raise RunBroke(
                f"{incident.file}: prepare: {step}: there is no alembic.ini in the application. Name it in a check "
                "('- migrations: path/alembic.ini'), or write the step as a command."
            )
        answer = str(space.folder / f"{name}.json")
        words = [space.python, ALEMBIC_CHILD, "upgrade", config, answer, *flask_application(incident), step.text]
    elif step.kind == "rows":
        words = [space.python, _CHILD, "rows", space.database_url, step.text]
    else:  # the kit's own interpreter: it has a driver, which the application's may lack
        words = [sys.executable, "-I", _CHILD, "sql", space.database_url, str(incident.resolve(step.text))]
    return run(words, space, incident.limits, name)
