"""Finds out how an application is started, by reading: nothing of it is executed, nothing in its folder is written."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...base.errors import IncidentError
from ...triage.logs import Log, Traceback
from .alembic_config import alembic_of
from .deployments import starts_of
from .environment import fill_environment, name_metadata
from .found import Discovery, Planned
from .layout import find_interpreter, find_path, of_log, service_of
from .objects import WORKERS, Made, objects_of
from .plan import plan
from .programs import Programs
from .project import Project, join, naming
from .routes import routes_of

_HEALTH = (
    "/health",
    "/healthz",
    "/healthcheck",
    "/health-check",
    "/api/health",
    "/api/healthz",
    "/ping",
    "/status",
    "/livez",
    "/readyz",
)


def discover(
    app: Path,
    *,
    log: Log | None = None,
    startup: Sequence[Planned] = (),
    python: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Discovery:
    """Read an application's folder, and a log if there is one.

    :param app: the application's folder
    :param startup: steps that were given; what is found is only what is not
    :param python: an interpreter that was named
    :param environment: the caller's variables; by default this process's own
    :raises IncidentError: it is no application, there are several, or no interpreter has its packages
    """
    environment = dict(os.environ if environment is None else environment)
    project = Project(app)
    if not project.python:
        raise IncidentError(
            f"--app {app}: there is no Python file in it. Name the folder that holds the application's sources."
        )
    traceback, files = of_log(project, log)
    service = service_of(project, files)
    below = set(project.below(service))
    sources = [file for file in project.python if file in below]
    objects = objects_of(project, service)
    interpreter, missing = find_interpreter(project, service, python, environment)
    path, reasons = find_path(project, service, interpreter)
    programs = Programs(project, service, path, objects, interpreter)
    starts = starts_of(project, service, programs)
    for start in starts[:1]:
        for folder in start.path:
            if folder not in path and project.below(folder):
                path.append(folder)
                reasons.append((folder, start.why))
    found = Discovery(project.root, service, service, path, interpreter, missing, [], [], None)
    found.found += [("interpreter", str(interpreter.python), interpreter.why)] if interpreter else []
    found.found += [("on the path", folder, why) for folder, why in reasons]
    found.alembic = alembic_of(project, service, objects, programs.names, interpreter)
    plan(found, project, programs, starts, objects, traceback, files, startup)
    fill_environment(found, project, sources, starts, environment)
    name_metadata(found, project, sources)
    _checks(found, project, objects)
    _expect(found, traceback, log, files)
    return found


def _checks(found: Discovery, project: Project, objects: list[Made]) -> None:
    if found.alembic and found.alembic.check:
        check = dict(found.alembic.check)
        if "migrations" in check and found.workdir != found.service:
            check["migrations"] = os.path.relpath(join(found.service, check["migrations"]), found.workdir)
        if not str(check.get("migrations", "")).startswith(".."):
            found.checks.append((check, "at head, and models and schema agree"))
    found.checks.append(({"mappers": True}, "every mapper configures, one mapped class a table"))
    found.checks.append(({"clean_start": True}, "every step succeeds, and nothing was swallowed"))
    served = next((one.text for one in found.startup if one.kind == "serve"), None)
    if served is None:
        return
    routes: dict[str, str] = {}
    for one in objects:
        if (
            one.framework in WORKERS
            or one.target(naming(project, found.path)).partition(":")[0] not in served
            and len(objects) > 1
            and not one.factory
        ):
            continue
        routes |= {path: at for path, at in routes_of(project, found.service, one).items() if path not in routes}
    chosen = next((path for path in (*_HEALTH, *sorted(filter(_is_health, routes)), "/") if path in routes), None)
    if chosen:
        found.checks.append(({"http": {"path": chosen, "status": 200}}, routes[chosen]))
        return
    read = "; ".join(f"{path} ({at})" for path, at in list(routes.items())[:5])
    found.notes.append(
        f"routes without parameters, none of which says that it tells the service's health: {read}. Add a check of one, as in "
        f"`- http: {{path: {next(iter(routes))}, status: 200}}`"
        if read
        else "no route without parameters was read: add a check, as in `- http: {path: /health, status: 200}`"
    )


def _is_health(path: str) -> bool:
    """Does the last part of a longer path say so, as in ``/api/v1/utils/health-check/``?"""
    return f"/{path.rstrip('/').rpartition('/')[2]}" in _HEALTH


def _expect(found: Discovery, traceback: Traceback | None, log: Log | None, files: Sequence[str]) -> None:
    name = found.root.resolve().name if found.service == "." else found.service
    found.title = f"{name}: what goes wrong at its startup"
    if log is not None and not log.tracebacks and log.logged:
        number, text = log.logged
        found.error, found.table = told(text)
        found.title = found.error
        found.found.append(("the error", _shortly(text), f"line {number} of the log, which holds no traceback"))
    elif log is not None and not log.tracebacks:
        found.wanting.append(f"a traceback: there is none in the log's {log.lines} lines; 'expect' is left open")
    if traceback is None:
        return
    if not files:
        found.wanting.append(
            "a file of the log: none of those that its traceback names is in the application; is it this application's log?"
        )
    raised = (
        next((one for one in traceback.raised if "is already defined for this" in str(one)), None) or traceback.error
    )
    found.error, found.table = told(raised.text or "")
    found.error = found.error or raised.type
    found.title = found.error or found.title
    found.found.append(
        ("the error", _shortly(str(raised).splitlines()[0]), f"the traceback in line {traceback.line} of the log")
    )
    if files:
        found.found.append(
            (
                "the log's files",
                f"{files[0]} … {files[-1]}" if len(files) > 1 else files[0],
                "found below the application's root",
            )
        )


def _shortly(line: str, most: int = 160) -> str:
    """A line's first sentences, or its first words where they are no sentence."""
    if len(line) <= most:
        return line
    sentence = re.match(rf".{{20,{most}}}\.(?=\s)", line)
    return sentence[0] if sentence else f"{line[:most].rpartition(' ')[0]} …"


def told(text: str) -> tuple[str | None, str | None]:
    """Of an exception's text what stays the same from run to run, and the table that is registered twice."""
    table = re.match(r"Table '([^']+)' is already defined", text)
    if table:
        return table[0], table[1]
    line = text.strip().splitlines()[0] if text.strip() else ""
    line = re.split(r" at 0x[0-9a-f]+|\s{2,}| \(Background on|/[\w./-]+/", line)[0].strip()
    return (line[:160] if len(line) > 7 else None), None
