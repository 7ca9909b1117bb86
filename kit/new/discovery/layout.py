"""Where an application is: its folder, the one service in it that is meant, its interpreter, its folders on the path."""

import ast
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ...base.errors import IncidentError
from ...incident.source import imported_names, module_name
from ...triage.frames import is_library, names_in, place
from ...triage.logs import Log, Traceback
from .interpreters import Interpreter, interpreters_of
from .objects import Made, objects_of
from .project import Project, join

_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "Procfile", "Dockerfile")


def application_of(log: Log | None, here: Path) -> Path:
    """The application's folder where none was named: where the log's files are, else the current folder.

    :raises IncidentError: neither is an application
    """
    for one in reversed(log.tracebacks if log else ()):
        for frame in one.frames:
            file = Path(frame.file)
            if (
                file.is_absolute()
                and not is_library(frame.file)
                and not _ours(file)
                and _holds(file, frame.line, frame.text)
            ):
                return _top(file.parent)
    project = Project(here)
    if not _ours(here):
        if log is not None and any(_placed(project, one) for one in log.tracebacks):
            return here
        if project.with_database and (any(project.has(name) for name in _MARKS) or len(project.files) < 2000):
            return here
    said = "no file that the log names is in the current folder" if log else "the current folder is none"
    raise IncidentError(f"--app: which application? {said[0].upper()}{said[1:]}; name its folder, as in --app ../app")


def _ours(path: Path) -> bool:
    """Is it the kit's own folder, or in it?"""
    kit = Path(__file__).resolve().parents[3]
    return path.resolve() == kit or path.resolve().is_relative_to(kit / "kit")


def _holds(file: Path, line: int, text: str | None) -> bool:
    """Is it a source, of no environment, that has this line?"""
    if file.suffix != ".py" or any((one / "pyvenv.cfg").exists() for one in file.parents):
        return False
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return line <= len(lines) and (text is None or " ".join(lines[line - 1].split()) == " ".join(text.split()))


def _top(folder: Path) -> Path:
    """The folder that an application begins in: the nearest with a mark of one, else that of the file itself."""
    for one in (folder, *folder.parents):
        if (one / ".git").exists() or any((one / name).is_file() for name in _MARKS):
            return one
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


def _placed(project: Project, traceback: Traceback) -> tuple[str, ...]:
    """The application's files that a traceback passes through, outermost first, relative to the project."""
    names = names_in(traceback.frames)
    placement = place(traceback.frames, [file for file in project.files if PurePosixPath(file).name in names])
    return tuple(one.file for one in placement.placed if project.has(one.file))


def of_log(project: Project, log: Log | None) -> tuple[Traceback | None, tuple[str, ...]]:
    """The traceback that a log is about: of those that pass through the application, one about a table, else the last."""
    if log is None:
        return None, ()
    placed = [(one, _placed(project, one)) for one in log.tracebacks]
    through = [pair for pair in placed if pair[1]] or placed
    about = [pair for pair in through if any("already defined" in str(raised) for raised in pair[0].raised)]
    return (about or through or [(None, ())])[-1]


def service_of(project: Project, files: Sequence[str]) -> str:
    """The folder of the one service that is meant.

    :raises IncidentError: there are several, and nothing tells which
    """
    using = project.with_database or project.python
    marked = {
        str(PurePosixPath(file).parent)
        for file in project.files
        if PurePosixPath(file).name in _MARKS or re.fullmatch(r"requirements.*\.txt", PurePosixPath(file).name)
    }
    marked = {folder for folder in marked if not _package(project, folder)}
    own: dict[str, list[str]] = {}
    for file in using:
        for parent in PurePosixPath(file).parents:
            if str(parent) in marked:
                own.setdefault(str(parent), []).append(file)
                break
    if not own or (len(own) == 1 and "." in own):
        return "."
    for file in files:
        for folder in sorted(own, key=len, reverse=True):
            if folder != "." and file.startswith(f"{folder}/"):
                return folder
    nested = sorted(folder for folder in own if folder != ".")
    if "." in own and (len(nested) == 1 or objects_of_root(project, nested)):
        return "."
    if len(nested) == 1:
        return nested[0]
    shown = "\n".join(
        f"    --app {project.root / one}    ({project.at(own[one][0], 'sqlalchemy')} uses SQLAlchemy)" for one in nested
    )
    raise IncidentError(
        f"--app {project.root}: there are {len(nested)} services in it; name the one that failed"
        f"{'' if files else ', or give its log by --log'}:\n{shown}"
    )


def objects_of_root(project: Project, nested: Sequence[str]) -> list[Made]:
    """Application objects outside the folders of nested services."""
    return [one for one in objects_of(project, ".") if not any(one.file.startswith(f"{folder}/") for folder in nested)]


def _wanted(project: Project, service: str) -> tuple[dict[str, str], set[str]]:
    """Top-level modules that the sources import unconditionally, each with a place; and the project's own names."""
    own = set()
    for file in project.files:
        if file.endswith(".py"):
            parts = PurePosixPath(file).parts
            own |= {*parts[:-1], PurePosixPath(file).stem}
    wanted: dict[str, str] = {}
    below = set(project.below(service))
    for file, tree in project.trees():
        if file not in below:
            continue
        for node in tree.body:
            names = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                wanted.setdefault(name.partition(".")[0], f"{file}:{node.lineno}")
    return {
        name: at for name, at in wanted.items() if name not in sys.stdlib_module_names and name != "__future__"
    }, own


def find_interpreter(project: Project, service: str, named: str | None, environment: dict[str, str]):
    wanted, own = _wanted(project, service)
    libraries = sorted(name for name in wanted if name not in own)
    kits = Interpreter(Path(sys.executable), "the kit's own")

    def lacking(one: Interpreter) -> list[str]:
        return [name for name in libraries if name not in one.names]

    if named:
        one = Interpreter(Path(os.path.abspath(os.path.expanduser(named))), "named by --python")
        if not one.python.exists():
            raise IncidentError(f"--python {named}: there is no such interpreter")
        return one, lacking(one)
    candidates = [one for one in interpreters_of(project, service, environment) if "sqlalchemy" in one.names]
    candidates.sort(key=lambda one: (not one.own, len(lacking(one))))  # stable: of equals the likelier stays first
    if candidates:
        return candidates[0], lacking(candidates[0])
    if "sqlalchemy" in kits.names and not lacking(kits):
        return None, []
    needs = next(
        (
            join(service, name)
            for name in ("requirements.txt", "pyproject.toml", "setup.py")
            if project.has(join(service, name))
        ),
        None,
    )
    if needs is None:
        target = (
            " ".join(["sqlalchemy", *(name for name in libraries if name != "sqlalchemy")]) + "    (by import name)"
        )
    else:
        target = f"-r {project.root / needs}" if needs.endswith(".txt") else str(project.root / service)
    version = re.search(
        r"requires-python\s*=\s*['\"]([^'\"]+)|^python\s*=\s*['\"]([^'\"]+)",
        project.text(join(service, "pyproject.toml")),
        re.M,
    )
    lacks = lacking(kits)
    raise IncidentError(
        f"--app {project.root}: no interpreter with its packages was found: no environment in it, beside it or active has SQLAlchemy, "
        f"and the kit's own lacks {', '.join(lacks[:6])}{' and more' if len(lacks) > 6 else ''} (imported at {wanted[lacks[0]] if lacks else '?'}).\n"
        f"Name the application's own by --python PATH/TO/bin/python, or make one{f' (Python {version[1] or version[2]})' if version else ''}:\n"
        f"    python3 -m venv ~/environments/{project.root.name}\n"
        f"    ~/environments/{project.root.name}/bin/pip install {target}\n"
        f"and give --python ~/environments/{project.root.name}/bin/python"
    )


def find_path(
    project: Project, service: str, interpreter: Interpreter | None
) -> tuple[list[str], list[tuple[str, str]]]:
    """Folders for ``PYTHONPATH``: the service's, and those without which an import of its sources finds nothing."""
    tops: dict[str, list[str]] = {}  # folder to what can be imported from it
    for file in project.files:
        if not file.endswith(".py") or "/versions/" in file:
            continue
        parts = PurePosixPath(file).parts
        for depth in range(len(parts)):
            folder = "/".join(parts[:depth]) or "."
            tops.setdefault(folder, []).append(parts[depth].removesuffix(".py"))
    known = {folder: set(names) for folder, names in tops.items()}
    path, reasons = [service], []
    stated = _stated(project, service)
    for folder, why in stated:
        if folder in known and folder not in path:
            path.insert(0, folder)
            reasons.append((folder, why))
    below = set(project.below(service))
    installed = interpreter.names if interpreter else frozenset()
    for file, tree in project.trees():
        if file not in below:
            continue
        module, here = module_name(file, path), str(PurePosixPath(file).parent)
        for name, line, _, _ in imported_names(tree, module, package=file.endswith("__init__.py")):
            top = name.partition(".")[0]
            if not top or top in sys.stdlib_module_names or any(top in known.get(folder, ()) for folder in path):
                continue
            # Below the service first, then above it; a file's own folder counts where it is run as a script.
            rest = name.split(".")
            homes = [folder for folder in known if top in known[folder] and _exists(project, folder, rest)]
            homes = [
                one
                for one in homes
                if not _package(project, one)
                or (one == here and top not in installed and _as_script(file, top, known[one]))
            ]
            if top in installed:  # a folder without __init__.py does not come before what is installed
                homes = [one for one in homes if _of_service(one, service) and _regular(project, one, top)]
            homes.sort(key=lambda one: (not _of_service(one, service), one.count("/"), len(one), one))
            if homes and homes[0] not in path:
                path.append(homes[0])
                reasons.append((homes[0], f"{file}:{line} imports {name}"))
    if len(path) > 1 and not _asked_of(project, service, known, path):
        path.remove(service)
    return path, reasons


def _asked_of(project: Project, folder: str, known: dict[str, set[str]], path: list[str]) -> bool:
    """Does a source import something that only this folder of the path has?"""
    others = {name for one in path if one != folder for name in known.get(one, ())}
    own = known.get(folder, set()) - others
    for file, tree in project.trees():
        tops = {name.partition(".")[0] for name, *_ in imported_names(tree, module_name(file, path))}
        if tops & own:
            return True
    return False


def _of_service(folder: str, service: str) -> bool:
    return service == "." or folder == service or folder.startswith(f"{service}/")


def _package(project: Project, folder: str) -> bool:
    return folder != "." and project.has(f"{folder}/__init__.py")


def _as_script(file: str, top: str, siblings: set[str]) -> bool:
    """Can a file that lies in a package be run with that folder on the path, for an import of a neighbour by its plain name?

    Not where the name would be its own, as of ``docker.py`` that imports Docker's library, nor where a neighbour
    would come before one of Python's own modules.
    """
    return top != PurePosixPath(file).stem and not siblings & sys.stdlib_module_names


def _regular(project: Project, folder: str, name: str) -> bool:
    return project.has(join(folder, f"{name}.py")) or project.has(join(folder, f"{name}/__init__.py"))


def _exists(project: Project, folder: str, parts: list[str]) -> bool:
    stem = join(folder, parts[0])
    return project.has(f"{stem}.py") or any(one.startswith(f"{stem}/") and one.endswith(".py") for one in project.files)


def _stated(project: Project, service: str) -> list[tuple[str, str]]:
    """Package folders that the project's own build settings name."""
    file = join(service, "pyproject.toml")
    content = project.toml(file)
    tool = content.get("tool", {})
    found: list[tuple[str, str]] = []
    setuptools = tool.get("setuptools", {})
    packages = setuptools.get("packages", {})
    where = (
        list(setuptools.get("package-dir", {}).values())[:1] if isinstance(setuptools.get("package-dir"), dict) else []
    )
    where += packages.get("find", {}).get("where", []) if isinstance(packages, dict) else []
    found += [(join(service, str(one)), project.at(file, str(one))) for one in where]
    for one in tool.get("poetry", {}).get("packages", []):
        if isinstance(one, dict) and one.get("from"):
            found.append((join(service, one["from"]), project.at(file, "from")))
    wheel = tool.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    for one in [
        *wheel.get("packages", []),
        *(wheel.get("sources", []) if isinstance(wheel.get("sources"), list) else []),
    ]:
        parent = str(PurePosixPath(one).parent) if one in wheel.get("packages", []) else one
        found.append((join(service, parent), project.at(file, one)))
    if isinstance(tool.get("pdm", {}).get("build", {}).get("package-dir"), str):
        found.append((join(service, tool["pdm"]["build"]["package-dir"]), project.at(file, "package-dir")))
    for last in ("setup.py", "setup.cfg"):
        text = project.text(join(service, last))
        given = re.search(r"package_dir\s*=\s*(?:\{\s*['\"]{2}\s*:\s*['\"]([\w/.]+)|\s*\n?\s*=\s*([\w/.]+))", text)
        if given:
            found.append((join(service, given[1] or given[2]), project.at(join(service, last), "package_dir")))
    return [one for one in dict.fromkeys(found) if one[0] != service]
