"""Two definitions of one table, or one that SQLAlchemy does not take."""

import ast
import posixpath
import re
from collections.abc import Iterator

from ...diagnose.two_registrations import is_library
from ...diagnose.values import Place
from ...incident.source import assigned_name, parsed
from ...trace.values import Registration
from . import edits, edits_of_classes, edits_of_imports
from .failing_build import Broken, Candidate, first, strings
from .statements import Module


def one_definition(broken: Broken) -> Iterator[Candidate]:
    """Two statements define the table: keep one of them, and make the other an import of it."""
    first, second = broken.both
    order = [(second, first), (first, second)] if broken.agrees != "first" else [(first, second), (second, first)]
    if _odd(second.frame.module) and not _odd(first.frame.module):
        order = [(first, second)]  # the second cannot be imported by its name
    for kept, dropped in order if broken.agrees is None else order[:1]:
        lost = sorted(_columns(dropped, second) - _columns(kept, second))
        merged = second.outcome in ("extended", "kept")
        changed = _imported_instead(broken, kept, dropped) if not (lost and merged) else {}
        if not changed:
            continue  # the table that two have filled holds the columns of both
        unknown = "nothing shows which of the two is right: decide it"
        why = "it has the columns that the migrations create" if broken.agrees else unknown
        why += f". No model then has these columns of the other: {', '.join(lost)}" if lost else ""
        apart = kept.site.file != dropped.site.file
        instead = "import it where" if apart else "use it where"
        imported = re.search(rf"\bimport\b.*\b{_name(kept)}\b", changed[dropped.site.file])
        if not dropped.class_ and apart and not imported:
            instead = "name its table by a text where"
        says = f"Keep {_name(kept)} of {kept.site}, and {instead} {dropped.site} defined {_name(dropped)}; {why}."
        stem = posixpath.basename(kept.site.file).removesuffix(".py")
        yield Candidate(f"keep-{stem}", says, changed)


def _columns(registration: Registration, second: Registration) -> set[str]:
    """The names of a definition's columns, as far as they are known."""
    return {column["name"] for column in (second.new if registration is second else second.existing)}


def _odd(module: str | None) -> bool:
    """Is it a name that no import statement would find?"""
    return (module or "_").rpartition(".")[2].startswith("_")


def _name(registration: Registration) -> str:
    return (registration.class_ or registration.site.name or "").rpartition(".")[2]


def _imported_instead(broken: Broken, kept: Registration, dropped: Registration) -> dict[str, str]:
    """The edits that put an import of one definition in the place of the other; empty where that is not safe."""
    file, text = dropped.site.file, broken.sources.get(dropped.site.file)
    new, old, apart = _name(kept), _name(dropped), kept.site.file != dropped.site.file
    if text is None or is_library(kept.frame) or is_library(dropped.frame) or not new or not old:
        return {}
    changed = None
    if dropped.class_ and kept.class_:
        changed = _class_of_class(broken, text, kept, dropped)
    elif kept.class_:
        changed = _table_of_class(broken, text, dropped, new, broken.module_of(kept.site.file) if apart else None)
    elif not dropped.class_ and apart:
        changed = _table_and_class(broken, text, kept, dropped, broken.module_of(kept.site.file))
    if changed is None:
        return {}
    if old == new or not dropped.class_:
        return {file: changed}
    along = broken.edited_everywhere(edits_of_classes.relate_to, old, new, but=file)
    return {**along, file: edits_of_classes.relate_to(changed, old, new) or changed}


def _class_of_class(broken: Broken, text: str, kept: Registration, dropped: Registration) -> str | None:
    new, old = _name(kept), _name(dropped)
    if kept.site.file != dropped.site.file:
        alias = "" if old == new else f" as {old}"
        left = edits.remove_class(text, dropped.site.line)
        left = left and edits_of_imports.without_unused_imports(left, text)
        unused = "" if left and re.search(rf"\b{old}\b", left) else "  # noqa: F401"
        statement = f"from {broken.module_of(kept.site.file)} import {new}{alias}{unused}"
        return left and edits_of_imports.add_import(left, statement)
    if old == new:
        return edits.remove_class(text, dropped.site.line)
    alias = f"{old} = {new}"
    if kept.site.line < dropped.site.line:
        left = edits.replace_class(text, dropped.site.line, alias)
    else:
        after = edits_of_classes.after_class(text, kept.site.line, alias)
        left = after and edits.remove_class(after, dropped.site.line)
    if not left:
        return None
    module = Module(left)
    bare = module.without([statement.number for statement in module.statements if statement.code.strip() == alias])
    sources = {**broken.sources, dropped.site.file: bare}
    used = any(re.search(rf"\b{old}\b", source) for source in sources.values())
    return edits_of_imports.without_unused_imports(left if used else bare, text)


def _table_of_class(broken: Broken, text: str, dropped: Registration, class_: str, module: str | None) -> str | None:
    """A ``Table()`` gives way to a class: relationships name it by a text, other uses take the class's table."""
    name = _name(dropped)
    others = [other for file, other in broken.python if file != dropped.site.file]
    shared = any(re.search(rf"\bimport\b[^\n]*\b{name}\b|\.{name}\b", other) for other in others)
    plain = Module(edits_of_classes.secondary_by_text(text, name, dropped.table) or text)
    place = plain.at(dropped.site.line)
    left = plain.without([place.number]) if place is not None else text
    if not shared and left != text and not re.search(rf"(?<![\w\"']){name}(?![\w\"'])", left):
        return edits_of_imports.without_unused_imports(left, text)
    if module is None:
        return None  # the class stands below what would take its table
    new = edits.replace_at(text, dropped.site.line, f"{name} = {class_}.__table__")
    return new and edits_of_imports.add_import(new, f"from {module} import {class_}")


def _table_and_class(broken: Broken, text: str, kept: Registration, dropped: Registration, module: str) -> str | None:
    """A ``Table()``, and a class that is mapped to it by a call, give way to those of another file."""
    here, there = Module.read(text), Module.read(broken.sources.get(kept.site.file, ""))
    if here is None or there is None:
        return None
    old, new = _name(dropped), _name(kept)
    gone = [here.at(dropped.site.line)]
    names = [new if new == old else f"{new} as {old}"]
    if (mapped := _mapped_to(here, old)) is not None:
        class_, call = mapped
        other = _mapped_to(there, new)
        if other is None or other[0] != class_:
            return None
        gone += [here.binding(class_), call]
        names.append(class_)
    if None in gone:
        return None
    left = here.without([statement.number for statement in gone])
    statement = f"from {module} import {', '.join(sorted(names))}"
    left = edits_of_imports.add_import(left, statement)
    return left and edits_of_imports.without_unused_imports(left, text)


def _mapped_to(module: Module, table: str):
    """The class that ``map_imperatively(Class, table)`` names, and the statement of the call."""
    for statement in module.statements:
        for node in statement.nodes:
            call = node.value if isinstance(node, ast.Expr) else None
            if not isinstance(call, ast.Call) or len(call.args) < 2:
                continue
            called = ast.unparse(call.func).rpartition(".")[2]
            if called in ("map_imperatively", "mapper") and ast.unparse(call.args[1]) == table:
                return ast.unparse(call.args[0]), statement
    return None


def own_names(broken: Broken) -> Iterator[Candidate]:
    """Two things got one table name from a rule, or from a flag that lets them share it: give one of them a name of its own."""
    first, second = broken.both
    for registration in [first, second] if broken.agrees == "second" else [second, first]:
        kept = second if registration is first else first
        if not registration.class_ or is_library(registration.frame):
            continue
        name = _free_name(broken, registration)
        new = broken.edited(registration.site.file, edits_of_classes.name_table, registration.site.line, name)
        if new is None:
            continue
        changed = {registration.site.file: new}
        for flagged in (registration.site, kept.site):
            before = changed.get(flagged.file) or broken.sources.get(flagged.file, "")
            after = edits_of_classes.without_flag(before, flagged.line, "extend_existing")
            changed |= {flagged.file: after} if after is not None else {}
        says = (
            f"Rename the table of {_name(registration)} at {registration.site} to {name}: {_name(kept)} at {kept.site} keeps "
            f"{registration.table}. Decide which of the two keeps it; existing rows stay where they are."
        )
        yield Candidate(f"table-{name}", says, changed)


def _free_name(broken: Broken, registration: Registration) -> str:
    """A name for a table that no other has: after the class, or after its module and the old name."""
    taken = {r.table for r in broken.trace.registrations}
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _name(registration)).lower()
    snake += "s" if registration.table.endswith("s") and not snake.endswith("s") else ""
    stem = broken.module_of(registration.site.file).rpartition(".")[2]
    names = [snake, f"{stem}_{registration.table}", f"{registration.table}_of_{stem}"]
    return next((name for name in names if name not in taken), f"{registration.table}_2")


def choose_before(broken: Broken) -> Iterator[Candidate]:
    """``try`` a class, on an error define it otherwise: decide by what the first one hangs on, before anything is defined."""
    first, second = broken.both
    file, line = first.site.file, second.site.line
    says = f"Choose in {file} which of the two classes to define before defining either: the Table of a class that cannot be mapped stays."
    chosen = (edits_of_classes.if_in_place_of_try, first.site.line, line)
    yield from broken.change("choose-before", says, file, *chosen)
    base = broken.edited(file, edits_of_classes.base_of, line)
    says = f"Remove the Table {second.table}, which the failed class left behind, from the metadata before {second.site} defines it again."
    remove = f'{base}.metadata.remove({base}.metadata.tables["{second.table}"])'
    if base:
        removed = (edits_of_classes.before_class, line, remove)
        yield from broken.change("remove-what-failed", says, file, *removed, last=True)


def own_instead_of_library(broken: Broken) -> Iterator[Candidate]:
    """A library's model and the application's own one for the same table: where the library's is named, name the own one."""
    library, ours = sorted(broken.both, key=lambda definition: not is_library(definition.frame))
    if not is_library(library.frame) or is_library(ours.frame) or not (library.class_ and ours.class_):
        return
    home, name = broken.module_of(ours.site.file), _name(ours)
    its_home, its_name = library.frame.module or "", _name(library)
    files = [file for file, _ in broken.python if file != library.site.file]
    own_files = [file for file in files if not is_library(library.frame._replace(file=file))]
    for separator in (".", ":"):
        for file in own_files:
            text = changed = broken.sources[file]
            for line, value in strings(text):
                if value == f"{its_home}{separator}{its_name}":
                    changed = edits.replace_text(changed, line, value, f"{home}{separator}{name}") or changed
            if changed != text:
                says = (
                    f"Name {home}.{name} where {file} names {its_home}.{its_name}: the application's own model "
                    "is then the only one."
                )
                yield Candidate("name-the-own-model", says, {file: changed})
    for file in own_files if name == its_name and its_home else ():
        says = f"Import {name} from {ours.site.file} in {file}, and not from the library."
        asked = (edits_of_imports.import_from, its_home, [its_name], home)
        yield from broken.change("import-the-own-model", says, file, *asked)


def rename_reserved(broken: Broken) -> Iterator[Candidate]:
    """An attribute named ``metadata``: call it otherwise, and keep the column; or, where no revision makes one, the column too."""
    names = ("metadata", "metadata_")
    created = {column["name"] for columns in broken.created.values() for column in columns}
    for place in [*broken.sites(), *_bases_of(broken)]:
        for name, kept in (("rename-reserved", None), ("rename-reserved-with-column", names[1])):
            new = broken.edited(place.file, edits_of_classes.rename_attribute, place.line, *names, kept)
            if not new or kept and names[0] in created:
                continue
            says = f"Rename the attribute to metadata_ in {place} and keep the column's name: SQLAlchemy reserves the name metadata."
            if kept:
                says = f"Rename the attribute and its column to metadata_ in {place}: SQLAlchemy reserves the name metadata, and no revision makes a column of that name."
            class_ = edits_of_classes.class_around(broken.sources[place.file], place.line)
            edited, unknown = _renamed_uses(broken, {place.file: new}, class_, *names) if class_ else ({}, [])
            if unknown:
                says += f" Not known here, and left: what {', '.join(unknown)} asks for."
            yield Candidate(name, says, {place.file: new, **edited}, last=bool(kept))
        if new:
            return


def _bases_of(broken: Broken) -> Iterator[Place]:
    """The classes that those of the fault derive from, as far as the application has them."""
    defined = [(file, node) for file, text in broken.python for node in ast.walk(parsed(text))]
    classes = [(file, node) for file, node in defined if isinstance(node, ast.ClassDef)]
    at = {(place.file, place.line) for place in broken.sites()}
    bases = {ast.unparse(base) for file, node in classes if (file, node.lineno) in at for base in node.bases}
    yield from (Place("base", file, node.lineno, node.name) for file, node in classes if node.name in bases)


def _renamed_uses(
    broken: Broken, edited: dict[str, str], class_: str, old: str, new: str
) -> tuple[dict[str, str], list[str]]:
    """The sources in which objects of a class are made with, or asked for, an attribute; and where it is not known of which class they are."""
    trees = [node for _, text in broken.python for node in ast.walk(parsed(text)) if isinstance(node, ast.ClassDef)]
    classes = {class_, *(node.name for node in trees if class_ in {ast.unparse(base) for base in node.bases})}
    unknown: list[str] = []
    for file, text in broken.python:
        before = after = edited.get(file, text)
        for name in classes:
            after = edits_of_classes.rename_keyword(after, name, old, new) or after
        asking, more = edits.rename_reads(after, classes, old, new)
        unknown += [f"{name} in {file}" for name in dict.fromkeys(more)]
        edited |= {file: asking or after} if (asking or after) != before else {}
    return edited, unknown


def module_path(broken: Broken) -> Iterator[Candidate]:
    """A class name that two classes have: say in the relationship which one, by its module's path."""
    names = {place.name for place in broken.sites() if place.name} | {broken.fault.table}
    for file, text in broken.python:
        module, new = broken.module_of(file), text
        for line, value in strings(text):
            around = "\n".join(text.splitlines()[max(0, line - 3) : line + 2])
            if value in names and "relationship" in around and re.search(rf"^class {re.escape(value)}\b", text, re.M):
                new = edits.replace_text(new, line, value, f"{module}.{value}") or new
        if new != text:
            says = f"Name the class by its module's path in {file}: two classes have this name, and the file means its own."
            yield Candidate(f"module-path-{posixpath.basename(posixpath.dirname(file)) or 'here'}", says, {file: new})


def own_registries(broken: Broken) -> Iterator[Candidate]:
    """Bases that have a metadata of their own and share one registry: a registry each, in which the names are unique."""
    changed: dict[str, str] = {}
    for registration in broken.pair or ():
        base = broken.edited(registration.site.file, edits_of_classes.base_of, registration.site.line)
        for file, text in broken.sources.items() if base else ():
            known = file == registration.site.file or re.search(rf"^class {re.escape(base)}\b", text, re.M)
            new = known and edits_of_classes.own_registry(changed.get(file) or text, base)
            if new:
                changed[file] = new
    if changed:
        says = f"Give each of the bases in {', '.join(changed)} its own registry, not only its own metadata: a class is looked up by its name in its base's registry."
        yield Candidate("own-registries", says, changed)


def foreign_key(broken: Broken) -> Iterator[Candidate]:
    """Two tables that a relationship joins and no foreign key links: make the column that is named after the other table one."""
    at = {str(registration.site): registration for registration in reversed(broken.trace.registrations)}
    known = [at[str(place)] for place in broken.sites("table") if str(place) in at]
    yield from first(_linked(broken, a, b) for a in known[::-1] for b in known if a is not b)


def _linked(broken: Broken, child: Registration, parent: Registration) -> Iterator[Candidate]:
    key = broken.edited(parent.site.file, _primary_key, parent.site.line)
    names = {parent.table, parent.table.rstrip("s"), parent.table.removesuffix("es"), _name(parent).lower()}
    for column in sorted(f"{name}_{key}" for name in names) if key else ():
        target = f"{parent.table}.{key}"
        says = f"Make {column} of {child.table} a foreign key to {target}, at {child.site}: the relationship is joined by it."
        linked = (edits_of_classes.add_foreign_key, child.site.line, column, target)
        yield from broken.change("foreign-key", says, child.site.file, *linked)


def _primary_key(text: str, line: int) -> str | None:
    class_ = next((n for n in ast.walk(parsed(text)) if isinstance(n, ast.ClassDef) and n.lineno == line), None)
    for node in class_.body if class_ is not None else ():
        value = getattr(node, "value", None)
        keyed = isinstance(value, ast.Call) and any(k.arg == "primary_key" for k in value.keywords)
        if keyed and (name := assigned_name(node)):
            return name
    return None
