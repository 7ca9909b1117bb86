"""Who imported, registered or rebound it: everything that a startup did under one name, in order."""

import difflib
from dataclasses import dataclass

from .chains import application_frames
from .trace import Trace
from .values import Frame


@dataclass(frozen=True)
class Event:
    """One thing that happened under a name.

    :ivar what: executed, asked, registered, rejected, extended, kept, reflected or named
    :ivar name: the module, table, class or entry of a registry
    :ivar chain: the application's lines that led to it, from the step on; the last is the line itself
    :ivar note: what more is to be said of it, or ""
    """

    what: str
    name: str
    step: str
    chain: tuple[Frame, ...]
    note: str
    at: int


def why(trace: Trace, name: str) -> tuple[Event, ...]:
    """Everything that a startup did under a name, in order of time; empty where it did nothing.

    :param name: a module, a table, a class, or what a registry calls one of its entries
    """
    events = [*_executions(trace, name), *_questions(trace, name), *_registrations(trace, name), *_entries(trace, name)]
    return tuple(sorted(events, key=lambda event: event.at))


def near(trace: Trace, name: str) -> list[str]:
    """Names that there are and that look like one that there is not."""
    return difflib.get_close_matches(name, sorted(_names(trace)), 5, 0.6)


def _names(trace: Trace) -> set[str]:
    names = {import_.module for import_ in trace.imports if import_.application}
    names |= {registration.table for registration in trace.registrations}
    names |= {registration.site.name for registration in trace.registrations if registration.site.name}
    return names | {entry.key for entry in trace.entries}


def _executions(trace: Trace, name: str):
    for import_ in trace.imports:
        if import_.module == name:
            failed = f"it failed: {import_.error}" if import_.error is not None else ""
            again = "executed again, into the namespace that it had" if import_.again else ""
            note = "; ".join(part for part in (f"file {import_.file}", again, failed) if part)
            yield Event("executed", name, import_.step, application_frames(import_.chain), note, import_.began)


def _questions(trace: Trace, name: str):
    """Statements that asked for a module that was there already; the one that executed it is told with its execution."""
    executing = {(frame.file, frame.line) for i in trace.imports if i.module == name for frame in i.chain[-1:]}
    executing |= {(i.by.file, i.by.line) for i in trace.imports if i.module == name and i.by is not None}
    for edge in trace.edges:
        asked = {edge.wanted.imported, *(f"{edge.wanted.imported}.{part}" for part in edge.wanted.names)}
        if name in asked and (edge.place.file, edge.line) not in executing:
            frame = Frame(edge.place.file, edge.line, edge.place.function, edge.place.importer, True)
            yield Event("asked", name, "", (frame,), "it was there already", edge.at)


def _registrations(trace: Trace, name: str):
    for registration in trace.registrations:
        if name in (registration.table, registration.site.name, registration.class_):
            label = f"table {registration.table}, on the metadata made at {registration.metadata.label}"
            chain = application_frames(registration.chain) or (registration.frame,)
            yield Event(registration.outcome, name, registration.step, chain, label, registration.at)


def _entries(trace: Trace, name: str):
    for entry in trace.entries:
        if name == entry.key or (entry.definition is not None and name == entry.definition.name):
            chain = application_frames(entry.chain) or (entry.frame,)
            yield Event("named", entry.key, entry.step, chain, f"{entry.kind} {entry.key}", entry.at)
