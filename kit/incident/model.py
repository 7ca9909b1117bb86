"""The incident file, validated; every path resolved.

The file is YAML (see ``README.md`` for every key). Relative paths start at its folder. A key that is
not known, a wrong type or a missing path is an :class:`~kit.errors.IncidentError` that names the key
and the line.
"""

import datetime
import difflib
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ..base.errors import IncidentError, RunBroke
from ..base.known_secrets import remember_all, says_secret
from . import yaml_file
from .yaml_file import line_of

DATABASE_SERVER = "KIT_POSTGRES_URL"  # the variable that gives the PostgreSQL server, unless the file names another
_DATABASE_PARTS = tuple(f"database_{part}" for part in ("host", "port", "name", "user", "password"))  # PostgreSQL's
_PLACEHOLDERS = ("database_url", *_DATABASE_PARTS)
_MOST_BYTES = 4 << 20
_MOST = 10**9  # of any limit: beyond it the system takes no number
_STEP_KINDS = ("import", "call", "code", "command", "serve")


def _as_text(value: Any) -> Any:
    """YAML reads ``PORT: 8080`` as a number and ``due: 2025-12-01`` as a date; here both are text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float, datetime.date)) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_as_text)]
Texts = Annotated[list[str], BeforeValidator(_as_list)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _refuse_placeholders(text: str, known: tuple[str, ...]) -> None:
    """A ``{name}`` that nothing is put in place of; the shell's ``${name}`` and what stands in single quotes are its own."""
    for found in re.finditer(r"(?<![$\w{])\{([A-Za-z_]\w*)\}", text):
        name = found[1]
        near = difflib.get_close_matches(name.lower(), known, 1)
        quoted = text[: found.start()].count("'") % 2 == 1
        if name in known or (quoted and not near):
            continue
        if name == "port":
            raise ValueError(
                "{port} stands for the port of a server: this step must be 'serve: …' in place of 'command: …'"
            )
        shown = ", ".join(f"{{{one}}}" for one in known)
        hint = f"did you mean {{{near[0]}}}?" if near else f"known here: {shown}; the shell's own is ${{{name}}}"
        raise ValueError(f"unknown placeholder {{{name}}}; {hint}")


class Step(_Part):
    """One startup step: ``kind`` is import, call, code, command or serve; ``text`` what it runs."""

    kind: Literal["import", "call", "code", "command", "serve"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _one_key(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _STEP_KINDS:
            kind, text = next(iter(value.items()))
            return {"kind": kind, "text": text}
        raise ValueError(f"a step is one of {', '.join(_STEP_KINDS)}, as in '- import: app.main'")

    @model_validator(mode="after")
    def _form(self) -> "Step":
        if self.kind == "import" and not re.fullmatch(r"\w+(\.\w+)*", self.text):
            raise ValueError(f"import takes a module's dotted name, not {self.text!r}")
        if self.kind == "call" and not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", self.text):
            raise ValueError(f"call takes module:function, not {self.text!r}")
        if self.kind in ("command", "serve"):
            _refuse_placeholders(self.text, ("port", *_PLACEHOLDERS) if self.kind == "serve" else _PLACEHOLDERS)
        return self

    @property
    def in_process(self) -> bool:
        """Does it run in the interpreter that neighbouring steps share?"""
        return self.kind in ("import", "call", "code")

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class App(_Part):
    """Where the application is and what runs it."""

    root: str | None = None
    repository: str | None = None
    revision: str = "HEAD"
    subdir: str = "."
    workdir: str = "."
    path: list[str] = ["."]
    python: str | None = None
    env: dict[str, Text] = {}

    @model_validator(mode="after")
    def _one_source(self) -> "App":
        if (self.root is None) == (self.repository is None):
            raise ValueError("give either root (a folder) or repository (a git repository)")
        return self

    @field_validator("env")
    @classmethod
    def _sound(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not name or "=" in name:
                raise ValueError(f"{name!r} is no name of a variable")
            for found in re.findall(r"(?<!\$)\{([A-Za-z_]\w*)\}", text):
                near = difflib.get_close_matches(found.lower(), _PLACEHOLDERS, 1)
                if found not in _PLACEHOLDERS and near:
                    raise ValueError(f"{name}: unknown placeholder {{{found}}}; did you mean {{{near[0]}}}?")
        return value

    @field_validator("workdir", "subdir")
    @classmethod
    def _inside(cls, value: str) -> str:
        if Path(value).is_absolute() or ".." in Path(value).parts:
            raise ValueError(f"{value!r} must lie inside the application's root")
        return value


class Expect(_Part):
    """How the incident looks when it reproduces; both must hold where both are given."""

    error: str | None = None
    table: str | None = None


class Hypothesis(_Part):
    """What somebody believed."""

    claim: str
    kind: str | None = None


class Fix(_Part):
    """A change that is said to help: patches for ``git apply``, or commits of the history, in order."""

    patches: Texts = []
    commits: Texts = []
    claim: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "Fix":
        if bool(self.patches) == bool(self.commits):
            raise ValueError("a fix is given by patches (files) or by commits, one or several")
        return self


class Http(_Part):
    """One request to the served application and the answer that must come."""

    method: str = "GET"
    path: str
    status: int = 200
    headers: dict[str, Text] = {}
    body: str | None = None

    @field_validator("path")
    @classmethod
    def _from_the_root(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError(f"a path begins with a slash, as in '/{value}'")
        return value


class Check(_Part):
    """What must be true after a fix: one of migrations, mappers, clean_start, command, http."""

    migrations: str | None = None
    mappers: bool | None = None
    clean_start: bool | None = None
    command: str | None = None
    http: Http | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Check":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a check is one of {', '.join(type(self).model_fields)}")
        if self.command is not None:
            _refuse_placeholders(self.command, ("port", *_PLACEHOLDERS))
        return self

    @property
    def kind(self) -> str:
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    def __str__(self) -> str:
        if self.http is not None:
            origin = self.http.headers.get("Origin")
            return f"http: {self.http.method} {self.http.path} → {self.http.status}" + (
                f" (Origin {origin})" if origin else ""
            )
        value = getattr(self, self.kind)
        return self.kind if value is True else f"{self.kind}: {value}"


class Event(_Part):
    """A line of the postmortem's timeline."""

    at: Text
    what: str


class Action(_Part):
    """What is to be done, by whom and until when."""

    what: str
    owner: str | None = None
    due: Text | None = None


class Postmortem(_Part):
    """What only people know. What is left out is named as missing, never made up."""

    summary: str | None = None
    impact: str | None = None
    detection: str | None = None
    timeline: list[Event] = []
    actions: list[Action] = []
    went_well: Texts = []
    went_wrong: Texts = []
    lucky: Texts = []
    surprised: Texts = []
    severity: Text | None = None
    detected: Text | None = None
    resolved: Text | None = None
    authors: Texts = []

    @property
    def missing(self) -> list[str]:
        """What everybody expects of a postmortem, and is not there."""
        wanted = set(type(self).model_fields) - {"severity", "detected", "resolved", "authors"}
        return [name for name in type(self).model_fields if name in wanted and not getattr(self, name)]


class Limits(_Part):
    """What one startup step may use before it is ended, and what of data that git does not hold is copied."""

    seconds: float = Field(default=60, gt=0, le=_MOST, strict=False)
    memory_mb: int = Field(default=4096, gt=0, le=_MOST)
    disk_mb: int = Field(default=1024, gt=0, le=_MOST)
    output_mb: int = Field(default=16, gt=0, le=_MOST)
    processes: int = Field(default=200, gt=0, le=_MOST)
    copy_mb: int = Field(default=50, gt=0, le=_MOST)


class Incident(_Part):
    """An incident file's content; ``file`` is where it was read, the start of its relative paths."""

    title: str
    app: App
    database: Literal["sqlite", "postgresql"] = "sqlite"
    database_env: str = "DATABASE_URL"
    database_driver: str | None = None
    database_server: str | None = None
    prepare: list[Step] = []
    startup: list[Step] = Field(min_length=1)
    expect: Expect = Expect()
    log: str | None = None
    history: str | None = None  # folder of the builds as patches, where app is a folder and no repository
    hypotheses: list[Hypothesis] = []
    fixes: dict[str, Fix] = {}
    checks: list[Check] = []
    postmortem: Postmortem = Postmortem()
    limits: Limits = Limits()
    file: Path = Path("incident.yaml")
    _packed: tuple[str, ...] | None = None  # packed for another machine, and what of the application was left behind

    @model_validator(mode="after")
    def _one_history(self) -> "Incident":
        if self.history is not None and self.app.repository is not None:
            raise ValueError("history (a folder of patches) is for app.root; app.repository has its own history")
        return self

    @model_validator(mode="after")
    def _a_port_is_served(self) -> "Incident":
        asked = next((one for one in self.checks if one.command and "{port}" in one.command), None)
        if asked and not any(step.kind == "serve" for step in self.startup):
            raise ValueError(f"checks: {asked}: {{port}} stands for the port of a server, and no step is 'serve: …'")
        return self

    @field_validator("database_server")
    @classmethod
    def _only_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_]\w*", value):
            raise ValueError(
                "names the environment variable that holds the server's URL; the URL itself, with its password, "
                f"never stands in the file. As in 'database_server: {DATABASE_SERVER}'"
            )
        return value

    @field_validator("database_driver")
    @classmethod
    def _a_driver(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\w+", value):
            raise ValueError(f"is what stands after the + in SQLAlchemy's URL, as in 'asyncpg', not {value!r}")
        return value

    @model_validator(mode="after")
    def _a_server_has_parts(self) -> "Incident":
        if self.database == "sqlite":
            if self.database_server is not None:
                raise ValueError("database_server is for 'database: postgresql'")
            for text in (
                *self.app.env.values(),
                *(step.text for step in (*self.prepare, *self.startup)),
                *(one.command or "" for one in self.checks),
            ):
                for part in _DATABASE_PARTS:
                    if f"{{{part}}}" in text:
                        raise ValueError(
                            f"{{{part}}} is for 'database: postgresql'; SQLite has a file, in {{database_url}}"
                        )
        return self

    @property
    def folder(self) -> Path:
        return self.file.parent

    def resolve(self, path: str) -> Path:
        """A path of the incident file, made absolute from the file's folder."""
        try:
            return (self.folder / Path(path).expanduser()).absolute()
        except RuntimeError:  # the home folder of somebody who is not there
            return (self.folder / path).absolute()

    def changes_of(self, fix: str) -> list[Path | str]:
        """What a fix applies, in order: patch files as absolute paths, commits of the history as text."""
        named = self.fixes[fix]
        return [self.resolve(path) for path in named.patches] or list(named.commits)

    @property
    def python(self) -> str:
        """The interpreter that runs the application, as an absolute path."""
        return find_interpreter(self)


def find_interpreter(incident: Incident) -> str:
    """The application's interpreter; the kit's own where none is named.

    :raises RunBroke: there is no such program
    """
    named = incident.app.python
    if named is None:
        return sys.executable
    if "/" in named:
        path = incident.resolve(named)
        found = str(path) if shutil.which(str(path)) else None
    else:
        found = shutil.which(named)
    if found is None:
        raise RunBroke(
            f"{place(incident, 'app', 'python')}: app.python: there is no interpreter {named!r}. "
            "It is looked up on PATH, or, with a slash in it, from the incident file's folder. "
            "Name the python of the application's own environment, as in '.venv/bin/python'."
        )
    python, problem = _behind(found)
    if python is None:
        raise RunBroke(f"{place(incident, 'app', 'python')}: app.python: {found} {problem}")
    return python


@cache
def _behind(program: str) -> tuple[str | None, str]:
    """The interpreter that a program is, or what is wrong with it: version managers put scripts in its place."""
    try:
        asked = [program, "-c", "import sys; print(sys.executable); sys.exit(sys.version_info < (3, 8))"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"does not run: {error}"
    if not done.returncode and done.stdout.strip():
        return done.stdout.strip(), ""
    said = " ".join(done.stderr.partition("\nNote:")[0].split()) or f"exit code {done.returncode}"
    problem = f"is not a Python 3.8 or later that runs: {said[:400]}"
    if Path(program).parent.name == "shims":  # pyenv's and asdf's
        held = re.search(r"in these Python versions:\s+(\S+)", done.stderr)
        real = Path(program).parents[1] / "versions" / (held[1] if held else "3.…") / "bin" / "python"
        problem += f". It only stands in for an interpreter: name that itself, as in {real}"
    return None, problem


def place(incident: Incident, *where: str) -> str:
    """``file:line`` of a key of the incident file; the file alone where it is not at hand any more."""
    try:
        _, node = yaml_file.read(incident.file.read_text("utf-8"), incident.file)
        return f"{incident.file}:{line_of(node, where)}"
    except (OSError, ValueError, IncidentError):
        return str(incident.file)


def load(path: str | Path) -> Incident:
    """Read and validate an incident file.

    :param path: the file, or a folder that holds ``incident.yaml``
    :raises IncidentError: with the key and the line of everything that is wrong
    """
    file, text = _read(path)
    data, node = yaml_file.read(text, file)
    if not isinstance(data, dict):
        raise IncidentError(f"{file}:1: an incident file is a mapping with title, app and startup")
    remember_all(data, "")  # from here on no message, page or report holds them
    if "file" in data:
        raise IncidentError(f"{file}:{line_of(node, ('file',))}: file: unknown key")
    try:
        incident = Incident.model_validate({**data, "file": file.absolute()})
    except ValidationError as error:
        problems = sorted(_problem(found, node, file) for found in error.errors())
        raise IncidentError("\n".join(text for _, text in dict.fromkeys(problems))) from None
    _check_paths(incident, node)
    return incident


def _read(path: str | Path) -> tuple[Path, str]:
    """The incident file that a path names, and its text."""
    try:
        file = Path(path).expanduser()
        file = file / "incident.yaml" if file.is_dir() else file
        if not file.exists():
            raise IncidentError(
                f"{file}: there is no such incident file. Give the path of an incident.yaml, or of its folder."
            )
        if not file.is_file():
            raise IncidentError(f"{file}: is no file; an incident file lies beside what it names")
        if file.stat().st_size > _MOST_BYTES:
            raise IncidentError(f"{file}: is larger than {_MOST_BYTES >> 20} MB, and no incident file")
        return file, file.read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise IncidentError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def _problem(found, node, file) -> tuple[int, str]:
    where, kind = found["loc"], found["type"]
    name = ".".join(map(str, where))[:200] or "the file"
    line = line_of(node, where)
    if kind == "extra_forbidden":
        known = _known_keys(where)
        near = difflib.get_close_matches(str(where[-1]), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        text = f"unknown key; {hint}"
    elif kind == "missing":
        text = "required, but not there"
    elif kind == "value_error":
        text = str(found["ctx"]["error"])
    else:
        secret = any(says_secret(str(part)) for part in where)
        shown = type(found["input"]).__name__ if secret else repr(found["input"])
        shown = shown if len(shown) < 80 else type(found["input"]).__name__
        text = f"{found['msg'][:1].lower()}{found['msg'][1:]}, not {shown}"
        name += " (its value)" if secret else ""  # or what follows would be taken for it, and masked
    return line, f"{file}:{line}: {name}: {text}"


def _known_keys(where) -> list[str]:
    parts = {"app": App, "expect": Expect, "postmortem": Postmortem, "limits": Limits}
    lists = {"hypotheses": Hypothesis, "fixes": Fix, "checks": Check, "timeline": Event, "actions": Action}
    model = Incident
    for part in where[:-1]:
        model = parts.get(part) or lists.get(part) or (Http if part == "http" else model)
    return [name for name in model.model_fields if name != "file"]


def _check_paths(incident: Incident, node) -> None:
    problems = []

    def need(where, path, kind):
        try:
            there = path.is_dir() if kind == "folder" else path.is_file()
        except OSError:  # a name that is too long, a folder that may not be looked into
            there = False
        if not there:
            name = ".".join(map(str, where))
            problems.append(f"{incident.file}:{line_of(node, where)}: {name}: there is no {kind} {path}")
        return there

    app = incident.app
    if app.root is not None and need(("app", "root"), incident.resolve(app.root), "folder"):
        need(("app", "workdir"), incident.resolve(app.root) / app.workdir, "folder")
    if app.repository is not None:
        need(("app", "repository"), incident.resolve(app.repository), "folder")
    if incident.log is not None:
        need(("log",), incident.resolve(incident.log), "file")
    if incident.history is not None:
        need(("history",), incident.resolve(incident.history), "folder")
    for number, check in enumerate(incident.checks):
        if check.migrations is not None and app.root is not None and incident.resolve(app.root).is_dir():
            need(("checks", number, "migrations"), incident.resolve(app.root) / app.workdir / check.migrations, "file")
    for name, fix in incident.fixes.items():
        for number, patch in enumerate(fix.patches):
            need(("fixes", name, "patches", number), incident.resolve(patch), "file")
    if problems:
        raise IncidentError("\n".join(problems))
