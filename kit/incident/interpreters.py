"""The interpreter that runs the application: the one that a file names, or the one on this machine that has its packages."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..base.errors import IncidentError, RunBroke
from .project import Project

_ALIASES = {
    "yaml": "pyyaml", "dotenv": "python-dotenv", "jose": "python-jose", "PIL": "pillow", "cv2": "opencv-python", "bs4": "beautifulsoup4", "sklearn": "scikit-learn",
    "psycopg2": "psycopg2-binary", "jwt": "pyjwt", "decouple": "python-decouple", "multipart": "python-multipart", "dateutil": "python-dateutil", "environ": "django-environ",
}  # fmt: skip


def interpreter(named: str | None, resolve: Callable[[str], Path], where: Callable[[], str]) -> str:
    """The interpreter of a name or path as an absolute path; the kit's own where none is named.

    :param resolve: makes a path of the incident file absolute
    :param where: the key's place in the incident file, for messages
    :raises RunBroke: there is no such program, or it is no Python
    """
    if named is None:
        return sys.executable
    if "/" in named:
        path = resolve(named)
        program = str(path) if shutil.which(str(path)) else None
    else:
        program = shutil.which(named)
    if program is None:
        raise RunBroke(
            f"{where()}: there is no interpreter {named!r}. "
            "It is looked up on PATH, or, with a slash in it, from the incident file's folder. "
            "Name the python of the application's own environment, as in '.venv/bin/python'."
        )
    python, problem = _behind(program)
    if python is None:
        raise RunBroke(f"{where()}: {program} {problem}")
    return python


@cache
def _behind(program: str) -> tuple[str | None, str]:
    """The interpreter that a program is, or what is wrong with it: version managers put scripts in its place."""
    try:
        command = [program, "-c", "import sys; print(sys.executable); sys.exit(sys.version_info < (3, 8))"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"does not run: {error}"
    if not done.returncode and done.stdout.strip():
        return done.stdout.strip(), ""
    error_text = " ".join(done.stderr.partition("\nNote:")[0].split()) or f"exit code {done.returncode}"
    problem = f"is not a Python 3.8 or later that runs: {error_text[:400]}"
    if Path(program).parent.name == "shims":  # pyenv's and asdf's
        held = re.search(r"in these Python versions:\s+(\S+)", done.stderr)
        real = Path(program).parents[1] / "versions" / (held[1] if held else "3.…") / "bin" / "python"
        problem += f". It only stands in for an interpreter: name that itself, as in {real}"
    return None, problem


# -- found by reading folders: nothing is started


@dataclass(frozen=True)
class Interpreter:
    """A Python; ``python`` is the path by which it is called, links not followed, ``because`` how it was found."""

    python: Path
    because: str
    of_project: bool = True  # made for this project, or named

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """Where its packages lie."""
        prefix = self.python.parent.parent
        folders = sorted(prefix.glob("lib*/python3*/site-packages"))
        settings = prefix / "pyvenv.cfg"
        if not settings.is_file() or "include-system-site-packages = true" in settings.read_text("utf-8", "replace"):
            base = self.python.resolve().parent.parent
            folders += sorted(base.glob("lib/python3*/[sd]*-packages"))
            folders += [Path("/usr/lib/python3/dist-packages")] if base in (Path("/usr"), Path("/usr/local")) else []
        return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))

    @cached_property
    def names(self) -> frozenset[str]:
        """Top-level names that can be imported."""
        names = [name for folder in self.folders for name in os.listdir(folder)]
        about = (".dist-info", ".egg-info", ".pth")
        return frozenset(name.partition(".")[0] for name in names if not name.endswith(about))

    def linked(self, root: Path) -> list[str]:
        """The folders of an application from which it is installed as a link (``pip install -e``), relative to its root."""
        files = [file for folder in self.folders for file in (*folder.glob("*.pth"), *folder.glob("__editable__*.py"))]
        text = "\n".join(file.read_text("utf-8", "replace") for file in files)
        below = f"{re.escape(str(root))}(?:/[^\n']*)?"
        named = re.findall(rf"'([\w.]+)': '({below})'", text)  # modules; what only lies in their folders is in a list
        above = [str(Path(place).parents[name.count(".")]) for name, place in named]
        places = [*re.findall(f"^{below}$", text, re.M), *above]
        return [os.path.relpath(place, root) for place in dict.fromkeys(places)]

    @cached_property
    def version(self) -> str | None:
        """Its version as major and minor number, by the folder of its packages."""
        versions = (re.search(r"python(3\.\d+)/", str(folder)) for folder in self.folders)
        return next((match[1] for match in versions if match), None)

    def other_than_asked(self, project: Project) -> str:
        """The Python that the application asks for, with the file that says so, where this one is none of it; else empty."""
        for file in project.named("pyproject.toml")[:1]:
            required = project.toml(file).get("project", {}).get("requires-python")
            try:
                allowed = SpecifierSet(required) if isinstance(required, str) else None
            except InvalidSpecifier:
                continue
            if allowed and self.version and not any(allowed.contains(f"{self.version}.{patch}") for patch in range(40)):
                return f"Python {required}, as {file} asks for"
        return ""

    def has_program(self, name: str) -> bool:
        return (self.python.parent / name).exists()

    def lacks(self, project: Project) -> list[str]:
        """Libraries that the sources import and the interpreter does not have."""
        return sorted(project.imported.keys() - project.importable.keys() - self.names)


def interpreter_of(project: Project, named: str | None, prefixes: Sequence[str], version: str | None) -> Interpreter:
    """The named interpreter, or the one on this machine that lacks the fewest packages; the log's own comes first.

    :raises IncidentError: the named one is no interpreter
    """
    if named is not None:
        path = Path(os.path.abspath(os.path.expanduser(named)))
        if path.is_dir():
            path = path / "bin" / "python"
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise IncidentError(
                f"--python {named}: there is no such interpreter. Name the python of the application's environment, as in ../app/.venv/bin/python"
            )
        return Interpreter(path, "as --python says")
    interpreters = list(_interpreters(project, prefixes))
    kits = Interpreter(Path(sys.executable), "the kit's own; none of the application's was found", of_project=False)

    def order(interpreter: Interpreter) -> tuple:
        other = bool(version) and not any(f"python{version}/" in f"{folder}/" for folder in interpreter.folders)
        return len(interpreter.lacks(project)), "sqlalchemy" not in interpreter.names, not interpreter.of_project, other

    return min([*interpreters, kits], key=order)


def how_to_make(project: Project, lacking: Sequence[str], version: str | None) -> str:
    """The command that makes an environment with an application's packages."""
    python = f"python{version}" if version else "python3"
    files = project.named("requirements.txt", "uv.lock", "poetry.lock", "pyproject.toml", "setup.py")
    requirements = next(iter(files), None)
    below = os.path.dirname(requirements or "") or "."
    install = " ".join(_ALIASES.get(module, module) for module in lacking)
    if requirements:
        install = f"-r {project.root / requirements}" if requirements.endswith(".txt") else f"{project.root / below}"
    return f"{python} -m venv app-env && app-env/bin/python -m pip install {install}; then name it: --python app-env/bin/python"


def _interpreters(project: Project, prefixes: Sequence[str]) -> Iterator[Interpreter]:
    seen = {Path(sys.prefix).resolve()}
    for folder, because, of_project in _places(project, prefixes):
        for name in ("bin/python", "bin/python3"):
            python = folder / name
            if python.exists() and os.access(python, os.X_OK):
                if folder.resolve() not in seen:
                    seen.add(folder.resolve())
                    yield Interpreter(Path(os.path.abspath(python)), because, of_project)
                break


def _places(project: Project, prefixes: Sequence[str]) -> Iterator[tuple[Path, str, bool]]:
    """Folders of environments, each with how it was found and whether it is this project's own."""
    root, home = project.root, Path.home()
    for prefix in prefixes:
        if os.path.isabs(prefix):
            yield Path(prefix), "the frames of the log are of it", True
    files = project.named("pyproject.toml", "requirements.txt", "Pipfile", "setup.py")
    pieces = [root, *(root / name for name in sorted({os.path.dirname(file) for file in files}) if name)]
    if project.git_top is not None and project.git_top not in pieces:
        pieces.append(project.git_top)
    for folder in pieces:
        yield from ((place, "in the application's folder", True) for place in _environments_in(folder))
    for folder in pieces:
        yield from ((place, because, True) for place, because in _of_tools(folder, home))
    yield from ((place, "beside the application's folder", False) for place in _environments_in(root.parent))
    active = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX")
    if active:
        yield Path(active), "the environment that is active here", False
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and ".pyenv/shims" not in folder:
            yield Path(folder).parent, "the python on PATH", False


def _environments_in(folder: Path) -> Iterator[Path]:
    """Virtual and conda environments right in a folder, the usual names first."""
    first = [".venv", "venv", "env", ".env", "virtualenv", ".conda"]
    try:
        others = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name not in first)
    except OSError:
        others = []
    for name in first + others:
        place = folder / name
        if (place / "pyvenv.cfg").is_file() or (place / "conda-meta").is_dir():
            yield place
    for tool in (".direnv", ".hatch", ".tox", ".nox"):
        yield from sorted(settings.parent for settings in (folder / tool).glob("*/pyvenv.cfg"))


def pythons_near(root: Path) -> tuple[str, ...]:
    """The interpreters of the environments in a folder and beside it."""
    pythons = (place / "bin" / "python" for folder in (root, root.parent) for place in _environments_in(folder))
    return tuple(str(python) for python in pythons if os.access(python, os.X_OK))


def _of_tools(folder: Path, home: Path) -> Iterator[tuple[Path, str]]:
    """Environments that poetry, pipenv and virtualenvwrapper keep elsewhere for this folder."""
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    text = (folder / "pyproject.toml").read_text("utf-8", "replace") if (folder / "pyproject.toml").is_file() else ""
    named = re.search(r"^name\s*=\s*['\"]([^'\"]+)", text, re.M)
    if named:
        plain = re.sub(r'[ $`!*@"\\\r\n\t]', "_", named[1].lower())[:42]
        digest = hashlib.sha256(os.path.normcase(folder.resolve()).encode()).digest()
        mark = f"{plain}-{base64.urlsafe_b64encode(digest).decode()[:8]}"
        for base in (os.environ.get("POETRY_VIRTUALENVS_PATH"), cache / "pypoetry" / "virtualenvs"):
            for place in sorted(Path(base).glob(f"{mark}-py*"), reverse=True) if base else ():
                yield place, "poetry's environment of this folder"
    # Both write down which folder an environment is for.
    for base, tool in (
        (os.environ.get("WORKON_HOME"), "WORKON_HOME"),
        (data / "virtualenvs", "pipenv"),
        (home / ".virtualenvs", "virtualenvwrapper"),
    ):
        for mark in sorted(Path(base).glob("*/.project")) if base else ():
            if Path(mark.read_text("utf-8", "replace").strip()).resolve() == folder.resolve():
                yield mark.parent, f"{tool}'s environment of this folder"
