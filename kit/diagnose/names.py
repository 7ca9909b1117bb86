"""Names that a string asks for and nobody finds: the class or table is not imported, or stands on another metadata."""

import ast
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from ..incident.source import Named
from ..incident.steps import Step
from ..trace.chains import application_frames
from ..trace.values import Creation, Error, Registration
from .experiments import error_texts, first_line, gone, gone_with, run_before, said_by, with_line_before, with_steps
from .unseen_tables import MISSED, handed_to_alembic, key_across_metadata, made_at, same_table
from .values import Case, Experiment, Fault, Place, of_failures

_NOT_LOCATED = re.compile(
    r"expression ['\"](?P<text>.+?)['\"] failed to locate a name \(['\"]?(?:name ')?(?P<name>\w+)", re.S
)
_MAPPER = re.compile(r"mapper (?:Mapper\[|mapped class )(\w+)")
_FOREIGN_KEY = re.compile(
    r"column '(?P<holder>[\w.]+)\.\w+' could not find table '(?P<table>[\w.]+)'(?:.*?target column '(?P<column>\w+)')?",
    re.S,
)
_UNREGISTERED = re.compile(r"unregistered task of type '([\w.]+)'|NotRegistered: '?([\w.]+)'?")


class Asked(NamedTuple):
    """What an error says was looked up by its name, and not there.

    :ivar by: the definition whose relationship or foreign key asks
    :ivar text: the string as it is written
    :ivar name: the class or table that is meant
    :ivar role: ``relationship`` or ``foreign key``
    :ivar words: the error's own words for it, to look for in another run
    """

    by: Registration
    text: str
    name: str
    role: str
    words: str

    @property
    def file(self) -> str:
        return self.by.site.file


def class_not_imported(case: Case, error: Error) -> Fault | None:
    """A relationship or foreign key names a class or table of the sources whose file was not executed."""
    for asked in _asked(case, error):
        definition = _definition(case, asked)
        if definition is None or any(_is_meant(asked, other) for other in _beside(case, asked)):
            continue
        return _not_imported(case, asked, definition, error)
    return None


def _not_imported(case: Case, asked: Asked, definition: Named, error: Error) -> Fault:
    line = _line_of(case, asked)
    module = case.module_of(definition.file)
    others = sorted({i.step for i in case.trace.imports if i.module == module and i.application})
    sentence = _imported_by(case, module) + (f" (it is imported in {', '.join(others)})" if others else "")
    when = "when the mappers were configured" if asked.role == "relationship" else "when the foreign key was looked up"
    because = (
        f"the {asked.role} at {asked.file}:{line} names {asked.name}, which {definition.file}:{definition.line} defines; {sentence}",
        f"{when}: {first_line(str(error))}",
    )
    sites = (
        Place(asked.role, asked.file, line, asked.text, asked.by.site.module),
        Place("class", definition.file, definition.line, definition.class_ or definition.table, module),
    )
    against = {
        "ambiguous-class-name-in-registry": f"one class is named {asked.name}, and it is not there",
        "no-join-condition": "no join was looked for: the class itself was missing",
        "name-on-another-metadata": f"no metadata has {asked.name}: its module was not executed",
    }
    experiment = _with_import(case, asked, module)
    return Fault("class-not-imported", because, sites=sites, against=against, error=error, experiment=experiment)


def name_on_another_metadata(case: Case, error: Error) -> Fault | None:
    """A relationship or foreign key names a class or table that is there, on another metadata than where it is looked for."""
    for asked in _asked(case, error):
        # A library's own table may be meant, where the application has none of the name.
        there = (it for it in case.trace.registrations if it.process == asked.by.process and it.outcome == "registered")
        meant = [other for other in _beside(case, asked) if _is_meant(asked, other)]
        if not meant:
            own = {it.rpartition(".")[2] for other in _beside(case, asked) for it in (other.table, other.class_ or "")}
            misspelt = get_close_matches(asked.name.rpartition(".")[2], own)
            by_name = (it for it in there if not it.removed and _is_meant(asked, it))
            meant = [it for it in by_name if not misspelt or asked.name in (it.table, _short(it.class_))]
        label, others = asked.by.metadata.label, {other.metadata.label for other in meant}
        if not meant or label in others:
            continue
        place, places = made_at(label), {made_at(other) for other in others}
        served = {made_at(served) for served in handed_to_alembic(case)}
        if place not in places and (len(served & {place, *places}) != 1 or not meant[0].frame.application):
            return _elsewhere(case, asked, meant[0], error)
        if asked.role == "foreign key":  # that Alembic sees one of the two, or that one line made both, says more
            return key_across_metadata(case, asked.by, meant, error)
    return None


def _elsewhere(case: Case, asked: Asked, other: Registration, error: Error) -> Fault:
    line = _line_of(case, asked)
    named = f"class {other.class_}" if asked.name == _short(other.class_) else f"table {other.table}"
    expression = "" if asked.text == asked.name else f" in {asked.text!r}"
    because = (
        f"the {asked.role} at {asked.file}:{line} asks for {asked.name!r} by its name{expression}, which is looked up on the metadata made at "
        f"{asked.by.metadata.label}; the {named}, defined at {other.site}, is on the one made at {other.metadata.label}",
        f"seen as: {first_line(str(error))}",
    )
    sites = (
        Place(asked.role, asked.file, line, asked.text, asked.by.site.module),
        Place.of("named", other.site),
        *(Place.of("metadata", r.metadata.site) for r in (asked.by, other) if r.metadata.site is not None),
    )
    against = {
        "class-not-imported": f"{other.site} was executed, under the name {other.frame.module}",
        "ambiguous-class-name-in-registry": f"one definition is meant by {asked.text!r}",
        "no-join-condition": "no join was looked for: the name itself was not found",
        "table-on-metadata-alembic-does-not-migrate": "Alembic does not tell the two apart: it sees both of them, or neither",
    }
    slug, experiment = "name-on-another-metadata", _with_object(case, asked, other)
    return Fault(slug, because, asked.by.table, sites=sites, against=against, error=error, experiment=experiment)


def _asked(case: Case, error: Error) -> Iterator[Asked]:
    """What an error says could not be found, with the definition that asks for it."""
    located, mapper = said_by(error, _NOT_LOCATED), said_by(error, _MAPPER)
    if located is not None:
        text, name = located["text"], located["name"]
        if re.fullmatch(r"\w+(\.\w+)+", text):
            name = text.rpartition(".")[2]  # a class by its module's path, a table with its schema
        for definition in case.definitions:
            if mapper is not None and _short(definition.class_) == mapper[1]:
                yield Asked(definition, text, name, "relationship", located[0])
    foreign = said_by(error, _FOREIGN_KEY)
    if foreign is not None:
        column = f".{foreign['column']}" if foreign["column"] else ""
        for definition in case.definitions:
            if same_table(foreign["holder"], definition.table):
                table = foreign["table"]
                yield Asked(definition, table + column, table, "foreign key", f"could not find table '{table}'")


def _beside(case: Case, asked: Asked) -> list[Registration]:
    return [definition for definition in case.definitions if definition.process == asked.by.process]


def _is_meant(asked: Asked, other: Registration) -> bool:
    if asked.role == "foreign key":
        return same_table(asked.name, other.table)
    return asked.name == _short(other.class_) or same_table(asked.name, other.table)


def _short(class_: str | None) -> str | None:
    return class_.rpartition(".")[2] if class_ else None


def _definition(case: Case, asked: Asked) -> Named | None:
    """The class or table of this name in the sources, in a file that was not executed in the process that asks."""
    ran = {i.file for i in case.trace.imports if i.application and i.process == asked.by.process}

    def means(named: Named) -> bool:
        by_table = bool(named.table) and same_table(asked.name, named.table)
        return by_table or asked.role == "relationship" and named.class_ == asked.name

    return next((named for named in (*case.named, *case.classes) if means(named) and named.file not in ran), None)


def _line_of(case: Case, asked: Asked) -> int:
    """The line at which the name is written; the definition's own where it is not found."""
    node = _text_of(case, asked)
    if node is not None:
        return node.lineno
    lines = case.sources.get(asked.file, "").splitlines()
    wanted = re.compile(rf"['\"\[.]{re.escape(asked.name)}['\"\].]")
    below = range(asked.by.site.line, len(lines) + 1)
    return next((number for number in below if wanted.search(lines[number - 1])), asked.by.site.line)


def _text_of(case: Case, asked: Asked) -> ast.Constant | None:
    """The string literal that asks, at or below the statement of the definition."""
    constants = [node for node in ast.walk(case.tree(asked.file)) if isinstance(node, ast.Constant)]
    literals = [node for node in constants if isinstance(node.value, str) and node.lineno >= asked.by.site.line]
    literals.sort(key=lambda node: (node.lineno, node.col_offset))
    whole = [node for node in literals if node.value == asked.text]
    word = re.compile(rf"\b{re.escape(asked.name)}\b")
    return next(iter(whole or [node for node in literals if word.search(node.value)]), None)


def _with_import(case: Case, asked: Asked, module: str) -> Experiment | None:
    """The run in which the module that asks imports the other one, at its end."""
    text = case.sources.get(asked.file)
    if text is None:
        return None
    edits = {asked.file: text.rstrip("\n") + f"\n\nimport {module}\n"}
    return Experiment(f"{module} imported at the end of {asked.file}", case.incident, gone(asked.words), edits)


_KNOWN = """
import sqlalchemy
from sqlalchemy import event, orm
tables, classes = {{}}, {{}}
def see_table(table, metadata):
    tables[table.key] = table
    if {by!r} in tables and {other!r} in tables and {other!r} not in tables[{by!r}].metadata.tables:
        table = tables[{other!r}]
        tables[{by!r}].metadata._add_table(*{added!r}, table)
        print("known there: the table %s" % table)
def see_class(mapper, class_):
    classes[class_.__name__] = class_
    if {by_class!r} in classes and {name!r} in classes and {name!r} not in classes[{by_class!r}].registry._class_registry:
        classes[{by_class!r}].registry._class_registry[{name!r}] = classes[{name!r}]
        print("known there: the class %s" % {name!r})
event.listen(sqlalchemy.Table, "after_parent_attach", see_table)
event.listen(orm.Mapper, "instrument_class", see_class)
"""


def _with_object(case: Case, asked: Asked, other: Registration) -> Experiment | None:
    """The run in which the table, and the class, is known by its name where the string is looked up."""
    schema, _, name = (asked.name if asked.role == "foreign key" else other.table).rpartition(".")
    names = {
        "by": asked.by.table,
        "added": (name, schema or None),
        "other": other.table,
        "by_class": _short(asked.by.class_),
        "name": _short(other.class_),
    }
    first = min(asked.by, other, key=lambda registration: registration.at)
    edits = run_before(case, first, _KNOWN.format(**names))
    says = f"{asked.name} itself known where {asked.text!r} at {asked.file}:{_line_of(case, asked)} is looked up"
    return Experiment(says, case.incident, gone_with("known there: ", asked.words), edits) if edits else None


def created_before_import(case: Case, error: Error) -> Fault | None:
    """A table is missing in the database: ``create_all`` ran where, or when, the module of its class was not executed."""
    missed = said_by(error, MISSED)
    name = next((group for group in missed.groups() if group), None) if missed is not None else None
    for definition in case.definitions if name is not None else ():
        if not same_table(name, definition.table):
            continue
        label = made_at(definition.metadata.label)
        every = [creation for creation in (*case.trace.before, *case.trace.created) if creation.table is None]
        created = [creation for creation in every if made_at(creation.metadata) == label]
        if created and not any(_was_there(case, definition.table, creation) for creation in created):
            return _created_without(case, definition, created[0], error)
    return None


def _was_there(case: Case, table: str, created: Creation) -> bool:
    """Was a table of this name on the metadata when its ``create_all`` ran?"""
    past = {created.process: created.at, **case.trace.forked_from(created.process)}
    of_table = (definition for definition in case.definitions if definition.table == table)
    there = any(definition.at < past.get(definition.process, 0) for definition in of_table)
    return created.step.startswith("prepare") or there


def _created_without(case: Case, definition: Registration, created: Creation, error: Error) -> Fault | None:
    maker = next(iter(application_frames(created.chain)[::-1]), None)
    if maker is None:
        return None
    module = definition.frame.module
    route = " → ".join(map(str, application_frames(definition.chain)))
    because = (
        f"{maker} creates the tables of the metadata made at {definition.metadata.label}, and {module}, which defines "
        f"{definition.table} at {definition.site}, was not imported there yet; it is imported by {route} ({definition.step})",
        f"seen as: {first_line(str(error))}",
    )
    sites = (Place.of("class", definition.site), Place.of("creates", maker))
    against = {
        "table-on-metadata-alembic-does-not-migrate": "the table is on the metadata that is created, but was added too late",
        "model-module-not-imported-by-env": f"the tables are made by {maker}, and not by Alembic",
    }
    edited = with_line_before(case.sources.get(maker.file, ""), maker.line, f"import {module}") if module else None
    says, judge = f"{module} imported before {maker} creates the tables", gone(said_by(error, MISSED)[0])
    run = Experiment(says, case.incident, judge, {maker.file: edited}) if edited is not None else None
    more = {"sites": sites, "against": against, "error": error, "experiment": run}
    return Fault("class-not-imported", because, definition.table, **more)


def task_not_imported(case: Case) -> Fault | None:
    """A worker got a task that it does not know, and whose function the sources have in a file that it did not execute."""
    texts = [(error, text) for error in case.errors for text in (str(error), *error_texts(error))]
    texts += [(None, step.output) for step in case.trace.steps] + [(r.error, r.text) for r in case.trace.records]
    for error, text in texts:
        match = _UNREGISTERED.search(text)
        name = match and (match[1] or match[2])
        task = next((t for t in case.tasks if name and name in (t.table, f"{case.module_of(t.file)}.{t.class_}")), None)
        if task is None or any(i.file == task.file and i.error is None for i in case.trace.imports if i.application):
            continue
        module = case.module_of(task.file)
        unseen = f"whose module the worker did not execute; {_imported_by(case, module)}"
        because = (
            f"the task {name} is {task.class_} at {task.file}:{task.line}, {unseen}",
            f"seen as: {first_line(match[0])}",
        )
        sites = (Place("task", task.file, task.line, task.class_, module),)
        run = _by_the_worker(case, module, match[0])
        return Fault("class-not-imported", because, sites=sites, error=error or Error("", match[0]), experiment=run)
    return None


def _by_the_worker(case: Case, module: str, words: str) -> Experiment:
    """The run in which the worker imports a module: because it is told to, or before all else."""
    worker, included = re.compile(r"(\bcelery\b.*\bworker\b)"), rf"\1 --include {module}"
    changed = ((step, worker.sub(included, step.text)) for step in case.incident.startup)
    steps = [step.model_copy(update={"text": text}) for step, text in changed]
    first = [] if steps != case.incident.startup else [Step.model_validate({"import": module})]
    return Experiment(f"the worker imports {module}", with_steps(case.incident, [*first, *steps]), gone(words))


def _imported_by(case: Case, module: str) -> str:
    importers = sorted({f"{s.file}:{s.line}" for s in case.statements if s.imported == module})
    return (
        f"only {', '.join(importers[:4])} would import it, and no such statement ran"
        if importers
        else "nothing imports it"
    )


MECHANISMS = of_failures(class_not_imported, name_on_another_metadata, created_before_import, of="errors")
MECHANISMS += [task_not_imported]
