"""Edits of import statements that keep the form of the rest.

Each takes a text and gives the new one, or None where it would change nothing.
"""

import sys

import libcst as cst
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider

from .edits import add_import, as_name, asked_by, changed, dotted


def add_import_first(text: str, statement: str) -> str | None:
    """Add an import above all others, below a docstring and ``__future__``."""
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    at = 0
    for node in module.body:
        if not m.matches(node, m.SimpleStatementLine()):
            break
        if not (
            m.matches(node, m.SimpleStatementLine(body=[m.Expr(m.SimpleString())])) or "__future__" in asked_by(node)
        ):
            break
        at += 1
    return module.with_changes(body=[*module.body[:at], cst.parse_statement(statement), *module.body[at:]]).code


def import_plainly(text: str, module: str) -> str | None:
    """Add ``import module`` of the standard library where its like stand; the text itself where it is there."""
    try:
        tree = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    plain = []
    for number, node in enumerate(tree.body):
        if m.matches(node, m.SimpleStatementLine(body=[m.Import()])):
            plain.append((number, asked_by(node)[0]))
        elif asked_by(node) if m.matches(node, m.SimpleStatementLine()) else True:
            break
    if any(name == module for _, name in plain):
        return text
    if not plain:
        new = add_import_first(text, f"import {module}")
        following = cst.parse_module(new).body if new else ()
        at = next(
            (
                n
                for n, node in enumerate(following)
                if m.matches(node, m.SimpleStatementLine()) and module in asked_by(node)
            ),
            None,
        )
        if at is None or at + 1 >= len(following) or following[at + 1].leading_lines:
            return new
        body = list(following)
        body[at + 1] = body[at + 1].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        return cst.parse_module(new).with_changes(body=body).code
    at = next((number for number, name in plain if name > module), plain[-1][0] + 1)
    return tree.with_changes(body=[*tree.body[:at], cst.parse_statement(f"import {module}"), *tree.body[at:]]).code


def import_of_library(text: str, statement: str, module: str) -> str | None:
    """Add an import of a library among those of others, in order; above the application's own where there are no others."""
    try:
        tree = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    imports = [
        (n, node, asked_by(node)) for n, node in enumerate(tree.body) if isinstance(node, cst.SimpleStatementLine)
    ]
    later = [(n, node, names[0]) for n, node, names in imports if names and not _is_standard(names[0])]
    if not later:
        return add_import(text, statement)
    apart = [
        number
        for number, (_, node, _) in enumerate(later)
        if number and any(not line.comment for line in node.leading_lines)
    ]
    group = later[: apart[0]] if apart else later
    new, first, body = cst.parse_statement(statement), group[0], list(tree.body)
    if any(name.partition(".")[0] in _LIBRARIES for _, _, name in group):
        before = next((n for n, _, name in group if name > module), None)
        at = before if before is not None else group[-1][0] + 1
        if at == first[0]:
            new = new.with_changes(leading_lines=first[1].leading_lines)
            body[at] = first[1].with_changes(leading_lines=[])
    else:
        at = first[0]
        new = new.with_changes(leading_lines=first[1].leading_lines)
        body[at] = first[1].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
    return tree.with_changes(body=[*body[:at], new, *body[at:]]).code


def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


# By these a group of imports is known as one of libraries: what stands beside SQLAlchemy most often.
_LIBRARIES = {
    *(
        "alembic",
        "celery",
        "django",
        "fastapi",
        "flask",
        "flask_migrate",
        "flask_sqlalchemy",
        "geoalchemy2",
        "httpx",
        "numpy",
        "pandas",
    ),
    *(
        "pgvector",
        "pydantic",
        "pydantic_settings",
        "pytest",
        "requests",
        "sqlalchemy",
        "sqlalchemy_utils",
        "sqlmodel",
        "starlette",
    ),
    *("uvicorn", "werkzeug"),
}


def insert_after_import(text: str, module: str, statement: str) -> str | None:
    """Put a statement below the import of ``module`` at the top level."""
    try:
        tree = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    for number, node in enumerate(tree.body):
        if isinstance(node, cst.SimpleStatementLine) and module in asked_by(node):
            new = cst.parse_statement(statement)
            return tree.with_changes(body=[*tree.body[: number + 1], new, *tree.body[number + 1 :]]).code
    return None


def move_import_to_end(text: str, line: int) -> str | None:
    """The import at ``line`` of the top level as the module's last statement."""
    try:
        wrapper = MetadataWrapper(cst.parse_module(text))
    except cst.ParserSyntaxError:
        return None
    places = wrapper.resolve(PositionProvider)
    for number, node in enumerate(wrapper.module.body):
        if isinstance(node, cst.SimpleStatementLine) and asked_by(node) and places[node].start.line == line:
            moved = node.with_changes(leading_lines=[cst.EmptyLine(indent=False), cst.EmptyLine(indent=False)])
            body = [*wrapper.module.body[:number], *wrapper.module.body[number + 1 :], moved]
            new = wrapper.module.with_changes(body=body).code
            return new if new != text else None
    return None


def import_from(text: str, module: str, name: str, new: str) -> str | None:
    """Where ``name`` is imported from ``module``, import it from the module ``new``."""
    if name not in text or module not in text:
        return None

    class From(cst.CSTTransformer):
        def leave_SimpleStatementLine(self, original, updated):
            for statement in updated.body:
                if (
                    not isinstance(statement, cst.ImportFrom)
                    or statement.relative
                    or dotted(statement.module) != module
                ):
                    continue
                if isinstance(statement.names, cst.ImportStar):
                    continue
                taken = [alias for alias in statement.names if dotted(alias.name) == name]
                rest = [alias for alias in statement.names if dotted(alias.name) != name]
                if not taken:
                    continue
                moved = statement.with_changes(
                    module=as_name(new), names=[taken[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)]
                )
                if not rest:
                    return updated.with_changes(body=[moved])
                rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
                kept = updated.with_changes(body=[statement.with_changes(names=rest)])
                return cst.FlattenSentinel([updated.with_changes(body=[moved]), kept.with_changes(leading_lines=[])])
            return updated

    return changed(text, From())


def import_as(text: str, module: str, name: str, other: str) -> str | None:
    """Where ``name`` is imported from ``module``, import ``other`` of it by that name."""

    class As(cst.CSTTransformer):
        def leave_ImportFrom(self, original, updated):
            if updated.relative or dotted(updated.module) != module or isinstance(updated.names, cst.ImportStar):
                return updated
            names = []
            for alias in updated.names:
                if dotted(alias.name) == name:
                    bound = alias.asname or cst.AsName(cst.Name(name))
                    alias = alias.with_changes(name=cst.Name(other), asname=bound)
                names.append(alias)
            return updated.with_changes(names=names)

    return changed(text, As())
