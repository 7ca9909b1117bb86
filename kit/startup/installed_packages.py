"""What the application's interpreter has installed: versions, drivers, dialects; and a text that changes with any of it."""

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any


def _drivers(usual: str, asynchronous: str = "") -> tuple[tuple[str, str, bool], ...]:
    """``(name in the URL, module that it imports, asynchronous or not)``, the usual first; ``name=module`` where they differ."""
    names = [(word, False) for word in usual.split()] + [(word, True) for word in asynchronous.split()]
    return tuple((word.partition("=")[0], word.rpartition("=")[2], is_async) for word, is_async in names)


# A backend of SQLAlchemy to its drivers.
DRIVERS: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "postgresql": _drivers("psycopg2 psycopg pg8000 psycopg2cffi", "asyncpg"),
    "sqlite": _drivers("pysqlite=sqlite3", "aiosqlite"),
    "oracle": _drivers("oracledb cx_oracle=cx_Oracle"),
    "mssql": _drivers("pyodbc pymssql", "aioodbc"),
    **dict.fromkeys(
        ("mysql", "mariadb"),
        _drivers("mysqldb=MySQLdb pymysql mysqlconnector=mysql.connector mariadbconnector=mariadb", "asyncmy aiomysql"),
    ),
}
_turn = Lock()
_MOST = 200_000  # files; beyond, it is no environment
_KIT = os.path.join(*Path(__file__).parts[-3:])  # in a checkout of the kit, which is no package
_WHICH = "import json, site, sys; print(json.dumps([sys.version, sys.executable, sys.prefix, site.getsitepackages()]))"
_ASK = """
import importlib.util, json, os, sys
from importlib import metadata
def there(name):
    try: return importlib.util.find_spec(name) is not None
    except Exception: return False
dialects, place = [], importlib.util.find_spec("sqlalchemy")
if place is not None and place.submodule_search_locations:
    folder = os.path.join(place.submodule_search_locations[0], "dialects")
    dialects = [n for n in sorted(os.listdir(folder)) if os.path.isdir(os.path.join(folder, n)) and n[0] != "_"]
points = metadata.entry_points()
group = points.select(group="sqlalchemy.dialects") if hasattr(points, "select") else points.get("sqlalchemy.dialects", ())
versions, tops = {}, []
for package in metadata.distributions():
    name = package.metadata["Name"]
    name = name and name.lower().replace("_", "-")
    if name: versions.setdefault(name, package.version)
    if name: tops += [(top, name) for top in (package.read_text("top_level.txt") or "").split()]
modules = [name for name in json.loads(sys.argv[1]) if there(name)]
print(json.dumps([dialects, [point.name.replace(".", "+") for point in group], versions, modules, tops]))
"""


@dataclass(frozen=True)
class Installed:
    """What an interpreter has: ``dialects`` of SQLAlchemy by name, ``versions`` by distribution, importable driver ``modules``; ``tops``: those by module."""

    dialects: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    modules: tuple[str, ...] = ()
    tops: tuple[tuple[str, str], ...] = ()

    def version(self, name: str) -> str | None:
        """Of a distribution, else of the one that has a module of this name on top."""
        versions = dict(self.versions)
        return versions.get(name.lower().replace("_", "-")) or versions.get(dict(self.tops).get(name, ""))

    def distribution(self, module: str) -> str | None:
        """The distribution that has a module of this name on top, or is of its name; None where none or several are known."""
        names = {name for top, name in self.tops if top == module}
        names = names or {module.lower().replace("_", "-")}.intersection(dict(self.versions))
        return names.pop() if len(names) == 1 else None

    def drivers(self, backend: str, *, asynchronous: bool = False) -> list[str]:
        """The installed drivers of a backend, as a URL names them, the usual first."""
        known = DRIVERS.get(backend, ())
        return [name for name, module, is_async in known if is_async is asynchronous and module in self.modules]


@lru_cache(maxsize=32)
def installed(python: str) -> Installed:
    """Ask an interpreter what it has; nothing of the application is imported. Empty where it does not answer."""
    modules = sorted({module for drivers in DRIVERS.values() for _, module, _ in drivers})
    try:
        dialects, others, versions, there, tops = _asked(python, _ASK, json.dumps(modules))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return Installed()
    return Installed((*dialects, *others), tuple(sorted(versions.items())), tuple(there), tuple(map(tuple, tops)))


def _asked(python: str, code: str, *words: str) -> Any:
    """What code prints as JSON in an interpreter, with nothing of the application."""
    ran = subprocess.run([python, "-I", "-c", code, *words], capture_output=True, text=True, timeout=60)
    return json.loads(ran.stdout)


def packages_of(python: str) -> str | None:
    """The hash of an interpreter, and of names, sizes and times of its packages' files; None where it cannot be told.

    It is read once a process. A package that is installed as a link to a folder elsewhere (``pip install -e``) counts as that folder,
    but for the kit's own checkout; one whose folder only a finder of its own knows cannot be told.
    """
    with _turn:  # several threads ask at once
        return _packages_of(python)


@lru_cache(maxsize=16)
def _packages_of(python: str) -> str | None:
    try:
        version, executable, prefix, folders = _asked(python, _WHICH)
        digest = hashlib.sha256(f"{version}\0{executable}\0{prefix}".encode())
        digest.update(str(os.stat(os.path.realpath(executable)).st_mtime_ns).encode())
        seen: set[str] = set()
        for folder in folders:
            for part in _parts(folder, seen):
                digest.update(part)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return digest.hexdigest()


def _parts(folder: str, seen: set[str], linked: bool = True):
    """A line for each file below a folder, links followed, each folder once.

    :param linked: may it be a link, or not be there?
    :raises ValueError: there is more than can be told
    """
    real = os.path.realpath(folder) if linked else folder
    if real in seen or linked and not os.path.isdir(real):
        return
    seen.add(real)
    if len(seen) > _MOST:
        raise ValueError(folder)
    for entry in sorted(os.scandir(real), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name not in ("__pycache__", ".git"):  # no package of its own; git rewrites the second
                yield f"{folder}/{entry.name}/\0".encode("utf-8", "surrogateescape")
                yield from _parts(entry.path, seen, entry.is_symlink())
            continue
        if entry.name.startswith("__editable__") and entry.name.endswith("_finder.py"):
            raise ValueError(entry.name)
        try:
            about = entry.stat()
        except FileNotFoundError:  # a link to nothing
            continue
        yield f"{folder}/{entry.name}\0{about.st_size}\0{about.st_mtime_ns}\0".encode("utf-8", "surrogateescape")
        if entry.name.endswith(".pth"):
            for line in Path(entry.path).read_text("utf-8", "replace").splitlines():
                if line and not line.startswith(("#", "import ", "import\t")):
                    elsewhere = os.path.join(real, line.strip())
                    if not os.path.exists(os.path.join(elsewhere, _KIT)):
                        yield from _parts(elsewhere, seen)
