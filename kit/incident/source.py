"""Reads one source without running it: its tree, its text, its imports, the statement at a line. Nothing is imported or executed."""

import ast
import tokenize
import warnings
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO


@dataclass(frozen=True)
class Named:
    """A table whose name stands in a source as a literal."""

    table: str
    file: str  # relative to the application's root
    line: int
    class_: str | None


@dataclass(frozen=True)
class Statement:
    """An import statement of one module of the application that asks for another."""

    importer: str
    imported: str
    file: str
    line: int
    where: str  # module level, a function's name, or "TYPE_CHECKING"


@lru_cache(maxsize=128)
def parsed(text: str) -> ast.Module:
    """The text as a tree; an empty one where it is no Python that can be parsed here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    # The last of them: a fault of Python 3.11 deep in a stack.
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return ast.Module([], [])


def nodes_at(tree: ast.AST, line: int, *kinds: type[ast.AST]) -> list:
    """The nodes of these kinds that a line stands in; an outer one comes before those in it."""
    nodes, todo = [], deque([tree])
    while todo:
        node = todo.popleft()
        first, last = getattr(node, "lineno", line), getattr(node, "end_lineno", None) or getattr(node, "lineno", line)
        if isinstance(node, kinds) and first <= line <= last:
            nodes.append(node)
        above = [first, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))]
        if not isinstance(node, ast.stmt) or min(above) <= line <= last:  # else the line is in nothing below it
            todo.extend(ast.iter_child_nodes(node))
    return nodes


def text_at(tree: ast.AST, line: int) -> str:
    """The text of the innermost statement at a line, of one with a body its head; empty where there is none."""
    holding = nodes_at(tree, line, ast.stmt)[-1:]
    return "".join(ast.unparse(node).partition("\n" if hasattr(node, "body") else "\0")[0] for node in holding)


def assigned_name(statement: ast.stmt) -> str | None:
    """The name that an assignment binds; None where it binds none, or several, or the statement is none."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    return target.id if isinstance(target, ast.Name) else None


def bound_by(node: ast.AST) -> set[str]:
    """The names that a statement binds where it stands."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    inner = [part for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
    imports = [part for part in ast.walk(node) if isinstance(part, ast.Import | ast.ImportFrom)]
    return {part.id for part in inner} | {name for part in imports for name in bound_by(part)}


def attribute_of(tree: ast.AST, class_: str, attribute: str) -> ast.stmt | None:
    """The statement by which the body of a class of this name binds an attribute."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == class_)
    return next((it for node in classes for it in node.body if assigned_name(it) == attribute), None)


def decoded(content: bytes) -> str:
    """Source text as Python reads it: the file's own encoding, any kind of line end."""
    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(content).readline)
        text = content.decode(encoding, "replace")
    except (SyntaxError, LookupError):
        text = content.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def tasks_in(file: str, text: str) -> list[Named]:
    """Every Celery task that a source declares by a decorator: ``table`` is the name that it gives it, or ""."""
    tasks = []
    for node in ast.walk(parsed(text)) if "task" in text else ():
        for decorator in getattr(node, "decorator_list", ()):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if getattr(called, "attr", getattr(called, "id", "")) in ("task", "shared_task"):
                named = [k.value for k in getattr(decorator, "keywords", ()) if k.arg == "name"]
                name = named[0].value if named and isinstance(named[0], ast.Constant) else ""
                tasks.append(Named(str(name), file, node.lineno, node.name))
    return tasks


_WITH_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)  # nodes that an import statement may stand in


def imported_names(source: str, module: str, *, package: bool = False) -> list[tuple[str, int, str, tuple[str, ...]]]:
    """``(dotted name, line, where, names below it)`` of every import statement, relative ones resolved.

    ``from a import b`` asks for ``a`` and, it may be, for the module ``a.b``: that is a name below.
    """
    names: list[tuple[str, int, str, tuple[str, ...]]] = []

    def visit(node: ast.AST, where: str) -> None:
        for child in (child for child in ast.iter_child_nodes(node) if isinstance(child, _WITH_STATEMENTS)):
            inner = where
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = f"{child.name}()"
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                inner = "TYPE_CHECKING"
            elif isinstance(child, ast.Import):
                names.extend((alias.name, child.lineno, where, ()) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                name = absolute(child.module, module if package else module.rpartition(".")[0], child.level)
                below = tuple(f"{name}.{alias.name}" for alias in child.names if alias.name != "*")
                names.append((name, child.lineno, where, below))
            visit(child, inner)

    with suppress(RecursionError):  # statements nested deeper than Python's own stack
        visit(parsed(source), "module level")
    return names


def absolute(module: str | None, package: str, level: int) -> str:
    """The name of a module that an import asks for with so many dots; ``package`` is the one that the import stands in."""
    parts = package.split(".")[: 1 - level or None] if level and package else []
    return ".".join([*parts, *filter(None, [module])])


def module_name(file: str, folders: list[str]) -> str:
    """The dotted name by which a file is imported, given the folders on the path (relative to the root, '.' for it)."""
    best = ""
    for folder in folders:
        prefix = "" if folder in (".", "") else folder.strip("/") + "/"
        if file.startswith(prefix) and len(prefix) >= len(best):
            best = prefix
    dotted = file.removeprefix(best).removesuffix(".py").replace("/", ".")
    return dotted.removesuffix(".__init__")


@lru_cache(maxsize=4096)
def statement_at(text: str, line: int, class_: str | None) -> tuple[int, str | None, str]:
    """``(line, name, how a class body holds it)`` of the class statement, or of the call that is assigned, at a line."""
    around = _around(parsed(text), line)
    if not around:
        return line, class_, ""
    around.sort(key=_first)
    node, outer = around[-1], around[-2] if len(around) > 1 else None
    if isinstance(node, ast.ClassDef):
        return node.lineno, class_ or node.name, ""
    if class_ is None and isinstance(outer, ast.ClassDef):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        taken = any(isinstance(t, ast.Name) and t.id == "__table__" for t in targets)
        return line, outer.name, "__table__" if taken else "body"
    names = [t.id for t in getattr(node, "targets", [getattr(node, "target", None)]) if isinstance(t, ast.Name)]
    return line, class_ or (names[0] if names else None), ""


@lru_cache(maxsize=4096)
def hands_on(text: str, line: int) -> bool:
    """Does the line hand on all that its own function was given, as ``return sa.Table(*args)`` does in ``def Table(*args)``?"""
    around = _around(parsed(text), line)
    around.sort(key=_first)
    functions = [statement for statement in around if isinstance(statement, ast.FunctionDef)]
    if not functions or functions[-1].args.vararg is None or functions[-1].args.defaults:
        return False
    of = functions[-1].args
    parameters = [*(posonlyarg.arg for posonlyarg in (*of.posonlyargs, *of.args)), of.vararg.arg]
    calls = [node for node in ast.walk(around[-1]) if isinstance(node, ast.Call) and node.args]
    starred = (call.args for call in calls if isinstance(call.args[-1], ast.Starred))
    return any([getattr(it, "id", None) for it in (*args[:-1], args[-1].value)] == parameters for args in starred)


def _around(tree: ast.Module, line: int) -> list[ast.stmt]:
    """The statements around a line, the outermost first; expressions are left out."""
    statements, todo = [], [tree]
    for node in todo:
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            for child in getattr(node, name, ()):
                if isinstance(child, ast.stmt):
                    if not _first(child) <= line <= child.end_lineno:
                        continue
                    statements.append(child)
                todo.append(child)
    return statements


def _first(node: ast.stmt) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])


def catcher_at(text: str, line: int, errors: Sequence[str]) -> int | None:
    """The line of the handler that keeps what is raised at a line, or below it: the innermost for one of these types.

    None where there is none, and where it raises again.
    """
    for node in reversed(_around(parsed(text), line)):
        if isinstance(node, ast.With | ast.AsyncWith):
            calls = (item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call))
            types = [kept for call in calls if ast.unparse(call.func).endswith("suppress") for kept in call.args]
            if node.lineno <= line <= (node.end_lineno or 0) and any(_catches(type_, errors) for type_ in types):
                return node.lineno
        if isinstance(node, ast.Try) and node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0):
            for handler in node.handlers:
                if handler.type is None or _catches(handler.type, errors):
                    if isinstance(handler.body[-1], ast.Raise):
                        break
                    return handler.lineno
    return None


def _catches(type_: ast.expr, errors: Sequence[str]) -> bool:
    types = type_.elts if isinstance(type_, ast.Tuple) else [type_]
    return any(ast.unparse(kept).rpartition(".")[2] in errors for kept in types)
