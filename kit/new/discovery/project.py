"""An application's folder as it is read, never run: its files, their text, their syntax trees, its own modules."""

import ast
import os
import re
import tomllib
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from weakref import WeakKeyDictionary

from ...incident.source_tables import decoded

_SKIPPED = {"node_modules", "__pycache__", "site-packages", "dist-packages", "bower_components", "__pypackages__"}
# Files that say nothing of how the application starts.
_ASIDE = {"tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "build", "dist", "samples"}
_LARGEST = 1 << 20  # bytes of a file that is read
_MOST_FILES = 50_000
_nodes: WeakKeyDictionary[ast.Module, tuple[ast.AST, ...]] = WeakKeyDictionary()
_imports: WeakKeyDictionary[ast.Module, dict[str, str]] = WeakKeyDictionary()
_DATABASE = re.compile(r"^\s*(?:from|import)\s+(?:sqlalchemy|sqlmodel|flask_sqlalchemy|alembic)\b", re.M)


class Project:
    """A folder's files; paths are relative to ``root``, with slashes."""

    def __init__(self, root: Path):
        self.root = root
        self._texts: dict[str, str] = {}
        self._trees: dict[str, ast.Module | None] = {}

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Every file but those of other environments, caches and hidden folders; sorted."""
        found: list[str] = []
        for parent, folders, names in os.walk(self.root):
            folders[:] = [name for name in sorted(folders) if not self._skipped(Path(parent, name))]
            found += [os.path.relpath(os.path.join(parent, name), self.root).replace(os.sep, "/") for name in names]
            if len(found) > _MOST_FILES:
                break
        return tuple(sorted(found))

    def _skipped(self, folder: Path) -> bool:
        if folder.name in _SKIPPED or folder.name.startswith(".") or folder.name.endswith(".egg-info"):
            return True
        return (folder / "pyvenv.cfg").exists() or (folder / "conda-meta").is_dir()

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.files)

    def has(self, path: str) -> bool:
        return path in self._known

    @cached_property
    def python(self) -> tuple[str, ...]:
        """The application's own sources: no tests, documentation, build scripts or Alembic's revisions."""
        return tuple(file for file in self.files if file.endswith(".py") and not self._aside(file))

    def _aside(self, file: str) -> bool:
        path = PurePosixPath(file)
        if any(part in _ASIDE for part in path.parts[:-1]) or re.fullmatch(
            r"(test_.*|.*_test|tests?|conftest|setup|noxfile|fabfile|(hatch_)?build(_\w+)?)\.py", path.name
        ):
            return True
        return path.parent.name == "versions" and self.has(str(path.parent.parent / "env.py"))

    @cached_property
    def with_database(self) -> tuple[str, ...]:
        """Own sources that import SQLAlchemy, or what stands on it."""
        return tuple(file for file in self.python if _DATABASE.search(self.text(file)))

    def text(self, path: str) -> str:
        """A file's text; empty if it cannot be read or is larger than a source."""
        if path not in self._texts:
            file = self.root / path
            try:
                readable = file.is_file() and file.stat().st_size <= _LARGEST
                self._texts[path] = decoded(file.read_bytes()) if readable else ""
            except OSError:
                self._texts[path] = ""
        return self._texts[path]

    def tree(self, path: str) -> ast.Module | None:
        """A source's syntax tree; None if it is none that can be parsed here."""
        if path not in self._trees:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._trees[path] = ast.parse(self.text(path))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[path] = None
        return self._trees[path]

    def trees(self) -> Iterator[tuple[str, ast.Module]]:
        """Own sources with their trees."""
        for file in self.python:
            tree = self.tree(file)
            if tree is not None:
                yield file, tree

    def toml(self, path: str) -> dict:
        try:
            return tomllib.loads(self.text(path))
        except tomllib.TOMLDecodeError:
            return {}

    def at(self, path: str, text: str) -> str:
        """``path:line`` of the first line that holds ``text``."""
        for number, line in enumerate(self.text(path).splitlines(), 1):
            if text in line:
                return f"{path}:{number}"
        return path

    def below(self, folder: str) -> tuple[str, ...]:
        """Files of a folder, those of its subfolders too."""
        return self.files if folder in (".", "") else tuple(one for one in self.files if one.startswith(f"{folder}/"))


def join(folder: str, name: str) -> str:
    """A path below a folder, made plain; ``.`` is the root itself."""
    return os.path.normpath(os.path.join(folder, name)).replace(os.sep, "/")


def naming(project: Project, path: list[str]) -> list[str]:
    """The folders of a path from which modules are named: a package's own folder only gives a module a second name."""
    return [one for one in path if one == "." or not project.has(f"{one}/__init__.py")] or path


def nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """The nodes below a module, as ``ast.walk`` has them; walked once, since a large application has millions of them."""
    if tree not in _nodes:
        _nodes[tree] = tuple(ast.walk(tree))[1:]  # not the module itself, which is to be let go
    return _nodes[tree]


def imports_of(tree: ast.Module) -> dict[str, str]:
    """What each name of a module stands for, of those that it imports: ``{"FastAPI": "fastapi.FastAPI"}``."""
    if tree in _imports:
        return _imports[tree]
    found = _imports[tree] = {}
    for node in nodes_of(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                found[one.asname or one.name.partition(".")[0]] = one.name if one.asname else one.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                dots = "." * node.level + (node.module or "")
                found[one.asname or one.name] = f"{dots}.{one.name}" if node.module else f"{dots}{one.name}"
    return found


def called(node: ast.expr | None, imports: dict[str, str]) -> str:
    """The dotted name that a call calls, by the module's imports; empty if it is none."""
    if not isinstance(node, ast.Call):
        return ""
    try:
        name = ast.unparse(node.func)
    except (ValueError, RecursionError):
        return ""
    first, _, rest = name.partition(".")
    known = imports.get(first, first)
    return f"{known}.{rest}" if rest else known
