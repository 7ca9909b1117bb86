"""What a mechanism is asked about, and what it answers: the frame that every family of mechanisms shares.

A family is a module with a tuple ``MECHANISMS``: functions that take a :class:`Case` and give a :class:`Fault` or None; of those
that are asked of one error :func:`of_failures` makes such.
``decision.py`` holds them in order.
"""

import ast
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple

from ..incident.model import Incident
from ..incident.source import module_name, nodes_at, parsed
from ..incident.sources import Sources
from ..startup.migrations import Migrations
from ..trace.chains import application_frames
from ..trace.end_state import CheckResult
from ..trace.expected import expected_error
from ..trace.trace import Trace
from ..trace.values import Conflict, Error, Frame, Registration, Site


class Place(NamedTuple):
    """A line that a mechanism is about, with the part that it plays; ``name`` is what stands there, where that is known."""

    role: str
    file: str
    line: int
    name: str | None = None
    module: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @classmethod
    def of(cls, role: str, site: Frame | Site, name: str | None = None) -> "Place":
        """The place of a frame or site."""
        return cls(role, site.file, site.line, name or getattr(site, "name", None), site.module)


def places_of(first: Site | None, second: Site | None) -> tuple[Place, ...]:
    """The two sites, as far as they are there."""
    return tuple(Place.of(role, site) for role, site in (("first", first), ("second", second)) if site is not None)


@dataclass(frozen=True)
class Experiment:
    """The run that decides a mechanism, and could refute it.

    :ivar says: what is set otherwise, as a sentence
    :ivar incident: the incident as it is run
    :ivar beside: further runs; ``judge`` takes their traces after the first
    :ivar edits: file to its whole new text, in the copy that is run
    :ivar hold: what the processes are held before in the runs ``beside``
    :ivar compares: Alembic is asked when the first run has ended, and ``judge`` takes what it says in place of the traces
    :ivar needed: nothing but this run says so: the mechanism stands only where it is confirmed
    :ivar past: a file whose body comes to its end only past the place of the error: what the kit refuses later takes nothing back
    :ivar judge: what the run says: ``(True it is so | False it is not | None undecided, what was seen)``
    """

    says: str
    incident: Incident
    judge: Callable[..., tuple[bool | None, str]]
    edits: dict[str, str] = field(default_factory=dict)
    beside: tuple[Incident, ...] = ()
    hold: str | None = None
    compares: bool = False
    past: str = ""
    needed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of an experiment: ``confirmed``, ``refuted`` or ``undecided``, and what was seen."""

    says: str
    outcome: str
    seen: str


@dataclass(frozen=True)
class Fault:
    """A mechanism: what says so, the lines that it is about, and for each neighbour the fact that rules it out.

    :ivar table: the table that it is about, where it is about one
    :ivar first, second: the two sites; ``second`` is None where there is one
    :ivar pair: the two registrations, where there are two
    :ivar sites: every line that it is about; ``first`` and ``second`` where it names none
    :ivar error: the error that it explains; None: it raises nothing
    :ivar experiment: the run that decides it; None: what was run shows it already
    :ivar schemes: of a database's URL: the one that it has, and the one that belongs in its place
    """

    mechanism: str
    because: tuple[str, ...]
    table: str | None = None
    first: Site | None = None
    second: Site | None = None
    pair: tuple[Registration, Registration] | None = None
    sites: tuple[Place, ...] = ()
    against: dict[str, str] = field(default_factory=dict)
    error: Error | None = None
    experiment: Experiment | None = None
    schemes: tuple[str, str] | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """Every line that it is about, each once."""
        return tuple(dict.fromkeys(self.sites or places_of(self.first, self.second)))


@dataclass(frozen=True, kw_only=True)
class Looked(Sources):
    """One startup, with what the sources say, what Alembic says of it and what its revisions create."""

    trace: Trace
    migrations: Migrations | None = None
    created: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # table to columns, by the revisions alone
    stopped: str | None = None  # what ended the revisions early
    unread: tuple[str, ...] = ()  # sources that could not be read
    scripts: dict[str, str] = field(default_factory=dict)  # text of the files that the steps run
    checks: tuple[CheckResult, ...] = ()  # as far as they were asked
    expected: CheckResult | None = None  # of the check that the incident is
    uncompiled: str | None = None  # what a patch wrote that is no Python
    unrun: tuple[str, ...] = ()  # scripts and deployments that a patch changes, and no step runs


@dataclass(frozen=True, kw_only=True)
class Case(Looked):
    """A startup that was looked at, and the incident that it is asked about."""

    incident: Incident

    @classmethod
    def of(cls, incident: Incident, looked: Looked) -> "Case":
        return cls(**{field.name: getattr(looked, field.name) for field in fields(looked)}, incident=incident)

    @property
    def table(self) -> str | None:
        """The table that the incident names."""
        return self.incident.expect.table

    @cached_property
    def errors(self) -> tuple[Error, ...]:
        """Every exception that was seen, those of the mappers among them."""
        judged = tuple(judged_.error for judged_ in self.trace.judged if judged_.error is not None)
        return self.trace.errors + judged

    @cached_property
    def failures(self) -> tuple[Error, ...]:
        """Those that something came of, and how a step failed of which no exception was seen.

        An error that was swallowed is none of them, unless it is what the incident names or a step's failure comes of it.
        """
        expected = expected_error(self.incident)
        swallowed = [error.error for error in self.trace.swallowed]
        final = [step.exception for step in self.trace.steps if step.ok is False and step.exception is not None]

        def matters(error: Error) -> bool:
            texts = (str(error), *(text for _, _, text in error.links))
            named = expected is not None and any(expected in text for text in texts)
            return named or error not in swallowed or any(failure.comes_from(error) for failure in final)

        printed = (s.error for s in self.trace.steps if s.ok is False and s.exception is None and s.error)
        seen = [link for error in filter(matters, self.errors) for link in self.in_order(error)]
        return (*seen, *(Error("", text) for text in printed))

    def in_order(self, error: Error) -> list[Error]:
        """An error and those that it came from, in the order in which they are asked why.

        The innermost comes first; but what was only being handled when another error arose by itself comes after that.
        """
        order: list[Error] = []
        inner = None
        for link in reversed(error.chain):
            site = link.site
            raised = site == link.frames[-1] and nodes_at(self.tree(site.file), site.line, ast.Raise) if site else []
            order.insert(order.index(inner) if inner and inner.handled and not raised else len(order), link)
            inner = link
        return order

    @cached_property
    def definitions(self) -> tuple[Registration, ...]:
        """What the application itself put on a metadata of its own, and is there."""
        of_application = (r for r in self.trace.registrations if r.application and r.frame.application)
        return tuple(r for r in of_application if r.outcome == "registered" and not r.removed)

    @cached_property
    def sources(self) -> dict[str, str]:
        """The text of every file of the application that a trace of it holds."""
        other = self.migrations.trace if self.migrations is not None else None
        return {**self.scripts, **(other.sources if other is not None else {}), **self.trace.sources}

    def tree(self, file: str) -> ast.Module:
        """A source of the application, parsed; empty where it is not at hand or no Python of ours reads it."""
        return parsed(self.sources.get(file, ""))

    def module_of(self, file: str) -> str:
        """The dotted name of a file: the one that it was imported under, else by the folder that most others have theirs from."""
        traces = [self.trace, *([self.migrations.trace] if self.migrations and self.migrations.trace else [])]
        imported = [i for trace in traces for i in trace.imports if i.application and i.file and i.how == "import"]
        stems = ((i.file.removesuffix(".py").removesuffix("/__init__"), i.module.replace(".", "/")) for i in imported)
        roots = Counter(stem.removesuffix(name).rstrip("/") for stem, name in stems if f"/{stem}".endswith(f"/{name}"))
        fits = [root for root, _ in roots.most_common() if file.startswith(f"{root}/" if root else "")]
        named = next((import_.module for import_ in imported if import_.file == file), None)
        return named or module_name(file, fits[:1] or self.incident.app.path)


def pair_of(conflict: Conflict | None, fault: Fault | None) -> tuple[Registration, Registration] | None:
    """The two registrations of a rejected table, else those that a mechanism is about."""
    if conflict is not None and conflict.first is not None:
        return conflict.first, conflict.second
    return fault.pair if fault is not None else None


def body_of(error: Error) -> str:
    """The file whose body raised an error, or called what did; "" where none did."""
    return next((it.file for it in application_frames(error.frames)[::-1] if it.function == "<module>"), "")


Mechanism = Callable[[Case], Fault | None]


def of_failures(*explains: Callable[[Case, Error], Fault | None], of: str = "failures") -> list[Mechanism]:
    """Mechanisms that are asked of each failure in turn, up to the first that they explain; ``of`` "errors": of all that was seen."""

    def asked(explain: Callable[[Case, Error], Fault | None]) -> Mechanism:
        return lambda case: next(filter(None, (explain(case, error) for error in getattr(case, of))), None)

    return [asked(explain) for explain in explains]
