"""Whether an incident is reproduced is one question with one answer, whichever command is asked."""

import json

import pytest
from conftest import DUPLICATE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miniatures import PAIRS, judged

from kit import notebook
from kit.cli import main
from kit.diagnose.diagnosis import judge_again
from kit.diagnose.observation import signed
from kit.history.runs import observe
from kit.incident.load import load
from kit.incident.model import Expect
from kit.trace.expected import holds, shows_incident
from kit.verify.attempts import still_there
from kit.verify.verification import Verification, attempt_of
from kit.views.banner import headline
from kit.views.terminal import startup_lines

MODELS = """
    from sqlalchemy import Column, Integer
    from sqlalchemy.orm import declarative_base, relationship

    Base = declarative_base()

    class Invoice(Base):
        __tablename__ = "invoices"
        id = Column(Integer, primary_key=True)
"""
KINDS = {
    "healthy": {"service/main.py": MODELS},
    "a table that is rejected": DUPLICATE,
    "an error that is caught": {"service/main.py": "try:\n    import service.gone\nexcept ImportError:\n    pass\n"},
    "an error that a module raises": {
        "service/main.py": "try:\n    import service.bad\nexcept ValueError:\n    pass\n",
        "service/bad.py": "raise ValueError('bad rows')",
    },
    "a mapper that does not configure": {"service/main.py": MODELS + '        lines = relationship("Line")\n'},
    "a table that changes in silence": {
        "service/main.py": MODELS
        + """
    class Bill(Base):
        __tablename__ = "invoices"
        __table_args__ = {"extend_existing": True}
        id = Column(Integer, primary_key=True)
        total = Column(Integer)
"""
    },
    "a step that fails": {"service/main.py": "raise RuntimeError('no jobs table')"},
    "a failure that the kit makes": {"service/main.py": "import os\nos.environ['SHOP_MODE']"},
}
CHECKS = [[], [{"command": "python -c 'import sys; sys.exit(3)'"}], [{"mappers": True}, {"clean_start": True}]]
EXPECTS = [
    {},
    {"error": "no jobs table"},
    {"error": "is already defined"},
    {"error": "bad rows"},
    {"table": "invoices"},
    {"check": {"mappers": True}},
    {"check": {"command": "python -c 'import sys; sys.exit(3)'"}},
    {"check": {"command": "python -c ''"}},
]


@pytest.mark.slow  # `make test` asks for the pairs below
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(CHECKS), st.sampled_from(EXPECTS))
def test_no_two_commands_disagree(tmp_path_factory, capsys, kind, checks, expect):
    answers = answers_of(tmp_path_factory, capsys, kind, checks, expect, page=True)
    assert len(set(answers.values())) == 1, answers


def answers_of(tmp_path_factory, capsys, kind, checks=(), expect=None, page=False) -> dict[str, bool]:
    import textwrap

    import yaml

    folder = tmp_path_factory.mktemp("case")
    for name, text in {"service/__init__.py": "", **KINDS[kind]}.items():
        (folder / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "app" / name).write_text(textwrap.dedent(text))
    start = [{"import": "service.main"}]
    content = {"title": kind, "app": {"root": "app"}, "startup": start, "checks": list(checks), "expect": expect or {}}
    file = folder / "incident.yaml"
    file.write_text(yaml.safe_dump(content))
    answers = {}
    for command in ("reproduce", "diagnose", "verify"):
        code = main([command, str(file), "--json"])
        report = json.loads(capsys.readouterr().out)
        answers[command] = report["control"]["reproduced"] if command == "verify" else report["reproduced"]
        answers[f"exit of {command}"] = {0: True, 1: True, 3: False}[code]
    if page:
        code = main(["postmortem", str(file), "-o", str(folder / "page.html")])
        capsys.readouterr()  # else the next example reads it
        answers["exit of postmortem"] = {0: True, 1: True, 3: False}[code]
        answers["the page"] = ">It reproduces" in (folder / "page.html").read_text("utf-8")
    trace = notebook.reproduce(load(file))
    answers["a notebook"] = shows_incident(load(file), trace)
    answers["history"] = observe(load(file), trace).shown
    return answers


WORDS = ["is already defined", "no such table", "Error", "could not", "import", "nothing says this", "{'a', 'b'}", "…"]


@st.composite
def expected(draw) -> tuple[str, str, dict]:
    """A miniature, a line of SQLAlchemy, and what its incident may expect: nothing, a part of an error of it, other words, a table."""
    name, line = draw(st.sampled_from(PAIRS))
    trace = judged(name, line)[1].trace
    text = draw(
        st.sampled_from([*(str(error) for error in trace.errors), *(step.output for step in trace.steps), *WORDS])
    )
    begins = draw(st.integers(0, len(text)))
    part = text[begins : begins + draw(st.integers(4, 120))].strip() or "Error"
    tables = sorted({registration.table for registration in trace.registrations}) + ["nowhere"]
    expects = [{}, {"error": part}, {"table": draw(st.sampled_from(tables))}]
    return name, line, draw(st.sampled_from([*expects, {**expects[1], **expects[2]}]))


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(expected())
def test_of_every_miniature_all_that_tell_of_it_agree_whatever_is_expected(drawn):
    name, line, expect = drawn
    incident, kept = judged(name, line)
    incident = incident.model_copy(update={"expect": Expect.model_validate(expect)})
    diagnosis = judge_again(incident, kept)
    looked = signed(incident, kept.looked, None)
    if not shows_incident(incident, looked.trace):
        looked = signed(incident, looked, diagnosis.fault)
    control = attempt_of(incident, None, looked)
    page = headline(incident, diagnosis.trace, Verification(control, control.reproduced, (), ()), diagnosis).text
    told = startup_lines(incident, diagnosis.trace, diagnosis.reproduced)
    answers = {
        "reproduce": shows_incident(incident, looked.trace),
        "diagnose": diagnosis.reproduced,
        "verify": control.reproduced,
        "history": observe(incident, looked.trace).shown,
        "the page": page.startswith("It reproduces"),
        "the terminal": told[0].endswith("— reproduced"),
        "a fix that changes nothing": still_there(incident, looked.trace, control.trace),
    }
    assert len(set(answers.values())) == 1 and "in the verification" not in page, answers
    if not diagnosis.reproduced and diagnosis.trace.whole:
        assert len(told) > 1 + len(diagnosis.trace.steps) or incident.expect.empty, "no word why it does not reproduce"


@pytest.mark.parametrize(
    ("kind", "checks", "expect", "reproduced"),
    [
        ("healthy", CHECKS[0], {}, False),
        ("healthy", CHECKS[1], {}, True),
        ("a mapper that does not configure", CHECKS[0], {}, True),
        ("a table that changes in silence", CHECKS[0], {}, True),
        pytest.param("a table that changes in silence", CHECKS[0], {"table": "invoices"}, True, marks=pytest.mark.slow),
        ("a failure that the kit makes", CHECKS[1], {}, False),
        ("a step that fails", CHECKS[0], {"check": {"command": "python -c ''"}}, False),
        ("an error that a module raises", CHECKS[0], {}, True),
    ],
)
def test_what_is_there_counts(tmp_path_factory, capsys, kind, checks, expect, reproduced):
    assert set(answers_of(tmp_path_factory, capsys, kind, checks, expect).values()) == {reproduced}


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ("Duplicated timeseries: {'b', 'a_total', 'c'}", "ValueError: Duplicated timeseries: {'c', 'b', 'a_total'}"),
        ("<Engine at 0x7f3a2c1d>", "no such engine <Engine at 0x55d0aa01>"),
        (
            "table jobs already exists\n[SQL: CREATE TABLE jobs (id INT)]",
            "table jobs already exists\n[SQL: \nCREATE TABLE x]",
        ),
        ("partially initialized module 'a' (/srv/app/shop/a.py)", "partially initialized module 'a' (shop/a.py)"),
        ("cannot open …/rates.csv", "cannot open <workspace>/app/data/rates.csv"),
    ],
)
def test_an_expected_text_is_compared_by_what_is_the_same_in_every_run(expected, seen):
    assert holds(seen, expected)


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ("{'a', 'b'}", "{'a', 'c'}"),
        ("no table jobs", "no table job"),
        ("[SQL: SELECT 1]", "another error"),
        ("…", "any"),
    ],
)
def test_what_is_not_the_same_is_another_text(expected, seen):
    assert not holds(seen, expected)
