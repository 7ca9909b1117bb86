"""Edits of sources that keep their form: each takes a text and gives the new one, or None where it would change nothing.

By LibCST: comments, quotes and blank lines stay as they are. A text that it cannot parse is left alone.
"""

from collections.abc import Callable

import libcst as cst
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider


def changed(text: str, transformer: cst.CSTTransformer) -> str | None:
    try:
        new = MetadataWrapper(cst.parse_module(text)).visit(transformer).code
    except (cst.ParserSyntaxError, cst.CSTValidationError, ValueError, RecursionError):
        return None
    return new if new != text else None


class AtLines(cst.CSTTransformer):
    """A transformer that knows the line on which a node begins."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def line(self, node: cst.CSTNode) -> int:
        return self.get_metadata(PositionProvider, node).start.line

    def covers(self, node: cst.CSTNode, line: int) -> bool:
        place = self.get_metadata(PositionProvider, node)
        return place.start.line <= line <= place.end.line


def dotted(node: cst.BaseExpression | None) -> str:
    """``a.b.c`` of a name or attribute; "" of anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr.value}"
    return ""


def as_name(text: str) -> cst.Name | cst.Attribute:
    return cst.parse_expression(text)


def _renamed(name: str, old: str, new: str) -> str | None:
    """A dotted name under another prefix; None where it does not begin with ``old``."""
    return new + name[len(old) :] if name == old or name.startswith(old + ".") else None


def rename_module(text: str, old: str, new: str) -> str | None:
    """Ask for modules below ``old`` as ``new``: in import statements, where their names are used, and in texts that name them."""
    if old.rpartition(".")[2] not in text:
        return None  # parsing every source of a large application takes minutes
    return changed(text, _RenameModule(old, new))


class _RenameModule(cst.CSTTransformer):
    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def leave_ImportFrom(self, original, updated):
        if updated.relative or updated.module is None:
            return updated
        name = dotted(updated.module)
        if renamed := _renamed(name, self.old, self.new):
            return updated.with_changes(module=as_name(renamed))
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
        if parent:
            alias = cst.ImportAlias(name=cst.Name(last), asname=asname)
            return updated.with_changes(module=as_name(parent), names=[alias])
        return cst.Import(names=[cst.ImportAlias(name=cst.Name(last), asname=asname)])

    def leave_Import(self, original, updated):
        names = []
        for alias in updated.names:
            renamed = _renamed(dotted(alias.name), self.old, self.new)
            names.append(alias.with_changes(name=as_name(renamed)) if renamed else alias)
        return updated.with_changes(names=names)

    def leave_Attribute(self, original, updated):
        return as_name(self.new) if dotted(original) == self.old and "." in self.old else updated

    def leave_SimpleString(self, original, updated):
        value = original.evaluated_value
        if not isinstance(value, str):
            return updated
        module, colon, rest = value.partition(":")
        renamed = _renamed(module, self.old, self.new)
        if renamed is None or "." not in self.old and not colon and module == self.old:
            return updated
        return updated.with_changes(
            value=repr(renamed + colon + rest).replace("'", updated.quote) if updated.quote in "'\"" else updated.value
        )


def replace_class(text: str, line: int, statement: str) -> str | None:
    """Put ``statement`` in the place of the class that begins at ``line``, its decorators included."""

    class Replace(AtLines):
        def leave_ClassDef(self, original, updated):
            if self.line(original) != line and not any(self.line(d) == line for d in original.decorators):
                return updated
            new = cst.parse_statement(statement)
            return new.with_changes(leading_lines=updated.leading_lines)

    return changed(text, Replace())


def remove_class(text: str, line: int) -> str | None:
    """Without the class that begins at ``line``."""

    class Remove(AtLines):
        def leave_ClassDef(self, original, updated):
            at = self.line(original) == line or any(self.line(d) == line for d in original.decorators)
            return cst.RemoveFromParent() if at else updated

    return changed(text, Remove())


def add_import(text: str, statement: str, *, after: Callable[[str], bool] = lambda name: True) -> str | None:
    """Add an import below the last one at the top that asks for a module of which ``after`` is true, else below all of them."""
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    last, chosen = -1, -1
    for number, node in enumerate(module.body):
        if not m.matches(node, m.SimpleStatementLine(body=[m.AtLeastN(m.Import() | m.ImportFrom(), n=1)])):
            continue
        last = number
        if any(after(name) for name in asked_by(node)):
            chosen = number
    at = (chosen if chosen >= 0 else last) + 1
    if at == 0 and module.body and m.matches(module.body[0], m.SimpleStatementLine(body=[m.Expr(m.SimpleString())])):
        at = 1
    new = cst.parse_statement(statement)
    return module.with_changes(body=[*module.body[:at], new, *module.body[at:]]).code


def asked_by(node: cst.SimpleStatementLine) -> list[str]:
    names = []
    for statement in node.body:
        if isinstance(statement, cst.ImportFrom):
            names.append("." * len(statement.relative) + dotted(statement.module))
        elif isinstance(statement, cst.Import):
            names += [dotted(alias.name) for alias in statement.names]
    return names


def add_argument(text: str, line: int, call: str, name: str, value: str) -> str | None:
    """Give the call of ``call`` (the last part of its name) at ``line`` one more argument, or another value for it."""

    class Add(AtLines):
        def leave_Call(self, original, updated):
            if dotted(original.func).rpartition(".")[2] != call or not self.covers(original, line):
                return updated
            kept = [arg for arg in updated.args if not (arg.keyword and arg.keyword.value == name)]
            new = cst.Arg(
                keyword=cst.Name(name),
                value=cst.parse_expression(value),
                equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
            )
            kept = [
                arg.with_changes(comma=cst.MaybeSentinel.DEFAULT) if n == len(kept) - 1 else arg
                for n, arg in enumerate(kept)
            ]
            return updated.with_changes(args=[*kept, new])

    return changed(text, Add())


def replace_call(text: str, line: int, call: str, new: Callable[[cst.Call], cst.BaseExpression]) -> str | None:
    """Put something in the place of a call of ``call`` at ``line``."""

    class Replace(AtLines):
        def leave_Call(self, original, updated):
            here = dotted(original.func).rpartition(".")[2] == call and self.covers(original, line)
            return new(updated) if here else updated

    return changed(text, Replace())


def remove_statement(text: str, line: int) -> str | None:
    """Without the simple statement at ``line``; a block that would be empty gets ``pass``."""

    class Remove(AtLines):
        def leave_SimpleStatementLine(self, original, updated):
            return cst.RemoveFromParent() if self.line(original) == line else updated

        def leave_IndentedBlock(self, original, updated):
            return updated if updated.body else updated.with_changes(body=[cst.parse_statement("pass")])

    return changed(text, Remove())


def decorate(text: str, function: str, line: int, decorator: str) -> str | None:
    """Put a decorator above the function of this name that ``line`` stands in."""

    class Decorate(AtLines):
        def leave_FunctionDef(self, original, updated):
            if original.name.value != function or not self.covers(original, line):
                return updated
            new = cst.Decorator(decorator=cst.parse_expression(decorator))
            return updated.with_changes(decorators=[*updated.decorators, new])

    return changed(text, Decorate())


def rename_attribute(text: str, line: int, old: str, new: str) -> str | None:
    """Call a class's attribute otherwise, and keep its column: ``metadata = Column(Text)`` becomes ``metadata_ = Column("metadata", Text)``.

    :param line: of the class, or of a line in it
    """

    class Rename(AtLines):
        inside = 0

        def visit_ClassDef(self, node):
            self.inside += self.covers(node, line)

        def leave_ClassDef(self, original, updated):
            self.inside -= self.covers(original, line)
            return updated

        def leave_Assign(self, original, updated):
            target = updated.targets[0].target
            if not self.inside or not m.matches(target, m.Name(old)) or not isinstance(updated.value, cst.Call):
                return updated
            targets = [updated.targets[0].with_changes(target=cst.Name(new)), *updated.targets[1:]]
            return updated.with_changes(targets=targets, value=_with_column_name(updated.value, old))

        def leave_AnnAssign(self, original, updated):
            if not self.inside or not m.matches(updated.target, m.Name(old)):
                return updated
            value = updated.value if isinstance(updated.value, cst.Call) else cst.parse_expression("mapped_column()")
            return updated.with_changes(
                target=cst.Name(new), value=_with_column_name(value, old), equal=cst.AssignEqual()
            )

    return changed(text, Rename())


def _with_column_name(call: cst.Call, name: str) -> cst.Call:
    if call.args and isinstance(call.args[0].value, cst.SimpleString):
        return call
    first = cst.Arg(cst.SimpleString(f'"{name}"'))
    return call.with_changes(args=[first, *call.args])


def replace_text(text: str, line: int, old: str, new: str) -> str | None:
    """Put another text in the place of the string ``old`` that stands in the statement at ``line``."""

    class Replace(AtLines):
        def leave_SimpleString(self, original, updated):
            near = abs(self.line(original) - line) <= 3 and original.evaluated_value == old
            return (
                updated.with_changes(value=f"{updated.prefix}{updated.quote}{new}{updated.quote}") if near else updated
            )

    return changed(text, Replace())


def replace_string_by_name(text: str, line: int, old: str, name: str) -> str | None:
    """Put a name in the place of the string ``old`` at ``line``."""

    class Replace(AtLines):
        def leave_SimpleString(self, original, updated):
            here = self.line(original) == line and original.evaluated_value == old
            return cst.Name(name) if here else updated

    return changed(text, Replace())


def replace_statement(text: str, line: int, statement: str) -> str | None:
    """Put another statement in the place of the simple one at ``line``."""

    class Replace(AtLines):
        def leave_SimpleStatementLine(self, original, updated):
            if self.line(original) != line:
                return updated
            return cst.parse_statement(statement).with_changes(leading_lines=updated.leading_lines)

    return changed(text, Replace())


def wrap_url(text: str, line: int, old: str, new: str) -> str | None:
    """In ``create_engine(url, …)`` about ``line`` take a URL that begins with ``old`` as one that begins with ``new``."""

    def wrapped(call: cst.Call) -> cst.Call:
        if not call.args or call.args[0].keyword:
            return call
        value = cst.Module([]).code_for_node(call.args[0].value)
        taken = cst.parse_expression(f'{value}.replace("{old}", "{new}", 1)')
        return call.with_changes(args=[call.args[0].with_changes(value=taken), *call.args[1:]])

    return replace_call(text, line, "create_engine", wrapped)


def replace_prefix(text: str, old: str, new: str) -> str | None:
    """In every string that begins with ``old``, begin with ``new``; what only looks for it (``startswith``, ``replace``) stays."""
    if old not in text:
        return None

    class Begin(cst.CSTTransformer):
        asked = 0

        def visit_Call(self, node):
            self.asked += dotted(node.func).rpartition(".")[2] in ("startswith", "replace", "removeprefix")

        def leave_Call(self, original, updated):
            self.asked -= dotted(original.func).rpartition(".")[2] in ("startswith", "replace", "removeprefix")
            return updated

        def leave_SimpleString(self, original, updated):
            inner = updated.raw_value
            here = not self.asked and inner.startswith(old)
            return (
                updated.with_changes(value=f"{updated.prefix}{updated.quote}{new}{inner[len(old) :]}{updated.quote}")
                if here
                else updated
            )

    return changed(text, Begin())


def swap_statements(text: str, first: int, second: int) -> str | None:
    """Put the top-level statement at line ``second`` before that at line ``first``."""
    try:
        wrapper = MetadataWrapper(cst.parse_module(text))
    except cst.ParserSyntaxError:
        return None
    places, body = wrapper.resolve(PositionProvider), list(wrapper.module.body)

    def number(line: int) -> int | None:
        for at, node in enumerate(body):
            lines = [
                places[node].start.line,
                *(places[decorator].start.line for decorator in getattr(node, "decorators", ())),
            ]
            if min(lines) <= line <= places[node].end.line:
                return at
        return None

    earlier, later = number(first), number(second)
    if earlier is None or later is None or earlier >= later:
        return None
    moved = body.pop(later)
    body.insert(earlier, moved)
    return wrapper.module.with_changes(body=body).code
