"""Edits of import statements that keep the form of the rest.

Each takes a text and gives the new one, or None where it would change nothing.
"""

import re
import sys
from collections.abc import Iterable

import libcst as cst
from libcst import matchers as m

from .edits import changed, replaced
from .statements import BLANK, Module, asked_by, bound_name, dotted, is_docstring, only

# By these a group of imports is known as one of libraries: what stands beside SQLAlchemy most often.
_LIBRARY = re.compile(
    r"(alembic|celery|django|fastapi|flask|flask_migrate|flask_sqlalchemy|geoalchemy2|httpx|numpy|pandas|pgvector|pydantic"
    r"|pydantic_settings|pytest|requests|sqlalchemy|sqlalchemy_utils|sqlmodel|starlette|uvicorn|werkzeug)(\.|$)"
)


def add_import(text: str, statement: str, *, beside: Iterable[str] = ()) -> str | None:
    """Add an import below the last one at the top that asks for one of these packages, else below all of them."""
    module = Module.read(text)
    if module is None:
        return None
    asked = [asked_by(node) for node in module.tree.body]
    near = tuple(f"{package}." for package in beside)
    chosen = [n for n, names in enumerate(asked) if any(f"{name}.".startswith(near) for name in names)]
    every = [n for n, names in enumerate(asked) if names]
    docstring = [0] if module.tree.body and is_docstring(module.tree.body[0]) else [-1]
    return module.inserted((chosen or every or docstring)[-1] + 1, statement)


def _head(module: Module) -> int:
    """The number of statements that come before every import: a docstring, and ``__future__``."""
    ahead = (is_docstring(node) or "__future__" in asked_by(node) for node in module.tree.body)
    return next((number for number, stays in enumerate(ahead) if not stays), len(module.tree.body))


def add_import_first(text: str, statement: str) -> str | None:
    """Add an import above all others, below a docstring and ``__future__``."""
    module = Module.read(text)
    return module and module.inserted(_head(module), statement)


def import_plainly(text: str, name: str) -> str | None:
    """Add ``import name`` of the standard library where its like stand; the text itself where it is there."""
    module = Module.read(text)
    if module is None:
        return None
    plain = []
    for number, node in enumerate(module.tree.body):
        if m.matches(node, m.SimpleStatementLine(body=[m.Import()])):
            plain.append((number, asked_by(node)[0]))
        elif asked_by(node) or not isinstance(node, cst.SimpleStatementLine):
            break
    if any(known == name for _, known in plain):
        return text
    if plain:
        at = next((number for number, known in plain if known > name), plain[-1][0] + 1)
        return module.inserted(at, f"import {name}")
    at, body = _head(module), list(module.tree.body)
    if at < len(body) and not body[at].leading_lines:
        body[at] = body[at].with_changes(leading_lines=BLANK)
    return module.having([*body[:at], cst.parse_statement(f"import {name}"), *body[at:]])


def import_of_library(text: str, statement: str, name: str) -> str | None:
    """Add an import of a library among those of others, in order; above the application's own where there are no others."""
    module = Module.read(text)
    if module is None:
        return None
    body = list(module.tree.body)
    asked = [(number, names[0]) for number, node in enumerate(body) if (names := asked_by(node))]
    later = [(number, known) for number, known in asked if known.partition(".")[0] not in sys.stdlib_module_names]
    if not later:
        return add_import(text, statement)
    apart = [
        n for n, (number, _) in enumerate(later) if n and any(not line.comment for line in body[number].leading_lines)
    ]
    group, new = later[: apart[0]] if apart else later, cst.parse_statement(statement)
    at = first = group[0][0]
    of_libraries = any(_LIBRARY.match(known) for _, known in group)
    if of_libraries:
        at = next((number for number, known in group if known > name), group[-1][0] + 1)
    if at == first:
        new = new.with_changes(leading_lines=body[at].leading_lines)
        body[at] = body[at].with_changes(leading_lines=[] if of_libraries else BLANK)
    return module.having([*body[:at], new, *body[at:]])


def with_name_of(text: str, module: str, name: str) -> str | None:
    """Import a name from a module, in its import where there is one."""
    source = Module(text)
    if any(name in statement.binds for statement in source.statements):
        return text
    for number, node in enumerate(source.tree.body):
        statement = node.body[0] if module in asked_by(node) else None
        if not isinstance(statement, cst.ImportFrom) or isinstance(statement.names, cst.ImportStar):
            continue
        names = [alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in statement.names]
        at = next((n for n, alias in enumerate(names) if dotted(alias.name).lower() > name.lower()), len(names))
        if statement.lpar:  # keep the lines of a list that has several
            names, at = [*statement.names], len(statement.names)
            names[-1] = names[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        names.insert(at, cst.ImportAlias(cst.Name(name)))
        body = list(source.tree.body)
        body[number] = node.with_changes(body=[statement.with_changes(names=names)])
        return source.having(body)
    return import_of_library(text, f"from {module} import {name}", module)


def without_names(node: cst.SimpleStatementLine, names: Iterable[str]) -> cst.SimpleStatementLine | None:
    """An import statement without these names; None where none is left."""
    aliases = node.body[0].names
    if isinstance(aliases, cst.ImportStar) or len(node.body) > 1:
        return node
    kept = [alias for alias in aliases if bound_name(alias) not in names]
    return node if len(kept) == len(aliases) else only(node, kept) if kept else None


def without_unused_imports(text: str, before: str) -> str:
    """Without the names of imports that ``before`` used and nothing uses any more."""
    module, old = Module(text), Module(before)

    def used(module_: Module) -> set[str]:
        return {name for statement in module_.statements if not statement.is_import for name in statement.uses}

    gone = used(old) - used(module)
    both = zip(module.statements, module.tree.body, strict=True)
    body = (without_names(node, gone) if statement.is_import else node for statement, node in both)
    return module.having(node for node in body if node is not None)


def insert_after_import(text: str, name: str, statement: str) -> str | None:
    """Put a statement below the import of a module at the top level."""
    module = Module.read(text)
    asking = [n for n, node in enumerate(module.tree.body) if name in asked_by(node)] if module is not None else []
    return module.inserted(asking[0] + 1, statement) if asking else None


def move_import_to_end(text: str, line: int) -> str | None:
    """The import at ``line`` of the top level as the module's last statement."""
    module = Module.read(text)
    place = module.at(line) if module is not None else None
    if place is None or place.first != line or not asked_by(module.tree.body[place.number]):
        return None
    body = list(module.tree.body)
    moved = body.pop(place.number).with_changes(leading_lines=BLANK * 2)
    new = module.having([*body, moved])
    return new if new != text else None


def import_from(text: str, module: str, name: str, new: str) -> str | None:
    """Where ``name`` is imported from ``module``, import it from the module ``new``."""
    if name not in text or module not in text:
        return None

    class From(cst.CSTTransformer):
        def leave_SimpleStatementLine(self, original, updated):
            for statement in updated.body:
                if not _is_from(statement, module):
                    continue
                taken = [alias for alias in statement.names if dotted(alias.name) == name]
                rest = [alias for alias in statement.names if dotted(alias.name) != name]
                if not taken:
                    continue
                alias = taken[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
                moved = statement.with_changes(module=cst.parse_expression(new), names=[alias])
                if not rest:
                    return updated.with_changes(body=[moved])
                rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
                kept = updated.with_changes(body=[statement.with_changes(names=rest)], leading_lines=[])
                return cst.FlattenSentinel([updated.with_changes(body=[moved]), kept])
            return updated

    return changed(text, From())


def _is_from(statement: cst.BaseSmallStatement, module: str) -> bool:
    """Is it ``from module import`` with names?"""
    by_name = isinstance(statement, cst.ImportFrom) and not statement.relative
    return by_name and dotted(statement.module) == module and not isinstance(statement.names, cst.ImportStar)


def import_as(text: str, module: str, name: str, other: str) -> str | None:
    """Where ``name`` is imported from ``module``, import ``other`` of it by that name."""

    def renamed(alias: cst.ImportAlias) -> cst.ImportAlias:
        if dotted(alias.name) != name:
            return alias
        return alias.with_changes(name=cst.Name(other), asname=alias.asname or cst.AsName(cst.Name(name)))

    def asking(node: cst.ImportFrom) -> cst.ImportFrom:
        return node.with_changes(names=[*map(renamed, node.names)]) if _is_from(node, module) else node

    return replaced(text, m.ImportFrom(), asking)
