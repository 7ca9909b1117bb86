"""What a notebook shows of the lines that a mechanism is about: two definitions side by side, or each line with its part."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from ..diagnose.definitions import one_place
from ..diagnose.diagnosis import Diagnosis
from ..trace.graph import ImportRoute, import_graph
from ..trace.trace import Trace
from ..trace.values import Conflict, Registration
from .banner import place_line
from .markup import Part, Shown, absent, beside, code, count, fold, items, join, para, source, stack, strong, word

_MOST_CONFLICTS = 6  # shown in full
_MOST_LINES = 14  # of a definition that are shown at once


def sites(diagnosis: Diagnosis) -> Shown:
    """The lines that the mechanism is about: both definitions, or each line with its part and its source."""
    if diagnosis.meeting is not None:
        return Shown(_collisions(diagnosis.trace, [diagnosis.meeting]))
    parts: list[Part] = []
    for place in diagnosis.sites:
        parts.append(para(place_line(place)))
        migrations = diagnosis.looked.migrations  # Alembic has read scripts that the startup did not reach
        traces = [diagnosis.trace, *([migrations.trace] if migrations is not None and migrations.trace else [])]
        excerpts = [trace.excerpt(place) for trace in traces]
        excerpts += [r.excerpt for r in diagnosis.looked.revisions if (r.file, r.line) == (place.file, place.line)]
        if lines := next(filter(None, excerpts), None):
            parts.append(source(lines, marked=[place.line]))
    return Shown(parts) if parts else absent("It is not known which line causes it.")


def collision(trace: Trace, conflict: Conflict | None = None) -> Shown:
    """Both definitions of a table side by side, with the differences marked; without a conflict, a note that says so."""
    conflicts = [conflict] if conflict else list(trace.conflicts)
    if not conflicts:
        return absent("No definition was rejected: there are no two to compare.")
    return Shown(_collisions(trace, conflicts))


def _collisions(trace: Trace, conflicts: Sequence[Conflict]) -> list[Part]:
    parts: list[Part] = []
    for conflict in conflicts[:_MOST_CONFLICTS]:
        routes = {route.name: route for route in import_graph(trace, conflict).routes}
        (kind, _, named), metadata = conflict.tables.partition(" "), code(conflict.metadata.label)
        where = join(kind.capitalize(), " ", code(named), " on the metadata made at ", metadata, ": ", conflict.error)
        definitions = (conflict.first, conflict.second)
        bodies = [trace.statement(registration.site) if registration else [] for registration in definitions]
        same = conflict.first is not None and conflict.first.site[:2] == conflict.second.site[:2]
        differing = [set(), set()] if same else _differing(*bodies)
        both = [
            _definition(title, registration, routes.get(title.lower()), lines, marks)
            for title, registration, lines, marks in zip(
                ("First", "Second"), definitions, bodies, differing, strict=True
            )
        ]
        parts += [para(where), beside(*both)]
        if same:
            parts.append(para(f"Both are {one_place(conflict.first, conflict.second)}."))
        elif any(differing):
            parts.append(para("≠ marks lines that differ from the other definition.", kind="kit-note"))
    if len(conflicts) > _MOST_CONFLICTS:
        rest = conflicts[_MOST_CONFLICTS:]
        listed = items(join(code(conflict.table), " again at ", code(conflict.second.site)) for conflict in rest[:100])
        parts.append(fold(f"{len(rest)} more tables were rejected", listed))
    return parts


def _definition(
    title: str, registration: Registration | None, route: ImportRoute | None, lines: Sequence, differing: set[int]
) -> Part:
    if registration is None:
        return para(strong(title), ": was made before the trace began")
    name = registration.class_ or registration.site.name
    named = join(", class " if registration.class_ else ", ", code(name)) if name else None
    outcome = word(registration.outcome not in ("rejected",), registration.outcome, registration.outcome)
    top = para(strong(f"{title}: "), code(registration.site), named, registration.through, ", ", outcome)
    steps = " → ".join(str(stop.frame) for stop in route.stops[:-1]) if route else ""
    by = para("reached by ", code(steps)) if steps else None
    if not lines:
        return stack(top, by, para("The source is not available."))
    shown = source(lines[:_MOST_LINES], marked=[registration.site.line], differing=differing)
    rest = lines[_MOST_LINES:]
    more = fold(f"{count(len(rest), 'more line')}", source(rest, differing=differing)) if rest else None
    return stack(top, by, shown, more)


def _differing(first: Sequence[tuple[int, str]], second: Sequence[tuple[int, str]]) -> tuple[set[int], set[int]]:
    """The numbers of the lines that the other excerpt does not have; space at the ends of a line does not count."""
    texts = [[line.strip() for _, line in excerpt] for excerpt in (first, second)]
    matched = SequenceMatcher(None, *texts, autojunk=False).get_matching_blocks()
    equal = [{at + n for at, size in ((m[side], m[2]) for m in matched) for n in range(size)} for side in (0, 1)]
    differing = []
    for lines, kept in zip((first, second), equal, strict=True):
        differing.append({number for n, (number, line) in enumerate(lines) if n not in kept and line.strip()})
    return differing[0], differing[1]
