"""What was found out of an application, each part with how it is known."""

from dataclasses import dataclass, field
from pathlib import Path

from .deployments import Start
from .interpreters import Interpreter
from .settings import Database


@dataclass(frozen=True)
class Alembic:
    """An Alembic environment: ``upgrade`` migrates to head, ``check`` is the incident file's check as a mapping."""

    upgrade: str
    check: dict[str, str]
    why: str
    in_process: str | None = None  # where the application itself runs the migrations


@dataclass(frozen=True)
class Planned:
    """A step of the incident file and how it is known."""

    kind: str
    text: str
    why: str


@dataclass
class Discovery:
    """What an incident file can be filled in with, and how each part is known."""

    root: Path
    service: str
    workdir: str
    path: list[str]
    python: Interpreter | None
    missing_modules: list[str]
    startup: list[Planned]
    others: list[Start]
    alembic: Alembic | None
    prepare: list[Planned] = field(default_factory=list)
    env: dict[str, tuple[str, str]] = field(default_factory=dict)  # name to value, and how it is known
    database: Database | None = None
    database_env: str | None = None
    database_driver: tuple[str, str] | None = None  # and why
    checks: list[tuple[dict, str]] = field(default_factory=list)
    error: str | None = None
    table: str | None = None
    title: str = ""
    found: list[tuple[str, str, str]] = field(default_factory=list)  # (what, value, how it is known)
    wanting: list[str] = field(default_factory=list)  # what could not be found, with what to do
    notes: list[str] = field(default_factory=list)
