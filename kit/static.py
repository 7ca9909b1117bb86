"""What an application's sources say without running: tables, imports. Never imports or executes anything."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SKIPPED = {"node_modules", "__pycache__", "site-packages", "tests", "test"}


@dataclass(frozen=True)
class Named:
    """A table that a source names in a literal."""

    table: str
    file: str  # relative to the application's root
    line: int
    class_: str | None


def named_tables(root: Path) -> tuple[list[Named], list[str]]:
    """Every table that a class's ``__tablename__`` or a ``Table("name", …)`` names in the sources below ``root``.

    :returns: the tables, by file and line; and the files that could not be read, each with the reason
    """
    found, unread = [], []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if any(part in _SKIPPED or part.startswith(".") for part in name.parts[:-1]) or _is_revision(path):
            continue
        try:
            tree = ast.parse(path.read_bytes(), str(name))
        except (SyntaxError, ValueError, RecursionError, OSError) as error:
            unread.append(f"{name.as_posix()}: {error}")
            continue
        found += [Named(table, name.as_posix(), line, class_) for table, line, class_ in _tables_of(tree)]
    return found, unread


def _is_revision(path: Path) -> bool:
    """Is it one of Alembic's revisions? What they name is what was, not what the application has."""
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


def imported_names(source: str, module: str, *, package: bool = False) -> list[tuple[str, int]]:
    """``(dotted name, line)`` of everything that a source's import statements ask for, relative ones resolved.

    ``from a import b`` asks for ``a`` and, it may be, for ``a.b``: both are given.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            up = node.level - (1 if package else 0)
            base = ".".join(parts[: len(parts) - up] if node.level else []) if up >= 0 else module
            name = ".".join(part for part in (base, node.module) if part)
            found.append((name, node.lineno))
            found += [(f"{name}.{alias.name}", node.lineno) for alias in node.names if alias.name != "*"]
    return found


def module_name(file: str, folders: list[str]) -> str:
    """The dotted name by which a file is imported, given the folders on the path (relative to the root, '.' for it)."""
    best = ""
    for folder in folders:
        prefix = "" if folder in (".", "") else folder.strip("/") + "/"
        if file.startswith(prefix) and len(prefix) >= len(best):
            best = prefix
    dotted = file.removeprefix(best).removesuffix(".py").replace("/", ".")
    return dotted.removesuffix(".__init__")
