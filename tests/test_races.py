"""A fix of a race is judged by how likely it is that the race did not show by luck."""

from dataclasses import replace

import pytest
from miniatures import APPLICATIONS, incident_of, python

from kit.diagnose.diagnosis import diagnose
from kit.diagnose.race import raced_for
from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.trace import Trace
from kit.trace.values import Error, StepResult
from kit.verify.attempts import DOUBT, MOST, Rates
from kit.verify.verification import verify
from kit.views.report import verify_report


@pytest.mark.parametrize(("shown", "starts", "control"), [(0, 5, 1), (0, 5, 4), (0, 11, 1), (0, 5, 0), (1, 5, 1)])
def test_how_likely_luck_is_stands_beside_a_race_that_did_not_show(shown, starts, control):
    rates = Rates(shown, starts, control, 4)
    assert 0 <= rates.by_luck <= 1 and (f"{rates.by_luck:.1%}" in str(rates)) is (shown == 0)


def test_a_control_that_hardly_ever_races_is_no_luck_after_the_most_starts():
    assert Rates(0, MOST, 0, 4).by_luck < DOUBT


def test_how_rare_a_race_may_be_that_is_left_is_said_with_the_rates():
    rates = Rates(0, MOST, 4, 4)
    assert 0.15 < rates.at_most < 0.2 and f"at most {rates.at_most:.0%} of starts" in str(rates)
    assert "may be left" not in str(Rates(1, MOST, 4, 4))


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        ("table jobs_7 already exists\n[SQL: \nCREATE TABLE jobs_7 (\n\tid INTEGER", "create table"),
        ("UNIQUE constraint failed\n[SQL: INSERT INTO settings (name) VALUES (?)]", "insert into settings"),
        ("[Errno 17] File exists: '/tmp/x/uploads/'", "file uploads"),
        ("[Errno 98] Address already in use", "port"),
        ("database is locked", None),
    ],
)
def test_what_processes_race_for_is_known_by_what_is_the_same_in_every_one(error, begins):
    step = StepResult(1, "serve", "x", False, error, 1.0, Error("OperationalError", error))
    assert raced_for(replace(Trace.not_begun([], ""), steps=(step,))) == begins


@pytest.mark.slow  # `make test` asks for both verdicts, in test_applications.py
def test_a_race_that_can_be_forced_is_and_the_verdict_says_how():
    incident = incident_of(APPLICATIONS / "startup-race")
    fixes = {fix["name"]: fix for fix in verify_report(incident, verify(incident))["fixes"]}
    assert {name: fix["verdict"] for name, fix in fixes.items()} == {"locked": "cures", "asked": "does-not-cure"}
    assert 'was forced: each process waited before its first "create table …"' in fixes["locked"]["because"]
    assert "with it in 0 of 2 such starts" in fixes["locked"]["because"] and fixes["locked"]["rates"] is None


@pytest.mark.slow
def test_the_verdict_on_a_fix_of_a_race_that_cannot_be_forced_carries_both_rates():
    incident = incident_of(APPLICATIONS / "race-in-lazy-definition")
    for fix in verify_report(incident, verify(incident))["fixes"]:
        if fix["verdict"] == "cures":
            rates = fix["rates"]
            assert rates["shown"] == 0 and rates["by_luck"] <= DOUBT
            assert rates["control_starts"] == 4 and rates["starts"] == MOST


TURNS = """
    import os, time
    from service.place import take

    if os.fork() == 0:
        take()
        os._exit(0)
    time.sleep(0.3)  # long enough for the other to have done it
    take()
    os.wait()
"""
PLACES = {
    "file uploads": "import os\n\ndef take():\n    if not os.path.exists('uploads'):\n        os.mkdir('uploads')\n",
    "port": """
        import socket, time

        def take():
            with socket.socket() as one:
                one.bind(("127.0.0.1", 47113))
                time.sleep(0.1)
    """,
}


@pytest.mark.parametrize("held", PLACES)
def test_processes_that_are_held_before_a_file_or_a_port_meet_there(held, write_incident):
    files = {"service/__init__.py": "", "service/main.py": TURNS, "service/place.py": PLACES[held]}
    incident = load(write_incident(files))
    assert reproduce(incident).whole
    forced = reproduce(incident, hold=held)
    assert raced_for(forced) == held and {str(error.site) for error in forced.errors} & {
        "service/place.py:5",
        "service/place.py:6",
    }


@pytest.mark.slow
def test_a_race_for_a_file_is_diagnosed_by_forcing_it(write_incident):
    main = """
        import os, time

        if not os.path.exists("uploads"):
            time.sleep(0.5)
            os.mkdir("uploads")

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
    """
    serve = [{"serve": "uvicorn service.main:app --workers 2 --lifespan off --port {port}"}]
    file = write_incident(
        {"service/__init__.py": "", "service/main.py": main},
        app={"python": python("2.0")},
        startup=serve,
        expect={"error": "File exists"},
    )
    diagnosis = diagnose(load(file))
    assert diagnosis.finding.mechanism == "startup-race" and [str(place) for place in diagnosis.sites] == [
        "service/main.py:6"
    ]
    assert diagnosis.experiment.outcome == "confirmed"
    assert 'waited before it makes the file "uploads" until another had come as far' in diagnosis.experiment.seen


@pytest.mark.slow
def test_the_diagnosis_of_a_race_forces_it():
    diagnosis = diagnose(incident_of(APPLICATIONS / "startup-race"))
    assert diagnosis.finding.mechanism == "startup-race"
    assert diagnosis.experiment.outcome == "confirmed"
    assert diagnosis.experiment.seen == (
        '0 of 2 starts failed with one process, and 2 of 2 when each process waited before its first "create table …" until another had '
        "come as far"
    )
