"""The statement that a line of a source is part of: a class, or a call that is assigned."""

import ast
from functools import lru_cache

from .source import parsed


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
    return any(
        isinstance(call.args[-1], ast.Starred)
        and [getattr(argument, "id", None) for argument in (*call.args[:-1], call.args[-1].value)] == parameters
        for call in calls
    )


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
