"""Tables and imports, read from an application's sources. Nothing is imported or executed."""

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SKIPPED = {"node_modules", "__pycache__", "site-packages", "tests", "test"}
_TEXTS = {".py", ".ini", ".cfg", ".toml", ".yaml", ".yml", ".json", ".env"}  # where an application names what it reads
_LARGEST = 1 << 20  # bytes of one of them


@dataclass(frozen=True)
class Named:
    """A table whose name stands in a source as a literal."""

    table: str
    file: str  # relative to the application's root
    line: int
    class_: str | None


@dataclass(frozen=True)
class Statement:
    """An import statement of one module of the application that asks for another."""

    importer: str
    imported: str
    file: str
    line: int
    where: str  # module level, a function's name, or "TYPE_CHECKING"


def import_statements(root: Path, folders: list[str]) -> tuple[Statement, ...]:
    """Every import statement for another module of the application, sorted by file and line.

    By ``ast`` and not by grimp: it needs no package without ``__init__.py`` to be named, executes nothing, goes
    on after a file that cannot be parsed, and tells an import in a function from one at module level.
    """
    files = {name: path for path in sources_below(root) if (name := path.relative_to(root).as_posix())}
    modules = {module_name(file, folders): file for file in files}
    statements = []
    for file, path in files.items():
        importer = module_name(file, folders)
        try:
            source = path.read_text("utf-8", "replace")
            names = imported_names(source, importer, package=path.name == "__init__.py")
        except OSError:
            continue
        asked: dict[tuple[int, str], str] = {}
        for name, line, where, below in names:
            if name in modules and name != importer and not (below and any(b in modules for b in below)):
                asked.setdefault((line, name), where)
            for submodule in below:
                if submodule in modules and submodule != importer:
                    asked.setdefault((line, submodule), where)
        statements += [Statement(importer, name, file, line, where) for (line, name), where in asked.items()]
    return tuple(sorted(statements, key=lambda statement: (statement.file, statement.line, statement.imported)))


def sources_below(root: Path) -> list[Path]:
    """The application's own sources, without tests, hidden folders and Alembic's revisions."""
    paths = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts[:-1]
        if not (any(part in _SKIPPED or part.startswith(".") for part in parts) or _is_revision(path)):
            paths.append(path)
    return paths


def tasks_of(root: Path) -> tuple[Named, ...]:
    """Every Celery task that the sources declare by a decorator: ``table`` is the name that they give it, or ""."""
    found = []
    for path in sources_below(root):
        try:
            text = path.read_bytes()
            tree = ast.parse(text, path.name) if b"task" in text else None
        except (SyntaxError, ValueError, RecursionError, OSError):
            continue
        for node in ast.walk(tree) if tree is not None else ():
            for decorator in getattr(node, "decorator_list", ()):
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if getattr(called, "attr", getattr(called, "id", "")) not in ("task", "shared_task"):
                    continue
                given = [k.value for k in getattr(decorator, "keywords", ()) if k.arg == "name"]
                name = given[0].value if given and isinstance(given[0], ast.Constant) else ""
                found.append(Named(str(name), path.relative_to(root).as_posix(), node.lineno, node.name))
    return tuple(found)


def named_tables(root: Path) -> tuple[list[Named], list[str]]:
    """Every table that a class's ``__tablename__`` or a ``Table("name", …)`` names in the sources below ``root``.

    :returns: the tables, by file and line; and the files that could not be read, each with the reason
    """
    tables, unread = [], []
    for path in sources_below(root):
        name = path.relative_to(root)
        try:
            tree = ast.parse(path.read_bytes(), str(name))
        except (SyntaxError, ValueError, RecursionError, OSError) as error:
            unread.append(f"{name.as_posix()}: {error}")
            continue
        tables += [Named(table, name.as_posix(), line, class_) for table, line, class_ in _tables_of(tree)]
    return tables, unread


def variables_named(root: Path, names: Iterable[str]) -> tuple[str, ...]:
    """The environment variables of ``names`` that the files below ``root`` name, with or without their prefix.

    Settings classes do that: ``database_dsn`` is there, and ``TALLY_DATABASE_DSN`` is read.
    """
    wanted = {}
    for name in names:
        parts = name.lower().split("_")
        wanted[name] = {"_".join(parts[start:]) for start in range(max(1, len(parts) - 1))}
    present: set[str] = set()
    for path in sorted(root.rglob("*")):
        text = ""
        with suppress(OSError):
            if path.suffix in _TEXTS and path.is_file() and path.stat().st_size <= _LARGEST:
                text = path.read_text("utf-8", "replace").lower()
        present |= {name for name, spellings in wanted.items() if any(spelling in text for spelling in spellings)}
    return tuple(name for name in wanted if name in present)


def _is_revision(path: Path) -> bool:
    """Is the file one of Alembic's revisions? These name past tables, not those that the application has."""
    return path.parent.name == "versions" and (path.parent.parent / "env.py").exists()


def _tables_of(tree: ast.AST) -> Iterator[tuple[str, int, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                value = getattr(part, "value", None)
                targets = getattr(part, "targets", [getattr(part, "target", None)])
                named = any(isinstance(t, ast.Name) and t.id == "__tablename__" for t in targets)
                if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value, node.lineno, node.name
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            first = node.args[0]
            if called == "Table" and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, node.lineno, None


def imported_names(
    source: str | ast.Module, module: str, *, package: bool = False
) -> list[tuple[str, int, str, tuple[str, ...]]]:
    """``(dotted name, line, where, names below it)`` of every import statement, relative ones resolved.

    ``from a import b`` asks for ``a`` and, it may be, for the module ``a.b``: that is a name below.
    """
    try:
        tree = source if isinstance(source, ast.Module) else ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, SystemError):  # the last: a fault of Python 3.11 deep in a stack
        return []
    names: list[tuple[str, int, str, tuple[str, ...]]] = []

    def visit(node: ast.AST, where: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = where
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = f"{child.name}()"
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                inner = "TYPE_CHECKING"
            elif isinstance(child, ast.Import):
                names.extend((alias.name, child.lineno, where, ()) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                name = _absolute(child, module, package)
                below = tuple(f"{name}.{alias.name}" for alias in child.names if alias.name != "*")
                names.append((name, child.lineno, where, below))
            visit(child, inner)

    try:
        visit(tree, "module level")
    except RecursionError:  # an expression nested deeper than Python's own stack
        pass
    return names


def _absolute(node: ast.ImportFrom, module: str, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    up = node.level - (1 if package else 0)
    above = parts[: max(0, len(parts) - up)]
    return ".".join([*above, node.module] if node.module else above)


def module_name(file: str, folders: list[str]) -> str:
    """The dotted name by which a file is imported, given the folders on the path (relative to the root, '.' for it)."""
    best = ""
    for folder in folders:
        prefix = "" if folder in (".", "") else folder.strip("/") + "/"
        if file.startswith(prefix) and len(prefix) >= len(best):
            best = prefix
    dotted = file.removeprefix(best).removesuffix(".py").replace("/", ".")
    return dotted.removesuffix(".__init__")
