"""An incident file's content as values: the application, its startup, the expected incident, fixes and checks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..base.errors import IncidentError
from . import yaml_file
from .interpreters import interpreter
from .steps import DATABASE_PARTS, Check, Part, Preparation, Step, Text, Texts, sound_variables

DATABASE_SERVER = "KIT_POSTGRES_URL"  # the variable that gives the PostgreSQL server, unless the file names another
_SETTINGS = ("env", "path", "python", "startup", "prepare")  # what a fix sets otherwise
_MOST = 10**9  # of any limit: beyond it the system takes no number


class App(Part):
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

    _sound = field_validator("env")(sound_variables)

    @field_validator("workdir", "subdir")
    @classmethod
    def _inside(cls, value: str) -> str:
        if Path(value).is_absolute() or ".." in Path(value).parts:
            raise ValueError(f"{value!r} must lie inside the application's root")
        return value


class Expect(Part):
    """How the incident looks when it reproduces: an error, a table, or both; or a check that must fail for it."""

    error: str | None = None
    table: str | None = None
    check: Check | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "Expect":
        if self.check is not None and (self.error is not None or self.table is not None):
            raise ValueError("check (which must fail if the incident is there) is given in place of error and table")
        return self

    @property
    def empty(self) -> bool:
        """Does ``expect`` say nothing? Then anything that goes wrong is the incident."""
        return self.error is None and self.table is None and self.check is None


class Hypothesis(Part):
    """An explanation that somebody believed."""

    claim: str
    kind: str | None = None


class Fix(Part):
    """A proposed change to the application's files, or to how it is run.

    :ivar patches: for ``git apply``, in order; or, in their place, ``commits`` of the history
    :ivar env: variables added to ``app.env`` or replacing those; null removes one
    :ivar path, python, startup, prepare: in place of those of the incident
    """

    patches: Texts = []
    commits: Texts = []
    env: dict[str, Text | None] = {}
    path: list[str] | None = None
    python: str | None = None
    startup: list[Step] | None = Field(default=None, min_length=1)
    prepare: list[Preparation] | None = None
    claim: str | None = None

    _sound = field_validator("env")(sound_variables)

    @model_validator(mode="after")
    def _one_form(self) -> "Fix":
        if self.patches and self.commits:
            raise ValueError("a fix takes patches (files) or commits, and not both")
        if not (self.patches or self.commits or self.settings):
            raise ValueError(f"a fix is given by patches or commits, or by one of {', '.join(_SETTINGS)}")
        return self

    @property
    def settings(self) -> dict[str, object]:
        """The settings that the fix changes, by key; empty if it only changes files."""
        values = {name: getattr(self, name) for name in _SETTINGS}
        return {name: value for name, value in values.items() if value not in (None, {})}

    def __str__(self) -> str:
        """What it changes, in one line: patches and commits, then what is set otherwise."""
        shown = [Path(patch).name for patch in self.patches] + [f"commit {commit}" for commit in self.commits]
        return "; ".join([*shown, *self.settings_shown])

    @property
    def settings_shown(self) -> tuple[str, ...]:
        """The settings that the fix changes, one line per key."""
        values = {**self.settings, "env": [f"{name}={'' if text is None else text}" for name, text in self.env.items()]}
        lists = {name: values[name] if isinstance(values[name], list) else [values[name]] for name in self.settings}
        return tuple(f"{name}: {', '.join(map(str, items))}" for name, items in lists.items())


class Event(Part):
    """A line of the postmortem's timeline."""

    at: Text
    what: str


class Action(Part):
    """A task, with its owner and its due date."""

    what: str
    owner: str | None = None
    due: Text | None = None


class Postmortem(Part):
    """The facts that only people know. The page names each missing one; the kit never makes one up."""

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
        """The usual parts of a postmortem that the file does not have."""
        wanted = set(type(self).model_fields) - {"severity", "detected", "resolved", "authors"}
        return [name for name in type(self).model_fields if name in wanted and not getattr(self, name)]


class Limits(Part):
    """The limits of one startup step, and of the data outside git that is copied."""

    seconds: float = Field(default=60, gt=0, le=_MOST, strict=False)
    memory_mb: int = Field(default=4096, gt=0, le=_MOST)
    disk_mb: int = Field(default=1024, gt=0, le=_MOST)
    output_mb: int = Field(default=16, gt=0, le=_MOST)
    processes: int = Field(default=200, gt=0, le=_MOST)
    copy_mb: int = Field(default=50, gt=0, le=_MOST)


class Incident(Part):
    """An incident file's content; ``file`` is where it was read, the start of its relative paths."""

    title: str
    app: App
    database: Literal["sqlite", "postgresql"] = "sqlite"
    database_env: str = "DATABASE_URL"
    database_driver: str | None = None
    database_server: str | None = None
    prepare: list[Preparation] = []
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
    _kept_as: Limits | None = None  # the limits of the file whose startup this is too, so that it is kept

    @model_validator(mode="after")
    def _one_history(self) -> "Incident":
        if self.history is not None and self.app.repository is not None:
            raise ValueError("history (a folder of patches) is for app.root; app.repository has its own history")
        return self

    @model_validator(mode="after")
    def _a_port_is_served(self) -> "Incident":
        with_port = next((check for check in self.all_checks if check.command and "{port}" in check.command), None)
        if with_port and not any(step.kind == "serve" for step in self.startup):
            raise ValueError(f"checks: {with_port}: {{port}} stands for the port of a server; no step is 'serve: …'")
        return self

    @field_validator("database_server")
    @classmethod
    def _only_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_]\w*", value):
            raise ValueError(
                "names the environment variable that holds the server's URL; the URL itself, with its password, "
                f"is never in the file. As in 'database_server: {DATABASE_SERVER}'"
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
            texts = "\n".join(self._filled_texts())
            for part in DATABASE_PARTS:
                if f"{{{part}}}" in texts:
                    raise ValueError(f"{{{part}}} is for 'database: postgresql'; SQLite has a file: {{database_url}}")
        return self

    def _filled_texts(self) -> Iterator[str]:
        """Every text in which placeholders of the scratch database are filled in."""
        fixes = self.fixes.values()
        for variables in (self.app.env, *(fix.env for fix in fixes)):
            yield from (text for text in variables.values() if text is not None)
        for runs in (self, *fixes):
            yield from (step.text for step in (*(runs.prepare or ()), *(runs.startup or ())))
        yield from (check.command or "" for check in self.all_checks)

    @property
    def all_checks(self) -> list[Check]:
        """Every check that is asked: those that must hold after a fix, then the check that fails as the incident."""
        return [*self.checks, *([self.expect.check] if self.expect.check is not None else [])]

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

    def with_fix(self, name: str | None) -> "Incident":
        """The incident with a fix's variables, path, interpreter and steps; its patches are not applied here.

        :param name: None gives the incident itself
        """
        settings = self.fixes[name].settings if name is not None else {}
        app = {key: settings[key] for key in ("path", "python") if key in settings}
        if "env" in settings:
            variables = {**self.app.env, **settings["env"]}
            app["env"] = {key: text for key, text in variables.items() if text is not None}
        steps = {key: settings[key] for key in ("startup", "prepare") if key in settings}
        if not app and not steps:
            return self
        return self.model_copy(update={**steps, "app": self.app.model_copy(update=app)})

    @property
    def python(self) -> str:
        """The interpreter that runs the application, as an absolute path.

        :raises RunBroke: there is no such program, or it is no Python
        """
        return interpreter(self.app.python, self.resolve, lambda: f"{self.place('app', 'python')}: app.python")

    def place(self, *where: str) -> str:
        """``file:line`` of a key of the incident file; only the file if it can no longer be read."""
        try:
            _, node = yaml_file.read(self.file.read_text("utf-8"), self.file)
            return f"{self.file}:{yaml_file.line_of(node, where)}"
        except (OSError, ValueError, IncidentError):
            return str(self.file)
