"""The bundled incident: what really happened, shown by running it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import PROJECT

from kit.incident.load import load
from kit.startup.run import reproduce

INCIDENT = PROJECT / "notebooks" / "incidents" / "energy_events"
pytestmark = pytest.mark.xdist_group("energy_events")  # most of them ask the same verification


@pytest.fixture
def changed(tmp_path):
    """A copy of the incident with one text in one file of the application replaced."""

    def change(name: str, old: str, new: str) -> Path:
        shutil.copytree(INCIDENT, tmp_path / "incident", ignore=shutil.ignore_patterns("__pycache__"))
        file = tmp_path / "incident" / "app" / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        return tmp_path / "incident"

    return change


def links(registration) -> list[str]:
    return [f"{frame['file']}:{frame['line']}" for frame in registration["chain"]]


def test_reproduce_shows_the_one_conflict_with_both_sites_and_both_chains(kit):
    said = kit("reproduce", INCIDENT / "incident.yaml", "--json")
    assert said.code == 0
    report = said.json
    assert report["schema"] == 1 and report["reproduced"] is True
    (conflict,) = report["conflicts"]
    assert conflict["table"] == "energy_events"
    assert conflict["first"]["site"] == {
        "file": "app/models_extra.py",
        "line": 259,
        "module": "app.models_extra",
        "name": "EnergyEvent",
    }
    assert links(conflict["first"]) == ["app/main_simple.py:21", "app/routers/wallet.py:9", "app/models_extra.py:259"]
    assert (conflict["second"]["site"]["file"], conflict["second"]["site"]["line"]) == ("app/models_domain.py", 36)
    assert links(conflict["second"]) == [
        "app/main_simple.py:170",
        "app/run_migrations.py:45",
        "alembic/env.py:12",
        "app/models_domain.py:36",
    ]
    (swallowed,) = report["swallowed"]
    assert "Table 'energy_events' is already defined" in swallowed["error"]
    assert (swallowed["site"]["file"], swallowed["site"]["line"]) == ("app/models_domain.py", 36)
    assert [step["ok"] for step in report["steps"]] == [True]  # the server starts all the same


def test_the_two_definitions_have_the_columns_of_record():
    (conflict,) = reproduce(load(INCIDENT)).conflicts
    legacy = {column["name"]: column["type"] for column in conflict.second.existing}
    domain = {column["name"]: column["type"] for column in conflict.second.new}
    assert legacy["id"].startswith("Integer") and {"event_id", "host_id", "schedule", "boost_rate"} <= set(legacy)
    assert domain["id"].startswith("String")
    assert {"slug", "zone_slug", "name", "starts_at", "ends_at", "status"} <= set(domain)


@pytest.fixture(scope="module")
def verification(bundled_page):
    """What the page's own run of every fix against every check gave, as its JSON says it."""
    return json.loads(bundled_page.with_suffix(".json").read_text())["verify"]


def checks_of(tried: dict) -> list[tuple[str, bool, str]]:
    return [(one["check"], one["ok"], one["seen"]) for one in tried["checks"]]


def test_the_control_is_broken_as_recorded(verification):
    control = verification["control"]
    assert control["reproduced"]
    told = {check.split(" → ")[0].split("?")[0]: (ok, seen) for check, ok, seen in checks_of(control)}
    assert told["http: GET /health"][0]
    assert told["http: GET /v1/drivers/merchants/nearby"][1].startswith("404")
    preflights = [seen for check, _, seen in checks_of(control) if "OPTIONS" in check]
    assert [seen[:3] for seen in preflights] == ["200", "400"]


@pytest.mark.parametrize(
    ("fix", "verdict", "because"),
    [
        ("aggregator", "does-not-cure", "models_all.py"),
        ("import-order", "does-not-cure", "app/models_extra.py:"),
        ("lazy-registration", "does-not-cure", "the same error"),
        (
            "remove-legacy",
            "does-not-cure",
            r"app/models_domain.py:126 \(caught at app/main_simple.py:172\): .*Attribute name 'metadata' is reserved",
        ),
        ("rename-reserved", "does-not-cure", "the same error"),
        ("clear-metadata", "hides", "2 mapped classes for table energy_events"),
        ("separate-base", "hides", "2 mapped classes for table energy_events"),
        ("extend-existing", "hides", "extend-existing-merged-two-models of table energy_events is there"),
        ("remove-and-rename", "hides", "no migration creates table users"),
        ("full", "cures", "every|all"),
    ],
)
def test_each_recommended_fix_gets_the_verdict_that_running_it_shows(verification, fix, verdict, because):
    (result,) = [one for one in verification["fixes"] if one["name"] == fix]
    assert result["verdict"] == verdict, result["because"]
    assert re.search(because, result["because"])


def test_only_the_full_set_is_verified_and_turns_the_404_into_200(verification):
    assert verification["verified"] == ["full"]
    full = checks_of(verification["fixes"][-1])
    assert all(ok for _, ok, _ in full)
    assert [seen[:3] for check, _, seen in full if "nearby" in check and "GET" in check] == ["200"]


def test_renaming_the_legacy_class_table_makes_the_incident_go_away(changed, kit):
    folder = changed("app/models_extra.py", '__tablename__ = "energy_events"', '__tablename__ = "legacy_energy_events"')
    said = kit("reproduce", folder, "--json")
    assert said.code == 3 and said.json["reproduced"] is False and said.json["conflicts"] == []


def test_moving_the_legacy_class_moves_the_site(changed):
    folder = changed("app/models_extra.py", "class EnergyEvent(Base)", "\n\nclass OldEvent(Base)")
    (conflict,) = reproduce(load(folder)).conflicts
    assert (conflict.first.site.line, conflict.first.site.name) == (261, "OldEvent")


def test_the_full_set_without_one_of_its_patches_is_not_verified(tmp_path, kit):
    shutil.copytree(INCIDENT, tmp_path / "incident", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "incident" / "incident.yaml"
    incident = load(file)
    text = file.read_text()
    complete = [p for p in incident.fixes["full"].patches if "complete" in p]
    head, full = text.split("  full:", 1)
    file.write_text(head + "  full:" + full.replace(complete[0], incident.fixes["full"].patches[0], 1))
    patches = list(dict.fromkeys(load(file).fixes["full"].patches))
    file.write_text(
        head + "  full:\n    patches: " + json.dumps(patches) + "\n" + "checks:" + full.split("checks:", 1)[1]
    )
    said = kit("verify", file, "--fix", "full", "--json")
    assert said.code == 1
    assert said.json["verified"] == [] and said.json["fixes"][0]["verdict"] != "cures"
