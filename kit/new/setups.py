"""The setups that are tried first: each startup with its environment and database, as log, deployment and sources have them."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from ..base.errors import IncidentError
from ..base.redact import shows_secret
from ..base.scan import kinds_in
from ..incident.deployments import words_of
from ..incident.environment import database_variables, deployed, named, named_in, parts_of, stand_ins, variables_of
from ..incident.interpreters import Interpreter
from ..incident.starts import commands_of
from ..triage.evidence import Evidence
from .candidates import Start, candidates_of, file_of, step_of
from .lessons import SCRATCH
from .trial import Search, Setup

_MODULES = {
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "alembic",
    "pytest",
    "celery",
    "flask",
    "streamlit",
}  # run by ``-m`` too
_ONLY_POSTGRESQL = r"sqlalchemy\.dialects(?:\.| import )postgresql|[\"']postgres(?:ql)?\+\w+|PostgresDsn"
_URL = "{scheme}://{{database_user}}:{{database_password}}@{{database_host}}:{{database_port}}/{{database_name}}"


def first_setups(work: Search, interpreter: Interpreter, named_steps: Sequence[tuple[str, str]]) -> list[Setup]:
    """The startups to try, with the settings that are known before anything has run.

    :param named_steps: the steps that the caller names; without any, the log, the deployment and the sources give them
    :raises IncidentError: nothing says how the application is started
    """
    commands = commands_of(work.project)
    work.variables = variables_of(work.project)
    lacking = named(work.evidence.missing_variables, work.variables)
    missing = frozenset(lacking | named_in(work.evidence.error, work.variables))
    work.evidence = replace(work.evidence, missing_variables=missing)
    work.starts = candidates_of(work.project, work.evidence, commands)
    work.starts = [start for start in work.starts if not any(_secret(text) for _, text in start.steps)]
    starts = work.starts
    if named_steps:
        steps = tuple(
            (kind, text if kind != "serve" or "{port}" in text else (step_of(text, work.project) or (kind, text))[1])
            for kind, text in named_steps
        )
        starts = [
            Start(steps, "as --startup says", 100, env=next((command.env for command in commands if command.env), {}))
        ]
    if not starts:
        raise IncidentError(
            f"{work.project.root}: nothing says how this is started: no deployment file, no application object, no program in the log. "
            "Say it by --startup, as in --startup 'command: python main.py'."
        )
    return [_setup(work, interpreter, _runnable(start, interpreter, work.evidence)) for start in starts]


def _secret(text: str) -> bool:
    return shows_secret(text) or bool(kinds_in(text))


def _runnable(start: Start, interpreter: Interpreter, evidence: Evidence) -> Start:
    """A startup as it can be run here: programs as modules where the interpreter has no scripts beside it, no reloading.

    Several workers of a server that starts those anew for ever only where the log counts them.
    """
    steps = []
    for kind, text in start.steps:
        name = text.split(" ")[0]
        if kind == "serve" and name in ("uvicorn", "fastapi") and (evidence.workers or 1) == 1:
            text = re.sub(r" --workers[ =]\d+", "", text).replace("fastapi dev", "fastapi run")
        module = kind in ("command", "serve") and name in _MODULES and not interpreter.has_program(name)
        steps.append((kind, f"python -m {text}" if module else text))
    return replace(start, steps=tuple(steps))


def _setup(work: Search, interpreter: Interpreter, start: Start) -> Setup:
    """A startup with its variables and its database; what the log calls missing is left out."""
    project, evidence, missing = work.project, work.evidence, work.evidence.missing_variables
    env = deployed(project, start.env, work.variables, missing) | stand_ins(project, work.variables, missing)
    urls = [variable for variable in database_variables(work.variables) if variable.name not in missing]
    parts = {} if any(variable.required for variable in urls) else parts_of(work.variables)
    database, driver, known = _database(work, interpreter, bool(parts))
    if parts and database == "postgresql":
        env |= {name: (value, f"read at {variable.at}") for name, (value, variable) in parts.items()}
        if all(value != "{database_port}" for value, _ in parts.values()):
            env["PGPORT"] = "{database_port}", "no port is read; PostgreSQL's library takes it from here"
        urls = []
    for variable in urls[1:]:
        if variable.required or variable.engine:
            asynchronous = "ASYNC" in variable.name and driver is None and database == "sqlite"
            value = "sqlite+aio{database_url}" if asynchronous else "{database_url}"
            env[variable.name] = value, f"read at {variable.at}"
    database_env = SCRATCH if "DATABASE_URL" in missing else None
    if urls:
        database_env, known["database_env"] = urls[0].name, f"read at {urls[0].at}"
    elif any("from_prefixed_env" in project.text(file) for file in project.sources):
        database_env = "FLASK_SQLALCHEMY_DATABASE_URI"
    scheme = re.search(r"Can't load plugin: sqlalchemy\.dialects:((?:postgres|pgsql)\w*)(?:\.(\w+))?", evidence.text)
    if scheme and urls:
        because = "the scheme is the log's"
        url = _URL.format(scheme="+".join(filter(None, scheme.groups())))
        env[urls[0].name], known["database"], known["database_env"] = (url, because), because, because
        database, database_env, driver = "postgresql", SCRATCH, None
    known |= {f"env.{name}": because for name, (_, because) in env.items()}
    values = {name: value for name, (value, _) in env.items()}
    prepare = _listens(work, start)
    known |= {"prepare": "in the copy the port is the one that the kit gives"} if prepare else {}
    return Setup(start, start.path, values, database, driver, database_env, prepare, score=start.score, known=known)


def _listens(work: Search, start: Start) -> tuple[tuple[str, str], ...]:
    """What puts the kit's port in place of one that a program's source holds."""
    kind, text = start.steps[-1]
    file = file_of(work.project, words_of(text), start.workdir) if kind == "serve" and "{port}" not in text else None
    if file is None or "PORT" in text or not re.search(r"\bport\s*=\s*\d{2,5}\b", work.project.text(file)):
        return ()
    up = "../" * (0 if start.workdir == "." else start.workdir.count("/") + 1)
    pattern = r"""'s/\bport\s*=\s*[0-9]{2,5}\b/port=int(__import__("os").environ["PORT"])/'"""
    return (("command", f"sed -i -E {pattern} {shlex.quote(up + file)}"),)


def _database(work: Search, interpreter: Interpreter, by_parts: bool) -> tuple[str, str | None, dict[str, str]]:
    """Which database and driver, and how each is known: as the log says, else as the sources demand."""
    evidence, known = work.evidence, {}
    if evidence.database:
        known["database"] = f"{evidence.database}, {evidence.database_at}"
        return "sqlite" if evidence.database == "sqlite" else "postgresql", evidence.driver, known
    marks = ("engine", "asyncpg", "PostgresDsn", "postgresql")
    texts = (work.project.text(file) for file in work.project.python)
    sources = "\n".join(text for text in texts if any(mark in text for mark in marks))
    database = "postgresql" if by_parts or re.search(_ONLY_POSTGRESQL, sources) else "sqlite"
    if database == "postgresql":
        known["database"] = (
            "the URL is put together of parts" if by_parts else "the sources use what only PostgreSQL has"
        )
    driver = None
    if re.search(r"create_async_engine|async_engine_from_config", sources) and not re.search(
        r"\bcreate_engine\(", sources
    ):
        driver, other = ("aiosqlite", "asyncpg") if database == "sqlite" else ("asyncpg", "aiosqlite")
        known["database_driver"] = "the sources make asynchronous engines only"
        if driver not in interpreter.names and other in interpreter.names:
            driver, database = other, "postgresql" if other == "asyncpg" else "sqlite"
    return database, driver, known
