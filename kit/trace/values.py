"""What a startup did, one thing a value; a :class:`kit.trace.Trace` holds them all."""

from collections.abc import Iterable
from dataclasses import dataclass

from .frames import Error, Frame, Site


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
        return self.kind in ("limit", "killed", "not-started", "not-begun")

    @property
    def of_the_kit(self) -> bool:
        """Does it come of how the application is run, so that it is no incident of its own?"""
        return self.from_outside or self.kind == "no-sqlalchemy"


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
    link: str | None = None  # below the root, by which the site's file was reached; ``frame`` has the path through it

    @property
    def through(self) -> str:
        """How the site's file was reached, for after the site: "" where it was by its own path."""
        return "" if self.link is None else f" (reached as {self.frame}; {self.link} is a link)"


@dataclass(frozen=True)
class Cleared:
    """``MetaData.clear()``; ``metadata`` is its label."""

    metadata: str | None
    chain: tuple[Frame, ...]
    at: int


@dataclass(frozen=True)
class Creation:
    """A ``create_all`` of the metadata of that label, or of one ``table`` of it, in the database of ``url``."""

    metadata: str | None
    url: str
    table: str | None
    process: int
    step: str
    at: int
    chain: tuple[Frame, ...]


@dataclass(frozen=True)
class Mapper:
    """A class that SQLAlchemy knows as mapped, at the end of a process.

    :ivar ok: is it mapped still?
    :ivar metadata: number of its table's metadata in the process; ``held``: does that hold the table?
    :ivar inherits: from a class of the same table
    :ivar columns: of the table; ``orphans``: those that it maps and that the table has no more
    """

    module: str
    class_: str
    ok: bool
    table: str | None = None
    metadata: int | None = None
    held: bool = True
    inherits: bool = False
    columns: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.module}.{self.class_}"


@dataclass(frozen=True)
class Judgement:
    """What configuring the mappers of a process gave, tried in a forked copy of it."""

    step: str
    process: int
    error: Error | None
    mappers: tuple[Mapper, ...]

    @classmethod
    def of(cls, step: str, process: int, error: Error | None, mappers: Iterable[dict] | None) -> "Judgement":
        """:param mappers: as the probe writes them"""
        return cls(step, process, error, tuple(_mapper(**written) for written in mappers or ()))


def _mapper(cls: str, mod: str, ok: bool, i: int | None = None, columns=(), orphans=(), **more) -> Mapper:
    known = {name: more[name] for name in ("table", "held", "inherits") if name in more}
    return Mapper(mod, cls, ok, metadata=i, columns=tuple(columns), orphans=tuple(orphans), **known)


@dataclass(frozen=True)
class Entry:
    """Something took a name in a registry of a library: a metric, a blueprint, an endpoint, a route, a task, a class.

    :ivar kind: metric, blueprint, endpoint, task, route, include, mount, schema or model; ``blueprint made``: it was constructed
    :ivar registry: number of the registry in its process; 0 for one that is a process's own
    :ivar key: the name or path that is taken
    :ivar object: number of what takes it; 0 where that cannot be told apart
    :ivar definition: where that is defined, for a function
    :ivar more: the methods of a route, the rule and methods of an endpoint
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

    @property
    def tables(self) -> str:
        """What both define, as ``table orders``; two classes of one name are of ``tables orders and archived_orders``."""
        other = self.first.table if self.first is not None else self.table
        return f"table {self.table}" if other == self.table else f"tables {other} and {self.table}"


@dataclass(frozen=True)
class Swallowed:
    """An exception that ``left`` a module, was ``logged``, ``printed``, or ``handled`` by an ``except`` for any error; it failed no step."""

    error: Error
    site: Frame | None
    chain: tuple[Frame, ...]
    at: int
    how: str = "left"


def is_scratch(url: str) -> bool:
    """Is a URL, or its database alone, that of the run's scratch database: SQLite's file, or a server's by name?"""
    return f"/{url.partition('?')[0]}".endswith("/scratch") or "/scratch/scratch.db" in url


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
        return is_scratch(self.database)

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
    """An exception that a run which goes on past failures went past; ``follows``: only for want of an earlier one.

    :ivar unbound: the names that the statement would have bound
    """

    error: Error
    site: Frame | None
    chain: tuple[Frame, ...]
    follows: bool
    unbound: tuple[str, ...] = ()


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
