"""The table of attempts: what the tests tried to make the kit do to its user's machine, and what came of it.

A test is an attempt when it is marked so; its name and the parameter say what was tried::

    @pytest.mark.attempt("files")                      # the kind, a key of KINDS
    @pytest.mark.attempt("files", "through a link")    # in other words than the test's name

It counts as held when the test passes. A test that tries many things asks for the fixture ``tried`` and tells
each: ``tried("SIGKILL during verify", "nothing left", held=not left, times=500)``. The rows of all workers come
together in ``results/attempts.md``; the run fails where one did not hold.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

RESULT = Path(__file__).parents[1] / "results" / "attempts.md"
# kind: what is tried, how a row is counted that did not hold, what happened where it did
KINDS = {
    "database": ("The real database, or another server, is reached", "escapes", "refused, nobody was reached"),
    "files": ("Files of the user are changed", "escapes", "refused, nothing was changed"),
    "limits": ("Limits are passed", "escapes", "ended at its limit, with every descendant"),
    "secrets": ("Secrets and private paths are shown", "leaks", "masked"),
    "hostile": ("Hostile text is executed", "escapes", "text"),
    "leftovers": ("The kit is killed, and leaves something behind", "leftovers", "nothing left behind"),
}


class Row(NamedTuple):
    kind: str
    attempt: str
    happened: str
    held: bool | None = True  # None: not tried on this machine
    times: int = 1


@pytest.fixture
def tried(request):
    """Tells one attempt of a marked test that makes several: ``tried(what, happened, held=True, times=1)``."""
    marker = request.node.get_closest_marker("attempt")
    assert marker, "a test that tells attempts is marked with their kind"

    def tell(attempt: str, happened: str = "", *, held: bool = True, times: int = 1) -> None:
        request.node.user_properties.append(("tried", [marker.args[0], attempt, happened, bool(held), times]))

    return tell


class Plugin:
    """Collects rows where the reports come together: in the only process, or in the one that leads the workers."""

    def __init__(self, config):
        config.addinivalue_line("markers", "attempt(kind, what=None): this test is an attempt, see tests/attempts.py")
        self.leads = not hasattr(config, "workerinput")
        self.rows: dict[str, list[Row]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        marker = item.get_closest_marker("attempt")
        if marker:
            kind, *words = marker.args
            assert kind in KINDS, f"{item.nodeid}: attempts are of the kinds {', '.join(KINDS)}"
            parameter = f": {item.callspec.id}" if hasattr(item, "callspec") else ""
            said = words[0] if words else item.originalname.removeprefix("test_").replace("_", " ")
            item.user_properties.append(("attempt", [kind, said + parameter]))
        return (yield)

    def pytest_runtest_logreport(self, report):
        properties = dict(report.user_properties)
        if not self.leads or "attempt" not in properties:
            return
        if report.when == "call" or report.outcome != "passed":
            self.rows[report.nodeid] = list(_rows(report, *properties["attempt"]))

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session):
        if self.leads and self.rows and not_held(self.all()) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return (yield)

    def pytest_terminal_summary(self, terminalreporter):
        if self.leads and self.rows:
            RESULT.parent.mkdir(exist_ok=True)
            RESULT.write_text(table(self.all()), encoding="utf-8")
            terminalreporter.write_line(f"{summary(self.all())} ({RESULT.parent.name}/{RESULT.name})")

    def all(self) -> list[Row]:
        order = list(KINDS)
        rows = [row for each in self.rows.values() for row in each]
        return sorted(rows, key=lambda row: (order.index(row.kind), row.attempt, row.happened))


def _rows(report, kind: str, attempt: str):
    told = [Row(*value) for name, value in report.user_properties if name == "tried"]
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        yield Row(kind, attempt, f"not tried here: {reason.removeprefix('Skipped: ')}", None)
    elif report.failed and all(row.held for row in told):
        yield Row(kind, attempt, "the test failed", False)
    elif not told:
        happened = [value for name, value in report.user_properties if name == "happened"]
        yield Row(kind, attempt, ", ".join(map(str, happened)) or KINDS[kind][2])
    yield from (row if row.happened else row._replace(happened=KINDS[kind][2]) for row in told)


def not_held(rows) -> Counter:
    """How many attempts did not hold, by what that is: escapes, leaks, leftovers."""
    return Counter({KINDS[row.kind][1]: 0 for row in rows}) + Counter(
        KINDS[row.kind][1] for row in rows if row.held is False for _ in range(row.times)
    )


def summary(rows) -> str:
    """The line that ends a run: ``N attempts: escapes 0, leaks 0, leftovers 0``."""
    lost = not_held(rows)
    count = sum(row.times for row in rows if row.held is not None)
    return f"{count} attempts: " + ", ".join(f"{name} {lost[name]}" for name in ("escapes", "leaks", "leftovers"))


def table(rows) -> str:
    """The whole of it as Markdown: the totals, then a table a kind."""
    out = ["# What was tried", "", f"Written by the tests, from what happened when they ran. **{summary(rows)}**", ""]
    counts = Counter()
    for row in rows:
        counts[row.kind] += row.times if row.held is not None else 0
    out += ["| kind | attempts | held |", "|---|---|---|"]
    for kind, (title, _, _) in KINDS.items():
        held = sum(row.times for row in rows if row.kind == kind and row.held)
        out.append(f"| {title} | {counts[kind]} | {held} |" if counts[kind] else f"| {title} | not run | |")
    for kind, (title, lost, _) in KINDS.items():
        mine = [row for row in rows if row.kind == kind]
        if mine:
            out += ["", f"## {title}", "", "| attempt | what happened |", "|---|---|"]
            for row in mine:
                mark = f"**{lost}**: " if row.held is False else ""
                times = f" ({row.times} times)" if row.times > 1 else ""
                out.append(f"| {_cell(row.attempt)}{times} | {mark}{_cell(row.happened)} |")
    return "\n".join(out) + "\n"


def _cell(text: str) -> str:
    """Text in a table, without what differs from machine to machine."""
    text = re.sub(r"[\x00-\x1f\x7f]", "·", text)
    return re.sub(r"([\\|<>*_`\[\]])", r"\\\1", text)
