"""What an application reads from its environment, and which of it names the database."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..base.known_secrets import says_secret
from ..base.redact import shows_secret
from ..base.scan import kinds_in
from .project import Project
from .source import text_at
from .variables import readings_in

_URI = r"SQLALCHEMY_DATABASE_UR[IL]"
_ENGINE = re.compile(rf"engine|sqlalchemy\.url|make_url|Dsn\.build|URL\.create|{_URI}")
_MAKES_URL = re.compile(r"(?:^|\.)(?:create_(?:async_)?engine|make_url|URL(?:\.create)?|\w*Dsn\.build)$")
_NO_NAMES = {
    "os", "environ", "settings", "config", "self", "cls", "str", "get", "url", "app", "Config", "Settings", "get_settings",
}  # fmt: skip
_NOT_SQL = re.compile(
    r"REDIS|BROKER|CELERY|RABBIT|AMQP|MONGO|ELASTIC|SENTRY|KAFKA|CACHE|S3|TEST|HTTP|WEBHOOK|API_|SMTP|VECTOR|QDRANT|NEO4J"
)
_OF_TESTS = re.compile(r"(?:^|_)(?:UNIT|INTEGRATION)?_?TEST(?:S|ING)?(?:_|$)")
_URL_NAME = re.compile(
    r"(?:^|_)(?:DATABASE|DB|SQLALCHEMY|SQL|POSTGRES|POSTGRESQL|PG|MYSQL|SQLITE|ASYNC)\w*(?:URL|URI|DSN|CONNECTION|CONN_STR\w*|CONNECTION_STRING)$"
)
_PART_NAME = re.compile(
    r"(?:^|_)(?:DATABASE|DB|SQL|POSTGRES|POSTGRESQL|PG|MYSQL|RDS|PSQL)_*(?:\w+_)?"
    r"(?:(?P<host>HOST|HOSTNAME|SERVER|ADDRESS|ENDPOINT)|(?P<port>PORT)|(?P<user>USER|USERNAME)|(?P<password>PASS|PASSWORD|PASSWD|PWD)|(?P<name>NAME|DB|DATABASE|DBNAME)|(?P<credentials>CREDENTIALS?))$"
)
_KIND_NAME = re.compile(r"(?:^|_)(?:DATABASE|DB|SQL)_(?:TYPE|KIND|ENGINE|BACKEND|DIALECT|DRIVER|VENDOR)$")
NO_URL = re.compile(r"Could not parse SQLAlchemy URL|Expected string or URL object|SQLALCHEMY_DATABASE_UR[IL]\b")
_OF_THE_KIT = {
    "PORT", "HOST", "HOME", "PATH", "USER", "PWD", "TMPDIR", "PYTHONPATH", "LANG", "TZ", "HOSTNAME", "SHELL", "VIRTUAL_ENV",
}  # fmt: skip
_ONLY_POSTGRESQL = r"sqlalchemy\.dialects(?:\.| import )postgresql|[\"']postgres(?:ql)?\+\w+|PostgresDsn"
_NUMBERS = re.compile(
    r"(?:^|_)(?:PORT|TIMEOUT|SECONDS|MINUTES|HOURS|DAYS|SIZE|LIMIT|COUNT|WORKERS|RETRIES|TTL|MAX\w*|MIN\w*|NUM\w*|POOL\w*)$"
)
_BY_KIND = {("int", "positiveint", "float", "decimal"): "1", ("bool",): "false", ("list", "set", "tuple", "sequence", "json"): "[]", ("dict", "mapping"): "{}"}  # fmt: skip


@dataclass(frozen=True)
class Variable:
    """One that the sources read: ``kind`` is the type that they ask for (str, int, bool, float, list, url …)."""

    name: str
    at: str
    required: bool
    kind: str
    engine: bool  # does it reach an engine's URL?
    default: str | None = None  # what another place takes without it
    names: frozenset[str] = frozenset()  # that its value is bound to

    @property
    def rank(self) -> int:
        """How likely it holds the database's URL; 0: it does not."""
        name = self.name.upper()
        if re.match(r"(?:typing\.)?(?:Literal\[|int\b|bool\b|float\b)", self.kind):
            return 0  # a choice, a number
        if (
            (_NOT_SQL.search(name) and not self.engine)
            or _OF_TESTS.search(name)
            or re.match("https?:", self.default or "")
        ):
            return 0
        usual = name in ("DATABASE_URL", "SQLALCHEMY_DATABASE_URI", "DB_URL")
        by_name = 3 if usual else 2 if _URL_NAME.search(name) else 0
        no_url = _PART_NAME.search(name) or name.endswith(("_PATH", "_FILE", "_DIR", "_JSON"))
        if self.engine and no_url and not by_name:
            return 0
        return by_name + 4 * self.engine + (self.required and bool(by_name or self.engine)) - ("ASYNC" in name)


def variables_of(project: Project) -> list[Variable]:
    """Every variable that the sources read, each once: where it is required, and whether it reaches an engine."""
    names, literals, readings = set(), set(), []
    for file in dict.fromkeys([*project.sources, *(path for path in project.python if path.endswith("/env.py"))]):
        text = project.text(file)
        readings += readings_in(file, text)
        if _ENGINE.search(text):
            tree = project.tree(file)
            for value in _engines(tree):
                for node in ast.walk(value):
                    names.add(getattr(node, "id", getattr(node, "attr", None)))
                    literals |= {node.value} if isinstance(node, ast.Constant) else set()
    names -= _NO_NAMES | {None}
    kept: dict[str, Variable] = {}
    for reading in readings:
        before = kept.get(reading.name)
        bound = {reading.field, (reading.target or "").rpartition(".")[2].strip("]'\"").rpartition("[")[2].strip("'\"")}
        engine = bool(reading.name in literals or names & bound or before and before.engine)
        engine = engine or any(re.fullmatch(_URI, name or "") for name in bound)
        first = before if before and (before.required or not reading.required) else None
        at, kind = (first.at, first.kind) if first else (str(reading), reading.kind or "str")
        required = reading.required or bool(before and before.required)
        default = (before and before.default) or reading.default
        bound |= before.names if before else set()
        kept[reading.name] = Variable(reading.name, at, required, kind, engine, default, frozenset(bound - {"", None}))
    return list(kept.values())


def _engines(tree: ast.Module) -> Iterator[ast.expr]:
    """What an engine's whole URL is made of: arguments of calls that make one, values that Flask and Alembic take for it; no part by its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            makes = _MAKES_URL.search(ast.unparse(node.func)) or first == "sqlalchemy.url"
            whole = (
                arg for arg in node.args if not (isinstance(arg, ast.Call) and _MAKES_URL.search(ast.unparse(arg.func)))
            )
            yield from whole if makes else ()
            for keyword in node.keywords:
                if (makes and keyword.arg in ("url", None)) or re.fullmatch(_URI, keyword.arg or ""):
                    yield keyword.value
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if re.search(_URI, ast.unparse(target)):
                yield node.value
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if re.fullmatch(_URI, str(getattr(key, "value", ""))))


def named(names: Iterable[str], variables: list[Variable]) -> set[str]:
    """Names as an error says them, as variables: a settings class is told by its fields, without a prefix and in lower case, one within another."""
    known, variables_named = {variable.name for variable in variables}, set()
    for name in names:
        field = re.compile(rf"(?:.*_)?{re.escape(name.replace('.', '__'))}(?:__.*)?", re.I)
        ending = {variable_name for variable_name in known if field.fullmatch(variable_name)}
        variables_named |= {name} if name in known or name.isupper() else {name.upper()} & known or ending
    return variables_named


def named_in(text: str, variables: list[Variable], project: Project | None = None) -> set[str]:
    """Variables that an error names, as far as the sources read them; those of the database are found otherwise.

    :param project: its sources may read them by a function of their own, where the error speaks of the environment
    """
    words = set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", text))
    known = {variable.name: variable for variable in variables}
    texts = [project.text(file) for file in project.sources] if project else []
    key = re.search(r"KeyError: '([^'\n]+)'", text)
    beside = rf"['\"]{re.escape(key[1] if key else '')}['\"],\s*['\"](\w+)['\"]"  # as what sets it from a variable names both
    words |= {name for source in texts * bool(key) for name in re.findall(beside, source)} & known.keys()
    own = words - known.keys() if re.search(r"\benv(?:ironment)?\b", text, re.I) else set()
    quoted = {word for word in own if any(f'"{word}"' in source for source in texts)}
    return quoted | {name for name in words & known.keys() if not known[name].rank}


def called_missing(log, variables: list[Variable]) -> frozenset[str]:
    """The variables that a log calls missing; where its engine was given nothing, also those that hold the URL.

    :param log: the evidence in it
    """
    missing = named(log.missing_variables, variables) | named_in(log.error, variables)
    urls = {variable.name for variable in database_variables(variables)} if NO_URL.search(log.text) else set()
    return frozenset(missing | urls)


def unset_in(project: Project, places: Iterable[tuple[str, int]], variables: list[Variable]) -> set[str]:
    """Variables without a default that are named, themselves or by what their values are bound to, in the first statement with one.

    :param places: files and lines; a variable that is read in the file itself counts before others of that name
    """
    free = [variable for variable in variables if not variable.required and variable.default is None]
    for file, line in places:
        words = set(re.findall(r"\w+", text_at(project.tree(file), line)))
        named_here = [variable for variable in free if words & {variable.name, *variable.names}]
        if named_here:
            here = {variable.name for variable in named_here if variable.at.startswith(f"{file}:")}
            return here or {variable.name for variable in named_here}
    return set()


def database_variables(variables: list[Variable]) -> list[Variable]:
    """Those that may hold the database's URL, the likeliest first."""
    return sorted((variable for variable in variables if variable.rank > 0), key=lambda variable: -variable.rank)


@lru_cache(maxsize=1)
def demanded(project: Project) -> tuple[bool, bool]:
    """What the sources ask of a database: only what PostgreSQL has, and asynchronous engines only."""
    marks = ("engine", "asyncpg", "PostgresDsn", "postgresql")
    texts = (project.text(file) for file in project.python)
    sources = "\n".join(text for text in texts if any(mark in text for mark in marks))
    asynchronous = re.search(r"create_async_engine|async_engine_from_config", sources)
    either = any(re.search(r"[\"'=]sqlite(?:\+\w+)?:///", project.text(file)) for file in project.sources)
    only = not either and bool(re.search(_ONLY_POSTGRESQL, sources))
    return only, bool(asynchronous and not re.search(r"\bcreate_engine\(", sources))


def parts_of(variables: list[Variable]) -> dict[str, tuple[str, Variable]]:
    """Variables that hold parts of the URL: name to placeholder and variable; empty where host or name is not among them."""
    parts = {}
    for variable in variables:
        part = _PART_NAME.search(variable.name.upper())
        if part and not _URL_NAME.search(variable.name.upper()) and not _NOT_SQL.search(variable.name.upper()):
            kind = part.lastgroup.replace("credentials", "user}:{database_password")
            parts[variable.name] = (f"{{database_{kind}}}", variable)
    values = {value for value, _ in parts.values()}
    if "{database_name}" not in values:  # some call it so
        schemas = {v.name: v for v in variables if re.search(r"(?:^|_)(?:DB|DATABASE)_SCHEMA$", v.name)}
        parts |= {name: ("{database_name}", variable) for name, variable in schemas.items()}
        values |= {"{database_name}"} if schemas else set()
    return parts if {"{database_host}", "{database_name}"} <= values else {}


def chosen_kinds(project: Project, variables: list[Variable]) -> dict[str, tuple[str, Variable]]:
    """Variables by which another database is chosen than the usual one: PostgreSQL, as a file spells it that reads or names them."""
    choosing = [var for var in variables if not var.required and _KIND_NAME.search(var.name.upper())]
    texts = [project.text(file) for file in project.sources if choosing]
    marks = [(var, mark) for var in choosing for mark in (f"class {var.kind}(", var.name, *var.names)]
    marked = ((var, text) for var, mark in marks for text in texts if mark in text)
    spelt = ((var, re.search(r"[\"'](postgres(?:ql)?)[\"']", text, re.I)) for var, text in marked)
    return {var.name: (match[1], var) for var, match in reversed([*spelt]) if match}


def refused_settings(project: Project, text: str) -> bool:
    """Is an error of a settings class of the application, which does not take what the environment gives?"""
    refused = re.match(r"\d+ validation errors? for (\w+)", text)
    class_ = re.compile(rf"^class {refused[1]}\([^)]*Settings\b", re.M) if refused else None
    return class_ is not None and any(class_.search(project.text(file)) for file in project.sources)


def refused_examples(project: Project, variables: list[Variable], text: str, without: frozenset[str]) -> dict[str, str]:
    """What the example of an environment's file sets, where an error is of a settings class that refuses the present one."""
    if not refused_settings(project, text):
        return {}
    return {name: value for name, (value, _) in deployed(examples_of(project), variables, without).items()}


def settings_file_of(project: Project) -> tuple[str, str]:
    """The variable that names a file of Flask's settings, and where it is read; empty where there is none."""
    if not any("SQLALCHEMY_DATABASE_URI" in project.text(file) for file in project.python):
        return "", ""
    for file in project.sources:
        text = project.text(file)
        read = re.search(r"from_envvar\(\s*['\"](\w+)['\"]", text)
        if not read and (by := re.search(r"from_pyfile\(\s*(\w+)\s*[,)]", text)):
            read = re.search(rf"\b{by[1]}\s*=\s*os\.(?:environ\.get\(|environ\[|getenv\()\s*['\"](\w+)['\"]", text)
        if read:
            return read[1], f"{file}:{text.count(chr(10), 0, read.start()) + 1}"
    return "", ""


def stand_in(name: str, kind: str = "str", example: str | None = None) -> str:
    """A value for a variable that has to be there: of an example file, where that is no secret, else by its type."""
    if example and "://" not in example and not _is_secret(name, example):
        return example
    options = re.findall(r"(?<=\bLiteral\[)['\"]([^'\"]+)|(?<=, )['\"]([^'\"]+)", kind if "Literal[" in kind else "")
    if options:
        texts = [first or other for first, other in options]
        return next((text for text in texts if text.startswith("postgres")), texts[0])
    plain = re.sub(r"^(?:Optional\[|Annotated\[)", "", kind).lower()
    by_kind = next((value for kinds, value in _BY_KIND.items() if plain.startswith(kinds)), None)
    if by_kind or (plain == "str" and _NUMBERS.search(name)):
        return by_kind or "1"
    if "email" in plain or name.endswith(("EMAIL", "MAIL_FROM")):
        return "somebody@example.org"
    if "redis" in plain or re.search(r"REDIS(?:_(?:\w+_)?(?:URL|URI|DSN))?$", name):
        return "redis://127.0.0.1:6379/0"
    if "url" in plain or "dsn" in plain or name.endswith(("_URL", "_URI", "_ENDPOINT", "_ORIGIN")):
        return "http://127.0.0.1:9"
    return "aW5jaWRlbnQta2l0LXN0YW5kLWluLTMyLWJ5dGVzISE=" if says_secret(name) else "stand-in"  # as Fernet has keys


def stand_ins(project: Project, variables: list[Variable], without: frozenset[str]) -> dict[str, tuple[str, str]]:
    """What is read without a default, each with a value and why; ``without``: what the log calls missing."""
    examples = examples_of(project)
    values_of = {}
    for variable in variables:
        if variable.required and variable.rank == 0 and variable.name not in without | _OF_THE_KIT:
            example, at = examples.get(variable.name, (variable.default, "another place's default"))
            text = stand_in(variable.name, variable.kind, example)
            text = "{database_url}" if _OF_TESTS.search(variable.name) and _URL_NAME.search(variable.name) else text
            taken = f", as in {at}" if text == example else "; its value is a stand-in"
            values_of[variable.name] = (text, f"read at {variable.at} without a default{taken}")
    return values_of


def deployed(
    env: dict[str, tuple[str, str]], variables: list[Variable], without: frozenset[str]
) -> dict[str, tuple[str, str]]:
    """What the deployment sets of that which the sources or their frameworks read, secrets and URLs of databases left out."""
    asked = {name: (without_user(text), at) for name, text, at in _asked(env, variables, without)}
    return {name: (text, f"set in {at}") for name, (text, at) in asked.items() if not _is_secret(name, text)}


def left_out(env: dict[str, tuple[str, str]], variables: list[Variable], without: frozenset[str]) -> dict[str, str]:
    """Name and place of what the deployment sets to a secret, and is read."""
    asked = _asked(env, variables, without)
    return {name: at for name, text, at in asked if _is_secret(name, without_user(text))}


def without_user(value: str) -> str:
    """A URL without who logs in; any other value as it is."""
    return re.sub(r"(?<=//)[^\s/]*@", "", value) if "://" in value else value


def _asked(env: dict[str, tuple[str, str]], variables: list[Variable], without: frozenset[str]):
    known = {variable.name for variable in variables if variable.rank == 0}
    of_frameworks = ("FLASK_", "QUART_", "DJANGO_", "STREAMLIT_", "CELERY_", "LITESTAR_", "SANIC_")
    for name, (text, at) in env.items():
        is_asked = name in known or name.startswith(of_frameworks)
        if is_asked and text and name not in without | _OF_THE_KIT and not _URL_NAME.search(name):
            yield name, text, at


def _is_secret(name: str, text: str) -> bool:
    return bool(says_secret(name) or shows_secret(f"{name}={text}") or kinds_in(text))


def variable_of_folder(file: str) -> str | None:
    """The variable that names the folder where a library keeps such a file, whatever folder it took without one."""
    of_workers = re.search(r"/(?:counter|gauge|histogram|summary)\w*_\d+\.db$", file)  # of Prometheus' client
    return "PROMETHEUS_MULTIPROC_DIR" if of_workers else None


@lru_cache(maxsize=1)
def examples_of(project: Project) -> dict[str, tuple[str, str]]:
    """What files of examples set: name to value and file; the deepest counts."""
    usual = (".env.example", ".env.sample", ".env.template", "env.example", ".env.dist", ".env.test", ".env")
    pairs = [(file, pair) for file in project.named(*usual) for pair in project.dotenv(file).items()]
    return {name: (value, file) for file, (name, (value, _)) in pairs if value}
