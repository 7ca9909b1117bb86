"""The setups that are tried first: each startup with its environment and database, as log, deployment and sources have them."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ..base.errors import IncidentError
from ..base.redact import shows_secret
from ..base.scan import kinds_in
from ..incident.deployments import commands_of
from ..incident.interpreters import Interpreter
from ..incident.project import Project
from ..triage.evidence import Evidence
from .candidates import Start, candidates_of, step_of
from .environment import database_variables, deployed, parts_of, stand_ins, variables_of
from .lessons import SCRATCH
from .trial import Search, Setup

_MODULES = [
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "alembic",
    "pytest",
    "celery",
    "flask",
    "streamlit",
]  # run by ``-m`` too


def first_setups(work: Search, interpreter: Interpreter, given: Sequence[tuple[str, str]]) -> list[Setup]:
    """The startups to be tried, with what is known before anything has run."""
    project, evidence = work.project, work.evidence
    commands = commands_of(project)
    if given:
        steps = tuple(
            (kind, text) if kind in ("import", "call", "code") else _as_given(kind, text, project)
            for kind, text in given
        )
        env = next((one.env for one in commands if one.env), {})
        starts = [Start(steps, "as --startup says", 100, env=env)]
    else:
        starts = [
            one
            for one in candidates_of(project, evidence, commands)
            if not any(shows_secret(text) or kinds_in(text) for _, text in one.steps)
        ]
    if not starts:
        raise IncidentError(
            f"{project.root}: nothing says how this is started: no deployment file, no application object, no program in the log. Say it by "
            "--startup, as in --startup 'command: python main.py'."
        )
    variables = variables_of(project)
    return [_setup(work, interpreter, _runnable(one, interpreter, evidence), variables) for one in starts]


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


def _as_given(kind: str, text: str, project: Project) -> tuple[str, str]:
    if kind == "serve" and "{port}" not in text:
        step = step_of(text, project)
        return ("serve", step[1]) if step else (kind, text)
    return kind, text


def _setup(work: Search, interpreter: Interpreter, start: Start, variables) -> Setup:
    """A startup with its environment and database, as log, deployment and sources have them."""
    project, evidence = work.project, work.evidence
    texts = {
        **deployed(project, start.env, variables, evidence.missing_variables),
        **stand_ins(project, variables, evidence.missing_variables),
    }
    env, known = (
        {name: text for name, (text, _) in texts.items()},
        {f"env.{name}": why for name, (_, why) in texts.items()},
    )
    urls = [one for one in database_variables(variables) if one.name not in evidence.missing_variables]
    sources = "\n".join(
        project.text(one)
        for one in project.python
        if any(mark in project.text(one) for mark in ("engine", "asyncpg", "PostgresDsn"))
    )
    database, driver = "sqlite", None
    parts = parts_of(variables)
    if evidence.database:
        database, known["database"] = (
            ("sqlite" if evidence.database == "sqlite" else "postgresql"),
            f"{evidence.database}, {evidence.database_at}",
        )
        driver = evidence.driver
    elif parts and not any(one.required for one in urls):
        database, known["database"] = "postgresql", f"the URL is put together of {', '.join(parts)}"
    elif re.search(r"sqlalchemy\.dialects(?:\.| import )postgresql|[\"']postgres(?:ql)?\+\w+", sources):
        database, known["database"] = "postgresql", "the sources use what only PostgreSQL has"
    if (
        driver is None
        and evidence.database is None
        and re.search(r"create_async_engine|async_engine_from_config", sources)
        and "create_engine(" not in sources.replace("create_async_engine(", "")
    ):
        driver = "aiosqlite" if database == "sqlite" else "asyncpg"
        known["database_driver"] = "the sources make asynchronous engines only"
    if driver in ("aiosqlite", "asyncpg") and evidence.driver is None and driver not in interpreter.names:
        other = "asyncpg" if driver == "aiosqlite" else "aiosqlite"
        if other in interpreter.names:
            driver, database = other, "postgresql" if other == "asyncpg" else "sqlite"
    if parts and database == "postgresql" and not any(one.required for one in urls):
        env |= {name: value for name, (value, _) in parts.items()}
        known |= {f"env.{name}": f"read at {one.at}" for name, (_, one) in parts.items()}
        if all(value != "{database_port}" for value, _ in parts.values()):
            env["PGPORT"], known["env.PGPORT"] = (
                "{database_port}",
                "no port is read; PostgreSQL's library takes it from here",
            )
        urls = []
    database_env = urls[0].name if urls else None
    for one in urls[1:]:
        if one.required or one.engine:
            asynchronous = "ASYNC" in one.name and driver is None
            env[one.name] = "sqlite+aio{database_url}" if asynchronous and database == "sqlite" else "{database_url}"
            known[f"env.{one.name}"] = f"read at {one.at}"
    if database_env:
        known["database_env"] = f"read at {urls[0].at}"
    else:
        flask = next((one for one in project.sources if "from_prefixed_env" in project.text(one)), None)
        database_env = (
            "FLASK_SQLALCHEMY_DATABASE_URI"
            if flask
            else SCRATCH
            if "DATABASE_URL" in evidence.missing_variables
            else None
        )
    scheme = re.search(r"Can't load plugin: sqlalchemy\.dialects:(\w+)(?:\.(\w+))?", evidence.text)
    if scheme and scheme[1] in ("postgres", "postgresql", "pgsql") and urls:
        url = f"{scheme[1]}{'+' + scheme[2] if scheme[2] else ''}://{{database_user}}:{{database_password}}@{{database_host}}:{{database_port}}/{{database_name}}"
        env[urls[0].name], database, database_env, driver = url, "postgresql", SCRATCH, None
        known |= {
            f"env.{urls[0].name}": "the scheme is the log's",
            "database": "the scheme is the log's",
            "database_env": f"{urls[0].name} has the log's scheme",
        }
    return Setup(start, start.path, env, database, driver, database_env, (), score=start.score, known=known)
