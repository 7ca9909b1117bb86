"""Which interpreter has an application's packages: by reading folders, nothing is started."""

import base64
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .project import Project


@dataclass(frozen=True)
class Interpreter:
    """A Python, where it was found, and the folders that hold its packages.

    :ivar python: the path by which it is called, links not followed
    :ivar why: how it was found
    """

    python: Path
    why: str
    own: bool = False  # it was made for this project

    @property
    def prefix(self) -> Path:
        return self.python.parent.parent

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """Where its packages lie."""
        found = sorted(self.prefix.glob("lib*/python3*/site-packages")) + sorted(self.prefix.glob("Lib/site-packages"))
        settings = self.prefix / "pyvenv.cfg"
        alone = settings.is_file() and "include-system-site-packages = true" not in settings.read_text(
            "utf-8", "replace"
        )
        if not alone:
            real = self.python.resolve()
            base, version = real.parent.parent, re.search(r"python(3\.\d+)", real.name)
            found += sorted(base.glob("lib/python3*/[sd]*-packages")) if base != Path("/usr") else []
            if version and base in (Path("/usr"), Path("/usr/local")):
                found += [
                    Path(f"/usr/local/lib/python{version[1]}/dist-packages"),
                    Path("/usr/lib/python3/dist-packages"),
                ]
        return tuple(dict.fromkeys(one for one in found if one.is_dir()))

    @cached_property
    def names(self) -> frozenset[str]:
        """Top-level names that can be imported."""
        found = set()
        for folder in self.folders:
            for name in os.listdir(folder):
                if name.endswith((".dist-info", ".egg-info", ".pth")) and not name.startswith("__editable__"):
                    continue
                found.add(name.partition(".")[0])
        return frozenset(found)

    def version_of(self, distribution: str) -> str | None:
        """A distribution's version by its folder of metadata."""
        wanted = re.sub(r"[-_.]+", "_", distribution).lower()
        for folder in self.folders:
            for name in os.listdir(folder):
                found = re.fullmatch(r"(.+?)-([^-]+)\.(?:dist|egg)-info", name)
                if found and re.sub(r"[-_.]+", "_", found[1]).lower() == wanted:
                    return found[2]
        return None

    def has_program(self, name: str) -> bool:
        return (self.python.parent / name).exists()


def interpreters_of(project: Project, service: str, environment: dict[str, str]) -> Iterator[Interpreter]:
    """Interpreters that may be the application's, the likeliest first; those that are not there are left out.

    :param service: the folder of the service in the project
    :param environment: the caller's variables
    """
    seen = set()
    for folder, why, own in _places(project, service, environment):
        for name in ("bin/python", "bin/python3", "python.exe", "Scripts/python.exe"):
            python = folder / name
            if python.exists() and os.access(python, os.X_OK):
                if folder.resolve() not in seen:
                    seen.add(folder.resolve())
                    yield Interpreter(Path(os.path.abspath(python)), why, own)
                break


def _places(project: Project, service: str, environment: dict[str, str]) -> Iterator[tuple[Path, str, bool]]:
    """Folders of environments, each with how it was found and whether it is this project's own."""
    root = project.root
    home = Path(environment.get("HOME") or Path.home())
    pieces = list(dict.fromkeys([root / service, *(root / service).parents]))
    inside = [one for one in pieces if one.is_relative_to(root)]
    for folder in inside:
        yield from ((place, why, True) for place, why in _environments_in(folder, "in the application's folder"))
        written = folder / ".pdm-python"
        if written.is_file():
            yield Path(written.read_text("utf-8", "replace").strip()).parent.parent, ".pdm-python", True
    for folder in inside:
        yield from ((place, why, True) for place, why in _of_tools(folder, home, environment))
    kits = Path(sys.prefix).resolve()
    active = environment.get("VIRTUAL_ENV") or environment.get("CONDA_PREFIX")
    if active and Path(active).resolve() != kits:
        yield Path(active), "the environment that is active here (VIRTUAL_ENV)", False
    yield from ((place, why, False) for place, why in _environments_in(root.parent, "beside the application's folder"))
    for folder in inside:
        wanted = folder / ".python-version"
        for name in wanted.read_text("utf-8", "replace").split() if wanted.is_file() else ():
            for place in (home / ".pyenv" / "versions").glob(f"{name}*"):
                yield place, f"{os.path.relpath(wanted, root)}, with pyenv", True
    for folder in environment.get("PATH", "").split(os.pathsep):
        place = Path(folder).parent
        if folder and place.resolve() != kits and ".pyenv/shims" not in folder:
            yield place, "the python on PATH", False


def _environments_in(folder: Path, why: str) -> Iterator[tuple[Path, str]]:
    """Virtual and conda environments right in a folder."""
    first = [".venv", "venv", "env", ".env", "virtualenv", ".conda"]
    try:
        others = sorted(one.name for one in os.scandir(folder) if one.is_dir() and one.name not in first)
    except OSError:
        others = []
    for name in first + others:
        place = folder / name
        made = (place / "pyvenv.cfg").is_file() or (place / "conda-meta").is_dir()
        if made and place.resolve() != Path(sys.prefix).resolve():
            yield place, why
    for tool in (".direnv", ".hatch", ".tox", ".nox"):
        for place in sorted((folder / tool).glob("*/pyvenv.cfg")):
            yield place.parent, f"{why}, by {tool[1:]}"


def _of_tools(folder: Path, home: Path, environment: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """Environments that poetry, pipenv, hatch, virtualenvwrapper and conda keep elsewhere for this folder."""
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    project = Project(folder)
    settings = project.toml("pyproject.toml")
    named = settings.get("tool", {}).get("poetry", {}).get("name") or settings.get("project", {}).get("name") or ""
    if named:
        plain = re.sub(r'[ $`!*@"\\\r\n\t]', "_", named.lower())[:42]
        digest = hashlib.sha256(os.path.normcase(folder.resolve()).encode()).digest()
        mark = f"{plain}-{base64.urlsafe_b64encode(digest).decode()[:8]}"
        for base in (environment.get("POETRY_VIRTUALENVS_PATH"), cache / "pypoetry" / "virtualenvs"):
            for place in sorted(Path(base).glob(f"{mark}-py*"), reverse=True) if base else ():
                yield place, "poetry's environment of this folder"
        for place in sorted((data / "hatch" / "env" / "virtual" / named).glob("*/*/pyvenv.cfg")):
            yield place.parent, "hatch's environment of this project"
    # Both write down which folder an environment is for.
    for base, tool in (
        (environment.get("WORKON_HOME"), "WORKON_HOME"),
        (data / "virtualenvs", "pipenv"),
        (home / ".virtualenvs", "virtualenvwrapper"),
    ):
        for mark in sorted(Path(base).glob("*/.project")) if base else ():
            try:
                if Path(mark.read_text("utf-8", "replace").strip()).resolve() == folder.resolve():
                    yield mark.parent, f"{tool}'s environment of this folder"
            except OSError:
                continue
    for name in ("environment.yml", "environment.yaml"):
        found = re.search(r"^name:\s*(\S+)", project.text(name), re.M)
        for base in ("miniconda3", "anaconda3", "miniforge3", "mambaforge", ".conda", "micromamba") if found else ():
            yield home / base / "envs" / found[1], f"{name}, with conda"
