"""Edits of what is done with a metadata as a whole.

Each takes a text and gives the new one, or None where it would change nothing.
"""

import ast
import re
from collections.abc import Mapping, Sequence

import libcst as cst
from libcst import matchers as m

from ...incident.source import parsed
from .edits import AtLines, changed, dotted
from .edits_of_classes import with_name_of, without_unused_imports
from .statements import Module


def target_of(text: str) -> str | None:
    """What ``env.py`` gives Alembic as its ``target_metadata``; None where that is not written out."""
    for node in ast.walk(parsed(text)):
        named = isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["target_metadata"]
        value = node.value if named or isinstance(node, ast.keyword) and node.arg == "target_metadata" else None
        if value is not None and not isinstance(value, ast.Constant) and ast.unparse(value) != "target_metadata":
            return ast.unparse(value)
    return None


def with_target(text: str, value: str) -> str | None:
    """Give Alembic something else, in an assignment to ``target_metadata`` or else in each call."""
    assigned = any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "target_metadata"
        and not isinstance(node.value, ast.Constant)
        for node in ast.walk(parsed(text))
    )
    new = cst.parse_expression(value)

    class Give(cst.CSTTransformer):
        def leave_Assign(self, original, updated):
            here = assigned and m.matches(updated.targets[0].target, m.Name("target_metadata"))
            return updated.with_changes(value=new) if here else updated

        def leave_Arg(self, original, updated):
            here = not assigned and updated.keyword and updated.keyword.value == "target_metadata"
            return updated.with_changes(value=new) if here else updated

    return changed(text, Give())


def statement_instead(text: str, number: int, statement: str) -> str | None:
    """Put a statement in the place of one of the top level."""
    tree = Module(text).tree
    old = tree.body[number]
    new = cst.parse_statement(statement).with_changes(leading_lines=old.leading_lines)
    return tree.with_changes(body=[*tree.body[:number], new, *tree.body[number + 1 :]]).code


def reflect_apart(text: str, line: int) -> str | None:
    """``Base.metadata.reflect(…)`` at ``line`` of the top level on a metadata of its own, which the file then looks into."""
    module = Module(text)
    place = module.at(line)
    node = module.tree.body[place.number] if place is not None else None
    call = node.body[0].value if m.matches(node, m.SimpleStatementLine(body=[m.Expr(m.Call())])) else None
    if call is None or dotted(call.func).rpartition(".")[2] != "reflect":
        return None
    old = dotted(call.func).rpartition(".")[0]
    name = (
        "reflected"
        if not any("reflected" in statement.binds | statement.uses for statement in module.statements)
        else "reflected_metadata"
    )

    class Apart(AtLines):
        def leave_SimpleStatementLine(self, original, updated):
            if self.line(original) != place.first:
                return updated
            made = cst.parse_statement(f"{name} = MetaData()").with_changes(leading_lines=updated.leading_lines)
            return cst.FlattenSentinel([made, updated.with_changes(leading_lines=[])])

        def leave_Attribute(self, original, updated):
            looked_into = original.attr.value in ("tables", "reflect") and dotted(original.value) == old
            return updated.with_changes(value=cst.Name(name)) if looked_into else updated

    new = changed(text, Apart())
    new = new and with_name_of(new, "sqlalchemy", "MetaData")
    return new and without_unused_imports(new, text)


def table_of_columns(name: str, columns: Sequence[Mapping], metadata: str, asked: str) -> str | None:
    """A module that declares a table as the revisions make it; None where a type has no name that SQLAlchemy itself gives.

    :param columns: ``[{name, type, nullable, primary_key, unique, index, server_default, foreign_keys}]``
    :param metadata: the expression of the metadata, for which ``asked`` is the import
    """
    lines = []
    for column in columns:
        if column["type"].partition("(")[0] not in _TYPES:
            return None
        parts = [f'"{column["name"]}"', f"sa.{column['type'].removesuffix('()')}"]
        parts += [f'sa.ForeignKey("{key}")' for key in column["foreign_keys"]]
        parts += [f"{flag}=True" for flag in ("primary_key", "unique", "index") if column[flag]]
        parts += ["nullable=False"] if not column["nullable"] and not column["primary_key"] else []
        parts += (
            [f"server_default=sa.text({column['server_default']!r})"] if column["server_default"] is not None else []
        )
        lines.append(f"    sa.Column({', '.join(parts)}),\n")
    variable = re.sub(r"\W", "_", name)
    head = f"import sqlalchemy as sa\n\n{asked}\n\n{variable} = sa.Table(\n"
    return head + f'    "{name}",\n    {metadata},\n' + "".join(lines) + ")\n"


_TYPES = {
    *(
        "BIGINT",
        "BINARY",
        "BLOB",
        "BOOLEAN",
        "CHAR",
        "DATE",
        "DATETIME",
        "DECIMAL",
        "DOUBLE",
        "FLOAT",
        "INTEGER",
        "JSON",
        "NUMERIC",
    ),
    *("NVARCHAR", "REAL", "SMALLINT", "TEXT", "TIME", "TIMESTAMP", "UUID", "VARBINARY", "VARCHAR"),
}
