"""Edits of sources that keep their form: each takes a text and gives the new one, or None where it would change nothing.

By LibCST: comments, quotes and blank lines stay as they are. A text that it cannot parse is left alone.
"""

import ast
import re
from collections.abc import Callable, Collection

import libcst as cst
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider

from .statements import Module, dotted

New = cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel


def changed(text: str, transformer: cst.CSTTransformer) -> str | None:
    return _new(text, lambda wrapper: wrapper.visit(transformer))


def replaced(text: str, matcher: m.BaseMatcherNode, new: Callable[[cst.CSTNode], New]) -> str | None:
    """The text with something else in the place of every node that matches."""
    return _new(text, lambda wrapper: m.replace(wrapper, matcher, lambda node, _: new(node)))


def _new(text: str, edit: Callable[[MetadataWrapper], cst.Module]) -> str | None:
    try:
        new = edit(MetadataWrapper(cst.parse_module(text))).code
    except (cst.ParserSyntaxError, cst.CSTValidationError, ValueError, RecursionError):
        return None
    return new if new != text else None


# ------------------------------------------------------------------------------------ what is looked for


def begins_at(line: int) -> m.MatchMetadataIfTrue:
    return m.MatchMetadataIfTrue(PositionProvider, lambda place: place.start.line == line)


def covers(line: int) -> m.MatchMetadataIfTrue:
    return m.MatchMetadataIfTrue(PositionProvider, lambda place: place.start.line <= line <= place.end.line)


def class_at(line: int) -> m.OneOf:
    """The class that begins at a line, with its decorators."""
    decorated = [m.ZeroOrMore(), m.Decorator(metadata=begins_at(line)), m.ZeroOrMore()]
    return m.ClassDef(metadata=begins_at(line)) | m.ClassDef(decorators=decorated)


def named(*names: str) -> m.MatchIfTrue:
    """A name or attribute by its last part."""
    return m.MatchIfTrue(lambda node: dotted(node).rpartition(".")[2] in names)


def call_of(name: str, line: int) -> m.Call:
    return m.Call(func=named(name), metadata=covers(line))


def string(value: str, **more) -> m.SimpleString:
    return m.SimpleString(value=m.MatchIfTrue(lambda code: ast.literal_eval(code) == value), **more)


# ------------------------------------------------------------------------------------ what stands there then


def instead(statement: str) -> Callable[[cst.CSTNode], cst.CSTNode]:
    """A statement in the place of another, below the same comments."""
    return lambda node: cst.parse_statement(statement).with_changes(leading_lines=node.leading_lines)


def saying(text: str) -> Callable[[cst.SimpleString], cst.SimpleString]:
    """A string with another text, in the same quotes."""
    return lambda node: node.with_changes(value=f"{node.prefix}{node.quote}{text}{node.quote}")


def argument(value: str, keyword: str | None = None) -> cst.Arg:
    if keyword is None:
        return cst.Arg(cst.parse_expression(value))
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return cst.Arg(cst.parse_expression(value), keyword=cst.Name(keyword), equal=equal)


def code_of(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


# ------------------------------------------------------------------------------------ the edits


def replace_class(text: str, line: int, statement: str) -> str | None:
    """Put ``statement`` in the place of the class that begins at ``line``, its decorators included."""
    return replaced(text, class_at(line), instead(statement))


def remove_class(text: str, line: int) -> str | None:
    return replaced(text, class_at(line), lambda class_: cst.RemoveFromParent())


def replace_at(text: str, line: int, statement: str) -> str | None:
    """Put another statement in the place of the top-level one that ``line`` stands in, below the same comments."""
    module = Module(text)
    body, place = list(module.tree.body), module.at(line)
    if place is None:
        return None
    body[place.number] = instead(statement)(body[place.number])
    return module.having(body)


def remove_statement(text: str, line: int) -> str | None:
    """Without the simple statement at ``line``; a block that would be empty gets ``pass``."""
    return replaced(text, m.SimpleStatementLine(metadata=begins_at(line)), lambda line_: cst.RemoveFromParent())


def add_argument(text: str, line: int, call: str, name: str, value: str) -> str | None:
    """Give the call of ``call`` (the last part of its name) at ``line`` one more argument, or another value for it."""

    def with_argument(node: cst.Call) -> cst.Call:
        kept = [arg for arg in node.args if not (arg.keyword and arg.keyword.value == name)]
        kept[-1:] = [arg.with_changes(comma=cst.MaybeSentinel.DEFAULT) for arg in kept[-1:]]
        return node.with_changes(args=[*kept, argument(value, name)])

    return replaced(text, call_of(call, line), with_argument)


def without_reload(text: str, line: int) -> str | None:
    """Put the module itself in the place of ``reload(module)`` at ``line``."""
    return replaced(text, call_of("reload", line), lambda call: call.args[0].value)


def wrap_url(text: str, line: int, old: str, new: str) -> str | None:
    """In ``create_engine(url, …)`` about ``line`` take a URL that begins with ``old`` as one that begins with ``new``."""

    def wrapped(call: cst.Call) -> cst.Call:
        if not call.args or call.args[0].keyword:
            return call
        taken = cst.parse_expression(f'{code_of(call.args[0].value)}.replace("{old}", "{new}", 1)')
        return call.with_changes(args=[call.args[0].with_changes(value=taken), *call.args[1:]])

    return replaced(text, call_of("create_engine", line), wrapped)


def decorate(text: str, function: str, line: int, decorator: str) -> str | None:
    """Put a decorator above the function of this name that ``line`` stands in."""
    new = cst.Decorator(decorator=cst.parse_expression(decorator))
    about = m.FunctionDef(name=m.Name(function), metadata=covers(line))
    return replaced(text, about, lambda node: node.with_changes(decorators=[*node.decorators, new]))


def replace_text(text: str, line: int, old: str, new: str) -> str | None:
    """Put another text in the place of the string ``old`` that stands in the statement at ``line``."""
    near = m.MatchMetadataIfTrue(PositionProvider, lambda place: abs(place.start.line - line) <= 3)
    return replaced(text, string(old, metadata=near), saying(new))


def replace_string_by_name(text: str, line: int, old: str, name: str) -> str | None:
    """Put a name in the place of the string ``old`` at ``line``."""
    return replaced(text, string(old, metadata=begins_at(line)), lambda node: cst.Name(name))


def replace_prefix(text: str, old: str, new: str) -> str | None:
    """In every string that begins with ``old``, begin with ``new``; what only looks for it (``startswith``, ``replace``) stays."""
    if old not in text:
        return None
    looks = m.Call(func=named("startswith", "replace", "removeprefix"))

    class Begin(m.MatcherDecoratableTransformer):
        @m.call_if_not_inside(looks)
        @m.leave(m.SimpleString())
        def begin(self, original, updated):
            inner = updated.raw_value
            return saying(new + inner[len(old) :])(updated) if inner.startswith(old) else updated

    return changed(text, Begin())


def swap_statements(text: str, first: int, second: int) -> str | None:
    """Put the top-level statement at line ``second`` before that at line ``first``."""
    module = Module.read(text)
    earlier, later = (module.at(line) for line in (first, second)) if module is not None else (None, None)
    if earlier is None or later is None or earlier.number >= later.number:
        return None
    body = list(module.tree.body)
    body.insert(earlier.number, body.pop(later.number))
    return module.having(body)


# ------------------------------------------------------------------------------------ names that change everywhere


def _renamed(name: str, old: str, new: str) -> str | None:
    """A dotted name under another prefix; None where it does not begin with ``old``."""
    return new + name[len(old) :] if name == old or name.startswith(old + ".") else None


def rename_module(
    text: str, old: str, new: str, is_there: Callable[[str, str], bool] = lambda name, other: True
) -> str | None:
    """Ask for modules below ``old`` as ``new``: in import statements, where their names are used, and in texts that name them.

    :param is_there: whether a dotted name, of the two that it has, is that of a module or of what one binds: an endpoint looks the same
    """
    if old.rpartition(".")[2] not in text:
        return None  # parsing every source of a large application takes minutes
    return changed(text, _RenameModule(old, new, is_there))


class _RenameModule(cst.CSTTransformer):
    def __init__(self, old: str, new: str, is_there: Callable[[str, str], bool]) -> None:
        self.old, self.new, self.is_there = old, new, is_there

    def leave_ImportFrom(self, original, updated):
        if updated.relative or updated.module is None:
            return updated
        name = dotted(updated.module)
        if renamed := _renamed(name, self.old, self.new):
            return updated.with_changes(module=cst.parse_expression(renamed))
        return self._from_parent(name, updated)

    def _from_parent(self, name: str, updated):
        """``from src import lending``: the package itself is what is renamed."""
        if isinstance(updated.names, cst.ImportStar) or len(updated.names) != 1:
            return updated
        alias = updated.names[0]
        if f"{name}.{dotted(alias.name)}" != self.old:
            return updated
        bound = alias.asname.name.value if alias.asname else dotted(alias.name)
        parent, _, last = self.new.rpartition(".")
        asname = None if bound == last else cst.AsName(name=cst.Name(bound))
        alias = cst.ImportAlias(name=cst.Name(last), asname=asname)
        if parent:
            return updated.with_changes(module=cst.parse_expression(parent), names=[alias])
        return cst.Import(names=[alias])

    def leave_Import(self, original, updated):
        """A name that is used by itself stays the name: ``import models`` is ``from app import models`` then."""
        parent, _, last = self.new.rpartition(".")
        plain = "." not in self.old
        bare = [plain and alias.asname is None and dotted(alias.name) == self.old for alias in updated.names]
        if parent and last == self.old and bare == [True]:
            name = cst.ImportAlias(name=cst.Name(last))
            return cst.ImportFrom(module=cst.parse_expression(parent), names=[name])
        names = []
        for alias in updated.names:
            renamed = _renamed(dotted(alias.name), self.old, self.new)
            kept = alias.asname or (
                cst.AsName(cst.Name(self.old)) if renamed and "." not in self.old + dotted(alias.name) else None
            )
            names.append(alias.with_changes(name=cst.parse_expression(renamed), asname=kept) if renamed else alias)
        return updated.with_changes(names=names)

    def leave_Attribute(self, original, updated):
        return cst.parse_expression(self.new) if dotted(original) == self.old and "." in self.old else updated

    def leave_SimpleString(self, original, updated):
        value = original.evaluated_value
        if not isinstance(value, str) or updated.quote not in "'\"":
            return updated
        module, colon, rest = value.partition(":")
        renamed = _renamed(module, self.old, self.new)
        bare = "." not in self.old and not colon and module == self.old
        if renamed is None or bare or not self.is_there(module, renamed):
            return updated
        return updated.with_changes(value=repr(renamed + colon + rest).replace("'", updated.quote))


_OF_METADATA = {
    "bind", "clear", "create_all", "drop_all", "naming_convention", "reflect", "schema", "sorted_tables", "tables",
}  # fmt: skip


def rename_reads(text: str, classes: Collection[str], old: str, new: str) -> tuple[str | None, list[str]]:
    """Where an object of one of the classes, or the class, is asked for ``old``, ask for ``new``.

    What is known to be one: a parameter or variable that is annotated so, made by a call of the class, got by a query of it.

    :return: the text, or None where nothing changes; and what else is asked for ``old``, of which nothing is known
    """
    if f".{old}" not in text:
        return None, []
    reads = _Reads(re.compile(rf"\b({'|'.join(map(re.escape, classes))})\b"), old, new)
    return changed(text, reads), reads.unknown


class _Reads(cst.CSTTransformer):
    def __init__(self, classes: re.Pattern, old: str, new: str) -> None:
        self.classes, self.old, self.new = classes, old, new
        self.known: list[set[str]] = [set()]
        self.inside = [False]  # each class around: is it one of those?
        self.stays: set[cst.CSTNode] = set()
        self.unknown: list[str] = []

    def visit_Module(self, node):
        self.known.append(self.holders(node))

    def visit_ClassDef(self, node):
        self.inside.append(bool(self.classes.fullmatch(node.name.value)))

    def leave_ClassDef(self, original, updated):
        self.inside.pop()
        return updated

    def visit_FunctionDef(self, node):
        first = [param.name.value for param in node.params.params[:1]]
        self.known.append(self.known[-1] | self.holders(node) | {name for name in first if self.inside[-1]})

    def leave_FunctionDef(self, original, updated):
        self.known.pop()
        return updated

    def visit_Attribute(self, node):
        if node.attr.value in _OF_METADATA:
            self.stays.add(node.value)  # Base.metadata.create_all

    def leave_Attribute(self, original, updated):
        if original.attr.value != self.old or original in self.stays:
            return updated
        owner = code_of(original.value)
        called = isinstance(original.value, cst.Call) and self.classes.fullmatch(code_of(original.value.func))
        if owner in self.known[-1] or self.classes.fullmatch(owner.rpartition(".")[2]) or called:
            return updated.with_changes(attr=cst.Name(self.new))
        if owner.isidentifier() and owner.islower():
            self.unknown.append(f"{owner}.{self.old}")
        return updated

    def holders(self, scope: cst.CSTNode) -> set[str]:
        """The names of a scope that hold an object of the class."""
        names = set()
        assigned = m.AnnAssign(target=m.Name()) | m.Assign(targets=[m.AssignTarget(m.Name())])
        bound = m.Param() | assigned | m.For() | m.CompFor()
        for node in m.findall(scope, bound):
            if isinstance(node, cst.Param | cst.AnnAssign):
                name = node.name if isinstance(node, cst.Param) else node.target
                kind = code_of(node.annotation.annotation).replace('"', "").replace("'", "") if node.annotation else ""
                holds = re.fullmatch(rf"{self.classes.pattern}( *\| *None)?|Optional\[{self.classes.pattern}\]", kind)
            elif isinstance(node, cst.Assign):
                name, value = node.targets[0].target, code_of(node.value)
                single = re.search(
                    r"\.(first|get|one|one_or_none|scalar|scalar_one|scalar_one_or_none)\([^()]*\)$", value
                )
                holds = self.classes.search(value) and (single or re.match(rf"{self.classes.pattern}\(", value))
            else:
                name, holds = node.target, self.classes.search(code_of(node.iter))
            names |= {code_of(name)} if holds else set()
        return names
