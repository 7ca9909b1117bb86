"""Changes that may cure, one function a mechanism: from what was seen and the sources to candidates, the likeliest first.

What only hides a fault (``extend_existing``, clearing the metadata, a Base of its own, ``except: pass``) is no candidate, and no
revision that a database may have run is edited.
"""

import ast
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...diagnose.case import Fault
from ...diagnose.pair import Finding
from ...incident.model import Incident
from ...incident.source import module_name
from ...trace.trace import Trace
from ...trace.values import Conflict, Registration
from . import edits


@dataclass(frozen=True)
class Candidate:
    """A change, as an experienced person would try it.

    :ivar says: what it does and why it should cure, as a sentence
    :ivar edits: file to its whole new text; None removes the file
    :ivar env, path, startup: what is set otherwise in the incident file, as in a fix of it
    """

    name: str
    says: str
    edits: dict[str, str | None] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)
    path: list[str] | None = None
    startup: list[dict[str, str]] | None = None

    def after(self, first: "Candidate") -> "Candidate":
        """Both changes as one; the sources of this one were those that ``first`` gave."""
        return replace(
            self,
            name=f"{first.name}+{self.name}",
            says=f"{first.says} {self.says}",
            edits={**first.edits, **self.edits},
            env={**first.env, **self.env},
            path=self.path or first.path,
            startup=self.startup or first.startup,
        )


@dataclass(frozen=True)
class Broken:
    """A build that fails, and what is known of it.

    :ivar sources: path to text of every file of the application that can be read as text
    :ivar agrees: of two definitions the one that the migrations agree with, ``first`` or ``second``; None: they do not tell
    :ivar failing: paths of HTTP checks that were answered 404
    """

    incident: Incident
    trace: Trace
    finding: Finding
    conflict: Conflict | None
    fault: Fault | None
    sources: Mapping[str, str]
    agrees: str | None = None
    failing: tuple[str, ...] = ()

    @property
    def pair(self) -> tuple[Registration, Registration] | None:
        if self.conflict is not None and self.conflict.first is not None:
            return self.conflict.first, self.conflict.second
        return self.fault.pair if self.fault is not None else None

    def module_of(self, file: str) -> str:
        ran = next(
            (import_.module for import_ in self.trace.imports if import_.application and import_.file == file), None
        )
        named = module_name(file, self.incident.app.path)
        return ran if ran and not ran.startswith("__") else named

    def sites(self, *roles: str):
        return [place for place in (self.fault.places if self.fault else ()) if not roles or place.role in roles]

    def edited(self, file: str, new: str | None, **more: str | None) -> dict[str, str | None]:
        """The edits that put a new text in a file's place; empty where there is nothing to put."""
        return {} if new is None else {file: new, **more}


# ----------------------------------------------------------------------------------------- one file, two executions


def one_spelling(broken: Broken) -> Iterator[Candidate]:
    """Two names for one file: ask for it by one of them everywhere, that which fewer statements have to change for."""
    first, second = broken.pair
    names = [first.frame.module or "", second.frame.module or ""]
    if names[0].startswith("__") or names[1].startswith("__"):
        return
    prefixes = _prefixes(*names)
    if prefixes is None:
        return
    counted = Counter()
    for text in broken.sources.values():
        for prefix in prefixes:
            counted[prefix] += len(re.findall(rf"(?:from|import)\s+{re.escape(prefix)}\b", text))
    named = " ".join(step.text for step in broken.incident.startup)
    for old, new in sorted([prefixes, prefixes[::-1]], key=lambda pair: (f"{pair[0]}." in named, counted[pair[0]])):
        changed = {
            file: renamed
            for file, text in broken.sources.items()
            if file.endswith(".py") and (renamed := edits.rename_module(text, old, new)) is not None
        }
        startup = _renamed_steps(broken.incident, old, new)
        if changed or startup:
            says = f"Ask for {old} as {new} everywhere: then the file has one module name, and is executed once."
            yield Candidate(f"import-as-{new}", says, changed, startup=startup)


def _prefixes(one: str, other: str) -> tuple[str, str] | None:
    """What two names of one module begin with, without the parts at their ends that are the same; but each with one of those."""
    a, b = one.split("."), other.split(".")
    alike = 0
    while alike < min(len(a), len(b)) and a[-1 - alike] == b[-1 - alike]:
        alike += 1
    cut = max(alike - 1, 0)
    a, b = a[: len(a) - cut], b[: len(b) - cut]
    return None if a == b else (".".join(a), ".".join(b))


def _renamed_steps(incident: Incident, old: str, new: str) -> list[dict[str, str]] | None:
    steps = [{step.kind: re.sub(rf"(?<![\w.]){re.escape(old)}(?=[.:])", new, step.text)} for step in incident.startup]
    return steps if steps != [{step.kind: step.text} for step in incident.startup] else None


def main_as_object(broken: Broken) -> Iterator[Candidate]:
    """A program that is imported again by its own name: hand over the object, or make the program's module known by that name."""
    first, second = broken.pair
    main, other = (first, second) if (first.frame.module or "").startswith("__") else (second, first)
    file, name = main.site.file, other.frame.module or ""
    text = broken.sources.get(file)
    if text is None or not name:
        return
    for line, value in _strings(text):
        module, colon, attribute = value.partition(":")
        if colon and module == name and attribute.isidentifier():
            new = edits.replace_string_by_name(text, line, value, attribute)
            if new is not None:
                says = f"Hand over {attribute} itself in {file}:{line}, not its name: then {name} is not imported a second time."
                yield Candidate("hand-over-the-object", says, {file: new})
    new = text if re.search(r"^import sys$", text, re.M) else edits.add_import_first(text, "import sys")
    first_line = f'sys.modules.setdefault("{name}", sys.modules[__name__])'
    new = new and edits.insert_after_import(new, "sys", first_line)
    if new is not None:
        says = f"Make the program known as {name} before anything imports it by that name: it is then found, and not executed again."
        yield Candidate("known-by-its-name", says, {file: new})


def _strings(text: str) -> list[tuple[int, str]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [(node.lineno, node.value) for node in nodes]


def no_reload(broken: Broken) -> Iterator[Candidate]:
    """A module that is executed again: take the reload out, or what takes it out of ``sys.modules``."""
    first, second = broken.pair
    for registration in (second, first):
        for frame in reversed(registration.chain):
            text = broken.sources.get(frame.file) if frame.application else None
            if text is None or frame.file == registration.site.file:
                continue
            lines = text.splitlines()
            for line in range(frame.line, max(0, frame.line - 12), -1):
                source = lines[line - 1] if line <= len(lines) else ""
                if re.search(r"\breload\(|sys\.modules\.pop\(|del sys\.modules\[|run_path\(|exec_module\(", source):
                    yield from _without(broken, frame.file, text, line, source)
                    return


def _without(broken: Broken, file: str, text: str, line: int, source: str) -> Iterator[Candidate]:
    says = f"Take out {source.strip()} in {file}:{line}: what was imported stays, and nothing is defined twice."
    if re.search(r"\breload\(", source):
        new = edits.replace_call(text, line, "reload", lambda call: call.args[0].value)
        if new is not None:
            yield Candidate("without-reload", says, {file: new})
    removed = edits.remove_statement(text, line)
    if removed is not None:
        yield Candidate("without-second-execution", says, {file: removed})


def define_once(broken: Broken) -> Iterator[Candidate]:
    """A definition in a function that is called twice: keep what the first call made."""
    registration = broken.pair[1]
    for file, function, line in _functions(broken, registration):
        text = broken.sources[file]
        new = edits.decorate(text, function, line, "functools.cache")
        new = new and (
            new if re.search(r"^import functools$", text, re.M) else edits.add_import(new, "import functools")
        )
        if new is not None:
            says = f"Keep what {function}() in {file} made the first time: a second call gives the same class."
            yield Candidate(f"cache-{function}", says, {file: new})


def _functions(broken: Broken, registration: Registration) -> list[tuple[str, str, int]]:
    """The application's functions that the definition is made within, the innermost first: ``(file, name, line)``."""
    found = []
    for frame in reversed(registration.chain):
        name = frame.function.rpartition(".")[2]
        if (
            frame.application
            and name.isidentifier()
            and frame.file in broken.sources
            and name != registration.site.name
        ):
            found.append((frame.file, name, frame.line))
    return list(dict.fromkeys(found))[:3]


# ----------------------------------------------------------------------------------------- two definitions


def one_definition(broken: Broken) -> Iterator[Candidate]:
    """Two statements define the table: keep one of them, and make the other an import of it."""
    first, second = broken.pair
    order = [(second, first), (first, second)] if broken.agrees != "first" else [(first, second), (second, first)]
    for kept, dropped in order if broken.agrees is None else order[:1]:
        text = broken.sources.get(dropped.site.file)
        if (
            text is None
            or not kept.frame.application
            or not dropped.frame.application
            or not dropped.class_
            or not kept.class_
        ):
            continue
        old, new = dropped.site.name or "", kept.site.name or ""
        if kept.site.file == dropped.site.file:
            changed = edits.remove_class(text, dropped.site.line)
        else:
            alias = "" if old == new else f" as {old}"
            statement = f"from {broken.module_of(kept.site.file)} import {new}{alias}  # noqa: F401"
            changed = edits.replace_class(text, dropped.site.line, statement)
        if changed is None:
            continue
        why = (
            "the migrations create it so"
            if broken.agrees
            else "nothing tells which of the two is the truth: decide that"
        )
        says = f"Keep {new} of {kept.site.file}:{kept.site.line}, and import it where {dropped.site.file} defined {old}; {why}."
        yield Candidate(
            f"keep-{posixpath.basename(kept.site.file).removesuffix('.py')}", says, {dropped.site.file: changed}
        )


def rename_reserved(broken: Broken) -> Iterator[Candidate]:
    """An attribute named ``metadata``: call it otherwise, and keep the column."""
    for place in broken.sites():
        text = broken.sources.get(place.file)
        new = text and edits.rename_attribute(text, place.line, "metadata", "metadata_")
        if new:
            says = f"Call the attribute metadata_ in {place.file}:{place.line}, with the column's name kept: metadata is SQLAlchemy's own."
            yield Candidate("rename-reserved", says, {place.file: new})


def module_path(broken: Broken) -> Iterator[Candidate]:
    """A class name that two classes have: say in the relationship which one, by its module's path."""
    names = {place.name for place in broken.sites() if place.name} | {broken.fault.table}
    for file, text in broken.sources.items():
        if not file.endswith(".py"):
            continue
        own = broken.module_of(file)
        new = text
        for line, value in _strings(text):
            if (
                value in names
                and re.search(rf"^class {re.escape(value)}\b", text, re.M)
                and "relationship" in _around(text, line)
            ):
                new = edits.replace_text(new, line, value, f"{own}.{value}") or new
        if new != text:
            says = f"Name the class by its module's path in {file}: two classes have the name, and this file means its own."
            yield Candidate(f"module-path-{posixpath.basename(posixpath.dirname(file)) or 'here'}", says, {file: new})


def _around(text: str, line: int) -> str:
    return "\n".join(text.splitlines()[max(0, line - 3) : line + 2])


# ----------------------------------------------------------------------------------------- not imported


def import_models(broken: Broken) -> Iterator[Candidate]:
    """Model modules that ``env.py`` does not import: import them where it imports the others."""
    files = [place.file for place in broken.sites("table", "first", "second")]
    changed = imported_in_env(broken, files)
    if changed is not None:
        env, text = changed
        says = f"Import {', '.join(dict.fromkeys(files))} in {env}: autogenerate and check then see their tables."
        yield Candidate("import-in-env", says, {env: text})


def imported_in_env(broken: Broken, files: Iterable[str]) -> tuple[str, str] | None:
    """Alembic's ``env.py`` with an import of each of these files beside its others: its path and new text."""
    files = [file for file in dict.fromkeys(files) if file in broken.sources]
    env = env_of(broken.sources)
    if env is None or not files:
        return None
    text = broken.sources[env]
    top = {broken.module_of(file).split(".")[0] for file in files}
    for file in files:
        statement = f"import {broken.module_of(file)}  # noqa: F401"
        text = edits.add_import(text, statement, after=lambda asked: asked.split(".")[0] in top) or text
    return env, text


def env_of(sources: Mapping[str, str]) -> str | None:
    """The path of Alembic's ``env.py``."""
    named = (file for file in sorted(sources) if posixpath.basename(file) == "env.py")
    return next((file for file in named if "target_metadata" in sources[file]), None)


def import_class(broken: Broken) -> Iterator[Candidate]:
    """A class that a relationship names and nobody imported: import it in its package's face, or beside the relationship's module."""
    missing = [
        place for place in broken.sites() if place.role in ("class", "definition", "defined", "second")
    ] or broken.sites()[-1:]
    asking = [place for place in broken.sites() if place not in missing] or broken.sites()[:1]
    for place in missing[:1]:
        module = broken.module_of(place.file)
        package = posixpath.join(posixpath.dirname(place.file), "__init__.py")
        if package in broken.sources and "." in module:
            statement = f"from . import {module.rpartition('.')[2]}  # noqa: F401"
            new = edits.add_import(broken.sources[package] or "", statement)
            if new is not None:
                says = f"Import {module} in {package}: whoever imports a model of the package then has them all."
                yield Candidate("import-in-package", says, {package: new})
        for other in asking[:1]:
            text = broken.sources.get(other.file)
            if text is not None and other.file != place.file:
                new = text.rstrip("\n") + f"\n\n\nimport {module}  # noqa: E402, F401\n"
                says = (
                    f"Import {module} at the end of {other.file}: the class is then there when its name is looked up."
                )
                yield Candidate("import-beside", says, {other.file: new})


def one_metadata(broken: Broken) -> Iterator[Candidate]:
    """Tables on a metadata that Alembic is not given: give it that one as well."""
    env = env_of(broken.sources)
    registration = next(
        (r for r in broken.trace.registrations if broken.fault and r.table == broken.fault.table and r.application),
        None,
    )
    site = registration.metadata.site if registration is not None else None
    if env is None or site is None or not site.application:
        return
    name = _bound_at(broken.sources.get(site.file, ""), site.line)
    text = broken.sources[env]
    found = re.search(r"^target_metadata\s*=\s*(?!None\b)(.+)$", text, re.M)
    if not name or not found:
        return
    module = broken.module_of(site.file)
    handed = found[1].strip()
    listed = handed[:-1] + f", {name}]" if handed.startswith("[") else f"[{handed}, {name}]"
    text = text.replace(found[0], f"target_metadata = {listed}")
    base = name.partition(".")[0]
    text = (
        edits.add_import(
            text, f"from {module} import {base}", after=lambda asked: asked.split(".")[0] == module.split(".")[0]
        )
        or text
    )
    says = f"Give Alembic the metadata of {site.file}:{site.line} as well, in {env}: it then sees the tables on it."
    yield Candidate("both-metadata", says, {env: text})


def _bound_at(text: str, line: int) -> str | None:
    """What the statement at a line binds, as an expression for its metadata."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    for node in tree.body:
        if not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if isinstance(node, ast.ClassDef):
            return f"{node.name}.metadata"
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name):
            made = ast.unparse(node.value)
            return target.id if "MetaData(" in made else f"{target.id}.metadata"
    return None


# ----------------------------------------------------------------------------------------- imports that fail


def break_cycle(broken: Broken) -> Iterator[Candidate]:
    """Modules that import each other: put the name that both need into a module of its own, or import it where it is used."""
    places = [place for place in broken.sites() if place.file in broken.sources]
    for place in places:
        text = broken.sources[place.file]
        asked = _import_at(text, place.line)
        if asked is None or len(asked[1]) != 1:
            continue
        module, (name,) = asked
        owner = next(
            (file for file in broken.sources if file.endswith(".py") and broken.module_of(file) == module), None
        )
        made = owner and _simple_binding(broken.sources[owner], name)
        if made:
            yield from _own_module(broken, owner, module, name, *made)
    for place in places:
        text = broken.sources[place.file]
        new = edits.move_import_to_end(text, place.line)
        if new is not None:
            says = f"Import at the end of {place.file} what line {place.line} asks for: by then all that the other module needs is bound."
            yield Candidate("import-at-the-end", says, {place.file: new})


def _import_at(text: str, line: int) -> tuple[str, list[str]] | None:
    try:
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.lineno == line]
    except (SyntaxError, ValueError):
        return None
    return (nodes[0].module or "", [alias.name for alias in nodes[0].names]) if nodes and not nodes[0].level else None


def _simple_binding(text: str, name: str) -> tuple[int, str, list[str]] | None:
    """``name = Library()`` at the top level, by names that are imported only: ``(line, statement, imports that it needs)``."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    imports = {}
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports |= {(alias.asname or alias.name).split(".")[0]: (node, alias) for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            used = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
            if used <= set(imports):
                lines = []
                for part in sorted(used):
                    statement, alias = imports[part]
                    only = (
                        ast.ImportFrom(statement.module, [alias], statement.level)
                        if isinstance(statement, ast.ImportFrom)
                        else ast.Import([alias])
                    )
                    lines.append(ast.unparse(ast.fix_missing_locations(only)))
                return node.lineno, ast.unparse(node), lines
    return None


def _own_module(
    broken: Broken, owner: str, module: str, name: str, line: int, statement: str, needed: list[str]
) -> Iterator[Candidate]:
    folder = posixpath.dirname(owner)
    file = posixpath.join(folder, "extensions.py")
    if file in broken.sources:
        file = posixpath.join(folder, f"{name}_only.py")
    package = module if posixpath.basename(owner) == "__init__.py" else module.rpartition(".")[0]
    own = f"{package}.{posixpath.basename(file)[:-3]}".lstrip(".")
    changed: dict[str, str | None] = {file: "\n".join(needed) + f"\n\n{statement}\n"}
    without = edits.replace_statement(broken.sources[owner], line, f"from {own} import {name}")
    if without is None:
        return
    changed[owner] = without
    for other, text in broken.sources.items():
        if other.endswith(".py") and other != owner and (new := edits.import_from(text, module, name, own)):
            changed[other] = new
    says = f"Make {name} in a module of its own, {file}, and import it from there: then neither module needs the other while it is being executed."
    yield Candidate(f"own-module-for-{name}", says, changed)


def keep_loggers(broken: Broken) -> Iterator[Candidate]:
    """``fileConfig`` that disables what loggers there are: tell it not to."""
    for place in broken.sites():
        for call in ("fileConfig", "dictConfig"):
            text = broken.sources.get(place.file)
            new = (
                text
                and call == "fileConfig"
                and edits.add_argument(text, place.line, call, "disable_existing_loggers", "False")
            )
            if new:
                says = f"Tell {call} in {place.file}:{place.line} to keep the loggers that are there."
                yield Candidate("keep-loggers", says, {place.file: new})


# ----------------------------------------------------------------------------------------- migrations, settings, processes


def merge_heads(broken: Broken) -> Iterator[Candidate]:
    """Several heads: a merge revision."""
    places = broken.sites("head")
    ids = [place.name for place in places if place.name]
    if len(ids) < 2:
        return
    folder = posixpath.dirname(places[0].file)
    own = "merge_" + "_".join(re.sub(r"\W", "", id_)[:6] for id_ in ids)
    text = (
        f'"""Merge {" and ".join(ids)}."""\n\nrevision = "{own[:32]}"\ndown_revision = ({", ".join(repr(id_) for id_ in ids)})\n'
        "branch_labels = None\ndepends_on = None\n\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
    )
    says = (
        f"Merge the heads {', '.join(ids)} in a new revision, as `alembic merge heads` does: there is one head again."
    )
    yield Candidate("merge-heads", says, {posixpath.join(folder, f"{own}.py"): text})


def right_scheme(broken: Broken) -> Iterator[Candidate]:
    """A URL whose scheme or driver SQLAlchemy does not take here: the same URL with the one that it takes."""
    wanted = {"postgres": "postgresql"}
    env = broken.incident.app.env
    for name, value in env.items():
        scheme, mark, rest = value.partition("://")
        plain, _, driver = scheme.partition("+")
        new = wanted.get(plain) or (plain if driver else None)
        if mark and new:
            says = f"Give {name} the scheme {new}: the one that it has is not taken here."
            yield Candidate(f"scheme-{new}", says, env={name: f"{new}://{rest}"})
    for place in broken.sites("engine"):
        text = broken.sources.get(place.file)
        new = text and edits.wrap_url(text, place.line)
        if new:
            says = f"Take a URL of the scheme postgres:// as postgresql:// in {place.file}:{place.line}: hosts still hand it out so."
            yield Candidate("accept-old-scheme", says, {place.file: new})


def set_variable(broken: Broken) -> Iterator[Candidate]:
    """A setting that is missing: give it, with a stand-in."""
    names = {place.name for place in broken.sites() if place.name and re.fullmatch(r"[A-Z][A-Z0-9_]+", place.name)}
    text = " ".join(broken.finding.because)
    names |= set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", text))
    for name in sorted(names):
        value = "1" if re.search(r"PORT|COUNT|SECONDS|SIZE|TTL|MINUTES", name) else "stand-in"
        says = f"Set {name} where the application runs; here with a stand-in, since only you know its value."
        yield Candidate(f"set-{name.lower()}", says, env={name: value})


def preload(broken: Broken) -> Iterator[Candidate]:
    """Workers that do the same at once: load the application once, before they are forked."""
    steps = [{step.kind: step.text} for step in broken.incident.startup]
    for step in steps:
        for kind, text in step.items():
            if "gunicorn" in text and "--preload" not in text:
                step[kind] = re.sub(r"\bgunicorn\b", "gunicorn --preload", text, count=1)
                says = "Load the application once, before the workers are forked (gunicorn --preload): one process does what they raced for."
                yield Candidate("preload", says, startup=steps)
                return


def mount_router(broken: Broken) -> Iterator[Candidate]:
    """A route that is declared and answered with 404: its router is included nowhere."""
    for file, text in broken.sources.items():
        found = re.search(r"^(\w+)\s*=\s*APIRouter\((.*?)\)", text, re.M | re.S) if file.endswith(".py") else None
        if not found:
            continue
        prefix = re.search(r"prefix\s*=\s*[\"']([^\"']*)", found[2])
        paths = re.findall(rf"@{found[1]}\.\w+\(\s*[\"']([^\"']*)", text)
        if not any((prefix[1] if prefix else "") + path == wanted for path in paths for wanted in broken.failing):
            continue
        module = broken.module_of(file)
        leaf = module.rpartition(".")[2]
        if any(re.search(rf"include_router\(\s*(?:\w+\.)*{leaf}\b", other) for other in broken.sources.values()):
            continue
        main = max(broken.sources, key=lambda name: broken.sources[name].count(".include_router("))
        calls = list(re.finditer(r"^(\w+)\.include_router\([^\n]*\)$", broken.sources[main], re.M))
        if calls:
            last = calls[-1]
            body = broken.sources[main]
            body = body[: last.end()] + f"\n{last[1]}.include_router({leaf}.{found[1]})" + body[last.end() :]
            parent = module.rpartition(".")[0]
            new = edits.add_import(body, f"from {parent} import {leaf}", after=_below(parent))
            if new:
                says = f"Include the router of {file} in {main}: its routes are declared, and mounted nowhere."
                yield Candidate(f"mount-{leaf}", says, {main: new})


def _below(package: str) -> Callable[[str], bool]:
    return lambda asked: asked == package or asked.startswith(package + ".")


BY_MECHANISM: dict[str, tuple[Callable[[Broken], Iterator[Candidate]], ...]] = {
    "alias-two-module-names": (one_spelling,),
    "test-runner-root-second-name": (one_spelling,),
    "main-module-imported-again": (main_as_object,),
    "importlib-reload": (no_reload,),
    "script-or-cell-run-again": (no_reload,),
    "file-loaded-again-by-path": (no_reload,),
    "defined-inside-function-called-twice": (define_once,),
    "race-in-lazy-definition": (define_once,),
    "computed-table-name-collision": (one_definition,),
    "second-class-same-table-other-file": (one_definition,),
    "second-class-same-table-same-file": (one_definition,),
    "extend-existing-merged-two-models": (one_definition,),
    "module-and-package-side-by-side": (one_definition,),
    "half-defined-class": (rename_reserved,),
    "metadata-is-reserved": (rename_reserved,),
    "ambiguous-class-name-in-registry": (module_path,),
    "model-module-not-imported-by-env": (import_models,),
    "table-on-metadata-alembic-does-not-migrate": (one_metadata, import_models),
    "class-not-imported": (import_class,),
    "circular-import": (break_cycle,),
    "half-import-retried": (break_cycle,),
    "loggers-disabled": (keep_loggers,),
    "several-heads": (merge_heads,),
    "unknown-url-scheme": (right_scheme,),
    "async-driver-in-sync-code": (right_scheme,),
    "driver-not-installed": (right_scheme,),
    "setting-missing": (set_variable,),
    "startup-race": (preload,),
}

# Where nothing safe can be written, and why.
UNSAFE = {
    "migration-fails-on-data": "a revision that a database may have run is not edited: decide what the rows that are there get",
    "created-by-two-revisions": "a revision that a database may have run is not edited: decide which of the two creates it",
    "created-outside-migrations": "whether the database or the revision is right only you can decide",
    "unknown-revision": "the revision is not there to be restored from the sources",
    "model-declared-in-migration-script": "a revision that a database may have run is not edited",
    "import-failure-swallowed": "what the import asks for is not there, and cannot be guessed",
    "api-removed-in-installed-version": "the call's successor depends on what it is used for",
}


def candidates_for(broken: Broken) -> list[Candidate]:
    """Every candidate for the mechanism of a broken build, the likeliest first; and for routes that are declared and not mounted."""
    functions = BY_MECHANISM.get(broken.finding.mechanism, ())
    found = [candidate for function in functions if _applies(function, broken) for candidate in function(broken)]
    if broken.failing and broken.finding.mechanism in ("none", "undecided"):
        found += mount_router(broken)
    return [candidate for candidate in found if candidate.edits or candidate.env or candidate.path or candidate.startup]


_ON_A_PAIR = (one_spelling, main_as_object, no_reload, define_once, one_definition)


def _applies(function, broken: Broken) -> bool:
    return broken.pair is not None if function in _ON_A_PAIR else broken.fault is not None
