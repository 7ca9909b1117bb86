"""What stands behind the incident: a setup that lacks something is learnt, in both builds, and never cures by itself."""

import pytest

from kit.incident.load import load
from kit.investigate import diagnose, propose
from kit.views.proposals import proposals as shown
from kit.views.report import proposals_report

_CIRCULAR = {
    "orchard/__init__.py": "",
    "orchard/models.py": """
        from sqlalchemy import Column, Integer
        from sqlalchemy.orm import declarative_base
        from orchard.labels import label

        Base = declarative_base()
        YEAR = 2026

        class Tree(Base):
            __tablename__ = label("trees")
            id = Column(Integer, primary_key=True)
    """,
    "orchard/labels.py": """
        from orchard.models import YEAR

        def label(name):
            return name

        def dated(name):
            return "%s of %s" % (name, YEAR)
    """,
    "orchard/main.py": """
        from orchard import models
        from orchard import queue
    """,
    "orchard/queue.py": "",
}


def _behind(lines: str) -> dict[str, str]:
    return {**_CIRCULAR, "orchard/queue.py": lines}


def _propose(kit, incident, *more):
    answer = kit("propose", incident.parent, *more, "--json")
    return answer, answer.json["proposals"], answer.json["setup"]


EXPECT = {"error": "cannot import name 'YEAR' from partially initialized module 'orchard.models'"}
STARTS = {"startup": [{"import": "orchard.main"}], "expect": EXPECT}


def test_what_the_setup_lacks_behind_the_incident_is_put_into_both_builds_and_told(write_incident):
    lines = 'import os\n\nBROKER = os.environ["ORCHARD_BROKER_NAME"]\nPICTURES = os.listdir("static/pictures")\n'
    tried = propose(load(write_incident(_behind(lines), **STARTS)))
    report, text = proposals_report(tried), shown(tried).text
    proposals, setup = report["proposals"], report["setup"]
    assert tried.reproduced and tried.verified and proposals[0]["verdict"] == "cures", proposals
    assert report["startups"] <= 12
    assert [list(lesson["settings"]) for lesson in setup] == [["app"], ["prepare"]]
    assert setup[0]["settings"] == {"app": {"env": {"ORCHARD_BROKER_NAME": "stand-in"}}}
    assert "ORCHARD_BROKER_NAME" in setup[0]["because"] and "static/pictures" in setup[1]["because"]
    assert "ORCHARD_BROKER_NAME: stand-in" in text and "mkdir -p static/pictures" in text


def test_what_the_log_calls_missing_is_not_supplied(kit, write_incident):
    files = _behind('import os\n\nBROKER = os.environ["ORCHARD_BROKER_NAME"]\n')
    incident = write_incident(files, log="log.txt", **STARTS)
    log = f"ImportError: {EXPECT['error']}\nKeyError: 'ORCHARD_BROKER_NAME'\n"
    (incident.parent / "log.txt").write_text(log)
    answer, proposals, setup = _propose(kit, incident)
    assert answer.code == 1 and not setup and "cures" not in {proposal["verdict"] for proposal in proposals}


def test_a_stand_in_with_which_the_build_as_it_is_works_is_not_kept(kit, write_incident):
    files = _behind('import os\n\nBROKER = os.environ["ORCHARD_BROKER_NAME"]\n')
    early = """
        import os

        if "ORCHARD_BROKER_NAME" in os.environ:
            YEAR = 2026
        """
    files["orchard/models.py"] = early + _CIRCULAR["orchard/models.py"].lstrip("\n").lstrip(" ")
    answer, proposals, setup = _propose(kit, write_incident(files, **STARTS))
    assert answer.code == 1 and not setup
    assert proposals[0]["verdict"] == "undecided" and "ORCHARD_BROKER_NAME" in proposals[0]["because"]


@pytest.mark.parametrize(
    ("queue", "then", "behind"),
    [
        ("import no_such_library", "queue = None", []),
        ("from orchard.models import Gone", "queue = None", ["orchard/queue.py:1"]),
        ("import no_such_library", "print(error); sys.exit(1)", ["orchard/queue.py:1"]),
    ],
    ids=["without it", "a name that the application lacks", "without it nothing goes on"],
)
def test_what_an_importer_can_do_without_stands_behind_nothing(write_incident, queue, then, behind):
    files = _behind(f"{queue}\n")
    files["orchard/main.py"] = "from orchard import models, services\n"
    files["orchard/services.py"] = f"""
        import sys
        try:
            from orchard import queue
        except ImportError as error:
            {then}
    """
    masked = diagnose(load(write_incident(files, **STARTS))).masked
    assert [str(error.site) for error in masked] == behind
