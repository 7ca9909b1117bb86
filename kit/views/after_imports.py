"""What a notebook shows of the metadata: how many tables it held after each import, and what each import brought."""

from collections.abc import Sequence

from ..diagnose.diagnosis import Diagnosis
from ..trace.tables import after_each_import
from ..trace.trace import Trace
from .figure import figure
from .markup import Part, Shown, absent, code, count, fold, items, join, para, part, strong, word
from .metadata_picture import metadata_picture
from .wording import listed

_OTHER = "The mechanism is not about the tables on the metadata."
_EACH_STEP = 80  # modules that are shown one by one, whether they changed anything or not
_MOST_STEPS = 300  # modules with a line of their own
_MOST_HELD = 40  # tables that one step names
_MOST_QUIET = 30  # modules that one line names


def about_tables(trace: Trace, diagnosis: Diagnosis | None) -> bool:
    """Are the tables on the metadata what an incident is about, or is that not known?"""
    if diagnosis is None or diagnosis.finding.mechanism in ("none", "undecided"):
        return True
    return bool(trace.conflicts or diagnosis.pair or diagnosis.table)


def metadata(trace: Trace, diagnosis: Diagnosis | None = None) -> Shown:
    """The metadata after each import, as a picture; :func:`stepper` has each module.

    :param diagnosis: with it, nothing is shown where the mechanism is not about tables
    """
    if not about_tables(trace, diagnosis):
        return absent(_OTHER)
    rows = after_each_import(trace)
    if not rows:
        return absent("No module of the application was executed.")
    if not any(row["tables_total"] or row["rejected"] for row in rows):
        return absent("No table reached a metadata.")
    last = max(row["tables_total"] for row in rows)
    rejected = [(row["module"], name) for row in rows for name in row["rejected"]]
    summary = f"{count(last, 'table')} on the application's metadata after {count(len(rows), 'executed module')}"
    first = [f"{name} was rejected in {module}" for module, name in rejected[:3]]
    summary += f"; {', '.join(first) or 'none was rejected'}" + (f" ({len(rejected) - 3} more)" if rejected[3:] else "")
    caption = f"{summary}. A dot: tables that were registered, with how many. A cross: a table that was rejected."
    if any(row["extended"] for row in rows):
        caption += " A diamond: a table that was defined again without an error."
    alt = f"Tables over executed modules: {summary}."
    return Shown([figure(metadata_picture(rows), alt, caption, narrow=metadata_picture(rows, narrow=True))])


def _tells(row: dict) -> bool:
    """Did a module change the metadata, or fail?"""
    return bool(row["registered"] or row["rejected"] or row["extended"]) or not row["ok"]


def _few(names: Sequence[str]) -> str:
    return listed(names, 24)


def stepper(trace: Trace, diagnosis: Diagnosis | None = None) -> Shown:
    """One line that opens for each executed module: what is loaded by then, what it registers, what the metadata holds.

    Modules that changed nothing are one line together where there are many.
    """
    if not about_tables(trace, diagnosis):
        return absent(_OTHER)
    rows = after_each_import(trace)
    if not rows:
        return absent("No module of the application was executed.")
    shown = {n for n, row in enumerate(rows) if _tells(row)}
    if len(rows) <= _EACH_STEP:
        shown = set(range(len(rows)))
    elif len(shown) > _MOST_STEPS:
        shown = set(sorted(shown, key=lambda n: (rows[n]["ok"], not rows[n]["rejected"], n))[:_MOST_STEPS])
    parts, quiet = [], []
    for number, row in enumerate(rows):
        if number in shown:
            parts += _quiet(quiet)
            parts.append(_step(row, number + 1))
            quiet = []
        else:
            quiet.append(row)
    return Shown([fold(f"One import at a time: {count(len(rows), 'module')}", *parts, *_quiet(quiet))])


def _step(row: dict, loaded: int) -> Part:
    wrong = "failed" if not row["first_wrong"] else "the first rejected" if row["rejected"] else "the first failed"
    state = "ok" if row["ok"] else wrong
    changed = f", {len(row['registered'])} new" if row["registered"] else ""
    changed += f", {len(row['rejected'])} rejected" if row["rejected"] else ""
    number = f"{row['number']}. " if row["number"] else ""
    tables = count(row["tables_total"], "table")
    top = join(number, code(row["module"]), f": {tables}{changed}; ", word(row["ok"], state, state))
    line = row["imported_by"] or "<"  # the interpreter's own start has a name in angles
    by = "the startup step itself" if line.startswith("<") else code(line)
    held = [strong(name, " (new)") if name in row["registered"] else part(name) for name in row["held"][:_MOST_HELD]]
    more = f" and {len(row['held']) - _MOST_HELD} more" if len(row["held"]) > _MOST_HELD else None
    facts = [
        join("file: ", code(row["file"])) if row["file"] else None,
        join("imported by: ", by, f", {row['step']}"),
        f"loaded by then: {count(loaded, 'module')} of the application",
        join("registered: ", _few(row["registered"]) or "nothing"),
        join("defined a table again: ", _few(row["extended"])) if row["extended"] else None,
        join("rejected, because it was there already: ", strong(_few(row["rejected"]))) if row["rejected"] else None,
        join("ended by an error: ", code(row["error"])) if row["error"] else None,
        join(
            f"afterwards: {tables} on {row['metadata_count']} metadata",
            ": " if held else None,
            join(*held, between=", "),
            more,
        ),
    ]
    body = items(fact for fact in facts if fact is not None)
    return fold(top, body, open=row["first_wrong"], group="kit-imports", kind="kit-step")


def _quiet(rows: Sequence[dict]) -> list[Part]:
    """Consecutive modules that changed nothing, as one line."""
    if not rows:
        return []
    named = [join(f"{row['number']}. " if row["number"] else None, code(row["module"])) for row in rows[:_MOST_QUIET]]
    more = f" and {len(rows) - _MOST_QUIET} more" if len(rows) > _MOST_QUIET else None
    tables = count(rows[-1]["tables_total"], "table")
    top = join(f"{count(len(rows), 'module')} that registered nothing: {tables}; ", word(True))
    return [fold(top, para(join(*named, between=", "), more), group="kit-imports", kind="kit-step")]
