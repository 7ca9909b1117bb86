"""Routes that are mounted nowhere, or that another answers for."""

import ast
import re
from collections.abc import Iterator

from ...incident.source import nodes_at, parsed
from ...trace.values import Frame
from . import edits
from .failing_build import Broken, Candidate


def mount_router(broken: Broken) -> Iterator[Candidate]:
    """A route that is declared and answered with 404: its router is included nowhere."""
    for file, text in broken.python:
        router = re.search(r"^(\w+)\s*=\s*APIRouter\((.*?)\)", text, re.M | re.S)
        if not router:
            continue
        prefix = re.search(r"prefix\s*=\s*[\"']([^\"']*)", router[2])
        paths = re.findall(rf"@{router[1]}\.\w+\(\s*[\"']([^\"']*)", text)
        if not {(prefix[1] if prefix else "") + path for path in paths} & set(broken.failing):
            continue
        parent, _, leaf = broken.module_of(file).rpartition(".")
        if any(re.search(rf"include_router\(\s*(?:\w+\.)*{leaf}\b", other) for other in broken.sources.values()):
            continue
        main = max(broken.sources, key=lambda name: broken.sources[name].count(".include_router("))
        says = f"Include the router of {file} in {main}: its routes are declared, but not mounted anywhere."
        included = (_included, f"include_router({leaf}.{router[1]})")
        yield from broken.change(f"mount-{leaf}", says, main, *included, imports=[f"from {parent} import {leaf}"])


def _included(text: str, call: str) -> str | None:
    """With one more router below the last that is included."""
    last = next(reversed([*re.finditer(r"^(\w+)\.include_router\([^\n]*\)$", text, re.M)]), None)
    return last and f"{text[: last.end()]}\n{last[1]}.{call}{text[last.end() :]}"


def reach_it(broken: Broken) -> Iterator[Candidate]:
    """A route that an earlier, wider one answers for: declare it, or include its router, before that."""
    for first, second in zip(broken.sites("answers")[:1], broken.sites("never reached")[:1], strict=False):
        if first.file != second.file or first.name == second.name:
            return  # of two with one path, which is meant nobody but you can say
        says = f"Move {second.name} ({second}) before {first.name} ({first}): the first route that matches answers, so the narrower one is then reached."
        yield from broken.change("narrower-first", says, first.file, edits.swap_statements, first.line, second.line)


def name_of_its_own(broken: Broken) -> Iterator[Candidate]:
    """Two blueprints of one name: register the second under the name of its variable."""
    for place in broken.sites("second"):
        tree = parsed(broken.sources.get(place.file, ""))
        about = [node for node in nodes_at(tree, place.line, ast.Call) if node.args]
        call = next((node for node in about if ast.unparse(node.func).endswith("register_blueprint")), None)
        variable = ast.unparse(call.args[0]).rpartition(".")[2] if call is not None else ""
        if not variable.isidentifier() or variable == place.name:
            continue
        name = ("register_blueprint", "name", f'"{variable}"')
        new = broken.edited(place.file, edits.add_argument, place.line, *name)
        if new:
            edited = _asked_as(broken, place.name, variable, {place.file: new})
            says = f"Register the second blueprint as {variable} at {place}: the name {place.name} is taken. For url_for() its pages are then {variable}.…"
            yield Candidate(f"named-{variable}", says, edited)


def _asked_as(broken: Broken, before: str, after: str, edited: dict[str, str]) -> dict[str, str]:
    """The edits, with ``url_for`` asking for the pages that only the second blueprint has by its own name, also in templates."""
    entries = broken.trace.entries
    tried = [entry.object for entry in entries if entry.kind == "blueprint" and entry.key == before]
    blueprints = {it.object: it.frame for it in entries if it.kind == "blueprint made" and it.key == before}
    if len(tried) < 2 or tried[-1] not in blueprints or tried[0] not in blueprints:
        return edited
    first, second = (_views(broken, blueprints[number]) for number in (tried[0], tried[-1]))
    views = "|".join(map(re.escape, sorted(second - first)))
    endpoint = re.compile(rf"(?<=[\"']){re.escape(before)}(?=\.(?:{views})[\"'])")
    new = {file: endpoint.sub(after, edited.get(file, text)) for file, text in broken.sources.items()} if views else {}
    return edited | {file: text for file, text in new.items() if text != broken.sources[file]}


def _views(broken: Broken, made: Frame) -> set[str]:
    """The functions that the blueprint made at a line is put about, in its module and in those of its folder that import it."""
    folder, text = made.file.rpartition("/")[0], broken.sources.get(made.file, "")
    assigned = re.match(r"(\w+)\s*(?::[^=]+)?=", "".join(text.splitlines()[made.line - 1 : made.line]))
    views = set()
    for file, other in broken.python if assigned else ():
        near = file == made.file or file.startswith(f"{folder}/") and re.search(rf"import\b.*\b{assigned[1]}\b", other)
        for node in ast.walk(parsed(other)) if near else ():
            decorators = getattr(node, "decorator_list", ())
            if any(ast.unparse(decorator).startswith(f"{assigned[1]}.") for decorator in decorators):
                views.add(node.name)
    return views


def keep_names(broken: Broken) -> Iterator[Candidate]:
    """Every function that a decorator wraps has the name of its inner function: ``functools.wraps`` gives each its own."""
    for place in broken.sites("definition"):
        outer, _, inner = (place.name or "").rpartition(".<locals>.")
        if not inner or any(re.search(rf"[\"']{inner}[\"']", text) for text in broken.sources.values()):
            continue  # url_for() may ask for it by this name
        tree = parsed(broken.sources.get(place.file, ""))
        around = [n for n in nodes_at(tree, place.line, ast.FunctionDef) if n.name == outer.rpartition(".")[2]]
        around = [n for n in around if n.lineno < place.line and len(n.args.args) == 1]
        for decorator in around:
            wrapped = decorator.args.args[0].arg
            values = (node.value for node in decorator.body if isinstance(node, ast.Return))
            returns = [value.id for value in values if isinstance(value, ast.Name)]
            says = f"Let {inner} in {decorator.name} ({place}) take the name of the function that it wraps: each view then has its own endpoint."
            named = (edits.decorate, inner, place.line, f"functools.wraps({wrapped})")
            if inner in returns:
                needed = ["import functools"]
                yield from broken.change(f"wraps-{wrapped}", says, place.file, *named, imports=needed)


def function_of_its_own_name(broken: Broken) -> Iterator[Candidate]:
    """Two functions of one name in one file are views: the second gets a name that says what its route is for."""
    first, second, *_ = [*broken.sites("definition"), None, None]
    if first is None or second is None or first.file != second.file or first.name != second.name:
        return
    text = broken.sources.get(second.file, "")
    functions = [n for n in ast.walk(parsed(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    function = next((n for n in functions if n.name == second.name and _begins(n) <= second.line <= n.lineno), None)
    if function is None:
        return
    paths = re.findall(r"'(/[^']*)'", " ".join(map(ast.unparse, function.decorator_list)))
    parts = re.findall(r"(?<=/)[a-z_]\w*(?=/|$)", paths[0] if paths else "")
    words = [word for word in parts if word not in function.name]
    name = f"{function.name}_{words[-1] if words else 2}"
    if any(re.search(rf"\b{name}\b", other) for other in broken.sources.values()):
        return
    lines = text.splitlines(keepends=True)
    lines[function.lineno - 1] = lines[function.lineno - 1].replace(f"def {function.name}", f"def {name}", 1)
    says = f"Rename the second {function.name} ({second}) to {name}: an endpoint has the name of its function, and the first one has this name already."
    yield Candidate(f"named-{name}", says, {second.file: "".join(lines)})


def _begins(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
