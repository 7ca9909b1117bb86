"""A startup that hangs: where, and what the kit itself refused it, on the command line and on the page."""

import re

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
    file = write_incident({"service/__init__.py": "", "service/main.py": RETRIES}, limits={"seconds": 3})
    for words in (("reproduce", file), ("verify", file), ("postmortem", file, "-o", tmp_path / "page.html")):
        said = kit(*words)
        assert (said.code, said.out.count(REFUSED)) == (4, 1), said
        assert "name the variable that it reads in 'database_env'" in said.out
    page = text_of(tmp_path / "page.html")
    assert "Nothing was swallowed." not in page
    assert f"No error left a module and was swallowed. {REFUSED}" in page
    steps = page.index("Startup steps")
    assert REFUSED in page[steps : page.index("No error left a module")], "not beside the step that failed"
