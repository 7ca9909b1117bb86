"""Who imported that: the question that people ask first, answered from a startup or from one that was kept."""

import pytest

from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.why import why


def test_a_table_is_told_with_every_registration_and_the_lines_that_led_to_it(kit, duplicate, write_incident, tmp_path):
    incident, kept = write_incident(duplicate), tmp_path / "kept.jsonl"
    report = kit("why", incident, "invoices", "--json", "--trace", kept).json
    assert [event["what"] for event in report["events"]] == ["registered", "rejected"]
    lines = [[f"{frame['file']}:{frame['line']}" for frame in event["chain"]] for event in report["events"]]
    assert lines == [["service/main.py:2", "service/billing.py:5"], ["service/main.py:3", "service/legacy.py:5"]]
    answer = kit("why", incident, "service.db", "--from-trace", kept)
    assert answer.code == 0 and "1. executed in step 1 | " in answer.out and "| file service/db.py" in answer.out
    assert "service/legacy.py:3" in answer.out  # it asked for what was there already


def test_a_name_that_nothing_has_is_told_with_those_that_look_like_it(kit, duplicate, write_incident):
    answer = kit("why", write_incident(duplicate), "invoice")
    assert answer.code == 3 and "Did you mean" in answer.out and "invoices" in answer.out


PLUGINS = {
    "service/__init__.py": "",
    "service/one.py": "LIMIT = 1\n",
    "service/two.py": "from . import one\nLIMIT = 2\n",
    "service/loader.py": "import importlib\n\n\ndef load(name):\n    return importlib.import_module(name)\n",
    "service/main.py": "from service.loader import load\n\nload('service.two')\nfrom service.one import LIMIT\nfrom service.two import LIMIT\n",
}


@pytest.mark.slow
def test_a_loaders_call_a_relative_import_and_a_name_that_is_bound_again_are_told_by_their_lines(write_incident):
    trace = reproduce(load(write_incident(PLUGINS, expect={})))

    def asked(name):
        return [(event.what, [str(frame) for frame in event.chain], event.note) for event in why(trace, name)]

    assert asked("service.two")[0][:2] == ("executed", ["service/main.py:3", "service/loader.py:5"])
    assert asked("service.one") == [
        ("executed", ["service/main.py:3", "service/loader.py:5", "service/two.py:1"], "file service/one.py"),
        ("asked", ["service/main.py:4"], "it was there already"),
    ]
    rebound = "from service.two import LIMIT, in service.main, where it was from service.one before"
    assert asked("LIMIT") == [
        ("asked", ["service/main.py:4"], "from service.one import LIMIT, in service.main"),
        ("rebound", ["service/main.py:5"], rebound),
    ]
