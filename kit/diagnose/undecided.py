"""What is known of a failure that no mechanism explains: the statement that led to it, what it names, what it usually means."""

import ast
import re
from collections.abc import Iterator

from ..incident.source import attribute_of, bound_by, nodes_at
from ..startup.installed_packages import DRIVERS
from ..trace.chains import application_frames
from ..trace.expected import expected_error
from ..trace.values import Error
from .experiments import error_texts
from .explanations import Meaning, meaning_of_error
from .removed_apis import lacking, version_of
from .two_registrations import Finding
from .values import Case, Place

# How a library's error names what the application wrote: 'Order', 'orders.user_id', Order.user, Mapper[Order(orders)], <class 'shop.Order'>.
_NAMES = re.compile(
    r"['\"]([A-Za-z_][\w.]*)['\"]|\bMapper\[(\w+)\(|\bmapped class (\w+)->|\bno such (?:table|column): ([\w.]+)|\bindex (\w+) already exists|\b([A-Za-z_]\w*\.[A-Za-z_]\w*)\b"
)
# Calls that name what stands elsewhere, or that give a name.
_NAMING = re.compile("[Rr]elationship|ForeignKey(?:Constraint)?|Index|(?:Unique|Check)Constraint")
_STATEMENT = re.compile(r"\n\[SQL: \w+ \w+")
_MODULES = (re.escape(module) for drivers in DRIVERS.values() for _, module, _ in drivers)
_OF_DATABASES = re.compile(rf"(?:^|/)(?:sqlalchemy|{'|'.join(_MODULES)})[/.]")
_MOST = 4  # lines that are named


def undecided(case: Case, wrong: list[str], against: dict[str, str]) -> Finding:
    """What is wrong, and all that is known of it, where no mechanism fits.

    :param wrong: how the startup shows it
    """
    failed = _error(case)
    chain = case.in_order(failed) if failed is not None else []
    error = next(iter(chain), None)
    frames = application_frames(error.frames) if error is not None else ()
    meaning = next(filter(None, (_meaning(link) for link in chain if not link.own_words)), None)
    sites = [Place.of("led to it", frames[-1], frames[-1].function)] if frames else []
    sites += [Place.of("raised", link.site, link.site.function) for link in chain[1:] if link.site]
    known = [*wrong, *(f"{link.as_cause}, raised at {link.site}" for link in chain if link is not failed)]
    if frames:
        line = next((text.strip().rstrip(",:") for _, text in case.trace.excerpt(frames[-1], around=0)), "")
        by = f", reached by {' → '.join(map(str, frames[:-1]))}" if frames[:-1] else ""
        known.append(f"the statement that led to it is at {frames[-1]}{f': {line}' if line else ''}{by}")
    for place in _about(case, error, meaning) if error is not None else ():
        if str(place) not in map(str, sites):
            sites.append(place)
            known.append(f"the error is about {place.name}, at {place}")
    if error is not None and (lacks := lacking(case, error)) is not None:
        known.append(version_of(case, lacks.library))
    if meaning is not None:
        known.append(f"such an error usually means: {meaning.happened}")
    known.append("no table was rejected, and no mechanism that the kit knows fits")
    return Finding("undecided", tuple(known), against, tuple(sites), meaning)


def _meaning(error: Error) -> Meaning | None:
    """What it usually means, by its text with how its SQL statement begins, what those say that it came from, and its frames."""
    first, *others = error_texts(error)
    statement = _STATEMENT.search(error.text)
    words = "\n".join([first + (statement[0] if statement else ""), *others])
    return meaning_of_error(words, "\n".join(frame.file for frame in error.frames))


def _error(case: Case) -> Error | None:
    """The error that the incident names, else that of the first step that failed, else what was seen at all."""
    expected = expected_error(case.incident)
    failed = [step.exception for step in case.trace.steps if step.ok is False and step.exception is not None]
    named = [it for it in case.failures if expected is not None and any(expected in text for text in error_texts(it))]
    return next(iter([*named, *failed, *case.failures]), None)


def _named(case: Case, error: Error) -> Iterator[Place]:
    """The lines of what an error names: classes, tables and attributes of the application, and where a name is written down."""
    names = [next(filter(None, match)) for match in _NAMES.findall(error_texts(error)[0].partition("\n")[0])]
    classes = {(definition.class_ or "").rpartition(".")[2] for definition in case.definitions}
    owners = [name for name in names if name in classes]
    annotations = re.findall(r"\"relationship\((.+?)\)\" seems", error_texts(error)[0])
    names = [*annotations, *(f"{owner}.{name}" for owner in owners for name in names if name not in classes), *names]
    places = [[*_defined(case, name), *_written(case, name)] for name in dict.fromkeys(names)]
    # A class is named by every relationship that leads to it: what stands in the fewest places says most.
    yield from list(dict.fromkeys(place for of_name in sorted(places, key=len) for place in of_name))[:_MOST]


def _engines(case: Case, error: Error) -> Iterator[Place]:
    """Where the application makes the engines that may have raised an error, each with the file that it opens."""
    raises = any(_OF_DATABASES.search(frame.file) for frame in error.frames if not frame.application)
    for engine in case.trace.engines if raises else ():
        if "(sqlite3." in error.text and not engine.driver.startswith("sqlite"):
            continue
        file = engine.database if engine.driver.startswith("sqlite") and not engine.on_scratch else ""
        yield from [Place.of("engine", engine.site, f"the engine{file and f' of {file}'}")] if engine.site else []


def _fields(case: Case, error: Error) -> Iterator[Place]:
    """The fields, of the class whose statement raised an error, with the type that it names and no column type of their own."""
    at, named = error.site, re.search(r"<(?:class|enum) '(?:\w+\.)*(\w+)'>|(\w+) has no matching", error.text)
    for class_ in nodes_at(case.tree(at.file), at.line, ast.ClassDef)[-1:] if at and named else ():
        of_type = re.compile(rf"\b{named[1] or named[2]}\b")
        for field in (it for it in class_.body if isinstance(it, ast.AnnAssign)):
            has_its_own = re.search(r"\bsa_(?:type|column)\b", ast.unparse(field))
            if of_type.search(ast.unparse(field.annotation)) and not has_its_own:
                yield Place("named", at.file, field.lineno, f"{class_.name}.{ast.unparse(field.target)}", at.module)


def _configurations(case: Case, error: Error) -> Iterator[Place]:
    """Alembic's own file, by the line that names its folder of scripts."""
    for file, text in case.scripts.items():
        if file.endswith("alembic.ini"):
            line = text[: text.find("\nscript_location") + 1].count("\n") + 1
            yield Place("configuration", file, line, "a configuration of Alembic")


_ABOUT = {"engine": _engines, "field": _fields, "configuration": _configurations}


def _about(case: Case, error: Error, meaning: Meaning | None) -> Iterator[Place]:
    """The lines of the application that an error is about."""
    yield from _for_type_checkers(case, error)
    yield from _ABOUT[meaning.about](case, error) if meaning and meaning.about else ()
    yield from _named(case, error)


def _for_type_checkers(case: Case, error: Error) -> Iterator[Place]:
    """Where the file that lacks a name imports it, in a block that only type checkers read."""
    wanted, at = re.match(r"name '(\w+)' is not defined", error.text), error.site
    tests = [n for n in ast.walk(case.tree(at.file)) if isinstance(n, ast.If)] if wanted and at else ()
    blocks = (test.body for test in tests if "TYPE_CHECKING" in ast.dump(test.test))
    for line in (node.lineno for block in blocks for node in block if wanted[1] in bound_by(node)):
        yield Place("named", at.file, line, f"{wanted[1]}, imported for type checkers only", at.module)


def _defined(case: Case, name: str) -> Iterator[Place]:
    """A class or a table, with the line of its attribute or column where the name has one."""
    for definition in case.definitions:
        of_class = (definition.class_ or "").rpartition(".")[2]
        holder, _, attribute = name.rpartition(".")
        for wanted, part in ((name, ""), (name.rpartition(".")[2], ""), (holder, attribute)):
            table = definition.table if wanted == definition.table else None
            without_schema = not part and "." in definition.table and wanted == definition.table.rpartition(".")[2]
            if wanted and (wanted == of_class or table or without_schema):
                statement = attribute_of(case.tree(definition.site.file), of_class, part) if part else None
                line = statement and statement.lineno
                says = f"{of_class or definition.table}.{part}" if line else of_class or definition.table
                says += f" (table {definition.table})" if of_class and not line else ""
                yield Place("named", definition.site.file, line or definition.site.line, says, definition.site.module)
                break


def _written(case: Case, name: str) -> Iterator[Place]:
    """Where the models have the name as a text: ``back_populates="user"``, and ``ForeignKey("users.id")`` of a table that is not there."""
    there = any(name == definition.table for definition in case.definitions)
    for file in dict.fromkeys(definition.site.file for definition in case.definitions):
        for node in ast.walk(case.tree(file)):
            if isinstance(node, ast.AnnAssign) and '"' in name and ast.unparse(node.annotation) == name.strip('"'):
                yield Place("named", file, node.lineno, ast.unparse(node))
            called = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if not _NAMING.fullmatch(called):
                continue
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            constants = (value.value for value in values if isinstance(value, ast.Constant))
            texts = [value for value in constants if isinstance(value, str)]
            if any(text == name or not there and text.startswith(f"{name}.") for text in texts):
                source = ast.unparse(node)
                yield Place("named", file, node.lineno, source if len(source) <= 80 else f"{source[:78]} …")
