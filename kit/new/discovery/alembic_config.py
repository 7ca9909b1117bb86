"""Finds an application's Alembic environment and how it is brought to head."""

import ast
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from .found import Alembic
from .interpreters import Interpreter
from .objects import WSGI, Made
from .project import Project, called, imports_of, join, nodes_of


def alembic_of(
    project: Project, service: str, objects: list[Made], path: list[str], python: Interpreter | None
) -> Alembic | None:
    below = [
        file for file in project.below(service) if not re.search(r"(^|/)(tests?|docs?|examples?|templates?)/", file)
    ]
    in_process = _migrates_itself(project, below)
    inis = sorted(
        (file for file in below if PurePosixPath(file).name == "alembic.ini"), key=lambda file: (file.count("/"), file)
    )
    for ini in inis:
        folder = str(PurePosixPath(ini).parent)
        env = project.text(join(folder, "env.py"))
        location = re.search(r"^\s*script_location\s*=\s*(\S+)", project.text(ini), re.M)
        flasks = "current_app" in env or "Flask-Migrate" in env
        if flasks:
            return _flask_migrate(project, folder, service, objects, path, python, in_process, ini)
        if location is None:
            continue
        place = _script(project, ini, location[1], service)
        if place is None:
            continue
        how, script = place
        where = f"{project.at(ini, 'script_location')}: {script}"
        named = str(PurePosixPath(ini).relative_to(service)) if service != "." else ini
        if how == "ini":  # counts from the ini's own folder, so that Alembic must be called there
            inner = str(PurePosixPath(named).parent)
            return Alembic(f"cd {inner} && alembic upgrade head", {"migrations": named}, where, in_process)
        option = "" if named == "alembic.ini" else f"-c {named} "
        return Alembic(f"alembic {option}upgrade head", {"migrations": named}, where, in_process)
    for folder in dict.fromkeys([service, "."]):
        file = join(folder, "pyproject.toml")
        if "alembic" in project.toml(file).get("tool", {}):
            return Alembic(
                "alembic upgrade head", {"command": "alembic check"}, project.at(file, "[tool.alembic"), in_process
            )
    return None


def _script(project: Project, ini: str, location: str, service: str) -> tuple[str, str] | None:
    """Where ``script_location`` leads, and from where it counts: ``here`` (anywhere), the ``service``, or the ``ini``'s folder."""
    folder = str(PurePosixPath(ini).parent)
    if "%(here)s" in location or "%%(here)s" in location:
        script = join(folder, re.sub(r"%?%\(here\)s/?", "", location) or ".")
        return ("here", script) if project.has(join(script, "env.py")) else None
    if ":" in location:  # of a package
        script = location.replace(":", "/").replace(".", "/")
        return next((("here", one) for one in project.files if one.endswith(f"{script}/env.py")), None)
    for how, base in (("service", service), ("ini", folder)):
        if project.has(join(join(base, location), "env.py")):
            return how, join(base, location)
    return None


def _flask_migrate(project, folder, service, objects, path, python, in_process, ini) -> Alembic:
    flask = next((one for one in objects if one.framework in WSGI), None)
    app = f" --app {flask.target(path)}" if flask else ""
    relative = str(PurePosixPath(folder).relative_to(service)) if service != "." else folder
    directory = "" if relative == "migrations" else f" -d {relative}"
    version = python.version_of("flask-migrate") if python else None
    check = {"command": f"flask{app} db check{directory}"}
    if version and int(version.split(".")[0]) < 4:  # it has no `check`; Alembic is asked, within the application
        check = {"migrations": f"{relative}/alembic.ini"}
    return Alembic(f"flask{app} db upgrade{directory}", check, f"{ini}, Flask-Migrate's", in_process)


def _migrates_itself(project: Project, files: Sequence[str]) -> str | None:
    """Where the application's own code runs the migrations, outside of scripts for people."""
    for file in files:
        if not file.endswith(".py") or file not in project.python or PurePosixPath(file).name == "env.py":
            continue
        tree = project.tree(file)
        if tree is None or "upgrade" not in project.text(file):
            continue
        imports = imports_of(tree)
        for node in nodes_of(tree):
            if isinstance(node, ast.Call) and called(node, imports) in (
                "alembic.command.upgrade",
                "flask_migrate.upgrade",
                "alembic.config.main",
            ):
                return f"{file}:{node.lineno}"
    return None
