"""Imports that fail, and what of it somebody catches: cycles, swallowed failures, folders on no path."""

import ast
import re
import shlex
import sys
from pathlib import PurePosixPath
from posixpath import relpath

from ..incident.source import bound_by, nodes_at, text_at
from ..incident.steps import Preparation, Step
from ..startup.installed_packages import installed
from ..trace.chains import application_frames
from ..trace.trace import Trace
from ..trace.values import Error, Frame, Import
from .experiments import failure, first_line, gone, said_by, with_steps
from .migration_runs import last_there
from .removed_apis import library_of, required, user_of, version_of
from .values import Case, Experiment, Fault, Place, of_failures

_PARTIAL = re.compile(r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'")
_ATTRIBUTE = re.compile(r"partially initialized module '([\w.]+)'.* has no attribute '(\w+)'")
_SUBMODULE = re.compile(r"cannot access submodule '(\w+)' of module '([\w.]+)'")
_LACKS = re.compile(
    r"cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'(?P<module>\w+)'"
    r"|module '(?P<owner>\w+)' .*?has no attribute '(?P<attribute>\w+)'"
    r"|No module named '(?P<package>\w+)\.(?P<inner>[\w.]+)'"
)
# As Python says it, and the loaders of gunicorn, uvicorn and Flask, of a module that has not what is asked of it.
_HAS_NOT = re.compile(
    r"cannot import name '\w+' from '([\w.]+)' |Failed to find attribute '\w+' in '([\w.]+)'|Attribute \"\w+\" not found in module \"([\w.]+)\"|"
    r"Failed to find Flask application or factory in module '([\w.]+)'"
)
_STANDS_FOR = "import importlib, sys\n\nsys.modules[__name__] = importlib.import_module({!r})\n"
# As Python says it, and the loaders of uvicorn and Flask, of nothing but the module that they were given.
_NO_MODULE = re.compile(r"No module named '([\w.]+)'|\bCould not import (?:module \"|')([\w.]+)[\"']")


def circular_import(case: Case) -> Fault | None:
    """A name is asked of a module whose body is still running, and which led to the import that asks."""
    for import_ in case.trace.imports:
        error = import_.error
        asked = _asked_of(error) if error is not None and import_.application else None
        frame = error.site if asked else None
        if frame is None or error not in case.failures:
            continue  # a cycle that somebody catches and that nothing comes of
        name, module = asked
        frames = [*application_frames(import_.chain), *application_frames(error.frames)]
        bodies = [frame for frame in frames if frame.function == "<module>"]
        running = [frame for frame in bodies if frame.module == module]
        running = running or [frame for frame in bodies if frame.module == f"{module}.{name}"]
        if not running or running[0] == frame:
            continue  # that module is not on the way: it has no such name
        leads = running[0]
        sites = [Place.of("asks", frame, name), Place.of("leads back", leads)]
        binds = _binding_of(case, leads.file, name)
        how = f"{leads}, in the body of {module}, leads to {frame}, which imports {name} from {module} before that body has finished"
        if binds is not None and binds > leads.line:
            sites.append(Place("binds", leads.file, binds, name))
            how += f". {name} is defined only at {leads.file}:{binds}"
        because = [how, f"seen as: {error}"]
        if frame.file in {body.file for body in bodies if body.module == "__main__"} and frame.module != "__main__":
            twice = f"{frame.file} runs twice, as the program and again as {frame.module}, which {leads} imports"
            because.append(f"{twice}: started by that name, as a server or flask run does, it runs once")
        run = _from_the_other_side(case, frame)
        return Fault("circular-import", tuple(because), sites=tuple(sites), error=error, experiment=run)
    return None


def _from_the_other_side(case: Case, asks: Frame) -> Experiment | None:
    """The run that imports the asking module first: the same cycle then fails at its other end, or not at all."""
    if not asks.module or asks.module.startswith("__"):
        return None

    def judge(trace: Trace) -> tuple[bool | None, str]:
        mirrored = next((asked for error in trace.errors if (asked := _asked_of(error)) is not None), None)
        if mirrored is not None:
            other = mirrored[1]
            return True, f"the cycle fails from there as well: {other} is then the module whose body has not finished"
        wrong = failure(trace)
        if wrong is None:
            return True, "from there every import succeeds: what fails depends on where the cycle is entered"
        return None, f"something else fails: {wrong}"

    first = with_steps(case.incident, [Step.model_validate({"import": asks.module})])
    return Experiment(f"{asks.module} imported first", first, judge)


def _asked_of(error: Error) -> tuple[str, str] | None:
    """``(name, module)`` that an error says is asked of a module that has not got it."""
    if (match := _PARTIAL.search(error.text)) is not None:
        return match[1], match[2]
    if (match := _ATTRIBUTE.search(error.text)) is not None:
        return match[2], match[1]
    if (match := _SUBMODULE.search(error.text)) is not None:
        return match[1], f"{match[2]}.{match[1]}"  # what is missing is bound in its package, when its body has ended
    return None


def _binding_of(case: Case, file: str, name: str) -> int | None:
    """The line at module level that binds a name; None where there is none."""
    return next((node.lineno for node in case.tree(file).body if name in bound_by(node)), None)


def library_shadowed(case: Case, error: Error) -> Fault | None:
    """A file of the application is found first under the name of a library, and what is asked of that library it lacks."""
    match, asks = said_by(error, _LACKS), error.site
    if match is None or asks is None:
        return None
    library = match["module"] or match["owner"] or match["package"]
    lacking = match["name"] or match["attribute"] or match["inner"]
    file = next((i.file for i in case.trace.imports if i.application and i.module == library), None)
    version = installed(case.incident.python).version(library)
    owner = "Python's own" if library in sys.stdlib_module_names else version and f"the installed {library} {version}"
    if file is None or owner is None:
        return None
    importers = error.frames[-1] if error.frames and not error.frames[-1].application else asks
    because = (
        f"{importers} asks {library} for {lacking}; {file} of the application is found first under that name, and is not {owner}",
        f"seen as: {first_line(str(error))}",
    )
    sites = (Place("shadows", file, 1, library, library),)
    sites += (Place.of("asks", asks, lacking),) if asks.file != file else ()
    against = {
        "circular-import": f"no other module leads back: {file} is asked for what only {owner} has",
        "module-not-on-path": f"{library} is found, in the application's own folder",
        "api-removed-in-installed-version": f"{owner} was not asked",
    }
    experiment = _library_itself(case, file, library, lacking, match[0])
    return Fault("library-shadowed", because, sites=sites, against=against, error=error, experiment=experiment)


def module_behind_package(case: Case, error: Error) -> Fault | None:
    """What is asked of a package stands in a module of the same name beside it, which Python never takes."""
    match = said_by(error, _HAS_NOT)
    name = next(filter(None, match.groups())) if match else ""
    package = next((i.file for i in case.trace.imports if i.application and i.module == name), None) or ""
    beside = f"{package.removesuffix('/__init__.py')}.py"
    if not package.endswith("/__init__.py") or beside not in _files(case):
        return None
    because = (
        f"{beside} and {package} stand side by side: Python takes the package for {name}, and never {beside}",
        f"seen as: {first_line(error.text)}",
    )
    sites = (Place("taken", package, 1, name, name), Place("hidden", beside, 1, name))
    files = (shlex.quote(relpath(file, case.incident.app.workdir)) for file in (beside, package))
    step = Preparation.model_validate({"command": f"cat {' >> '.join(files)}"})
    incident = case.incident.model_copy(update={"prepare": [*case.incident.prepare, step]})

    def judge(trace: Trace) -> tuple[bool | None, str]:
        holds, seen = gone(match[0].strip())(trace)
        # What the file holds may be broken where it is put: then nothing is known of the name.
        return (None if holds and re.search(r"(Syntax|Indentation|Import|ModuleNotFound)Error", seen) else holds), seen

    run = Experiment(f"the package {name} with what {beside} holds", incident, judge, needed=True)
    return Fault("module-and-package-side-by-side", because, sites=sites, error=error, experiment=run)


# What stands in the file's place: the next of its name on the path.
_NEXT_ON_THE_PATH = """import importlib.machinery, importlib.util, os, sys
_own = os.path.realpath({up})
_path = [folder for folder in sys.path if os.path.realpath(folder or ".") != _own]
_spec = importlib.machinery.PathFinder.find_spec(__name__, _path)
sys.modules[__name__] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[__name__])
"""


def _library_itself(case: Case, file: str, library: str, lacking: str, words: str) -> Experiment | None:
    """The run in which the library is found under its name: then it has what was asked, or the name was never its own."""
    if file not in case.sources:
        return None
    up = "os.path.dirname(__file__)"
    up = f"os.path.dirname({up})" if file.endswith("/__init__.py") or file == "__init__.py" else up
    fragments = (words, f"cannot import name '{lacking}' from '{library}'", f"'{library}' has no attribute '{lacking}'")
    edits = {file: _NEXT_ON_THE_PATH.format(up=up)}
    return Experiment(f"the library {library} found in place of {file}", case.incident, gone(*fragments), edits)


def import_failure_swallowed(case: Case) -> Fault | None:
    """A module of the application failed to import, somebody caught that, and what it would have brought is missing."""
    for swallowed in case.trace.swallowed:
        if "ImportError" not in swallowed.error.type and "ModuleNotFoundError" not in swallowed.error.type:
            continue
        catcher = case.trace.catcher(swallowed)
        failed = [import_ for import_ in case.trace.imports if import_.error is not None and import_.application]
        failed = [import_ for import_ in failed if import_.error.comes_from(swallowed.error)]
        missing = _missing(case, failed)
        if swallowed.site is None or catcher is None or not missing:
            continue  # what is optional and changes nothing is nobody's fault
        names = ", ".join(dict.fromkeys(import_.module for import_ in failed))
        because = (
            f"{names} failed to import, at {swallowed.site}: {swallowed.error}",
            f"{catcher} caught it",
            f"missing since: {missing}",
        )
        sites = (Place.of("raised", swallowed.site), Place.of("caught", catcher))
        experiment = _alone(case, failed[-1])
        return Fault("import-failure-swallowed", because, sites=sites, error=swallowed.error, experiment=experiment)
    return None


def _missing(case: Case, failed: list[Import]) -> str | None:
    """The first route, endpoint, task or table that a failed module declares and that is nowhere."""
    there = {entry.key for entry in case.trace.entries}
    # What a revision creates is on a metadata of Alembic's own, and no model.
    tables = {r.table for r in case.trace.registrations if r.application and not r.removed}
    for import_ in failed:
        for node in ast.walk(case.tree(import_.file or "")):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                path = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
                if isinstance(path, ast.Constant) and isinstance(path.value, str) and path.value not in there:
                    return f"{path.value} of {node.name} at {import_.file}:{node.lineno}"
        for task in (task for task in case.tasks if task.file == import_.file):
            name = task.table or f"{import_.module}.{task.class_}"
            if name not in there:
                return f"the task {name} at {task.file}:{task.line}"
        for named in (named for named in case.named if named.file == import_.file):
            if named.table not in tables:
                return f"the table {named.table} of {named.class_ or 'Table()'} at {named.file}:{named.line}"
    return None


def _alone(case: Case, failed: Import) -> Experiment | None:
    """The import of the failed module by itself."""
    step = Step.model_validate({"import": failed.module})

    def judge(trace) -> tuple[bool | None, str]:
        error = trace.steps[0].error
        return (failed.error.text in error or None, f"it fails: {error}") if error else (False, "it succeeds")

    return Experiment(f"import {failed.module} by itself", with_steps(case.incident, [step]), judge)


def module_not_on_path(case: Case, error: Error) -> Fault | None:
    match = said_by(error, _NO_MODULE)
    raised = "ModuleNotFoundError" in (error.type, *(name for _, name, _ in error.links))
    asks = error.site
    if match is None or raised != bool(match[1]):
        return None
    module = match[1] or match[2]
    top = module.split(".")[0]
    command = None if asks else _command_for(case, top)
    if asks is None and command is None:
        return None
    # A module that asks for its own name means another one, a library's.
    files = {file for file in _files(case) if asks is None or file != asks.file or PurePosixPath(file).stem != top}
    parts = [file.removesuffix(".py").split("/") for file in files]
    # Those that have to be on the path for a file to be part of that module.
    folders = {"/".join(names[: names.index(top)]) for names in parts if top in names}
    if asks and folders and "is not a package" in error.text:
        return _file_in_front(case, error, asks, module, min(folders) or ".")
    path = set(case.incident.app.path)
    folders -= {"" if folder == "." else folder for folder in path}
    above = {parent.as_posix() for parent in PurePosixPath(asks.file).parents} if asks else set()
    near = {folder for folder in folders if (folder or ".") in above}
    folders = near if len(near) == 1 else folders  # of several, the one that the asking file is in
    if len(folders) != 1:
        return None
    folder = folders.pop() or "."
    asker = str(asks) if asks else f"step {command[0]}"
    because = (
        f"{asker} asks for {module}, and no folder on the path of this step holds it: {first_line(str(error))}",
        f"the folder {folder} of the application holds {top}; on the path were {', '.join(sorted(path)) or 'none of its folders'}"
        + (f", and it ran in {case.incident.app.workdir}" if case.incident.app.workdir != "." else ""),
    )
    late = _put_late(case, asks, folder) if asks and asks.function == "<module>" else []
    because += tuple(f"{place} puts a folder on the path, below the import that needs it" for place in late)
    app = case.incident.app.model_copy(update={"path": [*case.incident.app.path, folder]})
    changed = case.incident.model_copy(update={"app": app})
    experiment = Experiment(f"the same steps with {folder} on the path", changed, gone(match[0]))
    asked = Place.of("asks", asks, module) if asks else _meant(case, folder, command[1])
    return Fault("module-not-on-path", because, sites=(asked, *late), error=error, experiment=experiment)


def _put_late(case: Case, asks: Frame, folder: str) -> list[Place]:
    """The first line below an import, in no function, that puts a folder on the path, as far as its text tells which."""
    tree, inside = case.tree(asks.file), f"/{folder.strip('./')}"
    for n, line in enumerate(case.sources.get(asks.file, "").splitlines(), 1):
        text = text_at(tree, n) if n > asks.line and "sys.path" in line else ""
        named = [f"/{word.strip('./')}" for word in re.findall(r"'([^']*)'", text) if word.strip("./")]
        holds = not named or any(name.endswith(inside) or inside.endswith(name) for name in named)
        adds = holds and re.match(r"sys\.path(\.(append|insert|extend)\(| \+= )", text)
        if adds and not nodes_at(tree, n, ast.FunctionDef, ast.AsyncFunctionDef):
            return [Place("path", asks.file, n)]
    return []


def _file_in_front(case: Case, error: Error, asks: Frame, module: str, folder: str) -> Fault:
    """A file of the application is found first under the name of one of its packages, as the folder of a script comes before all others."""
    top = module.split(".")[0]
    first = next((i.file for i in case.trace.imports if i.module == top and i.application), asks.file)
    because = (
        f"{asks} asks for {module}, and {first} is found first under the name {top}: {first_line(str(error))}",
        f"the package {top} is in the folder {folder} of the application, which comes after the folder of {first}",
    )
    sites = (Place.of("asks", asks, module), Place("in front", first, 1, top, top))
    now, then = f"python {first}", f"python -m {first[:-3].replace('/', '.')}"
    steps = [Step.model_validate({step.kind: step.text.replace(now, then)}) for step in case.incident.startup]
    typed = folder == "." and any(now in step.text for step in case.incident.startup)
    run = f"{first} run as a module, from the folder {folder}"
    experiment = Experiment(run, with_steps(case.incident, steps), gone(first_line(error.text))) if typed else None
    against = {"circular-import": "the package is never reached"}
    return Fault("module-not-on-path", because, sites=sites, against=against, error=error, experiment=experiment)


def _command_for(case: Case, top: str) -> tuple[int, str] | None:
    """The failed step whose command line names a module, as ``gunicorn app.wsgi:app`` does, or a notebook: its number, and the whole name."""
    named = re.compile(rf"(?<![\w./-]){re.escape(top)}(?:\.\w+)*(?![\w/-])")
    failed = [step for step in case.trace.steps if step.ok is False and step.kind in ("serve", "command")]
    variables = " ".join(case.incident.app.env.values())
    steps = ((step, named.search(step.text) or named.search(variables)) for step in failed)
    # A notebook's cells are in no file of Python.
    return next(((s.number, match[0] if match else top) for s, match in steps if match or ".ipynb" in s.text), None)


def _meant(case: Case, folder: str, module: str) -> Place:
    """The file that a command means by a module's name."""
    below = PurePosixPath(folder, module.replace(".", "/"))
    usual = (f"{below}.py", f"{below}/__init__.py")
    files = sorted(_files(case), key=lambda file: (file not in usual, not file.startswith(f"{below.parent}/"), file))
    return Place("module", files[0], 1, module, module)


def _files(case: Case) -> set[str]:
    known = {statement.file for statement in case.statements} | {named.file for named in case.named}
    return known | set(case.sources) | set(case.files)


def no_such_module(case: Case, error: Error) -> Fault | None:
    """An import names a module that is nowhere: one of the application's that was moved or taken out, or a library's that is not installed."""
    match, asks = said_by(error, _NO_MODULE), error.site
    library = _needs(case, error, match[1]) if match and match[1] and asks else None
    if match is None or not match[1] or asks is None or not (library or error.frames[-1].application):
        return None  # what a driver or a plugin is looked up by is no import statement
    module, (package, _, last) = match[1], match[1].rpartition(".")
    package = "" if library else package
    holder = next((i.file for i in case.trace.imports if package and i.application and i.module == package), None)
    place = (PurePosixPath(holder or "").parent / last).as_posix()
    of_application = holder or any(f"/{module}/" in f"/{file.removesuffix('.py')}/" for file in _files(case))
    there = any(f"/{file}".startswith((f"/{place}.py", f"/{place}/")) for file in _files(case))
    if there or package and not (holder or "").endswith("__init__.py") or of_application and not package:
        return None
    sites = [Place.of("asks", asks, module)]
    because = [f"{user_of(case, error, asks, '')} asks for {module}: {first_line(str(error))}"]
    more = {"against": {"module-not-on-path": f"no folder of the application holds {module}"}, "error": error}
    if not package:
        python = f"{PurePosixPath(case.incident.python).name} has no package of that name: a library's, not installed"
        because += [f"no file of the application is {module}, and {python}"]
        top = module.partition(".")[0].lower().replace("_", "-")  # its distribution may be of another name
        because += [required(case, top)] if top in case.requirements else []
        because += [version_of(case, library)] if library else []
        sites += [Place("requirement", file, line, library) for file, line, _ in case.requirements.get(library, ())]
        return Fault("no-such-module", tuple(because), sites=tuple(sites), **more)
    left = last_there(case.incident, f"{place}.py", f"{place}/__init__.py")
    same_name = [file for file in sorted(_files(case)) if PurePosixPath(file).name == f"{last}.py"]
    now = left.now if left is not None else same_name[0] if len(same_name) == 1 else None
    seen = f"{now} has that name" if now else "nor does the history of this build show one that it had"
    because.append(f"{holder} is the package {package}, and it holds no {last}: {left.sentence if left else seen}")
    sites += [Place("same name" if left is None else "is now", now, 1, case.module_of(now))] if now else []
    if now:
        file, text, says = f"{place}.py", _STANDS_FOR.format(case.module_of(now)), f"{now} under its old name too"
    elif left is not None:
        file, text, says = left.file, left.text, f"{left.file} as it was before"
    else:
        file, text, says = f"{place}.py", "", f"an empty module {module}"
    run = Experiment(says, case.incident, gone(match[0]), {file: text})
    return Fault("no-such-module", tuple(because), sites=tuple(sites), experiment=run, **more)


def _needs(case: Case, error: Error, module: str) -> str | None:
    """The installed library a module's body of which asks for one that is missing, and that no other library has."""
    there, top = installed(case.incident.python), module.partition(".")[0]
    last = error.frames[-1]
    own = last.application or any(top in file.removesuffix(".py").split("/") for file in _files(case))
    known = own or top in sys.stdlib_module_names or there.version(top)
    asks = not known and last.function == "<module>" and f"'{module}'" in error.text
    return library_of(case, last) if asks else None


MECHANISMS = of_failures(module_behind_package, library_shadowed) + [circular_import, import_failure_swallowed]
MECHANISMS += of_failures(no_such_module) + of_failures(module_not_on_path)
