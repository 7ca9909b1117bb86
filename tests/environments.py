"""Python environments for tests: another interpreter, another SQLAlchemy.

Kept between runs in ``.environments/`` at the project's root. A package is unpacked and compiled there once for all
environments that have it, an environment is a venv of links to packages::

    .environments/packages/alembic-1.20.1/site-packages/alembic/...
    .environments/of-<hash>/lib/python3.12/site-packages/alembic -> the folder above
    .environments/of-<hash>/bin/alembic
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

KEPT = (Path(__file__).parents[1] / ".environments").resolve()  # by a link, scripts would name a place that may go
ALEMBIC = {(3, 8): "alembic==1.14.1", (3, 9): "alembic==1.16.5"}
SQLALCHEMY = {"1.4": "sqlalchemy==1.4.54", "2.0": "sqlalchemy==2.0.58", "2.1": "sqlalchemy==2.1.9"}
# Their compiled parts are optional, and no other interpreter than the one that they were built for loads them: without
# them one folder serves all.
OPTIONALLY_COMPILED = {"sqlalchemy", "markupsafe"}
# Runs the pip that an interpreter bundles, as ``ensurepip`` does.
PIP = """
import ensurepip, glob, os, runpy, sys
folders = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), str(getattr(ensurepip, "_WHEEL_PKG_DIR", "."))
sys.path.insert(0, [one for folder in folders for one in glob.glob(os.path.join(folder, "pip-*.whl"))][0])
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
    for distribution in _installed(python, packages):
        for entry in distribution.iterdir():
            (site / entry.name).symlink_to(entry)
    for distribution in distributions(path=[str(site)]):
        for entry in distribution.entry_points:
            if entry.group == "console_scripts":
                name = entry.attr.partition(".")[0]
                script = folder / "bin" / entry.name
                values = {"python": folder / "bin" / "python", "module": entry.module, "name": name, "call": entry.attr}
                script.write_text(SCRIPT.format(**values), "utf-8")
                script.chmod(0o755)


def _installed(python: str, packages: tuple[str, ...]) -> list[Path]:
    """The folder of each distribution that pip says these packages need in an interpreter, unpacked and compiled."""
    with tempfile.TemporaryDirectory(dir=KEPT) as made:
        words = ["install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", made]
        done = subprocess.run([python, "-c", PIP, *words, *packages], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        folders = [_kept(distribution, Path(made)) for distribution in distributions(path=[made])]
    # Some hold code for other versions, which does not compile.
    subprocess.run([python, "-m", "compileall", "-q", *folders], stdout=subprocess.DEVNULL)
    return folders


def _kept(distribution: Distribution, made: Path) -> Path:
    """Move a distribution out of a folder of many into one of its own, where it is not there yet."""
    name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
    tag = re.findall(r"^Tag: (.*)$", distribution.read_text("WHEEL") or "", re.M)[0]
    for_all = name in OPTIONALLY_COMPILED or tag.endswith("-none-any")
    folder = KEPT / "packages" / (f"{name}-{distribution.version}" + ("" if for_all else f"-{tag}"))
    if not folder.exists():
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        (new / "site-packages").mkdir(parents=True)
        for entry in {file.parts[0] for file in distribution.files or ()} - {"..", "bin", "__pycache__"}:
            shutil.move(made / entry, new / "site-packages" / entry)
        if name in OPTIONALLY_COMPILED:
            for part in [*new.rglob("*.so"), *new.rglob("*.pyx")]:
                part.unlink()
        new.rename(folder)
    return folder / "site-packages"


def sqlalchemy_environment(version: tuple[int, int], sqlalchemy: str, *more: str) -> str:
    """An environment with one of SQLAlchemy's lines and an Alembic that runs there."""
    alembic = "alembic==1.16.5" if sqlalchemy == "1.4" else "alembic==1.20.1"
    alembic = ALEMBIC.get(version, alembic)
    return environment(interpreters()[version], SQLALCHEMY[sqlalchemy], alembic, *more)
