"""Writes a new incident file: from an application's folder and a log to an incident that was tried, each key with how it is known."""

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from ..base.errors import IncidentError
from ..base.janitor import folder as temporary_folder
from ..base.known_secrets import remember
from ..base.redact import redact, shows_secret
from ..base.scan import kinds_in, refuse_secrets
from ..incident import load
from ..incident.repository import QUIET, git_environment
from ..startup.run import reproduce
from ..triage.logs import Log, read_log
from .candidates import Start, candidates_of, step_of
from .deployments import deployments_of
from .environment import database_variables, deployed, parts_of, stand_ins, variables_of
from .evidence import Evidence, evidence_of
from .interpreters import Interpreter, interpreter_of
from .lessons import SCRATCH, lessons
from .project import Project
from .questions import not_found, title_of
from .trial import Search, Setup, Trial, search

_LONGEST_LOG = 4 << 20  # bytes that are copied beside the incident file
_WHOLE = 16 << 20  # bytes of a log that are looked at line by line; of a longer one its beginning and end
_COLUMN = 46  # where a comment begins, if the line leaves room
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
_KINDS = ("import", "call", "code", "command", "serve")


@dataclass(frozen=True)
class Written:
    """What ``new`` wrote and how it came to it; ``reproduced`` is None where nothing was run."""

    file: Path
    root: Path
    reproduced: bool | None
    best: Trial | None
    tried: tuple[Trial, ...]
    because: tuple[tuple[str, str, str], ...]
    not_found: tuple[str, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def code(self) -> int:
        return 0 if self.reproduced else 3


def new(
    folder: Path, *, app: str | None = None, startup: Sequence[str] = (), log: str | None = None, python: str | None = None,
    run: bool | None = None, progress: Callable[[str], None] = lambda text: None,
) -> Written:  # fmt: skip
    """Write ``incident.yaml`` into a folder, and the log beside it.

    :param app: the application's folder; where it is not given, the current one
    :param startup: steps as text, ``import app.main``
    :param log: a file, or "-" for standard input
    :param python: the application's interpreter, where it was named
    :param run: try startups; None: where the kernel's guards are in force
    :raises IncidentError: there is one already, the application or the log is none, or it is another application's log
    :raises SecretFound: a step or the log would show a secret; nothing is written
    """
    given = [_given(text) for text in startup]
    root = _folder(app or ".")
    target = _plain_path(folder.expanduser())
    _free(target, root, log)
    text, read = _log(log) if log else ("", Log((), 0))
    project = Project(root, progress)
    evidence = evidence_of(read, text, project) if log else Evidence()
    if evidence.foreign:
        raise IncidentError(
            f"--log {log}: it is of another application: it passes through {evidence.foreign}, and {root} has no such file. Give the folder of "
            "the application that wrote it by --app, or the log that this one wrote."
        )
    interpreter = interpreter_of(project, python, evidence.prefixes, evidence.version)
    with temporary_folder() as scratch:
        work = Search(project, evidence, str(interpreter.python), scratch, progress)
        setups = _setups(work, interpreter, given)
        run = _guarded(work) if run is None else run
        best = search(work, setups, lessons, progress=progress) if run else None
        setup = best.setup if best is not None else setups[0]
        reproduced = None if not run else best is not None and best.shows_incident
        missing = not_found(work, interpreter, best, run, _lacking(project, interpreter, work))
        known = _because(work, setup, interpreter)
        draft = _Draft(work, setup, best if reproduced else None, interpreter, target, bool(log), missing)
        texts = {"incident.yaml": draft.text()}
        texts |= {"log.txt": redact(text)} if log else {}
        texts |= {one.name: one.read_text("utf-8") for one in scratch.glob("*.sql")}
        _refuse(setup, texts)
        file = _write(target, texts)
    return Written(file, root, reproduced, best, tuple(work.trials), tuple(known), tuple(missing), evidence)


def _write(target: Path, texts: dict[str, str]) -> Path:
    """Put the files into the folder; all of them or none."""
    file, written = target / "incident.yaml", []
    made = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            if name != file.name:
                written.append(target / name)
                (target / name).write_text(text, encoding="utf-8")
        draft = target / f".incident.yaml.{os.getpid()}"
        written.append(draft)
        draft.write_text(texts[file.name], encoding="utf-8")
        load(draft)  # what is written must be what can be read
        os.link(draft, file)  # never over one that somebody made meanwhile
        draft.unlink()
        return file
    except (OSError, IncidentError) as error:
        for one in written:
            one.unlink(missing_ok=True)
        if made and target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if isinstance(error, IncidentError):
            raise
        raise IncidentError(f"{file}: cannot be written: {error.strerror}") from None


def _refuse(setup: Setup, texts: dict[str, str]) -> None:
    """Whoever writes an incident file hands it on: what the sources, or the log, hold of secrets stays there."""
    for _, text in setup.start.steps:
        remember("startup", text)
    own = os.path.join(os.path.expanduser("~"), "")  # the paths in it are of this machine, as they have to be
    refuse_secrets(
        {
            name: text.replace(own, "~/").replace("{database_user}:{database_password}@", "")
            for name, text in texts.items()
        },
        done="written",
        remedy="Take it out of the log; of a step, give the step by --startup with $NAME in its place, and NAME in app.env afterwards.",
    )


# -- what is given


def _given(text: str) -> tuple[str, str]:
    kind, _, rest = (
        text.strip().replace(":", " ", 1).partition(" ")
        if not text.strip().startswith(_KINDS)
        else re.sub(r"^(\w+)\s*:?\s*", r"\1 ", text.strip()).partition(" ")
    )
    if kind not in _KINDS or not rest.strip():
        raise IncidentError(
            f"--startup {text!r}: begin with the kind of step, one of {', '.join(_KINDS)}, as in --startup 'import app.main'"
        )
    return kind, rest.strip()


def _folder(app: str) -> Path:
    path = Path(app).expanduser()
    if path.is_file():
        raise IncidentError(
            f"--app {app}: this is a file; name the folder of the application, as in --app {path.parent}"
        )
    if not path.is_dir():
        raise IncidentError(f"--app {app}: there is no such folder (looked up from {Path.cwd()})")
    plain = _plain_path(path)
    if plain == Path(__file__).parents[2]:
        raise IncidentError(
            "which application? This is the kit's own folder: name the application's by --app, as in --app ../app"
        )
    return plain


def _plain_path(path: Path) -> Path:
    """An absolute path without ``..``; links are kept where they lead to the same."""
    plain = Path(os.path.abspath(path))
    return plain if plain.resolve() == path.resolve() else path.resolve()


def _free(target: Path, root: Path, log: str | None) -> None:
    """Can an incident be written there?"""
    if (target / "incident.yaml").exists():
        raise IncidentError(f"{target / 'incident.yaml'}: there is one already, and it is kept. Give another folder.")
    if target.exists() and not target.is_dir():
        raise IncidentError(f"{target}: this is no folder; a new one is made for each incident")
    inside = target.resolve()
    if inside == root.resolve() or inside.is_relative_to(root.resolve()):
        raise IncidentError(
            f"{target}: lies inside the application {root}, into which nothing is written. Give a folder beside it, as in {root.parent / 'incidents' / target.name}"
        )
    own = Path(log).expanduser().absolute() if log and log != "-" else None
    others = [one for one in sorted(target.iterdir()) if one != own] if target.is_dir() else []
    if others:
        more = " and more" if len(others) > 1 else ""
        raise IncidentError(
            f"{target}: this folder is there already and holds {others[0].name}{more}. Give one that is new or empty."
        )


def _log(log: str) -> tuple[str, Log]:
    """A log's text, of a long one what tells, and its tracebacks.

    :raises IncidentError: it cannot be read, is empty, or is no text
    """
    try:
        if log == "-":
            if sys.stdin.isatty():
                print("kit: paste the log, then Ctrl+D on a line of its own", file=sys.stderr)
            stream: io.BufferedIOBase = io.BytesIO(sys.stdin.buffer.read())
        else:
            stream = Path(log).expanduser().open("rb")
        with stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            head = stream.read(_WHOLE)
            tail = b""
            if size > 2 * _WHOLE:
                stream.seek(size - _WHOLE)
                tail = stream.read()
            elif size > _WHOLE:
                tail = stream.read()
            stream.seek(0)
            read = read_log(stream)
    except OSError as error:
        raise IncidentError(f"--log {log}: cannot be read: {error.strerror}") from None
    if not head.strip():
        raise IncidentError(
            f"--log {log}: it is empty. Give what the application printed when it failed, from the first line on."
        )
    utf16 = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    odd = sum(byte < 9 or 13 < byte < 27 for byte in head[:65536])
    if not utf16 and (odd > 0.02 * len(head[:65536]) or b"\0" in head[:65536]):
        raise IncidentError(f"--log {log}: this is no text. Give the log as the application printed it, unpacked.")
    text = (head + tail).decode("utf-16" if utf16 else "utf-8", "replace").replace("\r\n", "\n")
    if len(text) <= _LONGEST_LOG:
        return text, read
    lines, kept = text.splitlines(keepends=True), set(range(2000))
    for line in [one.line for one in read.tracebacks[:10]] + [one.line for one in read.tracebacks[-10:]]:
        kept |= set(range(max(0, line - 50), min(len(lines), line + 1000)))
    kept |= set(range(max(0, len(lines) - 2000), len(lines)))
    return "".join(lines[number] for number in sorted(kept) if number < len(lines))[-_LONGEST_LOG:], read


# -- the first setups


def _setups(work: Search, interpreter: Interpreter, given: Sequence[tuple[str, str]]) -> list[Setup]:
    """The startups to be tried, with what is known before anything has run."""
    project, evidence = work.project, work.evidence
    commands = deployments_of(project)
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
    return [_setup(work, interpreter, _runnable(one, interpreter), variables) for one in starts]


def _runnable(start: Start, interpreter: Interpreter) -> Start:
    """A startup whose programs are run as modules where the interpreter has no scripts beside it."""
    steps = []
    for kind, text in start.steps:
        name = text.split(" ")[0]
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
        project.text(one) for one in project.python if "engine" in project.text(one) or "asyncpg" in project.text(one)
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


def _guarded(work: Search) -> bool:
    """Are the kernel's guards in force here? Asked of a step that does nothing."""
    empty = work.folder / "nothing"
    empty.mkdir()
    (empty / "nothing.py").write_text("", encoding="utf-8")
    incident = work.incident(Setup(Start((("code", "pass"),), "", 0)))
    incident = incident.model_copy(update={"app": incident.app.model_copy(update={"root": str(empty)})})
    try:
        return not reproduce(incident).provenance["unguarded"]
    finally:
        (empty / "nothing.py").unlink()
        empty.rmdir()


def _lacking(project: Project, interpreter: Interpreter, work: Search) -> list[str]:
    """Libraries of which a trial said that the interpreter has none, or that it lacks altogether where nothing was run."""
    if not work.trials:
        return interpreter.lacks(project)
    missing = {
        name.partition(".")[0]
        for one in work.trials
        for name in one.seen.missing_modules - work.evidence.missing_modules
    }
    return sorted(name for name in missing if name not in interpreter.names and not project.is_own(name))


def _because(work: Search, setup: Setup, interpreter: Interpreter) -> list[tuple[str, str, str]]:
    """Every key with its value and how it is known."""
    content = setup.content(work.python)
    found = [
        (
            "startup",
            "; ".join(f"{kind}: {text}" for kind, text in setup.start.steps),
            setup.known.get("startup", setup.start.because),
        )
    ]
    found += [
        ("app.python", work.python, interpreter.because),
        ("app.workdir", setup.start.workdir, setup.known.get("workdir", setup.start.because)),
    ]
    found += [("app.path", ", ".join(setup.path) or "nothing", setup.known.get("path", "only what Python itself has"))]
    found += [
        (f"app.env.{name}", value, setup.known.get(f"env.{name}", "a trial asked for it"))
        for name, value in setup.env.items()
    ]
    found += [
        (key, str(content[key]), setup.known.get(key, ""))
        for key in ("database", "database_driver", "database_env", "prepare")
        if content.get(key)
    ]
    if work.evidence.expected:
        found.append(("expect.error", work.evidence.expected, work.evidence.at))
    return found


# -- the file


@dataclass
class _Draft:
    """An incident file's text: keys in the order of the README, each with how it is known."""

    work: Search
    setup: Setup
    best: Trial | None
    interpreter: Interpreter
    target: Path
    with_log: bool
    missing: Sequence[str]

    def text(self) -> str:
        setup, evidence, known = self.setup, self.work.evidence, self.setup.known
        lines = [f"title: {_value(redact(title_of(evidence, setup, self.work.project)))}", "app:", *self._source()]
        if setup.start.workdir != ".":
            lines.append(
                _commented(f"  workdir: {_value(setup.start.workdir)}", known.get("workdir", "where commands run"))
            )
        lines.append(
            _commented(
                f"  path: {_value(list(setup.path))}",
                known.get("path", "as the deployment says" if setup.path else "only what Python itself puts there"),
            )
        )
        python = os.path.relpath(self.interpreter.python, self.target.resolve())
        python = python if not python.startswith("../../../../..") else str(self.interpreter.python)
        if self.interpreter.own or self.interpreter.python != Path(sys.executable):
            lines.append(_commented(f"  python: {_value(python)}", self.interpreter.because))
        if setup.env:
            lines.append("  env:                                       # the environment starts empty")
            lines += [
                _commented(f"    {name}: {_value(text)}", known.get(f"env.{name}", ""))
                for name, text in setup.env.items()
            ]
        lines.append(_commented(f"database: {setup.database}", known.get("database", "nothing speaks for another")))
        if setup.driver:
            lines.append(
                _commented(f"database_driver: {setup.driver}", known.get("database_driver", evidence.database_at))
            )
        if setup.database_env:
            lines.append(_commented(f"database_env: {setup.database_env}", known.get("database_env", "")))
        if setup.prepare:
            lines.append(_commented("prepare:", f"before the startup, not judged: {known.get('prepare', '')}"))
            lines += [f"  - {kind}: {_value(int(text) if kind == 'rows' else text)}" for kind, text in setup.prepare]
        lines.append(_commented("startup:", known.get("startup", setup.start.because)))
        lines += [f"  - {kind}: {_value(text)}" for kind, text in setup.start.steps]
        lines += self._expect()
        lines += (
            ["log: log.txt                                 # as it was given, without secrets"]
            if self.with_log
            else ["# log: log.txt"]
        )
        lines += [f"# Not found: {_plain(sentence)}" for sentence in self.missing]
        lines += ["hypotheses: []                               # what people believed; each with a kind is tested"]
        lines += [
            "# remove-legacy: {patches: [fixes/remove-legacy.patch], claim: nobody uses the old class}",
            "fixes: {}",
        ]
        lines += ["checks:                                      # what must be true after a fix", *self._checks()]
        return (
            "\n".join(
                [
                    *lines,
                    "postmortem: {}                               # what only people know: the README names its keys",
                ]
            )
            + "\n"
        )

    def _source(self) -> list[str]:
        root = self.work.project.root.resolve()
        top = self.work.project.git_top
        where = os.path.relpath(root, self.target.resolve())
        plain = [_commented(f"  root: {_value(where)}", "the work tree as it is; it is copied, never written to")]
        head = _committed(top.resolve(), root) if top is not None else None
        if top is None or top.resolve() == root:
            return plain
        if head is None:
            return [
                *plain,
                "  # it has changes that are in no commit; for its history: repository, revision and subdir in place of root",
            ]
        lines = [
            _commented(
                f"  repository: {_value(os.path.relpath(top.resolve(), self.target.resolve()))}",
                "the folder lies in it, without changes",
            )
        ]
        return [*lines, f"  revision: {head}", f"  subdir: {_value(root.relative_to(top.resolve()).as_posix())}"]

    def _expect(self) -> list[str]:
        evidence = self.work.evidence
        error = (self.best.expected if self.best is not None else None) or evidence.expected
        if not error:
            return [
                "# expect:                                    # how the incident looks; left out, whatever goes wrong counts"
            ]
        lines = [_commented("expect:", f"how the incident looks; {evidence.at}"), f"  error: {_value(error)}"]
        return [*lines, f"  table: {_value(evidence.table)}"] if evidence.table else lines

    def _checks(self) -> list[str]:
        below = [
            one
            for one in self.work.project.alembic
            if os.path.dirname(one) in ("" if self.setup.start.workdir == "." else self.setup.start.workdir,)
        ]
        asked = below and any("alembic" in text or ".sh" in text for _, text in self.setup.start.steps)
        return ([f"  - migrations: {_value(os.path.basename(below[0]))}"] if asked else []) + [
            "  - mappers: true",
            "  - clean_start: true",
        ]


def _committed(top: Path, root: Path) -> str | None:
    """The commit that a folder is at, where all of it is in that commit; else None."""
    environment = git_environment()

    def git(*words: str) -> str | None:
        done = subprocess.run(
            ["git", *QUIET, "-C", str(top), *words], env=environment, capture_output=True, text=True, errors="replace"
        )
        return done.stdout.strip() if not done.returncode else None

    below = root.relative_to(top).as_posix()
    if git("status", "--porcelain", "--ignored", "--", below) != "" or not git("ls-files", "--", below):
        return None
    return git("rev-parse", "HEAD")


def _plain(text: str) -> str:
    """Text of the application as a comment may hold it: in one line, printable, without secrets."""
    return redact(re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]+|\s+", " ", text))


def _commented(line: str, comment: str) -> str:
    """A line with a comment, on its right where there is room and else above it."""
    comment = _plain(comment)
    if not comment:
        return line
    if len(line) < _COLUMN - 1 and len(comment) < 76:
        return f"{line.ljust(_COLUMN - 1)}# {comment}"
    if len(line) + len(comment) < 118:
        return f"{line}    # {comment}"
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}# {comment}\n{line}"


def _value(value) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


# -- what the command line says


def report_of(written: Written) -> dict:
    """The result as JSON."""
    tried = [
        {"startup": str(one.setup.start), "shows": one.shows, "seconds": round(one.seconds, 1)} for one in written.tried
    ]
    because = [{"key": key, "value": value, "from": why} for key, value, why in written.because]
    return {
        "schema": 1, "incident": str(written.file), "reproduced": written.reproduced, "tried": tried, "because": because, "not_found": list(written.not_found),
    }  # fmt: skip


def told_of(written: Written) -> list[str]:
    """The result in words, and what to do next."""
    lines = [f"{_shown(written.file)}: written from {written.root}"]
    lines += [f"  {key}: {value}" + (f"  ({why})" if why else "") for key, value, why in written.because]
    lines += [f"  trial {number}: {one.setup.start}: {one.shows}" for number, one in enumerate(written.tried, 1)]
    if written.reproduced:
        lines.append("reproduced: " + (written.best.shows if written.best is not None else ""))
    elif written.reproduced is None:
        lines.append("nothing was run: the file is a proposal from reading alone; `--run` tries it")
    else:
        lines.append(
            "not reproduced: no trial shows "
            + ("the log's error" if written.evidence.expected else "that anything goes wrong")
        )
    lines += [f"  {sentence}" for sentence in written.not_found]
    lines = [
        lines[0],
        *(_plain(line) if not line.startswith("  ") else "  " + _plain(line.strip()) for line in lines[1:]),
    ]
    shown, python = shlex.quote(_shown(written.file.parent)), _started_by()
    lines += [
        "next:",
        f"  {python} -m kit postmortem {shown}     its page",
        f"  {python} -m kit reproduce {shown}      once more, step by step",
    ]
    return [redact(line) for line in lines]


def _shown(path: Path) -> str:
    """A path as somebody would type it here: relative, but from the root where that is nearer."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith(os.path.join("..", "..", "")) else str(path)


def _started_by() -> str:
    """This interpreter as a shell in the current folder starts it: by a relative path where it lies below that."""
    python, here = Path(sys.executable), Path.cwd()
    return shlex.quote(str(python.relative_to(here) if python.is_relative_to(here) else python))
