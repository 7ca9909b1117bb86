"""Who imported, registered or rebound it: everything that a startup did under one name, in order."""

import difflib
from dataclasses import dataclass, replace

from .chains import application_frames
from .edges import Edge
from .graph import asked_for
from .trace import Trace
from .values import Frame, Import


@dataclass(frozen=True)
class Event:
    """One thing that happened under a name.

    :ivar what: executed, asked, rebound, registered, rejected, extended, kept, reflected or named
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
    alike: dict[Event, Event] = {}  # a class and its base may both tell of one
    for event in sorted(events, key=lambda event: event.at):
        alike.setdefault(replace(event, at=0), event)
    return tuple(alike.values())


def about(trace: Trace) -> str | None:
    """What a failure is about: the table that was rejected, else the module in which the first failed step ended, or the last body."""
    failed = (step.exception.frames for step in trace.steps if step.ok is False and step.exception is not None)
    modules = [frame.module for frames in failed for frame in application_frames(frames)[-1:]]
    modules += [body.module for body in trace.imports if body.application][-1:]
    return next(iter([*(conflict.table for conflict in trace.conflicts), *filter(None, modules)]), None)


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
    """Statements that asked for a module that they did not execute, and those that bind the name, by ``from ... import``."""
    bodies = [import_ for import_ in trace.imports if import_.module == name]
    led = [frame for body in bodies for frame in (*body.chain[-1:], body.by) if frame is not None]
    executing = {(frame.file, frame.line) for frame in led}
    bound: dict[tuple, str] = {}  # process, importer to the module that the name came from
    for edge in trace.edges:
        place = edge.place
        frame = Frame(place.file, edge.line, place.function, place.importer, True)
        if name in asked_for(edge.wanted, {name}) and (place.file, edge.line) not in executing:
            yield Event("asked", name, "", (frame,), _when(bodies, edge), edge.at)
        elif name in edge.wanted.names:
            (module, *_) = asked_for(edge.wanted, set())
            before = bound.setdefault((place.process, place.importer, place.function), module)
            says = f"from {module} import {name}, in {place.importer}"
            says += f", where it was from {before} before" if before != module else ""
            yield Event("asked" if before == module else "rebound", name, "", (frame,), says, edge.at)


def _when(bodies: list[Import], edge: Edge) -> str:
    """What a module was when a statement asked for it."""
    begun = [body for body in bodies if body.process == edge.place.process and body.began <= edge.at]
    if not begun:
        return "its body had not been executed yet"
    running = begun[-1].ended is None or begun[-1].ended > edge.at
    return "its body was still running" if running else "it was there already"


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
