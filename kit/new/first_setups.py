"""The setups that are tried first: each startup with its environment and database, as log, deployment and sources have them."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ..base.errors import IncidentError
from ..base.known_secrets import remember
from ..incident.deployments import file_of, program_of, words_of
from ..incident.environment import (
    called_missing,
    chosen_kinds,
    database_variables,
    demanded,
    deployed,
    parts_of,
    settings_file_of,
    stand_ins,
    unset_in,
    variables_of,
)
from ..incident.interpreters import Interpreter
from ..incident.project import Project
from ..incident.starts import commands_of, console_scripts
from ..startup.installed_packages import DRIVERS
from .candidates import Start, candidates_of, step_of
from .next_setups import SCRATCH, URL
from .trial import Search, Setup

_BY_MODULE = re.compile("gunicorn|uvicorn|hypercorn|alembic|pytest|celery|flask|streamlit|arq|dramatiq|litestar")
_INNER = r"[^()]*(\([^()]*(\([^()]*\)[^()]*)*\)[^()]*)*"  # within parentheses, three deep
_PORT = 'port=int(__import__("os").environ["PORT"])'
_FIXED_PORT = {  # by a file's ending, for sed: where a port is written, and what stands there in the copy
    ".ini": ((r"^port *=.*", "port = %(http_port)s"), (r"^listen *=.*", "listen = 127.0.0.1:%(http_port)s")),
    ".sh": ((r"((--port|-p)[ =]|(-b|--bind)[ =][^ :]*:)[0-9]{2,5}", r"\1$PORT"),),
    ".py": (
        (r"\bport ?= ?[0-9]{2,5}\b", _PORT),
        (rf"\.(run|run_app)\((.*)\bport ?= ?[^,()]+(\({_INNER}\))?", rf".\1(\2{_PORT}"),
        # What they take is their framework's.
        (r"\b(app|application|server)\.run\((\)|[a-z_]+ ?=)", rf"\1.run({_PORT}, \2"),
        (r"\b(uvicorn\.run|web\.run_app)\(([^()]+)\)", rf"\1(\2, {_PORT})"),
    ),
}
_SETTINGS_FILE = "incident-settings.py"
_MOST_STARTS = 40  # more than are ever tried; a large application has hundreds of programs


def first_setups(work: Search, interpreter: Interpreter, named_steps: Sequence[tuple[str, str]]) -> list[Setup]:
    """The startups to try, with the settings that are known before anything has run.

    :param named_steps: the steps that the caller names; without any, the log, the deployment and the sources give them
    :raises IncidentError: nothing says how the application is started
    """
    commands = commands_of(work.project)
    work.variables = variables_of(work.project)
    missing = called_missing(work.evidence, work.variables)
    if "NoneType" in work.evidence.text and work.evidence.frames:
        places = [(frame.file, frame.line) for frame in reversed(work.evidence.frames)]
        missing |= unset_in(work.project, places, work.variables) - {name for it in commands for name in it.env}
    work.evidence = replace(work.evidence, missing_variables=missing)
    work.starts = starts = candidates_of(work.project, work.evidence, commands)
    if named_steps:
        steps = tuple(
            (kind, text if kind != "serve" or "{port}" in text else (step_of(text, work.project) or (kind, text))[1])
            for kind, text in named_steps
        )
        starts = [Start(steps, "as --startup says", 100, env=next((it.env for it in commands if it.env), {}))]
    for _, text in (step for start in (*work.starts, *starts) for step in start.steps):
        remember("startup", text)
    if not starts:
        raise IncidentError(
            f"{work.project.root}: nothing says how this is started: no deployment file, no application object, no program in the log. "
            "Say it by --startup, as in --startup 'command: python main.py'."
        )
    scripts = {name: target for _, _, name, target in console_scripts(work.project)}
    starts = starts if work.evidence.expected else sorted(starts, key=lambda start: (start.tier, -start.score))
    known = {*interpreter.names, *(program.name for program in work.evidence.programs)}
    named = ((start, program_of(start.steps[-1][1]) or "") for start in starts)
    # What nobody ran, and is not installed, is no start of it.
    there = [start for start, name in named if start.tier < 2 or name in known or not _BY_MODULE.fullmatch(name)]
    starts = [_runnable(work, start, interpreter, scripts) for start in (there or starts)[:_MOST_STARTS]]
    return [_with_port(work.project, _with_settings(work.project, _setup(work, interpreter, it))) for it in starts]


def _runnable(work: Search, start: Start, interpreter: Interpreter, scripts: dict[str, str]) -> Start:
    """A startup as it can be run here: programs as modules where the interpreter has no scripts beside it, no reloading.

    Several workers of a server that starts those anew for ever only where the log counts them.
    """
    steps, path = [], start.path
    for kind, text in start.steps:
        name, called = text.split(" ")[0], kind == "call" and text in scripts.values()
        module, _, function = (text if called else scripts.get(name, "")).partition(":")
        installed, top = interpreter.has_program(name) and not called, module.partition(".")[0]
        # Its package is on the path, as an installer has it; what is there already may be another state of it.
        folders = work.project.importable.get(top, []) if top not in work.evidence.missing_modules else []
        path += tuple(folders[:1]) if {*path, *[start.workdir] * (not installed)}.isdisjoint(folders) else ()
        if function and not installed:
            # As an installer writes it: with these two modules there before the application's.
            kind = "command" if called else kind
            text = f"python -c 'import re, sys; from {module} import {function}; {function}()'{'' if called else text[len(name) :]}"
        if kind == "serve" and name in ("uvicorn", "fastapi") and (work.evidence.workers or 1) == 1:
            text = re.sub(r" --workers[ =]\d+", "", text).replace("fastapi dev", "fastapi run")
        module = kind in ("command", "serve") and _BY_MODULE.fullmatch(name) and not interpreter.has_program(name)
        steps.append((kind, f"python -m {text}" if module else text))
    return replace(start, steps=tuple(steps), path=path)


def _setup(work: Search, interpreter: Interpreter, start: Start) -> Setup:
    """A startup with its variables and its database; what the log calls missing is left out."""
    project, evidence, missing = work.project, work.evidence, work.evidence.missing_variables
    env = stand_ins(project, work.variables, missing) | deployed(start.env, work.variables, missing)
    urls = [variable for variable in database_variables(work.variables) if variable.name not in missing]
    parts = {} if any(variable.required for variable in urls) else parts_of(work.variables)
    database, driver, known = _database(work, interpreter, bool(parts))
    if parts and database == "postgresql":
        parts |= chosen_kinds(project, work.variables)
        parted = ((name, value, variable.at) for name, (value, variable) in parts.items() if name not in missing)
        env |= {name: (value, f"read at {at}") for name, value, at in parted}
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
    others = [(backend, *driver) for backend in ("mysql", "mssql", "oracle") for driver in DRIVERS[backend]]
    lacking = [f"{backend}+{name}" for backend, name, module, _ in others if module in evidence.missing_modules]
    if (scheme or lacking) and urls:
        because = "the log's URL has this scheme" if scheme else f"the log's URL asks for {lacking[0]}"
        url = URL.format(scheme="+".join(filter(None, scheme.groups()))) if scheme else ""
        env[urls[0].name] = url or f"{lacking[0]}://incident@127.0.0.1/incident", because
        known["database"] = known["database_env"] = because
        database, database_env, driver = "postgresql" if scheme else "sqlite", SCRATCH, None
    if "invalid interpolation syntax" in evidence.text:  # what reads the URL fails before it connects
        option = "?timeout=5%2E0" if database == "sqlite" else "?options=%20"
        because = "the log's URL has a per cent sign"
        env |= {name: ("per%cent", because) for name, (value, _) in parts.items() if value == "{database_password}"}
        env |= {variable.name: (f"{{database_url}}{option}", because) for variable in urls[:1]}
        database_env = SCRATCH if urls else database_env
    known |= {f"env.{name}": because for name, (_, because) in env.items()}
    values = {name: value for name, (value, _) in env.items()}
    links = [at for at in interpreter.linked(project.root) if not (evidence.missing_modules or at in start.path)]
    known |= {"path": "installed as a link to this folder: what runs is the copy's"} if links else {}
    return Setup(start, (*start.path, *links), values, database, driver, database_env, score=start.score, known=known)


def _with_port(project: Project, setup: Setup) -> Setup:
    """A server whose script names its port itself: in the copy the one that the kit gives stands there."""
    kind, text = setup.start.steps[-1]
    has_one = kind != "serve" or re.search(r"PORT|(?<!http_port=)\{port\}", text)  # pserve's is a variable of its file
    file = None if has_one else file_of(project, words_of(text), setup.start.workdir)
    patterns = _FIXED_PORT.get(PurePosixPath(file or "").suffix, ())
    matches = ((re.search(pattern, project.text(file), re.M), pattern, put) for pattern, put in patterns)
    fixed, pattern, put = next((match for match in matches if match[0]), (None, "", ""))
    if fixed is None:
        return setup
    at = f"{file}:{project.text(file).count(chr(10), 0, fixed.start()) + 1}"
    relative = PurePosixPath(file).relative_to(setup.start.workdir).as_posix()
    line = f"sed -i -E '{'/^[ ]*#/! ' if file.endswith('.sh') else ''}s@{pattern}@{put}@' {shlex.quote(relative)}"
    because = f"{at} names a port; in the copy a free one takes its place"
    return setup.changed("prepare", because, prepare=(*setup.prepare, ("command", line)))


def _with_settings(project: Project, setup: Setup) -> Setup:
    """Flask's settings where they are a file that a variable names, and no variable names a database: one is written."""
    name, at = settings_file_of(project) if not setup.database_env else ("", "")
    if not name or setup.start.steps[-1][0] not in ("serve", "command"):  # whose line can name it
        return setup
    before = f'{name}="$PWD/{_SETTINGS_FILE}" '
    steps = [(kind, before * (kind in ("serve", "command")) + text) for kind, text in setup.start.steps]
    env = {other: value for other, value in setup.env.items() if other != name}
    line = f"echo \"SQLALCHEMY_DATABASE_URI = '{{database_url}}'\" > {_SETTINGS_FILE}"
    because, start = f"{at} reads a settings file that {name} names", replace(setup.start, steps=tuple(steps))
    return setup.changed("prepare", because, start=start, env=env, prepare=(("command", line), *setup.prepare))


def _database(work: Search, interpreter: Interpreter, by_parts: bool) -> tuple[str, str | None, dict[str, str]]:
    """Which database and driver, and how each is known: as the log says, else as the sources demand."""
    evidence, known = work.evidence, {}
    if evidence.database:
        known["database"] = f"{evidence.database}, {evidence.database_at}"
        lacked = (name for name, module, _ in DRIVERS.get(evidence.database, ()) if module in evidence.missing_modules)
        database = "sqlite" if evidence.database == "sqlite" else "postgresql"
        return database, evidence.driver or next(lacked, None), known
    only_postgresql, asynchronous = demanded(work.project)
    drivers = {"psycopg2", "psycopg", "asyncpg", "pg8000"} & set(interpreter.names)
    only = by_parts or (drivers or not interpreter.names) and only_postgresql
    database = "postgresql" if only else "sqlite"
    if database == "postgresql":
        of_sources = "the sources use what only PostgreSQL has"
        known["database"] = "the URL is put together of parts" if by_parts else of_sources
    driver = None
    if asynchronous:
        driver, other = ("aiosqlite", "asyncpg") if database == "sqlite" else ("asyncpg", "aiosqlite")
        known["database_driver"] = "the sources make asynchronous engines only"
        if driver not in interpreter.names and other in interpreter.names:
            driver, database = other, "postgresql" if other == "asyncpg" else "sqlite"
    return database, driver, known
