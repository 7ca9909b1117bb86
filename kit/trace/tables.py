"""A trace as DataFrames: plain columns, one row a fact, sorted as it happened."""

from bisect import insort
from typing import Any

import pandas

from .trace import Trace
from .values import Import, Registration, application_frames

pandas.set_option("display.html.use_mathjax", False)  # a table's name between dollar signs is no formula

STEPS = ["number", "kind", "step", "ok", "error", "seconds"]
IMPORTS = ["number", "step", "process", "module", "file", "imported_by", "again", "error", "seconds"]
REGISTRATIONS = [
    "table",
    "metadata",
    "outcome",
    "site",
    "name",
    "module",
    "columns",
    "step",
    "process",
    "chain",
    "removed",
]
AFTER_IMPORT = [
    "number",
    "module",
    "file",
    "imported_by",
    "step",
    "process",
    "registered",
    "extended",
    "rejected",
    "tables_total",
    "metadata_count",
    "error",
    "ok",
    "first_wrong",
]


def steps_table(trace: Trace) -> pandas.DataFrame:
    """One row a startup step: ``number, kind, step, ok`` (None: never ran), ``error, seconds``."""
    rows = [(s.number, s.kind, s.text, s.ok, s.error, s.seconds) for s in trace.steps]
    return _frame(rows, STEPS)


def imports_table(trace: Trace, *, application: bool = True) -> pandas.DataFrame:
    """One row an executed module, in order of beginning.

    Columns: ``number`` (among the application's modules), ``step, process, module, file, imported_by``
    (``file:line``), ``again`` (a reload), ``error, seconds`` (of what it imported, too).

    :param application: False: third-party modules as well, numbered among all
    """
    rows = []
    for import_ in trace.imports:
        if import_.application or not application:
            number = len(rows) + 1
            by, error = str(import_.by) if import_.by else None, str(import_.error) if import_.error else None
            rows.append(
                (
                    number,
                    import_.step,
                    import_.process,
                    import_.module,
                    import_.file,
                    by,
                    import_.again,
                    error,
                    import_.seconds,
                )
            )
    return _frame(rows, IMPORTS)


def registrations_table(trace: Trace, *, application: bool = True) -> pandas.DataFrame:
    """One row a table that reached a metadata, in order.

    Columns: ``table, metadata`` (where it was made), ``outcome`` (registered, rejected, extended, kept,
    reflected), ``site, name, module, columns, step, process, chain`` (application lines), ``removed``.

    :param application: False: those on metadata of a library's own making as well
    """
    rows = []
    for registration in trace.registrations:
        if registration.application or not application:
            chain = " → ".join(map(str, application_frames(registration.chain)))
            site = registration.site
            rows.append(
                (
                    registration.table,
                    registration.metadata.label,
                    registration.outcome,
                    str(site),
                    site.name,
                    site.module,
                    registration.columns,
                    registration.step,
                    registration.process,
                    chain,
                    registration.removed,
                )
            )
    return pandas.DataFrame(rows, columns=REGISTRATIONS)


def metadata_after_each_import(trace: Trace) -> pandas.DataFrame:
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
    return pandas.DataFrame(rows, columns=AFTER_IMPORT).astype({"number": "Int64", "ok": bool, "first_wrong": bool})


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
    first = None
    if rejection is not None:
        first = next((row for row in rows if row["key"] == rejection.within and (row["key"] or row["rejected"])), None)
    first = first or next((row for row in rows if not row["ok"]), None)
    return [{**row, "first_wrong": row is first} for row in rows]


def _row(number: int, import_: Import, here: list[Registration]) -> dict:
    at = import_.ended if import_.ended is not None else float("inf")
    return {
        "key": import_.number,
        "at": (at, -import_.number),  # one that never ended comes last, the innermost first
        "number": number,
        "module": import_.module,
        "file": import_.file,
        "imported_by": str(import_.by) if import_.by else None,
        "step": import_.step,
        "process": import_.process,
        "error": str(import_.error) if import_.error else None,
        **_came(here),
        "ok": import_.error is None and import_.ended is not None and not any(r.outcome == "rejected" for r in here),
    }


def _outside(trace: Trace) -> list[dict]:
    """Rows for tables that no module's body registered: a step called a function, or ran code."""
    groups: dict[tuple[str, int], list[Registration]] = {}
    known = {import_.number for import_ in trace.imports if import_.application}
    for registration in trace.registrations:
        if registration.application and registration.within not in known:
            groups.setdefault((registration.step, registration.process), []).append(registration)
    rows = []
    for (step, process), here in groups.items():
        at = max(registered.at for registered in here)
        rejected = any(registered.outcome == "rejected" for registered in here)
        rows.append(
            {
                "key": None,
                "at": (at, 0),
                "number": None,
                "module": f"({step} itself)",
                "file": None,
                "imported_by": None,
                "step": step,
                "process": process,
                "error": None,
                **_came(here),
                "ok": not rejected,
            }
        )
    return rows


def _came(here: list[Registration]) -> dict:
    return {
        "registered": tuple(r.table for r in here if r.outcome in ("registered", "reflected") and not r.removed),
        "extended": tuple(r.table for r in here if r.outcome in ("extended", "kept")),
        "rejected": tuple(r.table for r in here if r.outcome == "rejected"),
    }


def _add_totals(trace: Trace, rows: list[dict]) -> None:
    """What each row's process held at its moment; one pass over what came and what was cleared."""
    events: list[tuple[int, int, Any]] = [(clearing["at"], 1, clearing) for clearing in trace.cleared]
    events += [
        (registration.at, 0, registration)
        for registration in trace.registrations
        if registration.application and registration.outcome in ("registered", "reflected") and not registration.removed
    ]
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
                    if of_process.pop(event["metadata"], None):
                        names[process] = sorted(table for tables in of_process.values() for table in tables)
            place += 1
        here = held.get(row["process"], {})
        row["tables_total"] = sum(map(len, here.values()))
        row["metadata_count"] = sum(1 for tables in here.values() if tables)
        telling = row["registered"] or row["rejected"] or row["extended"]
        row["held"] = tuple(names.get(row["process"], ())) if telling else ()


def _frame(rows: list[tuple], columns: list[str]) -> pandas.DataFrame:
    return pandas.DataFrame(rows, columns=columns).set_index("number")
