"""What a startup did, as values.

A :class:`Trace` needs nothing else: paths are relative to the application's root, and the source
lines that matter are in it. ``reader.py`` makes one from the probe's events, ``tables.py`` shows it as
DataFrames.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..base.errors import IncidentError
from ..base.redact import redact
from .edges import AsWritten, Edges, Place
from .saved import load, save

_FROM_OUTSIDE = ("limit", "killed", "not-started", "not-begun")


@dataclass(frozen=True)
class Broke:
    """Why a process, and with it the run, did not come to its end.

    :ivar kind: ``limit`` it passed one, ``killed`` by a signal that nobody but another process sends, ``not-started``,
        ``not-begun``, ``crashed`` by a signal of its own doing, ``ended`` in the middle of a step, ``died`` while it should have
        stayed up, ``no-sqlalchemy``
    :ivar says: the sentence that is shown; nothing is decided by it
    :ivar limit: of ``limit``: its key below ``limits``
    :ivar step: number of the startup's step, where it is known
    """

    kind: str
    says: str
    limit: str | None = None
    step: int | None = None

    def __str__(self) -> str:
        return self.says

    @property
    def from_outside(self) -> bool:
        """Does it lie outside of the application, so that another run of the same build may end otherwise?"""
        return self.kind in _FROM_OUTSIDE

    @property
    def of_the_kit(self) -> bool:
        """Does it come of how the application is run, so that it is no incident of its own?"""
        return self.from_outside or self.kind == "no-sqlalchemy"


class Frame(NamedTuple):
    """One line that was being executed; ``file`` is relative to the application's root if it is the application's."""

    file: str
    line: int
    function: str
    module: str | None
    application: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Site(NamedTuple):
    """Where something is defined; ``name`` is the class or variable."""

    file: str
    line: int
    module: str | None
    name: str | None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Error:
    """An exception as it was seen; ``frames`` are those it passed, outermost first."""

    type: str
    text: str
    frames: tuple[Frame, ...] = ()
    links: tuple[tuple, ...] = ()  # (identity, type, text) of it and of what it came from
    name: str | None = None  # the module that an ImportError asked for

    def __str__(self) -> str:
        return f"{self.type}: {self.text}" if self.text else self.type

    @property
    def own_words(self) -> bool:
        """Did the application raise it itself, of nothing else? Then its text is the application's, whatever it says.

        Errors that the interpreter raises at a line of the application are none of those.
        """
        by_python = ("TypeError", "AttributeError", "ImportError", "ModuleNotFoundError", "KeyError", "NameError")
        raised_here = bool(self.frames) and self.frames[-1].application
        return raised_here and len(self.links) <= 1 and self.type not in by_python

    def comes_from(self, other: "Error") -> bool:
        """Is ``other`` this exception, or one that it was raised from or while handling?"""
        return bool(other.links) and other.links[0] in self.links


@dataclass(frozen=True)
class Import:
    """One execution of a module's body."""

    number: int  # in order of beginning, over all processes, application and third party
    process: int
    step: str
    thread: str | None
    module: str
    file: str | None  # relative to the root for the application's, else shortened
    real: str | None  # the file with links resolved, likewise
    application: bool
    by: Frame | None  # the statement that led to it
    chain: tuple[Frame, ...]  # every frame from the step to that statement
    within: int | None  # number of the import that it happened in
    began: int  # nanoseconds, one clock for all processes
    ended: int | None  # None: the process ended first, or no loader executed it and its end was out of sight
    error: Error | None
    again: bool  # executed into a namespace that was in use: a reload
    how: str = "exec"  # import, reload, loader (somebody called one) or exec (no loader had to do with it)

    @property
    def seconds(self) -> float | None:
        return None if self.ended is None else (self.ended - self.began) / 1e9


@dataclass(frozen=True)
class Metadata:
    """A ``MetaData`` object; ``label`` says where it was made, the same in every run."""

    process: int
    number: int
    label: str
    site: Frame | None
    chain: tuple[Frame, ...]
    application: bool  # not one of a library's own making, such as Alembic's for each operation


@dataclass(frozen=True)
class Registration:
    """``Table(...)`` reached a ``MetaData``, by a class or directly."""

    table: str
    process: int
    step: str
    thread: str | None
    metadata: Metadata
    outcome: str  # registered, rejected, extended, kept or reflected
    site: Site
    frame: Frame  # the site as a frame, with its function
    real: str | None  # the site's file with links resolved
    chain: tuple[Frame, ...]  # every frame from the step to the site
    within: int | None  # number of the import that it happened in
    class_: str | None  # qualified name of the mapped class
    class_module: str | None
    named: bool | None  # does the class itself say its table's name?
    columns: int
    at: int
    in_class: str = ""  # of a Table(): "__table__" where a class takes it as that, "body" elsewhere in a class
    later: bool = False  # its class is mapped on purpose only later (deferred reflection)
    inside: bool = False  # was another thread in the same function when it was not the first?
    since: int | None = None  # when its thread began, nanoseconds; of a second registration in a thread
    existing: tuple[dict, ...] = ()  # the columns that were there, where a second definition came
    new: tuple[dict, ...] = ()  # the columns of the second definition
    mapped: bool | None = None  # did a mapper use the table that was there?
    made_mapper: bool = False  # did the class that came with it get its mapper?
    removed: bool = False  # taken out again: its columns failed, or by MetaData.remove
    application: bool = True


@dataclass(frozen=True)
class Entry:
    """Something took a name in a registry of a library: a metric, a blueprint, an endpoint, a route, a task, a class.

    :ivar kind: metric, blueprint, endpoint, task, route, include, mount, schema or model; ``blueprint made``: it was constructed
    :ivar registry: number of the registry in its process; 0 for one that is a process's own
    :ivar key: the name or path that is taken
    :ivar object: number of what takes it; 0 where that cannot be told apart
    :ivar definition: where that is defined, for a function
    :ivar more: the methods of a route, the rule of an endpoint
    """

    kind: str
    registry: int
    key: str
    object: int
    definition: Site | None
    more: tuple[str, ...]
    process: int
    step: str
    thread: str | None
    frame: Frame  # the line that registers it
    real: str | None  # its file with links resolved
    chain: tuple[Frame, ...]  # every frame from the step to that line
    within: int | None  # number of the import that it happened in
    at: int


@dataclass(frozen=True)
class Record:
    """A log record with an exception, or one that was lost because its logger is disabled."""

    logger: str
    level: int
    text: str
    lost: bool
    error: Error | None
    site: Frame | None
    chain: tuple[Frame, ...]
    process: int
    step: str
    at: int


@dataclass(frozen=True)
class Silenced:
    """``logging.config`` disabled loggers that were there before it."""

    loggers: tuple[str, ...]
    site: Frame | None
    chain: tuple[Frame, ...]
    process: int
    step: str
    at: int


@dataclass(frozen=True)
class Conflict:
    """A second definition of a table that was rejected."""

    table: str
    metadata: Metadata
    error: str
    first: Registration | None
    second: Registration


@dataclass(frozen=True)
class Swallowed:
    """An exception that left a module of the application, or a rejected table, and did not fail the step."""

    error: Error
    site: Frame | None
    chain: tuple[Frame, ...]
    at: int


@dataclass(frozen=True)
class EngineMade:
    """An engine came to be; ``driver`` is the URL's, as in ``postgresql+asyncpg``, ``asynchronous`` what that driver is.

    :ivar database: the URL's: a name, or SQLite's file; "" in memory
    """

    driver: str
    asynchronous: bool
    chain: tuple[Frame, ...]
    process: int
    step: str
    at: int
    database: str = ""

    @property
    def on_scratch(self) -> bool:
        """Is it for the scratch database of the run?"""
        return self.database == "scratch" or "/scratch/scratch.db" in self.database

    @property
    def site(self) -> Frame | None:
        """Where the application makes it, or has a library make it."""
        return next((frame for frame in reversed(self.chain) if frame.application), None)

    @property
    def within_asyncio(self) -> bool:
        """Is it the core of an asynchronous engine? Then SQLAlchemy itself calls its driver as it must."""
        return any(frame.file.startswith("sqlalchemy/ext/asyncio/") for frame in self.chain)


@dataclass(frozen=True)
class Behind:
    """An exception that a run which goes on past failures went past; ``follows``: only for want of an earlier one."""

    error: Error
    site: Frame | None
    chain: tuple[Frame, ...]
    follows: bool


@dataclass(frozen=True)
class StepResult:
    """How a startup step ended; ``ok`` is None for one that never ran."""

    number: int
    kind: str
    text: str
    ok: bool | None
    error: str | None
    seconds: float | None
    exception: Error | None = None
    output: str = ""
    broke: Broke | None = None  # where it failed for that and not by an error of its own

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class Sign:
    """What is wrong with a startup and that no error of it shows.

    :ivar kind: ``check`` or ``mappers`` that fails, ``expected-check``, or ``mechanism`` that raises nothing
    :ivar text: the check, or the mechanism's slug
    :ivar seen: what the check saw in place of what must be
    """

    kind: str
    text: str
    table: str | None = None
    seen: str = ""


@dataclass(frozen=True)
class Trace:
    """One startup, step by step."""

    steps: tuple[StepResult, ...]
    imports: tuple[Import, ...]
    edges: Edges
    metadata: tuple[Metadata, ...]
    registrations: tuple[Registration, ...]
    cleared: tuple[dict, ...]
    created: tuple[dict, ...]  # {metadata, url, table, process, step, at, chain} of a create_all, or of one table
    swallowed: tuple[Swallowed, ...]
    behind: tuple[Behind, ...]
    judged: tuple[dict, ...]
    refused: tuple[dict, ...]
    broke: Broke | None  # why the run itself broke; None if it came to its end
    lost: tuple[str, ...]  # what could not be recorded
    provenance: dict[str, Any]
    entries: tuple[Entry, ...] = ()
    records: tuple[Record, ...] = ()
    silenced: tuple[Silenced, ...] = ()
    forks: dict[int, tuple[int, int]] = field(default_factory=dict)  # process to (its parent, when it was forked)
    sources: dict[str, str] = field(default_factory=dict, repr=False)  # text of the files that matter
    engines: tuple[EngineMade, ...] = ()
    signs: tuple[Sign, ...] = ()  # asked for where ``expect`` needs them: see :mod:`kit.trace.expected`
    before: tuple[dict, ...] = ()  # as ``created``, of what ran before the startup; ``step`` is "prepare 1" and so on

    @classmethod
    def not_begun(cls, steps: Sequence[tuple[str, str]], why: str) -> "Trace":
        """A startup that could not begin; ``steps`` are ``(kind, text)``."""
        never = tuple(StepResult(n, kind, text, None, None, None) for n, (kind, text) in enumerate(steps, 1))
        return cls(
            never, (), Edges(), *[()] * 8, broke=Broke("not-begun", f"it did not begin: {why}"), lost=(), provenance={}
        )

    def save(self, file: str | Path) -> None:
        """Write the trace to a file, its secrets masked; the form is that of :mod:`kit.trace.saved`.

        :raises IncidentError: it cannot be written
        """
        save(self, file)

    @classmethod
    def load(cls, file: str | Path) -> "Trace":
        """The trace that :meth:`save` wrote, or that a saved diagnosis holds.

        :raises IncidentError: it cannot be read, is not whole, or is of a newer form
        """
        value = load(file, TYPES)
        trace = value if isinstance(value, cls) else getattr(getattr(value, "looked", None), "trace", None)
        if not isinstance(trace, cls):
            raise IncidentError(f"{file}: there is no trace in it")
        return trace

    @property
    def cut(self) -> bool:
        """Was it ended from outside, at a limit or by a kill? Then what it did not show may be there all the same."""
        return self.broke is not None and self.broke.from_outside

    @property
    def whole(self) -> bool:
        """Did every step succeed?"""
        return all(step.ok for step in self.steps)

    @cached_property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Every rejected registration, with the one that was there first; one that several processes show, once."""
        found: dict[tuple, Conflict] = {}
        for registration in self.registrations:
            if registration.outcome == "rejected":
                first = self.holder(registration)
                ways = tuple(application_frames(r.chain) if r else None for r in (first, registration))
                found.setdefault(
                    (registration.table, registration.metadata.label, ways),
                    Conflict(
                        registration.table, registration.metadata, self._error_of(registration), first, registration
                    ),
                )
        return tuple(found.values())

    def holder(self, second: Registration) -> Registration | None:
        """The registration that held the table when ``second`` came."""
        first = None
        for registration in self.registrations:
            if registration.at >= second.at:
                break
            here = registration.process == second.process or registration.at < self.forked_from(second.process).get(
                registration.process, 0
            )
            same = (registration.metadata.number, registration.table) == (second.metadata.number, second.table)
            if here and same and registration.outcome in ("registered", "reflected") and not registration.removed:
                first = registration
        return first

    def forked_from(self, process: int) -> dict[int, int]:
        """The processes that a forked one comes from: to the time until which their past is its own."""
        found: dict[int, int] = {}
        while process in self.forks and process not in found:
            process, at = self.forks[process]
            found[process] = at
        return found

    def _error_of(self, rejected: Registration) -> str:
        text = f"Table '{rejected.table}' is already defined for this MetaData instance."
        for error in self.errors:
            if f"Table '{rejected.table}' is already defined" in error.text:
                return str(error)
        return text

    @cached_property
    def errors(self) -> tuple[Error, ...]:
        """Every exception that was seen, of steps, of modules of the application, swallowed or not."""
        found = [step.exception for step in self.steps if step.exception]
        found += [error.error for error in self.swallowed]
        found += [import_.error for import_ in self.imports if import_.error and import_.application]
        return tuple(found)

    @cached_property
    def caught(self) -> tuple[Swallowed, ...]:
        """Exceptions that left a module of the application and were caught, and while they were handled another failed the step."""
        finals = [step.exception for step in self.steps if step.ok is False and step.exception is not None]
        known = {error.error.links[:1] for error in self.swallowed}
        found = []
        for import_ in self.imports:
            first = import_.error.links[:1] if import_.error is not None and import_.application else ()
            if first and first not in known and any(first[0] in final.links[1:] for final in finals):
                known.add(first)
                chain = import_.chain + import_.error.frames
                site = next((frame for frame in reversed(chain) if frame.application), None)
                found.append(Swallowed(import_.error, site, chain, import_.ended or import_.began))
        return tuple(found)

    def import_of(self, number: int | None) -> Import | None:
        return self._imports_by_number.get(number)

    @cached_property
    def _imports_by_number(self) -> dict[int, Import]:
        return {import_.number: import_ for import_ in self.imports}

    def excerpt(self, site, around: int = 2) -> list[tuple[int, str]]:
        """Source lines about a site or frame, to be shown: ``[(line number, text)]``, empty if the file is not at hand."""
        lines = _quiet_lines(self.sources.get(site.file, ""))
        return [(n, lines[n - 1]) for n in range(max(1, site.line - around), min(len(lines), site.line + around) + 1)]

    def statement(self, site, most: int = 40) -> list[tuple[int, str]]:
        """The lines of the class or call that begins at a site, as far as they are indented deeper; at most ``most``."""
        lines = self.sources.get(site.file, "").splitlines()[site.line - 1 :][:most]
        if not lines or site.line < 1:
            return []
        deep = _indent(lines[0])
        outside = (n for n, line in enumerate(lines) if n and line.strip() and _indent(line) <= deep)
        end = next((n for n in outside if lines[n].strip()[0] not in ")]}"), len(lines))  # these close the first line's
        while end > 1 and not lines[end - 1].strip():
            end -= 1
        return [(site.line + n, line) for n, line in enumerate(lines[:end])]


# What a saved trace may hold.
TYPES = (
    AsWritten,
    Behind,
    Broke,
    Edges,
    EngineMade,
    Entry,
    Error,
    Frame,
    Import,
    Metadata,
    Place,
    Record,
    Registration,
    Silenced,
    Sign,
    Site,
    StepResult,
    Swallowed,
    Trace,
)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@lru_cache(maxsize=64)
def _quiet_lines(source: str) -> list[str]:
    """Redacted as one text: what is secret over several lines is not told by one of them."""
    return redact(source).splitlines()


@contextmanager
def no_garbage() -> Iterator[None]:
    """While the values of a trace are made: all of them stay, and to look for those that do not takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def application_frames(chain: Sequence[Frame]) -> tuple[Frame, ...]:
    """The application's own frames of a chain, each line once in a row."""
    found: list[Frame] = []
    for frame in chain:
        if frame.application and not (found and (found[-1].file, found[-1].line) == (frame.file, frame.line)):
            found.append(frame)
    return tuple(found)


def executed_by_alembic(body: Import) -> bool:
    """Was this module executed by Alembic, as it does with ``env.py`` and revisions?"""
    if body.how != "loader":
        return False
    frames = [frame for frame in body.chain if "/importlib/" not in frame.file]
    return bool(frames) and frames[-1].file.startswith("alembic/util/")
