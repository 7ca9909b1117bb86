"""The environment variables that an application's sources read, and the deployment files that name them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .source import parsed
from .source_tables import constants_of

_READS = re.compile(r"environ|getenv|BaseSettings|decouple|environs|starlette|\w*_env\w*\(|required=True|\bConfig\(")
_ENVIRON = {"os.environ.get", "os.getenv", "environ.get", "getenv", "os.environ.pop", "environ.pop"}
DEPLOYMENT = re.compile(
    r"^(Procfile(\..+)?|.*Dockerfile.*|Containerfile|Makefile|(docker-)?compose.*\.ya?ml|\.env.*|.*\.env|\.flaskenv|.*\.service"
    r"|.*\.sh|entrypoint|app\.json|fly\.toml|.*\.(ya?ml|tf|hcl|nomad)|serverless\.\w+|setenv\.\w+)$"
)
_OWN_NAME = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+")
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\b[A-Z]{4,}\b")


@dataclass(frozen=True)
class Reading:
    """A place in the sources that reads a variable.

    :ivar required: it has no default
    :ivar kind: the type that the source gives it, or ""
    :ivar class_, field: of a settings class
    :ivar target: the name that the value is bound to, or None
    :ivar default: the text that it takes without the variable, or None
    """

    name: str
    file: str
    line: int
    required: bool
    kind: str = ""
    class_: str | None = None
    field: str | None = None
    target: str | None = None
    default: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def readings_in(file: str, text: str) -> list[Reading]:
    """Every reading of a variable in one source; none where it cannot be parsed."""
    return list(_readings(file, parsed(text))) if _READS.search(text) else []


def names_in(text: str) -> dict[str, int]:
    """The names of variables in a deployment file, each with the line of its first mention."""
    names: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for match in _NAME.finditer(line) if not line.lstrip().startswith("#") else ():
            names.setdefault(match[0], number)
    return names


def spellings_of(name: str) -> set[str]:
    """How a variable may be named where it is read, in small letters: a prefix may be put before what a source says.

    Settings classes do that: ``database_dsn`` is there, and ``TALLY_DATABASE_DSN`` is read.
    """
    parts = name.lower().split("_")
    return {"_".join(parts[start:]) for start in range(max(1, len(parts) - 1))}


def _readings(file: str, tree: ast.Module) -> Iterator[Reading]:
    nodes = list(ast.walk(tree))
    targets = {id(value): name for name, value in _bound(nodes)}
    readers, asked, own, constants = _readers(nodes), _asked_for(nodes), _own_readers(nodes), constants_of(tree)
    chosen = [node for node in nodes if isinstance(node, ast.IfExp) and isinstance(node.orelse, ast.Constant)]
    otherwise = {ast.unparse(node.test): node.orelse.value for node in chosen}  # as in X if X else "…"
    for node in nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if _of_os(node.value, tree) and (name := _literal(node.slice)):
                yield Reading(name, file, node.lineno, name not in asked, target=targets.get(id(node)))
        elif isinstance(node, ast.Call) and (name := _of_a_reader_of_its_own(node, own)):
            required = any(keyword.arg == "required" for keyword in node.keywords)
            yield Reading(name, file, node.lineno, required, target=targets.get(id(node)))
        elif isinstance(node, ast.Call) and node.args and (name := _literal(node.args[0])):
            callee = ast.unparse(node.func)
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            default = node.args[1] if len(node.args) > 1 else keywords.get("default")
            text = constants.get(default.id) if isinstance(default, ast.Name) else getattr(default, "value", None)
            text = text if isinstance(text, str) else None
            target = targets.get(id(node))
            if callee in _ENVIRON:
                yield Reading(name, file, node.lineno, False, target=target, default=text or otherwise.get(target))
            elif callee.partition(".")[0] in readers and callee.count(".") < 2:
                kind = ast.unparse(keywords["cast"]) if "cast" in keywords else callee.partition(".")[2]
                yield Reading(name, file, node.lineno, default is None, kind, target=target, default=text)
        elif isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Settings") for base in node.bases):
            classes = {other.name: other for other in tree.body if isinstance(other, ast.ClassDef)}
            yield from _fields(file, node, classes)


def _own_readers(nodes: list[ast.AST]) -> dict[str, int]:
    """Functions of a source that read the variable that an argument names, each with that argument's place."""
    functions = [(node, ast.unparse(node)) for node in nodes if isinstance(node, ast.FunctionDef)]
    reads = r"(?:environ(?:\.get)?|getenv)[\[(]{}\b"
    places = [(node.name, at, it.arg, text) for node, text in functions for at, it in enumerate(node.args.args)]
    return {name: at for name, at, argument, text in places if re.search(reads.format(argument), text)}


def _of_a_reader_of_its_own(node: ast.Call, own: dict[str, int]) -> str | None:
    """The variable that a function of the application is asked for: it reads it, is named so, or the call says that it is required."""
    place = own.get(ast.unparse(node.func), len(node.args))
    if place < len(node.args) and (read := _literal(node.args[place])):
        return read
    texts = [text for argument in node.args[:2] if (text := _literal(argument)) and _OWN_NAME.fullmatch(text)]
    if not texts:
        return None
    required = any(key.arg == "required" and getattr(key.value, "value", None) is True for key in node.keywords)
    callee = ast.unparse(node.func)
    named = re.search(r"(?:^|_)env(?:$|_)", callee.rpartition(".")[2], re.I) and "environ" not in callee
    return texts[0] if required or named else None


def _of_os(node: ast.expr, tree: ast.Module) -> bool:
    """Is it the process's environment? A request's ``environ`` is another mapping."""
    name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
    if name != "environ":
        return name == "os.environ"
    asking = (other for other in tree.body if isinstance(other, ast.ImportFrom) and other.module == "os")
    return any(alias.name == name for other in asking for alias in other.names)


def _asked_for(nodes: list[ast.AST]) -> set[str]:
    """Variables that a source asks for before it reads them: it can do without."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            if "environ" in ast.unparse(node.comparators[0]):
                names.add(_literal(node.left))
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in _ENVIRON:
            names.add(_literal(node.args[0]))
    return names - {None}


def _bound(nodes: list[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """Names with the values that they are bound to, also below ``or`` and in the arguments of a call."""
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            values = [value for value in ast.walk(node.value) if isinstance(value, ast.Call | ast.Subscript)]
            name = ast.unparse(target) if values else ""
            yield from ((name, value) for value in values)


def _readers(nodes: list[ast.AST]) -> set[str]:
    """Names that read a variable when they are called: decouple's ``config``, starlette's ``Config``, environs' ``Env``."""
    readers = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "decouple":
            readers |= {name.asname or name.name for name in node.names if name.name == "config"}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = ast.unparse(node.value.func).rpartition(".")[2]
            if isinstance(node.targets[0], ast.Name) and made in ("Config", "AutoConfig", "Env", "FileAwareEnv"):
                readers.add(node.targets[0].id)
    return readers


def _fields(
    file: str, node: ast.ClassDef, classes: dict[str, ast.ClassDef], prefix: str = "", delimiter: str = ""
) -> Iterator[Reading]:
    """The variables of a settings class's fields; of a field that is a class itself, those of its fields, where a delimiter joins them."""
    options = dict(re.findall(r"env_(prefix|nested_delimiter)['\"]?\s*[=:]\s*['\"](\w*)['\"]", ast.unparse(node)))
    prefix, delimiter = prefix + options.get("prefix", ""), delimiter or options.get("nested_delimiter", "")
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        field, kind = statement.target.id, ast.unparse(statement.annotation)
        if field == "model_config" or "ClassVar" in kind:
            continue
        inner = classes.get(kind.removesuffix(" | None"))
        head = ast.unparse(inner).partition("\n")[0] if inner is not None and inner is not node else ""
        if re.search(r"Model\b|Settings\b", head):
            if delimiter:
                yield from _fields(file, inner, classes, f"{prefix}{field}{delimiter}", delimiter)
            continue
        names, required = [prefix + field], statement.value is None
        if isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func).rpartition(".")[2] == "Field":
            keywords = {key.arg: key.value for key in statement.value.keywords}
            first = statement.value.args[0] if statement.value.args else keywords.get("default")
            unset = first is None or ast.unparse(first) in ("...", "Ellipsis")
            required = unset and "default_factory" not in keywords
            for key in ("env", "alias", "validation_alias"):
                texts = [text for part in ast.walk(keywords.get(key, ast.Pass())) if (text := _literal(part))]
                names = texts or names
        elif isinstance(statement.value, ast.Constant) and statement.value.value is ...:
            required = True
        yield Reading(names[0].upper(), file, statement.lineno, required, kind, node.name, field)


def _literal(node: ast.AST) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value) else None
