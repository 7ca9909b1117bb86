"""A trace as DataFrames: plain columns, one row a fact, sorted as it happened."""

from bisect import insort
from typing import TYPE_CHECKING, Any

from .chains import application_frames
from .trace import Trace
from .values import Import, Registration

if TYPE_CHECKING:
    import pandas

AFTER_IMPORT = [
    "number", "module", "file", "imported_by", "step", "process", "registered", "extended", "rejected", "tables_total",
    "metadata_count", "error", "ok", "first_wrong",
]  # fmt: skip


def _frame(rows: list, columns: list[str]) -> "pandas.DataFrame":
    import pandas  # a page needs none: who asks for no table need not wait for it

    pandas.set_option("display.html.use_mathjax", False)  # a table's name between dollar signs is no formula
    return pandas.DataFrame(rows, columns=columns)


def steps_table(trace: Trace) -> "pandas.DataFrame":
    """One row a startup step: ``number, kind, step, ok`` (None: never ran), ``error, seconds``."""
    rows = [(s.number, s.kind, s.text, s.ok, s.error, s.seconds) for s in trace.steps]
    return _frame(rows, columns=["number", "kind", "step", "ok", "error", "seconds"]).set_index("number")


def imports_table(trace: Trace) -> "pandas.DataFrame":
    """One row an executed module of the application, in order of beginning.

    Columns: ``number`` (among the application's modules), ``step, process, module, file, imported_by``
    (``file:line``), ``again`` (a reload), ``error, seconds`` (of what it imported, too).
    """
    columns = ["number", "step", "process", "module", "file", "imported_by", "again", "error", "seconds"]
    shown = [import_ for import_ in trace.imports if import_.application]
    rows = [
        (n, i.step, i.process, i.module, i.file, _text(i.by), i.again, _text(i.error), i.seconds)
        for n, i in enumerate(shown, 1)
    ]
    return _frame(rows, columns=columns).set_index("number")


def registrations_table(trace: Trace) -> "pandas.DataFrame":
    """One row a table that reached a metadata of the application, in order.

    Columns: ``table, metadata`` (where it was made), ``outcome`` (registered, rejected, extended, kept,
    reflected), ``site, name, module, columns, step, process, chain`` (application lines), ``removed``.
    """
    names = "table metadata outcome site name module columns step process chain removed"
    rows = []
    for reg in trace.registrations:
        if reg.application:
            where = (str(reg.site), reg.site.name, reg.site.module)
            chain = " → ".join(map(str, application_frames(reg.chain)))
            label = reg.metadata.label
            rows.append((reg.table, label, reg.outcome, *where, reg.columns, reg.step, reg.process, chain, reg.removed))
    return _frame(rows, columns=names.split())


def metadata_after_each_import(trace: Trace) -> "pandas.DataFrame":
    """One row an executed module of the application, in order of its end: what the metadata held then.

    ``number``        its order among the application's modules, by beginning; None for a step's own code
    ``module, file``  ``imported_by`` the line that led to it, ``file:line``
    ``step, process``
    ``registered``    tables that came while its own body ran; ``extended`` those that a further definition met
    ``rejected``      tables that were there already
    ``tables_total``  tables on all metadata of the application in its process, at that moment
    ``metadata_count``  those metadata that hold any table
    ``error``         what left its body; ``ok`` is False for an error, a rejection, or no end
    ``first_wrong``   True in one row at most: where the first table was rejected, else the first that is not ok
    """
    rows = [[row[name] for name in AFTER_IMPORT] for row in after_each_import(trace)]
    table = _frame(rows, columns=AFTER_IMPORT).astype({"number": "Int64", "ok": bool, "first_wrong": bool})
    return table.rename_axis(columns="row")  # else its index would be shown below a heading without text


def after_each_import(trace: Trace) -> list[dict[str, Any]]:
    """The rows of :func:`metadata_after_each_import` as dictionaries;
    ``held`` are the tables at that moment, sorted, where something came.
    """
    within: dict[int | None, list[Registration]] = {}
    for registration in trace.registrations:
        if registration.application:
            within.setdefault(registration.within, []).append(registration)
    of_application = [import_ for import_ in trace.imports if import_.application]
    rows = [_row(number, import_, within.get(import_.number, [])) for number, import_ in enumerate(of_application, 1)]
    rows += _outside(trace)
    rows.sort(key=lambda row: row["at"])
    _add_totals(trace, rows)
    rejection = next((r for r in trace.registrations if r.outcome == "rejected" and r.application), None)
    at_it = (row for row in rows if rejection and row["key"] == rejection.within and (row["key"] or row["rejected"]))
    first = next(at_it, None) or next((row for row in rows if not row["ok"]), None)
    return [{**row, "first_wrong": row is first} for row in rows]


def _row(number: int, import_: Import, here: list[Registration]) -> dict[str, Any]:
    at = import_.ended if import_.ended is not None else float("inf")
    return {
        "key": import_.number,
        "at": (at, -import_.number),  # one that never ended comes last, the innermost first
        "number": number,
        "module": import_.module,
        "file": import_.file,
        "imported_by": _text(import_.by),
        "step": import_.step,
        "process": import_.process,
        "error": _text(import_.error),
        **_came(here),
        "ok": import_.error is None and import_.ended is not None and not any(r.outcome == "rejected" for r in here),
    }


def _outside(trace: Trace) -> list[dict[str, Any]]:
    """Rows for tables that no module's body registered: a step called a function, or ran code."""
    groups: dict[tuple[str, int], list[Registration]] = {}
    known = {import_.number for import_ in trace.imports if import_.application}
    for registration in trace.registrations:
        if registration.application and registration.within not in known:
            groups.setdefault((registration.step, registration.process), []).append(registration)
    rows = []
    for (step, process), here in groups.items():
        nothing = dict.fromkeys(("key", "number", "file", "imported_by", "error"))
        came, at = _came(here), max(registered.at for registered in here)
        where = {"module": f"({step} itself)", "step": step, "process": process, "at": (at, 0)}
        rows.append({**nothing, **where, **came, "ok": not came["rejected"]})
    return rows


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _came(here: list[Registration]) -> dict[str, tuple[str, ...]]:
    return {
        "registered": tuple(r.table for r in here if r.outcome in ("registered", "reflected") and not r.removed),
        "extended": tuple(r.table for r in here if r.outcome in ("extended", "kept")),
        "rejected": tuple(r.table for r in here if r.outcome == "rejected"),
    }


def _add_totals(trace: Trace, rows: list[dict]) -> None:
    """What each row's process held at its moment; one pass over what came and what was cleared."""
    events: list[tuple[int, int, Any]] = [(clearing.at, 1, clearing) for clearing in trace.cleared]
    of_application = (r for r in trace.registrations if r.application and not r.removed)
    events += [(r.at, 0, r) for r in of_application if r.outcome in ("registered", "reflected")]
    events.sort(key=lambda event: event[:2])
    held: dict[int, dict[str, set[str]]] = {}
    names: dict[int, list[str]] = {}  # the same of a process, in order
    place = 0
    for row in rows:
        while place < len(events) and events[place][0] <= row["at"][0]:
            event = events[place][2]
            if isinstance(event, Registration):
                tables = held.setdefault(event.process, {}).setdefault(event.metadata.label, set())
                if event.table not in tables:
                    tables.add(event.table)
                    insort(names.setdefault(event.process, []), event.table)
            else:
                for process, of_process in held.items():
                    if of_process.pop(event.metadata, None):
                        names[process] = sorted(table for tables in of_process.values() for table in tables)
            place += 1
        here = held.get(row["process"], {})
        row["tables_total"] = sum(map(len, here.values()))
        row["metadata_count"] = sum(1 for tables in here.values() if tables)
        telling = row["registered"] or row["rejected"] or row["extended"]
        row["held"] = tuple(names.get(row["process"], ())) if telling else ()
