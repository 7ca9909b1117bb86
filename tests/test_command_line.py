"""The command line: what it promises in words, JSON and exit codes."""

import json

import hostile
import pytest
from conftest import PROJECT, patch


def test_reproduce_says_in_words_what_was_registered_where(kit, write_incident, duplicate):
    said = kit("reproduce", write_incident(duplicate))
    assert said.code == 0
    assert "first  service/billing.py:5 Invoice by service/main.py:2" in said.out
    assert "second service/legacy.py:5 OldInvoice by service/main.py:3" in said.out


@pytest.mark.parametrize("step", [{"import": "service.main"}, {"command": "python -m service.main"}])
def test_reproduce_says_where_an_error_without_a_collision_was_raised(step, kit, write_incident):
    files = {"service/__init__.py": "", "service/main.py": "import service.rates", "service/rates.py": "\n1 / 0"}
    said = kit("reproduce", write_incident(files, startup=[step]))
    assert "raised at service/main.py:1 → service/rates.py:2" in said.out


def test_one_file_as_two_modules_is_told_with_both_names(kit):
    said = kit("reproduce", PROJECT / "tests" / "applications" / "alias-two-module-names").out
    assert "first  src/lending/models.py:7 Member of module lending.models by" in said
    assert "second src/lending/models.py:7 Member of module src.lending.models by" in said


def test_json_goes_to_a_file_and_words_to_the_terminal(kit, write_incident, duplicate, tmp_path):
    said = kit("reproduce", write_incident(duplicate), "-o", tmp_path / "out.json")
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["conflicts"][0]["table"] == "invoices" and "reproduced" in said.out
    assert set(report) >= {
        "schema",
        "incident",
        "reproduced",
        "steps",
        "registrations",
        "conflicts",
        "swallowed",
        "refused",
        "provenance",
    }


def test_a_missing_folder_of_a_result_is_made(kit, write_incident, duplicate, tmp_path):
    target = tmp_path / "reports" / "today" / "out.json"
    assert kit("reproduce", write_incident(duplicate), "-o", target).code == 0
    assert json.loads(target.read_text())["reproduced"] is True


@pytest.mark.parametrize("command", ["reproduce", "diagnose", "verify", "triage", "history", "guard", "postmortem"])
def test_a_result_that_cannot_be_written_is_refused_before_anything_runs(
    command, kit, write_incident, duplicate, tmp_path
):
    (tmp_path / "file").write_text("")
    file = write_incident(duplicate)
    said = kit(command, file, "-o", tmp_path / "file" / "deeper" / "out.json")
    assert (said.code, said.err.count("\n")) == (2, 1), said.err
    assert (
        f"out.{'html' if command == 'postmortem' else 'json'}: cannot be written: {tmp_path}/file is no folder"
        in said.err
    )
    if command != "postmortem":  # there it is only the name of three files
        said = kit(command, file, "-o", tmp_path)
        assert said.code == 2 and f"kit: -o {tmp_path}: cannot be written: this is a folder; name a file" in said.err


@pytest.mark.parametrize("command", ["reproduce", "verify", "postmortem"])
def test_a_missing_incident_file_is_exit_2(command, kit, tmp_path):
    said = kit(command, tmp_path / "gone.yaml")
    assert said.code == 2 and "there is no such incident file" in said.err


def test_a_healthy_startup_does_not_reproduce_exit_3(kit, write_incident, duplicate):
    duplicate["service/main.py"] = "from service import billing"
    assert kit("reproduce", write_incident(duplicate)).code == 3
    assert kit("verify", write_incident(duplicate)).code == 3


def test_another_error_than_the_expected_one_is_no_reproduction(kit, write_incident, duplicate):
    assert kit("reproduce", write_incident(duplicate, expect={"error": "no such table"})).code == 3
    assert kit("reproduce", write_incident(duplicate, expect={"table": "orders"})).code == 3
    assert (
        kit("reproduce", write_incident(duplicate, expect={"error": "is already defined", "table": "invoices"})).code
        == 0
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"app": {"python": "python9.9"}}, "incident.yaml:4: app.python: there is no interpreter 'python9.9'"),
        ({"startup": [{"command": "no-such-program"}]}, "there is no program 'no-such-program'"),
    ],
)
def test_a_run_that_cannot_begin_is_exit_4(changes, said, kit, write_incident, duplicate):
    answer = kit("reproduce", write_incident(duplicate, **changes))
    assert answer.code == 4 and said in answer.err


def test_a_version_managers_stand_in_is_told_in_full_with_what_it_stands_for(kit, write_incident, duplicate, tmp_path):
    shim = tmp_path / "shims" / "python3.9"
    shim.parent.mkdir()
    shim.write_text(
        "#!/bin/sh\ncat >&2 <<'END'\npyenv: python3.9: command not found\n\nThe `python3.9' command exists in these Python versions:\n"
        "  3.9.18\n\nNote: See 'pyenv help global' for tips on allowing multiple\n      Python versions to be found at the same time.\nEND\nexit 127\n"
    )
    shim.chmod(0o755)
    said = kit("reproduce", write_incident(duplicate, app={"python": str(shim)}))
    assert said.code == 4 and "incident.yaml:" in said.err
    assert (
        "pyenv: python3.9: command not found The `python3.9' command exists in these Python versions: 3.9.18. "
        in said.err
    )
    assert f"name that itself, as in {tmp_path}/versions/3.9.18/bin/python\n" in said.err


def test_a_run_that_breaks_half_way_is_exit_4_and_keeps_what_was_seen(kit, write_incident, duplicate):
    duplicate["service/legacy.py"] = "import os; os._exit(0)"
    said = kit("reproduce", write_incident(duplicate), "--json")
    assert said.code == 4
    assert [one["table"] for one in said.json["registrations"]] == ["invoices"]
    assert "in the middle of it" in said.json["broke"]


@pytest.fixture
def with_fixes(write_incident, duplicate):
    """An incident with a fix that cures, one that does nothing, and one that breaks what worked."""
    duplicate["service/main.py"] = "from service import (billing, legacy)\n"
    duplicate["service/tool.py"] = "import service.db\n"
    line = "from service import (billing, legacy)"

    def write(**more):
        fixes = {
            "cure": {"patches": ["cure.patch"]},
            "nothing": {"patches": ["nothing.patch"]},
            "breaking": {"patches": "breaking.patch"},
        }
        file = write_incident(
            duplicate,
            fixes=fixes,
            expect={"error": "already defined", "table": "invoices"},
            checks=[{"command": "python -m service.tool"}, {"clean_start": True}],
            **more,
        )
        (file.parent / "cure.patch").write_text(patch("service/main.py", line, "from service import billing"))
        (file.parent / "nothing.patch").write_text(patch("service/main.py", line, line + "  # mended"))
        breaking = patch("service/main.py", line, "from service import billing") + patch(
            "service/tool.py", "import service.db", "1/0"
        )
        (file.parent / "breaking.patch").write_text(breaking)
        return file

    return write


def test_verify_tells_a_cure_from_no_cure_from_a_break(kit, with_fixes):
    said = kit("verify", with_fixes(), "--json")
    report = said.json
    assert said.code == 0 and report["control"]["reproduced"] is True
    assert {one["name"]: one["verdict"] for one in report["fixes"]} == {
        "cure": "cures",
        "nothing": "does-not-cure",
        "breaking": "breaks",
    }
    assert report["verified"] == ["cure"]
    assert {"check", "ok", "seen"} <= set(report["fixes"][0]["checks"][0])


def test_verify_without_a_fix_that_cures_is_exit_1(kit, with_fixes):
    assert kit("verify", with_fixes(), "--fix", "nothing").code == 1


def test_an_unknown_fix_is_exit_2_and_names_those_there_are(kit, with_fixes):
    said = kit("verify", with_fixes(), "--fix", "magic")
    assert said.code == 2 and "cure, nothing, breaking" in said.err


@pytest.mark.parametrize("command", ["verify", "postmortem"])
def test_a_patch_that_does_not_apply_is_exit_2_before_any_fix_is_tried(command, kit, with_fixes):
    file = with_fixes()
    (file.parent / "nothing.patch").write_text(patch("service/main.py", "something else", "new"))
    said = kit(command, file)
    assert said.code == 2 and "fix 1 of" not in said.err and "executing" not in said.err
    line = 1 + file.read_text().splitlines().index("  nothing:")
    assert f"{file}:{line}: fix nothing: nothing.patch: the patch does not apply to this build" in said.err


def test_patches_of_a_fix_that_build_on_each_other_apply(kit, with_fixes):
    file = with_fixes()
    once, twice = "from service import billing  # once", "from service import billing"
    (file.parent / "cure.patch").write_text(patch("service/main.py", "from service import (billing, legacy)", once))
    (file.parent / "more.patch").write_text(patch("service/main.py", once, twice))
    file.write_text(file.read_text().replace("- cure.patch", "- cure.patch\n    - more.patch"))
    assert kit("verify", file, "--fix", "cure", "--json").json["verified"] == ["cure"]


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['STOCK_DSN']", "from sqlalchemy import create_engine\ncreate_engine('test')"],
    ids=["a variable that is not given", "a stand-in that is no URL"],
)
def test_what_the_incident_file_leaves_out_is_no_incident(source, kit, write_incident):
    file = write_incident({"service/__init__.py": "", "service/main.py": source})
    said = kit("reproduce", file)
    assert said.code == 3 and "how the incident file starts the application, and is no incident" in said.out


def test_a_key_that_a_mapping_of_the_application_lacks_is_its_own_fault(kit, write_incident):
    file = write_incident({"service/__init__.py": "", "service/main.py": "{}['STOCK_DSN']"})
    said = kit("reproduce", file)
    assert said.code == 0 and "KeyError: 'STOCK_DSN'" in said.out


def test_no_secret_of_a_url_is_shown(kit, write_incident, duplicate):
    duplicate["service/legacy.py"] = "raise RuntimeError('postgresql://admin:hunter2@db.example.com/prod is down')"
    said = kit("reproduce", write_incident(duplicate), "--json")
    assert "hunter2" not in said.out and "admin:***@db.example.com" in said.out


def test_no_path_of_this_machine_is_shown(kit, write_incident, duplicate, tmp_path):
    said = kit("reproduce", write_incident(duplicate), "--json")
    assert str(tmp_path) not in said.out and "/site-packages/" not in said.out and "incident-" not in said.out


@pytest.mark.attempt("hostile", "names and messages steer the terminal, or are no whole letters")
def test_hostile_text_steers_no_terminal_and_breaks_no_json(kit, tmp_path):
    file = hostile.write_incident(tmp_path)
    words = kit("reproduce", file)
    assert words.code == 0 and not set(words.out + words.err) & hostile.STEERING and hostile.TABLE in words.out
    report = kit("reproduce", file, "--json").json
    # Nothing of JSON is taken out: a program reads it.
    assert {one["table"] for one in report["registrations"]} >= set(hostile.TEXTS.values())


def test_of_what_was_not_seen_ten_tables_are_named_in_one_line_the_rest_is_counted_and_json_has_all(
    kit, write_incident
):
    people = """
        from sqlalchemy import Column, Integer, String
        from service.db import Base

        class Person(Base):
            __tablename__ = "people"
            id = Column(Integer, primary_key=True)
            kind = Column(String(9))
            __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "person"}

        class Guide(Person):
            __mapper_args__ = {"polymorphic_identity": "guide"}

        if Guide.__name__ == "Tour":
            class Tour(Base):
                __tablename__ = "tours"
    """
    late = "from sqlalchemy import Column, Integer\nfrom service.db import Base\nclass Late(Base):\n    __tablename__ = 'late_{0}'\n    id = Column(Integer, primary_key=True)\n"
    files = {
        "service/__init__.py": "",
        "service/db.py": "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n",
        "service/people.py": people,
        "service/main.py": "import service.people\nraise RuntimeError('no rates')\nimport service.late_0\n",
        **{f"service/late_{number}.py": late.format(number) for number in range(14)},
    }
    file = write_incident(files, expect={"error": "no rates"})
    trace = file.with_name("kept.jsonl.gz")
    said = kit("diagnose", file, "--trace", trace).out
    assert said.count("not seen by startup: ") == 1 and "guide" not in said.lower() and "tours" not in said
    assert "not seen by startup: tables late_0 (service/late_0.py:3), late_1 (service/late_1.py:3), " in said
    assert " and 4 more; step 1 did not succeed, and what the startup would import after it was not seen" in said
    assert "\n  not " not in said  # the other mechanisms
    report = kit("diagnose", file, "--from-trace", trace, "--json").json
    assert sum("late_" in str(model) for model in report["unseen"]) == 14
    # What was not there is not spoken of.
    assert "made at no place" not in said and "migrations" not in said and "env.py" not in said
