"""Two registrations of one table, and the facts about them that mechanisms are judged by."""

import ast
import re
from dataclasses import dataclass, field
from functools import cached_property

from ..incident.source import parsed
from ..trace.chains import application_frames, executed_by_alembic
from ..trace.trace import Trace
from ..trace.values import Frame, Import, Registration
from .explanations import MEANINGS, Meaning
from .values import Place

RUNNERS = re.compile(r"^(_pytest/|pytest/|nose2?/|python3\.\d+/(unittest/|doctest\.py))")
CELLS = re.compile(r"(^<|ipykernel_\d+/)")  # code that stands in no file
_VENDORED = re.compile(r"^(_?vendor(ed)?|third[_-]?party|extern(al)?)/|/_vendor/|(site|dist)-packages/")
_VENDORS = re.compile(r"(^|/)(_?vendor(ed)?|third[_-]?party|extern(al)?)$")  # a folder on the path


@dataclass(frozen=True)
class Finding:
    """A mechanism, ``undecided`` or ``none``; what says so, and for each neighbour the fact that rules it out."""

    mechanism: str
    because: tuple[str, ...]
    against: dict[str, str] = field(default_factory=dict)
    sites: tuple[Place, ...] = ()  # where no mechanism fits
    meaning: Meaning | None = None  # of its error, likewise

    @property
    def advice(self) -> str | None:
        """What mostly cures it, as a sentence; None for ``none``, and for an error that says nothing of it."""
        meaning = self.meaning or MEANINGS.get(self.mechanism)
        return meaning.advice if meaning else None


@dataclass(frozen=True)
class Pair:
    """Two registrations of one table on one metadata, in order of time."""

    trace: Trace
    first: Registration
    second: Registration

    @cached_property
    def same_file(self) -> bool:
        return self.first.real is not None and self.first.real == self.second.real

    @cached_property
    def same_line(self) -> bool:
        return self.same_file and self.first.site.line == self.second.site.line

    @cached_property
    def same_name(self) -> bool:
        return self.first.frame.module == self.second.frame.module

    @cached_property
    def first_import(self) -> Import | None:
        return self._body(self.first)

    @cached_property
    def second_import(self) -> Import | None:
        return self._body(self.second)

    @cached_property
    def same_execution(self) -> bool:
        """Did one execution of one module body bring both?"""
        return self.first_import is not None and self.first_import is self.second_import

    @cached_property
    def in_function(self) -> bool:
        """Are both made inside a function's call, at one place?"""
        return self.same_line and self.same_name and in_function_of(self.first) and in_function_of(self.second)

    @cached_property
    def one_definition(self) -> bool:
        """Is it one file's statement that ran twice? It may have been edited in between."""
        bodies = (self.first_import, self.second_import)
        return self.same_line or self.same_file and None not in bodies and bodies[0] is not bodies[1]

    @property
    def two_files(self) -> str:
        return f"the definitions are in two files, {self.first.site.file} and {self.second.site.file}"

    @property
    def names(self) -> str:
        if self.same_name:
            return f"one module name, {self.first.frame.module}"
        return f"{self.first.frame.module} and {self.second.frame.module}"

    def _body(self, registration: Registration) -> Import | None:
        """The execution of the module that holds the site, not of one that merely called into it."""
        body = self.trace.import_of(registration.within)
        while body is not None and body.module != (registration.frame.module or "?"):
            body = self.trace.import_of(body.within)
        if body is None:  # called later: the newest execution of that module before it
            past = {registration.process: registration.at, **self.trace.forked_from(registration.process)}
            runs = [run for run in self.trace.imports if run.module == registration.frame.module]
            body = next((run for run in reversed(runs) if run.began < past.get(run.process, 0)), None)
        return body


def in_function_of(registration: Registration) -> bool:
    """Is it made inside a function's call? Module level, a comprehension there and a class's body are not."""
    if registration.class_ is not None and "<locals>" in registration.class_:
        return True
    outer, function = (registration.class_ or "").split(".")[-2:-1], registration.frame.function
    return function[:1] != "<" and function not in outer and not registration.in_class


def root_of(file: str | None, module: str | None) -> str:
    """The folder on the path by which a file has its module name."""
    stem = (file or "").removesuffix(".py").removesuffix("/__init__")
    return stem.removesuffix((module or "").replace(".", "/")).rstrip("/")


def runner_roots(trace: Trace) -> set[str]:
    """The folders by which a test runner named the files that it imported itself."""
    imports = [import_ for import_ in trace.imports if import_.application and import_.chain]
    last = ((i, [f for f in i.chain if "/importlib/" not in f.file] or i.chain) for i in imports)
    return {root_of(i.real, i.module) for i, frames in last if RUNNERS.match(frames[-1].file)}


def is_program(body: Import) -> bool:
    """Was this body executed as the program itself, by Python or by ``runpy`` for a launcher?"""
    of_application = [n for n, frame in enumerate(body.chain) if frame.application]
    launched = body.chain[of_application[-1] :] if of_application else ()
    return not of_application or any("runpy" in f.file and f.function == "run_module" for f in launched)


def loaded_by_path(trace: Trace, body: Import) -> Import | None:
    """The execution that a loader, or ``exec`` of the file's code, was asked for: this one, or that of its package."""
    current = body
    while current is not None:
        foreign = current.how == "loader" or current.how == "exec" and any(f.application for f in current.chain)
        if foreign and top_of(current.module) == top_of(body.module) and not executed_by_alembic(current):
            return current
        current = trace.import_of(current.within)
    return None


def top_of(module: str | None) -> str:
    return (module or "").split(".")[0]


def is_library(frame: Frame) -> bool:
    vendored = _VENDORED.search(frame.file) or _VENDORS.search(root_of(frame.file, frame.module))
    return not (frame.application or CELLS.search(frame.file)) or bool(vendored)


def is_bytecode(trace: Trace, registration: Registration) -> bool:
    bodies = [i for i in trace.imports if i.module == registration.frame.module and i.file and i.file.endswith(".pyc")]
    return bool(bodies) or registration.site.file not in trace.sources


def written_name(trace: Trace, registration: Registration) -> str | None:
    """How the class statement says its table's name: the name, an expression's text, or None where it does not.

    By its source where that is at hand. A name that stands literally anywhere in the statement, as in a decorator, counts.
    """
    source = trace.sources.get(registration.site.file) or trace.sources.get(registration.frame.file) or ""
    for node in ast.walk(parsed(source)):
        at = getattr(node, "lineno", None) == registration.site.line
        if at and registration.class_ is None and isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called == "Table":
                return registration.table if isinstance(node.args[0], ast.Constant) else ast.unparse(node.args[0])
        if at and isinstance(node, ast.ClassDef):
            names = {registration.table, registration.table.split(".")[-1]}
            if any(isinstance(part, ast.Constant) and part.value in names for part in ast.walk(node)):
                return registration.table
            return next((written for part in node.body if (written := _binding(part)) is not None), None)
    return registration.table if registration.named or registration.class_ is None else None


def _binding(statement: ast.stmt) -> str | None:
    """The text of what a statement binds ``__tablename__`` or ``__table__`` to, if it does; not of a function."""
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    value = getattr(statement, "value", None)
    return ast.unparse(value) if value is not None and names & {"__tablename__", "__table__"} else None


def importer_of(body: Import | None) -> str:
    return str(body.by) if body is not None and body.by is not None else "the step"


def way_to(registration: Registration) -> str:
    return " → ".join(str(frame) for frame in application_frames(registration.chain)[:-1]) or "the step itself"
