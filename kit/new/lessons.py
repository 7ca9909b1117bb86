"""What a trial that failed for another reason teaches: the setups that come next. Nothing that the log calls missing or wrong is supplied."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from .candidates import Start
from .deployments import program_of
from .environment import Variable, database_variables, stand_in, variables_of
from .project import Project
from .trial import Search, Setup, Trial

SCRATCH = "KIT_SCRATCH_URL"  # holds the scratch database's URL where the application is to be given another
_DRIVERS = {"psycopg2": None, "psycopg": "psycopg", "asyncpg": "asyncpg", "pg8000": "pg8000", "aiosqlite": "aiosqlite"}
_NEEDS_ASYNC = re.compile(r"asyncio extension requires an async driver|is not async")
_OF_SQLITE = re.compile(
    r"sqlite|can't render element of type|Compiler.*can't render|Invalid argument\(s\).*create_engine|unexpected keyword argument|"
    r"near \"|no such function|No support for ALTER|is an invalid keyword argument for Connection|postgres|JSONB|TSVECTOR",
    re.I,
)
_NO_TABLE = re.compile(r"no such table|relation \"[^\"]+\" does not exist|UndefinedTable")
_THERE_ALREADY = re.compile(r"already exists|DuplicateTable|DuplicateObject|DuplicateColumn|duplicate column")
_LITERAL = re.compile(r"\b(?:postgres(?:ql)?|mysql)(?:\+(\w+))?://[^\s\"'{}$]+")


def lessons(work: Search, trial: Trial) -> list[Setup]:
    """Setups that differ from a trial's in what it says was in the way, the likeliest first."""
    setup, evidence = trial.setup, work.evidence
    found: list[Setup] = []
    for learn in (_variables, _modules, _drivers, _databases, _tables, _alembic, _flask, _place, _slow):
        found += [one for one in learn(work, trial) if one is not None]
        if found:
            break
    if not found or trial.healthy:
        found += list(_states(work, trial))
    if trial.healthy and (evidence.workers or 1) > 1 and setup.run < 3:
        found.append(setup.changed("startup", "processes race: it is run again", run=setup.run + 1))
    return [replace(one, score=one.score - number) for number, one in enumerate(found)]


def _known(project: Project) -> dict[str, Variable]:
    if not hasattr(project, "_variables"):
        project._variables = {one.name: one for one in variables_of(project)}
    return project._variables


def _variables(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """Variables that are not there, and of which the log does not say so."""
    setup, known = trial.setup, _known(work.project)
    names = {
        name.upper() if name.upper() in known and name not in known else name for name in trial.seen.missing_variables
    }
    names |= (
        {one for name in trial.seen.missing_variables for one in known if one.upper().endswith(f"_{name.upper()}")}
        if not names & set(known)
        else set()
    )
    names = {one for one in names if one in known or one.isupper()} - work.evidence.missing_variables - set(setup.env)
    env, said = dict(setup.env), []
    for name in sorted(names):
        one = known.get(name, Variable(name, "a trial's error", True, "str", False))
        if one.rank:
            env[name] = "{database_url}"
        else:
            env[name] = stand_in(name, one.kind)
        said.append(name)
    if said:
        yield setup.changed("env." + said[0], f"a trial failed for want of {', '.join(said)}", env=env)


def _modules(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """A module of the application's own that is on no path, and of which the log does not say so; a folder that shadows a library."""
    setup, project = trial.setup, work.project
    added = set(setup.path) - set(setup.start.path)
    if (
        added
        and not trial.seen.missing_modules
        and trial.seen.type.rpartition(".")[2] in ("ImportError", "AttributeError")
        and not trial.level
    ):
        last = setup.path[-1]
        if any(
            re.search(rf"['\"]?{re.escape(name)}['\"]?", trial.seen.text)
            for name, at in project.importable.items()
            if last in at and name in project.libraries
        ):
            yield setup.changed("path", f"{last} shadows a library", path=setup.path[:-1])
    for module in trial.seen.missing_modules - work.evidence.missing_modules:
        folders = [one for one in project.importable.get(module.partition(".")[0], ()) if one not in setup.path]
        folders.sort(key=lambda one: project.file_of(module, one) is None)
        for folder in folders[:2]:
            yield setup.changed(
                "path", f"a trial found no module {module}, which lies there", path=(*setup.path, folder)
            )
        if setup.start.steps[-1][1] == "pytest" and folders:
            steps = (*setup.start.steps[:-1], ("command", "python -m pytest"))
            yield setup.changed(
                "startup", f"pytest alone found no module {module}", start=replace(setup.start, steps=steps)
            )


def _drivers(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """A driver that the code demands, or one that is not installed, where neither is the log's."""
    setup, evidence, text = trial.setup, work.evidence, trial.seen.text
    if _NEEDS_ASYNC.search(text) and not _NEEDS_ASYNC.search(evidence.text):
        driver = "aiosqlite" if setup.database == "sqlite" else "asyncpg"
        if setup.driver != driver:
            yield setup.changed("database_driver", "the code demands an asynchronous driver", driver=driver)
    if (
        "greenlet_spawn has not been called" in text
        and "greenlet" not in evidence.text
        and setup.driver in ("aiosqlite", "asyncpg")
    ):
        yield setup.changed("database_driver", "the code is synchronous", driver=None)
    wanted = {module.partition(".")[0] for module in trial.seen.missing_modules - evidence.missing_modules} & {
        *_DRIVERS,
        "MySQLdb",
        "pymysql",
    }
    if wanted and setup.database == "postgresql":
        for driver in ("psycopg", "asyncpg", "pg8000", None):
            if driver != setup.driver:
                yield setup.changed("database_driver", f"{', '.join(wanted)} is not installed", driver=driver)
    elif "aiosqlite" in wanted:
        yield setup.changed("database", "aiosqlite is not installed", database="postgresql", driver="asyncpg")


def _databases(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """A database that the code does not take, or one of the application's own that the kit refuses."""
    setup, evidence, text = trial.setup, work.evidence, trial.seen.error or trial.broke or ""
    if (
        setup.database == "sqlite"
        and evidence.database != "sqlite"
        and _OF_SQLITE.search(text)
        and not trial.level
        and not _NO_TABLE.search(text)
    ):
        driver = {"aiosqlite": "asyncpg"}.get(setup.driver or "")
        yield setup.changed(
            "database", f"SQLite is not what the code is for: {text[:80]}", database="postgresql", driver=driver
        )
    refused = [one["what"] for one in trial.trace.refused] if trial.trace is not None else []
    unset = re.search(
        r"Could not parse SQLAlchemy URL|Expected string or URL object|SQLALCHEMY_DATABASE_UR[IL]\b", trial.seen.text
    )
    if not (unset or any("://" in one or ":5432" in one or ":3306" in one for one in refused)):
        return
    for one in database_variables(list(_known(work.project).values())):
        if one.name not in (setup.database_env, *setup.env) and one.name not in evidence.missing_variables:
            yield setup.changed(
                "database_env", f"read at {one.at}; a trial reached another database", database_env=one.name
            )
    yield from _literals(work, setup)


def _literals(work: Search, setup: Setup) -> Iterator[Setup]:
    """URLs that are written in the sources: in the copy the scratch database's stands in their place."""
    asked = [
        one
        for one in work.project.files
        if one.endswith((".py", ".ini", ".toml", ".cfg", ".yaml", ".yml", ".json")) and "compose" not in one
    ]
    files = [
        (one, found)
        for one in asked
        if not re.search(r"(^|/)(tests?|docs?)/|\.github/", one)
        for found in [_LITERAL.search(work.project.text(one))]
        if found
    ]
    if not files or any(text.startswith("sed ") for _, text in setup.prepare):
        return
    up = "../" * (0 if setup.start.workdir == "." else setup.start.workdir.count("/") + 1)
    lines = [
        (
            "command",
            f"""sed -i -E 's#\\b(postgres(ql)?|mysql)(\\+[a-z0-9]+)?://[^ "'"'"']+#{{database_url}}#' {up}{file}""",
        )
        for file, _ in files[:3]
    ]
    driver = next((found[1] for _, found in files if found[1]), None)
    yield setup.changed(
        "prepare",
        f"{files[0][0]} names a database itself; in the copy the scratch one stands there",
        database="postgresql",
        driver=driver,
        prepare=(*lines, *setup.prepare),
    )


def _tables(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """Tables that are not there, and of which the log does not say so: its database was migrated."""
    setup = trial.setup
    if (
        _NO_TABLE.search(trial.seen.text)
        and not _NO_TABLE.search(work.evidence.text)
        and work.project.alembic
        and not setup.prepare
    ):
        steps = [text for _, text in setup.start.steps]
        if not any("upgrade" in text for text in steps):
            yield setup.changed("prepare", "the log's database had its tables", prepare=(("upgrade", "head"),))


def _alembic(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """What Alembic asks for first; a check that agrees where the log's did not."""
    setup, text = trial.setup, trial.seen.error
    kind, last = setup.start.steps[-1]
    if program_of(last) not in ("alembic", "flask"):
        return
    before = setup.start.steps[:-1]
    upgrade = "flask db upgrade" if program_of(last) == "flask" else "alembic upgrade head"
    if "not up to date" in text and "not up to date" not in work.evidence.text and ("command", upgrade) not in before:
        steps = (*before, ("command", upgrade), (kind, last))
        yield setup.changed(
            "startup", "the database has to be at head for a check", start=replace(setup.start, steps=steps)
        )
    checks = bool({"check", "revision"} & set(last.split()))
    if (
        checks
        and trial.level == 0
        and ("command", upgrade) in before
        and not any(kind == "serve" for kind, _ in before)
    ):
        for one in _servers(work)[:2]:
            below = _from(setup.start.workdir, one)
            if below is not None:
                steps = (*before, below, (kind, last))
                yield setup.changed(
                    "startup",
                    "what the log's check found may come of the application's own start",
                    start=replace(setup.start, steps=steps),
                )
    if re.search(r"No config file|No 'script_location'|doesn't exist|Path doesn't exist", text):
        for ini in work.project.alembic:
            folder = str(PurePosixPath(ini).parent)
            if folder != setup.start.workdir:
                yield setup.changed("workdir", f"{ini} lies there", start=replace(setup.start, workdir=folder))


def _servers(work: Search) -> list[Start]:
    """Starts that serve, as something else needs one before it."""
    from .candidates import candidates_of
    from .deployments import deployments_of

    found = candidates_of(work.project, work.evidence, deployments_of(work.project))
    return [one for one in found if one.steps[-1][0] == "serve" and "streamlit" not in one.steps[-1][1]]


def _from(workdir: str, start: Start) -> tuple[str, str] | None:
    """A start's server as it is started from a folder; None where it is to run elsewhere."""
    if start.workdir == workdir or workdir == ".":
        return start.steps[-1] if start.workdir == workdir else None
    return start.steps[-1]


def _flask(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """A Flask command that finds no application."""
    setup = trial.setup
    if not re.search(
        r"Could not locate a Flask application|Failed to find (?:Flask )?application|Could not import '",
        trial.seen.error + (trial.broke or "") + trial.shows,
    ):
        return
    for one in [one for one in work.project.objects if one.kind == "wsgi"][:3]:
        folder = work.project.import_root(one.file)
        target = f"{work.project.module(one.file, folder)}:{one.name}"
        if setup.env.get("FLASK_APP") != target:
            start = replace(setup.start, workdir=folder) if folder != "." else setup.start
            yield setup.changed(
                "env.FLASK_APP", f"{one.file}:{one.line}", env={**setup.env, "FLASK_APP": target}, start=start
            )


def _place(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """A file that is looked for from another folder."""
    setup = trial.setup
    lost = re.search(
        r"No such file or directory: '([^'/][^']*)'|can't open file '[^']*?/?([\w.-]+\.py)'", trial.seen.error
    )
    if lost and "No such file" not in work.evidence.text:
        name = lost[1] or lost[2]
        for folder in dict.fromkeys(
            str(PurePosixPath(file).parent) for file in work.project.files if file.endswith(f"/{name}")
        ):
            folder = folder[: -len(str(PurePosixPath(name).parent)) - 1] if "/" in name else folder
            if folder and folder != setup.start.workdir:
                yield setup.changed(
                    "workdir", f"{name} is looked for from there", start=replace(setup.start, workdir=folder)
                )
                return


def _slow(work: Search, trial: Trial) -> Iterator[Setup | None]:
    """A server that was ended at its limit: with one worker, where the log counts none; once more with longer, where it printed no error."""
    setup = trial.setup
    if trial.trace is None or not trial.trace.broke or setup.start.steps[-1][0] != "serve":
        return
    kind, text = setup.start.steps[-1]
    alone = re.sub(r" (?:--workers|-w)[ =]\d+", "", text)
    if alone != text and (work.evidence.workers or 1) == 1:
        start = replace(setup.start, steps=(*setup.start.steps[:-1], (kind, alone)))
        yield setup.changed(
            "startup", "workers that cannot start are started for ever; the log counts none", start=start
        )
    elif setup.seconds < 60 and not trial.seen.error:
        yield setup.changed("limits", f"it was not up in {setup.seconds:g} seconds", seconds=75.0)


def _states(work: Search, trial: Trial) -> Iterator[Setup]:
    """States of the database that the log's error needs."""
    setup, evidence, project = trial.setup, work.evidence, work.project
    if (
        setup.prepare
        or trial.level >= 2
        or not any("upgrade" in text or kind == "serve" for kind, text in setup.start.steps)
    ):
        return
    unknown = re.search(r"Can't locate revision identified by '([^']+)'", evidence.text)
    if unknown and not any(own == unknown[1] for own, _ in project.revisions.values()):
        because = f"the log's database is at revision {unknown[1]}, which no file here has"
        yield setup.changed("prepare", because, prepare=(("upgrade", "head"), ("sql", _stamp(work, unknown[1]))))
        return
    file = next((one.file for one in reversed(evidence.frames) if one.file in project.revisions), None)
    if file is None:
        return
    own, down = project.revisions[file]
    because = f"the log fails in {file}, on a database at the revision before it"
    if _THERE_ALREADY.search(evidence.text):
        for one in _servers(work)[:1]:
            if one.workdir == setup.start.workdir and setup.start.steps[0][0] != "serve":
                steps = (one.steps[-1], *(step for step in setup.start.steps if step[0] != "serve"))
                yield setup.changed(
                    "startup",
                    "what is there already may be of the application's own start",
                    start=replace(setup.start, steps=steps),
                )
        if down:
            yield setup.changed("prepare", because, prepare=(("upgrade", down[0]),))
        return
    if down:
        yield setup.changed(
            "prepare", f"{because}, with a row in each table", prepare=(("upgrade", down[0]), ("rows", "1"))
        )
        yield setup.changed("prepare", because, prepare=(("upgrade", down[0]),))


def _stamp(work: Search, revision: str) -> str:
    """A file of statements that says of the database that it is at a revision."""
    name = "database-state.sql"
    quoted = revision.replace("'", "''")
    (work.folder / name).write_text(f"UPDATE alembic_version SET version_num = '{quoted}';\n", encoding="utf-8")
    return name
