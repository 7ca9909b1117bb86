"""Verdicts on fixes say no more than their runs carry: what broke, what was not reached, what a patch itself spoilt."""

import json
import re
import textwrap

import pytest
from environments import interpreters, sqlalchemy_environment

from kit.diagnose.decision import find_mechanism
from kit.diagnose.diagnosis import diagnose
from kit.diagnose.observation import look_at
from kit.incident.load import load
from kit.startup.run import reproduce
from kit.views import diagnosis as reasons

SERVER = """
    import http.server, sys, time
    from service import main
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(60 if self.path == "/slow" else 0)
            self.send_response(200); self.end_headers()
    if __name__ == "__main__":
        http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
EXPECTED = {"error": "Table 'invoices' is already defined", "table": "invoices"}


@pytest.fixture
def fixed(write_incident, duplicate):
    """Writes an incident with fixes that put other lines in place of ``service/main.py``'s import of the second definition."""

    def write(fixes: dict[str, str], **incident):
        duplicate["service/main.py"] = "from service import billing\nfrom service import legacy\n"
        duplicate["service/server.py"] = SERVER
        incident = {"expect": EXPECTED, "checks": [{"mappers": True}, {"clean_start": True}], **incident}
        named = {name: {"patches": f"{name}.patch"} for name in fixes}
        file = write_incident(duplicate, fixes=named, **incident)
        for name, text in fixes.items():
            lines = textwrap.dedent(text).strip().splitlines()
            added = "".join(f"+{line}\n" for line in lines)
            change = (
                f"@@ -1,2 +1,{1 + len(lines)} @@\n from service import billing\n-from service import legacy\n{added}"
            )
            (file.parent / f"{name}.patch").write_text(f"--- a/service/main.py\n+++ b/service/main.py\n{change}")
        return file

    return write


@pytest.fixture
def tried(kit, fixed):
    """``verify``, of such an incident."""

    def run(fixes: dict[str, str], **incident):
        return kit("verify", fixed(fixes, **incident), "--json")

    return run


def fix_of(said, name: str) -> tuple[dict, dict[str, dict]]:
    """A fix of a report, and its checks by their names."""
    fix = next(one for one in said.json["fixes"] if one["name"] == name)
    return fix, {one["check"]: one for one in fix["checks"]}


def test_a_fix_that_leaves_a_mapped_table_out_of_its_metadata_hides(tried):
    said = tried({"clears": "from service.db import Base\nBase.metadata.clear()", "none": "pass"})
    fix, checks = fix_of(said, "clears")
    assert fix["verdict"] == "hides", fix
    lost = "1 mapped class has a table that is no longer in its MetaData: service.billing.Invoice (invoices)"
    assert lost in checks["mappers"]["seen"]
    assert said.json["verified"] == ["none"]


def test_a_fix_that_only_swallows_the_error_does_not_cure_and_is_told_so(tried):
    """The error is still raised, and the table still has one definition too many: nothing is gone that could be hidden."""
    said = tried({"caught": "try:\n    from service import legacy\nexcept Exception:\n    pass", "none": "pass"})
    fix, checks = fix_of(said, "caught")
    assert fix["verdict"] == "does-not-cure" and checks["original error no longer occurs"]["ok"] is False
    assert fix["because"].startswith("the same error is raised, but it is swallowed, at service/legacy.py:5 by"), fix
    assert said.json["verified"] == ["none"]


def test_a_crash_that_expect_names_is_an_incident_like_any_other_and_any_other_crash_is_a_run_that_broke(
    kit, write_incident, duplicate
):
    duplicate["service/legacy.py"] = "import ctypes\nctypes.string_at(0)\n"
    codes = {}
    for expect in ("ended by SIGSEGV", "Table 'invoices' is already defined"):
        file = write_incident(duplicate, expect={"error": expect}, fixes={"gone": {"patches": "gone.patch"}})
        change = "@@ -1,2 +1 @@\n import ctypes\n-ctypes.string_at(0)\n"
        (file.parent / "gone.patch").write_text(f"--- a/service/legacy.py\n+++ b/service/legacy.py\n{change}")
        commands = ("reproduce", "diagnose", "verify", "guard") if "SIGSEGV" in expect else ("reproduce", "verify")
        said = {command: kit(command, file, "--json") for command in commands}
        codes[expect] = [answer.code for answer in said.values()]
        assert (said["reproduce"].json["broke"] is None) == (expect == "ended by SIGSEGV")
        if "guard" in said:
            assert [fix["verdict"] for fix in said["verify"].json["fixes"]] == ["cures"]
            assert said["guard"].json["tried"][0]["said"].startswith("The incident is back: ")
    assert list(codes.values()) == [[0, 0, 0, 0], [4, 4]]


LOGS = """
    import logging
    try:
        raise LookupError("no rates")
    except LookupError:
        logging.exception("rates are missing")
"""
CAUGHT = "try:\n    from service import legacy\nexcept Exception:\n    pass\n"


def test_what_the_build_as_it_is_logs_too_is_held_against_no_fix_and_is_told(tried, duplicate):
    duplicate["service/billing.py"] += textwrap.indent(LOGS, 8 * " ")
    other = textwrap.dedent(LOGS).replace("no rates", "no stock")
    said = tried({"none": "pass", "other": other})
    fix, checks = fix_of(said, "none")
    assert fix["verdict"] == "cures" and checks["clean_start"]["ok"], fix
    assert "as without the fix, swallowed at service/billing.py:11 (" in checks["clean_start"]["seen"]
    assert "LookupError: no rates" in checks["clean_start"]["seen"]
    fix, checks = fix_of(said, "other")
    assert fix["verdict"] == "does-not-cure" and checks["clean_start"]["ok"] is False, fix
    assert re.fullmatch(r"swallowed at .*no stock; as without the fix, .*no rates", checks["clean_start"]["seen"])


def test_without_expect_another_error_that_both_builds_swallow_is_not_the_same_error(kit, write_incident, duplicate):
    """The table's rejection is caught, and later a module that fails is caught as well, with the fix and without it."""
    later = CAUGHT.replace("legacy", "rates")
    duplicate |= {"service/rates.py": "raise LookupError('no rates')\n"}
    duplicate["service/main.py"] = f"from service import billing\n{CAUGHT}{later}"
    file = write_incident(duplicate, fixes={name: {"patches": f"{name}.patch"} for name in ("gone", "rates")})
    for name, module in (("gone", "legacy"), ("rates", "rates")):
        change = f"@@ -1,1 +1,2 @@\n+import sys; sys.modules['service.{module}'] = sys\n from service import billing\n"
        (file.parent / f"{name}.patch").write_text(f"--- a/service/main.py\n+++ b/service/main.py\n{change}")
    said = kit("verify", file, "--json")
    assert {fix["name"]: fix["verdict"] for fix in said.json["fixes"]} == {"gone": "cures", "rates": "does-not-cure"}
    fix, checks = fix_of(said, "gone")
    assert "LookupError: no rates" in checks["clean_start"]["seen"], checks


SERVED = [{"import": "service.main"}, {"serve": "python -m service.server {port}"}]


def test_what_passes_a_limit_is_undecided_and_its_reason_stands_beside_it(tried):
    """A startup that hangs with a fix, and checks that hang in a startup that does not."""
    said = tried(
        {"hangs": "import time\ntime.sleep(60)", "starts": "pass"},
        limits={"seconds": 4},
        startup=SERVED,
        checks=[{"mappers": True}, {"http": {"path": "/slow"}}, {"command": "python -c 'import time; time.sleep(60)'"}],
    )
    assert said.code == 4
    fix, checks = fix_of(said, "hangs")
    limit = "import: service.main: still running after 4 seconds (limits.seconds)"
    assert fix["verdict"] == "undecided" and limit in fix["because"]
    assert {name: one["ok"] for name, one in checks.items()} == dict.fromkeys(checks)
    assert all("(limits.seconds)" in one["seen"] or "step 1" in one["seen"] for one in checks.values()), checks
    assert f"hangs: 0 of 5 checks pass, undecided: the run broke before it could tell: {limit}" in said.err
    assert fix["met"] == [], "a limit is no error of the application"
    fix, checks = fix_of(said, "starts")
    http, command = (next(one for name, one in checks.items() if name.startswith(kind)) for kind in ("http", "command"))
    assert (http["ok"], http["seen"]) == (None, "no answer after 4 seconds (limits.seconds)")
    assert (command["ok"], command["seen"]) == (None, "still running after 4 seconds (limits.seconds)")
    assert fix["verdict"] == "undecided" and http["seen"] in fix["because"] and command["seen"] in fix["because"]


def test_what_a_fix_itself_spoils_what_ends_it_from_outside_and_what_stands_behind_are_told_apart(tried):
    fixes = {
        "killed": "import os\nos.kill(os.getpid(), 9)",
        "ends": "import os\nos._exit(3)",
        "wrong": "def broken(:\n    pass",
        "next": "import no_such_driver",
        "none": "pass",
    }
    said = tried(fixes, checks=[{"mappers": True}])
    verdicts = {one["name"]: one["verdict"] for one in said.json["fixes"]}
    assert verdicts == {
        "killed": "undecided",
        "ends": "breaks",
        "wrong": "breaks",
        "next": "does-not-cure",
        "none": "cures",
    }
    assert said.code == 0 and "ended by SIGKILL" in fix_of(said, "killed")[0]["because"]
    fix, checks = fix_of(said, "wrong")
    assert "service/main.py:2: SyntaxError" in fix["because"]
    assert checks["mappers"]["ok"] is checks["original error no longer occurs"]["ok"] is None, (
        "nothing was seen of either"
    )
    assert "step 1 did not succeed" in checks["mappers"]["seen"]
    fix, checks = fix_of(said, "next")
    assert [one["error"] for one in fix["met"]] == ["ModuleNotFoundError: No module named 'no_such_driver'"]
    assert checks["mappers"]["ok"] and "as far as the startup came" in checks["mappers"]["seen"]
    fix, checks = fix_of(said, "none")  # the file asks for one check, and every fix for two more
    assert len(checks) == 3 and "all 3 checks pass" in fix["because"]
    assert re.search(r"kit: fix \d of 5, none: 3 of 3 checks pass, cures\n", said.err)


@pytest.mark.parametrize("whose", ["the kit's Python", "its own Python"])
def test_a_patch_that_is_no_python_breaks_also_where_the_application_catches_that(
    whose, kit, write_incident, duplicate
):
    duplicate["service/main.py"] = """
        from service import billing
        try:
            from service import legacy
        except SyntaxError:
            pass
    """
    app, wrong = {}, "+def broken(:"
    if whose == "its own Python":
        version = min(interpreters())  # the kit's Python can compile this, where that one is older than 3.10
        app = {"python": sqlalchemy_environment(version, "1.4")}
        wrong = "+match 1:\n+    case 1: pass" if version < (3, 10) else wrong
    file = write_incident(duplicate, expect=EXPECTED, app=app, fixes={"wrong": {"patches": "wrong.patch"}})
    change = f"@@ -1,2 +1,{2 + wrong.count('+') - 1} @@\n-\n{wrong}\n from sqlalchemy import Column, Integer, String\n"
    (file.parent / "wrong.patch").write_text(f"--- a/service/legacy.py\n+++ b/service/legacy.py\n{change}")
    fix, _ = fix_of(kit("verify", file, "--json"), "wrong")
    assert fix["verdict"] == "breaks" and "service/legacy.py:1: SyntaxError" in fix["because"], fix


def test_a_fix_whose_run_could_not_begin_is_undecided_and_takes_nothing_from_the_others(tried):
    said = tried(
        {"spoils": "spoilt = 1", "none": "pass"},
        prepare=[{"command": "python -c \"assert 'spoilt' not in open('service/main.py').read()\""}],
    )
    assert {one["name"]: one["verdict"] for one in said.json["fixes"]} == {"spoils": "undecided", "none": "cures"}
    fix, checks = fix_of(said, "spoils")
    assert "it did not begin: prepare 1: command: python -c" in fix["because"] and "/case/" not in said.out
    assert {one["ok"] for one in checks.values()} == {None} and "it did not begin" in checks["clean_start"]["seen"]


def test_a_check_asks_the_server_on_its_port_and_the_scratch_database(tried):
    ask = "import sys, urllib.request as r; print(r.urlopen('http://127.0.0.1:' + sys.argv[1]).status); assert ':///' in sys.argv[2]"
    said = tried(
        {"none": "pass"},
        startup=SERVED,
        checks=[{"command": f'python -c "{ask}" {{port}} {{database_url}}'}],
    )
    fix, checks = fix_of(said, "none")
    assert fix["verdict"] == "cures", checks


@pytest.mark.parametrize(
    ("command", "why"),
    [("curl localhost:{port}", "no step is 'serve: …'"), ("curl localhost:{prot}", "did you mean {port}?")],
)
def test_a_check_with_a_port_that_nothing_serves_is_exit_2(command, why, tried):
    said = tried({}, checks=[{"command": command}])
    assert said.code == 2 and why in said.err


def test_a_step_that_hangs_is_named_with_its_own_limit_and_the_steps_before_it_are_not(write_incident):
    steps = [{"code": "import time; time.sleep(2.5)"}, {"import": "service"}, {"import": "service.main"}, {"code": "2"}]
    files = {"service/__init__.py": "", "service/main.py": "import time\ntime.sleep(60)"}
    trace = reproduce(load(write_incident(files, startup=steps, limits={"seconds": 4})))
    limit = "import: service.main: still running after 4 seconds (limits.seconds), at service/main.py:2; raise limits.seconds if it is only slow"
    assert str(trace.broke) == limit and [step.ok for step in trace.steps] == [True, True, False, None]
    assert trace.steps[2].error == limit and trace.steps[2].exception is None
    assert not [one for one in trace.imports if one.error is not None]


def test_a_command_that_hangs_is_named_with_its_limit_and_not_with_how_it_was_ended(write_incident):
    files = {"service/__init__.py": "", "service/main.py": "import time\ntime.sleep(60)"}
    step = {"command": "python -m service.main"}
    trace = reproduce(load(write_incident(files, startup=[step], limits={"seconds": 2})))
    limit = (
        "still running after 2 seconds (limits.seconds), at service/main.py:2; raise limits.seconds if it is only slow"
    )
    assert trace.steps[0].error == f"command: python -m service.main: {limit}"
    assert trace.steps[0].exception is None and "KeyboardInterrupt" not in trace.steps[0].output


def test_what_a_command_that_hangs_had_caught_before_is_told_as_swallowed(write_incident, duplicate):
    caught = "try:\n    from service import legacy\nexcept Exception:\n    pass\n"
    duplicate["service/main.py"] = f"import time\nfrom service import billing\n{caught}time.sleep(60)\n"
    step = {"command": "python -m service.main"}
    trace = reproduce(load(write_incident(duplicate, startup=[step], limits={"seconds": 4})))
    assert "still running after 4 seconds" in str(trace.broke)
    assert [(str(one.site), "'invoices' is already" in one.error.text) for one in trace.swallowed] == [
        ("service/legacy.py:5", True)
    ]


def test_a_recorded_fix_whose_run_breaks_now_is_exit_4_and_no_drift(fixed, kit, tmp_path):
    file = fixed({"hangs": "import time\ntime.sleep(60)", "none": "pass"}, limits={"seconds": 4}, checks=[])
    mechanism = "second-class-same-table-other-file"
    sites = {"table": "invoices", "first": "service/billing.py Invoice", "second": "service/legacy.py OldInvoice"}
    proved = {
        "schema": 1,
        "mechanism": mechanism,
        **sites,
        "fixes": {"hangs": "cures", "none": "cures"},
        "hypotheses": {},
    }
    file.with_name("recorded.json").write_text(json.dumps(proved))
    said = kit("check", file, "--json", "-o", tmp_path / "checked.json", cwd=tmp_path)
    (one,) = said.json["incidents"]
    assert said.code == 4 and one["drift"] == [] and one["verified"] == ["none"], one
    assert "hangs is undecided: the run broke before it could tell: import: service.main: still running" in one["says"]


MERGED = {
    "service/__init__.py": "",
    "service/db.py": "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n",
    "service/models.py": """
        from sqlalchemy import Column, Integer, String
        from service.db import Base

        class Tag(Base):
            __tablename__ = "tags"
            id = Column(Integer, primary_key=True)
            name = Column(String(20))
    """,
    "service/tables.py": """
        from sqlalchemy import Column, Integer, Table
        from service.db import Base

        tags = Table("tags", Base.metadata, Column("id", Integer, primary_key=True), Column("owner", Integer), FLAG)
    """,
}


@pytest.mark.parametrize("flag", ["extend_existing=True", "keep_existing=True"])
@pytest.mark.parametrize("order", ["models, tables", "tables, models"])
def test_a_class_and_a_table_that_are_merged_in_silence_are_two_definitions(order, flag, write_incident):
    files = {**MERGED, "service/main.py": f"from service import {order}\n"}
    files["service/tables.py"] = files["service/tables.py"].replace("FLAG", flag)
    name, value = flag.split("=")
    said = f'__tablename__ = "tags"\n            __table_args__ = {{"{name}": {value}}}'
    files["service/models.py"] = files["service/models.py"].replace('__tablename__ = "tags"', said)
    incident = load(write_incident(files, expect={"table": "tags"}))
    finding, _, fault = find_mechanism(incident, look_at(incident))
    assert finding.mechanism == "extend-existing-merged-two-models", finding
    sites = [str(fault.first), str(fault.second)]
    assert sites == ["service/models.py:5", "service/tables.py:5"][:: 1 if order.startswith("models") else -1]
    assert "the Table() tags" in finding.because[0] and "the class Tag" in finding.because[0]


def test_a_column_that_is_added_to_a_table_on_purpose_accuses_nobody(write_incident):
    files = {**MERGED, "service/main.py": "from service import tables, more\n"}
    files["service/tables.py"] = files["service/tables.py"].replace(", FLAG", "")
    added = "from sqlalchemy import Column, Integer, Table\nfrom service.db import Base\n"
    files["service/more.py"] = added + "Table('tags', Base.metadata, Column('more', Integer), extend_existing=True)\n"
    incident = load(write_incident(files))
    assert find_mechanism(incident, look_at(incident))[0].mechanism == "none"


@pytest.mark.parametrize("given", ["*args", "name, metadata, *args"])
def test_a_function_that_stands_in_for_table_defines_nothing_its_callers_do(given, write_incident):
    wrapper = f"""
        import sqlalchemy
        from sqlalchemy import Column
        metadata = sqlalchemy.MetaData()
        def Table({given}, **kwargs):
            kwargs["mysql_charset"] = "utf8mb4"
            return sqlalchemy.Table(
                {given}, **kwargs
            )
    """
    table = "from service.db import Column, Table, metadata\n\n{} = Table('bills', metadata, Column('id'))\n"
    files = {"service/__init__.py": "", "service/db.py": wrapper, "service/main.py": "from service import old, new\n"}
    files |= {"service/old.py": table.format("bills"), "service/new.py": table.format("paid")}
    incident = load(write_incident(files, expect={"table": "bills"}))
    finding, conflict, _ = find_mechanism(incident, look_at(incident))
    assert [str(conflict.first.site), str(conflict.second.site)] == ["service/old.py:3", "service/new.py:3"]
    assert finding.mechanism == "second-class-same-table-other-file"


def test_the_page_tells_what_was_caught_on_the_way_and_what_the_fixes_met(kit, write_incident, tmp_path):
    """A retry after ``except ImportError`` runs a module twice; each wrong fix meets an error that it had hidden."""
    files = {
        "service/__init__.py": "",
        "service/db.py": MERGED["service/db.py"],
        "service/models.py": """
            from sqlalchemy import Column, Integer, Table
            from service.db import Base
            tags = Table("tags", Base.metadata, Column("id", Integer))
            users = Table("users", Base.metadata, Column("id", Integer))
            import no_such_driver
        """,
        "service/main.py": "try:\n    from . import models\nexcept ImportError:\n    from service import models\n",
    }
    fixes = {name: {"patches": f"{name}.patch"} for name in ("extend", "noretry")}
    file = write_incident(files, expect={"error": "Table 'tags' is already defined", "table": "tags"}, fixes=fixes)
    models = (file.parent / "app/service/models.py").read_text().splitlines()
    change = f"@@ -3,3 +3,3 @@\n {models[2]}\n-{models[3]}\n+{models[3][:-1]}, extend_existing=True)\n {models[4]}\n"
    (file.parent / "extend.patch").write_text(f"--- a/service/models.py\n+++ b/service/models.py\n{change}")
    change = "@@ -1,4 +1,1 @@\n-try:\n-    from . import models\n-except ImportError:\n-    from service import models\n+from . import models\n"
    (file.parent / "noretry.patch").write_text(f"--- a/service/main.py\n+++ b/service/main.py\n{change}")
    said = kit("postmortem", file, "-o", tmp_path / "page.html")
    assert said.code == 1, said.err
    page = re.sub(r"<[^>]+>", " ", (tmp_path / "page.html").read_text())
    assert not re.search("Nothing was swallowed (?!for good)", page) and "met no other error" not in page
    assert "Caught on the path to the error" in page and "that only the runs of the fixes met" in page
    report = json.loads((tmp_path / "page.json").read_text())
    met = {one["name"]: [error["error"].split(" for ")[0] for error in one["met"]] for one in report["verify"]["fixes"]}
    assert "Table 'users' is already defined" in met["extend"][0] and "no_such_driver" in met["noretry"][0]


def test_what_the_kit_refuses_after_a_fix_is_no_error_that_stands_behind_the_incident(kit, write_incident):
    main = "import os\nSECRET = os.environ['SECRET']\nimport socket\nsocket.create_connection(('cache', 6379))\n"
    files = {"service/__init__.py": "", "service/main.py": main}
    fixes = {"given": {"env": {"SECRET": "x"}}}
    file = write_incident(files, fixes=fixes, expect={"error": "KeyError: 'SECRET'"}, checks=[{"clean_start": True}])
    fix = kit("verify", file, "--json").json["fixes"][0]
    assert fix["verdict"] == "undecided"
    assert "the kit itself refused what the application asked for: cache:6379" in fix["because"]


def test_what_a_step_names_and_is_not_there_is_hidden_behind_nothing(write_incident, duplicate):
    steps = [{"import": "service.main"}, {"call": "service.db:nothing"}, {"import": "service.nowhere"}]
    assert diagnose(load(write_incident(duplicate, startup=steps, expect=EXPECTED))).masked == ()


def test_without_a_fix_the_sentence_on_what_stands_behind_says_what_it_rests_on(write_incident, duplicate):
    found = diagnose(load(write_incident(duplicate, expect=EXPECTED)))
    assert found.masked == () and "only a fixed build reaches" in repr(reasons.behind(found))


def test_a_table_that_is_defined_again_after_its_metadata_was_cleared_has_its_mechanism(kit, write_incident):
    models = """
        from service.db import Base
        from sqlalchemy import Column, ForeignKey, Integer
        from sqlalchemy.orm import relationship
        class Item(Base):
            __tablename__ = "items"
            id = Column(Integer, primary_key=True)
        class Stock(Base):
            __tablename__ = "stocks"
            id = Column(Integer, primary_key=True)
            item_id = Column(ForeignKey("items.id"))
            item = relationship("Item")
    """
    main = """
        import service.models
        from service.db import Base
        Base.metadata.clear()
        import models
        from sqlalchemy.orm import configure_mappers
        configure_mappers()
    """
    base = "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n"
    files = {"service/__init__.py": "", "service/db.py": base, "service/models.py": models, "service/main.py": main}
    file = write_incident(files, app={"path": [".", "service"]}, expect={"error": "Multiple classes found"})
    said = kit("diagnose", file, "--json").json
    assert said["mechanism"] == "alias-two-module-names", said["because"]
    assert [one["module"] for one in said["sites"]] == ["service.models", "models"]
    assert [one["line"] for one in said["sites"]] == [5, 5]
    assert any("the metadata was cleared at service/main.py:4" in one for one in said["because"])
    twice = next(one for one in said["hypotheses"] if one["kind"] == "module-imported-twice")
    assert twice["verdict"] == "confirmed"
