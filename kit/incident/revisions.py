"""Alembic's revisions, read from their sources: what each follows and creates. None is imported or executed."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .source import parsed

_DOWN = re.compile(r"^down_revision\b", re.M)
_CREATING = {  # an operation to the kind of what it creates; its first argument is the name
    "create_table": "table",
    "create_index": "index",
    **dict.fromkeys(("create_foreign_key", "create_primary_key"), "constraint"),
    **{f"create_{kind}_constraint": "constraint" for kind in ("unique", "check", "exclude")},
}
_OPERATIONS = {
    *_CREATING,
    *("add_column", "alter_column", "drop_column", "drop_table", "drop_index", "drop_constraint", "rename_table"),
    *("execute", "bulk_insert", "batch_alter_table", "create_table_comment", "create"),
}
_SQL = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?(?:TEMP(?:ORARY)?\s+)?"
    r"(TABLE|TYPE|INDEX|SEQUENCE|SCHEMA|VIEW|MATERIALIZED\s+VIEW|EXTENSION|DOMAIN)\s+"
    r"(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?[\"'`\[]?([\w.]+)",
    re.I,
)


@dataclass(frozen=True)
class Operation:
    """A call in a revision's ``upgrade``: its lines, the texts in it, and what it creates as ``(kind, name)``.

    :ivar within: the line of the ``with op.batch_alter_table(…)`` that holds it, or None
    """

    call: str
    line: int
    last: int
    texts: tuple[str, ...]
    creates: tuple[tuple[str, str], ...] = ()
    within: int | None = None


@dataclass(frozen=True)
class Revision:
    """A revision file; ``line`` is the line of ``down_revision``, ``down`` the revisions that it follows, empty for a first one.

    :ivar excerpt: the source about that line, ``[(line number, text)]``
    """

    id: str
    down: tuple[str, ...]
    file: str
    line: int
    operations: tuple[Operation, ...] = ()
    excerpt: tuple[tuple[int, str], ...] = ()

    @property
    def folder(self) -> str:
        return self.file.rpartition("/")[0]

    def operation_at(self, line: int, text: str = "") -> Operation | None:
        """The operation at a line; below a ``with`` at that line, the first operation that the error's text names."""
        below = [other for other in self.operations if other.within == line and other.call != "batch_alter_table"]
        names = set(re.findall(r"\w+", text))
        named = [operation for operation in below if names.intersection(operation.texts)]
        if named or len(below) == 1:
            return (named or below)[0]
        at = [operation for operation in self.operations if operation.line <= line <= operation.last]
        return min(at, key=lambda operation: operation.last - operation.line, default=None)


def revision_in(file: str, text: str) -> Revision | None:
    """The revision that a source is; None where it is none, or cannot be read."""
    revision = _revision(file, parsed(text)) if _DOWN.search(text) else None
    if revision is None:
        return None
    first = max(1, revision.line - 2)
    return replace(revision, excerpt=tuple(enumerate(text.splitlines()[first - 1 : revision.line + 2], first)))


def heads_of(revisions: Sequence[Revision]) -> tuple[Revision, ...]:
    """The revisions that no other one follows."""
    followed = {name for revision in revisions for name in revision.down}
    return tuple(revision for revision in revisions if revision.id not in followed)


def past_of(revisions: Sequence[Revision], id: str) -> set[str]:
    """A revision and all before it."""
    by_id = {revision.id: revision for revision in revisions}
    past, todo = set(), [id]
    while todo:
        name = todo.pop()
        if name not in past:
            past.add(name)
            todo += by_id[name].down if name in by_id else ()
    return past


def _revision(file: str, tree: ast.Module) -> Revision | None:
    values: dict[str, tuple[ast.expr, int]] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and node.value is not None:
            values[target.id] = (node.value, node.lineno)
    id = _texts(values["revision"][0]) if "revision" in values else ()
    if len(id) != 1 or "down_revision" not in values:
        return None
    value, line = values["down_revision"]
    return Revision(id[0], _texts(value), file, line, tuple(_operations(tree, values)))


def _operations(tree: ast.Module, values: dict[str, tuple[ast.expr, int]]) -> Iterator[Operation]:
    enums = {name: kind for name, (value, _) in values.items() if (kind := _enum(value))}
    lists = {name: _texts(value) for name, (value, _) in values.items()}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in (function for function in functions if function.name != "downgrade"):
        for node in ast.walk(function):  # names that a function gives itself
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                lists[node.targets[0].id] = _texts(node.value)
                if kind := _enum(node.value):
                    enums[node.targets[0].id] = kind
            elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
                over = node.iter
                lists[node.target.id] = lists.get(over.id, ()) if isinstance(over, ast.Name) else _texts(over)
        yield from _calls(function, enums, lists, None)


def _calls(node: ast.AST, enums, lists, batch: tuple[str, int, str] | None) -> Iterator[Operation]:
    """The operations below a node; ``batch`` is the variable, line and table of the ``with`` around it."""
    for child in ast.iter_child_nodes(node):
        inner = batch
        if isinstance(child, ast.With):
            for item in child.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and _last(call.func) == "batch_alter_table" and item.optional_vars:
                    table = next(iter(_name_of(call, lists)), "?")
                    inner = (ast.unparse(item.optional_vars), child.lineno, table)
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in _OPERATIONS:
            yield _operation(child, enums, lists, batch)
        yield from _calls(child, enums, lists, inner)


def _operation(call: ast.Call, enums, lists, batch) -> Operation:
    name, creates = _last(call.func), []
    if name in _CREATING:
        creates += [(_CREATING[name], text) for text in _name_of(call, lists)]
        if name == "create_table":
            creates += [("type", text) for text in _enums_in(call, enums)]
            for table in _name_of(call, lists)[:1]:
                creates += [("index", text) for text in _indexes(call, table)]
                named = [text for column in _columns(call) for text in _name_of(column, {})[:1]]
                creates += [("column", f"{table}.{text}") for text in named]
    elif name == "add_column":
        in_batch = batch is not None and ast.unparse(call.func).startswith(batch[0] + ".")
        table = batch[2] if in_batch else next(iter(_name_of(call, lists)), "?")
        column = next(iter(_columns(call)), None)
        creates += [("column", f"{table}.{text}") for text in _name_of(column, lists)[:1]] if column else []
        creates += [("index", text) for text in _indexes(call, table)]
    elif name == "create":  # of a type: ``status.create(op.get_bind())``
        creates += [("type", text) for text in _enums_in(call.func, enums)]
    texts = _texts(call)
    if name == "execute":
        matches = (m for text in texts for m in _SQL.finditer(text))
        creates += [(m[1].lower().split()[-1], m[2].rpartition(".")[2]) for m in matches]
    line, last = call.lineno, call.end_lineno or call.lineno
    return Operation(name, line, last, texts, tuple(dict.fromkeys(creates)), batch[1] if batch else None)


def _name_of(call: ast.Call, lists) -> tuple[str, ...]:
    """What a call's first argument names: a text, ``op.f("…")``, or each of a list that a loop goes through."""
    named = (keyword.value for keyword in call.keywords if keyword.arg in ("name", "table_name"))
    first = next(iter([*call.args, *named]), None)
    if isinstance(first, ast.Name):
        return lists.get(first.id, ())
    return _texts(first)[:1] if first is not None else ()


def _columns(call: ast.Call) -> list[ast.Call]:
    return [node for node in ast.walk(call) if isinstance(node, ast.Call) and _last(node.func) == "Column"]


def _indexes(call: ast.Call, table: str) -> list[str]:
    """The indexes of columns that are written with ``index=True``, by the name that SQLAlchemy gives them."""
    on = {"index": "True"}.items()
    keywords = ((column, {k.arg: ast.unparse(k.value) for k in column.keywords}) for column in _columns(call))
    indexed = [column for column, options in keywords if on <= options.items()]
    return [f"ix_{table}_{text}" for column in indexed for text in _name_of(column, {})[:1]]


def _enums_in(node: ast.AST, enums: dict[str, str]) -> list[str]:
    enums_named = []
    for inner in ast.walk(node):
        kind = enums.get(inner.id) if isinstance(inner, ast.Name) else _enum(inner)
        enums_named += [kind] if kind else []
    return enums_named


def _enum(node: ast.AST) -> str | None:
    """The name of the database's type that ``sa.Enum(…, name="status")`` stands for, if it makes it by itself."""
    if not isinstance(node, ast.Call) or _last(node.func) not in ("Enum", "ENUM"):
        return None
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    create_type = keywords.get("create_type")
    if "name" not in keywords or isinstance(create_type, ast.Constant) and create_type.value is False:
        return None
    return next(iter(_texts(keywords["name"])), None)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _texts(node: ast.AST) -> tuple[str, ...]:
    values = (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant))
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
