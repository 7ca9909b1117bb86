"""``postmortem``: three files side by side, and the exit code that the verdict stands for."""

import json
import tempfile
from pathlib import Path

import pytest
from conftest import PROJECT

from kit.postmortem.publication import execute

APPLICATIONS = PROJECT / "tests" / "applications"


def made(kit, tmp_path, folder, *options) -> tuple:
    said = kit("postmortem", folder, "-o", tmp_path / "out" / "page.html", *options)
    files = {suffix: tmp_path / "out" / f"page.{suffix}" for suffix in ("html", "ipynb", "json")}
    return said, files


def test_a_verified_fix_is_exit_0_and_leaves_three_files_and_the_incidents_own_folder_as_it_was(kit, tmp_path):
    folder = APPLICATIONS / "second-class-same-table-same-file"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said, files = made(kit, tmp_path, folder)
    assert said.code == 0, said.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert f"page: {files['html']}" in said.out and "verdict: reproduced; verified: one-class" in said.out
    report = json.loads(files["json"].read_text())
    assert report["schema"] == 1 and report["reproduced"] and report["verify"]["verified"] == ["one-class"]
    assert report["mechanism"] == "second-class-same-table-same-file"
    page = files["html"].read_text()
    assert len(page) < 1_000_000 and "second-class-same-table-same-file" in page
    for path in files.values():
        text = path.read_text().replace("<wbr>", "")
        assert str(tmp_path) not in text and str(PROJECT) not in text and str(Path.home()) + "/" not in text
    assert "still to be written, under postmortem: summary" in said.out


def test_without_a_fix_that_cures_it_is_exit_1_and_the_page_says_so(kit, write_incident, duplicate, tmp_path):
    incident = write_incident(duplicate)
    said, files = made(kit, tmp_path, incident, "--trace", tmp_path / "trace.jsonl.gz")
    assert said.code == 1 and "no fix is verified" in said.out
    assert "first service/billing.py:5, second service/legacy.py:5" in said.err.partition("looking for")[0]
    assert files["html"].exists()
    mechanism = json.loads(files["json"].read_text())["mechanism"]
    again = kit("diagnose", incident, "--from-trace", tmp_path / "trace.jsonl.gz", "--json")
    assert again.json["mechanism"] == mechanism == "second-class-same-table-other-file"


def test_what_does_not_reproduce_is_exit_3_and_an_old_page_does_not_stay(kit, write_incident, duplicate, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "page.html").write_text("it reproduces")
    duplicate["service/main.py"] = "from service import billing"
    said, files = made(kit, tmp_path, write_incident(duplicate))
    assert said.code == 3 and "not reproduced" in said.out
    assert "It does not reproduce" in files["html"].read_text()


def test_a_run_that_breaks_is_exit_4_and_shows_what_was_seen(kit, write_incident, duplicate, tmp_path):
    duplicate["service/legacy.py"] = "import os; os._exit(0)"
    said, files = made(kit, tmp_path, write_incident(duplicate))
    assert said.code == 4 and "the run broke" in said.out
    page = files["html"].read_text()
    assert "The run broke" in page and "service.billing" in page and "invoices" in page


def test_an_interpreter_that_is_not_there_is_exit_4_in_one_sentence(kit, write_incident, duplicate, tmp_path):
    said, _ = made(kit, tmp_path, write_incident(duplicate, app={"python": "python9.9"}))
    assert said.code == 4 and "there is no interpreter 'python9.9'" in said.err


@pytest.mark.parametrize("name", [pytest.param("verify", marks=pytest.mark.slow), "diagnose"])  # Lab runs it too
def test_a_notebook_serves_any_incident_by_its_parameter(name, tmp_path, write_incident, duplicate):
    executed = tmp_path / f"{name}.ipynb"
    with tempfile.TemporaryDirectory(prefix="incident-") as scratch:
        parameters = {"incident": str(write_incident(duplicate))}
        execute(PROJECT / "notebooks" / f"{name}.ipynb", executed, parameters, scratch=Path(scratch), cwd=tmp_path)
    cells = json.loads(executed.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert outputs and not [one for one in outputs if one["output_type"] == "error"]
    assert not [one for one in outputs if one.get("name") == "stderr"]
    assert any("service/legacy.py:5" in str(one.get("data")) for one in outputs)
    assert any("+++ b/service/legacy.py" in str(one.get("data")) for one in outputs), "no change is proposed"


def test_a_message_of_a_failed_cell_does_not_say_where_the_incident_lies(kit, tmp_path, write_incident):
    fails = {"service/main.py": "raise RuntimeError('the pool is closed')\n", ".git/notes": ""}
    file = write_incident(fails, app={"workdir": ".git"}, expect={"error": "the pool is closed"})
    said, files = made(kit, tmp_path, file)
    assert said.code == 4 and f"page: {files['html']}" not in said.out
    for path in (files["html"], files["ipynb"]):
        text = path.read_text()  # of what is run side by side, the first that fails is told
        assert ("is no git repository" in text or "there is no folder" in text) and str(tmp_path) not in text
