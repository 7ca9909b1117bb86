"""One startup, step by step, and the questions that are put to it.

A :class:`Trace` needs nothing else: paths are relative to the application's root, and the source
lines that matter are in it. ``reader.py`` makes one from the probe's events, ``tables.py`` shows it as
DataFrames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ..base.errors import IncidentError
from ..base.redact import redact
from . import frames, values
from .chains import application_frames, catcher
from .edges import AsWritten, Edges, Place
from .saved import load, save


@dataclass(frozen=True)
class Trace:
    """One startup, step by step."""

    steps: tuple[values.StepResult, ...]
    imports: tuple[values.Import, ...]
    edges: Edges
    metadata: tuple[values.Metadata, ...]
    registrations: tuple[values.Registration, ...]
    cleared: tuple[values.Cleared, ...]
    created: tuple[values.Creation, ...]
    swallowed: tuple[values.Swallowed, ...]
    behind: tuple[values.Behind, ...]
    judged: tuple[values.Judgement, ...]
    refused: tuple[dict, ...]
    broke: values.Broke | None  # why the run itself broke; None if it came to its end
    lost: tuple[str, ...]  # what could not be recorded
    provenance: dict[str, Any]
    entries: tuple[values.Entry, ...] = ()
    records: tuple[values.Record, ...] = ()
    silenced: tuple[values.Silenced, ...] = ()
    forks: dict[int, tuple[int, int]] = field(default_factory=dict)  # process to (its parent, when it was forked)
    sources: dict[str, str] = field(default_factory=dict, repr=False)  # text of the files that matter
    engines: tuple[values.EngineMade, ...] = ()
    signs: tuple[values.Sign, ...] = ()  # asked for where ``expect`` needs them: see :mod:`kit.trace.expected`
    before: tuple[values.Creation, ...] = ()  # of what ran before the startup; ``step`` is "prepare 1" and so on

    def __post_init__(self) -> None:
        """In a trace that an older kit saved, some values are dictionaries."""
        for name, of in _ONCE_DICTIONARIES.items():
            items = tuple(of(**item) if isinstance(item, dict) else item for item in getattr(self, name))
            object.__setattr__(self, name, items)

    @classmethod
    def not_begun(cls, steps: Sequence[tuple[str, str]], why: str) -> "Trace":
        """A startup that could not begin; ``steps`` are ``(kind, text)``."""
        numbered = enumerate(steps, 1)
        never = tuple(values.StepResult(n, kind, redact(text), None, None, None) for n, (kind, text) in numbered)
        broke = values.Broke("not-begun", f"it did not begin: {why}")
        return cls(never, (), Edges(), *[()] * 8, broke=broke, lost=(), provenance={})

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
    def conflicts(self) -> tuple[values.Conflict, ...]:
        """Every rejected registration, with the one that was there first; one that several processes show, once."""
        conflicts: dict[tuple, values.Conflict] = {}
        for registration in self.registrations:
            if registration.outcome == "rejected":
                first = self.holder(registration)
                chains = tuple(application_frames(r.chain) if r else None for r in (first, registration))
                table, metadata, error = registration.table, registration.metadata, self._error_of(registration)
                conflict = values.Conflict(table, metadata, error, first, registration)
                conflicts.setdefault((table, metadata.label, chains), conflict)
        return tuple(conflicts.values())

    def holder(self, second: values.Registration) -> values.Registration | None:
        """The registration that held the table when ``second`` came."""
        first = None
        for registration in self.registrations:
            if registration.at >= second.at:
                break
            past = self.forked_from(second.process).get(registration.process, 0)
            here = registration.process == second.process or registration.at < past
            same = (registration.metadata.number, registration.table) == (second.metadata.number, second.table)
            if here and same and registration.outcome in ("registered", "reflected") and not registration.removed:
                first = registration
        return first

    def forked_from(self, process: int) -> dict[int, int]:
        """The processes that a forked one comes from: to the time until which their past is its own."""
        until: dict[int, int] = {}
        while process in self.forks and process not in until:
            process, at = self.forks[process]
            until[process] = at
        return until

    def _error_of(self, rejected: values.Registration) -> str:
        phrase = f"Table '{rejected.table}' is already defined"
        seen = (str(error) for error in self.errors if phrase in error.text)
        return next(seen, f"{phrase} for this MetaData instance.")

    @cached_property
    def errors(self) -> tuple[values.Error, ...]:
        """Every exception that was seen, of steps, of modules of the application, swallowed or not."""
        errors = [step.exception for step in self.steps if step.exception]
        errors += [error.error for error in self.swallowed]
        errors += [import_.error for import_ in self.imports if import_.error and import_.application]
        return tuple(errors)

    @cached_property
    def caught(self) -> tuple[values.Swallowed, ...]:
        """Exceptions that left a module of the application and were caught, and while they were handled another failed the step."""
        finals = [step.exception for step in self.steps if step.ok is False and step.exception is not None]
        known = {error.error.links[:1] for error in self.swallowed}
        caught = []
        for import_ in self.imports:
            first = import_.error.links[:1] if import_.error is not None and import_.application else ()
            if first and first not in known and any(first[0] in final.links[1:] for final in finals):
                known.add(first)
                chain = import_.chain + import_.error.frames
                site = next((frame for frame in reversed(chain) if frame.application), None)
                caught.append(values.Swallowed(import_.error, site, chain, import_.ended or import_.began))
        return tuple(caught)

    def catcher(self, caught: values.Swallowed) -> values.Frame | None:
        """The handler that kept an exception, by the sources: of the application's frames outside, the innermost that has a fitting one."""
        return catcher(caught.chain, self.sources, caught.error)

    def import_of(self, number: int | None) -> values.Import | None:
        return self._imports_by_number.get(number)

    @cached_property
    def _imports_by_number(self) -> dict[int, values.Import]:
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


_ONCE_DICTIONARIES = {
    "cleared": values.Cleared,
    "created": values.Creation,
    "before": values.Creation,
    "judged": values.Judgement.of,
}
# What a saved trace may hold.
_VALUES = [
    of for of in vars(values).values() if isinstance(of, type) and of.__module__ in (values.__name__, frames.__name__)
]
TYPES = (Trace, Edges, AsWritten, Place, *_VALUES)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@lru_cache(maxsize=64)
def _quiet_lines(source: str) -> list[str]:
    """Redacted as one text: what is secret over several lines is not told by one of them."""
    return redact(source).splitlines()
