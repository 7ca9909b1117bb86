"""A trace in a file is judged as the run was, is whole or refused, and holds no secret."""

import gzip
import json

import pytest
from miniatures import trace_file

from kit import IncidentError, Trace, load, reproduce

APPLICATIONS = "tests/applications"


@pytest.mark.parametrize(
    "application",
    [
        "alias-two-module-names",
        pytest.param("model-module-not-imported-by-env", marks=pytest.mark.slow),
        "healthy-two-binds",
    ],
)
def test_a_diagnosis_from_a_file_is_the_diagnosis_of_the_run_word_for_word(kit, tmp_path, application):
    file = tmp_path / "run.jsonl.gz"
    ran = kit("diagnose", f"{APPLICATIONS}/{application}", "--json", "--trace", file)
    again = kit("diagnose", f"{APPLICATIONS}/{application}", "--json", "--from-trace", file)
    assert (again.code, again.json) == (ran.code, ran.json)
    assert "starting" not in again.err


def test_reproduce_judges_a_trace_of_reproduce_and_of_diagnose(kit, tmp_path):
    name = "second-class-same-table-same-file"
    incident, kept, diagnosed = f"{APPLICATIONS}/{name}", tmp_path / "kept.jsonl", trace_file(name, "2.0")
    ran = kit("reproduce", incident, "--json", "--trace", kept)
    assert kit("reproduce", incident, "--json", "--from-trace", kept).json == ran.json
    assert kit("reproduce", incident, "--json", "--from-trace", diagnosed).json["conflicts"] == ran.json["conflicts"]
    judged = kit("diagnose", incident, "--json", "--from-trace", kept).json
    assert judged["mechanism"] == name


@pytest.fixture(scope="module")
def lines(once, tmp_path_factory):
    """The lines of a saved trace of one import."""

    def make() -> list[str]:
        folder = tmp_path_factory.mktemp("saved")
        (folder / "app").mkdir()
        source = "import json\nfrom sqlalchemy import MetaData, Table\nTable('a', MetaData())\n"
        (folder / "app" / "main.py").write_text(source)
        (folder / "incident.yaml").write_text("title: One\napp: {root: app}\nstartup:\n  - import: main\n")
        reproduce(load(folder / "incident.yaml")).save(folder / "run.jsonl")
        return (folder / "run.jsonl").read_text().splitlines()

    return once("saved-lines", make)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: lines[:-1], "is not whole"),
        (lambda lines: lines[: len(lines) // 2], "is not whole"),
        (lambda lines: [lines[0].replace('"schema": 1', '"schema": 99'), *lines[1:]], "schema 99"),
        (lambda lines: ["{}"], "is no saved trace"),
        (lambda lines: [lines[0], "{", *lines[2:]], ":2: "),
        (lambda lines: ["title: an incident file"], "is no saved trace"),
    ],
)
def test_half_a_file_a_newer_one_and_another_one_are_refused_in_one_clear_message(lines, tmp_path, change, says):
    file = tmp_path / "cut.jsonl"
    file.write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(IncidentError, match=says) as refused:
        Trace.load(file)
    assert str(file) in str(refused.value)


def test_a_gzipped_file_that_is_cut_is_refused(lines, tmp_path):
    file = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress("\n".join(lines).encode())
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IncidentError, match="cannot be read"):
        Trace.load(file)


def test_a_saved_trace_holds_no_secret(kit, tmp_path, write_incident):
    source = "PASSWORD = 'tr0ub4dor&3x'\nraise RuntimeError('postgresql://ada:s3cr3tw0rd@db/shop')\n"
    file = tmp_path / "run.jsonl"
    kit("reproduce", write_incident({"service/__init__.py": "", "service/main.py": source}), "--trace", file)
    text = file.read_text()
    assert "RuntimeError" in text and "tr0ub4dor" not in text and "s3cr3tw0rd" not in text
    assert json.loads(text.splitlines()[0])["schema"] == 1


def test_every_value_of_a_trace_is_one_that_a_file_may_hold():
    from kit.trace import trace, values

    here = [
        value
        for module in (values, trace)
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    assert {value for value in here if value is not values.Conflict} <= set(trace.TYPES)
