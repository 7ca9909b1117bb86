"""Edits of mapped classes, tables and metadata that keep the form of the rest.

Each takes a text and gives the new one, or None where it would change nothing. ``line`` is that of the class statement.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence

import libcst as cst
from libcst import matchers as m

from ...incident.source import nodes_at, parsed
from .edits import argument, begins_at, class_at, code_of, covers, instead, named, replaced, saying, string
from .edits_of_imports import add_import, without_unused_imports
from .statements import BLANK, Module, dotted, is_docstring


def _in_body(text: str, class_: m.BaseMatcherNode, edit: Callable[[list[cst.BaseStatement]], None]) -> str | None:
    """The text with the statements of a class as ``edit`` leaves their list."""

    def new(node: cst.ClassDef) -> cst.ClassDef:
        body = list(node.body.body)
        edit(body)
        return node.with_changes(body=node.body.with_changes(body=body or [cst.parse_statement("pass")]))

    return replaced(text, class_, new)


def _binding(name: str) -> m.SimpleStatementLine:
    assign = m.Assign(targets=[m.AssignTarget(m.Name(name))]) | m.AnnAssign(target=m.Name(name))
    return m.SimpleStatementLine(body=[assign])


def _at(body: Sequence[cst.BaseStatement], name: str) -> int | None:
    """The number of the statement that binds a name."""
    return next((number for number, node in enumerate(body) if m.matches(node, _binding(name))), None)


def name_table(text: str, line: int, name: str) -> str | None:
    """Give the class a ``__tablename__``, or another one."""
    named_ = f'__tablename__ = "{name}"'

    def edit(body: list[cst.BaseStatement]) -> None:
        if (at := _at(body, "__tablename__")) is not None:
            body[at] = instead(named_)(body[at])
            return
        at = int(is_docstring(body[0]))
        if at < len(body):
            body[at] = body[at].with_changes(leading_lines=BLANK)
        body.insert(at, cst.parse_statement(named_).with_changes(leading_lines=BLANK * at))

    return _in_body(text, class_at(line), edit)


def without_flag(text: str, line: int, flag: str) -> str | None:
    """The class without a flag in its ``__table_args__``; an empty one goes."""

    def edit(body: list[cst.BaseStatement]) -> None:
        if (at := _at(body, "__table_args__")) is None:
            return
        value = ast.unparse(parsed(code_of(body[at].body[0].value)))
        left = _without_key(value, flag)
        if left != value:
            body[at : at + 1] = [instead(f"__table_args__ = {left}")(body[at])] if left is not None else []

    return _in_body(text, class_at(line), edit)


def _without_key(value: str, key: str) -> str | None:
    """``__table_args__`` without a key of its dictionary; None where nothing is left."""
    tree = ast.parse(value, mode="eval").body
    left = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    for part in [part for part in left if isinstance(part, ast.Dict)]:
        kept = [pair for pair in zip(part.keys, part.values, strict=True) if getattr(pair[0], "value", None) != key]
        part.keys, part.values = [name for name, _ in kept], [content for _, content in kept]
    left = [part for part in left if not isinstance(part, ast.Dict) or part.keys]
    if not left:
        return None
    return ast.unparse(ast.Tuple(left, ast.Load()) if isinstance(tree, ast.Tuple) else left[0])


def with_flag(text: str, line: int, flag: str) -> str | None:
    """The class with a flag in its ``__table_args__``; None where it has some already."""

    def edit(body: list[cst.BaseStatement]) -> None:
        if _at(body, "__table_args__") is None:
            at = _at(body, "__tablename__")
            body.insert(0 if at is None else at + 1, cst.parse_statement(f'__table_args__ = {{"{flag}": True}}'))

    return _in_body(text, class_at(line), edit)


def with_base(text: str, line: int, base: str, made: str) -> str | None:
    """The class with another last base, which is ``made`` before it."""
    last = argument(base)
    new = replaced(text, class_at(line), lambda class_: class_.with_changes(bases=[*class_.bases[:-1], last]))
    return new and before_class(new, line, f"{base} = {made}")


def base_of(text: str, line: int) -> str | None:
    """The last base of the class at ``line``, as it is written."""
    node = next((n for n in ast.walk(parsed(text)) if isinstance(n, ast.ClassDef) and n.lineno == line), None)
    return ast.unparse(node.bases[-1]) if node is not None and node.bases else None


def class_around(text: str, line: int) -> str | None:
    """The name of the innermost class that a line stands in."""
    holders = nodes_at(parsed(text), line, ast.ClassDef)
    return max(holders, key=lambda node: node.lineno).name if holders else None


def before_class(text: str, line: int, statement: str) -> str | None:
    """Put a statement before the class."""

    below = {"leading_lines": BLANK}
    new = instead(statement)
    return replaced(text, class_at(line), lambda it: cst.FlattenSentinel([new(it), it.with_changes(**below)]))


def after_class(text: str, line: int, statement: str) -> str | None:
    """Put a statement below the class."""
    below = cst.parse_statement(statement).with_changes(leading_lines=BLANK * 2)
    return replaced(text, class_at(line), lambda class_: cst.FlattenSentinel([class_, below]))


def if_in_place_of_try(text: str, first: int, second: int) -> str | None:
    """``try: class A … except …: class A …`` as ``if``, by the one expression of which the first takes its primary key.

    :param first, second: lines of the two classes
    """

    def new(node: cst.Try) -> cst.Try | cst.If:
        keyed = m.findall(node.body.body[0], m.Arg(keyword=m.Name("primary_key")))
        keys = {code_of(arg.value) for arg in keyed} - {"True", "False"}
        if len(keys) != 1:
            return node
        otherwise = cst.Else(node.handlers[0].body, leading_lines=node.handlers[0].leading_lines)
        return cst.If(cst.parse_expression(keys.pop()), node.body, otherwise, leading_lines=node.leading_lines)

    body, both = m.IndentedBlock(body=[m.ClassDef()]), covers(first) & covers(second)
    plain = m.Try(body=body, handlers=[m.ExceptHandler()], orelse=None, finalbody=None, metadata=both)
    new_text = replaced(text, plain, new)
    return new_text and without_unused_imports(new_text, text)


def rename_attribute(text: str, line: int, old: str, new: str, kept: str | None = None) -> str | None:
    """Call a class's attribute otherwise, and keep its column: ``metadata = Column(Text)`` becomes ``metadata_ = Column("metadata", Text)``.

    :param line: of the class, or of a line in it
    :param kept: the column's name, where it is another than the attribute's was
    """

    def column(call: cst.Call) -> cst.Call:
        named_ = call.args and isinstance(call.args[0].value, cst.SimpleString) or kept == new
        return call if named_ else call.with_changes(args=[argument(f'"{kept or old}"'), *call.args])

    def renamed(node, _):
        if isinstance(node, cst.Assign):
            targets = [node.targets[0].with_changes(target=cst.Name(new)), *node.targets[1:]]
            return node.with_changes(targets=targets, value=column(node.value))
        value = node.value if isinstance(node.value, cst.Call) else cst.parse_expression("mapped_column()")
        return node.with_changes(target=cst.Name(new), value=column(value), equal=cst.AssignEqual())

    assigned = m.Assign(targets=[m.AssignTarget(m.Name(old)), m.ZeroOrMore()], value=m.Call())
    bound = assigned | m.AnnAssign(target=m.Name(old))
    return replaced(text, m.ClassDef(metadata=covers(line)), lambda class_: m.replace(class_, bound, renamed))


def rename_keyword(text: str, called: str, old: str, new: str) -> str | None:
    """Where ``called(…, old=…)`` is written, write ``new=``."""
    if called not in text or old not in text:
        return None

    def renamed(arg: cst.Arg) -> cst.Arg:
        return arg.with_changes(keyword=cst.Name(new)) if m.matches(arg, m.Arg(keyword=m.Name(old))) else arg

    return replaced(text, m.Call(func=named(called)), lambda call: call.with_changes(args=[*map(renamed, call.args)]))


def relate_to(text: str, old: str, new: str) -> str | None:
    """Where ``relationship("Old", …)`` or an annotation names a class by a text, name another."""
    if old not in text:
        return None
    about = m.Call(func=named("relationship", "Relationship")) | m.Annotation()
    return replaced(text, about, lambda node: m.replace(node, string(old), lambda inner, _: saying(new)(inner)))


def secondary_by_text(text: str, name: str, table: str) -> str | None:
    """Where a relationship goes over the table that a variable holds, name the table by a text."""
    over = m.Arg(keyword=m.Name("secondary"), value=m.Name(name))
    return replaced(text, over, lambda arg: arg.with_changes(value=cst.SimpleString(f'"{table}"')))


def add_foreign_key(text: str, line: int, column: str, target: str) -> str | None:
    """Make a column of the class a foreign key: ``author_id = Column(Integer)`` gets ``ForeignKey("authors.id")``."""

    def edit(body: list[cst.BaseStatement]) -> None:
        at = _at(body, column)
        statement = body[at].body[0] if at is not None else None
        value = statement and (statement.value or cst.parse_expression("mapped_column()"))
        if not isinstance(value, cst.Call) or m.findall(value, m.Call(func=m.Name("ForeignKey"))):
            return
        parts = sorted([*value.args, argument(f'ForeignKey("{target}")')], key=lambda arg: arg.keyword is not None)
        args = [arg.with_changes(comma=cst.MaybeSentinel.DEFAULT) for arg in parts]
        more = {"equal": cst.AssignEqual()} if isinstance(statement, cst.AnnAssign) else {}
        body[at] = body[at].with_changes(body=[statement.with_changes(value=value.with_changes(args=args), **more)])

    changed = _in_body(text, class_at(line), edit)
    return changed and add_import(changed, "from sqlalchemy import ForeignKey")


# ------------------------------------------------------------------------------------ metadata


def own_registry(text: str, base: str) -> str | None:
    """``class Base(SQLModel): metadata = MetaData()`` with a registry that holds this metadata, in place of it alone."""

    def new(class_: cst.ClassDef) -> cst.ClassDef:
        body = list(class_.body.body)
        value = body.pop(_at(body, "metadata")).body[0].value
        inner = f"metadata={code_of(value)}" if isinstance(value, cst.Call) and value.args else ""
        block = class_.body.with_changes(body=body or [cst.parse_statement("pass")])
        keywords = [*class_.keywords, argument(f"registry({inner})", "registry")]
        return class_.with_changes(body=block, keywords=keywords)

    of_its_own = m.IndentedBlock([m.ZeroOrMore(), _binding("metadata"), m.ZeroOrMore()])
    bare = ~m.ClassDef(keywords=[m.ZeroOrMore(), m.Arg(keyword=m.Name("registry")), m.ZeroOrMore()])
    changed = replaced(text, m.AllOf(m.ClassDef(m.Name(base), of_its_own), bare), new)
    changed = changed and add_import(changed, "from sqlalchemy.orm import registry")
    return changed and without_unused_imports(changed, text)


def target_of(text: str) -> str | None:
    """What ``env.py`` gives Alembic as its ``target_metadata``; None where that is not written out."""
    for node in ast.walk(parsed(text)):
        assigned = isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["target_metadata"]
        value = node.value if assigned or isinstance(node, ast.keyword) and node.arg == "target_metadata" else None
        if value is not None and not isinstance(value, ast.Constant) and ast.unparse(value) != "target_metadata":
            return ast.unparse(value)
    return None


def with_target(text: str, value: str) -> str | None:
    """Give Alembic something else, in an assignment to ``target_metadata`` or else in each call."""
    name, new = m.Name("target_metadata"), cst.parse_expression(value)
    assigned = m.Assign(targets=[m.AssignTarget(name), m.ZeroOrMore()], value=~m.Name("None"))
    edits = (replaced(text, it, lambda node: node.with_changes(value=new)) for it in (assigned, m.Arg(keyword=name)))
    return next(filter(None, edits), None)


def reflect_apart(text: str, line: int) -> str | None:
    """``Base.metadata.reflect(…)`` at ``line`` of the top level on a metadata of its own, which the file then looks into."""
    module = Module(text)
    place = module.at(line)
    node = module.tree.body[place.number] if place is not None else None
    call = node.body[0].value if m.matches(node, m.SimpleStatementLine(body=[m.Expr(m.Call())])) else None
    if call is None or dotted(call.func).rpartition(".")[2] != "reflect":
        return None
    old = dotted(call.func).rpartition(".")[0]
    taken = any("reflected" in statement.binds | statement.uses for statement in module.statements)
    name = "reflected_metadata" if taken else "reflected"

    def made(statement: cst.SimpleStatementLine) -> cst.FlattenSentinel:
        first = instead(f"{name} = MetaData()")(statement)
        return cst.FlattenSentinel([first, statement.with_changes(leading_lines=[])])

    attribute = m.Name("tables") | m.Name("reflect")
    looked_into = m.Attribute(attr=attribute, value=m.MatchIfTrue(lambda value: dotted(value) == old))
    new = replaced(text, looked_into, lambda node: node.with_changes(value=cst.Name(name)))
    new = new and replaced(new, m.SimpleStatementLine(metadata=begins_at(place.first)), made)
    new = new and add_import(new, "from sqlalchemy import MetaData")
    return new and without_unused_imports(new, text)


_TYPE = re.compile(
    r"(BIGINT|BINARY|BLOB|BOOLEAN|CHAR|DATE|DATETIME|DECIMAL|DOUBLE|FLOAT|INTEGER|JSON|NUMERIC|NVARCHAR|REAL|SMALLINT|TEXT|TIME"
    r"|TIMESTAMP|UUID|VARBINARY|VARCHAR)\("
)


def table_of_columns(name: str, columns: Sequence[Mapping], metadata: str, asked: str) -> str | None:
    """A module that declares a table as the revisions make it; None where a type has no name that SQLAlchemy itself gives.

    :param columns: ``[{name, type, nullable, primary_key, unique, index, server_default, foreign_keys}]``
    :param metadata: the expression of the metadata, for which ``asked`` is the import
    """
    lines = []
    for column in columns:
        if not _TYPE.match(column["type"]):
            return None
        default = column["server_default"]
        parts = [f'"{column["name"]}"', f"sa.{column['type'].removesuffix('()')}"]
        parts += [f'sa.ForeignKey("{key}")' for key in column["foreign_keys"]]
        parts += [f"{flag}=True" for flag in ("primary_key", "unique", "index") if column[flag]]
        parts += ["nullable=False"] if not column["nullable"] and not column["primary_key"] else []
        parts += [f"server_default=sa.text({default!r})"] if default is not None else []
        lines.append(f"    sa.Column({', '.join(parts)}),\n")
    variable = re.sub(r"\W", "_", name)
    head = f"import sqlalchemy as sa\n\n{asked}\n\n{variable} = sa.Table(\n"
    return head + f'    "{name}",\n    {metadata},\n' + "".join(lines) + ")\n"
