"""Faults of the same family that reject no table: each found from the trace, with its evidence.

One function a mechanism. Each takes a :class:`~kit.diagnose.values.Case` and gives a :class:`~kit.diagnose.values.Fault` or None.
"""

import ast
import re

from ..incident.source import nodes_at
from ..trace.chains import application_frames
from ..trace.trace import Trace
from ..trace.values import Error, Frame, Registration, Site
from .definitions import one_place
from .experiments import failure, gone, said_by
from .registered_twice import Pair, judge
from .registries import renamed
from .values import Case, Experiment, Fault, of_failures

_RESERVED = re.compile(r"Attribute name 'metadata' is reserved")
_SEVERAL = re.compile(r'Multiple classes found for path "([\w.]+)"')


def metadata_is_reserved(case: Case, error: Error) -> Fault | None:
    texts = [(error.type, error.text), *((name, text) for _, name, text in error.links)]
    if any("InvalidRequestError" in name and _RESERVED.search(text) for name, text in texts):
        frame = _declares(case, error) or error.site
        edit = _edited(case, frame, r"^(\s+)metadata\b(?=\s*[:=])", r"\1metadata_") if frame is not None else None
        which = f"the attribute at {edit[0]}" if edit else "an attribute"
        because = (
            f"{which} of the class at {frame} is named metadata, which declarative classes keep for themselves: {error}"
        )
        site = None if frame is None else Site(frame.file, frame.line, frame.module, None)
        says = f"metadata_ in place of metadata at {edit[0]}" if edit else ""
        run = Experiment(says, case.incident, gone(_RESERVED.pattern), edit[1]) if edit else None
        return Fault("metadata-is-reserved", (because,), case.table, site, error=error, experiment=run)
    return None


def _edited(case: Case, site: Site | Frame, pattern: str, new: str) -> tuple[str, dict[str, str]] | None:
    """The first line of the class or call at a site that has something, and the source with something else there."""
    lines = case.sources.get(site.file, "").splitlines(keepends=True)
    for holder in reversed(nodes_at(case.tree(site.file), site.line, ast.ClassDef, ast.Call)):
        for number in range(holder.lineno - 1, holder.end_lineno):
            edited = re.sub(pattern, new, lines[number])
            if edited != lines[number]:
                text = "".join([*lines[:number], edited, *lines[number + 1 :]])
                return f"{site.file}:{number + 1}", {site.file: text}
    return None


def _declares(case: Case, error: Error) -> Frame | None:
    """The innermost line that begins a class: a base of the application's own may have code that runs for each class below it."""
    for frame in reversed([frame for frame in error.frames if frame.application]):
        classes = [node for node in ast.walk(case.tree(frame.file)) if isinstance(node, ast.ClassDef)]
        if any(node.lineno == frame.line for node in classes):
            return frame
    return None


def _raised_by(case: Case, definition: Registration) -> str:
    """What came of a definition that met a table: nothing, or an error of its own."""
    place = definition.site.file, definition.site.line
    for error in case.errors:
        frame = error.site
        if frame is not None and (frame.file, frame.line) == place:
            return f"and then raised {error}"
    return "without an error"


def extend_existing_merged(case: Case) -> Fault | None:
    for pair in merged_pairs(case.trace, case.table):
        first, second = pair.first, pair.second
        effect = "added its columns to" if second.outcome == "extended" else "was dropped in favour of"
        again = one_place(first, second)
        before = "the table that it had made before" if again else f"the table of {_called(first)} at {first.site}"
        merge = f"{f'{again}: ' if again else ''}{_called(second)} at {second.site} {effect} {before}, {_raised_by(case, second)}"
        if pair.one_definition:  # what executed the same statement again is the mechanism, the flag only hides it
            finding = judge(pair)
            because = (*finding.because, merge)
            return Fault(finding.mechanism, because, first.table, first.site, second.site, (first, second))
        mappers = (mapper for judged in case.trace.judged for mapper in judged.mappers if mapper.table == first.table)
        lost = ((mapper, ", ".join(mapper.orphans)) for mapper in mappers if mapper.orphans)
        orphans = [f"{mapper} maps columns that are no longer in the table: {names}" for mapper, names in lost]
        slug = "extend-existing-merged-two-models"
        about = (first.table, first.site, second.site, (first, second))
        return Fault(slug, (merge, *dict.fromkeys(orphans)), *about, experiment=_without_flag(case, second))
    return None


def _without_flag(case: Case, second: Registration) -> Experiment | None:
    """The run in which the second definition does not say that a table may be there: then it is rejected."""

    def judge(trace: Trace) -> tuple[bool | None, str]:
        rejected = next((conflict.second.site for conflict in trace.conflicts if conflict.table == second.table), None)
        wrong = failure(trace) or f"no definition of {second.table} is rejected then"
        seen = f"table {second.table} is then rejected, at {rejected}" if rejected else wrong
        return True if rejected else None if failure(trace) else False, seen

    flag = "extend_existing" if second.outcome == "extended" else "keep_existing"
    edit = _edited(case, second.site, rf"({flag}[\"']?\s*[=:]\s*)True\b", r"\1False")
    return Experiment(f"without {flag} at {edit[0]}", case.incident, judge, edit[1]) if edit else None


def defined_again_after_clear(case: Case) -> Fault | None:
    """A metadata was emptied, and a table of it defined again: nothing rejects that, and two classes share one name."""
    names = {m[1].rpartition(".")[2] for e in case.errors for _, _, text in e.links if (m := _SEVERAL.search(text))}
    held: dict[tuple, Registration] = {}
    for definition in case.definitions:
        key = (definition.process, definition.metadata.number, definition.table)
        first, held[key] = held.get(key), definition
        if first is None or not definition.class_ or definition.class_.rpartition(".")[2] not in names:
            continue
        label, between = definition.metadata.label, (first.at, definition.at)
        cleared = (c for c in case.trace.cleared if c.metadata == label and between[0] < c.at < between[1])
        where = next((application_frames(c.chain)[-1:] for c in cleared), None)
        if where is not None:
            finding = judge(Pair(case.trace, first, definition))
            at = f" at {where[0]}" if where else ""
            emptied = f"between the two the metadata was cleared{at}: so the second was not rejected, and both classes are there"
            because, sites = (*finding.because, emptied), (first.site, definition.site)
            return Fault(finding.mechanism, because, definition.table, *sites, (first, definition))
    return None


def ambiguous_class_name(case: Case, error: Error) -> Fault | None:
    match = said_by(error, _SEVERAL)
    if match is None:
        return None
    name = match.group(1).split(".")[-1]
    classes = [r for r in case.definitions if r.class_ and r.class_.split(".")[-1] == name]
    tables = {(r.process, r.metadata.number, r.table): r for r in classes}
    if len(tables) > 1:
        first, second = list(tables.values())[:2]
        because = (
            f"two classes are named {name}, {first.site} for table {first.table} and {second.site} for table "
            f"{second.table}; a bare string cannot say which: {error}"
        )
        slug, run = "ambiguous-class-name-in-registry", renamed(case, second.site, name, gone(match[0]))
        about = (first.table, first.site, second.site, (first, second))
        return Fault(slug, (because,), *about, error=error, experiment=run)
    return None


MECHANISMS = of_failures(metadata_is_reserved, of="errors") + [extend_existing_merged, defined_again_after_clear]
MECHANISMS += of_failures(ambiguous_class_name, of="errors")


def merged_pairs(trace: Trace, table: str | None = None) -> list[Pair]:
    """Pairs of definitions of which the second silently changed, or was dropped for, the table of the first."""
    pairs = []
    for registration in trace.registrations:
        met = registration.outcome in ("extended", "kept") and registration.application
        if met and table in (None, registration.table):
            first = trace.holder(registration)
            if first is not None and first.outcome == "registered":
                pair = Pair(trace, first, registration)
                if first.class_ and registration.class_ or _competes(pair):
                    pairs.append(pair)
    return pairs


def _competes(pair: Pair) -> bool:
    """Does a ``Table()`` define a table anew, which a class or another ``Table()`` had defined, or the other way round?

    One statement that is come to again is none, with a flag that allows just that; nor is one that only adds columns,
    or that is left out and says the same.
    """
    first, second = pair.first, pair.second
    if pair.one_definition or not (first.frame.application and second.frame.application):
        return False
    before, after = ({column["name"] for column in columns} for columns in (second.existing, second.new))
    return bool(before & after if second.outcome == "extended" else after - before)


def _called(registration: Registration) -> str:
    """What a definition is, in words."""
    call = f"the Table() {registration.site.name or ''}".rstrip()
    return f"the class {registration.class_}" if registration.class_ else call
