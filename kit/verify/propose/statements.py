"""The statements at the top level of a module: what each binds and uses, and the module with others in their places."""

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from ...incident.source import bound_by, parsed

_MOVABLE = (ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign)
BLANK = [cst.EmptyLine(indent=False)]


@dataclass(frozen=True)
class Statement:
    """One statement of a module's body; ``number`` is its place in it, from 0.

    :ivar nodes: empty where it is no statement that Python of ours reads by itself
    """

    number: int
    first: int
    last: int
    code: str
    nodes: tuple[ast.stmt, ...]

    @cached_property
    def is_import(self) -> bool:
        return bool(self.nodes) and all(isinstance(node, ast.Import | ast.ImportFrom) for node in self.nodes)

    @cached_property
    def is_future(self) -> bool:
        return self.is_import and getattr(self.nodes[0], "module", None) == "__future__"

    @cached_property
    def is_for_types(self) -> bool:
        """Is it an ``if TYPE_CHECKING:`` that imports only?"""
        node = self.nodes[0] if len(self.nodes) == 1 else None
        if not isinstance(node, ast.If) or node.orelse or "TYPE_CHECKING" not in ast.unparse(node.test):
            return False
        return all(isinstance(part, ast.Import | ast.ImportFrom) for part in node.body)

    @cached_property
    def for_types(self) -> set[str]:
        """The names that the test of an ``if TYPE_CHECKING:`` reads."""
        return names_read(self.nodes[0].test) if self.is_for_types else set()

    @cached_property
    def movable(self) -> bool:
        return len(self.nodes) == 1 and isinstance(self.nodes[0], _MOVABLE)

    @cached_property
    def binds(self) -> frozenset[str]:
        """The names that it binds in the module."""
        return frozenset(name for node in self.nodes for name in bound_by(node))

    @cached_property
    def uses(self) -> frozenset[str]:
        """The names that anything in it reads, annotations in quotes among them."""
        return frozenset(name for node in self.nodes for name in names_read(node))


def names_read(node: ast.AST) -> set[str]:
    """The names that a statement reads, also in quoted annotations."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    for part in ast.walk(node):
        quoted = getattr(part, "annotation", None)
        for text in ast.walk(quoted) if quoted is not None else ():
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                trees = parsed(text.value).body
                names |= {name.id for tree in trees for name in ast.walk(tree) if isinstance(name, ast.Name)}
    return names


class Module:
    """A source, as its top-level statements.

    :raises ValueError: it is no Python that LibCST reads
    """

    def __init__(self, text: str) -> None:
        try:
            wrapper = MetadataWrapper(cst.parse_module(text))
        except (cst.ParserSyntaxError, RecursionError) as error:
            raise ValueError(str(error)) from None
        self.tree, places = wrapper.module, wrapper.resolve(PositionProvider)
        self.statements = []
        for number, node in enumerate(self.tree.body):
            place, code = places[node], self.tree.code_for_node(node)
            nodes = tuple(parsed(code).body)
            decorators = getattr(node, "decorators", ())
            first = min([place.start.line, *(places[decorator].start.line for decorator in decorators)])
            self.statements.append(Statement(number, first, place.end.line, code, nodes))

    @classmethod
    def read(cls, text: str) -> "Module | None":
        """The module; None where it is no Python that LibCST reads."""
        try:
            return cls(text)
        except ValueError:
            return None

    def at(self, line: int) -> Statement | None:
        """The statement that a line stands in."""
        return next((statement for statement in self.statements if statement.first <= line <= statement.last), None)

    def binding(self, name: str) -> Statement | None:
        """The last statement that binds a name."""
        return next((statement for statement in reversed(self.statements) if name in statement.binds), None)

    def closed(self, wanted: Iterable[Statement]) -> list[Statement] | None:
        """The statements with all that they need of the same module, imports left out; None where that cannot be moved."""
        closed = {statement.number: statement for statement in wanted}
        open_ = list(closed.values())
        while open_:
            for name in open_.pop().uses:
                binding = [statement for statement in self.statements if name in statement.binds]
                needed = [statement for statement in binding if not statement.is_import and not statement.is_for_types]
                for statement in needed:
                    if not statement.movable or len(needed) > 1:
                        return None  # bound under a condition, or more than once
                    if statement.number not in closed:
                        closed[statement.number] = statement
                        open_.append(statement)
        return [closed[number] for number in sorted(closed)]

    def imports_for(self, names: Iterable[str]) -> dict[int, list[cst.ImportAlias]]:
        """Number of an import statement to its aliases that bind one of the names."""
        names, aliases = set(names), {}
        for statement in self.statements:
            if statement.is_import and statement.binds & names:
                node = self.tree.body[statement.number].body[0]
                if not isinstance(node.names, cst.ImportStar):
                    aliases[statement.number] = [alias for alias in node.names if bound_name(alias) in names]
        return aliases

    # ------------------------------------------------------------------ its text with other statements

    def having(self, body: Iterable[cst.BaseStatement]) -> str:
        return self.tree.with_changes(body=list(body)).code

    def inserted(self, number: int, statement: str | cst.BaseStatement, leading_lines: list | None = None) -> str:
        """With a statement before that of this number."""
        new, body = _node(statement, leading_lines), self.tree.body
        return self.having([*body[:number], new, *body[number:]])

    def without(self, numbers: Collection[int]) -> str:
        return self.having(node for number, node in enumerate(self.tree.body) if number not in numbers)


def _node(statement: str | cst.BaseStatement, leading_lines) -> cst.BaseStatement:
    node = cst.parse_statement(statement) if isinstance(statement, str) else statement
    return node if leading_lines is None else node.with_changes(leading_lines=leading_lines)


def dotted(node: cst.BaseExpression | None) -> str:
    """``a.b.c`` of a name or attribute; "" of anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr.value}"
    return ""


def asked_by(node: cst.BaseStatement) -> list[str]:
    """The modules that a statement imports, a relative one with its dots."""
    names = []
    for part in node.body if isinstance(node, cst.SimpleStatementLine) else ():
        if isinstance(part, cst.ImportFrom):
            names.append("." * len(part.relative) + dotted(part.module))
        elif isinstance(part, cst.Import):
            names += [dotted(alias.name) for alias in part.names]
    return names


def bound_name(alias: cst.ImportAlias) -> str:
    return alias.asname.name.value if alias.asname else dotted(alias.name).partition(".")[0]


def only(node: cst.SimpleStatementLine, aliases: list[cst.ImportAlias]) -> cst.SimpleStatementLine:
    """An import statement with these of its aliases."""
    kept = [*aliases[:-1], aliases[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)]
    statement = node.body[0].with_changes(names=kept)
    if len(kept) < len(node.body[0].names) and isinstance(statement, cst.ImportFrom) and statement.lpar:
        plain = [alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in kept]
        bare = statement.with_changes(lpar=None, rpar=None)
        if len(cst.Module([cst.SimpleStatementLine([bare])]).code) < 88:
            statement = bare.with_changes(names=plain)
    return node.with_changes(body=[statement])


def is_docstring(node: cst.BaseStatement) -> bool:
    first = node.body[0] if isinstance(node, cst.SimpleStatementLine) else None
    return isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)
