"""Tables that the application has and Alembic does not see: their module is not imported, or they are on another metadata."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..incident.model import Incident
from ..incident.source import Named, module_name
from ..trace.chains import application_frames, executed_by_alembic
from ..trace.trace import Trace
from ..trace.values import Error, Registration
from .experiments import failure, texts_of
from .values import Case, Experiment, Fault, Looked, Place

_OTHER_METADATA = "table-on-metadata-alembic-does-not-migrate"
_FOREIGN = re.compile(r"column '([\w.]+)\.\w+' could not find table '([\w.]+)'")
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
    wanted = {(it.table, it.site): it for it in reversed(_wanted(case)) if _is_unseen(case, it, drops)}
    unseen = list(wanted.values())[::-1]
    elsewhere = [registration for registration in unseen if _is_elsewhere(case, registration)]
    by_sources = dict.fromkeys((*case.named, *case.classes))
    beside = [named for named in by_sources if _is_never_registered(case, named, drops)]
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
    run = _with_metadata(case, tables, drops) if dropped else None
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
    run = _with_imports(case, tables, beside, names) if error is not None else None
    handed = "the modules that env.py imports put their tables on the metadata that it hands over"
    more = {"sites": tuple(sites), "against": {_OTHER_METADATA: handed}, "error": error, "experiment": run}
    first = tables[0].site if tables else None
    because = (*sentences, *(_symptom(case, tables[0]) if tables else ()))
    return Fault(NOT_IMPORTED, because, names[0], first, **more)


def _dropped(case: Case) -> dict[str, Error]:
    """The tables of which an error of the startup says that autogenerate wants to remove them, as ``alembic check`` does."""
    seen, drops = case.migrations, {}
    for error in case.failures:
        for text in (error.text, *(text for _, _, text in error.links)):
            for name in _REMOVES.findall(text):
                if name not in seen.models:
                    drops.setdefault(name, error)
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
    same = (it for it in case.migrations.trace.registrations if it.table == registration.table)
    there = (it for it in same if it.class_ and it.site != registration.site)
    return next((it for it in there if made_at(it.metadata.label) in handed), None)


def _lacks_a_column(case: Case, registration: Registration) -> Error | None:
    """The error that says of a column that the table lacks it, where the definition of this name that Alembic has does too."""
    for error in case.failures:
        for text in (error.text, *(text for _, _, text in error.links)):
            match = _LACKS.search(text)
            table = match and next(filter(None, (match[name] for name in ("t1", "t2", "t3", "t4"))))
            column = match and next(filter(None, (match[name] for name in ("c1", "c2", "c3", "c4"))))
            about = match and same_table(table, registration.table)
            if about and column not in case.migrations.models[registration.table]:
                return error
    return None


def _is_never_registered(case: Case, named: Named, drops: dict[str, Error]) -> bool:
    """Does autogenerate want to drop a table that the sources name in a file that neither the startup nor ``env.py`` executed?"""
    executed = {i.file for trace in (case.trace, case.migrations.trace) for i in trace.imports if i.application}
    return named.table in drops and named.file not in executed


def _consequence(tables: Sequence[str], verb: str) -> list[str]:
    if not tables:
        return []
    count = "1 table" if len(tables) == 1 else f"{len(tables)} tables"
    return [f"autogenerate would drop {count} that the application {verb}: {', '.join(tables)}"]


def _env_file(case: Case) -> tuple[str, str] | None:
    """The ``env.py`` that ran, and its text."""
    ran = (i.file for i in case.migrations.trace.imports if i.application and i.module == "env_py" and i.file)
    file = next(ran, None)
    text = case.sources.get(file or "")
    return (file, text) if text else None


def _with_imports(case: Case, tables: Sequence[Registration], beside: Sequence[Named], names: Sequence[str]):
    """The startup with an ``env.py`` that imports the modules."""
    env = _env_file(case)
    modules = [*(table.frame.module for table in tables), *(case.module_of(named.file) for named in beside)]
    if env is None or not all(modules):
        return None
    file, text = env
    last = max((m.end() for m in re.finditer(r"^(?:from|import) [^\n(]*(?:\([^)]*\))?[^\n]*\n", text, re.M)), default=0)
    imports = "".join(f"import {module}  # noqa\n" for module in dict.fromkeys(modules))
    says = f"{file} imports {', '.join(dict.fromkeys(modules))} as well"
    return Experiment(says, case.incident, _kept(names), {file: text[:last] + imports + text[last:]})


def _with_metadata(case: Case, tables: Sequence[Registration], drops: dict[str, Error]) -> Experiment | None:
    """The startup with an ``env.py`` that hands over both metadata."""
    env = _env_file(case)
    named = [table for table in tables if table.class_ and "." not in table.class_ and table.frame.module]
    classes = {table.metadata.label: table for table in named}
    if env is None or not classes:
        return None
    file, text = env
    others = ", ".join(f"__import__({r.frame.module!r}, fromlist=['x']).{r.class_}.metadata" for r in classes.values())
    edited = re.sub(r"(target_metadata\s*=\s*)([\w.]+\.metadata)\b", rf"\1[\2, {others}]", text)
    if edited == text:
        return None
    says = f"{file} hands Alembic the metadata of {', '.join(str(r.class_) for r in classes.values())} as well"
    dropped = [table.table for table in tables if table.table in drops]
    return Experiment(says, case.incident, _kept(dropped), {file: edited})


def _kept(names: Sequence[str]):
    def judge(trace: Trace) -> tuple[bool | None, str]:
        still = {name for text in texts_of(trace) for name in _REMOVES.findall(text)}
        wanted = [name for name in names if name in still]
        if wanted:
            return False, f"autogenerate still wants to drop {', '.join(wanted)}"
        if not still and (wrong := failure(trace)) and "upgrade operations" not in wrong:
            return None, wrong
        rest = f"; it still wants to drop {', '.join(sorted(still))}" if still else ""
        return True, f"autogenerate no longer wants to drop {', '.join(names)}{rest}"

    return judge


def table_on_another_metadata(case: Case) -> Fault | None:
    """An error misses a table that is there, on a metadata that nobody creates or that a foreign key cannot see."""
    if len({metadata.label for metadata in case.trace.metadata if metadata.application}) < 2:
        return None
    created = {creation.metadata for creation in case.trace.created if creation.table is None}
    for error in case.errors:
        key = _FOREIGN.search(error.text)
        missed = MISSED.search(error.text)
        if key is not None:
            holder, target = key.groups()
            for definition in (definition for definition in case.definitions if same_table(holder, definition.table)):
                beside = [r for r in case.definitions if r.process == definition.process]
                there = {r.metadata.label for r in beside if same_table(target, r.table)}
                if there and definition.metadata.label not in there and _tells_apart(case, definition, there):
                    because = (
                        f"table {holder}, defined at {definition.site}, is on the metadata made at {definition.metadata.label}, and its "
                        f"foreign key's table {target} on the one made at {', '.join(sorted(there))}: {error}"
                    )
                    return Fault(_OTHER_METADATA, (because,), holder, definition.site, error=error)
        elif missed is not None or "is not registered with this 'SQLAlchemy' instance" in error.text:
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
                    return Fault(_OTHER_METADATA, (because,), *about, sites=sites, error=error)
    return None


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
    return Fault(slug, (ran, because), registration.table, sites=sites, error=error)


def _tells_apart(case: Case, definition: Registration, others: set[str]) -> bool:
    """Is it that the metadata was made twice at one place, or that Alembic has only one of two?

    Where neither is so, the name itself is what is wrong: :func:`kit.diagnose.names.name_on_another_metadata`.
    """
    places, place = {made_at(label) for label in others}, made_at(definition.metadata.label)
    return place in places or len({made_at(label) for label in handed_to_alembic(case)} & {place, *places}) == 1


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


def _names(table: str, text: str) -> bool:
    return bool(re.search(rf"(?<![\w.]){re.escape(table)}(?!\w)", text))


def _symptom(case: Case, registration: Registration) -> list[str]:
    return [f"seen as: {error}" for error in case.errors if _names(registration.table, error.text)][:1]


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
    asked = seen is not None and not seen.problem and seen.models is not None
    handed = {key.split(".")[-1] for key in seen.models} if asked else set()
    executed = {import_.file for import_ in looked.trace.imports if import_.ended is not None and import_.error is None}
    models = []
    for named in looked.named:
        if named.file in executed and named.table not in registered:
            continue  # its class makes no table of its own, as one of single-table inheritance, or a condition decides
        knows = {"startup": registered} | ({"env.py": handed} if asked else {})
        lacking = [who for who, there in knows.items() if named.table not in there]
        apart = _apart(looked, named) if asked else None
        twin = _of_the_same_name(looked, apart) if apart is not None else None
        if twin is not None and "env.py" not in lacking:
            lacking.append("env.py")
        if lacking:
            differences = seen.differences if asked else ()
            drops = next((d for d in differences if f"table {named.table}," in d and "drop" in d), None)
            remedy = f"import {module_name(named.file, incident.app.path)}"
            stopped = next((step.number for step in looked.trace.steps if not step.ok), None)
            if lacking == ["startup"] and stopped is not None:
                remedy = f"step {stopped} did not succeed, and whether the startup would import {module_name(named.file, incident.app.path)} was not seen"
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
    every = (it for it in (*looked.trace.registrations, *seen.trace.registrations) if it.application)
    of_it = [it for it in every if it.site.file == named.file and same_table(named.table, it.table)]
    return None if any(made_at(it.metadata.label) in handed for it in of_it) else next(iter(of_it), None)
