"""What the application's interpreter has installed: versions, database drivers, and the dialects that SQLAlchemy knows."""

import json
import subprocess
from dataclasses import dataclass
from functools import lru_cache

# A backend of SQLAlchemy to its drivers, the usual first: name in the URL, module that it imports, asynchronous or not.
DRIVERS: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "postgresql": (
        ("psycopg2", "psycopg2", False),
        ("psycopg", "psycopg", False),
        ("pg8000", "pg8000", False),
        ("psycopg2cffi", "psycopg2cffi", False),
        ("asyncpg", "asyncpg", True),
    ),
    "mysql": (
        ("mysqldb", "MySQLdb", False),
        ("pymysql", "pymysql", False),
        ("mysqlconnector", "mysql.connector", False),
        ("mariadbconnector", "mariadb", False),
        ("asyncmy", "asyncmy", True),
        ("aiomysql", "aiomysql", True),
    ),
    "sqlite": (("pysqlite", "sqlite3", False), ("aiosqlite", "aiosqlite", True)),
    "oracle": (("oracledb", "oracledb", False), ("cx_oracle", "cx_Oracle", False)),
    "mssql": (("pyodbc", "pyodbc", False), ("pymssql", "pymssql", False), ("aioodbc", "aioodbc", True)),
}
DRIVERS["mariadb"] = DRIVERS["mysql"]

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
versions = {}
for one in metadata.distributions():
    name = one.metadata["Name"]
    if name: versions.setdefault(name.lower().replace("_", "-"), one.version)
modules = [name for name in json.loads(sys.argv[1]) if there(name)]
print(json.dumps([dialects, [one.name.replace(".", "+") for one in group], versions, modules]))
"""


@dataclass(frozen=True)
class Installed:
    """What an interpreter has: ``dialects`` of SQLAlchemy by name, ``versions`` by distribution, importable driver ``modules``."""

    dialects: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    modules: tuple[str, ...] = ()

    def version(self, name: str) -> str | None:
        return dict(self.versions).get(name.lower().replace("_", "-"))

    def drivers(self, backend: str, *, asynchronous: bool = False) -> list[str]:
        """The installed drivers of a backend, as a URL names them, the usual first."""
        known = DRIVERS.get(backend, ())
        return [name for name, module, is_async in known if is_async is asynchronous and module in self.modules]


@lru_cache(maxsize=32)
def installed(python: str) -> Installed:
    """Ask an interpreter what it has; nothing of the application is imported. Empty where it does not answer."""
    modules = sorted({module for drivers in DRIVERS.values() for _, module, _ in drivers})
    try:
        command = [python, "-I", "-c", _ASK, json.dumps(modules)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        dialects, others, versions, there = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return Installed()
    return Installed((*dialects, *others), tuple(sorted(versions.items())), tuple(there))
