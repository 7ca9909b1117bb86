"""Routes that are mounted nowhere, or that another answers for."""

import ast
import re
from collections.abc import Callable, Iterator

from . import edits
from .broken import Broken, Candidate
from .statements import parsed


def mount_router(broken: Broken) -> Iterator[Candidate]:
    """A route that is declared and answered with 404: its router is included nowhere."""
    for file, text in broken.sources.items():
        router = re.search(r"^(\w+)\s*=\s*APIRouter\((.*?)\)", text, re.M | re.S) if file.endswith(".py") else None
        if not router:
            continue
        prefix = re.search(r"prefix\s*=\s*[\"']([^\"']*)", router[2])
        paths = re.findall(rf"@{router[1]}\.\w+\(\s*[\"']([^\"']*)", text)
        if not any((prefix[1] if prefix else "") + path == wanted for path in paths for wanted in broken.failing):
            continue
        module = broken.module_of(file)
        leaf = module.rpartition(".")[2]
        if any(re.search(rf"include_router\(\s*(?:\w+\.)*{leaf}\b", other) for other in broken.sources.values()):
            continue
        main = max(broken.sources, key=lambda name: broken.sources[name].count(".include_router("))
        calls = list(re.finditer(r"^(\w+)\.include_router\([^\n]*\)$", broken.sources[main], re.M))
        if calls:
            last = calls[-1]
            body = broken.sources[main]
            body = body[: last.end()] + f"\n{last[1]}.include_router({leaf}.{router[1]})" + body[last.end() :]
            parent = module.rpartition(".")[0]
            new = edits.add_import(body, f"from {parent} import {leaf}", after=_below(parent))
            if new:
                says = f"Include the router of {file} in {main}: its routes are declared, and mounted nowhere."
                yield Candidate(f"mount-{leaf}", says, {main: new})


def _below(package: str) -> Callable[[str], bool]:
    return lambda asked: asked == package or asked.startswith(package + ".")


def reach_it(broken: Broken) -> Iterator[Candidate]:
    """A route that an earlier, wider one answers for: declare it, or include its router, before that."""
    answers, shadowed = broken.sites("answers"), broken.sites("never reached")
    if not answers or not shadowed:
        return
    first, second = answers[0], shadowed[0]
    text = broken.sources.get(first.file)
    if not text or first.file != second.file or first.name == second.name:
        return  # of two with one path, which is meant nobody but you can say
    new = edits.swap_statements(text, first.line, second.line)
    if new:
        says = f"Put {second.name} ({second}) before {first.name} ({first}): the first that fits answers, and the narrower one then has its turn."
        yield Candidate("narrower-first", says, {first.file: new})


def name_of_its_own(broken: Broken) -> Iterator[Candidate]:
    """Two blueprints of one name: register the second under the name of its variable."""
    for place in broken.sites("second"):
        text = broken.sources.get(place.file, "")
        calls = [
            n
            for n in ast.walk(parsed(text))
            if isinstance(n, ast.Call) and n.lineno <= place.line <= (n.end_lineno or 0)
        ]
        call = next((n for n in calls if ast.unparse(n.func).endswith("register_blueprint") and n.args), None)
        own = ast.unparse(call.args[0]).rpartition(".")[2] if call is not None else ""
        if not own.isidentifier() or own == place.name:
            continue
        new = edits.add_argument(text, place.line, "register_blueprint", "name", f'"{own}"')
        if new:
            says = f"Register the second blueprint as {own} at {place}: {place.name} is taken. Its pages are then {own}.… for url_for()."
            yield Candidate(f"named-{own}", says, {place.file: new})
