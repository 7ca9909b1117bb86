"""The import graph as it ran: which module was executed by whom, and the two ways to a conflict.

Reading the sources cannot show it: a table may be reached through a call, or through a file that a
library executes. So nodes are executions, not names: a file that ran under two names is two nodes.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .edges import Place, Wanted
from .events import no_garbage
from .trace import Trace
from .values import Conflict, Frame, Import, Registration, Site


@dataclass(frozen=True)
class Module:
    """One execution of a module of the application; ``number`` counts these, in order of beginning."""

    key: int  # Import.number
    number: int
    process: int
    module: str
    file: str | None
    by: Frame | None  # the line that led to it
    importer: int | None  # the key of the module that this line is in
    tables: tuple[str, ...]  # registered while its body ran
    rejected: tuple[str, ...]
    error: str | None


class ImportEdge(NamedTuple):
    """Module ``importer`` asked for module ``imported`` (keys); ``first`` if that executed it."""

    importer: int
    imported: int
    file: str
    line: int
    first: bool  # False: answered from sys.modules


@dataclass(frozen=True)
class Stop:
    """One stop on a way: a body being executed, and how it was reached from the stop before."""

    frame: Frame
    kind: str  # start, import, exec (a library executed the file) or call
    by: Frame | None  # the line of the stop before
    through: str | None  # the library that lies between, for exec and call
    key: int | None  # the module's, for a module body
    number: int | None
    step: str

    @property
    def how(self) -> str:
        """How it was reached, in words: ``import 40, wallet.py:9``."""
        if self.kind == "start":
            return f"start-up, {self.step}"
        by = f"{posixpath.basename(self.by.file)}:{self.by.line}"
        if self.kind == "call":
            return f"call, {by}"
        if self.kind == "exec":
            return f"run by {self.through}, {by}"
        return f"import {self.number}, {by}" if self.number else f"import, {by}"


@dataclass(frozen=True)
class ImportRoute:
    """The application's stops from the startup step to a site."""

    name: str  # first, second or only (the way to an error)
    stops: tuple[Stop, ...]
    site: Site
    outcome: str  # registered, rejected, or an error's type

    @property
    def text(self) -> str:
        """The way as one line: ``main.py:21 → wallet.py:9 → models.py:259``."""
        return " → ".join(str(stop.frame) for stop in self.stops) or str(self.site)


@dataclass(frozen=True)
class ImportGraph:
    """Everything of the application that was executed, and the ways that the incident is about."""

    modules: tuple[Module, ...]
    lines: Mapping[int, Mapping[int, int]]  # the key of each module, to the keys of what it imported: the line
    routes: tuple[ImportRoute, ...]
    tables: str | None  # as ``table orders``

    @property
    def edges(self) -> Iterator[ImportEdge]:
        """Every edge, by importer. There may be a million."""
        for importer, here in self.lines.items():
            file = self.module_of(importer).file
            for imported, line in sorted(here.items()):
                yield ImportEdge(importer, imported, file, line, self.module_of(imported).importer == importer)

    @cached_property
    def cycles(self) -> tuple[tuple[int, ...], ...]:
        """The keys of modules that import each other, by group."""
        return cycles({importer: list(here) for importer, here in self.lines.items()})

    def module_of(self, key: int | None) -> Module | None:
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> dict[int | None, Module]:
        return {module.key: module for module in self.modules}


def import_graph(trace: Trace, conflict: Conflict | None = None) -> ImportGraph:
    """The graph of a trace.

    :param conflict: the one whose two ways are wanted; by default the trace's first. Without any, the
        only way is the one to the error that failed a step, or else to the first that was swallowed.
    """
    with no_garbage():
        modules = _modules(trace)
        lines = _lines(trace, modules)
    conflict = conflict or (trace.conflicts[0] if trace.conflicts else None)
    if conflict is None:
        return ImportGraph(modules, lines, _route_to_error(trace, modules), None)
    routes = []
    for name, met in (("first", conflict.first), ("second", conflict.second)):
        if met is not None:
            stops = _stops(trace, modules, met.chain, met.within, met.step)
            routes.append(ImportRoute(name, stops, met.site, met.outcome))
    return ImportGraph(modules, lines, tuple(routes), conflict.tables)


def _modules(trace: Trace) -> tuple[Module, ...]:
    registered: dict[int | None, list[Registration]] = {}
    for registration in trace.registrations:
        if registration.application:
            registered.setdefault(registration.within, []).append(registration)
    of_application = [import_ for import_ in trace.imports if import_.application]
    bodies: dict[tuple, list[Import]] = {}
    for import_ in of_application:
        bodies.setdefault((import_.process, import_.file), []).append(import_)

    def importer_of(import_: Import) -> int | None:
        """The execution that the line is of: the last one of its module and file in that process."""
        by = import_.by
        here = reversed(bodies.get((import_.process, by.file), ())) if by and by.application else ()
        fits = (body for body in here if body.began < import_.began and by.module in (None, body.module))
        return next((fit.number for fit in fits), None)

    modules = []
    for number, import_ in enumerate(of_application, 1):
        here = registered.get(import_.number, ())
        modules.append(
            Module(
                key=import_.number,
                number=number,
                process=import_.process,
                module=import_.module,
                file=import_.file,
                by=import_.by,
                importer=importer_of(import_),
                tables=tuple(r.table for r in here if r.outcome in ("registered", "reflected") and not r.removed),
                rejected=tuple(r.table for r in here if r.outcome == "rejected"),
                error=import_.error.type.rpartition(".")[2] if import_.error else None,
            )
        )
    return tuple(modules)


def _lines(trace: Trace, modules: Sequence[Module]) -> dict[int, dict[int, int]]:
    by_name: dict[tuple[int, str], list[Module]] = {}
    by_place: dict[tuple[int, str | None, str], list[Module]] = {}
    began = {import_.number: import_.began for import_ in trace.imports}
    for module in modules:
        by_name.setdefault((module.process, module.module), []).append(module)
        by_place.setdefault((module.process, module.module, module.file), []).append(module)

    def last(candidates: Sequence[Module], at: int) -> Module | None:
        return max((m for m in candidates if began[m.key] <= at), key=lambda m: m.number, default=None)

    known = {module.module for module in modules}
    lines: dict[int, dict[int, int]] = {module.key: {} for module in modules}
    executed: dict[int, set] = {}  # what a line executed itself was not answered from sys.modules
    for module in modules:
        if module.importer is not None and module.importer != module.key:
            executed.setdefault(module.importer, set()).add((module.by.line, module.module))
            lines[module.importer][module.key] = module.by.line
    # What a statement asks for: the keys of modules that ran once in a process, and the names of those that ran again.
    answers: dict[tuple[int, Wanted], tuple[Sequence[int], Sequence[str]]] = {}
    in_package: dict[tuple[int, str | None], dict[int, tuple[Sequence[int], Sequence[str]]]] = {}

    def answer(place: Place, wanted: Wanted) -> tuple[Sequence[int], Sequence[str]]:
        if not wanted.imported.startswith("."):
            wanted = wanted._replace(package=None)  # the same from everywhere
        if (place.process, wanted) not in answers:
            asked = [(name, by_name.get((place.process, name), ())) for name in asked_for(wanted, known)]
            once = [those[0].key for _, those in asked if len(those) == 1]
            answers[place.process, wanted] = once, [name for name, those in asked if len(those) > 1]
        return answers[place.process, wanted]

    before, importer = None, None
    edges = trace.edges
    for number, statement, line, at in zip(*edges.columns, strict=True):  # a million
        if number != before:
            before, importer, place = number, None, edges.places[number]
            importers = by_place.get((place.process, place.importer, place.file), ())
            seen = in_package.setdefault((place.process, place.package), {})
        if importer is None or len(importers) > 1:
            importer = last(importers, at)
            if importer is None:
                continue
            here = lines[importer.key]
        if statement not in seen:
            seen[statement] = answer(place, edges.statements[statement].wanted(place))
        once, again = seen[statement]
        for key in once:
            if key not in here:
                here[key] = line
        for name in again:
            if (line, name) not in executed.get(importer.key, ()):
                those = by_name[place.process, name]
                here.setdefault((last(those, at) or those[0]).key, line)
    for key, here in lines.items():
        here.pop(key, None)  # a module that asks for itself
    return lines


def asked_for(wanted: Wanted, known: set[str]) -> list[str]:
    """The names of the modules that an import statement asks for; ``known`` are those that were executed."""
    dots = len(wanted.imported) - len(wanted.imported.lstrip("."))
    name = wanted.imported[dots:]
    if dots:
        package = (wanted.package or "").split(".")
        above = package[: len(package) - dots + 1]
        name = ".".join([part for part in above if part] + ([name] if name else []))
    below = [f"{name}.{name_}" for name_ in wanted.names if f"{name}.{name_}" in known]
    # `from . import jobs` asks for `jobs`, and not for the package that the module is in.
    return below if wanted.names and len(below) == len(wanted.names) else [name, *below]


def _route_to_error(trace: Trace, modules: Sequence[Module]) -> tuple[ImportRoute, ...]:
    ended = [step for step in trace.steps if step.ok is False and step.exception]
    failed = [(step.exception, step.exception.frames, f"step {step.number}") for step in ended]
    for error, frames, step in [*failed, *((error.error, error.chain, "") for error in trace.swallowed)]:
        of_application = [frame for frame in frames if frame.application]
        if of_application:
            first, last = of_application[0], of_application[-1]
            within = max((m.key for m in modules if (m.file, m.module) == (last.file, last.module)), default=None)
            begun = next((m for m in modules if (m.file, m.module) == (first.file, first.module)), None)
            step = step or (trace.import_of(begun.key).step if begun else trace.steps[0].text)
            stops, site = _stops(trace, modules, frames, within, step), Site(last.file, last.line, last.module, None)
            return (ImportRoute("only", stops, site, error.type.rpartition(".")[2]),)
    return ()


def _stops(
    trace: Trace, modules: Sequence[Module], chain: Sequence[Frame], within: int | None, step: str
) -> tuple[Stop, ...]:
    numbers = {m.key: m.number for m in modules}
    bodies = []  # the module bodies that are open at the chain's end, outermost first
    while within is not None:
        import_ = trace.import_of(within)
        if import_ is None:
            break
        if import_.application:
            bodies.append(import_)
        within = import_.within
    bodies.reverse()
    # Steps that share an interpreter are told apart by the name that their own code was compiled under.
    step = next((frame.file[1:-1] for frame in chain if re.fullmatch(r"<step \d+>", frame.file)), step)
    stops: list[Stop] = []
    between: list[Frame] = []
    for frame in chain:
        if not frame.application:
            between.append(frame)
            continue
        if stops and (stops[-1].frame.file, stops[-1].frame.line) == (frame.file, frame.line):
            continue
        # Machinery of importing itself, and a decorator's generated code, are no library to be named.
        outside = [f for f in between if not f.file.startswith("<") and "/importlib/" not in f.file]
        through = re.split(r"[/.]", outside[-1].module or outside[-1].file)[0] if outside else None
        key = None
        if frame.function == "<module>":
            place = next((n for n, body in enumerate(bodies) if body.file == frame.file), None)
            if place is not None:
                key = bodies[place].number
                del bodies[: place + 1]
            kind = "import" if through is None else "exec"
        else:
            kind = "call"
        before = stops[-1].frame if stops else None
        stops.append(Stop(frame, kind if before else "start", before, through, key, numbers.get(key), step))
        between = []
    return tuple(stops)


def cycles(following: Mapping[int, Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Groups of two and more nodes that reach each other (strongly connected components, by Kosaraju's two walks).

    :param following: each node, and those that its edges lead to
    """
    leading: dict[int, list[int]] = {node: [] for node in following}
    for node, ahead in following.items():
        for other in ahead:
            leading[other].append(node)
    seen: set[int] = set()
    # In the order in which a walk leaves them.
    left = [node for root in following for node in _walked(root, following, seen)]
    seen.clear()
    groups = (sorted(_walked(root, leading, seen)) for root in reversed(left))
    return tuple(sorted(tuple(group) for group in groups if len(group) > 1))


def _walked(root: int, following: Mapping[int, Sequence[int]], seen: set[int]) -> Iterator[int]:
    """The nodes that are reached from one and were not seen before, each after all that is reached from it."""
    todo = [(root, iter(following[root]))] if root not in seen else []
    seen.add(root)
    while todo:
        node, ahead = todo[-1]
        other = next((other for other in ahead if other not in seen), None)
        if other is None:
            yield todo.pop()[0]
        else:
            seen.add(other)
            todo.append((other, iter(following[other])))
