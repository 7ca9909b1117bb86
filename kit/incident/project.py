"""An application's folder: its files and texts, what can be imported, what it imports. Nothing is run."""

import ast
import re
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

import yaml

from ..base.errors import IncidentError
from ..base.progress import Hears, silent
from .revisions import Revision, revision_in
from .source import nodes_at, parsed
from .sources import files_below

_DEFINES = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
_LARGEST = 1 << 20  # bytes of one file that is read
_MOST_FILES = 40_000
_CLASSES = "FastAPI|Starlette|Quart|Litestar|Sanic|Flask|APIFlask|Celery|Dash"
_ASSIGNED = r"^ *(?P<name>\w+)(?:\s*:[^=\n]+)?\s*=\s*(?:\w+\.)*"
# The settings of an application and its state are made by a call, too.
_MAKES = r"(?:create|make|build|get|init)_\w*app(?:lication)?(?:_(?:by|for|from|with|factory|instance|object)\w*)?"
_OBJECT = re.compile(
    rf"{_ASSIGNED}(?P<kind>{_CLASSES}|\w*FastAPI|get_[aw]sgi_application|{_MAKES}|create|factory)\(", re.M
)
_FACTORY = re.compile(rf"^(?:async )?def (?P<name>{_MAKES})\((?P<parameters>[^)]*)\)", re.M)
_OWN_CLASS = re.compile(rf"^class (?P<name>\w+)\((?:[\w.]+, *)*(?:\w+\.)?(?P<base>{_CLASSES})\b", re.M)
_OF_OWN_CLASS = re.compile(rf"{_ASSIGNED}(?P<kind>[A-Z]\w*)\(", re.M)
_ASGI = re.compile(r"\b(fastapi|starlette|quart|litestar|sanic|get_asgi_application)\b", re.I)
_WSGI = re.compile(r"\b(flask|apiflask|dash|bottle|falcon|get_wsgi_application)\b", re.I)


@dataclass(frozen=True)
class AppObject:
    """An application object that a server loads; ``kind`` is asgi, wsgi or celery, ``file`` is relative to the root."""

    file: str
    name: str
    line: int
    kind: str
    factory: bool = False


class Project:
    """A folder and its files, without environments and caches.

    :raises IncidentError: there is no Python file in it
    """

    def __init__(self, root: Path, progress: Hears = silent):
        self.root = root
        self._texts: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}  # files that are no YAML, each with the place of the first fault
        progress(f"reading {root}")
        self.files = tuple(islice(files_below(root), _MOST_FILES))
        self._files, self._by_name = frozenset(self.files), {}
        for file in self.files:
            self._by_name.setdefault(file.rpartition("/")[2], []).append(file)
        self.python = tuple(name for name in self.files if name.endswith(".py"))
        if not self.python:
            raise IncidentError(
                f"--app {root}: there is no Python file in it. Give the folder that holds the application's sources."
            )
        progress(f"{len(self.python)} Python files of {len(self.files)}")

    def text(self, name: str) -> str:
        """A file's text; empty where it cannot be read or is too large."""
        if name not in self._texts:
            path = self.root / name
            try:
                small = path.is_file() and path.stat().st_size <= _LARGEST
                self._texts[name] = path.read_text("utf-8", "replace") if small else ""
            except OSError:
                self._texts[name] = ""
        return self._texts[name]

    def tree(self, name: str) -> ast.Module:
        return parsed(self.text(name))

    def decorators(self, name: str, function: str | None) -> list[str]:
        """The decorators, as Python writes them, of a file's functions of one name."""
        nodes = (node for node in ast.walk(self.tree(name)) if isinstance(node, _DEFINES[:2]))
        return [ast.unparse(it) for node in nodes if node.name == function for it in node.decorator_list]

    def toml(self, name: str) -> dict:
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def yaml(self, name: str) -> dict:
        try:
            content = yaml.safe_load(self.text(name))
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            self.unreadable[name] = f"{name}:{mark.line + 1}" if mark else name
            return {}
        return content if isinstance(content, dict) else {}

    def dotenv(self, name: str) -> dict[str, tuple[str, int]]:
        """What a file like ``.env`` sets: name to value and line."""
        pair = re.compile(
            r"""^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(?:"([^"]*)"|'([^']*)'|(.*?))\s*(?:(?:^|\s)#.*)?$"""
        )
        matches = ((number, pair.match(line)) for number, line in enumerate(self.text(name).splitlines(), 1))
        return {match[1]: (match[2] or match[3] or match[4] or "", number) for number, match in matches if match}

    def named(self, *names: str) -> list[str]:
        """Files of these names, the nearest to the root first."""
        files = [file for name in names for file in self._by_name.get(name, ())]
        return sorted(files, key=lambda file: (file.count("/"), file))

    def has(self, name: str) -> bool:
        return name in self._files

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Python files that are neither tests nor revisions, nor installed into a folder of the application's by pip."""
        installed = {name.rpartition("/")[0] for name in self.named("METADATA") if name.count("/") > 1}
        folders = tuple({name.rpartition("/")[0] + "/" for name in installed if name.endswith(".dist-info")})
        test = re.compile(
            r"(^|/)(tests?|testing|docs?|examples?)/|(^|/)(test_[^/]*|conftest)\.py$|/versions/[^/]+\.py$"
        )
        return tuple(name for name in self.python if not test.search(name) and not name.startswith(folders))

    @cached_property
    def importable(self) -> dict[str, list[str]]:
        """Top-level name to the folders (relative) that hold a module or package of it, the nearest to the root first."""
        folders_of: dict[str, set[str]] = {}
        for name in self.python:
            path = PurePosixPath(name)
            folders_of.setdefault(path.stem, set()).add(str(path.parent))
            for folder in [parent for parent in path.parents if str(parent) != "."]:
                folders_of.setdefault(folder.name, set()).add(str(folder.parent))

        def order(folder: str) -> tuple:
            """A folder counts before one that is itself inside a package of this project."""
            return folder != "." and self.has(f"{folder}/__init__.py"), folder.count("/") + (folder != "."), folder

        return {name: sorted(folders, key=order) for name, folders in folders_of.items()}

    def shadowed(self, folder: str) -> list[str]:
        """Libraries that sources import under a name that a folder has too."""
        return [name for name, folders in self.importable.items() if folder in folders and name in self.imported]

    def import_root(self, file: str) -> str:
        """The folder from which a file is imported by its full name: the first above it that is no package."""
        folder = PurePosixPath(file).parent
        while str(folder) != "." and self.has(f"{folder}/__init__.py"):
            folder = folder.parent
        return str(folder)

    def module(self, file: str, folder: str | None = None) -> str:
        """The dotted name by which a file is imported from a folder; by default from its own import root."""
        folder = self.import_root(file) if folder is None else folder
        inside = PurePosixPath(file).relative_to(folder) if folder != "." else PurePosixPath(file)
        parts = inside.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)

    def file_of(self, module: str, folder: str = ".") -> str | None:
        """The file of a dotted name as it is imported from a folder."""
        below = ("" if folder == "." else f"{folder}/") + module.replace(".", "/")
        return next((file for file in (f"{below}.py", f"{below}/__init__.py") if self.has(file)), None)

    def is_own(self, module: str) -> bool:
        """Can a name be a module of this project? Names of the standard library cannot."""
        top = module.partition(".")[0]
        return top in self.importable and top not in sys.stdlib_module_names

    @cached_property
    def imported(self) -> dict[str, str]:
        """Top-level names that sources import and that are not the standard library's, each with its first place."""
        places: dict[str, str] = {}
        begins = re.compile(r"^(?:from|import)\s+([A-Za-z_]\w*)", re.M)  # a docstring's line may, too
        for name in self.sources:
            new = set(begins.findall(self.text(name))) - places.keys() - sys.stdlib_module_names
            for node in self.tree(name).body if new else ():
                named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                named += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
                for top in (module.partition(".")[0] for module in named):
                    if top not in sys.stdlib_module_names:
                        places.setdefault(top, f"{name}:{node.lineno}")
        return places

    @cached_property
    def objects(self) -> tuple[AppObject, ...]:
        """Application objects and factories, the likeliest first."""
        objects = []
        for file in self.sources:
            text = self.text(file)
            if "app" not in text and "Celery" not in text and not self._kind(text):
                continue
            for pattern in (_OBJECT, _FACTORY, _OF_OWN_CLASS):
                for match in pattern.finditer(text):
                    factory, made_by = pattern is _FACTORY, match.groupdict().get("kind", "")
                    kind = "celery" if "celery" in made_by.lower() else self._kind(text) or self._factories.get(made_by)
                    kind = self._own_classes.get(made_by) if pattern is _OF_OWN_CLASS else kind
                    line = text.count("\n", 0, match.start()) + 1
                    if not kind or factory and _needs_arguments(match["parameters"]):
                        continue
                    if match[0][0] != " " or self._of_module(file, line):
                        objects.append(AppObject(file, match["name"], line, kind, factory))
        first = {(object_.file, object_.name): object_ for object_ in reversed(objects)}
        return tuple(sorted(first.values(), key=_order))

    def _of_module(self, file: str, line: int) -> bool:
        """Does an indented line belong to a module itself, in a branch of it that its import may take?"""
        within = nodes_at(self.tree(file), line, *_DEFINES, ast.If)
        return not any(isinstance(node, _DEFINES) or "__main__" in ast.unparse(node.test) for node in within)

    @cached_property
    def _own_classes(self) -> dict[str, str]:
        """The application's own classes of application objects, as ``class Shop(Flask)``, by name, each with its kind."""
        classes = [match for file in self.sources for match in _OWN_CLASS.finditer(self.text(file))]
        kinds = ((match["name"], match["base"]) for match in classes)
        return {name: "celery" if base == "Celery" else self._kind(base) for name, base in kinds}

    @cached_property
    def _factories(self) -> dict[str, str]:
        """Functions that make an application, by name, with its kind."""
        texts = [text for file in self.sources if "app" in (text := self.text(file)) and self._kind(text)]
        return {match["name"]: self._kind(text) for text in texts for match in _FACTORY.finditer(text)}

    def _kind(self, text: str) -> str | None:
        return "asgi" if _ASGI.search(text) else "wsgi" if _WSGI.search(text) else None

    @cached_property
    def alembic(self) -> tuple[str, ...]:
        """Files that configure Alembic, the nearest to the root first."""
        located = re.compile(r"^\s*script_location\s*=", re.M)
        usual = [file for file in self.named("alembic.ini") if located.search(self.text(file))]
        others = [file for file in self.files if file.endswith(".ini") and file not in usual]
        marks = ("[alembic]", "script_location")
        return (*usual, *(file for file in others if all(mark in self.text(file) for mark in marks)))

    @cached_property
    def revisions(self) -> dict[str, Revision]:
        """Alembic's revisions by their files."""
        return {file: revision for file in self.python if (revision := revision_in(file, self.text(file))) is not None}

    @cached_property
    def git_top(self) -> Path | None:
        """The work tree's top, where the folder lies in a git repository and is tracked there."""
        return next((folder for folder in (self.root, *self.root.parents) if (folder / ".git").exists()), None)


def _order(object_: AppObject) -> tuple:
    stem = PurePosixPath(object_.file).stem
    unusual = object_.name not in ("app", "application", "api", "server") and stem not in ("wsgi", "asgi")
    elsewhere = stem not in ("main", "app", "wsgi", "asgi", "server", "__init__")
    beside = bool(re.match(r"(?:bin|tools?|scripts?|utils?|contrib)/", object_.file))
    return object_.kind == "celery", beside, object_.factory, unusual, elsewhere, object_.file.count("/"), object_.file


def _needs_arguments(parameters: str) -> bool:
    parts = [part.strip() for part in re.sub(r"\[[^\]]*\]", "", parameters).split(",") if part.strip()]
    return any("=" not in part and not part.startswith("*") for part in parts)
