"""What CI reads of a diagnosis: annotations, SARIF, code quality; valid, relative, masked."""

import json
import re

import pytest
from conftest import PROJECT

EXPECTED = {"error": "Table 'invoices' is already defined", "table": "invoices"}


@pytest.fixture
def said(kit, write_incident, duplicate, monkeypatch, once, tmp_path):
    """``diagnose --format`` of one run of an application with two definitions, asked in the folder that holds it."""
    file = write_incident(duplicate, expect=EXPECTED, title="Two, 100% <b>sure</b>: token=hunter2x9K")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file.parent / "summary.md"))

    trace = tmp_path / "run.jsonl"

    def run() -> bytes:
        kit("diagnose", file, "--trace", trace)
        return trace.read_bytes()

    trace.write_bytes(once("diagnosis-for-ci", run))

    def ask(kind):
        done = kit("diagnose", file, "--format", kind, "--from-trace", trace, cwd=file.parent)
        assert done.code == 0 and "hunter2x9K" not in done.out and str(file.parent) not in done.out, done.err
        return done.out, file

    return ask


def test_github_gets_an_annotation_for_each_line_and_a_summary(said):
    text, file = said("github")
    lines = text.strip().splitlines()
    assert [re.match(r"::error file=(.*?),line=(\d+),", line).groups() for line in lines] == [
        ("app/service/billing.py", "5"),
        ("app/service/legacy.py", "5"),
    ]
    assert all("100%25" in line and "title=second-class-same-table-other-file::" in line for line in lines)
    summary = (file.parent / "summary.md").read_text("utf-8")
    assert "It **reproduces**" in summary and "What to do: Keep one" in summary and "<b>" not in summary
    assert "hunter2x9K" not in summary


def test_sarif_is_valid_by_its_schema_and_names_both_lines(said):
    import jsonschema  # here: it takes seconds, and every worker of pytest imports every test file

    made = json.loads(said("sarif")[0])
    jsonschema.validate(made, json.loads((PROJECT / "tests" / "sarif-schema-2.1.0.json").read_text("utf-8")))
    (result,) = made["runs"][0]["results"]
    places = [one["physicalLocation"] for one in (*result["locations"], *result["relatedLocations"])]
    assert [(one["artifactLocation"]["uri"], one["region"]["startLine"]) for one in places] == [
        ("app/service/billing.py", 5),
        ("app/service/legacy.py", 5),
    ]


def test_gitlab_gets_a_finding_for_each_line_with_a_fingerprint_of_its_own(said):
    made = json.loads(said("gitlab")[0])
    assert [(one["location"]["path"], one["location"]["lines"]["begin"], one["severity"]) for one in made] == [
        ("app/service/billing.py", 5, "critical"),
        ("app/service/legacy.py", 5, "critical"),
    ]
    assert len({one["fingerprint"] for one in made}) == 2 and all(one["description"] for one in made)


def test_a_healthy_application_has_nothing_to_annotate(kit, write_incident):
    file = write_incident({"service/main.py": "x = 1\n"})
    assert kit("diagnose", file, "--format", "github").out.strip() == ""
    assert json.loads(kit("diagnose", file, "--format", "gitlab").out) == []
