"""A build that fails, with what is known of it; and a change that may cure it, before it is tried."""

import ast
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice

from ...diagnose.two_registrations import Finding
from ...diagnose.values import Fault, Place, pair_of
from ...incident.model import Incident
from ...incident.source import module_name, parsed
from ...trace.trace import Trace
from ...trace.values import Conflict, Registration
from .edits_of_imports import add_import, without_unused_imports


@dataclass(frozen=True)
class Candidate:
    """A change, as an experienced person would try it.

    :ivar says: what it does and why it should cure, as a sentence
    :ivar edits: file to its whole new text
    :ivar env, path, startup: what is set otherwise in the incident file, as in a fix of it
    :ivar last: tried only where nothing else holds: it takes something away, or mends less than it should
    :ivar steps: how many changes it grew from, for errors behind one another
    """

    name: str
    says: str
    edits: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    path: list[str] | None = None
    startup: list[dict[str, str]] | None = None
    last: bool = False
    steps: int = 1

    @property
    def changes_something(self) -> bool:
        return bool(self.edits or self.env or self.path or self.startup)

    def after(self, first: "Candidate") -> "Candidate":
        """Both changes as one; the sources of this one were those that ``first`` gave."""
        return replace(
            self,
            name=f"{first.name}+{self.name}",
            says=f"{first.says} {self.says}",
            edits={**first.edits, **self.edits},
            env={**first.env, **self.env},
            path=self.path or first.path,
            startup=self.startup or first.startup,
            steps=first.steps + 1,
        )


@dataclass(frozen=True)
class Broken:
    """A build that fails, and what is known of it.

    :ivar sources: path to text of every file of the application that can be read as text
    :ivar agrees: of two definitions the one that the migrations agree with, ``first`` or ``second``; None: they do not tell
    :ivar failing: paths of HTTP checks that were answered 404
    :ivar created: the tables that the revisions alone make, each with its columns
    """

    incident: Incident
    trace: Trace
    finding: Finding
    conflict: Conflict | None
    fault: Fault | None
    sources: Mapping[str, str]
    agrees: str | None = None
    failing: tuple[str, ...] = ()
    created: Mapping[str, list[dict]] = field(default_factory=dict)

    @property
    def pair(self) -> tuple[Registration, Registration] | None:
        return pair_of(self.conflict, self.fault)

    @property
    def both(self) -> tuple[Registration, Registration]:
        """:raises ValueError: it is about no two definitions: what asks for them writes nothing then"""
        if self.pair is None:
            raise ValueError("there are no two definitions")
        return self.pair

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Every Python source to its module's name: that under which it ran, else that which its path gives it."""
        names = {file: module_name(file, self.incident.app.path) for file, _ in self.python}
        ran = {i.file: i.module for i in reversed(self.trace.imports) if i.application and i.file}
        return names | {file: module for file, module in ran.items() if not module.startswith("__")}

    @cached_property
    def _files(self) -> dict[str, str]:
        return {module: file for file, module in self._modules.items() if file in self.sources}

    @property
    def modules(self) -> Collection[str]:
        """The names of the application's modules."""
        return self._files.keys()

    @property
    def tops(self) -> set[str]:
        """The first parts of these names, but for those that a library has too."""
        libraries = {body.module.partition(".")[0] for body in self.trace.imports if not body.application}
        names = {*self._modules.values(), *(body.module for body in self.trace.imports if body.application)}
        return {module.partition(".")[0] for module in names} - libraries

    def package_of(self, file: str) -> str:
        """The package by which a relative import of a source is read."""
        module = self.module_of(file)
        return module if posixpath.basename(file) == "__init__.py" else module.rpartition(".")[0]

    def module_of(self, file: str) -> str:
        return self._modules.get(file) or module_name(file, self.incident.app.path)

    def file_of(self, module: str | None) -> str | None:
        """The source that is a module; None where the application has none."""
        return self._files.get(module or "")

    def defines(self, name: str, other: str) -> bool:
        """Is a dotted name, or the other one for the same, that of a module or of what one binds? An endpoint looks the same.

        A module that ran under the name is one; what begins with a blueprint's name is none, nor a module's name that one of its views has.
        """
        blueprint = re.compile(rf"Blueprint\(\s*[\"']{re.escape(name.partition('.')[0])}[\"']")
        makers = [text for _, text in self.python if blueprint.search(text)]
        leaf = re.escape(name.rpartition(".")[2])
        view = re.compile(rf"\bdef {leaf}\b|[\"']{leaf}[\"']")
        if any(map(view.search, makers)):
            return False
        if any(body.module == name for body in self.trace.imports):
            return True
        if makers:
            return False
        home, _, last = other.rpartition(".")
        bound = rf"^(?:async def|def|class) {re.escape(last)}\b|^{re.escape(last)}\b\s*[:=]|\bimport\b.*\b{re.escape(last)}\b"
        texts = [self.sources.get(self.file_of(module) or "", "") for module in (home, name.rpartition(".")[0])]
        return bool(self.file_of(name) or self.file_of(other) or any(re.search(bound, text, re.M) for text in texts))

    @property
    def python(self) -> list[tuple[str, str]]:
        """Every Python source: its path and text."""
        return [(file, text) for file, text in self.sources.items() if file.endswith(".py")]

    def edited(self, file: str, edit: Callable[..., str | None], *arguments) -> str | None:
        """A source after an edit; None where it is not there, or the edit changes nothing."""
        text = self.sources.get(file)
        return edit(text, *arguments) if text is not None else None

    def change(
        self,
        name: str,
        says: str,
        file: str,
        edit: Callable,
        *arguments,
        imports: Iterable[str] = (),
        last: bool = False,
    ) -> Iterator[Candidate]:
        """What an edit makes of one source, as a candidate; none where there is no such source, or where it changes nothing.

        :param imports: the statements that bring what the new text needs; those that only the old one needed go
        """
        new = self.edited(file, edit, *arguments)
        for statement in imports:
            new = new and add_import(new, statement)
        if new:
            yield Candidate(name, says, {file: without_unused_imports(new, self.sources[file])}, last=last)

    def edited_everywhere(self, edit: Callable[..., str | None], *arguments, but: str = "") -> dict[str, str]:
        """Every Python source that an edit changes, after it."""
        new = {file: edit(text, *arguments) for file, text in self.python if file != but}
        return {file: text for file, text in new.items() if text is not None}

    def sites(self, *roles: str) -> list[Place]:
        return [place for place in (self.fault.places if self.fault else ()) if not roles or place.role in roles]


def first(changes: Iterable[Iterator[Candidate]]) -> Iterator[Candidate]:
    """The first candidate among these."""
    return islice(chain.from_iterable(changes), 1)


def strings(text: str) -> list[tuple[int, str]]:
    nodes = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [(node.lineno, node.value) for node in nodes]
