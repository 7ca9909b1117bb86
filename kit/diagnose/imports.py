"""Imports that fail, and what of it somebody catches: cycles, swallowed failures, classes that nobody imported."""

import ast
import re
from collections.abc import Callable

from ..incident.steps import Step
from ..trace.values import Error, Frame, Import, application_frames
from .case import Case, Experiment, Fault, Place, innermost
from .variants import with_steps

_PARTIAL = re.compile(r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'")
_ATTRIBUTE = re.compile(r"partially initialized module '([\w.]+)'.* has no attribute '(\w+)'")
_LOCATE = re.compile(r"expression ['\"](.+?)['\"] failed to locate a name \(['\"](\w+)['\"]\)")
_CAUGHT = (ImportError, ModuleNotFoundError, Exception, BaseException)


def circular_import(case: Case) -> Fault | None:
    """A name is asked of a module whose body is still running, and which led to the import that asks."""
    for import_ in case.trace.imports:
        error = import_.error
        asked = _asked_of(error) if error is not None and import_.application else None
        frame = innermost(error) if asked else None
        if frame is None or error not in case.failures:
            continue  # a cycle that somebody catches and that nothing comes of
        name, module = asked
        frames = [*application_frames(import_.chain), *application_frames(error.frames)]
        running = [one for one in frames if one.module == module and one.function == "<module>"]
        if not running or running[0] == frame:
            continue  # that module is not on the way: it has no such name
        leads = running[0]
        sites = [Place.of("asks", frame, name), Place.of("leads back", leads)]
        binds = _binding_of(case, leads.file, name)
        said = f"{leads}, in the body of {module}, leads to {frame}, which asks {module} for {name} while that body is still running"
        if binds is not None and binds > leads.line:
            sites.append(Place("binds", leads.file, binds, name))
            said += f"; the name is bound at {leads.file}:{binds}"
        return Fault("circular-import", (said, f"seen as: {error}"), sites=tuple(sites), error=error)
    return None


def _asked_of(error: Error) -> tuple[str, str] | None:
    """``(name, module)`` that an error says is asked of a module that has not got it."""
    if (found := _PARTIAL.search(error.text)) is not None:
        return found[1], found[2]
    if (found := _ATTRIBUTE.search(error.text)) is not None:
        return found[2], found[1]
    return None


def _binding_of(case: Case, file: str, name: str) -> int | None:
    """The line at module level that binds a name; None where there is none."""
    tree = case.tree(file)
    for node in tree.body if tree is not None else ():
        names = {getattr(node, "name", None)}
        names |= {target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)}
        names |= {getattr(getattr(node, "target", None), "id", None)}
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        if name in names:
            return node.lineno
    return None


def import_failure_swallowed(case: Case) -> Fault | None:
    """A module of the application failed to import, somebody caught that, and what it would have brought is missing."""
    for swallowed in case.trace.swallowed:
        if "ImportError" not in swallowed.error.type and "ModuleNotFoundError" not in swallowed.error.type:
            continue
        catcher = _catcher(case, swallowed.chain, swallowed.error)
        failed = [one for one in case.trace.imports if one.error is not None and one.application]
        failed = [one for one in failed if one.error.comes_from(swallowed.error)]
        missing = _missing(case, failed)
        if swallowed.site is None or catcher is None or not missing:
            continue  # what is optional and changes nothing is nobody's fault
        names = ", ".join(dict.fromkeys(one.module for one in failed))
        because = (
            f"{names} failed to import, at {swallowed.site}: {swallowed.error}",
            f"{catcher} caught it",
            f"missing since: {missing}",
        )
        sites = (Place.of("raised", swallowed.site), catcher)
        return Fault(
            "import-failure-swallowed", because, sites=sites, error=swallowed.error, experiment=_alone(case, failed[-1])
        )
    return None


def _catcher(case: Case, chain: tuple[Frame, ...], error: Error) -> Place | None:
    """The handler that caught an error: of the frames outside the failed bodies, the innermost with a fitting one."""
    for frame in application_frames(chain)[::-1]:
        tree = case.tree(frame.file)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Try) and node.body[0].lineno <= frame.line <= (node.body[-1].end_lineno or 0):
                for handler in node.handlers:
                    if handler.type is None or any(one.__name__ in ast.unparse(handler.type) for one in _CAUGHT):
                        return Place("caught", frame.file, handler.lineno, None, frame.module)
            inside = isinstance(node, ast.With) and node.lineno <= frame.line <= (node.end_lineno or 0)
            if inside and any("suppress(" in ast.unparse(item.context_expr) for item in node.items):
                return Place("caught", frame.file, node.lineno, None, frame.module)
    return None


def _missing(case: Case, failed: list[Import]) -> str | None:
    """The first route, endpoint or task that a failed module declares and that no registry has."""
    there = {entry.key for entry in case.trace.entries}
    for import_ in failed:
        tree = case.tree(import_.file or "")
        for node in ast.walk(tree) if tree is not None else ():
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                path = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
                if isinstance(path, ast.Constant) and isinstance(path.value, str) and path.value not in there:
                    return f"{path.value} of {node.name} at {import_.file}:{node.lineno}"
    return None


def _alone(case: Case, failed: Import) -> Experiment | None:
    """The import of the failed module by itself."""
    if case.incident is None:
        return None
    step = Step.model_validate({"import": failed.module})

    def judge(trace) -> tuple[bool | None, str]:
        error = trace.steps[0].error
        return (True, f"it fails: {error}") if error else (False, "it succeeds")

    return Experiment(f"import {failed.module} by itself", with_steps(case.incident, [step]), judge)


def class_not_imported(case: Case) -> Fault | None:
    """A relationship names a class that the sources define and that this process never imported."""
    for error in case.errors:
        found = next((m for text in (error.text, *(t for _, _, t in error.links)) if (m := _LOCATE.search(text))), None)
        if found is None:
            continue
        name = found[2]
        owner = next((m[1] for m in [re.search(r"Mapper\[(\w+)", error.text)] if m), None)
        defined = next((named for named in case.named if named.class_ == name), None)
        if defined is None:
            continue
        sites = [Place("class", defined.file, defined.line, name)]
        relation = next((place for file in case.sources if (place := _relation(case, file, owner, name))), None)
        sites = [relation, *sites] if relation is not None else sites
        because = (
            f"the relationship at {relation or 'an unseen place'} names {name}, which {defined.file}:{defined.line} defines",
            f"{case.module_of(defined.file)} was not imported in the process that configured its mappers: {error}",
        )
        return Fault("class-not-imported", because, sites=tuple(sites), error=error)
    return None


def _relation(case: Case, file: str, owner: str | None, name: str) -> Place | None:
    """The ``relationship()`` of a class that names another by a string."""
    tree = case.tree(file)
    for class_ in ast.walk(tree) if tree is not None else ():
        if isinstance(class_, ast.ClassDef) and owner in (None, class_.name):
            for node in ast.walk(class_):
                called = isinstance(node, ast.Call) and ast.unparse(node.func).lower().endswith("relationship")
                if called and any(isinstance(one, ast.Constant) and one.value == name for one in node.args):
                    return Place("relationship", file, node.lineno, class_.name)
    return None


MECHANISMS: tuple[Callable[[Case], Fault | None], ...] = (circular_import, class_not_imported, import_failure_swallowed)
