"""Faults of the same family that reject no table: each found from the trace, with its evidence.

One function a mechanism. Each takes a :class:`~kit.diagnose.case.Case` and gives a :class:`~kit.diagnose.case.Fault` or None.
"""

import re
from collections.abc import Callable

from ..trace.values import Frame, Registration, Site, Trace, application_frames, executed_by_alembic
from .case import Case, Fault
from .definitions import one_place
from .mechanisms import Pair, judge

_RESERVED = re.compile(r"Attribute name 'metadata' is reserved")
_OTHER_METADATA = "table-on-metadata-alembic-does-not-migrate"
_FOREIGN = re.compile(r"column '([\w.]+)\.\w+' could not find table '([\w.]+)'")
_MISSED = re.compile(r"no such table: ([\w.]+)|relation \"([\w.]+)\" does not exist|Table '([\w.]+)' doesn't exist")
_SEVERAL = re.compile(r'Multiple classes found for path "([\w.]+)"')


def metadata_is_reserved(case: Case) -> Fault | None:
    for error in case.errors:
        if any(_RESERVED.search(text) for _, _, text in error.links) or _RESERVED.search(error.text):
            frame = next((f for f in reversed(error.frames) if f.application), None)
            said = f"a class has an attribute named metadata, which declarative classes keep for themselves: {error} at {frame}"
            site = None if frame is None else _site(frame)
            return Fault("metadata-is-reserved", (said,), case.table, site, error=error)
    return None


def _raised_by(case: Case, definition: Registration) -> str:
    """What came of a definition that met a table: nothing, or an error of its own."""
    place = definition.site.file, definition.site.line
    for error in case.errors:
        frame = next((one for one in reversed(error.frames) if one.application), None)
        if frame is not None and (frame.file, frame.line) == place:
            return f"and then raised {error}"
    return "without an error"


def extend_existing_merged(case: Case) -> Fault | None:
    for pair in merged_pairs(case.trace, case.table):
        first, second = pair.first, pair.second
        what = "added its columns to" if second.outcome == "extended" else "was dropped in favour of"
        again = one_place(first, second)
        before = "the table that it had made before" if again else f"the table of {_called(first)} at {first.site}"
        merge = f"{f'{again}: ' if again else ''}{_called(second)} at {second.site} {what} {before}, {_raised_by(case, second)}"
        if (
            pair.one_definition
        ):  # the same statement again: what executed it twice is the mechanism, the flag only hides it
            finding = judge(pair)
            because = (*finding.because, merge)
            return Fault(finding.mechanism, because, first.table, first.site, second.site, (first, second))
        orphans = [
            f"{one['mod']}.{one['cls']} maps columns that are no longer in the table: {', '.join(one['orphans'])}"
            for judged in case.trace.judged
            for one in judged["mappers"] or ()
            if one.get("orphans") and one["table"] == first.table
        ]
        slug = "extend-existing-merged-two-models"
        return Fault(slug, (merge, *dict.fromkeys(orphans)), first.table, first.site, second.site, (first, second))
    return None


def defined_again_after_clear(case: Case) -> Fault | None:
    """A metadata was emptied, and a table of it defined again: nothing rejects that, and two classes share one name."""
    names = {m[1].rpartition(".")[2] for e in case.errors for _, _, text in e.links if (m := _SEVERAL.search(text))}
    held: dict[tuple, Registration] = {}
    for one in case.definitions:
        key = (one.process, one.metadata.number, one.table)
        first, held[key] = held.get(key), one
        if first is None or not one.class_ or one.class_.rpartition(".")[2] not in names:
            continue
        cleared = (c for c in case.trace.cleared if c["metadata"] == one.metadata.label and first.at < c["at"] < one.at)
        where = next((application_frames(c["chain"])[-1:] for c in cleared), None)
        if where is not None:
            finding = judge(Pair(case.trace, first, one))
            at = f" at {where[0]}" if where else ""
            said = f"between the two the metadata was cleared{at}: so the second was not rejected, and both classes are there"
            return Fault(finding.mechanism, (*finding.because, said), one.table, first.site, one.site, (first, one))
    return None


def ambiguous_class_name(case: Case) -> Fault | None:
    for error in case.errors:
        found = next(
            (m for text in [error.text, *(t for _, _, t in error.links)] if (m := _SEVERAL.search(text))), None
        )
        if found is None:
            continue
        name = found.group(1).split(".")[-1]
        classes = [r for r in case.definitions if r.class_ and r.class_.split(".")[-1] == name]
        tables = {r.table: r for r in classes}
        if len(tables) > 1:
            first, second = list(tables.values())[:2]
            said = (
                f"two classes are named {name}, {first.site} for table {first.table} and {second.site} for table "
                f"{second.table}; a bare string cannot say which: {error}"
            )
            slug = "ambiguous-class-name-in-registry"
            return Fault(slug, (said,), first.table, first.site, second.site, (first, second), error=error)
    return None


def unseen_by_alembic(case: Case) -> Fault | None:
    """Tables that the startup defines and ``env.py`` does not hand to Alembic: on another metadata, or not imported."""
    seen = case.migrations
    if seen is None or seen.problem or seen.models is None or seen.trace is None:
        return None
    served = _served(case)
    there = {(r.table, r.real) for r in seen.trace.registrations}
    created = {one["metadata"] for one in case.trace.created if one["table"] is None}
    alone = {(one["metadata"], one["table"]) for one in case.trace.created}
    frozen = {one.module for one in case.trace.imports if executed_by_alembic(one)}
    for one in _wanted(case):
        label, mapped = one.metadata.label, one.class_ or one.in_class == "__table__" or one.made_mapper
        if one.table in seen.models or label in created or (label, one.table) in alone or one.frame.module in frozen:
            continue
        if not (mapped or one.table == case.table or any(_names(one.table, error.text) for error in case.errors)):
            continue  # a table to read from, of which somebody else takes care
        if one.table in (seen.database or {}) and _of(label) not in {_of(other) for other in served}:
            continue  # it is there: something else makes it
        if (one.table, one.real) in there or (
            served and _of(one.metadata.label) not in {_of(label) for label in served}
        ):
            said = (
                f"table {one.table}, defined at {one.site}, is on the metadata made at {one.metadata.label}; "
                f"env.py hands Alembic the one made at {', '.join(sorted(served)) or 'another place'}, and nothing else creates it"
            )
            return Fault(
                "table-on-metadata-alembic-does-not-migrate", (said, *_symptom(case, one)), one.table, one.site
            )
        way = " → ".join(map(str, application_frames(one.chain)))
        said = (
            f"{one.site} registers table {one.table} when the application starts ({way}), "
            f"and its module {one.frame.module} is not imported while env.py runs"
        )
        drops = [text for text in seen.differences if re.search(rf"\b{re.escape(one.table)}\b", text)]
        return Fault("model-module-not-imported-by-env", (said, *drops[:1], *_symptom(case, one)), one.table, one.site)
    return None


def table_on_another_metadata(case: Case) -> Fault | None:
    """An error misses a table that is there, on a metadata that nobody creates or that a foreign key cannot see."""
    if len({one.label for one in case.trace.metadata if one.application}) < 2:
        return None
    created = {one["metadata"] for one in case.trace.created if one["table"] is None}
    for error in case.errors:
        key = _FOREIGN.search(error.text)
        missed = _MISSED.search(error.text)
        if key is not None:
            holder, target = key.groups()
            for one in (one for one in case.definitions if _same_table(holder, one.table)):
                beside = [r for r in case.definitions if _same_table(target, r.table) and r.process == one.process]
                there = {r.metadata.label for r in beside}
                if there and one.metadata.label not in there:
                    said = (
                        f"table {holder}, defined at {one.site}, is on the metadata made at {one.metadata.label}, and its "
                        f"foreign key's table {target} on the one made at {', '.join(sorted(there))}: {error}"
                    )
                    return Fault(_OTHER_METADATA, (said,), holder, one.site, error=error)
        elif missed is not None or "is not registered with this 'SQLAlchemy' instance" in error.text:
            name = next((group for group in missed.groups() if group), None) if missed else None
            for one in _wanted(case):
                if _same_table(name, one.table) and one.metadata.label not in created:
                    said = (
                        f"table {one.table}, defined at {one.site}, is on the metadata made at {one.metadata.label}; "
                        f"what is created is on the one made at {', '.join(sorted(created | _served(case))) or 'another place'}: {error}"
                    )
                    return Fault(_OTHER_METADATA, (said,), one.table, one.site, error=error)
    return None


def _served(case: Case) -> set[str]:
    """Where the metadata that ``env.py`` hands to Alembic was made."""
    seen = case.migrations
    if seen is None or seen.models is None or seen.trace is None:
        return set()
    return {r.metadata.label for r in seen.trace.registrations if r.table in seen.models and r.application}


FAULTS: tuple[Callable[[Case], Fault | None], ...] = (
    metadata_is_reserved,
    extend_existing_merged,
    defined_again_after_clear,
    ambiguous_class_name,
    unseen_by_alembic,
    table_on_another_metadata,
)


def merged_pairs(trace: Trace, table: str | None = None) -> list[Pair]:
    """Pairs of definitions of which the second silently changed, or was dropped for, the table of the first."""
    found = []
    for one in trace.registrations:
        if one.outcome in ("extended", "kept") and table in (None, one.table) and one.application:
            first = trace.holder(one)
            if first is not None and first.outcome == "registered":
                pair = Pair(trace, first, one)
                if first.class_ and one.class_ or _competes(pair):
                    found.append(pair)
    return found


def _competes(pair: Pair) -> bool:
    """Does a ``Table()`` define a table anew, which a class or another ``Table()`` had defined, or the other way round?

    One statement that is come to again is none, with a flag that allows just that; nor is one that only adds columns,
    or that is left out and says the same.
    """
    first, second = pair.first, pair.second
    if pair.one_definition or not (first.frame.application and second.frame.application):
        return False
    before, after = ({one["name"] for one in columns} for columns in (second.existing, second.new))
    return bool(before & after if second.outcome == "extended" else after - before)


def _called(one: Registration) -> str:
    """What a definition is, in words."""
    return f"the class {one.class_}" if one.class_ else f"the Table() {one.site.name or ''}".rstrip()


def _wanted(case: Case) -> list[Registration]:
    """The definitions to ask about: those of the incident's table first."""
    named = [one for one in case.definitions if case.table == one.table]
    said = [one for one in case.definitions if any(_names(one.table, error.text) for error in case.errors)]
    return list(dict.fromkeys([*named, *said, *case.definitions]))


def _names(table: str, text: str) -> bool:
    return bool(re.search(rf"(?<![\w.]){re.escape(table)}(?!\w)", text))


def _symptom(case: Case, one: Registration) -> list[str]:
    return [f"seen as: {error}" for error in case.errors if _names(one.table, error.text)][:1]


def _site(frame: Frame) -> Site:
    return Site(frame.file, frame.line, frame.module, None)


def _same_table(said: str | None, table: str) -> bool:
    """Is the table that an error names this one? It may leave out the schema, or name the database's own."""
    return said is None or said.split(".")[-1] == table.split(".")[-1]


def _of(label: str) -> str:
    """Where a metadata was made, whichever time."""
    return label.split("#")[0]
