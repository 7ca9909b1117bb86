"""Faults of the mapping: a relationship or an inheritance for which no join condition can be found."""

import ast
import re

from ..incident.source import assigned_name, attribute_of, nodes_at
from ..trace.values import Error, Registration
from .experiments import first_line, gone_with, run_before, said_by
from .unseen_tables import same_table
from .values import Case, Experiment, Fault, Place, of_failures

_RELATIONSHIP = re.compile(
    r"Could not (?:determine join condition between parent/child tables on|locate any relevant foreign key columns for "
    r"primary join condition .*? on) relationship (\w+)\.(\w+)",
    re.S,
)
_TABLES = re.compile(
    r"Can't (?:find any foreign key relationships|determine join) between '([\w.]+)' and '([\w.]+)'(?:; tables have more)?"
)
_SEVERAL = re.compile(
    r"multiple foreign key paths linking the tables|more than one foreign key (?:constraint )?relationship"
)
_SECONDARY = re.compile(r"via secondary table '([\w.]+)'")


def _of_relationship(case: Case, error: Error) -> Fault | None:
    match = said_by(error, _RELATIONSHIP)
    if match is None:
        return None
    class_, attribute = match.groups()
    classes = {(definition.class_ or "").rpartition(".")[2]: definition for definition in reversed(case.definitions)}
    parent = classes.get(class_)
    if parent is None:
        return None
    statement = attribute_of(case.tree(parent.site.file), class_, attribute)
    line, target = (statement.lineno, _target(statement)) if statement is not None else (parent.site.line, None)
    secondary, several, linked = said_by(error, _SECONDARY), said_by(error, _SEVERAL), said_by(error, _TABLES)
    child = classes.get(target) or (_table(case, linked[2]) if linked and not secondary else None)
    tables = f"{parent.table} ({parent.site})" + (f" and {child.table} ({child.site})" if child else "")
    lack = "several foreign keys link" if several else "no foreign key links"
    through = f" through {secondary[1]}" if secondary else ""
    keys = _keys(case, parent, child) if several and child is not None and not secondary else []
    through += f": {' and '.join(f'{key.name} at {key}' for key in keys)}" if keys else ""
    because = (
        f"the relationship {class_}.{attribute} at {parent.site.file}:{line} joins {tables}, and {lack} them{through}",
        f"seen as: {first_line(error.text)}, when the mappers were configured{_by(case, error)}",
    )
    sites = [Place("relationship", parent.site.file, line, f"{class_}.{attribute}", parent.site.module)]
    sites += [Place.of("table", holder.site) for holder in (parent, child) if holder is not None] + keys
    against = {
        "class-not-imported": f"both classes are there, {tables}" if child else f"{class_} is there, at {parent.site}",
        "ambiguous-class-name-in-registry": f"one class is meant by {target}",
    }
    between = [it for it in case.definitions if secondary and same_table(secondary[1], it.table)][:1]
    run = _with_key(case, match[0], parent, *between, child) if child is not None else None
    more = {"sites": tuple(sites), "against": against, "error": error, "experiment": run}
    return Fault("no-join-condition", because, parent.table, **more)


def _of_tables(case: Case, error: Error) -> Fault | None:
    """A joined inheritance, or a join that a query writes, of two tables that no foreign key links."""
    match = said_by(error, _TABLES)
    site = error.site
    if match is None or site is None:
        return None
    first, second = _table(case, match[1]), _table(case, match[2])
    if first is None or second is None:
        return None
    lack = "several foreign keys link" if said_by(error, _SEVERAL) else "no foreign key links"
    because = (
        f"the tables {first.table} ({first.site}) and {second.table} ({second.site}) are joined at {site}, and {lack} them",
        f"seen as: {first_line(error.text)}",
    )
    sites = (Place.of("join", site), Place.of("table", first.site), Place.of("table", second.site))
    inherits = (site.file, site.line) == (second.site.file, second.site.line)
    run = _with_key(case, match[0], first, second, inherits=inherits)
    return Fault("no-join-condition", because, second.table, sites=sites, error=error, experiment=run)


def _table(case: Case, name: str) -> Registration | None:
    """What was registered first under the name of a table, with its schema or without."""
    there = (it for it in case.trace.registrations if it.outcome in ("registered", "reflected") and not it.removed)
    return next((registration for registration in there if same_table(name, registration.table)), None)


def _keys(case: Case, *tables: Registration) -> list[Place]:
    """The statements of two classes that make a foreign key from one's table to the other's."""
    keys = []
    for table, other in zip(tables, reversed(tables), strict=True):
        names = "|".join(map(re.escape, (other.table, (other.class_ or other.table).rpartition(".")[2])))
        key, file = re.compile(rf"ForeignKey.*\b(?:{names})\.", re.S), table.site.file
        for class_ in nodes_at(case.tree(file), table.site.line, ast.ClassDef)[-1:]:
            nodes = (node for node in class_.body if key.search(ast.unparse(node)))
            keys += [Place("foreign key", file, node.lineno, assigned_name(node) or "a foreign key") for node in nodes]
    return list(dict.fromkeys(keys))


def _by(case: Case, error: Error) -> str:
    """At whose asking, and who caught it."""
    site = error.site
    caught = next((swallowed.site for swallowed in case.trace.swallowed if swallowed.error == error), None)
    where = f" at {site}" if site else " by the kit, after the startup"
    return where + (f"; it was caught, at {caught}" if caught else "")


def _target(statement: ast.stmt) -> str | None:
    """The class that ``relationship("Book")``, ``relationship(Book)`` or ``Mapped[list["Book"]]`` names."""
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Call):
        first = value.args[0] if value.args else next((k.value for k in value.keywords if k.arg == "argument"), None)
        first = first.body if isinstance(first, ast.Lambda) else first
        text = first.value if isinstance(first, ast.Constant) else ast.unparse(first) if first is not None else ""
        if isinstance(text, str) and text:
            return text.rpartition(".")[2]
    annotation = getattr(statement, "annotation", None)
    words = re.findall(r"\w+", ast.unparse(annotation)) if annotation is not None else []
    wrappers = ("Mapped", "None", "Optional", "List", "list", "Set", "set", "orm", "typing")
    return next((word for word in reversed(words) if word not in wrappers), None)


_KEY = """
import sqlalchemy as sa
def missing(child, parent):
    key = list(parent.primary_key.columns)
    for column in child.columns if len(key) == 1 else ():
        free = not column.foreign_keys and (not column.primary_key or len(child.primary_key.columns) > 1)
        if free and column.type._type_affinity is key[0].type._type_affinity:
            yield child, column, key[0]
def link(first, second):
    inherits = [(it, list(it.primary_key.columns)[0]) for it in (first, second)] if {inherits!r} else ()
    columns = [(it, column, key) for it, column in inherits[1:] for _, key in inherits[:1]]
    columns = columns or list(missing(second, first)) + list(missing(first, second))
    meant = [pair for pair in columns if pair[2].table.name.rstrip("s") in pair[1].name]
    if not (meant or columns):
        key = list(first.primary_key.columns)[0]
        column = sa.Column("incident_key", key.type)
        second.append_column(column)
        columns = [(second, column, key)]
    child, column, key = (meant or columns)[0]
    child.append_constraint(sa.ForeignKeyConstraint([column.name], [key]))
    print("a foreign key from %s to %s" % (column, key))
def see(table, metadata):
    there = [metadata.tables.get(name) for name in {names!r}]
    for tables in zip(there, there[1:]) if table in there and None not in there else ():
        keys = sorted({{key for it in tables for key in it.foreign_keys if key.column.table in tables}}, key=lambda key: str(key.parent))
        for key in keys[1:]:
            key.parent.foreign_keys.discard(key)
            key.parent.table.foreign_keys.discard(key)
            key.parent.table.constraints.discard(key.constraint)
            print("a foreign key from %s to %s alone" % (keys[0].parent, keys[0].column))
        keys or link(*tables)
sa.event.listen(sa.Table, "after_parent_attach", see)
"""


def _with_key(case: Case, words: str, *tables: Registration, inherits: bool = False) -> Experiment | None:
    """The startup with one foreign key between each two of the tables, made as soon as the last of them is there."""
    last = max(tables, key=lambda registration: registration.at)
    edits = run_before(case, last, _KEY.format(names=[it.table for it in tables], inherits=inherits))
    says = f"a foreign key between {'the two' if len(tables) == 2 else 'the three'} tables, as soon as they are there"
    return Experiment(says, case.incident, gone_with("a foreign key from ", words), edits) if edits else None


MECHANISMS = of_failures(lambda case, error: _of_relationship(case, error) or _of_tables(case, error))
