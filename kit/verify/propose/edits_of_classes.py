"""Edits of mapped classes and tables that keep the form of the rest.

Each takes a text and gives the new one, or None where it would change nothing. ``line`` is that of the class statement.
"""

import ast
from collections.abc import Collection

import libcst as cst
from libcst import matchers as m

from ...incident.source import parsed
from .edits import AtLines, asked_by, changed, dotted
from .edits_of_imports import import_of_library
from .statements import Module, bound_name, only

_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))


class _OfClass(AtLines):
    """A transformer of one class, which begins at a line."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.at = line

    def is_it(self, node: cst.ClassDef) -> bool:
        return self.line(node) == self.at or any(self.line(decorator) == self.at for decorator in node.decorators)

    def leave_ClassDef(self, original, updated):
        return self.new(updated) if self.is_it(original) else updated

    def new(self, class_: cst.ClassDef) -> cst.BaseStatement | cst.FlattenSentinel:
        raise NotImplementedError


def name_table(text: str, line: int, name: str) -> str | None:
    """Give the class a ``__tablename__``, or another one."""

    class Name(_OfClass):
        def new(self, class_):
            body, done = [], False
            for node in class_.body.body:
                if _binds(node, "__tablename__"):
                    node, done = (
                        cst.parse_statement(f'__tablename__ = "{name}"').with_changes(leading_lines=node.leading_lines),
                        True,
                    )
                body.append(node)
            if not done:
                at = 1 if body and m.matches(body[0], m.SimpleStatementLine(body=[m.Expr(m.SimpleString())])) else 0
                named = cst.parse_statement(f'__tablename__ = "{name}"')
                if at:
                    named = named.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
                if at < len(body):
                    body[at] = body[at].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
                body.insert(at, named)
            return class_.with_changes(body=class_.body.with_changes(body=body))

    return changed(text, Name(line))


def _binds(node: cst.BaseStatement, name: str) -> bool:
    assign = m.Assign(targets=[m.AssignTarget(m.Name(name))]) | m.AnnAssign(target=m.Name(name))
    return m.matches(node, m.SimpleStatementLine(body=[assign]))


def without_flag(text: str, line: int, flag: str) -> str | None:
    """The class without a flag in its ``__table_args__``; an empty one goes."""

    class Drop(_OfClass):
        def new(self, class_):
            body = []
            for node in class_.body.body:
                if _binds(node, "__table_args__"):
                    value = ast.unparse(parsed(cst.Module([]).code_for_node(node.body[0].value)))
                    left = _without_key(value, flag)
                    if left is None:
                        continue
                    if left != value:
                        node = cst.parse_statement(f"__table_args__ = {left}").with_changes(
                            leading_lines=node.leading_lines
                        )
                body.append(node)
            return class_.with_changes(body=class_.body.with_changes(body=body))

    return changed(text, Drop(line))


def with_flag(text: str, line: int, flag: str) -> str | None:
    """The class with a flag in its ``__table_args__``; None where it has some already."""

    class Flag(_OfClass):
        def new(self, class_):
            body = list(class_.body.body)
            if any(_binds(node, "__table_args__") for node in body):
                return class_
            at = 1 + next((n for n, node in enumerate(body) if _binds(node, "__tablename__")), -1)
            body.insert(at, cst.parse_statement(f'__table_args__ = {{"{flag}": True}}'))
            return class_.with_changes(body=class_.body.with_changes(body=body))

    return changed(text, Flag(line))


def with_base(text: str, line: int, base: str) -> str | None:
    """The class with another last base."""

    class Base(_OfClass):
        def new(self, class_):
            bases = list(class_.bases)
            bases[-1] = bases[-1].with_changes(value=cst.Name(base))
            return class_.with_changes(bases=bases)

    return changed(text, Base(line))


def _without_key(value: str, key: str) -> str | None:
    """``__table_args__`` without a key of its dictionary; None where nothing is left."""
    tree = ast.parse(value, mode="eval").body
    parts = list(tree.elts) if isinstance(tree, ast.Tuple) else [tree]
    left = []
    for part in parts:
        if isinstance(part, ast.Dict):
            pairs = [
                (k, v)
                for k, v in zip(part.keys, part.values, strict=True)
                if not (isinstance(k, ast.Constant) and k.value == key)
            ]
            if not pairs:
                continue
            part = ast.Dict([k for k, _ in pairs], [v for _, v in pairs])
        left.append(part)
    if not left:
        return None
    return ast.unparse(ast.Tuple(left, ast.Load()) if isinstance(tree, ast.Tuple) else left[0])


def secondary_by_text(text: str, name: str, table: str) -> str | None:
    """Where a relationship goes over the table that a variable holds, name the table by a text."""

    class ByText(cst.CSTTransformer):
        def leave_Arg(self, original, updated):
            if updated.keyword and updated.keyword.value == "secondary" and m.matches(updated.value, m.Name(name)):
                return updated.with_changes(value=cst.SimpleString(f'"{table}"'))
            return updated

    return changed(text, ByText())


def without_statement(text: str, line: int) -> str | None:
    statement = Module(text).at(line)
    return without_statements(text, [statement.number]) if statement is not None else None


def without_statements(text: str, numbers: Collection[int]) -> str | None:
    """Without these statements of the top level."""
    tree = Module(text).tree
    return tree.with_changes(body=[node for number, node in enumerate(tree.body) if number not in numbers]).code


def without_unused_imports(text: str, before: str) -> str:
    """Without the names of imports that ``before`` used and nothing uses any more."""
    module, old = Module(text), Module(before)

    def used(module_: Module) -> set[str]:
        return {name for statement in module_.statements if not statement.is_import for name in statement.uses}

    gone = used(old) - used(module)
    body = []
    for statement, node in zip(module.statements, module.tree.body, strict=True):
        if statement.is_import and statement.binds & gone and not isinstance(node.body[0].names, cst.ImportStar):
            kept = [alias for alias in node.body[0].names if bound_name(alias) not in gone]
            if not kept:
                continue
            node = only(node, kept)
        body.append(node)
    return module.tree.with_changes(body=body).code


def if_in_place_of_try(text: str, first: int, second: int) -> str | None:
    """``try: class A … except …: class A …`` as ``if``, by the one expression of which the first takes its primary key.

    :param first, second: lines of the two classes
    """

    class Choose(AtLines):
        def leave_Try(self, original, updated):
            tried = [node for node in updated.body.body if isinstance(node, cst.ClassDef)]
            inside = self.covers(original, first) and self.covers(original, second)
            if not inside or len(updated.body.body) != 1 or len(updated.handlers) != 1 or not tried:
                return updated
            if updated.finalbody or updated.orelse:
                return updated
            keys = {
                cst.Module([]).code_for_node(arg.value)
                for arg in m.findall(tried[0], m.Arg(keyword=m.Name("primary_key")))
            }
            keys -= {"True", "False"}
            if len(keys) != 1:
                return updated
            otherwise = cst.Else(updated.handlers[0].body, leading_lines=updated.handlers[0].leading_lines)
            new = cst.If(cst.parse_expression(keys.pop()), updated.body, otherwise)
            return new.with_changes(leading_lines=updated.leading_lines)

    new = changed(text, Choose())
    return new and without_unused_imports(new, text)


def base_of(text: str, line: int) -> str | None:
    """The first base of the class at ``line``, as it is written."""
    node = next((n for n in ast.walk(parsed(text)) if isinstance(n, ast.ClassDef) and n.lineno == line), None)
    return ast.unparse(node.bases[-1]) if node is not None and node.bases else None


def before_class(text: str, line: int, statement: str) -> str | None:
    """Put a statement before the class."""

    class Before(_OfClass):
        def new(self, class_):
            first = cst.parse_statement(statement).with_changes(leading_lines=class_.leading_lines)
            return cst.FlattenSentinel([first, class_.with_changes(leading_lines=[cst.EmptyLine(indent=False)])])

    return changed(text, Before(line))


def add_foreign_key(text: str, line: int, column: str, target: str) -> str | None:
    """Make a column of the class a foreign key: ``author_id = Column(Integer)`` gets ``ForeignKey("authors.id")``."""

    class Link(_OfClass):
        def new(self, class_):
            body = []
            for node in class_.body.body:
                if _binds(node, column):
                    statement = node.body[0]
                    value = statement.value or cst.parse_expression("mapped_column()")
                    if not isinstance(value, cst.Call) or m.findall(value, m.Call(func=m.Name("ForeignKey"))):
                        body.append(node)
                        continue
                    key = cst.Arg(cst.parse_expression(f'ForeignKey("{target}")'))
                    named = [arg for arg in value.args if arg.keyword]
                    plain = [arg for arg in value.args if not arg.keyword]
                    args = [arg.with_changes(comma=cst.MaybeSentinel.DEFAULT) for arg in (*plain, key, *named)]
                    more = {"equal": cst.AssignEqual()} if isinstance(statement, cst.AnnAssign) else {}
                    node = node.with_changes(body=[statement.with_changes(value=value.with_changes(args=args), **more)])
                body.append(node)
            return class_.with_changes(body=class_.body.with_changes(body=body))

    new = changed(text, Link(line))
    return new and with_name_of(new, "sqlalchemy", "ForeignKey")


def with_name_of(text: str, module: str, name: str) -> str | None:
    """Import a name from a module, in its import where there is one."""
    tree = Module(text).tree
    if any(name in statement.binds for statement in Module(text).statements):
        return text
    for number, node in enumerate(tree.body):
        statement = node.body[0] if isinstance(node, cst.SimpleStatementLine) else None
        if (
            not isinstance(statement, cst.ImportFrom)
            or module not in asked_by(node)
            or isinstance(statement.names, cst.ImportStar)
        ):
            continue
        names = [alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in statement.names]
        at = next((n for n, alias in enumerate(names) if dotted(alias.name).lower() > name.lower()), len(names))
        if statement.lpar:  # keep the lines of a list that has several
            names, at = [*statement.names], len(statement.names)
            names[-1] = names[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        names.insert(at, cst.ImportAlias(cst.Name(name)))
        new = node.with_changes(body=[statement.with_changes(names=names)])
        return tree.with_changes(body=[*tree.body[:number], new, *tree.body[number + 1 :]]).code
    return import_of_library(text, f"from {module} import {name}", module)


def after_class(text: str, line: int, statement: str) -> str | None:
    """Put a statement below the class."""

    class After(_OfClass):
        def new(self, class_):
            blank = [cst.EmptyLine(indent=False)] * 2
            return cst.FlattenSentinel([class_, cst.parse_statement(statement).with_changes(leading_lines=blank)])

    return changed(text, After(line))


def without_line(text: str, statement: str) -> str | None:
    """Without the top-level statement of this text."""
    numbers = [statement_.number for statement_ in Module(text).statements if statement_.code.strip() == statement]
    return without_statements(text, numbers) if numbers else None


def relate_to(text: str, old: str, new: str) -> str | None:
    """Where ``relationship("Old", …)`` or an annotation names a class by a text, name another."""
    if old not in text:
        return None

    class Relate(cst.CSTTransformer):
        inside = 0

        def visit_Call(self, node):
            self.inside += dotted(node.func).rpartition(".")[2] in ("relationship", "Relationship")

        def leave_Call(self, original, updated):
            self.inside -= dotted(original.func).rpartition(".")[2] in ("relationship", "Relationship")
            return updated

        def visit_Annotation(self, node):
            self.inside += 1

        def leave_Annotation(self, original, updated):
            self.inside -= 1
            return updated

        def leave_SimpleString(self, original, updated):
            here = self.inside and original.evaluated_value == old
            return updated.with_changes(value=f"{updated.quote}{new}{updated.quote}") if here else updated

    return changed(text, Relate())


def before_statement(text: str, number: int, statement: str) -> str:
    """Put a statement before one of the top level."""
    tree = Module(text).tree
    return tree.with_changes(body=[*tree.body[:number], cst.parse_statement(statement), *tree.body[number:]]).code


def own_registry(text: str, base: str) -> str | None:
    """``class Base(SQLModel): metadata = MetaData()`` with a registry that holds this metadata, in place of it alone."""

    class Own(cst.CSTTransformer):
        def leave_ClassDef(self, original, updated):
            made = [node for node in updated.body.body if _binds(node, "metadata")]
            if (
                updated.name.value != base
                or not made
                or any(keyword_.keyword and keyword_.keyword.value == "registry" for keyword_ in updated.keywords)
            ):
                return updated
            value = made[0].body[0].value
            inner = (
                f"metadata={cst.Module([]).code_for_node(value)}" if isinstance(value, cst.Call) and value.args else ""
            )
            keyword = cst.Arg(cst.parse_expression(f"registry({inner})"), keyword=cst.Name("registry"), equal=_EQUAL)
            left = [node for node in updated.body.body if node is not made[0]] or [cst.parse_statement("pass")]
            return updated.with_changes(
                keywords=[*updated.keywords, keyword], body=updated.body.with_changes(body=left)
            )

    new = changed(text, Own())
    new = new and with_name_of(new, "sqlalchemy.orm", "registry")
    return new and without_unused_imports(new, text)


def class_at(text: str, line: int) -> str | None:
    """The name of the innermost class that a line stands in."""
    holders = [
        n for n in ast.walk(parsed(text)) if isinstance(n, ast.ClassDef) and n.lineno <= line <= (n.end_lineno or 0)
    ]
    return max(holders, key=lambda node: node.lineno).name if holders else None


def rename_keyword(text: str, called: str, old: str, new: str) -> str | None:
    """Where ``called(…, old=…)`` is written, write ``new=``."""
    if called not in text or old not in text:
        return None

    class Rename(cst.CSTTransformer):
        def leave_Call(self, original, updated):
            if dotted(original.func).rpartition(".")[2] != called:
                return updated
            args = [
                arg.with_changes(keyword=cst.Name(new)) if arg.keyword and arg.keyword.value == old else arg
                for arg in updated.args
            ]
            return updated.with_changes(args=args)

    return changed(text, Rename())
