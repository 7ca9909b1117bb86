"""Imports that are missing, that fail, or that go in a circle."""

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...diagnose.values import Place
from ...incident.source import absolute, parsed
from . import edits, edits_of_classes, edits_of_functions, edits_of_imports
from .failing_build import Broken, Candidate
from .statements import Module, bound_by, names_read


def import_models(broken: Broken) -> Iterator[Candidate]:
    """Model modules that ``env.py`` does not import: import them where the project imports the others."""
    files = [place.file for place in broken.sites("table", "first", "second")]
    env = env_of(broken.sources)
    for place in _gathering(broken, env) if env is not None else ():
        says = f"Import {', '.join(dict.fromkeys(files))} in {place}: autogenerate and check then see their tables."
        stem = "env" if place == env else posixpath.basename(place).removesuffix(".py").strip("_")
        yield from broken.change(f"import-in-{stem}", says, place, lambda _, at=place: imported_in(broken, at, files))
    yield from _declared_too(broken, env and imported_in(broken, env, files))


def _gathering(broken: Broken, env: str) -> list[str]:
    """Where models are imported for ``env.py``: a module that it asks for, if that imports more of them; and itself."""
    models = {broken.module_of(r.site.file) for r in broken.trace.registrations if r.application}

    def asked(file: str) -> list[str]:
        package, nodes = broken.package_of(file), parsed(broken.sources[file]).body
        return [name for node in nodes for name in _modules_asked(node, package)]

    files = [env, *filter(None, map(broken.file_of, dict.fromkeys(asked(env))))]
    best = max(files, key=lambda file: len(models & {*asked(file)}))
    return list(dict.fromkeys([best, env]))


def _modules_asked(node: ast.stmt, package: str) -> list[str]:
    """The modules that an import may ask for, those of its names among them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = absolute(node.module, package, node.level)
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return []


def _declared_too(broken: Broken, imported: str | None) -> Iterator[Candidate]:
    """Tables that a revision makes and no model has: declare them as the revision does, beside the models that are imported."""
    env = env_of(broken.sources)
    text = imported or broken.sources.get(env or "", "")
    target = edits_of_classes.target_of(text)
    base = (target or "").partition(".")[0]
    asking = (node for node in parsed(text).body if isinstance(node, ast.ImportFrom))
    home = next((node.module for node in asking if base in {alias.name for alias in node.names}), None)
    owner = broken.file_of(home)
    changed: dict[str, str] = {}
    names = [place.name or "table" for place in broken.sites("made by a migration, in no model") if owner]
    for name in names:
        stem = re.sub(r"\W", "_", name)
        file, columns = posixpath.join(posixpath.dirname(owner), f"{stem}.py"), broken.created.get(name, ())
        declaration = edits_of_classes.table_of_columns(name, columns, target, f"from {home} import {base}")
        if not columns or declaration is None or file in broken.sources:
            return
        changed[file] = declaration
        statement = f"import {'.'.join([*home.split('.')[:-1], stem])}  # noqa: F401"
        text = edits_of_imports.add_import(text, statement) or text
    if changed:
        says = (
            f"Import in {env} the models that it misses, and declare {', '.join(names)} as the revision makes it: no model has it. "
            "Decide whether it is still needed; nothing is dropped."
        )
        yield Candidate("import-and-declare", says, {**changed, env: text})


def imported_in(broken: Broken, place: str, files: Iterable[str]) -> str | None:
    """A file with an import of each of these files as it imports others; None where it has them all."""
    text = broken.sources[place]
    for file in dict.fromkeys(files):
        if file in broken.sources and file != place:
            names = _mapped_in(broken.sources[file])
            module, package = broken.module_of(file), broken.package_of(place)
            text = edits_of_imports.import_like_others(text, module, names, package, broken.modules)
    return text if text != broken.sources[place] else None


def _mapped_in(text: str) -> list[str]:
    """The classes of a source that say their table."""
    classes = [node for node in parsed(text).body if isinstance(node, ast.ClassDef)]
    named = [node.name for node in classes if any("__tablename__" in bound_by(part) for part in node.body)]
    return sorted({*named, *(node.name for node in classes if any(word.arg == "table" for word in node.keywords))})


def env_of(sources: Mapping[str, str]) -> str | None:
    """The path of Alembic's ``env.py``."""
    named = (file for file in sorted(sources) if posixpath.basename(file) == "env.py")
    return next((file for file in named if "target_metadata" in sources[file]), None)


def import_class(broken: Broken) -> Iterator[Candidate]:
    """A class that a relationship names and nobody imported: import it in its package's face, or beside the relationship's module."""
    missing = broken.sites("class", "definition", "defined", "second") or broken.sites()[-1:]
    asking = [place for place in broken.sites() if place not in missing] or broken.sites()[:1]
    for place in missing[:1]:
        module = broken.module_of(place.file)
        package = posixpath.join(posixpath.dirname(place.file), "__init__.py")
        says = f"Import {module} in {package}: an import of one model of the package then brings all of them."
        if "." in module:
            face = (package, lambda _, of=(package, [place.file]): imported_in(broken, *of))
            yield from broken.change("import-in-package", says, *face)
        says = f"Import {module} at the end of {{}}: the class is then there when its name is looked up."
        below = f"\n\n\nimport {module}  # noqa: E402, F401\n"
        for file in [other.file for other in asking[:1] if other.file != place.file]:
            at_end = (file, lambda text, more=below: text.rstrip("\n") + more)
            yield from broken.change("import-beside", says.format(file), *at_end)


def break_cycle(broken: Broken) -> Iterator[Candidate]:
    """Modules that import each other: put the name that both need into a module of its own, or import it where it is used."""
    yield from unknotted(broken, [place for place in broken.sites() if place.file in broken.sources])


def first_import_succeeds(broken: Broken) -> Iterator[Candidate]:
    """A module whose first import failed half way: mend what it failed of, so that nobody imports it again."""
    file, at = broken.both[0].site.file, broken.both[1].at
    failed = [b for b in broken.trace.imports if b.error is not None and b.file == file and (b.ended or 0) <= at]
    if not failed:
        return
    frames = [frame for frame in failed[0].error.frames if frame.application and frame.function == "<module>"]
    places = [Place.of("asks", frame) for frame in frames if frame.file in broken.sources]
    if "ImportError" in failed[0].error.type:
        yield from unknotted(broken, places)
    for place in [place for place in places if place.file == file] or places[:1]:
        yield from _when_needed(broken, place)


def _when_needed(broken: Broken, place: Place) -> Iterator[Candidate]:
    text = broken.sources.get(place.file)
    bound = Module(text).at(place.line) if text else None
    module = broken.module_of(place.file)
    unused = bound and bound.is_import and not _used(broken, place.file, module, text, bound.binds)
    if not bound or any(_asks(other, module, bound.binds) for file, other in broken.python if file != place.file):
        return
    names = sorted(bound.binds)
    name, edit = f"{'-'.join(names)}-when-needed", edits_of_functions.when_needed
    says = f"Read {', '.join(names)} in {place.file} where it is used, not while the module is imported: the import then succeeds without it."
    if unused:
        name, edit = f"without-{'-'.join(names)}", edits.remove_statement
        says = f"Leave out the import of {', '.join(names)} at {place}: nothing there or elsewhere uses it."
    yield from broken.change(name, says, place.file, edit, place.line)


def _used(broken: Broken, file: str, module: str, text: str, names: Iterable[str]) -> bool:
    """May a module use what it imports, or be asked for it as an attribute, by a text, or with all of its names?"""
    if file.endswith("__init__.py") or edits_of_functions.users_of(parsed(text), {*names}) != set():
        return True
    leaf, either = module.rpartition(".")[2], "|".join(map(re.escape, names))
    use = re.compile(rf"\b{leaf}\.(?:{either})\b|from \S*\b{leaf} import \*")
    named = re.search(rf"[\"'](?:{either})[\"']", text)
    return bool(named) or any(use.search(other) for _, other in broken.python)


def _asks(text: str, module: str, names: Iterable[str]) -> bool:
    """Does a source import one of the names from a module?"""
    asking = (node for node in ast.walk(parsed(text)) if isinstance(node, ast.ImportFrom) and node.module)
    return any(module.endswith(node.module) and {a.name for a in node.names} & set(names) for node in asking)


def unknotted(broken: Broken, places: Sequence[Place]) -> Iterator[Candidate]:
    """For the import statements of a cycle: the name apart, or the import where it is used."""
    for place in places:
        asking = (node for node in ast.walk(parsed(broken.sources[place.file])) if isinstance(node, ast.ImportFrom))
        statement = next((node for node in asking if node.lineno == place.line), None)
        if statement is None or statement.level or len(statement.names) != 1:
            continue
        module, name = statement.module, statement.names[0].name
        owner = broken.file_of(module)
        binding = owner and _simple_binding(broken.sources[owner], name)
        if binding:
            yield from _own_module(broken, owner, module, name, binding)
    for place in places:
        yield from _when_needed(broken, place)


@dataclass(frozen=True)
class _Binding:
    """``name = Library()`` at the top level, and how it is made in a module of its own.

    :ivar line: its first line
    :ivar statement: what the module of its own says
    :ivar needed: the import statements that this needs
    :ivar later: what stays in its place, where only a part of it can be moved
    """

    line: int
    statement: str
    needed: tuple[str, ...]
    later: str | None = None


def _simple_binding(text: str, name: str) -> _Binding | None:
    """The binding of a name, by names that are imported only; an extension that is given the application gets it later."""
    tree, imports = parsed(text), {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports |= {(alias.asname or alias.name).split(".")[0]: (node, alias) for alias in node.names}
    assigned = (node for node in tree.body if isinstance(node, ast.Assign))
    node = next((node for node in assigned if [ast.unparse(target) for target in node.targets] == [name]), None)
    if node is None:
        return None
    used, later = names_read(node.value), None
    statement = ast.get_source_segment(text, node) or ast.unparse(node)
    if not used <= set(imports):
        call = node.value
        plain = isinstance(call, ast.Call) and not call.keywords and [type(arg) for arg in call.args] == [ast.Name]
        if not plain or not names_read(call.func) <= set(imports):
            return None
        used = names_read(call.func)
        statement, later = f"{name} = {ast.unparse(call.func)}()", f"{name}.init_app({call.args[0].id})"
    lines = []
    for import_, alias in (imports[part] for part in sorted(used)):
        from_ = isinstance(import_, ast.ImportFrom)
        only = ast.ImportFrom(import_.module, [alias], import_.level) if from_ else ast.Import([alias])
        lines.append(ast.unparse(ast.fix_missing_locations(only)))
    return _Binding(node.lineno, statement, tuple(lines), later)


def _own_module(broken: Broken, owner: str, module: str, name: str, made: _Binding) -> Iterator[Candidate]:
    called = made.statement.rstrip().endswith(")") and "(" in made.statement.partition("=")[2].lstrip(" (")
    stems = ("extensions" if called else name.lower(), f"{name.lower()}_only")
    files = (posixpath.join(posixpath.dirname(owner), f"{stem}.py") for stem in stems)
    file = next((file for file in files if file not in broken.sources), None)
    if file is None:
        return
    package = module if posixpath.basename(owner) == "__init__.py" else module.rpartition(".")[0]
    new_module = f"{package}.{posixpath.basename(file)[:-3]}".lstrip(".")
    asked, text = f"from {new_module} import {name}", broken.sources[owner]
    left = edits.replace_at(text, made.line, made.later or asked)
    if left is not None and made.later is not None:
        left = edits_of_imports.add_import(left, asked)
    if left is None:
        return
    along = broken.edited_everywhere(edits_of_imports.import_from, module, [name], new_module, but=owner)
    head = "\n".join(made.needed) + "\n\n" * bool(made.needed)
    edited = {file: f"{head}{made.statement}\n", owner: edits_of_imports.without_unused_imports(left, text)}
    says = f"Create {name} in a module of its own, {file}, and import it from there: neither module then needs the other while it is being executed."
    yield Candidate(f"own-module-for-{name}", says, {**edited, **along})


def name_that_is_there(broken: Broken) -> Iterator[Candidate]:
    """An import that fails, and that somebody swallows: ask for the name where it is, or by what it is called now."""
    text = broken.fault.error.text if broken.fault.error else ""
    match = re.search(r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'", text)
    for place in broken.sites("raised"):
        if not match:
            yield from _when_needed(broken, place)
            continue
        name, module = match.groups()
        homes = [broken.module_of(file) for file, source in broken.python if _defines(source, name)]
        for home in [home for home in homes if home != module]:
            says = f"Import {name} in {place.file} from {home}, where it is defined; {module} has no such name."
            there = (edits_of_imports.import_from, module, [name], home)
            yield from broken.change(f"import-from-{home}", says, place.file, *there)
        for other in _called_now(broken, module, name, broken.sources.get(place.file, "")):
            says = (
                f"Import {other} of {module} as {name} in {place.file}: it is the only name there that nobody asks for, and has "
                "a word in common. Whether it is the same is for you to decide."
            )
            renamed = (edits_of_imports.import_as, module, name, other)
            yield from broken.change(f"import-{other}", says, place.file, *renamed)


def _defines(text: str, name: str) -> bool:
    return any(getattr(node, "name", None) == name for node in parsed(text).body)


def _called_now(broken: Broken, module: str, name: str, text: str) -> list[str]:
    """The one function or class of a module that nothing asks for, that shares a word with a name and takes what it is given."""
    file = broken.file_of(module)
    others = " ".join(source for other, source in broken.sources.items() if other != file)
    words = {word for word in name.lower().split("_") if len(word) > 2}
    defined = parsed(broken.sources.get(file or "", "")).body
    parts = [node for node in defined if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    alike = [node for node in parts if words & set(node.name.lower().split("_"))]
    likely = [node for node in alike if not re.search(rf"\b{node.name}\b", others)]
    calls = [call for call in ast.walk(parsed(text)) if isinstance(call, ast.Call) and ast.unparse(call.func) == name]
    return [node.name for node in likely if all(_takes(node, call) for call in calls)] if len(likely) == 1 else []


def _takes(node: ast.FunctionDef | ast.ClassDef, call: ast.Call) -> bool:
    """Does a function take as many arguments as a call gives? Of a class that is not looked into."""
    if isinstance(node, ast.ClassDef) or node.args.vararg or node.args.kwarg:
        return True
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    passed = len(call.args) + len(call.keywords)
    optional = len(node.args.defaults) + sum(default is not None for default in node.args.kw_defaults)
    starred = any(isinstance(arg, ast.Starred) for arg in call.args)
    return starred or len(named) - optional <= passed <= len(named)


def on_the_path(broken: Broken) -> Iterator[Candidate]:
    """A module that no folder on the path holds, and one of the application does: put that folder on the path."""
    path = broken.incident.app.path
    for place in (*broken.sites("asks"), *broken.sites("module")):
        top = (place.name or "").partition(".")[0]
        asker = place.file if place.role == "asks" and place.file.rpartition("/")[2] == f"{top}.py" else None
        parts = [file.removesuffix(".py").split("/") for file, _ in broken.python if file != asker]
        folders = sorted({"/".join(names[: names.index(top)]) or "." for names in parts if top in names} - set(path))
        if len(folders) == 1 and top:
            says = f"Put the folder {folders[0]} on the path (PYTHONPATH): it holds {top}."
            yield Candidate(f"path-{folders[0].replace('/', '-')}", says, path=[*path, folders[0]])


def from_its_new_place(broken: Broken) -> Iterator[Candidate]:
    """A module that was moved, or one that another package has: ask for it there, but for revisions, which a database may have run."""
    for asks in broken.sites("asks"):
        for place in broken.sites("is now", "same name"):
            changed = broken.edited_everywhere(edits.rename_module, asks.name, place.name)
            changed = {file: text for file, text in changed.items() if not re.search(r"^revision\b", text, re.M)}
            says = f"Import {place.name} where {asks.name} is imported: there is no such module any more."
            yield Candidate(f"import-from-{place.name}", says, changed)
