"""Edits of functions that load files by their paths."""

import ast
from collections.abc import Iterator

import libcst as cst
from libcst import matchers as m

from ...incident.source import parsed
from .edits import AtLines, changed, dotted
from .edits_of_classes import without_unused_imports
from .edits_of_imports import import_plainly


def import_by_name(text: str, line: int, package: str) -> str | None:
    """``spec_from_file_location`` … ``exec_module`` about ``line`` as an import of the file's module in a package; None where it has another form."""
    loader = next((loader for loader in _loaders(parsed(text)) if loader.first <= line <= loader.last), None)
    if loader is None:
        return None

    class Import(AtLines):
        def leave_SimpleStatementLine(self, original, updated):
            at = self.line(original)
            if at not in loader.lines:
                return updated
            if at != loader.lines[0]:
                return cst.RemoveFromParent()
            stem = f"pathlib.Path({loader.path}).stem"
            new = cst.parse_statement(f'{loader.name} = importlib.import_module(f"{package}.{{{stem}}}")')
            return new.with_changes(leading_lines=updated.leading_lines)

        def leave_Return(self, original, updated):
            return updated

    new = changed(text, Import())
    for module in ("pathlib", "importlib") if new else ():
        new = new and import_plainly(new, module)
    if new is None:
        return None
    left = {name for node in ast.walk(parsed(new)) if isinstance(node, ast.Attribute) for name in [ast.unparse(node)]}
    if not any(name.startswith("importlib.util.") for name in left):
        new = _without_import(new, "importlib.util")
    return without_unused_imports(new, text)


class _Loader:
    """The statements of one function that load a file: their lines, the expression of its path, the name that gets the module."""

    def __init__(self, lines: list[int], path: str, name: str, node: ast.AST) -> None:
        self.lines, self.path, self.name = lines, path, name
        self.first, self.last = node.lineno, node.end_lineno or node.lineno


def _loaders(tree: ast.Module) -> Iterator[_Loader]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        spec = made = None
        for node in function.body:
            called = [
                ast.unparse(call.func).rpartition(".")[2] for call in ast.walk(node) if isinstance(call, ast.Call)
            ]
            if isinstance(node, ast.Assign) and "spec_from_file_location" in called:
                spec = node
            elif isinstance(node, ast.Assign) and "module_from_spec" in called and spec is not None:
                made = node
            elif isinstance(node, ast.Expr) and "exec_module" in called and made is not None:
                call = next(
                    part
                    for part in ast.walk(spec)
                    if isinstance(part, ast.Call) and "spec_from" in ast.unparse(part.func)
                )
                if len(call.args) < 2 or not isinstance(made.targets[0], ast.Name):
                    return
                path = call.args[1]
                if isinstance(path, ast.Call) and ast.unparse(path.func) == "str" and len(path.args) == 1:
                    path = path.args[0]
                lines = [spec.lineno, made.lineno, node.lineno]
                yield _Loader(lines, ast.unparse(path), made.targets[0].id, function)
                return


def _without_import(text: str, module: str) -> str:
    class Without(cst.CSTTransformer):
        def leave_SimpleStatementLine(self, original, updated):
            asks = m.matches(updated, m.SimpleStatementLine(body=[m.Import()]))
            if asks and [dotted(alias.name) for alias in updated.body[0].names] == [module]:
                return cst.RemoveFromParent()
            return updated

    return changed(text, Without()) or text
