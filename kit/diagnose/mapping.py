"""Faults of the mapping: a relationship or an inheritance for which no join condition can be found."""

import ast
import re

from ..incident.source import attribute_of
from ..incident.steps import Step
from ..trace.trace import Trace
from ..trace.values import Error, Registration
from .experiments import failure, first_line, said_by, texts_of, with_steps
from .values import Case, Experiment, Fault, Place, innermost, of_failures

_RELATIONSHIP = re.compile(
    r"Could not (?:determine join condition between parent/child tables on|locate any relevant foreign key columns for "
    r"primary join condition .*? on) relationship (\w+)\.(\w+)",
    re.S,
)
_TABLES = re.compile(r"Can't find any foreign key relationships between '([\w.]+)' and '([\w.]+)'")
_SEVERAL = re.compile(r"multiple foreign key paths linking the tables")
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
    child = classes.get(target)
    secondary, several = said_by(error, _SECONDARY), said_by(error, _SEVERAL)
    tables = f"{parent.table} ({parent.site})" + (f" and {child.table} ({child.site})" if child else "")
    lack = "several foreign keys link" if several else "no foreign key links"
    through = f" through {secondary[1]}" if secondary else ""
    because = (
        f"the relationship {class_}.{attribute} at {parent.site.file}:{line} joins {tables}, and {lack} them{through}",
        f"seen as: {first_line(error.text)}, when the mappers were configured{_by(case, error)}",
    )
    sites = [Place("relationship", parent.site.file, line, f"{class_}.{attribute}", parent.site.module)]
    sites += [Place.of("table", holder.site) for holder in (parent, child) if holder is not None]
    against = {
        "class-not-imported": f"both classes are there, {tables}" if child else f"{class_} is there, at {parent.site}",
        "ambiguous-class-name-in-registry": f"one class is meant by {target}",
    }
    run = _with_key(case, parent, child, secondary and secondary[1]) if child is not None else None
    more = {"sites": tuple(sites), "against": against, "error": error, "experiment": run}
    return Fault("no-join-condition", because, parent.table, **more)


def _of_tables(case: Case, error: Error) -> Fault | None:
    """A joined inheritance, or a join that a query writes, of two tables that no foreign key links."""
    match = said_by(error, _TABLES)
    site = innermost(error)
    if match is None or site is None:
        return None
    first, second = (next((r for r in case.trace.registrations if r.table == name), None) for name in match.groups())
    if first is None or second is None:
        return None
    because = (
        f"the tables {first.table} ({first.site}) and {second.table} ({second.site}) are joined at {site}, and no foreign key links them",
        f"seen as: {first_line(error.text)}",
    )
    sites = (Place.of("join", site), Place.of("table", first.site), Place.of("table", second.site))
    return Fault("no-join-condition", because, second.table, sites=sites, error=error)


def _by(case: Case, error: Error) -> str:
    """At whose asking, and who caught it."""
    site = innermost(error)
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
    ways = ("Mapped", "None", "Optional", "List", "list", "Set", "set", "orm", "typing")
    return next((word for word in reversed(words) if word not in ways), None)


_KEY = """
import importlib
import sqlalchemy as sa
from sqlalchemy.orm import configure_mappers
one, other = [getattr(importlib.import_module(module), name).__table__ for module, name in {classes!r}]
def missing(child, parent):
    key = list(parent.primary_key.columns)
    for column in child.columns if len(key) == 1 else ():
        free = not column.foreign_keys and (not column.primary_key or len(child.primary_key.columns) > 1)
        if free and column.type._type_affinity is key[0].type._type_affinity:
            yield child, column, key[0]
def link(one, other):
    found = list(missing(other, one)) + list(missing(one, other))
    meant = [each for each in found if each[2].table.name.rstrip("s") in each[1].name]
    if not (meant or found):
        key = list(one.primary_key.columns)[0]
        column = sa.Column("incident_key", key.type)
        other.append_column(column)
        found = [(other, column, key)]
    child, column, key = (meant or found)[0]
    child.append_constraint(sa.ForeignKeyConstraint([column.name], [key]))
    print("a foreign key from %s to %s" % (column, key))
through = one.metadata.tables.get({through!r})
for tables in [(one, other)] if through is None else [(one, through), (other, through)]:
    keys = sorted({{key for it in tables for key in it.foreign_keys if key.column.table in tables}}, key=lambda key: str(key.parent))
    for key in keys[1:]:
        key.parent.foreign_keys.discard(key)
        key.parent.table.foreign_keys.discard(key)
        key.parent.table.constraints.discard(key.constraint)
        print("a foreign key from %s to %s alone" % (keys[0].parent, keys[0].column))
    keys or link(*tables)
configure_mappers()
"""


def _with_key(case: Case, parent: Registration, child: Registration, through: str | None) -> Experiment | None:
    """``configure_mappers()`` right after the import, with one foreign key between the tables, or to each from the one between."""
    classes = [(registration.frame.module, registration.class_) for registration in (parent, child)]
    if not all(module and module != "__main__" and name and "." not in name for module, name in classes):
        return None
    others = sorted({definition.frame.module or "" for definition in case.definitions} - {"__main__"})
    steps = [Step.model_validate({"import": module}) for module in others if re.fullmatch(r"\w+(\.\w+)*", module)]
    code = Step.model_validate({"code": _KEY.format(classes=classes, through=through)})

    def judge(trace: Trace) -> tuple[bool | None, str]:
        lines = dict.fromkeys(line for text in texts_of(trace) for line in text.splitlines())
        keys = " and ".join(line for line in lines if line.startswith("a foreign key from ")) or "a foreign key"
        wrong = failure(trace)
        return (None, f"with {keys}: {wrong}") if wrong else (True, f"with {keys} the mappers configure")

    says = f"configure_mappers() right after the import, with a foreign key between {'the two' if through is None else 'the three'} tables"
    return Experiment(says, with_steps(case.incident, [*steps, code]), judge)


MECHANISMS = of_failures(lambda case, error: _of_relationship(case, error) or _of_tables(case, error))
