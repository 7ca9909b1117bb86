"""Python environments for tests: another interpreter, another SQLAlchemy.

Made once with ``venv`` and ``pip`` and kept between runs in ``.environments/`` at the project's root.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

KEPT = (Path(__file__).parents[1] / ".environments").resolve()  # by a link, scripts would name a place that may go
ALEMBIC = {(3, 8): "alembic==1.14.1", (3, 9): "alembic==1.16.5"}
SQLALCHEMY = {"1.4": "sqlalchemy==1.4.54", "2.0": "sqlalchemy==2.0.58", "2.1": "sqlalchemy==2.1.9"}


@cache
def interpreters() -> dict[tuple[int, int], str]:
    """Every CPython from 3.8 on that this machine has: version to path."""
    places = [Path(folder) for folder in os.get_exec_path()]
    places += sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin"), reverse=True)
    found = {}
    for minor in range(8, 20):
        for place in places:
            if (3, minor) not in found and (path := _real(place / f"python3.{minor}", minor)):
                found[3, minor] = path
    return found


def _real(path: Path, minor: int) -> str | None:
    """The interpreter behind ``path``: shims may lead to nothing, and Debian ships one without ``venv``."""
    if not path.exists():
        return None
    asked = "import sys, venv, ensurepip, platform; print(sys.executable, sys.version_info[1], platform.python_implementation())"
    done = subprocess.run([path, "-c", asked], capture_output=True, text=True)
    words = done.stdout.split()
    return words[0] if done.returncode == 0 and words[1:] == [str(minor), "CPython"] else None


def environment(python: str, *packages: str) -> str:
    """The interpreter of an environment with these packages, made if it is not there yet."""
    name = hashlib.sha256("\n".join([python, *sorted(packages)]).encode()).hexdigest()[:16]
    folder = KEPT / name
    KEPT.mkdir(exist_ok=True)
    with open(KEPT / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if not _usable(folder):
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True)
            if packages:
                pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                done = subprocess.run([*pip, *packages], capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
            (folder / "complete").touch()
    return str(folder / "bin" / "python")


def _usable(folder: Path) -> bool:
    """Was it made to its end, and here? Its scripts name the interpreter by its path: a folder that was moved has dead ones."""
    pip = folder / "bin" / "pip"
    return (folder / "complete").exists() and pip.read_text("utf-8").startswith(f"#!{folder}/bin/python")


def sqlalchemy_environment(version: tuple[int, int], sqlalchemy: str, *more: str) -> str:
    """An environment with one of SQLAlchemy's lines and an Alembic that runs there."""
    alembic = "alembic==1.16.5" if sqlalchemy == "1.4" else "alembic==1.20.1"
    alembic = ALEMBIC.get(version, alembic)
    return environment(interpreters()[version], SQLALCHEMY[sqlalchemy], alembic, *more)
