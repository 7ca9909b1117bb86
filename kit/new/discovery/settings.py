"""The environment variables that an application's sources read, and which of them names its database."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...base.redact import shows_secret
from ...base.scan import kinds_in
from .project import Project, called, imports_of, join, nodes_of
from .renamed import handed_environment, renamed_environment
from .uses import used_as_url

URL = re.compile(
    r"(?:.*_)?(?:DATABASE|DB|SQLALCHEMY|SQLA|POSTGRES(?:QL)?|PG|SQL|MYSQL|MARIADB|SQLITE|ALEMBIC|STORAGE)\w*?_?(?:URL|URI|DSN|CONNECTION_STRING|CONN_STR|CONN)(?:_\w+)?"
    r"|DATABASE|DB|DSN|(?:.*_)?DB_?CONN(?:ECTION)?|.*SQL_ALCHEMY_CONN"
)
_PARTS = re.compile(
    r"(?:.*_)?(?:DATABASE|DB|POSTGRES(?:QL)?|PG|SQL|MYSQL)_?(?:HOST|HOSTNAME|SERVER|PORT|USER(?:NAME)?|PASS(?:WORD)?|NAME|DB|DATABASE)"
)
_TEST = re.compile(r"(^|_)TEST(ING|S)?(_|$)")
# Names that say a database's URL where nothing else does, and none of those that are known for another thing.
_BY_NAME = re.compile(
    r"(?!.*(?:SENTRY|RAVEN|GLITCHTIP|BUGSNAG|APM|REDIS|CACHE|BROKER|AMQP|RABBIT|CELERY|MONGO|ELASTIC|KAFKA|SMTP|MAIL))"
    r"(?:.*_)?(?:DSN|DATABASE_URL|DB_URL|SQLALCHEMY_DATABASE_URI)"
)
_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|SALT|(^|_)(API_?)?KEY(S|_|$)", re.I)
_LITERAL = re.compile(r"(?:postgres(?:ql)?|mysql|mariadb|sqlite|oracle|mssql|cockroachdb)(?:\+\w+)?://\S*")
_NOT_SECRET = "only-for-this-run-and-no-secret-0123456789"


@dataclass(frozen=True)
class Variable:
    """A variable that is read.

    :ivar required: there is no default
    :ivar kind: its type as the source has it
    :ivar used: where it is handed over as a database's URL, if the sources show that: ``what at file:line``
    :ivar elsewhere: a library of another kind takes it
    """

    name: str
    at: str
    required: bool
    kind: str = ""
    used: str = ""
    elsewhere: bool = False

    @property
    def is_url(self) -> bool:
        named = URL.fullmatch(self.name) or self.kind in ("PostgresDsn", "MySQLDsn", "MariaDBDsn")
        return bool(named or self.used)

    @property
    def told(self) -> str:
        """Where it is read, and as what where its name does not say that."""
        if not self.is_url:
            return f"by its name alone; read at {self.at}"
        plain = URL.fullmatch(self.name) or not self.used
        what, _, at = self.used.partition(" at ")
        return f"read at {self.at}" + ("" if plain else f", as {what}" + (f" at {at}" if at != self.at else ""))


def variables_of(project: Project, files: Iterable[str]) -> list[Variable]:
    """Every variable that some sources read by a literal name, each once: the reading without a default counts."""
    found: dict[str, Variable] = {}
    files = list(files)
    readings: dict[ast.AST, str] = {}
    handed = handed_environment(project, files)
    given = {name for file in files for name in re.findall(r"environ\[['\"](\w+)['\"]\]\s*=[^=]", project.text(file))}
    for file in files:
        tree = project.tree(file)
        asks = r"environ|getenv|BaseSettings|[Cc]onfig|Env\b|env\b" + "".join(
            rf"|\b{name}\b" for name in sorted(handed)
        )
        if tree is None or not re.search(asks, project.text(file)):
            continue
        imports = imports_of(tree)
        may = re.search("environ|getenv" + "".join(rf"|\b{name}\b" for name in sorted(handed)), project.text(file))
        renamed = renamed_environment(tree, imports, handed) if may else {}
        for node, one in _of_tree(file, tree, imports, renamed):
            readings[node] = one.name
            one = replace(one, required=False) if one.name in given else one  # the application sets it itself
            known = found.get(one.name)
            if known is None or (one.required and not known.required):
                found[one.name] = one
    used, others = used_as_url(project, files, readings)
    variables = [replace(one, used=used.get(one.name, ""), elsewhere=one.name in others) for one in found.values()]
    return sorted(variables, key=lambda one: one.name)


def _of_tree(
    file: str, tree: ast.Module, imports: dict[str, str], renamed: Mapping[ast.AST, str]
) -> Iterator[tuple[ast.AST, Variable]]:
    """Each reading of a variable, as a node of the tree, and the variable."""
    guarded = _guarded(tree, renamed)
    readers = _readers(tree, imports)
    for node in nodes_of(tree):
        at = f"{file}:{getattr(node, 'lineno', 1)}"
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and (renamed.get(node.value) or _name(node.value, imports)) == "os.environ"
        ):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                yield node, Variable(node.slice.value, at, node not in guarded)
        elif isinstance(node, ast.Call):
            callee = renamed.get(node.func) or called(node, imports)
            if isinstance(node.func, ast.Attribute) and node.func.value in renamed:
                callee = f"{renamed[node.func.value]}.{node.func.attr}"
            literal = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if not isinstance(literal, str) or not re.fullmatch(r"[A-Za-z_]\w*", literal):
                continue
            if callee in ("os.environ.get", "os.getenv", "os.environ.setdefault", "os.environ.pop"):
                yield node, Variable(literal, at, False)
            elif callee.partition(".")[0] in readers or callee in ("decouple.config", "decouple.config.get"):
                default = (
                    len(node.args) > 1
                    and callee.partition(".")[0] not in readers
                    or any(k.arg == "default" for k in node.keywords)
                )
                default = default or (readers.get(callee.partition(".")[0]) == "environs" and len(node.args) > 1)
                kind = callee.rpartition(".")[2] if "." in callee else next((ast.unparse(k.value) for k in node.keywords if k.arg == "cast"), "")  # fmt: skip
                yield node, Variable(literal, at, not default, kind)
        elif isinstance(node, ast.ClassDef) and any("BaseSettings" in ast.unparse(base) for base in node.bases):
            yield from _of_settings(file, node)


def _readers(tree: ast.Module, imports: dict[str, str]) -> dict[str, str]:
    """Names of objects that read variables when they are called: starlette's Config, environs' Env."""
    found = {}
    for node in nodes_of(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            callee = called(node.value, imports)
            if callee in ("starlette.config.Config", "decouple.Config", "decouple.AutoConfig"):
                found[node.targets[0].id] = "config"
            elif callee in ("environs.Env", "environ.Env"):
                found[node.targets[0].id] = "environs"
    return found


def _name(node: ast.expr, imports: dict[str, str]) -> str:
    text = ast.unparse(node)
    first, _, rest = text.partition(".")
    known = imports.get(first, first)
    return f"{known}.{rest}" if rest else known


def _guarded(tree: ast.Module, renamed: Mapping[ast.AST, str]) -> set[ast.AST]:
    """Readings that stand in a ``try``, or behind a question whether the variable is there."""
    found: set[ast.AST] = set()
    for node in nodes_of(tree):
        if isinstance(node, ast.Try):
            found |= {inner for one in node.body for inner in ast.walk(one)}
        elif isinstance(node, ast.If | ast.IfExp) and (
            "environ" in ast.unparse(node.test) or (renamed and any(one in renamed for one in ast.walk(node.test)))
        ):
            body = node.body if isinstance(node.body, list) else [node.body]
            found |= {inner for one in body for inner in ast.walk(one)}
    return found


def _of_settings(file: str, node: ast.ClassDef) -> Iterator[tuple[ast.AST, Variable]]:
    """The fields of a pydantic settings class, by the names that they have in the environment."""
    prefix, prefixed = "", re.search(r"env_prefix\s*=\s*['\"](\w*)['\"]", ast.unparse(node))
    if prefixed:
        prefix = prefixed[1]
    for one in node.body:
        if (
            not isinstance(one, ast.AnnAssign)
            or not isinstance(one.target, ast.Name)
            or one.target.id == "model_config"
        ):
            continue
        kind = ast.unparse(one.annotation)
        if "ClassVar" in kind:
            continue
        names, required = [prefix + one.target.id], one.value is None
        if isinstance(one.value, ast.Call) and ast.unparse(one.value.func).rpartition(".")[2] == "Field":
            keywords = {k.arg: k.value for k in one.value.keywords}
            first = one.value.args[0] if one.value.args else keywords.get("default")
            required = "default_factory" not in keywords and (
                first is None or ast.unparse(first) in ("...", "Ellipsis")
            )
            for key in ("env", "alias", "validation_alias"):
                if key in keywords:
                    texts = [
                        n.value
                        for n in ast.walk(keywords[key])
                        if isinstance(n, ast.Constant) and isinstance(n.value, str)
                    ]
                    names = texts or names
        yield one, Variable(names[0].upper(), f"{file}:{one.lineno}", required, kind)


def examples_of(project: Project, service: str) -> dict[str, tuple[str, str]]:
    """Variables of example files that are meant to be copied, ``.env.example`` and its like: name to value and place."""
    found: dict[str, tuple[str, str]] = {}
    for folder in dict.fromkeys([service, "."]):
        for last in (
            ".env.example",
            ".env.sample",
            ".env.template",
            ".env.dist",
            "env.example",
            ".env.test",
            ".env.ci",
            ".flaskenv",
        ):
            file = join(folder, last)
            for number, line in enumerate(project.text(file).splitlines(), 1):
                entry = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", line)
                if entry:
                    value = re.sub(r"\s+#.*$", "", entry[2]).strip("\"'")
                    found.setdefault(entry[1], (value, f"{file}:{number}"))
    return found


def without_user(value: str) -> str:
    """A URL without who logs in; any other value as it is."""
    return re.sub(r"//[^@/]*@", "//", value) if "://" in value else value


def stand_in(variable: Variable, example: str | None) -> str:
    """A value for a variable that has no default: the example's where that is no secret, else one of its kind."""
    name, kind = variable.name, variable.kind
    if example and not _SECRET.search(name) and not re.search(r"[<>$]|changeme|your[-_ ]", example, re.I):
        plain = without_user(example)
        if not shows_secret(plain) and not kinds_in(plain):
            return plain
    if _SECRET.search(name) or "Secret" in kind:
        return _NOT_SECRET
    if re.search(r"\bint\b|timedelta", kind) or re.search(
        r"(^|_)(PORT|SECONDS|MINUTES|HOURS|DAYS|TIMEOUT|TTL|LIMIT|SIZE|COUNT|WORKERS)$", name
    ):
        return "1" if not name.endswith("PORT") else "9"
    if re.search(r"\bfloat\b", kind):
        return "1.0"
    if re.search(r"\bbool\b", kind) or re.search(r"^(DEBUG|TESTING|ENABLE|USE|IS)_?|_ENABLED$", name):
        return "false"
    literal = re.search(r"Literal\[['\"]([^'\"]+)", kind)
    if literal:
        return literal[1]
    if re.match(r"(list|List|set|Set|tuple|Tuple|Sequence)\b", kind):
        return "[]"
    if re.match(r"(dict|Dict|Mapping)\b", kind):
        return "{}"
    if "REDIS" in name:
        return "redis://127.0.0.1:9/0" if re.search("URL|URI|DSN|REDIS$", name) else "127.0.0.1"
    if re.search(r"BROKER|AMQP|RABBIT", name) and re.search("URL|URI|DSN", name):
        return "memory://"
    if "Url" in kind or re.search(r"(^|_)(URL|URI|ENDPOINT|ORIGINS?)$", name):
        return "http://127.0.0.1:9"
    if "Email" in kind or re.search(r"EMAIL|MAIL_FROM|SENDER", name):
        return "nobody@example.com"
    if name.endswith("HOST"):
        return "127.0.0.1"
    return "test"


@dataclass(frozen=True)
class Database:
    """How an application is told its database.

    :ivar variables: names that hold its URL, the likeliest first
    :ivar parts: names that hold parts of it, where there is no URL
    :ivar kind: sqlite or postgresql, with the reason in ``because``
    :ivar asynchronous: the place where an asynchronous engine is made from it, None where there is none
    """

    variables: tuple[Variable, ...]
    parts: tuple[Variable, ...]
    literals: tuple[tuple[str, str], ...]
    kind: str
    because: str
    asynchronous: str | None


_ONLY_POSTGRESQL = re.compile(
    r"\b(JSONB|ARRAY|TSVECTOR|HSTORE|CITEXT|INET|CIDR|INT4RANGE|DATERANGE|TSTZRANGE|ExcludeConstraint|Vector)\(|\b(JSONB|TSVECTOR|HSTORE|CITEXT)\b"
    r"|gen_random_uuid|uuid_generate_v4|CREATE EXTENSION|CREATE TYPE|USING gin|postgresql_using|PostgresDsn|ON CONFLICT ON CONSTRAINT|pgvector"
)


def database_of(project: Project, files: Iterable[str], service: str, variables: list[Variable]) -> Database:
    """What the sources say of the database."""
    files = list(files)
    urls = [one for one in variables if one.is_url and not _TEST.search(one.name)]
    urls.sort(key=lambda one: (not one.used, _rank(one.name), not one.required, one.name))
    if not urls and not any(_PARTS.fullmatch(one.name) for one in variables):
        urls = [
            one
            for one in variables
            if _BY_NAME.fullmatch(one.name) and not one.elsewhere and not _TEST.search(one.name)
        ]
    parts = tuple(one for one in variables if _PARTS.fullmatch(one.name) and not one.is_url)
    literals, demanding, engine = [], None, None
    revisions = [one for one in project.below(service) if "/versions/" in one and one.endswith(".py")]
    for file in [*files, *revisions]:
        text = project.text(file)
        if not re.search("sqlalchemy|sqlmodel|alembic|DATABASE|database", text):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            plain = line.strip()
            if plain.startswith("#"):
                continue
            if file not in revisions and (
                found := re.search(r"f['\"]((?:postgres(?:ql)?|mysql|sqlite)(?:\+\w+)?://)", line)
            ):
                literals.append((found[1] + "/…" * found[1].startswith("sqlite"), f"{file}:{number}"))
            elif file not in revisions and (found := re.search(r"['\"](" + _LITERAL.pattern + r")['\"]", line)):
                literals.append((found[1], f"{file}:{number}"))
            its_own = _ONLY_POSTGRESQL.search(line) and not plain.startswith(("from ", "import "))
            if demanding is None and its_own and re.search("postgresql|pgvector|Postgres", text):
                demanding = f"{plain[:60]} at {file}:{number} is PostgreSQL's own"
            if engine is None and re.search(r"\b(create_async_engine|async_engine_from_config)\(", line):
                engine = f"{file}:{number}"
    if demanding:
        return Database(tuple(urls), parts, tuple(literals), "postgresql", demanding, engine)
    used = next((at for text, at in literals if text.startswith("postgres")), None) or _mentions(project, service)
    because = f"production runs on PostgreSQL ({used}), and nothing that was read needs it here" if used else ""
    return Database(tuple(urls), parts, tuple(literals), "sqlite", because, engine)


def _rank(name: str) -> int:
    order = (
        "DATABASE_URL",
        "SQLALCHEMY_DATABASE_URI",
        "SQLALCHEMY_DATABASE_URL",
        "DATABASE_URI",
        "DB_URL",
        "DB_URI",
        "DATABASE_DSN",
    )
    near = [place for place, one in enumerate(order) if name.endswith(one)]
    return min(near) if near else len(order) + (URL.fullmatch(name) is None)


def _mentions(project: Project, service: str) -> str | None:
    for folder in dict.fromkeys([service, "."]):
        for last in ("requirements.txt", "pyproject.toml", "Pipfile", "setup.cfg", "setup.py", "docker-compose.yml", "compose.yaml", "docker-compose.yaml", "compose.yml", ".env.example"):  # fmt: skip
            file = join(folder, last)
            found = re.search(
                r"psycopg\w*|asyncpg|image:\s*\S*postgres\S*|postgres(?:ql)?(?:\+\w+)?://", project.text(file)
            )
            if found:
                return project.at(file, found[0])
    return None
