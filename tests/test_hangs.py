"""A startup that hangs: where, and what the kit itself refused it, on the command line and on the page."""

import re

import pytest

from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.end_state import LOOKED_AT

RETRIES = """
    import time
    from sqlalchemy import create_engine

    def wait_for(dsn):
        while True:
            try:
                return create_engine(dsn).connect()
            except Exception:
                time.sleep(0.2)

    wait_for("sqlite:////srv/nowhere/stock.db")
"""
REFUSED = (
    "The kit refused sqlite:////srv/nowhere/stock.db at service/main.py:8: a reproduction reaches its scratch database"
)


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.read_text()))


def test_what_was_refused_is_told_with_its_site_where_the_step_that_hangs_is(kit, write_incident, tmp_path):
    file = write_incident({"service/__init__.py": "", "service/main.py": RETRIES}, limits={"seconds": 4})
    for words in (("reproduce", file), ("verify", file), ("postmortem", file, "-o", tmp_path / "page.html")):
        said = kit(*words)
        assert (said.code, said.out.count(REFUSED)) == (4, 1), said
        assert "name the variable that it reads in 'database_env'" in said.out
    page = text_of(tmp_path / "page.html")
    assert "Nothing was swallowed" not in page
    assert f"No error was swallowed {LOOKED_AT}. {REFUSED}" in page
    steps = page.index("Startup steps")
    assert REFUSED in page[steps : page.index("No error was swallowed")], "not beside the step that failed"


WAITS = "import threading\n\nthreading.Event().wait()\n"
HANGS = {
    "as an import": ("import: service.main:", {"import": "service.main"}),
    "as a command": ("command: python -m service.main:", {"command": "python -m service.main"}),
    "as a server": (
        "serve: python -m service.main {port}: no answer on its port;",
        {"serve": "python -m service.main {port}"},
    ),
}


@pytest.mark.parametrize("way", HANGS)
def test_a_step_that_hangs_says_where_it_is_and_says_it_once(way, kit, write_incident):
    named, step = HANGS[way]
    files = {"service/__init__.py": "", "service/main.py": "from service import audit", "service/audit.py": WAITS}
    said = kit("reproduce", write_incident(files, startup=[step], limits={"seconds": 2}, expect={"table": "invoices"}))
    told = f"{named} still running after 2 seconds (limits.seconds), at service/audit.py:3; raise limits.seconds if it is only slow"
    assert (said.code, said.out.count(told), said.out.count("still running")) == (4, 1, 1), said.out


UNKNOWN = {
    "it does not let itself be interrupted": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "it raises something else when it is interrupted": "import time\ntry: time.sleep(60)\nexcept BaseException: raise SystemExit('so be it')",
    "it goes on when it is interrupted": "import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: import service.late",
}


@pytest.mark.parametrize("why", UNKNOWN)
def test_where_a_step_hangs_is_not_said_where_it_is_not_known(why, write_incident):
    files = {"service/__init__.py": "", "service/late.py": "", "service/main.py": UNKNOWN[why]}
    trace = reproduce(load(write_incident(files, limits={"seconds": 2})))
    assert str(trace.broke) == "import: service.main: still running after 2 seconds (limits.seconds)"
    assert [one.module for one in trace.imports if one.application] == ["service", "service.main"], (
        "what came after it was asked"
    )
    assert trace.steps[0].output == ""
