"""The miniature applications: what each has to show, the environment that it starts in, and its traces that are kept.

A new folder in ``tests/applications/`` is found by itself; ``make traces`` keeps its traces, every test reads them here.
"""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from environments import COMMON, LIBRARIES, applications_environment

from kit.diagnose.diagnosis import KEPT_TYPES, Diagnosis, judge_again, load_diagnosis
from kit.diagnose.observation import RACES, signed
from kit.diagnose.values import Looked
from kit.incident.load import load
from kit.incident.model import Incident
from kit.trace import saved
from kit.trace.end_state import judge_mappers, judge_start
from kit.trace.expected import incident_tables
from kit.verify.verification import Attempt, attempt_of, look_at_build

APPLICATIONS = Path(__file__).parent / "applications"
TRACES = Path(__file__).parent / "traces"
SOURCES = TRACES / "sources.json"
EXPECTED = {path.parent.name: yaml.safe_load(path.read_text()) for path in sorted(APPLICATIONS.glob("*/expected.yaml"))}
PAIRS = [(name, line) for name, expected in EXPECTED.items() for line in expected["sqlalchemy"]]
# With fixes; those whose every build is kept are not races, which are started several times.
WITH_FIXES = [name for name, expected in EXPECTED.items() if expected.get("fixes") and "2.0" in expected["sqlalchemy"]]
JUDGED_FIXES = [name for name in WITH_FIXES if EXPECTED[name]["mechanism"] not in RACES]
# What is started for real beside the kept traces, where one of a family is enough: each kind of step, of make and of second
# registration. A miniature whose expectation says ``family: true`` is one more.
FAMILIES = {
    "alias-two-module-names-alembic-in-process",  # served by uvicorn, Alembic
    "second-class-same-table-other-file",  # Flask-SQLAlchemy
    "half-import-retried",  # a command
    "main-module-imported-again-spawn",  # several processes
    "file-loaded-again-by-path",  # Table()
    "extend-existing-merged-two-models",  # in silence
    "model-module-not-imported-by-env",  # Alembic by command line
    "test-runner-root-second-name",  # pytest
    "healthy-two-bases",
} | {name for name, expected in EXPECTED.items() if expected.get("family")}


def python(line: str, interpreter: str | None = None) -> str:
    """An environment in which every miniature application runs, with one line of SQLAlchemy."""
    known = {one.partition("==")[0] for one in (*COMMON, *LIBRARIES[line])}
    more = {
        one for expected in EXPECTED.values() if line in expected["sqlalchemy"] for one in expected.get("needs") or ()
    }
    missing = sorted(name for name in more if name.partition("==")[0] not in known)
    return applications_environment(line, *missing, python=interpreter)


def incident_of(folder: Path, line: str = "2.0", interpreter: str | None = None) -> Incident:
    """The incident of a folder, in the environment of a line of SQLAlchemy and, where it is not the tests' own, an interpreter."""
    incident = load(folder)
    app = incident.app.model_copy(update={"python": python(line, interpreter)})
    return incident.model_copy(update={"app": app})


def trace_file(name: str, line: str) -> Path:
    return TRACES / f"{name}-{line}.jsonl.gz"


@cache
def judged(name: str, line: str = "2.0") -> tuple[Incident, Diagnosis]:
    """A miniature's diagnosis, judged anew from its kept trace: nothing is started."""
    incident = load(APPLICATIONS / name)
    return incident, judge_again(incident, load_diagnosis(trace_file(name, line)))


class Builds(NamedTuple):
    """What each build of a miniature showed, the broken one and those with a fix, without the imports of its libraries."""

    control: Looked
    fixes: dict[str, Looked]


def builds_file(name: str) -> Path:
    return TRACES / "fixes" / f"{name}.jsonl.gz"


def keep_builds(name: str) -> None:
    """Start every build of a miniature on 2.0, and keep what each showed."""
    incident = incident_of(APPLICATIONS / name)
    builds = {fix: _own(look_at_build(incident, fix)) for fix in (None, *incident.fixes)}
    saved.save(Builds(builds.pop(None), builds), builds_file(name))


def _own(looked: Looked) -> Looked:
    imports = tuple(event for event in looked.trace.imports if event.application)
    return replace(looked, trace=replace(looked.trace, imports=imports))


def judged_builds(name: str) -> tuple[Incident, Attempt, dict[str, Attempt]]:
    """A miniature, its broken build and those with a fix, by what was kept of each: nothing is started."""
    incident = load(APPLICATIONS / name)
    builds = saved.load(builds_file(name), (*KEPT_TYPES, Builds))
    fixes = {
        fix: attempt_of(incident, fix, signed(incident, _checked_anew(incident, looked), None))
        for fix, looked in builds.fixes.items()
    }
    return incident, attempt_of(incident, None, _checked_anew(incident, builds.control)), fixes


def _checked_anew(incident: Incident, looked: Looked) -> Looked:
    """A build with the checks that its trace decides decided again; what was asked of it while it was up stays."""
    tables = incident_tables(incident, looked.trace)
    judges = {"mappers": lambda: judge_mappers(looked.trace, tables), "clean_start": lambda: judge_start(looked.trace)}
    checks = tuple(judges[check.kind]() if check.kind in judges else check for check in looked.checks)
    return replace(looked, checks=checks)


def sites_of(diagnosis: Diagnosis) -> list[str | None]:
    return [str(site) if site else None for site in (diagnosis.first, diagnosis.second)]


def digest(name: str) -> str:
    """Of all that decides what a startup of a miniature does."""
    content = yaml.safe_load((APPLICATIONS / name / "incident.yaml").read_text())
    keys = ("app", "startup", "prepare", "database", "database_env", "expect", "checks", "fixes")
    decides = {key: content.get(key) for key in keys}
    seen = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode())
    paths = [path for part in ("app", "fixes") for path in (APPLICATIONS / name / part).rglob("*")]
    for path in sorted(paths):
        if path.is_file() and "__pycache__" not in path.parts:
            seen.update(f"{path.relative_to(APPLICATIONS)}\n".encode() + path.read_bytes())
    return seen.hexdigest()[:16]


def shown_by(trace) -> dict:
    """What of a startup is the same each time: what was registered where with what outcome, and what failed."""
    registered = [(one.table, one.outcome, str(one.site)) for one in trace.registrations if one.application]
    return {
        "registered": Counter(registered),
        "steps": [(str(step), step.ok) for step in trace.steps],
        "swallowed": Counter(str(one.site) for one in trace.swallowed),
        "modules": Counter(one.module for one in trace.imports if one.application),
    }
