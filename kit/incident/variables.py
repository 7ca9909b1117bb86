"""The environment variables that an application's sources read, and the deployment files that name them."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .source import sources_below

_LARGEST = 1 << 18  # bytes of a deployment file
_READS = re.compile(r"environ|getenv|BaseSettings|decouple|environs|starlette|\bEnv\(|\bConfig\(")
_ENVIRON = {"os.environ.get", "os.getenv", "environ.get", "getenv", "os.environ.pop", "environ.pop"}
_DEPLOYMENT = re.compile(
    r"^(Procfile(\..+)?|.*Dockerfile.*|Containerfile|Makefile|(docker-)?compose.*\.ya?ml|\.env.*|.*\.env|\.flaskenv|.*\.service"
    r"|.*\.sh|entrypoint|app\.json|fly\.toml|.*\.(ya?ml|tf|hcl|nomad)|serverless\.\w+|setenv\.\w+)$"
)
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\b[A-Z]{4,}\b")


@dataclass(frozen=True)
class Reading:
    """A place in the sources that reads a variable.

    :ivar required: it has no default
    :ivar kind: the type that the source gives it, or ""
    :ivar class_, field: of a settings class
    :ivar target: the name that the value is bound to, or None
    """

    name: str
    file: str
    line: int
    required: bool
    kind: str = ""
    class_: str | None = None
    field: str | None = None
    target: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def readings_of(root: Path) -> tuple[Reading, ...]:
    """Every reading of a variable by a literal name in the sources below ``root``, by file and line."""
    readings: list[Reading] = []
    for path in sources_below(root):
        with suppress(OSError):
            readings += readings_in(path.relative_to(root).as_posix(), path.read_text("utf-8", "replace"))
    return tuple(sorted(readings, key=lambda reading: (reading.file, reading.line, reading.name)))


def readings_in(file: str, text: str) -> list[Reading]:
    """Every reading of a variable in one source; none where it cannot be parsed."""
    try:
        return list(_readings(file, ast.parse(text))) if _READS.search(text) else []
    except (SyntaxError, ValueError, RecursionError):
        return []


def deployments_of(root: Path) -> dict[str, dict[str, int]]:
    """The deployment files below ``root``: each with the names of variables in it, and the line of the first mention."""
    files = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        skipped = "node_modules/" in name or "site-packages/" in name or name.startswith(".git/")
        if skipped or not _DEPLOYMENT.match(path.name):
            continue
        try:
            if not path.is_file() or path.stat().st_size > _LARGEST:
                continue
            lines = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        names: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            for match in _NAME.finditer(line) if not line.lstrip().startswith("#") else ():
                names.setdefault(match[0], number)
        files[name] = names
    return files


def _readings(file: str, tree: ast.Module) -> Iterator[Reading]:
    targets = {id(value): name for name, value in _bound(tree)}
    readers = _readers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if ast.unparse(node.value) in ("os.environ", "environ") and (name := _literal(node.slice)):
                yield Reading(name, file, node.lineno, True, target=targets.get(id(node)))
        elif isinstance(node, ast.Call) and node.args and (name := _literal(node.args[0])):
            callee = ast.unparse(node.func)
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            default = len(node.args) > 1 or "default" in keywords
            if callee in _ENVIRON:
                yield Reading(name, file, node.lineno, False, target=targets.get(id(node)))
            elif callee.partition(".")[0] in readers:
                kind = ast.unparse(keywords["cast"]) if "cast" in keywords else callee.partition(".")[2]
                yield Reading(name, file, node.lineno, not default, kind, target=targets.get(id(node)))
        elif isinstance(node, ast.ClassDef) and _is_settings(node):
            yield from _fields(file, node)


def _bound(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names with the values that they are bound to, also below ``or`` and in the arguments of a call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            for value in ast.walk(node.value):
                if isinstance(value, ast.Call | ast.Subscript):
                    yield ast.unparse(target), value


def _readers(tree: ast.Module) -> set[str]:
    """Names that read a variable when they are called: decouple's ``config``, starlette's ``Config``, environs' ``Env``."""
    readers = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "decouple":
            readers |= {name.asname or name.name for name in node.names if name.name == "config"}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = ast.unparse(node.value.func).rpartition(".")[2]
            if isinstance(node.targets[0], ast.Name) and made in ("Config", "AutoConfig", "Env", "FileAwareEnv"):
                readers.add(node.targets[0].id)
    return readers


def _is_settings(node: ast.ClassDef) -> bool:
    """Does the class look like a settings class, by its base or its name?"""
    return any(ast.unparse(base).rpartition(".")[2].endswith("Settings") for base in node.bases)


def _fields(file: str, node: ast.ClassDef) -> Iterator[Reading]:
    text = ast.unparse(node)
    prefixed = re.search(r"env_prefix['\"]?\s*[=:]\s*['\"](\w*)['\"]", text)
    prefix = prefixed[1] if prefixed else ""
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        field, kind = statement.target.id, ast.unparse(statement.annotation)
        if field == "model_config" or "ClassVar" in kind:
            continue
        names, required = [prefix + field], statement.value is None
        if isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func).rpartition(".")[2] == "Field":
            keywords = {key.arg: key.value for key in statement.value.keywords}
            first = statement.value.args[0] if statement.value.args else keywords.get("default")
            required = "default_factory" not in keywords and (
                first is None or ast.unparse(first) in ("...", "Ellipsis")
            )
            for key in ("env", "alias", "validation_alias"):
                texts = [text for part in ast.walk(keywords.get(key, ast.Pass())) if (text := _literal(part))]
                names = texts or names
        elif isinstance(statement.value, ast.Constant) and statement.value.value is ...:
            required = True
        yield Reading(names[0].upper(), file, statement.lineno, required, kind, node.name, field)


def _literal(node: ast.AST) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value) else None
