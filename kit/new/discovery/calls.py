"""What the application's own calls hand over: to a function's parameters, and to the fields of an instance."""

import ast
from collections.abc import Iterator, Mapping

Value = tuple[str, ast.AST]  # an expression and the file that it stands in
_Function = ast.FunctionDef | ast.AsyncFunctionDef
# A name that more things of an application have than these tells nothing of which is meant, as ``get`` or ``value``.
TELLING = 8


class Calls:
    """Calls among some sources, by the names that are called; which of several is meant is told by what is imported.

    :ivar fields: what an attribute may stand for that a constructor fills without a line for it, as a dataclass's does
    """

    def __init__(self, trees: Mapping[str, ast.Module], imports: Mapping[str, Mapping[str, str]]):
        self.fields: dict[str, list[Value]] = {}
        self._imports = imports
        self._known: dict[str, list[tuple[str, ast.ClassDef | _Function, ast.ClassDef | None]]] = {}
        self._passed: dict[tuple[ast.AST, str], list[Value]] = {}
        self._parameter: dict[ast.Name, tuple[ast.AST, str]] = {}
        calls: list[tuple[ast.Call, str, ast.ClassDef | None]] = []
        for file, tree in trees.items():
            waiting: list[tuple[ast.AST, ast.ClassDef | None]] = [(tree, None)]
            while waiting:
                node, owner = waiting.pop()
                if isinstance(node, ast.ClassDef | _Function):
                    self._known.setdefault(node.name, []).append((file, node, owner))
                elif isinstance(node, ast.Call):
                    calls.append((node, file, owner))
                inner = node if isinstance(node, ast.ClassDef) else owner
                waiting += [(one, inner) for one in ast.iter_child_nodes(node)]
        for call, file, owner in calls:
            for meant in self._meant(call, file, owner):
                self._hand_over(call, file, meant)
        for function in {function for function, _ in self._passed}:
            for node in ast.walk(function):
                if isinstance(node, ast.Name) and (function, node.id) in self._passed:
                    self._parameter[node] = function, node.id

    def passed(self, node: ast.Name) -> list[Value]:
        """What a name stands for as a parameter of the function around it."""
        return self._passed.get(self._parameter[node], []) if node in self._parameter else []

    def _meant(self, call: ast.Call, file: str, owner: ast.ClassDef | None) -> Iterator[ast.ClassDef | _Function]:
        """The own functions and classes that a call may call."""
        imports = self._imports[file]
        if isinstance(call.func, ast.Name):
            if call.func.id == "cls" and owner is not None:
                yield owner
                return
            known = imports.get(call.func.id)
            for where, node, inside in self._known.get((known or call.func.id).rpartition(".")[2], ()):
                if inside is None and (_in_module(where, known) if known else where == file):
                    yield node
        elif isinstance(call.func, ast.Attribute):
            first = call.func.value
            known = imports.get(first.id) if isinstance(first, ast.Name) else None
            meant = [
                node
                for where, node, inside in self._known.get(call.func.attr, ())
                if (_in_module(where, known, whole=True) if known else inside is not None)
            ]
            yield from meant if len(meant) <= TELLING else ()

    def _hand_over(self, call: ast.Call, file: str, meant: ast.ClassDef | _Function) -> None:
        function = meant
        if isinstance(meant, ast.ClassDef):
            made = [one for one in meant.body if isinstance(one, _Function) and one.name == "__init__"]
            function = made[0] if made else None
        if function is not None:
            names = [one.arg for one in [*function.args.posonlyargs, *function.args.args]]
            names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        else:
            names = [
                one.target.id
                for one in meant.body
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            ]
        given = (
            [] if any(isinstance(one, ast.Starred) for one in call.args) else list(zip(names, call.args, strict=False))
        )
        for name, value in [*given, *((one.arg, one.value) for one in call.keywords if one.arg)]:
            if function is not None:
                self._passed.setdefault((function, name), []).append((file, value))
            else:
                self.fields.setdefault(name, []).append((file, value))


def _in_module(file: str, known: str, *, whole: bool = False) -> bool:
    """May an imported name, as ``shop.db.connect``, or what hangs on it, lie in a file?"""
    parts = [one for one in known.split(".") if one]
    parts = parts if whole or len(parts) == 1 else parts[:-1]
    return bool(set(parts[-2:] if whole else parts[-1:]) & set(file.removesuffix(".py").split("/")))
