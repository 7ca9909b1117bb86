"""The tables that a source defines, read from its text alone: nothing is imported or run.

What counts is a name that stands there: ``__tablename__ = "..."``, ``Table("...", ...)``, a mixin's
``__tablename__`` for the classes that take it. A name that is computed is said to be computed, never guessed.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from .source import decoded, parsed

_TELLING = re.compile(rb"__tablename__|Table\(|table ?= ?True|\.Model\b")
_COMPUTED = re.compile(
    rb"def __tablename__|__tablename__\s*(:[^=\n]*)?=\s*(?![\"'\s])|Table\(\s*(?![\"'\s])|table ?= ?True|\.Model\b"
)
# A class on these alone is where mapped classes come from, and makes no table itself.
_ROOTS = {"object", "ABC", "DeclarativeBase", "DeclarativeBaseNoMeta", "MappedAsDataclass"}


@dataclass(frozen=True)
class Definition:
    """A table's definition; ``table`` is None where its name is computed.

    :ivar name: the class, or None for ``Table(...)`` outside of one
    :ivar base: the classes, or the metadata, that it is defined on, as the source has them
    :ivar always: it stands at the module's top level, in no ``if``, ``try`` or function
    :ivar again: it allows a table that is there already (``extend_existing``, ``keep_existing``)
    :ivar may_be: the name that a library's rule computes, if there is one
    """

    file: str
    line: int
    name: str | None
    table: str | None
    base: str
    always: bool
    again: bool
    may_be: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" (class {self.name})" if self.name else " (Table(...))")


@dataclass(frozen=True)
class Tables:
    """Every definition of a source, by file and line; ``unread`` are the files that cannot be parsed here."""

    definitions: tuple[Definition, ...]
    unread: tuple[str, ...] = ()

    def of(self, table: str) -> tuple[Definition, ...]:
        return tuple(definition for definition in self.definitions if definition.table == table)

    def computed(self, table: str) -> tuple[Definition, ...]:
        """Definitions whose computed name could be this name."""
        return tuple(it for it in self.definitions if it.table is None and it.may_be in (None, table))

    def in_file(self, file: str) -> tuple[Definition, ...]:
        return tuple(definition for definition in self.definitions if definition.file == file)


def read_tables(sources: Mapping[str, bytes], table: str | None = None) -> Tables:
    """The tables that a source defines.

    :param sources: path to content, of every Python file
    :param table: only definitions that may be of this table are wanted: other files need not be parsed
    """
    definitions: list[Definition] = []
    classes: list[_Class] = []
    unread: list[str] = []

    def read(file: str) -> None:
        reader = _reader_of(file, decoded(sources[file]))
        definitions.extend(reader.tables)
        classes.extend(reader.classes)
        unread.extend(reader.unread)

    def telling(content: bytes) -> bool:
        if table is None:
            return bool(_TELLING.search(content))
        return table.encode() in content or bool(_COMPUTED.search(content))

    first = [file for file, content in sorted(sources.items()) if telling(content)]
    for file in first:
        read(file)
    # Classes that take their table's name from a mixin elsewhere say nothing of it themselves.
    names = {class_.definition.name.encode() for class_ in classes if class_.mixin and class_.definition.name}
    if names:
        taken = re.compile(rb"class \w+\([^)]*\b(" + b"|".join(sorted(names)) + rb")\b")
        for file in sorted(set(sources) - set(first)):
            if taken.search(sources[file]):
                read(file)
    definitions += _classes_as_definitions(classes)
    ordered = sorted(set(definitions), key=lambda definition: (definition.file, definition.line, definition.name or ""))
    return Tables(tuple(ordered), tuple(sorted(unread)))


@dataclass(frozen=True)
class _Class:
    """A class that may be mapped; ``says`` tells how its body names the table."""

    definition: Definition
    bases: tuple[str, ...]
    says: str | None  # "named", "computed", or None where the body says nothing
    abstract: bool
    mapped: bool  # by a decorator, or by ``table=True``

    @property
    def mixin(self) -> bool:
        """Is the class a mixin? It is not mapped itself; its table name holds for the classes that derive from it."""
        roots = {base.rpartition(".")[2].partition("[")[0] for base in self.bases} <= _ROOTS | {"Generic"}
        return self.says is not None and not self.mapped and (self.abstract or roots)

    @property
    def root(self) -> bool:
        """Is a class mapped just by deriving from this one?"""
        return self.abstract or any(base.rpartition(".")[2].startswith("DeclarativeBase") for base in self.bases)


class _Reader(ast.NodeVisitor):
    def __init__(self, file: str, text: str):
        self.file, tree = file, parsed(text)
        self.unread = [file] if text.strip() and not tree.body else []
        self.tables: list[Definition] = []
        self.classes: list[_Class] = []
        self.conditional = 0
        self.constants = constants_of(tree)
        self.visit(tree)

    def _inner(self, node) -> None:
        self.conditional += 1
        self.generic_visit(node)
        self.conditional -= 1

    visit_If = visit_Try = visit_TryStar = visit_For = visit_While = visit_With = visit_Match = _inner
    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _inner

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = tuple(ast.unparse(base) for base in node.bases)
        table_name = table = may_be = None
        abstract = again = False
        for statement in node.body:
            for name, value in _assigned(statement):
                if name == "__tablename__":
                    table = self._constant(value)
                    table_name = "named" if table is not None else "computed"
                elif name == "__abstract__":
                    abstract = _is_true(value)
                elif name == "__table_args__":
                    again = _allows_again(value)
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and statement.name == "__tablename__":
                table_name, table = "computed", None
        by_keyword = any(keyword.arg == "table" and _is_true(keyword.value) for keyword in node.keywords)
        mapped = by_keyword or any("mapped" in ast.unparse(decorator) for decorator in node.decorator_list)
        if table_name is None and by_keyword:  # SQLModel's rule
            table_name, may_be = "computed", node.name.lower()
        elif table_name is None and any(base.rpartition(".")[2] == "Model" and "." in base for base in bases):
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", node.name)
            table_name, may_be = "computed", words.lower()  # Flask-SQLAlchemy's rule
        where, always = (self.file, node.lineno, node.name), not self.conditional
        definition = Definition(*where, table, ", ".join(bases), always, again, may_be)
        self.classes.append(_Class(definition, bases, table_name, abstract, mapped))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        if called == "Table" and len(node.args) >= 2 and not isinstance(node.args[1], ast.Constant):
            table = self._constant(node.args[0])
            again = any(keyword.arg in ("extend_existing", "keep_existing") for keyword in node.keywords)
            base = ast.unparse(node.args[1])
            self.tables.append(Definition(self.file, node.lineno, None, table, base, not self.conditional, again))
        self.generic_visit(node)

    def _constant(self, value: ast.expr) -> str | None:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
        return self.constants.get(value.id) if isinstance(value, ast.Name) else None


_reader_of = lru_cache(maxsize=4096)(_Reader)  # builds differ in a few files


def _is_true(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def constants_of(tree: ast.Module) -> dict[str, str]:
    """Names that the module binds to one text at its top level, and binds nowhere else."""
    constants: dict[str, str] = {}
    count: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            count[node.id] = count.get(node.id, 0) + 1
    for statement in tree.body:
        for name, value in _assigned(statement):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and count.get(name) == 1:
                constants[name] = value.value
    return constants


def _assigned(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    if isinstance(statement, ast.Assign):
        return [(target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        return [(statement.target.id, statement.value)]
    return []


def _allows_again(value: ast.expr) -> bool:
    names = {getattr(node, "value" if isinstance(node, ast.Constant) else "arg", None) for node in ast.walk(value)}
    return not names.isdisjoint({"extend_existing", "keep_existing"})


def _classes_as_definitions(classes: list[_Class]) -> list[Definition]:
    """Classes that make a table: those that name one, and those that take its name from a mixin."""
    mixins: dict[str, list[_Class]] = {}
    for class_ in classes:
        if class_.mixin:
            mixins.setdefault(class_.definition.name or "", []).append(class_)
    definitions, used = [], set()
    for class_ in classes:
        if class_.mixin or class_.abstract:
            continue
        if class_.says is not None:
            definitions.append(class_.definition)
            continue
        names = {base.rpartition(".")[2] for base in class_.bases} & set(mixins)
        taken = [mixin for name in sorted(names) for mixin in mixins[name]]
        if taken and (class_.mapped or len(class_.bases) > len(names) or any(mixin.root for mixin in taken)):
            # Mixins of one name in different files: which of them it takes is not read here.
            tables = {mixin.definition.table for mixin in taken}
            definitions.append(replace(class_.definition, table=tables.pop() if len(tables) == 1 else None))
            used |= names
    for name in sorted(set(mixins) - used):
        # Taken in a way that the text does not show, as by ``declarative_base(cls=...)``.
        definitions += [mixin.definition for mixin in mixins[name] if mixin.says == "computed"]
    return definitions
