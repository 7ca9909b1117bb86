"""What an application reads from its environment, and which of it names the database."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..base.known_secrets import says_secret
from ..base.redact import shows_secret
from ..base.scan import kinds_in
from .project import Project

_READS = ("environ", "getenv", "BaseSettings", "decouple", "starlette.config", "environs", "environ.Env", "Config(")
_NOT_SQL = re.compile(
    r"REDIS|BROKER|CELERY|RABBIT|AMQP|MONGO|ELASTIC|SENTRY|KAFKA|CACHE|S3|TEST|HTTP|WEBHOOK|API_|SMTP|VECTOR|QDRANT|NEO4J"
)
_URL_NAME = re.compile(
    r"(?:^|_)(?:DATABASE|DB|SQLALCHEMY|SQL|POSTGRES|POSTGRESQL|PG|MYSQL|SQLITE|ASYNC)\w*(?:URL|URI|DSN|CONNECTION|CONN_STR\w*|CONNECTION_STRING)$"
)
_PART_NAME = re.compile(
    r"(?:^|_)(?:DATABASE|DB|SQL|POSTGRES|POSTGRESQL|PG|MYSQL|RDS|PSQL)_?(?:\w+_)?"
    r"(?:(?P<host>HOST|HOSTNAME|SERVER|ADDRESS)|(?P<port>PORT)|(?P<user>USER|USERNAME)|(?P<password>PASS|PASSWORD|PWD)|(?P<name>NAME|DB|DATABASE|DBNAME))$"
)
_OF_THE_KIT = {
    "PORT",
    "HOST",
    "HOME",
    "PATH",
    "USER",
    "PWD",
    "TMPDIR",
    "PYTHONPATH",
    "LANG",
    "TZ",
    "HOSTNAME",
    "SHELL",
    "VIRTUAL_ENV",
}
_NUMBERS = re.compile(
    r"(?:^|_)(?:PORT|TIMEOUT|SECONDS|MINUTES|HOURS|DAYS|SIZE|LIMIT|COUNT|WORKERS|RETRIES|TTL|MAX\w*|MIN\w*|NUM\w*|POOL\w*)$"
)


@dataclass(frozen=True)
class Variable:
    """One that the sources read: ``kind`` is the type that they ask for (str, int, bool, float, list, url …)."""

    name: str
    at: str
    required: bool
    kind: str
    engine: bool  # does it reach an engine's URL?

    @property
    def rank(self) -> int:
        """How likely it holds the database's URL; 0: it does not."""
        name = self.name.upper()
        if _NOT_SQL.search(name) and not self.engine:
            return 0
        by_name = (
            3 if name in ("DATABASE_URL", "SQLALCHEMY_DATABASE_URI", "DB_URL") else 2 if _URL_NAME.search(name) else 0
        )
        if self.engine and _PART_NAME.search(name) and not by_name:
            return 0
        return by_name + 4 * self.engine + (self.required and bool(by_name or self.engine)) - ("ASYNC" in name)


class _Reader(ast.NodeVisitor):
    """The variables that one module reads, and the names that reach an engine's URL."""

    def __init__(self, file: str):
        self.file = file
        self.found: list[tuple[Variable, str | None]] = []  # with the name that it is kept under
        self.engine_names: set[str] = set()
        self.targets: list[str] = []
        self.in_engine = 0

    def _note(self, name: str, node: ast.AST, required: bool, kind: str = "str") -> None:
        if re.fullmatch(r"[A-Za-z_]\w*", name):
            one = Variable(name, f"{self.file}:{node.lineno}", required, kind, bool(self.in_engine))
            self.found += [(one, target) for target in self.targets or [None]]

    def _visit_value(self, targets: list[str], value: ast.AST | None) -> None:
        if value is None:
            return
        engine = any(re.search(r"SQLALCHEMY_DATABASE_UR[IL]", one) for one in targets)
        before, self.targets = self.targets, [one for one in targets if one]
        self.in_engine += engine
        if engine:
            self.engine_names |= _names_in(value)
        self.visit(value)
        self.targets, self.in_engine = before, self.in_engine - engine

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit_value([_target(one) for one in node.targets], node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_value([_target(node.target)], node.value)

    def visit_keyword(self, node: ast.keyword) -> None:
        self._visit_value([*self.targets, node.arg or ""], node.value)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            self._visit_value([*self.targets, str(key.value) if isinstance(key, ast.Constant) else ""], value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        # A method or function of this name gives the URL: what it reads reaches the engine.
        self._visit_body([node.name], node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def _visit_body(self, targets: list[str], body: list[ast.stmt]) -> None:
        before, self.targets = self.targets, targets
        for one in body:
            self.visit(one)
        self.targets = before

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any("Settings" in ast.unparse(base) for base in node.bases):
            self._settings(node)
        self._visit_body([], node.body)

    def _settings(self, node: ast.ClassDef) -> None:
        text = ast.unparse(node)
        prefix = re.search(r"env_prefix\s*=\s*['\"](\w*)['\"]", text)
        for one in node.body:
            if (
                not isinstance(one, ast.AnnAssign)
                or not isinstance(one.target, ast.Name)
                or one.target.id in ("model_config",)
            ):
                continue
            kind = ast.unparse(one.annotation)
            value = one.value
            field = value if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("Field") else None
            named = [k.value for k in field.keywords if k.arg in ("alias", "validation_alias", "env")] if field else []
            alias = next(
                (
                    n.value
                    for k in named
                    for n in ast.walk(k)
                    if isinstance(n, ast.Constant) and isinstance(n.value, str)
                ),
                None,
            )
            default = field is not None and (
                any(k.arg in ("default", "default_factory") for k in field.keywords)
                or (bool(field.args) and ast.unparse(field.args[0]) not in ("...", "Ellipsis"))
            )
            required = (value is None and "ClassVar" not in kind) or (field is not None and not default)
            name = alias or (prefix[1] if prefix else "") + one.target.id
            self.targets = [one.target.id]
            self._note(name.upper(), one, required, kind)
        self.targets = []

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
        last = name.rpartition(".")[2]
        first = node.args[0] if node.args else None
        literal = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        if literal is not None and (last == "getenv" or name.endswith("environ.get")):
            self._note(literal, node, False, _cast(node))
            return
        reader = re.fullmatch(
            r"(?:\w+\.)?(?:config|env|_config|settings_env|Env|getenv_or_raise)(?:\.(str|int|bool|float|list|url|json|db|path|dj_db_url))?",
            name,
        )
        if literal is not None and reader and re.fullmatch(r"[A-Z][A-Z0-9_]+", literal):
            default = len(node.args) > 1 or any(one.arg == "default" for one in node.keywords)
            self._note(literal, node, not default, reader[1] or _cast(node))
            return
        engine = last in ("create_engine", "create_async_engine", "URL", "make_url", "connect") and last != "connect"
        engine = (
            engine or (last == "set_main_option" and literal == "sqlalchemy.url") or (last == "build" and "Dsn" in name)
        )
        self.in_engine += engine
        if engine:
            for one in [*node.args, *(k.value for k in node.keywords if k.arg in ("url", None))]:
                self.engine_names |= _names_in(one)
        self.generic_visit(node)
        self.in_engine -= engine

    def visit_Subscript(self, node: ast.Subscript) -> None:
        name = ast.unparse(node.value) if isinstance(node.value, ast.Name | ast.Attribute) else ""
        if (
            re.search(r"(?:^|\.)(?:environ|env)$", name)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.ctx, ast.Load)
        ):
            self._note(str(node.slice.value), node, True)
        self.generic_visit(node)


def _target(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return ""


def _names_in(node: ast.AST) -> set[str]:
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return names | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def _cast(node: ast.Call) -> str:
    return next((ast.unparse(one.value) for one in node.keywords if one.arg == "cast"), "str")


def variables_of(project: Project) -> list[Variable]:
    """Every variable that the sources read, each once: where it is required, and whether it reaches an engine."""
    readers = []
    for file in dict.fromkeys([*project.sources, *(one for one in project.python if one.endswith("/env.py"))]):
        text = project.text(file)
        if (any(mark in text for mark in _READS) or "engine" in text) and (tree := project.tree(file)) is not None:
            readers.append(_Reader(file))
            readers[-1].visit(tree)
    names = set().union(*(one.engine_names for one in readers)) if readers else set()
    names -= {
        "os",
        "environ",
        "settings",
        "config",
        "self",
        "cls",
        "str",
        "get",
        "url",
        "app",
        "Config",
        "Settings",
        "get_settings",
    }
    kept: dict[str, Variable] = {}
    for reader in readers:
        for one, target in reader.found:
            before = kept.get(one.name)
            engine = one.engine or (target in names) or bool(before and before.engine)
            required = one.required or bool(before and before.required)
            place = one if before is None or (one.required and not before.required) else before
            kept[one.name] = Variable(one.name, place.at, required, place.kind, engine)
    return list(kept.values())


def database_variables(variables: list[Variable]) -> list[Variable]:
    """Those that may hold the database's URL, the likeliest first."""
    return sorted((one for one in variables if one.rank > 0), key=lambda one: -one.rank)


def parts_of(variables: list[Variable]) -> dict[str, tuple[str, Variable]]:
    """Variables that hold parts of the URL: name to placeholder and variable; empty where host or name is not among them."""
    found = {}
    for one in variables:
        part = _PART_NAME.search(one.name.upper())
        if part and not _URL_NAME.search(one.name.upper()) and not _NOT_SQL.search(one.name.upper()):
            found[one.name] = (f"{{database_{part.lastgroup}}}", one)
    values = {value for value, _ in found.values()}
    return found if {"{database_host}", "{database_name}"} <= values else {}


def stand_in(name: str, kind: str = "str", example: str | None = None) -> str:
    """A value for a variable that has to be there: of an example file, where that is no secret, else by its type."""
    if example and not (
        says_secret(name) or shows_secret(f"{name}={example}") or kinds_in(example) or "://" in example
    ):
        return example
    plain = re.sub(r"^(?:Optional\[|Annotated\[)", "", kind).lower()
    if plain.startswith(("int", "positiveint", "float")) or (plain == "str" and _NUMBERS.search(name)):
        return "1"
    if plain.startswith("bool"):
        return "false"
    if plain.startswith(("list", "set", "tuple", "sequence", "json")):
        return "[]"
    if plain.startswith("dict"):
        return "{}"
    if "email" in plain or name.endswith(("EMAIL", "MAIL_FROM")):
        return "somebody@example.org"
    if "redis" in plain or "REDIS" in name:
        return "redis://127.0.0.1:6379/0"
    if "url" in plain or "dsn" in plain or name.endswith(("_URL", "_URI", "_ENDPOINT", "_ORIGIN")):
        return "http://127.0.0.1:9"
    return "stand-in-of-32-characters-or-more" if says_secret(name) else "stand-in"


def stand_ins(project: Project, variables: list[Variable], without: frozenset[str]) -> dict[str, tuple[str, str]]:
    """What is read without a default, each with a value and why; ``without``: what the log calls missing."""
    examples = dict(_examples(project))
    found = {}
    for one in variables:
        if one.required and one.rank == 0 and one.name not in without | _OF_THE_KIT:
            text = stand_in(one.name, one.kind, examples.get(one.name, (None, ""))[0])
            taken = (
                f", as in {examples[one.name][1]}"
                if one.name in examples and text == examples[one.name][0]
                else ", a stand-in"
            )
            found[one.name] = (text, f"read at {one.at} without a default{taken}")
    return found


def deployed(
    project: Project, env: dict[str, tuple[str, str]], variables: list[Variable], without: frozenset[str]
) -> dict[str, tuple[str, str]]:
    """What the deployment sets of that which the sources or their frameworks read, secrets and URLs of databases left out."""
    known = {one.name for one in variables if one.rank == 0}
    found = {}
    for name, (text, at) in env.items():
        asked = name in known or name.startswith(("FLASK_", "QUART_", "DJANGO_", "STREAMLIT_", "CELERY_"))
        secret = says_secret(name) or shows_secret(f"{name}={text}") or kinds_in(text)
        if asked and text and not secret and name not in without | _OF_THE_KIT and not _URL_NAME.search(name):
            found[name] = (text, f"set in {at}")
    return found


def _examples(project: Project) -> Iterator[tuple[str, tuple[str, str]]]:
    for file in project.named(
        ".env.example", ".env.sample", ".env.template", "env.example", ".env.dist", ".env.test", ".env"
    ):
        for line in project.text(file).splitlines():
            one = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*['\"]?([^'\"#\n]*?)['\"]?\s*(?:#.*)?$", line)
            if one and one[2]:
                yield one[1], (one[2], file)


def scheme_of(env: dict[str, tuple[str, str]], name: str) -> str | None:
    """The scheme of a URL that the deployment sets."""
    found = re.match(r"([a-z][\w+]*)://", env.get(name, ("", ""))[0])
    return found[1] if found else None
