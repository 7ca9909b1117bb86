"""The smallest reproduction is an anytime search, and the first answer does not wait for it."""

import json
from threading import Event

from kit.diagnose import diagnosis, smallest
from kit.diagnose.smallest import Budget, shrink
from kit.incident.load import load


def test_a_search_ends_at_its_runs_and_keeps_the_shortest_list_that_it_has():
    budget = Budget(runs=3)

    def fails(items):
        budget.spent += 1
        return "a" in items

    items = shrink(list("abcdefgh"), fails, lambda: budget.left)
    assert budget.spent == 3 and "a" in items and 1 < len(items) < 8


def test_a_search_ends_at_its_seconds():
    assert not Budget(seconds=0).left and Budget(seconds=60).left


def test_full_searches_to_the_end(kit, duplicate, write_incident):
    report = json.loads(kit("diagnose", write_incident(duplicate), "--smallest", "full", "--json").out)
    assert report["smallest"] == ["import: service.billing", "import: service.legacy"]


def test_the_hypotheses_are_tried_beside_the_variables_and_with_the_same_steps(write_incident, duplicate, monkeypatch):
    begun, steps, beside = Event(), [], []

    def test_all(incident, trace, conflict, of_smallest, **named):
        steps.extend(of_smallest.result())
        begun.set()
        return ()

    monkeypatch.setattr(diagnosis, "test_all", test_all)
    monkeypatch.setattr(smallest, "_needed_variables", lambda *_: beside.append(begun.wait(10)) or [])
    shown = diagnosis.diagnose(load(write_incident(duplicate, expect={"table": "invoices"}))).smallest
    assert beside == [True] and list(shown.steps) == steps and len(steps) == 2


def test_both_sites_are_named_first_and_what_a_longer_list_showed_already_is_not_run_again(
    write_incident, duplicate, kit
):
    said = kit("diagnose", write_incident(duplicate, expect={"table": "invoices"}), "--json")
    lines = said.err.splitlines()
    first = next(n for n, line in enumerate(lines) if "first service/billing.py:5, second service/legacy.py:5" in line)
    assert not any("smallest" in line or "hypothesis" in line for line in lines[:first])
    assert said.json["smallest"] == ["import: service.billing", "import: service.legacy"]
    # Both modules and the second alone were run side by side; the first alone went as in the run of both. What is left is a variable.
    assert said.err.count("smallest reproduction: run") == 1
