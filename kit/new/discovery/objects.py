"""Application objects that the sources make: a FastAPI, a Flask, a Celery, or a function that makes one."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...incident.source import module_name
from .project import Project, called, imports_of

_FRAMEWORKS = {
    "fastapi.FastAPI": "FastAPI",
    "flask.Flask": "Flask",
    "starlette.applications.Starlette": "Starlette",
    "litestar.Litestar": "Litestar",
    "litestar.app.Litestar": "Litestar",
    "quart.Quart": "Quart",
    "apiflask.APIFlask": "Flask",
    "flask_openapi3.OpenAPI": "Flask",
    "connexion.FlaskApp": "Flask",
    "connexion.AsyncApp": "Starlette",
    "sanic.Sanic": "Sanic",
    "falcon.asgi.App": "Falcon (ASGI)",
    "celery.Celery": "Celery",
}
WSGI, WORKERS = ("Flask",), ("Celery",)
_LIKELY = ("wsgi", "asgi", "main", "app", "application", "server", "api", "__init__", "web", "run", "manage", "factory")
_FACTORIES = re.compile(
    r"(create|make|get|build|init|setup)_?\w*(app|application|api|server|celery)\w*|app_?factory|factory", re.I
)


@dataclass(frozen=True)
class Made:
    """Where an application object is made.

    :ivar name: the module's variable, or the function that returns one
    :ivar factory: it is a function, and can be called without arguments
    """

    framework: str
    name: str
    file: str
    line: int
    factory: bool = False

    @property
    def at(self) -> str:
        return f"{self.file}:{self.line}"

    def target(self, path: list[str]) -> str:
        """``module:name``, by the folders on the path."""
        return f"{module_name(self.file, path)}:{self.name}"


def objects_of(project: Project, service: str) -> list[Made]:
    """Every application object of a service, the likeliest entry point first."""
    files = set(project.below(service))
    factories: dict[str, Made] = {}
    found: list[Made] = []
    trees = [(file, tree, imports_of(tree)) for file, tree in project.trees() if file in files]
    for file, tree, imports in trees:
        for function in tree.body:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                framework = _returned(function, imports)
                if framework:
                    made = Made(framework, function.name, file, function.lineno, True)
                    factories.setdefault(function.name, made)
                    if _callable(function):
                        found.append(made)
    for file, tree, imports in trees:
        for name, value, line in _top_level(tree):
            callee = called(value, imports)
            framework = _FRAMEWORKS.get(callee)
            maker = factories.get(callee.rpartition(".")[2])
            if framework:
                found.append(Made(framework, name, file, line))
            elif maker is not None:
                found.append(Made(maker.framework, name, file, line))
    return sorted(set(found), key=lambda one: _order(one, service))


def _order(one: Made, service: str) -> tuple:
    path = PurePosixPath(one.file)
    likely = _LIKELY.index(path.stem) if path.stem in _LIKELY else len(_LIKELY)
    named = 0 if one.name in ("app", "application", "create_app", "celery_app", "api") else 1
    aside = bool(re.search(r"script|tool|example|demo|dev|sandbox|playground|(^|/)_[a-z]", one.file))
    return (one.framework in WORKERS, aside, one.factory, named, likely, len(path.parts), one.file, one.line)


def _top_level(tree: ast.Module) -> Iterator[tuple[str, ast.expr, int]]:
    """Names given a value at a module's top level, in its ``if`` and ``try`` too."""
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        one = todo.pop(0)
        if isinstance(one, ast.Assign):
            yield from ((target.id, one.value, one.lineno) for target in one.targets if isinstance(target, ast.Name))
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.value:
            yield one.target.id, one.value, one.lineno
        elif isinstance(one, ast.If | ast.Try | ast.With) and "__main__" not in ast.unparse(
            getattr(one, "test", one.body[0])
        ):
            todo += [*one.body, *getattr(one, "orelse", []), *(s for h in getattr(one, "handlers", []) for s in h.body)]


def _returned(function: ast.FunctionDef | ast.AsyncFunctionDef, imports: dict[str, str]) -> str | None:
    """The framework whose object a function makes and returns."""
    made: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign) and (framework := _FRAMEWORKS.get(called(node.value, imports))):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                made[ast.unparse(target)] = framework
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            framework = made.get(ast.unparse(node.value)) or _FRAMEWORKS.get(called(node.value, imports))
            if framework:
                return framework
    noted = imports.get(ast.unparse(function.returns), "") if function.returns else ""
    return _FRAMEWORKS.get(noted) if _FACTORIES.fullmatch(function.name) else None


def _callable(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Can it be called without arguments?"""
    arguments = function.args
    given = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return given == 0 and all(arguments.kw_defaults) and not isinstance(function, ast.AsyncFunctionDef)
