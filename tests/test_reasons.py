"""No decision reads a sentence: an application may say whatever the kit says, and is judged as if it said "x"."""

import ast
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kit as package
from kit import load
from kit.diagnose.diagnosis import judge_again
from kit.startup import reproduce
from kit.startup.kept_runs import package_digest
from kit.trace.end_state import judge_start
from kit.trace.expected import shows_incident
from kit.trace.trace import Trace
from kit.trace.values import Broke


@pytest.mark.parametrize(
    "text",
    [
        "scheduler cannot be started: no jobs table",
        "quota reached (limits.requests)",
        "the worker was ended by SIGTERM",
        "refused by the incident kit",
        "it did not begin: no configuration",
    ],
)
def test_an_application_that_fails_with_a_sentence_like_the_kits_is_reproduced(kit, write_incident, text):
    source = f"print({text!r})\nraise RuntimeError({text!r})\n"
    incident = write_incident({"service/__init__.py": "", "service/main.py": source})
    answer = kit("reproduce", incident, "--json")
    assert answer.code == 0 and answer.json["reproduced"] and answer.json["broke"] is None


@cache
def sentences() -> list[str]:
    """Every text of the kit's own code that has more than one word, with its placeholders filled."""
    texts = set()
    for file in Path(package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "orders" for part in node.values]
                texts.add("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return sorted(text for text in texts if " " in text.strip() and len(text) < 2000)


@cache
def failed() -> tuple:
    """An incident whose startup fails with "x", and its trace."""
    import tempfile

    folder = Path(tempfile.mkdtemp())
    (folder / "app").mkdir()
    (folder / "app" / "main.py").write_text("print('x')\nraise RuntimeError('x')\n")
    (folder / "incident.yaml").write_text("title: It fails\napp: {root: app}\nstartup:\n  - import: main\n")
    incident = load(folder / "incident.yaml")
    return incident, reproduce(incident, judge=True)


def saying(trace: Trace, text: str) -> Trace:
    """The trace of an application that says ``text`` wherever this one says "x"."""
    steps = []
    for step in trace.steps:
        error = replace(step.exception, text=text, links=tuple((n, kind, text) for n, kind, _ in step.exception.links))
        steps.append(replace(step, exception=error, error=str(error), output=text))
    imports = [replace(i, error=i.error and replace(i.error, text=text)) for i in trace.imports]
    return replace(trace, steps=tuple(steps), imports=tuple(imports))


def judged_as_x(text: str) -> bool:
    incident, trace = failed()
    said = saying(trace, text)
    diagnosis = judge_again(incident, said)
    shown = shows_incident(incident, said) and not said.cut and said.broke is None and judge_start(said).ok is False
    return shown and (diagnosis.finding.mechanism, diagnosis.reproduced) == ("undecided", True)


def test_every_sentence_that_the_kit_can_say_is_judged_as_any_other_when_the_application_says_it():
    assert [text for text in sentences() if not judged_as_x(text)] == []


@settings(deadline=None, max_examples=200)
@given(st.deferred(lambda: st.lists(st.sampled_from(sentences()), min_size=2, max_size=3)))
def test_so_is_any_text_that_is_made_of_them(texts):
    assert judged_as_x(" ".join(texts))


def test_a_change_in_any_file_of_the_kit_changes_the_key_of_kept_verdicts(tmp_path):
    copy = tmp_path / "kit"
    shutil.copytree(Path(package.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = package_digest.__wrapped__(copy)
    for file in sorted(path for path in copy.rglob("*") if path.is_file()):
        content = file.read_bytes()
        file.write_bytes(content + b"\n")
        assert package_digest.__wrapped__(copy) != before, file
        file.write_bytes(content)
    assert package_digest.__wrapped__(copy) == before


def test_a_limit_that_was_passed_is_known_by_its_key_and_step(write_incident):
    files = {"service/__init__.py": "", "service/main.py": "import time\ntime.sleep(60)\n"}
    trace = reproduce(load(write_incident(files, limits={"seconds": 1})))
    assert (trace.broke.kind, trace.broke.limit, trace.broke.step) == ("limit", "seconds", 1)
    assert trace.cut and trace.steps[0].broke == trace.broke


def test_a_reason_says_only_by_its_kind_whether_it_lies_outside():
    assert (
        Broke("limit", "anything").from_outside and not Broke("died", "ended by SIGKILL (limits.seconds)").from_outside
    )
