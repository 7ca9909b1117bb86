"""Which environment variables end as a database's URL: followed from where one is expected back to where it is read."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from .calls import TELLING, Calls
from .project import Project, imports_of, nodes_of

# Settings whose value is a database's URL, whatever the variable is called that it comes from.
_EXPECTS = re.compile(
    r"(?:.*_)?(?:DATABASE|DB|SQLALCHEMY|SQLA|POSTGRES(?:QL)?|PG|SQL|MYSQL|MARIADB|SQLITE|ALEMBIC)\w*?_?(?:URL|URI|DSN|CONNECTION_STRING|CONN_STR)(?:_\w+)?"
    r"|SQLALCHEMY[._]URL",
    re.I,
)
_TEST = re.compile(r"(^|_)TEST(ING|S)?(_|$)", re.I)
_ENGINES = ("create_engine", "create_async_engine")
_MADE_OF_IT = ("str", "URL", "make_url")  # what is handed to these comes out of them, for our purpose
_CHANGED = ("replace", "get_secret_value", "unicode_string", "render_as_string", "strip", "set")  # methods likewise
# Libraries that take a URL which is no database's of SQLAlchemy.
_OTHERS = re.compile(
    r"(sentry|raven|a?io_?redis|redis|celery|kombu|amqp|pika|aio_pika|pymongo|mongo|motor|elasticsearch|dramatiq|arq|nats)",
    re.I,
)
_MOST = 200  # expressions that are looked at for what an object is
_FARTHEST = 8  # names that are followed from one to the next


class _Sources:
    """What each name of some sources may stand for: expressions, with the file that each stands in."""

    def __init__(self, project: Project, files: Iterable[str]):
        self.trees = {file: tree for file in files if (tree := project.tree(file)) is not None}
        self.imports = {file: imports_of(tree) for file, tree in self.trees.items()}
        self._named: dict[str, list[tuple[str, ast.AST]]] = {}
        for file, tree in self.trees.items():
            for node in nodes_of(tree):
                for name, value in self._given(node):
                    self._named.setdefault(name, []).append((file, value))
        self.calls = Calls(self.trees, self.imports)
        self._classes: dict[str, list[tuple[str, ast.ClassDef]]] = {}
        self._owner: dict[ast.AST, ast.ClassDef] = {}  # of a field, of what a method returns, and of its ``self``
        for file, tree in self.trees.items():
            for node in nodes_of(tree):
                if isinstance(node, ast.ClassDef):
                    self._classes.setdefault(node.name, []).append((file, node))
                    self._owner.update(dict.fromkeys(_of_class(node), node))

    @staticmethod
    def _given(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
        if isinstance(node, ast.Assign):
            yield from ((name, node.value) for target in node.targets if (name := _last_name(target)))
        elif isinstance(node, ast.AnnAssign) and (name := _last_name(node.target)):
            yield name, node  # a settings field is read as a whole
        elif isinstance(node, ast.FunctionDef):
            yield from ((node.name, one.value) for one in ast.walk(node) if isinstance(one, ast.Return) and one.value)

    def of(self, name: str, file: str | None = None) -> list[tuple[str, ast.AST]]:
        """What a name may stand for: any file's where it is an attribute, else this file's own or what it imports."""
        if file is None:
            found = self._all(name)
            return found if len(found) <= TELLING else []
        found = self._named.get(name, [])
        known = self.imports[file].get(name)
        if known is None:
            return [one for one in found if one[0] == file]
        module, _, last = known.rpartition(".")
        stem = module.rpartition(".")[2]
        return [one for one in self._named.get(last, []) if _is_module(one[0], stem)]

    def _all(self, name: str) -> list[tuple[str, ast.AST]]:
        return self._named.get(name, []) + self.calls.fields.get(name, [])

    def fields(self, file: str, node: ast.Attribute) -> list[tuple[str, ast.AST]]:
        """What an attribute may stand for; no other class's field, where the sources show of which class the object is."""
        found, classes = self._all(node.attr), self._made(file, node.value)
        if not any(self._owner.get(value) in classes for _, value in found):
            return found if len(found) <= TELLING else []
        return [one for one in found if self._owner.get(one[1]) in (None, *classes)]

    def _made(self, file: str, node: ast.AST) -> set[ast.ClassDef]:
        """The classes that an object may be of, with the bases of each."""
        found: set[ast.ClassDef] = set()
        seen, todo = {node}, [(file, node)]
        for at, one in todo:  # what is appended is looked at too
            following: list[tuple[str, ast.AST]] = []
            if isinstance(one, ast.ClassDef):
                found.add(one)
                following = [(at, base) for base in one.bases]
            elif isinstance(one, ast.Name) and one in self._owner:
                following = [(at, self._owner[one])]
            elif isinstance(one, ast.Name):
                following = [*self.of(one.id, at), *self._class_named(one.id, at), *self.calls.passed(one)]
            elif isinstance(one, ast.Attribute):
                following = [*self.of(one.attr), *self._classes.get(one.attr, [])]
            elif isinstance(one, ast.Call):
                following = [(at, one.func)]
            elif isinstance(one, ast.AnnAssign):
                following = [(at, each) for each in (one.annotation, one.value) if each is not None]
            new = [each for each in following if each[1] not in seen]
            seen.update(each for _, each in new)
            todo += new if len(todo) < _MOST else []
        return found

    def _class_named(self, name: str, file: str) -> list[tuple[str, ast.ClassDef]]:
        known = self.imports[file].get(name)
        module, _, last = (known or "").rpartition(".")
        stem = module.rpartition(".")[2]
        classes = self._classes.get(last or name, [])
        return [one for one in classes if (_is_module(one[0], stem) if known else one[0] == file)]


def _of_class(node: ast.ClassDef) -> Iterator[ast.AST]:
    for one in node.body:
        yield one
        for inner in ast.walk(one) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) else ():
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield inner.value
            elif isinstance(inner, ast.Name) and inner.id == "self":
                yield inner


def _is_module(file: str, stem: str) -> bool:
    parts = file.removesuffix(".py").removesuffix("/__init__").split("/")
    return not stem or parts[-1] == stem


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return _text(node.slice) if isinstance(node, ast.Subscript) else ""


def _first_name(node: ast.expr, imports: Mapping[str, str]) -> str:
    """What a dotted name begins with, by what is imported."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return imports.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def used_as_url(
    project: Project, files: Iterable[str], readings: Mapping[ast.AST, str]
) -> tuple[dict[str, str], frozenset[str]]:
    """Variables whose whole value is handed over as a database's URL: name to ``what at file:line``.

    :param readings: where each variable is read, as nodes of the project's own trees
    :returns: with those that a library of another kind takes, as an error tracker or a broker
    """
    sources = _Sources(project, files)
    found: dict[str, str] = {}
    others: set[str] = set()
    for file, tree in sources.trees.items():
        for node in nodes_of(tree):
            for what, value in _expecting(node):
                if not _TEST.search(what):
                    for name in _followed(sources, file, value, readings):
                        found.setdefault(name, f"{what} at {file}:{node.lineno}")
            if isinstance(node, ast.Call) and _OTHERS.match(_first_name(node.func, sources.imports[file])):
                for value in [*node.args, *(one.value for one in node.keywords)]:
                    others |= _followed(sources, file, value, readings)
    return found, frozenset(others - set(found))


def _expecting(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Where a database's URL is expected, by what is called so, and the expression that stands there."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            name = _last_name(target)
            if name == "SQLALCHEMY_BINDS" and isinstance(node.value, ast.Dict):
                yield from ((name, value) for value in node.value.values)
            elif _EXPECTS.fullmatch(name):
                yield name, node if isinstance(node, ast.AnnAssign) else node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if _EXPECTS.fullmatch(_text(key)):
                yield _text(key), value
    elif isinstance(node, ast.Call):
        callee = _last_name(node.func)
        keywords = {one.arg: one.value for one in node.keywords if one.arg}
        if callee in _ENGINES and (node.args or "url" in keywords):
            yield callee, node.args[0] if node.args else keywords["url"]
        yield from ((name, value) for name, value in keywords.items() if _EXPECTS.fullmatch(name))
        for key, value in zip(node.args, node.args[1:], strict=False):
            if _EXPECTS.fullmatch(_text(key)):
                yield _text(key), value


def _followed(sources: _Sources, file: str, node: ast.AST, readings: Mapping[ast.AST, str]) -> set[str]:
    """The variables that an expression may be as a whole; one that is only a part of it, as a host, is none."""
    found, seen, now = set(), {node}, [(file, node)]
    for _ in range(_FARTHEST):
        following = []
        for where, one in now:
            if one in readings:
                found.add(readings[one])
                continue
            for at, other in _next(sources, where, one):
                if other is not None and other not in seen:
                    seen.add(other)
                    following.append((at, other))
        now = following
    return found


def _next(sources: _Sources, file: str, node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """What an expression takes its value from, with the file that it stands in."""
    if isinstance(node, ast.AnnAssign | ast.Await | ast.NamedExpr):
        yield file, node.value
    elif isinstance(node, ast.Name):
        yield from sources.of(node.id, file)
        yield from sources.calls.passed(node)
    elif isinstance(node, ast.Attribute):
        yield from sources.fields(file, node)
    elif isinstance(node, ast.Subscript):  # app.config["STORE"]
        yield from sources.of(_text(node.slice))
    elif isinstance(node, ast.BoolOp):
        yield from ((file, one) for one in node.values)
    elif isinstance(node, ast.IfExp):
        yield from ((file, node.body), (file, node.orelse))
    elif isinstance(node, ast.Call):
        name = _last_name(node.func)
        if isinstance(node.func, ast.Attribute) and name in _CHANGED:
            yield file, node.func.value
        elif name in _MADE_OF_IT:
            yield from ((file, one) for one in node.args[:1])
        elif name in ("get", "get_main_option"):  # app.config.get("STORE")
            yield from sources.of(_text(node.args[0])) if node.args else ()
        elif name in ("field", "Field"):  # of a dataclass, or of pydantic
            for one in node.keywords:
                if one.arg in ("default", "default_factory"):
                    yield file, one.value.body if isinstance(one.value, ast.Lambda) else one.value
        elif isinstance(node.func, ast.Name):
            yield from sources.of(name, file)
        else:
            yield from sources.of(name)
