"""Two definitions of one table, or one that SQLAlchemy does not take."""

import ast
import posixpath
import re
from collections.abc import Iterator

from ...diagnose.pair import is_library
from ...incident.source import parsed
from ...trace.values import Registration
from . import edits, edits_of_classes, edits_of_imports
from .broken import Broken, Candidate, strings
from .statements import Module


def one_definition(broken: Broken) -> Iterator[Candidate]:
    """Two statements define the table: keep one of them, and make the other an import of it."""
    first, second = broken.pair
    order = [(second, first), (first, second)] if broken.agrees != "first" else [(first, second), (second, first)]
    if _odd(second.frame.module) and not _odd(first.frame.module):
        order = [(first, second)]  # the second cannot be imported by its name
    for kept, dropped in order if broken.agrees is None else order[:1]:
        lost = sorted(_columns(dropped, second) - _columns(kept, second))
        merged = second.outcome in ("extended", "kept")
        changed = _imported_instead(broken, kept, dropped) if not (lost and merged) else {}
        if not changed:
            continue  # the table that two have filled holds the columns of both
        new, old = _name(kept), _name(dropped)
        why = (
            "the migrations create it so"
            if broken.agrees
            else "nothing tells which of the two is the truth: decide that"
        )
        why += f". Of the other, {', '.join(lost)} {'is' if len(lost) == 1 else 'are'} then in no model" if lost else ""
        says = f"Keep {new} of {kept.site}, and import it where {dropped.site} defined {old}; {why}."
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


def _imported_instead(broken: Broken, kept: Registration, dropped: Registration) -> dict[str, str | None]:
    """The edits that put an import of one definition in the place of the other; empty where that is not safe."""
    text = broken.sources.get(dropped.site.file)
    new, old = _name(kept), _name(dropped)
    if text is None or is_library(kept.frame) or is_library(dropped.frame) or not new or not old:
        return {}
    changed = None
    if dropped.class_ and kept.class_:
        changed = _class_of_class(broken, text, kept, dropped)
    elif kept.class_ and kept.site.file != dropped.site.file:
        changed = _table_of_class(broken, text, dropped, new, broken.module_of(kept.site.file))
    elif not dropped.class_ and kept.site.file != dropped.site.file:
        changed = _table_and_class(broken, text, kept, dropped, broken.module_of(kept.site.file))
    if changed is None:
        return {}
    edited = {**broken.sources, dropped.site.file: changed}
    renamed = {
        file: edits_of_classes.relate_to(source, old, new) for file, source in edited.items() if file.endswith(".py")
    }
    along = (
        {file: source for file, source in renamed.items() if source is not None}
        if old != new and dropped.class_
        else {}
    )
    return {dropped.site.file: changed, **along}


def _class_of_class(broken: Broken, text: str, kept: Registration, dropped: Registration) -> str | None:
    new, old = _name(kept), _name(dropped)
    if kept.site.file != dropped.site.file:
        alias = "" if old == new else f" as {old}"
        statement = f"from {broken.module_of(kept.site.file)} import {new}{alias}  # noqa: F401"
        left = edits.replace_class(text, dropped.site.line, statement)
        return left and edits_of_classes.without_unused_imports(left, text)
    if old == new:
        return edits.remove_class(text, dropped.site.line)
    if kept.site.line < dropped.site.line:
        left = edits.replace_class(text, dropped.site.line, f"{old} = {new}")
    else:
        after = edits_of_classes.after_class(text, kept.site.line, f"{old} = {new}")
        left = after and edits.remove_class(after, dropped.site.line)
    bare = left and edits_of_classes.without_line(left, f"{old} = {new}")
    unused = bare and not any(
        re.search(rf"\b{old}\b", bare if f == dropped.site.file else t) for f, t in broken.sources.items()
    )
    return edits_of_classes.without_unused_imports(bare if unused else left, text) if left else None


def _table_of_class(broken: Broken, text: str, dropped: Registration, class_: str, module: str) -> str | None:
    """A ``Table()`` gives way to a class: relationships name it by a text, other uses take the class's table."""
    name = _name(dropped)
    others = [t for f, t in broken.sources.items() if f != dropped.site.file and f.endswith(".py")]
    shared = any(re.search(rf"\bimport\b[^\n]*\b{name}\b|\.{name}\b", other) for other in others)
    plain = edits_of_classes.secondary_by_text(text, name, dropped.table)
    if not shared and plain is not None:
        left = edits_of_classes.without_statement(plain, dropped.site.line)
        if left is not None and not re.search(rf"(?<![\w\"']){name}(?![\w\"'])", left):
            return edits_of_classes.without_unused_imports(left, text)
    instead = f"{name} = {class_}.__table__"
    new = edits.replace_statement(text, _first_line(text, dropped.site.line), instead)
    return new and edits.add_import(
        new, f"from {module} import {class_}", after=lambda asked: asked.split(".")[0] == module.split(".")[0]
    )


def _first_line(text: str, line: int) -> int:
    statement = Module(text).at(line)
    return statement.first if statement is not None else line


def _table_and_class(broken: Broken, text: str, kept: Registration, dropped: Registration, module: str) -> str | None:
    """A ``Table()``, and a class that is mapped to it by a call, give way to those of another file."""
    source = broken.sources.get(kept.site.file, "")
    try:
        here, there = Module(text), Module(source)
    except ValueError:
        return None
    old, new = _name(dropped), _name(kept)
    gone = [here.at(dropped.site.line)]
    mapped = _mapped_to(here, old)
    names = [new if new == old else f"{new} as {old}"]
    if mapped is not None:
        class_, call = mapped
        other = _mapped_to(there, new)
        if other is None or other[0] != class_:
            return None
        gone += [here.binding(class_), call]
        names.append(class_)
    if any(statement is None for statement in gone):
        return None
    statement = f"from {module} import {', '.join(sorted(names))}"
    left = edits_of_classes.without_statements(text, [statement.number for statement in gone])
    new_text = left and edits.add_import(
        left, statement, after=lambda asked: asked.split(".")[0] == module.split(".")[0]
    )
    return new_text and edits_of_classes.without_unused_imports(new_text, text)


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
    first, second = broken.pair
    order = [first, second] if broken.agrees == "second" else [second, first]
    for registration in order:
        text, kept = broken.sources.get(registration.site.file), second if registration is first else first
        if text is None or not registration.class_ or is_library(registration.frame):
            continue
        name = _free_name(broken, registration)
        new = edits_of_classes.name_table(text, registration.site.line, name)
        changed = {} if new is None else {registration.site.file: new}
        for flagged in (registration, kept):
            before = changed.get(flagged.site.file) or broken.sources.get(flagged.site.file, "")
            after = edits_of_classes.without_flag(before, flagged.site.line, "extend_existing") if changed else None
            if after is not None:
                changed[flagged.site.file] = after
        if changed:
            who = _name(registration)
            says = (
                f"Call the table of {who} at {registration.site} {name}: {_name(kept)} at {kept.site} keeps {registration.table}. "
                "Which of the two keeps it is for you to decide; rows that are there stay where they are."
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
    first, second = broken.pair
    text = broken.sources.get(first.site.file)
    new = text and edits_of_classes.if_in_place_of_try(text, first.site.line, second.site.line)
    if new:
        says = f"Decide in {first.site.file} which of the two classes is defined before one is: the Table of a class that cannot be mapped stays."
        yield Candidate("choose-before", says, {first.site.file: new})
    base = text and edits_of_classes.base_of(text, second.site.line)
    if base:
        table = second.table
        statement = f'{base}.metadata.remove({base}.metadata.tables["{table}"])'
        new = edits_of_classes.before_class(text, second.site.line, statement)
        if new is not None:
            says = f"Take the Table {table} that the failed class left out of the metadata, before {second.site} defines it again."
            yield Candidate("remove-what-failed", says, {first.site.file: new}, last=True)


def own_instead_of_library(broken: Broken) -> Iterator[Candidate]:
    """A library's model and the application's own one for the same table: where the library's is named, name the own one."""
    first, second = broken.pair
    pair = [(a, b) for a, b in ((first, second), (second, first)) if is_library(a.frame) and not is_library(b.frame)]
    if not pair or not all(definition.class_ for definition in pair[0]):
        return
    library, ours = pair[0]
    old = f"{library.frame.module}.{_name(library)}"
    new = f"{broken.module_of(ours.site.file)}.{_name(ours)}"
    for separator in (".", ":"):
        was = separator.join(old.rsplit(".", 1))
        for file, text in broken.sources.items():
            if not file.endswith(".py") or file == library.site.file or is_library(library.frame._replace(file=file)):
                continue
            changed = text
            for line, value in strings(text):
                if value == was:
                    changed = edits.replace_text(changed, line, was, separator.join(new.rsplit(".", 1))) or changed
            if changed != text:
                says = f"Name {new} where {file} names {old}: the model that the application has in its place is then the only one."
                yield Candidate("name-the-own-model", says, {file: changed})
    for file, text in broken.sources.items():
        here = file.endswith(".py") and file != library.site.file and not is_library(library.frame._replace(file=file))
        if here and re.search(
            rf"from\s+{re.escape(library.frame.module or '?')}\s+import\b[^\n]*\b{_name(library)}\b", text
        ):
            changed = edits_of_imports.import_from(
                text, library.frame.module or "", _name(library), broken.module_of(ours.site.file)
            )
            if changed and _name(ours) == _name(library):
                says = f"Import {_name(ours)} from {ours.site.file} in {file}, and not from the library."
                yield Candidate("import-the-own-model", says, {file: changed})


def rename_reserved(broken: Broken) -> Iterator[Candidate]:
    """An attribute named ``metadata``: call it otherwise, and keep the column."""
    for place in broken.sites():
        text = broken.sources.get(place.file)
        new = text and edits.rename_attribute(text, place.line, "metadata", "metadata_")
        if new:
            says = f"Call the attribute metadata_ in {place.file}:{place.line}, with the column's name kept: metadata is SQLAlchemy's own."
            edited = {**broken.sources, place.file: new}
            class_ = edits_of_classes.class_at(text, place.line)
            along = {
                file: changed
                for file, source in edited.items()
                if class_ and file.endswith(".py")
                if (changed := edits_of_classes.rename_keyword(source, class_, "metadata", "metadata_")) is not None
            }
            yield Candidate("rename-reserved", says, {place.file: new, **along})


def module_path(broken: Broken) -> Iterator[Candidate]:
    """A class name that two classes have: say in the relationship which one, by its module's path."""
    names = {place.name for place in broken.sites() if place.name} | {broken.fault.table}
    for file, text in broken.sources.items():
        if not file.endswith(".py"):
            continue
        module = broken.module_of(file)
        new = text
        for line, value in strings(text):
            here = value in names and re.search(rf"^class {re.escape(value)}\b", text, re.M)
            if here and "relationship" in _around(text, line):
                new = edits.replace_text(new, line, value, f"{module}.{value}") or new
        if new != text:
            says = f"Name the class by its module's path in {file}: two classes have the name, and this file means its own."
            yield Candidate(f"module-path-{posixpath.basename(posixpath.dirname(file)) or 'here'}", says, {file: new})


def own_registries(broken: Broken) -> Iterator[Candidate]:
    """Bases that have a metadata of their own and share one registry: a registry each, in which the names are unique."""
    changed: dict[str, str | None] = {}
    for registration in broken.pair or ():
        for file, text in broken.sources.items():
            base = edits_of_classes.base_of(broken.sources.get(registration.site.file, ""), registration.site.line)
            known = file == registration.site.file or base and re.search(rf"^class {re.escape(base)}\b", text, re.M)
            new = base and known and edits_of_classes.own_registry(changed.get(file) or text, base)
            if new:
                changed[file] = new
    if changed:
        says = f"Give the bases in {', '.join(changed)} a registry each, and not only a metadata: a class is looked up by its name in its own one."
        yield Candidate("own-registries", says, changed)


def _around(text: str, line: int) -> str:
    return "\n".join(text.splitlines()[max(0, line - 3) : line + 2])


def foreign_key(broken: Broken) -> Iterator[Candidate]:
    """Two tables that a relationship joins and no foreign key links: make the column that is named after the other table one."""
    registrations = [
        next((r for r in broken.trace.registrations if str(r.site) == str(place)), None)
        for place in broken.sites("table")
    ]
    known = [registration for registration in registrations if registration is not None]
    for child, parent in [(a, b) for a in known[::-1] for b in known if a is not b]:
        text = broken.sources.get(child.site.file)
        key = _primary_key(broken.sources.get(parent.site.file, ""), parent.site.line)
        if text is None or key is None:
            continue
        parent_names = {parent.table, parent.table.rstrip("s"), parent.table.removesuffix("es"), _name(parent).lower()}
        for name in sorted(parent_names):
            new = edits_of_classes.add_foreign_key(text, child.site.line, f"{name}_{key}", f"{parent.table}.{key}")
            if new is not None:
                says = f"Make {name}_{key} of {child.table} a foreign key to {parent.table}.{key}, at {child.site}: the relationship is joined by it."
                yield Candidate("foreign-key", says, {child.site.file: new})
                return


def _primary_key(text: str, line: int) -> str | None:
    class_ = next((n for n in ast.walk(parsed(text)) if isinstance(n, ast.ClassDef) and n.lineno == line), None)
    for node in class_.body if class_ is not None else ():
        value = getattr(node, "value", None)
        keyed = isinstance(value, ast.Call) and any(k.arg == "primary_key" for k in value.keywords)
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if keyed and isinstance(target, ast.Name):
            return target.id
    return None
