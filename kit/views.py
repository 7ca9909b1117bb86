"""What a notebook shows of a startup: each function takes values and gives something to display.

Nothing is decided here. What is shown works in live JupyterLab, in an untrusted notebook and on the
page: no script, no style sheet, everything of the application escaped.
"""

import posixpath
from collections.abc import Sequence

from .findings import (
    Progress,
    actions,
    before_and_after,
    claims,
    fixes,
    impact,
    matrix,
    people,
    provenance,
    timeline,
    verdict,
)
from .imports import ImportGraph, Stop, Way, import_graph
from .markup import (
    Part,
    Shown,
    beside,
    code,
    figure,
    fold,
    items,
    join,
    para,
    preformatted,
    source,
    stack,
    steady,
    strong,
    table,
    word,
)
from .picture import Moment, import_picture, metadata_picture
from .reduce import Reduced, reduce
from .tables import after_each_import
from .trace import Conflict, Error, Frame, Registration, Trace

__all__ = [
    "Progress",
    "actions",
    "before_and_after",
    "claims",
    "collision",
    "errors",
    "fixes",
    "impact",
    "imports",
    "matrix",
    "metadata",
    "people",
    "provenance",
    "stepper",
    "steps",
    "swallowed",
    "timeline",
    "verdict",
]

_WAYS = {"first": "First way", "second": "Second way", "only": "The way to the error"}


def steps(trace: Trace) -> Shown:
    """The startup steps: which succeeded, which failed and with what, which never ran; their output folded."""
    rows = []
    for one in trace.steps:
        rows.append((str(one.number), code(one), word(one.ok, "succeeded", "failed", "never ran"), one.error or ""))
    wrong = [number for number, one in enumerate(trace.steps) if one.ok is False]
    parts = [table("Startup steps", ("step", "what", "how it ended", "error"), rows, marked=wrong)]
    if trace.broke:
        parts.insert(0, para(strong("The run itself broke: "), trace.broke, kind="kit-note"))
    for one in trace.steps:
        if one.output.strip():
            shown = "\n".join(one.output.strip().splitlines()[-60:])
            parts.append(fold(f"What step {one.number} printed", preformatted(steady(shown))))
    if trace.lost:
        parts.append(fold(f"{len(trace.lost)} things could not be recorded", items(trace.lost[:50])))
    return Shown(parts)


# ------------------------------------------------------------------------------------ metadata


def metadata(trace: Trace) -> Shown:
    """The metadata after each import: a picture, the modules that changed it or went wrong, and all of them folded."""
    rows = after_each_import(trace)
    if not rows:
        return Shown([para("No module of the application was executed.")])
    telling = [row for row in rows if row["registered"] or row["rejected"] or row["extended"] or not row["ok"]]
    moments = [
        Moment(r["number"] or 0, r["module"], r["tables_total"], len(r["registered"]), r["rejected"], r["process"])
        for r in rows
    ]
    drawn = metadata_picture(moments)
    last = max(row["tables_total"] for row in rows)
    rejected = [(row["module"], name) for row in rows for name in row["rejected"]]
    said = f"{last} tables came to the application's metadata while {len(rows)} of its modules were executed"
    said += (
        "; " + ", ".join(f"{name} was rejected in {module}" for module, name in rejected[:3])
        if rejected
        else "; none was rejected"
    )
    parts = (
        [
            figure(
                drawn,
                f"Tables over executed modules: {said}.",
                f"{said}. Dots: tables registered; crosses: tables rejected.",
            )
        ]
        if drawn
        else []
    )
    caption = (
        f"The {len(telling)} modules of {len(rows)} that changed the metadata or went wrong, in the order of their end"
    )
    parts.append(_after_table(caption, telling))
    if len(telling) < len(rows):
        parts.append(
            fold(
                f"All {len(rows)} modules",
                _after_table("Every executed module of the application, in the order of its end", rows),
            )
        )
    return Shown(parts)


def _after_table(caption: str, rows: Sequence[dict]) -> Part:
    shown = []
    for row in rows:
        new = ", ".join(row["registered"]) + (f" (met again: {', '.join(row['extended'])})" if row["extended"] else "")
        shown.append(
            (
                code(row["module"]),
                str(row["number"] or ""),
                code(row["imported_by"]) if row["imported_by"] else "the step",
                new,
                ", ".join(row["rejected"]),
                str(row["tables_total"]),
                join(word(row["ok"], "ok", "wrong"), ", the first" if row["first_wrong"] else None),
            )
        )
    wrong = [number for number, row in enumerate(rows) if row["first_wrong"]]
    head = ("module", "number", "imported by", "registered", "rejected", "tables then", "state")
    return table(caption, head, shown, marked=wrong)


def stepper(trace: Trace) -> Shown:
    """One line to open an executed module: who imported it, what it registered, what was there then."""
    parts = []
    for row in after_each_import(trace):
        state = "first wrong" if row["first_wrong"] else "ok" if row["ok"] else "wrong"
        changed = f", {len(row['registered'])} new" if row["registered"] else ""
        changed += f", {len(row['rejected'])} rejected" if row["rejected"] else ""
        number = f"{row['number']}. " if row["number"] else ""
        top = join(
            number, code(row["module"]), f": {row['tables_total']} tables{changed}; ", word(row["ok"], state, state)
        )
        facts = [
            join("file: ", code(row["file"])) if row["file"] else None,
            join(
                "imported by: ",
                code(row["imported_by"]) if row["imported_by"] else "the startup step itself",
                f", {row['step']}",
            ),
            join("registered: ", ", ".join(row["registered"]) or "nothing"),
            join("met a table that was there: ", ", ".join(row["extended"])) if row["extended"] else None,
            join("rejected, because it was there already: ", strong(", ".join(row["rejected"])))
            if row["rejected"]
            else None,
            join("left by an error: ", code(row["error"])) if row["error"] else None,
            f"afterwards: {row['tables_total']} tables on {row['metadata_count']} metadata",
        ]
        body = items(one for one in facts if one is not None)
        parts.append(fold(top, body, open=row["first_wrong"], group="kit-imports", kind="kit-step"))
    return Shown(parts or [para("No module of the application was executed.")])


# ------------------------------------------------------------------------------------ the collision


def collision(trace: Trace, conflict: Conflict | None = None) -> Shown:
    """Both definitions of a table side by side: site, way and source lines; without a conflict, that there is none."""
    conflicts = [conflict] if conflict else list(trace.conflicts)
    if not conflicts:
        return Shown([para("No table was rejected: there are no two definitions to compare.")])
    parts: list[Part] = []
    for one in conflicts:
        ways = {way.name: way for way in import_graph(trace, one).ways}
        where = join("Table ", code(one.table), " on the metadata made at ", code(one.metadata.label), ": ", one.error)
        columns = [
            _definition("First", trace, one.first, ways.get("first")),
            _definition("Second", trace, one.second, ways.get("second")),
        ]
        parts += [para(where), beside(*columns)]
        parts += _columns(one)
    return Shown(parts)


def _definition(title: str, trace: Trace, one: Registration | None, way: Way | None) -> Part:
    if one is None:
        return para(strong(title), ": came before the trace began")
    named = (
        join(", class ", code(one.class_)) if one.class_ else join(", ", code(one.site.name)) if one.site.name else None
    )
    outcome = word(one.outcome not in ("rejected",), one.outcome, one.outcome)
    top = para(strong(f"{title}: "), code(one.site), named, ", ", outcome)
    lines = [line for line in trace.excerpt(one.site, around=7) if line[0] >= one.site.line - 1]
    body = source(lines, marked=[one.site.line]) if lines else para("The source is not at hand.")
    return stack(top, _way_list(way) if way else None, body)


def _columns(conflict: Conflict) -> list[Part]:
    """The columns of both definitions, those that differ marked by a word."""
    first = {str(c.get("name")): c for c in conflict.second.existing}
    second = {str(c.get("name")): c for c in conflict.second.new}
    if not first or not second:
        return []
    rows = []
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        same = (
            "same"
            if one == other
            else "differs"
            if one and other
            else "only in the first"
            if one
            else "only in the second"
        )
        rows.append((code(name), _column(one), _column(other), word(one == other, same, same)))
    wrong = [number for number, row in enumerate(rows) if row[3].text != "same"]
    said = f"{len(wrong)} of {len(rows)} columns are not the same" if wrong else f"all {len(rows)} columns are the same"
    return [
        fold(
            f"Columns of the two definitions: {said}",
            table("Columns", ("column", "first", "second", "compared"), rows, marked=wrong),
        )
    ]


def _column(one: dict | None) -> str:
    if one is None:
        return ""
    words = [str(one.get("type", "")).replace("()", "")]
    words += [
        text for key, text in (("primary_key", "primary key"), ("unique", "unique"), ("index", "index")) if one.get(key)
    ]
    words += [] if one.get("nullable") or one.get("primary_key") else ["not null"]
    return ", ".join(words)


def _way_list(way: Way) -> Part:
    return items((_stop(stop) for stop in way.stops), ordered=True)


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


# ------------------------------------------------------------------------------------ the import graph


def imports(trace: Trace, conflict: Conflict | None = None) -> Shown:
    """The import graph, reduced to the two ways, and the same ways as ordered lists."""
    graph = import_graph(trace, conflict)
    reduced = reduce(graph)
    if not graph.ways:
        return Shown(
            [
                para(
                    f"No way to show: no table was rejected and no step failed. {len(graph.modules)} modules were executed."
                )
            ]
        )
    drawn = import_picture(reduced)
    parts = []
    if drawn:
        parts.append(
            figure(drawn, _alternative(graph), _legend(graph, reduced), narrow=import_picture(reduced, upright=True))
        )
    else:
        parts.append(
            para(
                "There is no program here that draws the graph (graphviz-pure, or dot). The ways as lists:",
                kind="kit-note",
            )
        )
    for way in graph.ways:
        parts.append(para(strong(f"{_WAYS[way.name]}: "), "to ", code(way.site), f", {way.outcome}"))
        parts.append(_way_list(way))
    if reduced.cycles:
        shown = items(" ↔ ".join(names) for names in reduced.cycles[:20])
        parts.append(fold(f"{len(reduced.cycles)} groups of modules import each other", shown))
    else:
        parts.append(para("No modules import each other: no cycle took part."))
    return Shown(parts)


def _alternative(graph: ImportGraph) -> str:
    said = [f"{_WAYS[way.name].lower()}: {way.text}, {way.outcome}" for way in graph.ways]
    return f"Import graph. {'; '.join(said)}. The lists below say the same."


def _legend(graph: ImportGraph, reduced: Reduced) -> Part:
    if len(graph.ways) > 1:
        lines = "Single blue line: the way to the first definition. Double red line: the way to the second."
    else:
        lines = "Double red line: the way to the error."
    lines += " Dashed line: a call, or a library that runs a file; no import statement. Grey: other modules on the way, by package."
    lines += f" Numbers count the {reduced.modules} executed modules of the application."
    if reduced.left_out:
        listed = ", ".join(f"{package} {count}" for package, count in reduced.left_out[:12])
        more = f" and {len(reduced.left_out) - 12} more packages" if len(reduced.left_out) > 12 else ""
        lines += f" Not drawn, since neither way passes them: {sum(n for _, n in reduced.left_out)} modules ({listed}{more})."
    return join(lines)


# ------------------------------------------------------------------------------------ errors


def errors(trace: Trace) -> Shown:
    """Each error that failed a step: the application's frames with their lines, the libraries' folded."""
    parts = []
    for step in trace.steps:
        if step.ok is False:
            parts.append(para(strong(f"Step {step.number} "), "(", code(step), ") failed: ", step.error or ""))
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
    """Exceptions that were raised and then caught for good, so that the startup went on."""
    if not trace.swallowed:
        return Shown([para("Nothing was swallowed.")])
    rows = []
    for number, one in enumerate(trace.swallowed, 1):
        own = [frame for frame in one.chain if frame.application]
        shown = " → ".join(dict.fromkeys(map(str, own)))
        rows.append((str(number), str(one.error), code(one.site) if one.site else "", code(shown)))
    parts = [table("Swallowed exceptions", ("no.", "error", "raised at", "way"), rows)]
    return Shown(parts)
