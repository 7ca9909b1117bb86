"""Tables that the application has and Alembic does not see: their module is not imported, or they are on another metadata."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..incident.model import Incident
from ..incident.source import Named
from ..trace.chains import application_frames, executed_by_alembic
from ..trace.values import Error, Registration
from . import metadata_runs as runs
from .experiments import error_texts, executed_once, first_line, gone, said_by
from .values import Case, Experiment, Fault, Looked, Place

_OTHER_METADATA = "table-on-metadata-alembic-does-not-migrate"
MISSED = re.compile(r"no such table: ([\w.]+)|relation \"([\w.]+)\" does not exist|Table '([\w.]+)' doesn't exist")
_REMOVES = re.compile(r"\('remove_table', Table\('([^']+)'")
# A database's word for a column that a statement names and its table lacks: the table, the column, or the other way round.
_LACKS = re.compile(
    r"table (?P<t1>[\w.]+) has no column named (?P<c1>\w+)|no such column: (?P<t2>[\w.]+)\.(?P<c2>\w+)"
    r"|column \"?(?P<c3>\w+)\"? of relation \"(?P<t3>[\w.]+)\" does not exist|column (?P<t4>\w+)\.(?P<c4>\w+) does not exist"
)
NOT_IMPORTED = "model-module-not-imported-by-env"


def unseen_by_alembic(case: Case) -> Fault | None:
    """Tables that the application has and ``env.py`` does not hand to Alembic: on another metadata, or not imported."""
    seen = case.migrations
    if seen is None or seen.problem or seen.models is None or seen.trace is None:
        return None
    drops = _dropped(case)
    # Of several processes that register one table, the first tells of it.
    wanted = {(other.table, other.site): other for other in reversed(_wanted(case)) if _is_unseen(case, other, drops)}
    unseen = list(wanted.values())[::-1]
    elsewhere = [registration for registration in unseen if _is_elsewhere(case, registration)]
    by_sources = dict.fromkeys((*case.named, *case.classes))
    executed = {i.file for trace in (case.trace, seen.trace) for i in trace.imports if i.application}
    # What autogenerate wants to drop, of a file that neither the startup nor env.py executed.
    beside = [named for named in by_sources if named.table in drops and named.file not in executed]
    if unseen and unseen[0] in elsewhere:
        return _on_other_metadata(case, elsewhere, drops)
    if unseen or beside:
        missing = [registration for registration in unseen if registration not in elsewhere]
        return _not_imported(case, missing, beside, drops)
    return None


def _on_other_metadata(case: Case, tables: Sequence[Registration], drops: dict[str, Error]) -> Fault:
    served, sites = handed_to_alembic(case), tuple(Place.of("table", table.site) for table in tables)
    chains = [(creation.metadata, application_frames(creation.chain)) for creation in case.trace.created]
    creators = {metadata: frames[-1] for metadata, frames in chains if frames}
    sentences = []
    for table in tables:
        maker, twin = creators.get(table.metadata.label), _of_the_same_name(case, table)
        created = f"{maker} creates it" if maker else "nothing else creates it"
        other = f"where {twin.site} defines another table of this name" if twin is not None else created
        sentences.append(
            f"table {table.table}, defined at {table.site}, is on the metadata made at {table.metadata.label}; env.py hands Alembic the one "
            f"made at {', '.join(sorted(served)) or 'another place'}, {'' if twin else 'and '}{other}"
        )
    dropped, first = [table.table for table in tables if table.table in drops], tables[0]
    error = drops[dropped[0]] if dropped else _lacks_a_column(case, first) if _of_the_same_name(case, first) else None
    unchanged = "importing it while env.py runs changes nothing: the metadata that env.py hands over is another one"
    because = (*sentences, *_consequence(dropped, "uses"), *_symptom(case, first))
    run = runs.with_metadata(case, tables)
    more = {"sites": sites, "against": {NOT_IMPORTED: unchanged}, "error": error, "experiment": run}
    return Fault(_OTHER_METADATA, because, first.table, first.site, **more)


def _not_imported(
    case: Case, tables: Sequence[Registration], beside: Sequence[Named], drops: dict[str, Error]
) -> Fault:
    seen, sentences = case.migrations, []
    for table in tables:
        route = " → ".join(map(str, application_frames(table.chain)))
        sentences.append(
            f"{table.site} registers table {table.table} when the application starts ({route}), "
            f"and its module {table.frame.module} is not imported while env.py runs"
        )
    for named in beside:
        module = case.module_of(named.file)
        sentences.append(f"{named.file}:{named.line} names table {named.table}, and nothing that ran imports {module}")
    names = [registered.table for registered in (*tables, *beside)]
    there = [name for name in names if name in seen.differing and name in (seen.database or {})]
    sentences += _consequence(there, "has")
    known = {*names, *(named.table for named in (*case.named, *case.classes))}
    orphans = [table for table in drops if table not in known]
    makers = {}
    for revision in case.revisions:
        made = [(op, name) for op in revision.operations for kind, name in op.creates if kind == "table"]
        role = "made by a migration, in no model"
        makers |= {name: Place(role, revision.file, op.line, name) for op, name in made if name in orphans}
    made_by = {name: makers.get(name, "the migrations") for name in orphans}
    sentences += [f"table {name} is made by {maker}, and no model has it" for name, maker in made_by.items()]
    sites = [Place.of("table", table.site) for table in tables]
    sites += [*(Place("table", named.file, named.line, named.class_) for named in beside), *makers.values()]
    error = next((drops[name] for name in names if name in drops), None)
    modules = [*(table.frame.module or "" for table in tables), *(case.module_of(named.file) for named in beside)]
    run = runs.with_imports(case, modules, names)
    handed = "the modules that env.py imports put their tables on the metadata that it hands over"
    more = {"sites": tuple(sites), "against": {_OTHER_METADATA: handed}, "error": error, "experiment": run}
    because = (*sentences, *(_symptom(case, tables[0]) if tables else ()))
    return Fault(NOT_IMPORTED, because, names[0], tables[0].site if tables else None, **more)


def _dropped(case: Case) -> dict[str, Error]:
    """The tables of which an error of the startup says that autogenerate wants to remove them, as ``alembic check`` does."""
    seen, drops = case.migrations, {}
    for error in case.failures:
        names = (name for text in error_texts(error) for name in _REMOVES.findall(text))
        drops |= {name: error for name in names if name not in {*seen.models, *drops}}
    return drops


def _is_unseen(case: Case, registration: Registration, drops: dict[str, Error]) -> bool:
    """Is this table one that Alembic ought to see, and does not?"""
    seen, label = case.migrations, registration.metadata.label
    bodies = (import_ for import_ in case.trace.imports if import_.module == registration.frame.module)
    if any(map(executed_by_alembic, bodies)):
        return False
    if registration.table in seen.models:
        return _of_the_same_name(case, registration) is not None and _lacks_a_column(case, registration) is not None
    if registration.table in drops:
        return True
    mapped = registration.class_ or registration.in_class == "__table__" or registration.made_mapper
    if not (mapped or registration.table == case.table or _symptom(case, registration)):
        return False  # a table to read from, of which somebody else takes care
    created = {(c.metadata, c.table) for c in case.trace.created}
    if (label, None) in created or (label, registration.table) in created:
        return False
    # It is there: something else makes it.
    handed = made_at(label) in {made_at(other) for other in handed_to_alembic(case)}
    return handed or registration.table not in (seen.database or {})


def _is_elsewhere(case: Case, registration: Registration) -> bool:
    """Is this table on another metadata than the one that ``env.py`` hands over?"""
    served = handed_to_alembic(case)
    there = {(r.table, r.real) for r in case.migrations.trace.registrations}
    apart = bool(served) and made_at(registration.metadata.label) not in {made_at(other) for other in served}
    return apart or (registration.table, registration.real) in there


def _of_the_same_name(case: Looked, registration: Registration) -> Registration | None:
    """The definition of a table of this name that ``env.py`` hands over, where this one is another, on another metadata."""
    handed = {made_at(label) for label in case.migrations.handed or ()}
    if not handed or made_at(registration.metadata.label) in handed:
        return None
    same = (other for other in case.migrations.trace.registrations if other.table == registration.table)
    there = (other for other in same if other.class_ and other.site != registration.site)
    return next((other for other in there if made_at(other.metadata.label) in handed), None)


def _lacks_a_column(case: Case, registration: Registration) -> Error | None:
    """The error that says of a column that the table lacks it, where the definition of this name that Alembic has does too."""
    for error in case.failures:
        if match := said_by(error, _LACKS):
            table, column = (next(match[f"{of}{n}"] for n in range(1, 5) if match[f"{of}{n}"]) for of in "tc")
            if same_table(table, registration.table) and column not in case.migrations.models[registration.table]:
                return error
    return None


def _consequence(tables: Sequence[str], verb: str) -> list[str]:
    if not tables:
        return []
    count = "1 table" if len(tables) == 1 else f"{len(tables)} tables"
    return [f"autogenerate would drop {count} that the application {verb}: {', '.join(tables)}"]


def table_on_another_metadata(case: Case) -> Fault | None:
    """An error misses a table that is there, on a metadata that nobody creates."""
    if len({metadata.label for metadata in case.trace.metadata if metadata.application}) < 2:
        return None
    created = {creation.metadata for creation in case.trace.created if creation.table is None}
    for error in case.errors:
        missed = MISSED.search(error.text)
        if missed is not None or "is not registered with this 'SQLAlchemy' instance" in error.text:
            name = next((group for group in missed.groups() if group), None) if missed else None
            makers = created | handed_to_alembic(case)
            # Where nobody makes a table, that tells of no other metadata.
            for registration in _wanted(case) if makers or missed is None else ():
                if same_table(name, registration.table) and registration.metadata.label not in created:
                    chains = [application_frames(m.chain) for m in case.trace.metadata if m.application]
                    made = {str(chain[-1]): chain[-1] for chain in chains if chain}
                    others = makers or made.keys() - {registration.metadata.label}
                    because = (
                        f"table {registration.table}, defined at {registration.site}, is on the metadata made at {registration.metadata.label}; "
                        f"what is created is on the one made at {', '.join(sorted(others)) or 'another place'}: {error}"
                    )
                    if twice := _file_run_twice(case, registration, error, because):
                        return twice
                    beside = (Place.of("metadata", frame) for frame in made.values()) if missed is None else ()
                    sites = (Place.of("first", registration.site), *beside)
                    about = (registration.table, registration.site)
                    run = _decides(case, [registration], error)
                    return Fault(_OTHER_METADATA, (because,), *about, sites=sites, error=error, experiment=run)
    return None


def _decides(case: Case, tables: Sequence[Registration], error: Error) -> Experiment | None:
    """The run that decides whether these are on another metadata: Alembic is given both, or where it has no part one object serves."""
    handed = handed_to_alembic(case)
    if handed:
        return runs.with_metadata(case, [table for table in tables if table.metadata.label not in handed])
    made = [application_frames(metadata.chain)[-1:] for metadata in (tables[0].metadata, *case.trace.metadata)]
    return runs.with_one_object(case, *[frame for frames in made for frame in frames], error=error) if made[0] else None


def _file_run_twice(case: Case, registration: Registration, error: Error, because: str) -> Fault | None:
    """Where no Alembic has a part in it: is the other metadata the same line's, in a file that was executed under two names?"""
    place = made_at(registration.metadata.label)
    made = [m for m in case.trace.metadata if m.process == registration.process and made_at(m.label) == place]
    frames = [frames[-1] for m in made if (frames := application_frames(m.chain))]
    names = list(dict.fromkeys(frame.module for frame in frames))
    if handed_to_alembic(case) or len(names) < 2:
        return None
    slug = "main-module-imported-again" if names[0] == "__main__" else "alias-two-module-names"
    file, line = frames[0].file, frames[0].line
    ran = f"{file} was executed {len(names)} times, as {' and as '.join(map(str, names))}, and each made a metadata at line {line}"
    sites = tuple(Place(role, file, line, None, name) for role, name in zip(("first", "second"), names, strict=False))
    run = executed_once(case, file, gone(first_line(error.text)))
    return Fault(slug, (ran, because), registration.table, sites=sites, error=error, experiment=run)


def key_across_metadata(case: Case, holder: Registration, targets: Sequence[Registration], error: Error) -> Fault:
    """A foreign key whose table is on another metadata, that was made twice at one place, or of which Alembic has one of two."""
    places = ", ".join(sorted({target.metadata.label for target in targets}))
    because = (
        f"table {holder.table}, defined at {holder.site}, is on the metadata made at {holder.metadata.label}, and its "
        f"foreign key's table {targets[0].table} on the one made at {places}: {error}"
    )
    run = _decides(case, [holder, *targets], error)
    return Fault(_OTHER_METADATA, (because,), holder.table, holder.site, error=error, experiment=run)


def handed_to_alembic(case: Case) -> set[str]:
    """Where the metadata that ``env.py`` hands to Alembic was made."""
    seen = case.migrations
    if seen is None or seen.models is None or seen.trace is None:
        return set()
    if seen.handed is not None:
        return set(seen.handed)
    return {r.metadata.label for r in seen.trace.registrations if r.table in seen.models and r.application}


def _wanted(case: Case) -> list[Registration]:
    """The definitions to ask about: those of the incident's table first."""
    named = [definition for definition in case.definitions if case.table == definition.table]
    named_by_errors = [definition for definition in case.definitions if _symptom(case, definition)]
    return list(dict.fromkeys([*named, *named_by_errors, *case.definitions]))


def _symptom(case: Case, registration: Registration) -> list[str]:
    name = re.compile(rf"(?<![\w.]){re.escape(registration.table)}(?!\w)")
    return [f"seen as: {error}" for error in case.errors if name.search(error.text)][:1]


def same_table(name: str | None, table: str) -> bool:
    """Is the table that an error names this one? It may leave out the schema, or name the database's own."""
    return name is None or name.split(".")[-1] == table.split(".")[-1]


def made_at(label: str) -> str:
    """Where a metadata was made, whichever time."""
    return label.split("#")[0]


MECHANISMS = (unseen_by_alembic, table_on_another_metadata)


@dataclass(frozen=True)
class Unseen:
    """A table that the sources name and that a startup or ``env.py`` did not see.

    :ivar by: startup, env.py, or both
    :ivar remedy: the import that would bring it in
    :ivar consequence: what autogenerate would do because of it, or None
    """

    named: Named
    by: str
    remedy: str
    consequence: str | None


def unseen_models(incident: Incident, looked: Looked) -> tuple[Unseen, ...]:
    """Tables that the sources name and that no step imported, or that ``env.py`` does not see."""
    registered = {r.table.split(".")[-1] for r in looked.trace.registrations if r.application}
    seen = looked.migrations
    compared = seen is not None and not seen.problem and seen.models is not None
    handed = {key.split(".")[-1] for key in seen.models} if compared else set()
    executed = {import_.file for import_ in looked.trace.imports if import_.ended is not None and import_.error is None}
    models = []
    for named in looked.named:
        if named.file in executed and named.table not in registered:
            continue  # its class makes no table of its own, as one of single-table inheritance, or a condition decides
        knows = {"startup": registered} | ({"env.py": handed} if compared else {})
        lacking = [reader for reader, there in knows.items() if named.table not in there]
        apart = _apart(looked, named) if compared else None
        twin = _of_the_same_name(looked, apart) if apart is not None else None
        if twin is not None and "env.py" not in lacking:
            lacking.append("env.py")
        if lacking:
            differences = zip(seen.differing, seen.differences, strict=False) if compared else ()
            dropped = (says for table, says in differences if table == named.table and table not in seen.models)
            drops = next(dropped, None)
            module = Case.of(incident, looked).module_of(named.file)
            remedy = f"import {module}"
            stopped = next((step.number for step in looked.trace.steps if not step.ok), None)
            if lacking == ["startup"] and stopped is not None:
                remedy = f"step {stopped} did not succeed, and what the startup would import after it was not seen"
            if apart is not None:
                both = f"rename one, as {twin.site} has this name too" if twin else "give env.py both, or use one Base"
                remedy = f"its metadata, made at {apart.metadata.label}, is not the one that env.py hands over: {both}"
            failed = next((i for i in looked.trace.imports if i.file == named.file and i.error is not None), None)
            if failed is not None:
                remedy = f"{failed.module} was imported and failed before it: mend that first"
            models.append(Unseen(named, " and ".join(lacking), remedy, drops))
    return tuple(models)


def _apart(looked: Looked, named: Named) -> Registration | None:
    """A table's registration, where it stands on a metadata that ``env.py`` does not hand over, and did not make of others."""
    seen = looked.migrations
    made = [frame.file for m in seen.trace.metadata if m.label in (seen.handed or ()) for frame in m.chain[-1:]]
    by_env = {import_.file for import_ in seen.trace.imports if executed_by_alembic(import_)}
    if not made or by_env & {*made}:
        return None
    handed = {made_at(label) for label in (*seen.handed, *(c.metadata for c in looked.trace.created if c.metadata))}
    every = (r for r in (*looked.trace.registrations, *seen.trace.registrations) if r.application)
    of_it = [r for r in every if r.site.file == named.file and same_table(named.table, r.table)]
    return None if any(made_at(r.metadata.label) in handed for r in of_it) else next(iter(of_it), None)
