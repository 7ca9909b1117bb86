"""The setups to try after a trial that failed for another reason. Nothing that the log calls missing or wrong is supplied."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath

from ..base.errors import KitError
from ..diagnose.observation import ran_of
from ..incident.deployments import KNOWN, program_of
from ..incident.environment import (
    NO_URL,
    Variable,
    database_variables,
    named,
    refused_examples,
    refused_settings,
    stand_in,
    variable_of_folder,
)
from ..incident.starts import tasks_of
from ..trace.expected import holds
from ..triage.evidence import evidence_of
from ..triage.logs import read_log
from ..triage.programs import created_again
from .trial import Search, Setup, Trial, run_trial

URL = "{scheme}://{{database_user}}:{{database_password}}@{{database_host}}:{{database_port}}/{{database_name}}"
SCRATCH = "KIT_SCRATCH_URL"  # holds the scratch database's URL where the application is to be given another
_STATE = "database-state.sql"
_VERSION = "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32)); DELETE FROM alembic_version; "
_DRIVERS = {"psycopg2", "psycopg", "asyncpg", "pg8000", "aiosqlite"}
_NEEDS_ASYNC = re.compile(r"asyncio extension requires an async driver|is not async|with non-asyncio engine")
_NEEDS_SYNC = "greenlet_spawn has not been called"
_OF_SQLITE = re.compile(
    r"sqlite|can't render element of type|Compiler.*can't render|Invalid argument\(s\).*create_engine|unexpected keyword argument|"
    r"near \"|no such function|No support for ALTER|is an invalid keyword argument for Connection|postgres|JSONB|TSVECTOR",
    re.I,
)
_NO_TABLE = re.compile(r"no such table|relation \"[^\"]+\" does not exist|UndefinedTable")
_NO_CONFIG = re.compile(r"No config file|No 'script_location'|doesn't exist")
_NO_FLASK = re.compile(r"Could not locate a Flask application|Failed to find (?:Flask )?application|Could not import '")
_THERE_ALREADY = re.compile(r"already exists|DuplicateTable|DuplicateObject|DuplicateColumn|duplicate column")
_MADE_BEFORE = re.compile(rf"{_THERE_ALREADY.pattern}|UNIQUE constraint failed|uplicate (key|entry)|already defined")
_NOT_THERE = re.compile(
    r"(?:file|directory:?|config) ['\"]([^'\"\n]+)['\"] (?:not found|does not exist)|[Dd]irectory ['\"]?([^'\"\n]+?)['\"]? does not exist|(?:No such file or directory\)?|Permission denied): ['\"]([^'\"\n]+)['\"]|Path doesn't exist: ['\"]?(/[\w./-]*\w)|type=path_not_\w+, input_value='([^'\n]+)'|\bpath ([\w./-]+) is not a valid|['\"]([\w.-]+(?:/[\w.-]+)+)/?['\"] does not exist"
)
_EXAMPLE = re.compile(
    r"[-_.](?:example|sample|template|dist|default)\b|(?<![a-z])(?:example|sample|template|default)[-_.]"
)
_LITERAL = re.compile(r"\b(postgres(?:ql)?|mysql|sqlite)(?:\+(\w+))?://[^\s\"'{}$]+")
_SETTINGS = re.compile(r"^(?!(?:.*/)?(?:tests?|docs?)/|\.github/|.*compose).*\.(?:py|ini|toml|cfg|ya?ml|json)$")


def lessons(work: Search, trial: Trial) -> list[Setup]:
    """Setups that remove what stopped a trial, the likeliest first."""
    setups: list[Setup] = []
    for learn in (_slow, _variables, _tasks, _modules, _drivers, _databases, _alembic, _places, _files):
        setups = setups or list(learn(work, trial))
    if not setups or trial.healthy:
        setups += _states(work, trial)
    if trial.healthy and (work.evidence.workers or 1) > 1 and trial.setup.run < 3:
        setups.append(trial.setup.changed("startup", "processes race: it is run again", run=trial.setup.run + 1))
    return [replace(setup, score=setup.score - number) for number, setup in enumerate(setups)]


def lessons_behind(work: Search, trial: Trial) -> list[Setup]:
    """The same startup with what its surroundings lack, where the incident is gone and another error stands behind it."""
    rules = (_variables, _drivers, _databases, _files)
    taught = ([setup for setup in learn(work, trial) if setup.key != trial.setup.key] for learn in rules)
    return next(filter(None, taught), [])


def completed(work: Search, best: Trial | None) -> Trial | None:
    """The trial with what its surroundings lack behind the incident, as a run says that goes on past it; the incident stays."""
    with suppress(KitError):  # what was tried until then stands
        for _ in range(3 if best is not None and best.shows_incident and work.evidence.expected else 0):
            work.progress("looking behind it, for what else this setup lacks")
            beyond = ran_of(work.incident(best.setup), go_on=True).trace
            errors = (str(behind.error) for behind in beyond.behind if not behind.follows)
            seen = (evidence_of(read_log(e), e, work.project) for e in errors if not holds(e, work.evidence.expected))
            taught = next(filter(None, (lessons_behind(work, replace(best, seen=other)) for other in seen)), None)
            tried = run_trial(work, replace(taught[0], score=best.setup.score)) if taught else best
            if tried is best or tried.level < best.level:
                break
            work.trials.append(best := tried)
    return best


def _started(setup: Setup, because: str, steps: Sequence[tuple[str, str]] | None = None, **fields) -> Setup:
    """The setup with other steps or another working folder."""
    start = replace(setup.start, **({"steps": tuple(steps)} if steps else {}), **fields)
    return setup.changed("workdir" if "workdir" in fields else "startup", because, start=start)


def _slow(work: Search, trial: Trial) -> Iterator[Setup]:
    """After a run was ended at its limit: more time for what shows the log's error, and for a server, migrations or the log's own program that printed none."""
    setup, trace = trial.setup, trial.trace
    ended = trial.seconds > setup.seconds if trace is None else trace.broke
    works = "upgrade" in f"{setup.start} {setup.prepare}" or setup.score > 40  # the log's own program
    slow = works if trace is None else trial.level >= 2 if trial.seen.error else setup.start.serves or works
    *before, (kind, last) = setup.start.steps
    plain = not re.search(r"^(timeout|sh) |^\w+=|[|&;<>$`]", last)  # such that ``timeout`` can start it
    if ended and trial.level >= 2 and kind == "command" and plain:
        yield _started(setup, "it goes on after the log's error", [*before, (kind, f"timeout 15 {last} || true")])
    elif ended and slow and setup.seconds < 60:
        yield setup.changed("limits", f"it was not up after {setup.seconds:g} seconds", seconds=75.0)


def _variables(work: Search, trial: Trial) -> Iterator[Setup]:
    """Variables that the trial misses and the log does not; a settings class names them by its fields."""
    setup, known = trial.setup, {variable.name: variable for variable in work.variables}
    names = named(trial.seen.missing_variables, work.variables) - {*work.evidence.missing_variables, *setup.env}
    env = dict(setup.env)
    examples = () if names or refused_settings(work.project, work.evidence.text) else (work.project, work.variables)
    if examples and (shown := refused_examples(*examples, trial.seen.text, frozenset(env))):
        because = "a trial refused these settings; the values are the example file's"
        yield setup.changed(f"env.{min(shown)}", because, env=env | shown)
    for name in names:
        variable = known.get(name, Variable(name, "", True, "str", False))
        env[name] = "{database_url}" if variable.rank else stand_in(name, variable.kind, variable.default)
    if names:
        yield setup.changed(f"env.{min(names)}", f"a trial failed without {', '.join(sorted(names))}", env=env)


def _tasks(work: Search, trial: Trial) -> Iterator[Setup]:
    """What the trial's error itself says to run first, a task of the application's own; not where the log's error says it too."""
    for file, _, name, line in tasks_of(work.project):
        says = re.compile(rf"\b(?:task|run|poe|pdm|hatch|make) {re.escape(name)}(?![\w-])")
        step, setup = ("command", line), trial.setup
        new = step not in setup.prepare and program_of(line) in KNOWN
        if new and says.search(trial.seen.text) and not says.search(work.evidence.text):
            because = f"a trial's error names the task {name} of {file}"
            yield setup.changed("prepare", because, prepare=(*setup.prepare, step))


def _modules(work: Search, trial: Trial) -> Iterator[Setup]:
    """A module of the application's own that is on no path, where the log does not say so; a folder that shadows a library."""
    setup, project, seen = trial.setup, work.project, trial.seen
    missing = seen.missing_modules - work.evidence.missing_modules
    added = not missing and set(setup.path) - set(setup.start.path)
    of_import = added and re.search(r"(Import|Attribute)Error$", seen.type)
    if of_import and (shadowed := set(re.findall(r"\w+", seen.text)) & set(project.shadowed(setup.path[-1]))):
        yield setup.changed("path", f"{setup.path[-1]} shadows the library {min(shadowed)}", path=setup.path[:-1])
    for module in missing:
        places = project.importable.get(module.partition(".")[0], ())
        folders = [place for place in places if place not in setup.path]
        for folder in sorted(folders, key=lambda folder: project.file_of(module, folder) is None)[:2]:
            because = f"a trial did not find the module {module}, which is in this folder"
            yield setup.changed("path", because, path=(*setup.path, folder))
        if setup.start.steps[-1][1] == "pytest" and folders:
            steps = (*setup.start.steps[:-1], ("command", "python -m pytest"))
            yield _started(setup, f"pytest alone did not find the module {module}", steps)


def _drivers(work: Search, trial: Trial) -> Iterator[Setup]:
    """Another driver, where the code demands it or the present one is not installed, and the log says neither."""
    setup, evidence, text = trial.setup, work.evidence, trial.seen.text
    asynchronous = "aiosqlite" if setup.database == "sqlite" else "asyncpg"
    missing = trial.seen.missing_modules - evidence.missing_modules
    wanted = {module.partition(".")[0] for module in missing} & {*_DRIVERS, "MySQLdb", "pymysql"}
    installed = work.installed or {*_DRIVERS}
    needs_async = bool(_NEEDS_ASYNC.search(text) and not _NEEDS_ASYNC.search(evidence.text))
    if needs_async and setup.driver != asynchronous and asynchronous in installed:
        yield setup.changed("database_driver", "the code needs an asynchronous driver", driver=asynchronous)
    elif (needs_async or "aiosqlite" in wanted) and setup.database == "sqlite" and "asyncpg" in installed:
        because = "the code needs an asynchronous driver, and aiosqlite is not installed"
        yield setup.changed("database", because, database="postgresql", driver="asyncpg")
    elif (needs_async or wanted) and not installed & _DRIVERS:
        yield from _without_database(work, setup, ("aiomysql", "asyncmy") if needs_async else ("pymysql", "MySQLdb"))
    if _NEEDS_SYNC in text and _NEEDS_SYNC not in evidence.text and setup.driver == asynchronous:
        yield setup.changed("database_driver", "the code is synchronous", driver=None)
    if wanted and setup.database == "postgresql" and setup.database_env != SCRATCH:
        for driver in ("psycopg", "asyncpg", "pg8000", None):
            if driver != setup.driver and (driver or "psycopg2") in installed:
                yield setup.changed("database_driver", f"{', '.join(wanted)} is not installed", driver=driver)


def _without_database(work: Search, setup: Setup, drivers: Sequence[str]) -> Iterator[Setup]:
    """A URL of the database whose driver is installed, where the kit has none to offer: what fails before it is reached shows."""
    driver = next((driver for driver in drivers if driver in work.installed), None)
    names = [name for name, text in setup.env.items() if "{database_url}" in text]
    names.append(setup.database_env or "DATABASE_URL")
    if driver and SCRATCH not in names:
        scheme = "mysql" if driver == "MySQLdb" else f"mysql+{driver}"
        because = f"{driver} is the only driver installed; the kit makes no such database, and nothing answers there"
        env = setup.env | dict.fromkeys(names, f"{scheme}://kit@127.0.0.1:9/kit")
        yield setup.changed(f"env.{names[-1]}", because, env=env, database="sqlite", driver=None, database_env=SCRATCH)


def _databases(work: Search, trial: Trial) -> Iterator[Setup]:
    """A database that the code does not take, one of the application's own that the kit refuses, tables that are not there."""
    setup, evidence = trial.setup, work.evidence
    caught = [str(swallowed.error) for swallowed in trial.trace.swallowed] if trial.trace is not None else []
    text = trial.seen.error or trial.broke or next(iter(caught), "")
    bare = bool(_NO_TABLE.search(text))
    scheme, name = re.search(r"['\"](postgres\w*(?:\+\w+)?)://", text), setup.database_env or "DATABASE_URL"
    if scheme and scheme[0] not in evidence.text and name != SCRATCH:
        env, because = {**setup.env, name: URL.format(scheme=scheme[1])}, f"the code demands this scheme: {text[:80]}"
        yield setup.changed("database", because, env=env, database="postgresql", driver=None, database_env=SCRATCH)
    refused = [attempt["what"] for attempt in trial.trace.refused] if trial.trace is not None else []
    other = setup.database == "sqlite" and evidence.database != "sqlite" and not trial.level
    if other and not bare and _OF_SQLITE.search(text) and not any(target in text for target in refused):
        driver = "asyncpg" if setup.driver == "aiosqlite" else None
        because = f"the code does not run on SQLite: {text[:80]}"
        yield setup.changed("database", because, database="postgresql", driver=driver)
    migrated = "upgrade" in str(setup.start) or any(kind != "command" for kind, _ in setup.prepare)
    if bare and not _NO_TABLE.search(evidence.text) and work.project.alembic and not migrated:
        yield setup.changed("prepare", "the log's database had tables", prepare=(*setup.prepare, ("upgrade", "head")))
    unset = NO_URL.search(trial.seen.text) and not NO_URL.search(evidence.text)
    if unset or any(re.search(r"://|:5432|:3306", target) for target in refused):
        for variable in database_variables(work.variables):
            if variable.name not in (setup.database_env, *setup.env, *evidence.missing_variables):
                because = f"read at {variable.at}; a trial tried to reach another database"
                yield setup.changed("database_env", because, database_env=variable.name)
        yield from _literals(work, setup, refused)
    for name, text in setup.env.items() if unset else ():
        if text == stand_in(name) and re.search("DSN|UR[IL]|CONN|DB", name):
            env = setup.env | {name: "{database_url}"}
            yield setup.changed(f"env.{name}", "a trial took its stand-in for a database's URL", env=env)


def _literals(work: Search, setup: Setup, refused: Sequence[str]) -> Iterator[Setup]:
    """Replace database URLs that are written in the sources by the scratch database's, in the copy; a file's only where that is refused."""
    texts = ((file, _LITERAL.search(work.project.text(file))) for file in work.project.files if _SETTINGS.search(file))
    held = ((file, it) for file, it in texts if it and (it[1] != "sqlite" or any(it[0] in text for text in refused)))
    literals = {file: literal.groups() for file, literal in held}
    if not literals or any("{database_url}" in text for _, text in setup.prepare):
        return
    up = "../" * (0 if setup.start.workdir == "." else setup.start.workdir.count("/") + 1)
    pattern = r"""'s#\b(postgres(ql)?|mysql|sqlite)(\+[a-z0-9]+)?://[^ "'"'"']+#{database_url}#'"""
    lines = [("command", f"sed -i -E {pattern} {shlex.quote(up + file)}") for file in list(literals)[:3]]
    because = f"{next(iter(literals))} holds a database URL; in the copy the scratch database's takes its place"
    driver = next((driver for _, driver in literals.values() if driver), None)
    database = "sqlite" if {scheme for scheme, _ in literals.values()} == {"sqlite"} else "postgresql"
    prepare = (*lines, *setup.prepare)
    yield setup.changed("prepare", because, database=database, driver=driver, prepare=prepare)


def _alembic(work: Search, trial: Trial) -> Iterator[Setup]:
    """What Alembic asks for first; a check that agrees where the log's did not."""
    setup, text, log_text = trial.setup, trial.seen.error, work.evidence.text
    *before, (kind, last) = setup.start.steps
    if (program := program_of(last)) not in ("alembic", "flask"):
        return
    upgrade = ("command", "flask db upgrade" if program == "flask" else "alembic upgrade head")
    if "not up to date" in text and "not up to date" not in log_text and upgrade not in before:
        yield _started(setup, "a check needs the database at head", [*before, upgrade, (kind, last)])
    checks = {"check", "revision"} & set(last.split()) and upgrade in before and not trial.level
    if checks and not any(kind == "serve" for kind, _ in before):
        for server in _servers(work, setup.start.workdir)[:2]:
            because = "the check may see what the application's own start did"
            yield _started(setup, because, [*before, server, (kind, last)])
    if _NO_CONFIG.search(text) and not _NO_CONFIG.search(log_text) and not _NOT_THERE.search(text):
        scripts = re.search(r"Path doesn't exist: '?([\w./-]+\w)", text)
        at = scripts and next((f for f in work.project.named("env.py") if f.endswith(f"{scripts[1]}/env.py")), "")
        for ini in work.project.alembic:
            folder = str(PurePosixPath(ini).parent)
            if at and " -c " not in last:  # its folder of scripts is named from where Alembic is started
                folder = at.removesuffix(f"{scripts[1]}/env.py").rstrip("/") or "."
                line = last.replace("alembic", f"alembic -c {os.path.relpath(ini, folder)}", 1)
                yield _started(setup, f"{ini} names {scripts[1]}", [*before, (kind, line)], workdir=folder)
            elif folder != setup.start.workdir:
                yield _started(setup, f"{ini} lies there", workdir=folder)
    if last.endswith(" head") and "Multiple head" in text and "Multiple head" not in log_text:
        yield _started(setup, "there are several branches, and the log knows of none", [*before, (kind, f"{last}s")])
    wanted = re.match(r"KeyError: '(\w+)'", text)
    frame = trial.seen.frames[-1] if wanted and trial.seen.frames else None
    if frame and "get_x_argument" in work.project.text(frame.file) and " -x " not in last:
        line = last.replace("alembic", f"alembic -x {wanted[1]}={stand_in(wanted[1], 'str')}", 1)
        yield _started(setup, f"{frame.file}:{frame.line} asks for it", [*before, (kind, line)])


def _servers(work: Search, workdir: str) -> list[tuple[str, str]]:
    """Steps that serve the application from a folder, to run before a command that needs the server."""
    last = [start.steps[-1] for start in work.starts if start.workdir == workdir]
    return [(kind, text) for kind, text in last if kind == "serve" and "streamlit" not in text]


def _places(work: Search, trial: Trial) -> Iterator[Setup]:
    """A Flask command that finds no application, a file that is looked for from another folder; where the log found them."""
    setup, project, log_error = trial.setup, work.project, work.evidence.error
    if _NO_FLASK.search(f"{trial.seen.error} {trial.shows}") and not _NO_FLASK.search(log_error):
        for object_ in [object_ for object_ in project.objects if object_.kind == "wsgi"][:3]:
            folder = project.import_root(object_.file)
            target = f"{project.module(object_.file, folder)}:{object_.name}"
            if setup.env.get("FLASK_APP") != target:
                start = replace(setup.start, workdir=folder if folder != "." else setup.start.workdir)
                env = {**setup.env, "FLASK_APP": target}
                yield setup.changed("env.FLASK_APP", f"{object_.file}:{object_.line}", env=env, start=start)
    old = re.match(r"flask --app (\S+) (.*)", setup.start.steps[-1][1])
    if old and "no such option: --app" in f"{trial.seen.error} {trial.shows}".lower():
        steps = [*setup.start.steps[:-1], (setup.start.steps[-1][0], f"flask {old[2]}")]
        env = {**setup.env, "FLASK_APP": old[1].strip("'\"")}
        yield replace(_started(setup, "this version of Flask has no --app", steps), env=env)
    lost = re.search(r"No such file or directory: '([^'/][^']*)'|can't open file '([\w./-]+\.py)'", trial.seen.error)
    if lost and "No such file" not in log_error:
        name = lost[1] or lost[2]
        folders = [file[: -len(name) - 1] for file in project.files if file.endswith(f"/{name}")]
        for folder in [folder for folder in folders if folder != setup.start.workdir][:1]:
            yield _started(setup, f"{name} is looked up from this folder", workdir=folder)


def _files(work: Search, trial: Trial) -> Iterator[Setup]:
    """Files and folders that are in no copy of the sources, as settings, and what a front end's build makes; not where the log misses them."""
    setup, log_error = trial.setup, work.evidence.error
    lost = _NOT_THERE.search(trial.seen.error)
    name = next(filter(None, lost.groups()), "") if lost else ""
    root = f"{work.project.root}/"
    if not name or name in log_error or not re.fullmatch(r"[\w./+ -]+", name):
        return  # what is no plain path is not written into a command
    if name.startswith("/") and not name.startswith(root):
        yield from _of_the_image(work, setup, name)
        return
    for variable, place in setup.env.items():
        here = os.path.normpath(os.path.join(setup.start.workdir, place))
        if place and name.endswith(f"/{place}") and work.project.has(here) and re.fullmatch(r"[\w./+-]+", place):
            steps = [(kind, f'{variable}="$PWD/{place}" {text}') for kind, text in setup.start.steps]
            env = {other: value for other, value in setup.env.items() if other != variable}
            because = f"{variable} is not read from the folder where it is started: it was {name}"
            yield replace(_started(setup, because, steps), env=env)
            return
    inside = os.path.normpath(name.removeprefix(root))
    if inside.startswith("..") or work.project.has(inside):
        return
    folder = lost[2] or not (re.search(r"(^|/)\.env[\w.]*$", inside) or "." in inside.rpartition("/")[2])
    example = next((file for file in work.project.files if file != inside and _EXAMPLE.sub("", file) == inside), None)
    make = shlex.join([*(["cp", example] if example else ["mkdir", "-p"] if folder else ["touch"]), inside])
    if (example or folder or re.search(r"(^|/)\.env[\w.]*$", inside)) and ("command", make) not in setup.prepare:
        because = f"a trial did not find {inside}, which is not among the sources"
        yield setup.changed("prepare", because, prepare=(*setup.prepare, ("command", make)))


def _of_the_image(work: Search, setup: Setup, name: str) -> Iterator[Setup]:
    """Where a source names one of the application's files as it lies in the image, in the copy its own place stands there."""
    parts, project = name.strip("/").split("/"), work.project
    tail = next((tail for n in range(len(parts)) if (project.root / (tail := "/".join(parts[n:]))).exists()), None)
    holders = [file for file in project.files if _SETTINGS.search(file) and name in project.text(file)][:3]
    up = "../" * (0 if setup.start.workdir == "." else setup.start.workdir.count("/") + 1)
    lines = [f'sed -i "s#{name}#$PWD/{up}{tail}#g" {shlex.quote(up + holder)}' for holder in holders]
    if tail and lines and ("command", lines[0]) not in setup.prepare:
        because = f"{holders[0]} names {name}, which is {tail} here"
        yield setup.changed("prepare", because, prepare=(*(("command", line) for line in lines), *setup.prepare))
    texts = {variable.name: variable.default or "" for variable in work.variables} | setup.env
    folders = ((other, text.rstrip("/")) for other, text in texts.items() if text[:1] == "/")
    above = (other for other, folder in folders if folder and os.path.commonpath([name, folder]) in (name, folder))
    variable = next(above, None) or variable_of_folder(name)
    place = f"{up}{tail}" if tail else "." if texts.get(variable) != name else PurePosixPath(name).name
    if variable and setup.env.get(variable) != place:
        yield setup.changed(f"env.{variable}", f"{name} lies outside of the copy", env={**setup.env, variable: place})


def _states(work: Search, trial: Trial) -> Iterator[Setup]:
    """Database states that the log's error needs."""
    setup, evidence, revisions, steps = trial.setup, work.evidence, work.project.revisions, trial.setup.start.steps
    made = trial.healthy and (evidence.workers or 1) == 1 and _MADE_BEFORE.search(evidence.text)
    if made and steps.count(steps[0]) < 2:
        twice = (*([step for step in steps if step[0] != "serve"] or steps), *steps)
        yield _started(setup, "what is there already may be of the start before", twice)
    printed = "".join(step.output for step in trial.trace.steps) if trial.trace is not None else ""
    migrates = "upgrade" in str(steps) or setup.start.serves or "alembic.runtime" in printed
    if any(kind != "command" for kind, _ in setup.prepare) or trial.level >= 2 or not migrates:
        return
    unknown = re.search(r"Can't locate revision identified by '([\w.+-]+)'", evidence.text)
    if unknown and unknown[1] not in {revision.id for revision in revisions.values()}:
        (work.folder / _STATE).write_text(f"{_VERSION}INSERT INTO alembic_version VALUES ('{unknown[1]}');\n", "utf-8")
        because = f"the log's database is at revision {unknown[1]}, which no file has"
        # Where only the application itself can upgrade, its version alone says it.
        for head in ([("upgrade", "head")], []):
            yield setup.changed("prepare", because, prepare=(*setup.prepare, *head, ("sql", _STATE)))
    file = next((frame.file for frame in reversed(evidence.frames) if frame.file in revisions), None)
    upgraded = (revision.file for revision in revisions.values() if revision.id == evidence.upgrading)
    file = file or next(upgraded, None) or _changing(work) or created_again(work.project, evidence.text)
    if file is None:
        return
    because, down = f"the log fails in {file}, on a database at the revision before it", revisions[file].down
    there = _THERE_ALREADY.search(evidence.text)
    servers = _servers(work, setup.start.workdir)[:1] if there and steps[0][0] != "serve" else []
    before = (*setup.prepare, ("upgrade", down[0])) if down else setup.prepare
    for server in servers:
        others = [step for step in steps if step[0] != "serve"]
        served = _started(setup, "what is there already may be of the application's own start", [server, *others])
        yield from [served.changed("prepare", because, prepare=before)] if down else []
        yield served
    if down and not there:
        yield setup.changed("prepare", f"{because}, with a row in each table", prepare=(*before, ("rows", "1")))
    if down:
        yield setup.changed("prepare", because, prepare=before)


def _changing(work: Search) -> str | None:
    """The revision that changes what the statement of the log's error changes, where the log has no frame of it."""
    names = set(re.findall(r"\b(?:TABLE|COLUMN|INDEX|TYPE|ON)\s+[\"`]?(?!IF\b)(\w+)", work.evidence.statement))
    words = {file: re.findall(r"[\"'](\w+)[\"']", work.project.text(file)) for file in work.project.revisions}
    files = [file for file in words if names and names <= {*words[file]}]
    return min(files, key=lambda file: len(words[file]), default=None)
