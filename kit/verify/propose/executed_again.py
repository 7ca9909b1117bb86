"""One file that is executed twice: under two names, as the program, by a reload or by its path."""

import re
from collections.abc import Iterator

from ...incident.model import Incident
from . import edits, edits_of_functions
from .failing_build import Broken, Candidate, first, strings


def one_spelling(broken: Broken) -> Iterator[Candidate]:
    """Two names for one file: ask for it by one of them everywhere, that which fewer statements have to change for."""
    prefixes = _two_names(broken)
    if prefixes is None:
        return
    texts, named = "\n".join(broken.sources.values()), " ".join(step.text for step in broken.incident.startup)

    def cost(pair: tuple[str, str]) -> tuple[bool, int]:
        imports = len(re.findall(rf"(?:from|import)\s+{re.escape(pair[0])}\b", texts))
        return f"{pair[0]}." in named, imports

    for old, new in sorted([prefixes, prefixes[::-1]], key=cost):
        changed = broken.edited_everywhere(edits.rename_module, old, new, broken.defines)
        startup = _renamed_steps(broken.incident, old, new)
        if changed or startup:
            says = f"Use the name {new} in place of {old} everywhere: the file then has one module name, and is executed once."
            yield Candidate(f"import-as-{new}", says, changed, startup=startup)


def _two_names(broken: Broken) -> tuple[str, str] | None:
    """What the two module names of a file begin with: of the definitions, else of the first file that ran under two."""
    if broken.pair is not None:
        pairs = [tuple(definition.frame.module or "" for definition in broken.pair)]
    else:
        ran: dict[tuple, str] = {}
        bodies = [body for body in broken.trace.imports if body.application and body.real and body.how == "import"]
        pairs = [(ran.setdefault((body.process, body.real), body.module), body.module) for body in bodies]
    for name, other in pairs:
        if name != other and not name.startswith("__") and not other.startswith("__"):
            return _prefixes(name, other)
    return None


def _prefixes(name: str, other: str) -> tuple[str, str] | None:
    """What two names of one module begin with, without the parts at their ends that are the same; but each with one of those."""
    a, b = name.split("."), other.split(".")
    while len(a) > 1 and len(b) > 1 and a[-2:] == b[-2:]:
        a, b = a[:-1], b[:-1]
    return None if a == b else (".".join(a), ".".join(b))


def _renamed_steps(incident: Incident, old: str, new: str) -> list[dict[str, str]] | None:
    steps = [{step.kind: re.sub(rf"(?<![\w.]){re.escape(old)}(?=[.:])", new, step.text)} for step in incident.startup]
    return steps if steps != [{step.kind: step.text} for step in incident.startup] else None


def main_as_object(broken: Broken) -> Iterator[Candidate]:
    """A program that is imported again by its own name: hand over the object in place of the name."""
    file, name = _program(broken)
    for line, value in strings(broken.sources.get(file, "")):
        module, colon, attribute = value.partition(":")
        if colon and module == name and attribute.isidentifier():
            says = f"Pass {attribute} itself in {file}:{line}, not its name: {name} is then not imported a second time."
            by_name_ = (edits.replace_string_by_name, line, value, attribute)
            yield from broken.change("hand-over-the-object", says, file, *by_name_)


def _program(broken: Broken) -> tuple[str, str]:
    """The file that runs as the program, and the name by which it is imported again; "" where they are not known."""
    if broken.pair is not None:
        both = [(definition.site.file, definition.frame.module or "") for definition in broken.pair]
    else:
        both = [(place.file, place.module or "") for place in broken.sites("first", "second")]
    main = next((file for file, module in both if module.startswith("__")), "")
    return main, next((module for _, module in both if not module.startswith("__")), "")


def no_reload(broken: Broken) -> Iterator[Candidate]:
    """A module that is executed again: take the reload out, or what takes it out of ``sys.modules``."""
    for registration in reversed(broken.both):
        for frame in reversed(registration.chain):
            text = broken.sources.get(frame.file) if frame.application else None
            if text is None or frame.file == registration.site.file:
                continue
            lines = text.splitlines()
            for line in range(frame.line, max(0, frame.line - 12), -1):
                source = lines[line - 1] if line <= len(lines) else ""
                if re.search(r"\breload\(|sys\.modules\.pop\(|del sys\.modules\[|run_path\(|exec_module\(", source):
                    says = f"Remove {source.strip()} in {frame.file}:{line}: the module then stays imported, and nothing is defined twice."
                    alone = "reload(" not in source or source.lstrip().startswith(("reload(", "importlib.reload("))
                    removed = edits.remove_statement if alone else edits.without_reload
                    yield from broken.change("without-second-execution", says, frame.file, removed, line, last=True)
                    return


def by_name(broken: Broken) -> Iterator[Candidate]:
    """A file that is loaded by its path: import it by its name, so that ``sys.modules`` has it for all who ask."""
    packages = ((definition.frame.module or "").rpartition(".")[0] for definition in broken.both)
    package = next(filter(None, packages), "")
    says = "Let {0.function}() in {0.file} import {1}.NAME in place of loading the file by its path: a module that is already imported is then not executed again.".format
    frames = [frame for frame in reversed(broken.both[1].chain) if frame.application and package]
    by_name_ = edits_of_functions.import_by_name
    yield from first(
        broken.change("import-by-name", says(it, package), it.file, by_name_, it.line, package) for it in frames
    )


def package_of_tests(broken: Broken) -> Iterator[Candidate]:
    """A folder above a package that is none itself: with an ``__init__.py`` a test runner finds the names that the application uses."""
    longer, shorter = sorted((definition.frame.module or "" for definition in broken.both), key=len, reverse=True)
    file = broken.both[0].site.file
    if not longer.endswith("." + shorter):
        return
    stem = file.removesuffix(".py").removesuffix("/__init__")
    root = stem.removesuffix(longer.replace(".", "/"))
    missing = longer.removesuffix("." + shorter).split(".")
    changed: dict[str, str] = {}
    for depth in range(1, len(missing) + 1):
        path = root + "/".join([*missing[:depth], "__init__.py"])
        if path not in broken.sources:
            changed[path] = f'"""The package {".".join(missing[:depth])}."""\n'
    if changed:
        says = f"Make {'.'.join(missing)} a package, with {', '.join(changed)}: the test runner and the application then have one name for the file, {longer}."
        yield Candidate("make-it-a-package", says, changed)
