"""Where ``os.environ`` goes by another name: a parameter, a variable, an attribute that stands for it."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from .project import Project, imports_of, nodes_of

_NAMES = ("os.environ", "os.environ.get", "os.getenv")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
Handed = Mapping[str, set[int | str]]


def handed_environment(project: Project, files: Iterable[str]) -> Handed:
    """Functions and classes that are called with ``os.environ``: name to the arguments' places and keywords."""
    found: dict[str, set[int | str]] = {}
    for file in files:
        handing = re.search(r"[(,=]\s*(?:os\s*\.\s*)?environ\s*[,)]", project.text(file))
        tree = project.tree(file) if handing else None
        imports = imports_of(tree) if tree is not None else {}
        for node in nodes_of(tree) if tree is not None else ():
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            name = imports.get(name, name).rpartition(".")[2]
            given = [*enumerate(node.args), *((one.arg, one.value) for one in node.keywords if one.arg)]
            places = {place for place, value in given if _stands(value, imports, {}) == "os.environ"}
            if places and name not in ("", "dict", "ChainMap"):
                found.setdefault(name, set()).update(places)
    return found


def renamed_environment(tree: ast.Module, imports: Mapping[str, str], handed: Handed) -> dict[ast.AST, str]:
    """Names and attributes of a module that stand for one of ``os.environ``, ``os.environ.get`` and ``os.getenv``."""
    found: dict[ast.AST, str] = {}
    nodes = nodes_of(tree)
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node for node in nodes if isinstance(node, _Function | ast.Lambda)]
    called_as = {one: node.name for node in classes for one in node.body if getattr(one, "name", "") == "__init__"}
    for function in functions:
        name = called_as.get(function, getattr(function, "name", ""))
        for parameter, what in _parameters(function, imports, handed.get(name, set())):
            found |= dict.fromkeys(_reached(function, parameter), what)
    for scope in (tree, *classes, *functions):
        for node in _own(scope):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            what = _stands(value, imports, found) if value is not None else ""
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target]) if what else ():
                if isinstance(target, ast.Name):
                    found |= dict.fromkeys(_reached(scope, target.id), what)
                elif isinstance(target, ast.Attribute):
                    around = next((one for one in reversed(classes) if node in set(ast.walk(one))), tree)
                    text = ast.unparse(target)
                    same = (
                        one for one in ast.walk(around) if isinstance(one, ast.Attribute) and one.attr == target.attr
                    )
                    found |= dict.fromkeys((one for one in same if ast.unparse(one) == text), what)
    return found


def _stands(node: ast.expr, imports: Mapping[str, str], found: Mapping[ast.AST, str]) -> str:
    """Which of the names an expression stands for; empty if for none."""
    if node in found:
        return found[node]
    if isinstance(node, ast.Attribute) and node.value in found:
        name = f"{found[node.value]}.{node.attr}"
        return name if name in _NAMES else ""
    if isinstance(node, ast.Name) or getattr(node, "attr", "") in ("environ", "get", "getenv"):
        first, _, rest = ast.unparse(node).partition(".")
        name = f"{imports.get(first, first)}.{rest}".rstrip(".")
        return name if name in _NAMES else ""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id == "dict" and node.args:
            return _stands(node.args[0], imports, found)
        copied = isinstance(node.func, ast.Attribute) and node.func.attr == "copy"
        return _stands(node.func.value, imports, found) if copied else ""
    inner = (
        node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse] if isinstance(node, ast.IfExp) else []
    )
    return next((what for one in inner if (what := _stands(one, imports, found))), "")


def _parameters(function, imports: Mapping[str, str], handed: set[int | str]) -> Iterator[tuple[str, str]]:
    """A function's parameters that stand for it: by their default, or by what a call hands over."""
    places = [one.arg for one in [*function.args.posonlyargs, *function.args.args]]
    defaults = list(zip(places[::-1], function.args.defaults[::-1], strict=False))
    defaults += [
        (one.arg, value)
        for one, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if value
    ]
    yield from ((name, what) for name, value in defaults if (what := _stands(value, imports, {})))
    places = places[1:] if places[:1] in (["self"], ["cls"]) else places
    for place in handed:
        if isinstance(place, str) or place < len(places):
            yield place if isinstance(place, str) else places[place], "os.environ"


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of functions and classes in it."""
    waiting = list(ast.iter_child_nodes(scope))[::-1]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _Function | ast.Lambda | ast.ClassDef):
            yield node
            waiting += list(ast.iter_child_nodes(node))[::-1]


def _reached(scope: ast.AST, name: str) -> Iterator[ast.Name]:
    """Where a scope's name is read, in functions within it too unless these have a parameter of that name."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            yield node
        arguments = node.args if isinstance(node, _Function | ast.Lambda) else None
        taken = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs] if arguments else ()
        if all(one.arg != name for one in taken):
            waiting += ast.iter_child_nodes(node)
