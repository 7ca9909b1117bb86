"""Paths that answer to GET without parameters: on the application object, and on routers and blueprints with their prefixes."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .objects import Made
from .project import Project, called, imports_of, nodes_of

_ROUTERS = ("Blueprint", "APIRouter", "APIBlueprint")
_REGISTERS = {"register_blueprint": "url_prefix", "include_router": "prefix"}
_APPLICATIONS = ("app", "application")


@dataclass(frozen=True)
class _Router:
    """A router or a blueprint: the module's variable, and its own prefix (None where the text does not tell it)."""

    file: str
    name: str
    prefix: str | None


@dataclass(frozen=True)
class _Registration:
    """``router`` put on an application (``on`` None) or on another router, under a further prefix."""

    router: _Router
    on: _Router | None
    prefix: str | None  # of this registration; "" where none is given
    replaces: bool  # a blueprint's own prefix gives way to it


def routes_of(project: Project, service: str, made: Made) -> dict[str, str]:
    """Path to ``file:line``: of the object itself, and of every router of the service that is registered somewhere.

    What has a prefix that the text does not tell is left out.
    """
    inside = set(project.below(service))
    trees = [(file, tree) for file, tree in project.trees() if file in inside]
    routers = [one for file, tree in trees for one in _routers_of(project, file, tree)]
    registered = [one for file, tree in trees for one in _registered_in(project, file, tree, routers)]
    found: dict[str, str] = {}
    for file, tree in trees:
        own = {one.name: one for one in routers if one.file == file}
        for owner, path, line in _decorated(tree):
            if owner in own:
                prefixes = _prefixes(own[owner], registered, ())
            else:
                prefixes = [""] if file == made.file and owner in (made.name, *_APPLICATIONS) else []
            for prefix in prefixes:
                if f"{prefix}{path}".startswith("/"):
                    found.setdefault(f"{prefix}{path}", f"{file}:{line}")
    return found


def _decorated(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """``(owner, path, line)`` of what answers to GET under a path without parameters."""
    for node in nodes_of(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for one in node.decorator_list:
            if not (isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.args):
                continue
            verb, path = one.func.attr, one.args[0]
            methods = next((ast.unparse(k.value) for k in one.keywords if k.arg == "methods"), "GET")
            asked = verb == "get" or (verb in ("route", "api_route") and "GET" in methods)
            if (
                asked
                and isinstance(path, ast.Constant)
                and isinstance(path.value, str)
                and not set("{<") & set(path.value)
            ):
                yield ast.unparse(one.func.value), path.value, node.lineno


def _routers_of(project: Project, file: str, tree: ast.Module) -> Iterator[_Router]:
    imports = imports_of(tree)
    for node in nodes_of(tree):
        named = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if named and called(node.value, imports).rpartition(".")[2] in _ROUTERS:
            given = next((k.value for k in node.value.keywords if k.arg in _REGISTERS.values()), None)
            yield _Router(file, node.targets[0].id, _prefix(project, given))


def _registered_in(project: Project, file: str, tree: ast.Module, routers: list[_Router]) -> Iterator[_Registration]:
    imports = imports_of(tree)
    for node in nodes_of(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        keyword = _REGISTERS.get(node.func.attr)
        if keyword is None:
            continue
        given = next((k.value for k in node.keywords if k.arg == keyword), None)
        on = next(iter(_meant(file, node.func.value, imports, routers)), None)
        for router in _meant(file, node.args[0], imports, routers):
            replaces = keyword == "url_prefix" and given is not None
            yield _Registration(router, on, _prefix(project, given), replaces)


def _meant(file: str, node: ast.expr, imports: dict[str, str], routers: list[_Router]) -> list[_Router]:
    """The routers that an expression may be; of ``import_module(…).bp`` every ``bp`` of the service."""
    if isinstance(node, ast.Name):
        own = [one for one in routers if (one.file, one.name) == (file, node.id)]
        known = imports.get(node.id, "")
        module, _, name = known.rpartition(".")
        return own or _named(routers, name, module) if known or own else []
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name | ast.Attribute):
            text = ast.unparse(node.value)
            first, _, rest = text.partition(".")
            return _named(routers, node.attr, ".".join(filter(None, (imports.get(first, first), rest))))
        return [one for one in routers if one.name == node.attr]
    return []


def _named(routers: list[_Router], name: str, module: str) -> list[_Router]:
    """Those of that name in a module, or in what a package of that name hands on."""
    stem = module.rpartition(".")[2]
    alike = [one for one in routers if one.name == name]
    there = [one for one in alike if one.file.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2] == stem]
    return there or [one for one in alike if stem and stem in one.file.split("/")[:-1]]


def _prefixes(router: _Router, registered: list[_Registration], passed: tuple[_Router, ...]) -> list[str]:
    """Every prefix under which a router answers; none where it is registered nowhere, or the text does not tell."""
    if router in passed:
        return []
    found = []
    for one in registered:
        if one.router != router or one.prefix is None or (router.prefix is None and not one.replaces):
            continue
        before = [""] if one.on is None else _prefixes(one.on, registered, (*passed, router))
        own = "" if one.replaces else router.prefix
        found += [f"{outer}{one.prefix}{own}" for outer in before]
    return list(dict.fromkeys(found))


def _prefix(project: Project, node: ast.expr | None) -> str | None:
    """A prefix as text; of a name the one text that the sources give it; None where they do not tell."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        return node.value.rstrip("/") if isinstance(node.value, str) else ""
    name = ast.unparse(node).rpartition(".")[2]
    if not re.fullmatch(r"\w+", name):
        return None
    pattern = re.compile(rf"^\s*{name}\s*(?::\s*[\w\[\], |]+)?\s*=\s*(.*?)\s*$", re.M)
    texts = {found for file in project.python for found in pattern.findall(project.text(file))}
    text = re.fullmatch(r"(['\"])(/[^'\"{}]*)\1", next(iter(texts))) if len(texts) == 1 else None
    return text[2].rstrip("/") if text else None
