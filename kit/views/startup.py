"""What a notebook shows of a startup: each function takes values and gives something to display.

Nothing is decided here. What is shown works in live JupyterLab, in an untrusted notebook and on the
page: no script, no style sheet, everything of the application escaped.
"""

import posixpath
from collections.abc import Sequence
from difflib import SequenceMatcher

from ..diagnose.definitions import differs, executed_again, one_place, type_of
from ..trace.advice import told_refused
from ..trace.graph import ImportGraph, Stop, Way, import_graph
from ..trace.tables import after_each_import
from ..trace.values import Conflict, Error, Frame, Registration, StepResult, Swallowed, Trace
from .markup import (
    Part,
    Shown,
    beside,
    code,
    count,
    figure,
    fold,
    items,
    join,
    para,
    part,
    preformatted,
    source,
    stack,
    steady,
    strong,
    table,
    word,
)
from .metadata_picture import Moment, metadata_picture
from .picture import engines, import_picture
from .reduce import GROUPS, Reduced, place_of, reduce

_MOST_ROWS = 200  # of one table
_EACH_STEP = 80  # modules that are shown one by one, whether they changed anything or not
_MOST_STEPS = 300  # modules with a line of their own
_MOST_HELD = 40  # tables that one step names
_MOST_QUIET = 30  # modules that one line names
_MOST_CONFLICTS = 6  # shown in full
_BROKE = "the reason is in the verdict"
_MOST_STOPS = 40  # of one way
_WAYS = {"first": "First way", "second": "Second way", "only": "The way to the error"}


def steps(trace: Trace) -> Shown:
    """The startup steps: which succeeded, which failed and with what, which never ran; their output folded."""
    rows = []
    for one in trace.steps:
        rows.append((str(one.number), code(one), word(one.ok, "succeeded", "failed", "never ran"), _error(trace, one)))
    wrong = [number for number, one in enumerate(trace.steps) if one.ok is False]
    parts = [table("Startup steps", ("step", "what", "how it ended", "error"), rows, marked=wrong)]
    if trace.broke and not any(one.error == trace.broke for one in trace.steps):
        parts.insert(0, para(strong("The run itself broke: "), _BROKE, kind="kit-note"))
    if refused := told_refused(trace.refused):
        parts.append(para(refused, kind="kit-note"))
    for one in trace.steps:
        if one.output.strip():
            shown = "\n".join(one.output.strip().splitlines()[-60:])
            parts.append(fold(f"What step {one.number} printed", preformatted(steady(shown))))
    if trace.lost:
        parts.append(fold(f"{len(trace.lost)} things could not be recorded", items(trace.lost[:50])))
    return Shown(parts)


def _error(trace: Trace, step: StepResult) -> str:
    """A step's error; the reason why the run broke stands in the verdict, and is long."""
    return f"the run broke here; {_BROKE}" if step.error and step.error == trace.broke else step.error or ""


# ------------------------------------------------------------------------------------ metadata


def metadata(trace: Trace) -> Shown:
    """The metadata after each import: a picture, the modules that changed it or went wrong, and all of them folded."""
    rows = after_each_import(trace)
    if not rows:
        return Shown([para("No module of the application was executed.")])
    telling = [row for row in rows if row["registered"] or row["rejected"] or row["extended"] or not row["ok"]]
    moments = [
        Moment(
            r["number"] or 0,
            r["module"],
            r["tables_total"],
            len(r["registered"]),
            r["rejected"],
            r["process"],
            r["extended"],
        )
        for r in rows
    ]
    last = max(row["tables_total"] for row in rows)
    rejected = [(row["module"], name) for row in rows for name in row["rejected"]]
    said = f"{count(last, 'table')} on the application's metadata after {count(len(rows), 'executed module')}"
    said += (
        "; " + ", ".join(f"{name} was rejected in {module}" for module, name in rejected[:3])
        if rejected
        else "; none was rejected"
    )
    said += f" ({len(rejected) - 3} more)" if len(rejected) > 3 else ""
    met = any(row["extended"] for row in rows)
    caption = f"{said}. A dot: tables that were registered, with how many. A cross: a table that was rejected."
    caption += " A diamond: a table that a further definition met, and nothing was raised." if met else ""
    alt = f"Tables over executed modules: {said}."
    parts = [figure(metadata_picture(moments), alt, caption, narrow=metadata_picture(moments, narrow=True))]
    if telling:
        caption = f"The modules that changed the metadata or went wrong: {len(telling)} of {len(rows)}"
        parts.append(_after_table(caption, telling))
    if len(telling) < len(rows):
        parts.append(fold(f"Every executed module, {len(rows)}", _after_table("Every executed module", rows)))
    parts.append(para("In the order in which their execution ended; the numbers count in the order in which it began."))
    return Shown(parts)


def _after_table(caption: str, rows: Sequence[dict]) -> Part:
    shown = []
    left_out = max(0, len(rows) - _MOST_ROWS)
    if left_out:  # what tells most stays
        weight = sorted(
            range(len(rows)), key=lambda n: (rows[n]["ok"], not rows[n]["rejected"], not rows[n]["registered"], n)
        )
        rows = [rows[n] for n in sorted(weight[:_MOST_ROWS])]
    for row in rows:
        new = _few(row["registered"]) + (f" (met again: {_few(row['extended'])})" if row["extended"] else "")
        shown.append(
            (
                code(row["module"]),
                str(row["number"] or ""),
                code(row["imported_by"]) if _of_a_file(row["imported_by"]) else "the step",
                new,
                _few(row["rejected"]),
                str(row["tables_total"]),
                word(row["ok"], "ok", _wrong(row)),
            )
        )
    wrong = [number for number, row in enumerate(rows) if row["first_wrong"]]
    head = ("module", "number", "imported by", "registered", "rejected", "tables then", "state")
    listed = table(caption, head, shown, marked=wrong)
    return stack(listed, para(f"{left_out} more are left out here; they are in the DataFrame.") if left_out else None)


def _few(names: Sequence[str], most: int = 24) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def stepper(trace: Trace) -> Shown:
    """One line to open an executed module: what is loaded by then, what it registered, what the metadata held.

    Modules that changed nothing are one line together where there are many.
    """
    rows = after_each_import(trace)
    if not rows:
        return Shown([para("No module of the application was executed.")])
    own = {n for n, row in enumerate(rows) if row["registered"] or row["rejected"] or row["extended"] or not row["ok"]}
    if len(rows) <= _EACH_STEP:
        own = set(range(len(rows)))
    elif len(own) > _MOST_STEPS:
        own = set(sorted(own, key=lambda n: (rows[n]["ok"], not rows[n]["rejected"], n))[:_MOST_STEPS])
    parts, quiet = [], []
    for number, row in enumerate(rows):
        if number in own:
            parts += _quiet(quiet)
            parts.append(_step(row, number + 1))
            quiet = []
        else:
            quiet.append(row)
    return Shown([*parts, *_quiet(quiet)])


def _step(row: dict, loaded: int) -> Part:
    state = "ok" if row["ok"] else _wrong(row)
    changed = f", {len(row['registered'])} new" if row["registered"] else ""
    changed += f", {len(row['rejected'])} rejected" if row["rejected"] else ""
    number = f"{row['number']}. " if row["number"] else ""
    tables = count(row["tables_total"], "table")
    top = join(number, code(row["module"]), f": {tables}{changed}; ", word(row["ok"], state, state))
    by = code(row["imported_by"]) if _of_a_file(row["imported_by"]) else "the startup step itself"
    held = [strong(name, " (new)") if name in row["registered"] else part(name) for name in row["held"][:_MOST_HELD]]
    more = f" and {len(row['held']) - _MOST_HELD} more" if len(row["held"]) > _MOST_HELD else None
    facts = [
        join("file: ", code(row["file"])) if row["file"] else None,
        join("imported by: ", by, f", {row['step']}"),
        f"loaded by then: {count(loaded, 'module')} of the application",
        join("registered: ", _few(row["registered"]) or "nothing"),
        join("met a table that was there: ", _few(row["extended"])) if row["extended"] else None,
        join("rejected, because it was there already: ", strong(_few(row["rejected"]))) if row["rejected"] else None,
        join("left by an error: ", code(row["error"])) if row["error"] else None,
        join(
            f"afterwards: {tables} on {row['metadata_count']} metadata",
            ": " if held else None,
            join(*held, between=", "),
            more,
        ),
    ]
    body = items(one for one in facts if one is not None)
    return fold(top, body, open=row["first_wrong"], group="kit-imports", kind="kit-step")


def _of_a_file(line: str | None) -> bool:
    """Is this a line that one can look up? An interpreter's own start is not."""
    return line is not None and not line.startswith("<")


def _wrong(row: dict) -> str:
    return "wrong" if not row["first_wrong"] else "the first rejected" if row["rejected"] else "the first wrong"


def _quiet(rows: Sequence[dict]) -> list[Part]:
    """Modules in a row after which nothing had changed, as one line."""
    if not rows:
        return []
    named = [join(f"{row['number']}. " if row["number"] else None, code(row["module"])) for row in rows[:_MOST_QUIET]]
    more = f" and {len(rows) - _MOST_QUIET} more" if len(rows) > _MOST_QUIET else None
    top = join(
        f"{count(len(rows), 'module')} that registered nothing: {count(rows[-1]['tables_total'], 'table')}; ",
        word(True),
    )
    return [fold(top, para(join(*named, between=", "), more), group="kit-imports", kind="kit-step")]


# ------------------------------------------------------------------------------------ the collision


def collision(trace: Trace, conflict: Conflict | None = None) -> Shown:
    """Both definitions of a table side by side, what differs marked; without a conflict, that there is none."""
    conflicts = [conflict] if conflict else list(trace.conflicts)
    if not conflicts:
        return Shown([para("No definition was rejected: there are no two to compare here.")])
    parts: list[Part] = []
    for one in conflicts[:_MOST_CONFLICTS]:
        ways = {way.name: way for way in import_graph(trace, one).ways}
        where = join("Table ", code(one.table), " on the metadata made at ", code(one.metadata.label), ": ", one.error)
        bodies = [trace.statement(each.site) if each else [] for each in (one.first, one.second)]
        same = one.first is not None and one.first.site[:2] == one.second.site[:2]
        differing = [set(), set()] if same else _differing(*bodies)
        columns = [
            _definition(title, trace, each, ways.get(title.lower()), lines, marks)
            for title, each, lines, marks in zip(
                ("First", "Second"), (one.first, one.second), bodies, differing, strict=True
            )
        ]
        parts += [para(where), beside(*columns)]
        if same:
            parts.append(para(f"Both are {one_place(one.first, one.second)}."))
        elif any(differing):
            parts.append(para("Lines with ≠ have no equal in the other definition.", kind="kit-note"))
        parts += _columns(one)
    if len(conflicts) > _MOST_CONFLICTS:
        rest = conflicts[_MOST_CONFLICTS:]
        listed = items(join(code(one.table), " again at ", code(one.second.site)) for one in rest[:100])
        parts.append(fold(f"{len(rest)} more tables were rejected", listed))
    return Shown(parts)


def _definition(
    title: str, trace: Trace, one: Registration | None, way: Way | None, lines: Sequence, differing: set[int]
) -> Part:
    if one is None:
        return para(strong(title), ": came before the trace began")
    named = (
        join(", class ", code(one.class_)) if one.class_ else join(", ", code(one.site.name)) if one.site.name else None
    )
    outcome = word(one.outcome not in ("rejected",), one.outcome, one.outcome)
    top = para(strong(f"{title}: "), code(one.site), named, ", ", outcome)
    steps = " → ".join(str(stop.frame) for stop in way.stops[:-1]) if way else ""
    by = para("by ", code(steps)) if steps else None
    body = source(lines, marked=[one.site.line], differing=differing) if lines else para("The source is not at hand.")
    return stack(top, by, body)


def _differing(first: Sequence[tuple[int, str]], second: Sequence[tuple[int, str]]) -> tuple[set[int], set[int]]:
    """The numbers of the lines that have no equal in the other excerpt; space at the ends does not count."""
    texts = [[line.strip() for _, line in each] for each in (first, second)]
    matched = SequenceMatcher(None, *texts, autojunk=False).get_matching_blocks()
    equal = [{at + n for at, size in ((m[side], m[2]) for m in matched) for n in range(size)} for side in (0, 1)]
    found = []
    for lines, kept in zip((first, second), equal, strict=True):
        found.append({number for n, (number, line) in enumerate(lines) if n not in kept and line.strip()})
    return found[0], found[1]


def _columns(conflict: Conflict) -> list[Part]:
    """The columns of both definitions, those that differ marked by a word."""
    first = {str(c.get("name")): c for c in conflict.second.existing}
    second = {str(c.get("name")): c for c in conflict.second.new}
    if not first or not second:
        return []
    rows, again = [], executed_again(conflict.first, conflict.second)
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        equal = not differs(one, other, again)
        same = "same" if equal else "differs" if one and other else "only in the first" if one else "only in the second"
        rows.append((code(name), _column(one), _column(other), word(equal, same, same)))
    wrong = [number for number, row in enumerate(rows) if row[3].text != "same"]
    same = f"all {len(rows)} columns are the same" if len(rows) > 1 else "the one column is the same"
    said = (
        f"{len(wrong)} of {count(len(rows), 'column')} {'is' if len(wrong) == 1 else 'are'} not the same"
        if wrong
        else same
    )
    return [
        fold(
            f"Columns of the two definitions: {said}",
            table("Columns", ("column", "first", "second", "compared"), rows, marked=wrong),
        )
    ]


def _column(one: dict | None) -> str:
    if one is None:
        return ""
    words = [type_of(one).replace("()", "")]
    words += [
        text for key, text in (("primary_key", "primary key"), ("unique", "unique"), ("index", "index")) if one.get(key)
    ]
    words += [] if one.get("nullable") or one.get("primary_key") else ["not null"]
    return ", ".join(words)


# ------------------------------------------------------------------------------------ the import graph


def imports(trace: Trace, conflict: Conflict | None = None) -> Shown:
    """The import graph, reduced to the two ways, and the same ways as ordered lists with their source."""
    graph = import_graph(trace, conflict)
    reduced = reduce(graph)
    if not graph.ways:
        executed = count(len(graph.modules), "module")
        return Shown(
            [
                para(
                    f"No way to show: no table was defined a second time, and no error of the application's own lines was seen. {executed} ran."
                )
            ]
        )
    drawn = import_picture(reduced)
    parts = []
    if drawn:
        narrow = import_picture(reduced, upright=True)
        parts.append(figure(drawn, _alternative(graph), _legend(graph, reduced), narrow=narrow))
    elif engines():
        parts.append(para("The drawn graph was not whole, so it is not shown. The ways as lists:", kind="kit-note"))
    else:
        said = "There is no program here that draws the graph (graphviz-pure, or dot). The ways as lists:"
        parts.append(para(said, kind="kit-note"))
    for way in graph.ways:
        parts.append(para(strong(f"{_WAYS[way.name]}: "), "to ", code(way.site), f", {way.outcome}"))
        parts.append(_way_list(trace, way))
    groups = [join(strong(node.title), ": ", ", ".join(node.members)) for node in reduced.nodes if node.role == "group"]
    if groups:
        parts.append(fold("What the grey boxes stand for", items(groups), place=GROUPS))
    if reduced.cycles:
        shown = items(" ↔ ".join(_few_of(names)) for names in reduced.cycles[:20])
        are = (
            "One group of modules imports"
            if len(reduced.cycles) == 1
            else f"{len(reduced.cycles)} groups of modules import"
        )
        parts.append(fold(f"{are} each other", shown))
    else:
        parts.append(para("No modules of the application import each other."))
    return Shown(parts)


def _few_of(names: Sequence[str], most: int = 12) -> list[str]:
    return [*names[:most], f"{len(names) - most} more"] if len(names) > most else list(names)


def _way_list(trace: Trace, way: Way) -> Part:
    """A way's stops, each with the line of source that leads on; of a very long way both ends."""
    shown, places = [], []
    for number, stop in enumerate(way.stops):
        if _MOST_STOPS // 2 <= number < len(way.stops) - _MOST_STOPS // 2:
            if number == _MOST_STOPS // 2:
                shown.append(part(f"{len(way.stops) - _MOST_STOPS} more stops"))
                places.append(place_of(way, number))
            continue
        lines = [line for line in trace.excerpt(stop.frame, around=1) if line[1].strip()]
        shown.append(stack(_stop(stop), source(lines, marked=[stop.frame.line], most=120) if lines else None))
        places.append(place_of(way, number))
    return items(shown, ordered=True, places=places)


def _stop(stop: Stop) -> Part:
    function = f" in {stop.frame.function}()" if stop.frame.function not in ("<module>", "?") else ""
    kind = {
        "start": stop.how,
        "import": stop.how,
        "call": f"called at {_at(stop.by)}",
        "exec": f"run by {stop.through}, asked at {_at(stop.by)}",
    }
    return join(code(stop.frame), f"{function}: {kind[stop.kind]}")


def _at(frame: Frame | None) -> str:
    return f"{posixpath.basename(frame.file)}:{frame.line}" if frame else "?"


def _alternative(graph: ImportGraph) -> str:
    said = [f"{_WAYS[way.name].lower()}: {way.text}, {way.outcome}" for way in graph.ways]
    return f"Import graph. {'; '.join(said)[:2000]}. The lists below say the same."


def _legend(graph: ImportGraph, reduced: Reduced) -> Part:
    roles = {line.role for line in reduced.lines}
    if len(graph.ways) > 1:
        said = [join(strong("Single blue line"), ": the way to the first definition.")]
        said.append(join(strong("Double red line"), ": the way to the second."))
    else:
        said = [join(strong("Double red line"), ": the way to the error.")]
    if any(line.dashed for line in reduced.lines):
        said.append(join(strong("Dashed"), ": a call, or a library that runs a file; no import statement."))
    if any(node.role == "group" for node in reduced.nodes):
        said.append(join(strong("Grey boxes"), ": other modules that lie between, by package."))
    if "cycle" in roles:
        said.append(join(strong("Dotted purple"), ": modules that import each other."))
    said.append(part(f"Numbers count the {count(reduced.modules, 'executed module')} of the application."))
    if reduced.left_out:
        listed = ", ".join(f"{package} {number}" for package, number in reduced.left_out[:12])
        more = f" and {len(reduced.left_out) - 12} more packages" if len(reduced.left_out) > 12 else ""
        number = sum(n for _, n in reduced.left_out)
        said.append(part(f"Not drawn, since no way passes them: {count(number, 'module')} ({listed}{more})."))
    return join(*said, between=" ")


# ------------------------------------------------------------------------------------ errors


def errors(trace: Trace) -> Shown:
    """Each error that failed a step: the application's frames with their lines, the libraries' folded."""
    parts = []
    for step in trace.steps:
        if step.ok is False:
            parts.append(para(strong(f"Step {step.number} "), "(", code(step), ") failed: ", _error(trace, step)))
            if step.exception is not None:
                parts += _frames(trace, step.exception)
    return Shown(parts or [para("No step failed.")])


def _frames(trace: Trace, error: Error) -> list[Part]:
    own = [frame for frame in error.frames if frame.application]
    if not error.frames:
        return []
    shown = []
    for frame in own:
        text = trace.excerpt(frame, around=0)
        shown.append(
            join(
                code(frame),
                f" in {frame.function}" if frame.function else None,
                ": " if text else None,
                code(text[0][1].strip()) if text else None,
            )
        )
    every = [join(code(frame), f" in {frame.function}") for frame in error.frames]
    folded = len(error.frames) - len(own)
    parts = [items(shown, ordered=True)] if shown else []
    if folded:
        parts.append(fold(f"All {len(error.frames)} frames, {folded} of them of libraries", items(every, ordered=True)))
    return parts


def swallowed(trace: Trace) -> Shown:
    """Exceptions that were raised and then caught: for good, so that the startup went on, or for want of something that failed too."""
    refused = told_refused(trace.refused)
    if not trace.swallowed and not trace.caught:
        # An attempt that was refused raised an error, and what catches that where it is asked for is seen by nobody.
        if refused:
            return Shown([para("No error left a module and was swallowed. ", refused)])
        return Shown([para("Nothing was swallowed.")])
    parts = [_caught("Swallowed exceptions", trace.swallowed)] if trace.swallowed else []
    if trace.caught:
        said = "Nothing else was swallowed" if trace.swallowed else "Nothing was swallowed for good"
        parts += [
            para(f"{said}. What was caught, and what was then done in its place failed the step:"),
            _caught("Caught on the way to the error", trace.caught),
        ]
    return Shown([*parts, para(refused)] if refused else parts)


def _caught(caption: str, errors: Sequence[Swallowed]) -> Part:
    rows = []
    for number, one in enumerate(errors, 1):
        own = [frame for frame in one.chain if frame.application]
        shown = " → ".join(dict.fromkeys(map(str, own)))
        rows.append((str(number), str(one.error), code(one.site) if one.site else "", code(shown)))
    return table(caption, ("no.", "error", "raised at", "way"), rows)
