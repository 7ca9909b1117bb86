"""What an application's files say without running: one walk, in which each file is read once."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from .revisions import Revision, revision_in
from .source import Named, Statement, decoded, imported_names, module_name, tasks_in
from .source_tables import read_tables
from .variables import DEPLOYMENT, Reading, names_in, readings_in, spellings_of

_REQUIREMENTS = re.compile(
    r"(?:^|/)([^/]*requirements[^/]*\.(txt|in)|requirements/[^/]+\.(txt|in)|constraints[^/]*\.txt|pyproject\.toml|setup\.(py|cfg)|Pipfile|environment\.ya?ml)$"
)
_REQUIREMENT = re.compile(
    r"^[\s\-]*['\"]?(?P<name>[A-Za-z][\w.-]*)['\"]?\s*(?:\[[^\]]*\])?\s*(?:=\s*(?:\{\s*version\s*=\s*)?['\"])?(?P<range>(?:(?!=\s*[\[{])[<>=!~^*][^'\";#]*)?)"
)
_PASSED_OVER = {"node_modules", "__pycache__", "site-packages", "dist-packages", "bower_components", "htmlcov"}
_HIDDEN = {".github", ".devcontainer", ".circleci", ".docker", ".deploy"}  # that are entered all the same
_TESTS = {"tests", "test"}
_TEXTS = {".py", ".ini", ".cfg", ".toml", ".yaml", ".yml", ".json", ".env"}  # where an application names what it reads
_LARGEST = 1 << 20  # bytes of a file that is read, but for Python's


@dataclass(frozen=True)
class Sources:
    """What the files below a folder say; every file is relative to it.

    :ivar files: the application's own sources, revisions and tests left out
    :ivar named: tables that they name
    :ivar classes: that they map, and their ``Table(...)``; ``table`` is "" where no library's rule tells its name
    :ivar tasks: that they declare
    :ivar statements: every import of one module of the application by another, by file and line
    :ivar variables: of those that were asked for, the ones that a file names
    :ivar readings: of variables
    :ivar deployments: a deployment file to the variables that it names, with their lines
    :ivar requirements: a library to ``(file, line, range)``
    """

    files: tuple[str, ...] = ()
    named: tuple[Named, ...] = ()
    classes: tuple[Named, ...] = ()
    tasks: tuple[Named, ...] = ()
    statements: tuple[Statement, ...] = ()
    variables: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()
    readings: tuple[Reading, ...] = ()
    deployments: dict[str, dict[str, int]] = field(default_factory=dict)
    requirements: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)


def files_below(root: Path) -> Iterator[str]:
    """Every file below a folder, relative to it and sorted; other environments, caches and hidden folders are passed over."""
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if _entered(parent, name))
        relative = os.path.relpath(parent, root).replace(os.sep, "/")
        yield from (name if relative == "." else f"{relative}/{name}" for name in sorted(names))


def _entered(parent: str, name: str) -> bool:
    if name in _PASSED_OVER or (name.startswith(".") and name not in _HIDDEN):
        return False
    return not any(os.path.exists(os.path.join(parent, name, mark)) for mark in ("pyvenv.cfg", "conda-meta"))


def read_sources(root: Path, folders: list[str], variables: Iterable[str]) -> Sources:
    """Read what lies below ``root``.

    :param folders: those on the application's path, relative to the root
    :param variables: names of environment variables to look for
    """
    files = list(files_below(root))
    of_application = {file for file in files if file.endswith(".py") and _is_own(root, file)}
    modules = {module_name(file, folders): file for file in sorted(of_application)}
    spellings = {name: spellings_of(name) for name in variables}
    contents, seen = {}, set()
    revisions, readings, statements, tasks, deployments, requirements = [], [], [], [], {}, {}
    for file in files:
        name, suffix = file.rpartition("/")[2], PurePosixPath(file).suffix
        deploys, requires = DEPLOYMENT.match(name), _REQUIREMENTS.search(file)
        if not (deploys or requires or suffix in _TEXTS) or (content := _content(root / file)) is None:
            continue
        text = decoded(content)
        if suffix in _TEXTS:
            small = text.lower()
            seen |= {name for name in spellings if name not in seen and any(word in small for word in spellings[name])}
        if suffix == ".py":
            own = file in of_application
            its_revisions, imports, its_readings, its_tasks = _source(file, text, module_name(file, folders), own)
            revisions, readings, tasks = revisions + its_revisions, readings + its_readings, tasks + its_tasks
            statements += _statements(file, imports, modules, folders)
        if file in of_application:
            contents[file] = content
        if deploys:
            deployments[file] = names_in(text)
        for library, line, range_ in _required_in(text) if requires else ():
            requirements.setdefault(library, []).append((file, line, range_))
    tables = read_tables(contents).definitions
    classes = tuple(Named(table.table or table.may_be or "", table.file, table.line, table.name) for table in tables)
    return Sources(
        tuple(sorted(contents)),
        tuple(class_ for class_, table in zip(classes, tables, strict=True) if table.table is not None),
        classes,
        tuple(tasks),
        tuple(sorted(statements, key=lambda statement: (statement.file, statement.line, statement.imported))),
        tuple(name for name in spellings if name in seen),
        tuple(revisions),
        tuple(sorted(readings, key=lambda reading: (reading.file, reading.line, reading.name))),
        deployments,
        requirements,
    )


@lru_cache(maxsize=4096)  # builds differ in a few files
def _source(file: str, text: str, module: str, own: bool) -> tuple[list, list, list, list]:
    """The revision that a Python file is, its imports, readings and tasks; of one that is not the application's own, only the first."""
    revisions = list(filter(None, [revision_in(file, text)]))
    if not own:
        return revisions, [], [], []
    imports = imported_names(text, module, package=file.endswith("__init__.py"))
    return revisions, imports, readings_in(file, text), tasks_in(file, text)


def _content(path: Path) -> bytes | None:
    try:
        readable = path.is_file() and (path.suffix == ".py" or path.stat().st_size <= _LARGEST)
        return path.read_bytes() if readable else None
    except OSError:
        return None


def _is_own(root: Path, file: str) -> bool:
    """Is it none of the tests, and none of Alembic's revisions? What those name is what was, not what the application has."""
    path = PurePosixPath(file)
    revision = path.parent.name == "versions" and (root / path.parent.parent / "env.py").exists()
    return not revision and not _TESTS.intersection(path.parts[:-1])


def _statements(file: str, imports, modules: dict[str, str], folders: list[str]) -> Iterator[Statement]:
    """Those of a source's imports that are of other modules of the application."""
    importer = module_name(file, folders)
    asked: dict[tuple[int, str], str] = {}
    for name, line, where, below in imports:
        deeper = [inner for inner in below if inner in modules]
        for imported in deeper or ([name] if name in modules else []):
            if imported != importer:
                asked.setdefault((line, imported), where)
    return (Statement(importer, imported, file, line, where) for (line, imported), where in asked.items())


def _required_in(text: str) -> Iterator[tuple[str, int, str]]:
    """``(library, line, range)`` of each library that a file of requirements names, in small letters; the range as it is written."""
    for number, line in enumerate(text.splitlines(), 1):
        quoted = re.findall(r"['\"]([A-Za-z][\w.-]*(?:\[[^\]]*\])?[^'\"]*)['\"]", line)
        for match in map(_REQUIREMENT.match, [line, *quoted] if not line.lstrip().startswith("#") else ()):
            if match:
                yield match["name"].lower().replace("_", "-"), number, match["range"].strip()
