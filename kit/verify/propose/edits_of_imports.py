"""Edits of import statements that keep the form of the rest.

Each takes a text and gives the new one, or None where it would change nothing.
"""

import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

import libcst as cst
from libcst import matchers as m

from ...incident.source import absolute
from .edits import begins_at, changed, code_of, instead, replaced, saying
from .statements import BLANK, Module, asked_by, bound_name, dotted, is_docstring, only

_FOR_TOOLS = re.compile(r"#\s*(noqa|nopep8|pylint|ruff|type:)")
Part = TypeVar("Part", cst.ImportAlias, cst.Element)


def add_import(text: str, statement: str) -> str | None:
    """Add an import: its names to the statement that asks the same module for others, or else below its likes.

    The text itself where it is there already; None where something else has its name.
    """
    module = Module.read(text)
    if module is None:
        return None
    new = cst.parse_statement(statement)
    wanted, (asked, *_) = _targets(new), asked_by(new)
    here: dict[str, str] = {}
    for number, place in enumerate(module.statements):
        other = dict.fromkeys(place.binds, "") if not place.is_for_types else {}
        here |= _targets(module.tree.body[number]) if place.is_import else other
    if any(here.get(name, target) != target for name, target in wanted.items()):
        return None
    plain = isinstance(new.body[0], cst.Import)
    there = not plain or any(asked in asked_by(node) for node in module.tree.body)
    if wanted and wanted.keys() <= here.keys() and there:
        return text
    for number, node in enumerate(module.tree.body if not plain else ()):
        covered = new.trailing_whitespace.comment is None or asked_by(node) and node.trailing_whitespace.comment
        if covered and asked_by(node) == [asked] and len(node.body) == 1 and _takes_names(node.body[0]):
            statement_, body = node.body[0], list(module.tree.body)
            names = _with_more(statement_.names, [a for a in new.body[0].names if bound_name(a) not in here])
            body[number] = node.with_changes(body=[statement_.with_changes(names=names)])
            return module.having(body)
    return _placed(module, new, asked)


def _targets(node: cst.SimpleStatementLine) -> dict[str, str]:
    """The names that an import statement binds, each with what it is bound to."""
    targets: dict[str, str] = {}
    for part in node.body:
        home = "." * len(part.relative) + dotted(part.module) + ":" if isinstance(part, cst.ImportFrom) else ""
        for alias in () if isinstance(part.names, cst.ImportStar) else part.names:
            name = bound_name(alias)
            targets[name] = home + dotted(alias.name) if home or alias.asname else name
    return targets


def _takes_names(part: cst.BaseSmallStatement) -> bool:
    return isinstance(part, cst.ImportFrom) and not isinstance(part.names, cst.ImportStar)


def _with_more(parts: Sequence[Part], more: Sequence[Part]) -> list[Part]:
    """Names or elements with more: in their order, where they have one, and on lines of their own, where the others are."""
    parts = list(parts)
    keys = [code_of(part.with_changes(comma=cst.MaybeSentinel.DEFAULT)).lower() for part in parts]
    last, between = parts[-1].comma, cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    if len(parts) > 1:
        between = cst.Comma(whitespace_after=_bare(parts[0].comma.whitespace_after))
    for part in more:
        key = code_of(part.with_changes(comma=cst.MaybeSentinel.DEFAULT)).lower()
        later = (n for n, other in enumerate(keys) if other > key and keys == sorted(keys))
        at = next(later, len(parts))
        parts[-1] = parts[-1].with_changes(comma=between)
        parts.insert(at, part.with_changes(comma=between))
        keys.insert(at, key)
    return [*parts[:-1], parts[-1].with_changes(comma=last)]


def _bare(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    """Without a comment."""
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return space
    return space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])


def import_like_others(text: str, module: str, classes: Sequence[str], package: str, modules: Collection[str]) -> str:
    """Import a module for its effect, in the way in which the text imports others so: as a module, by its classes, by ``*``.

    :param package: that which the text stands in; ``modules``: the names of the application's modules
    """
    source, parent = Module(text), module.rpartition(".")[0]
    used = {name for place in source.statements if not place.is_import for name in place.uses}
    effects = (place for place in reversed(source.statements) if place.is_import and not place.binds & used)
    for place in effects:
        node, comment = place.nodes[0], source.tree.body[place.number].trailing_whitespace.comment
        comment = comment.value if comment and _FOR_TOOLS.match(comment.value) else None
        level = getattr(node, "level", 0)
        base = absolute(getattr(node, "module", None), package, level)
        if not _shared(module, base or node.names[0].name):
            continue
        names = [alias.name for alias in node.names]
        of_modules = all(f"{base}.{name}" in modules for name in names)
        statement = f"import {module}"
        if base and (of_modules or not (classes or names == ["*"])):
            statement = f"from {_spelled(parent, package, level)} import {module.rpartition('.')[2]}"
        elif base:
            asked = "*" if names == ["*"] else ", ".join(classes)
            statement = f"from {_spelled(module, package, level)} import {asked}"
        new = add_import(text, statement + (f"  {comment}" if comment else ""))
        if new is not None:
            exported = classes if statement.endswith(", ".join(classes)) else [module.rpartition(".")[2]]
            return _exported(new, exported) if base and names != ["*"] else new
    last = f"from {_spelled(parent, package, 1)} import {module.rpartition('.')[2]}  # noqa: F401"
    plain = add_import(text, f"import {module}  # noqa: F401") if parent != package else None
    return plain or add_import(text, last) or text


def _spelled(module: str, package: str, level: int) -> str:
    """A module's name in an import: with dots, where that is wanted, and it shares a package with the text."""
    shared = int(_shared(module, package)) if level else 0
    dots = "." * (package.count(".") + 2 - shared)
    return dots + ".".join(module.split(".")[shared:]) if shared else module


def _exported(text: str, names: Sequence[str]) -> str:
    """With the names in ``__all__``, where there is such a list."""
    strings = [m.AtLeastN(m.Element(m.SimpleString()), n=1)]
    listed = m.List(strings) | m.Tuple(strings)

    def longer(node: cst.Assign) -> cst.Assign:
        more = [cst.Element(saying(name)(node.value.elements[0].value)) for name in names]
        return node.with_changes(value=node.value.with_changes(elements=_with_more(node.value.elements, more)))

    return replaced(text, m.Assign(targets=[m.AssignTarget(m.Name("__all__"))], value=listed), longer) or text


def _placed(module: Module, new: cst.SimpleStatementLine, asked: str) -> str:
    """An import below the last that shares the most of its module's name, else below the last above all definitions."""
    body = list(module.tree.body)
    defined = (n for n, node in enumerate(body) if isinstance(node, cst.ClassDef | cst.FunctionDef))
    first = next(defined, len(body))
    known = [(number, _shared(asked, name)) for number, node in enumerate(body) for name in asked_by(node)[:1]]
    above = [item for item in known if item[0] < first]
    like = [item for item in above if item[1]] or [item for item in known if item[1]] or above
    at = max(like, key=lambda item: (item[1], item[0]))[0] + 1 if like else _head(module)
    new = new.with_changes(leading_lines=[] if like else BLANK * bool(at))
    if at < len(body) and not asked_by(body[at]) and not body[at].leading_lines:
        body[at] = body[at].with_changes(leading_lines=BLANK)
    return module.having([*body[:at], new, *body[at:]])


def _shared(asked: str, other: str) -> float:
    """How many parts two modules' names begin with alike; a half, where both are of the standard library."""
    pairs = zip(asked.split("."), other.split("."), strict=False)
    alike = next((n for n, (a, b) in enumerate(pairs) if a != b), min(asked.count("."), other.count(".")) + 1)
    return alike or ({asked.partition(".")[0], other.partition(".")[0]} <= sys.stdlib_module_names) / 2


def _head(module: Module) -> int:
    """The number of statements that come before every import: a docstring, and ``__future__``."""
    ahead = (is_docstring(node) or "__future__" in asked_by(node) for node in module.tree.body)
    return next((number for number, stays in enumerate(ahead) if not stays), len(module.tree.body))


def without_names(node: cst.SimpleStatementLine, names: Iterable[str]) -> cst.SimpleStatementLine | None:
    """An import statement without these names; None where none is left."""
    aliases = node.body[0].names
    if isinstance(aliases, cst.ImportStar) or len(node.body) > 1:
        return node
    kept = [alias for alias in aliases if bound_name(alias) not in names]
    return node if len(kept) == len(aliases) else only(node, kept) if kept else None


def without_unused_imports(text: str, before: str) -> str:
    """Without the names of imports that ``before`` used and nothing uses any more, those for types among them."""

    def used(module: Module) -> set[str]:
        places = (place for place in module.statements if not place.is_import)
        return {name for place in places for name in (place.for_types if place.is_for_types else place.uses)}

    old, new = used(Module(before)), Module(text)
    gone, body = old - used(new), []
    for place, node in zip(new.statements, new.tree.body, strict=True):
        if place.is_for_types:
            block = [kept for part in node.body.body if (kept := without_names(part, gone))]
            node = node.with_changes(body=node.body.with_changes(body=block)) if block else None
        elif place.is_import:
            node = without_names(node, gone)
        body.append(node)
    left = new.having(node for node in body if node is not None)
    return left if left == text else without_unused_imports(left, before)


def import_from(text: str, module: str, names: Collection[str], new: str, package: str = "") -> str | None:
    """Where these names are imported from ``module``, import them from the module ``new``.

    :param package: that which the text stands in, by which a relative import is read
    """
    if module.rpartition(".")[2] not in text:
        return None

    class From(cst.CSTTransformer):
        def leave_SimpleStatementLine(self, original, updated):
            for statement in updated.body:
                if not _is_from(statement, module, package):
                    continue
                taken = [alias for alias in statement.names if dotted(alias.name) in names]
                rest = [alias for alias in statement.names if dotted(alias.name) not in names]
                if not taken:
                    continue
                taken = [alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in taken]
                source = cst.parse_statement(f"from {_spelled(new, package, len(statement.relative))} import _").body[0]
                moved = source.with_changes(names=taken)
                if not rest:
                    return updated.with_changes(body=[moved])
                kept = only(updated.with_changes(body=[statement]), rest).with_changes(leading_lines=[])
                return cst.FlattenSentinel([updated.with_changes(body=[moved]), kept])
            return updated

    return changed(text, From())


def _is_from(statement: cst.BaseSmallStatement, module: str, package: str = "") -> bool:
    """Is it ``from module import`` with names?"""
    if not _takes_names(statement) or statement.relative and not package:
        return False
    return absolute(dotted(statement.module), package, len(statement.relative)) == module


def caught(text: str, line: int) -> str | None:
    """``try`` about the import statement at ``line``, and ``except Exception: pass``."""
    asking = m.SimpleStatementLine(body=[m.Import() | m.ImportFrom()], metadata=begins_at(line))

    def tried(node: cst.SimpleStatementLine) -> cst.BaseStatement:
        whole = instead("try:\n    pass\nexcept Exception:\n    pass\n")(node)
        return whole.with_changes(body=whole.body.with_changes(body=[node.with_changes(leading_lines=[])]))

    return replaced(text, asking, tried)


def import_as(text: str, module: str, name: str, other: str) -> str | None:
    """Where ``name`` is imported from ``module``, import ``other`` of it by that name."""

    def renamed(alias: cst.ImportAlias) -> cst.ImportAlias:
        new = {"name": cst.Name(other), "asname": alias.asname or cst.AsName(cst.Name(name))}
        return alias.with_changes(**new) if dotted(alias.name) == name else alias

    asking = m.MatchIfTrue(lambda node: isinstance(node, cst.ImportFrom) and _is_from(node, module))
    return replaced(text, asking, lambda node: node.with_changes(names=[*map(renamed, node.names)]))
