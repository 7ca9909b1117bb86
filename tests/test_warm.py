"""A run that is forked from an interpreter which has imported the packages shows what a new one shows, or it is not forked."""

import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from miniatures import APPLICATIONS, EXPECTED, FAMILIES, incident_of

from kit.diagnose.observation import look_at
from kit.incident.load import load
from kit.startup.warm import Warm
from kit.trace.likeness import difference
from kit.verify import verification
from kit.verify.verification import attempt, verify

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="runs are forked on Linux only")
_OF_MAKE_TEST = {"alias-two-module-names-alembic-in-process", "main-module-imported-again-spawn"}
# What several processes or threads show in another order each time, and what packages of their own register before or after.
_NEVER_ALIKE = {
    "healthy-tasks", "name-taken-in-registry-tasks", "healthy-workers-under-a-lock", "race-in-lazy-definition",
}  # fmt: skip


@contextmanager
def warm(incident):
    """The incident with places for its runs: nothing is forked yet but where ``only`` says so."""
    incident._warm = Warm()
    try:
        yield incident._warm
    finally:
        incident._warm.close()
        incident._warm = None


def ran(incident, *, forked: bool, fix: str | None = None):
    with incident._warm.only(forked=forked):
        return look_at(incident, checks=True, fix=fix).trace


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in _OF_MAKE_TEST else pytest.mark.slow)
        for name in EXPECTED
        if "2.0" in EXPECTED[name]["sqlalchemy"] and name not in _NEVER_ALIKE
    ],
)
def test_a_forked_startup_shows_what_a_new_one_shows(name):
    incident = incident_of(APPLICATIONS / name)
    with warm(incident) as places:
        new, forked = ran(incident, forked=False), ran(incident, forked=True)
        assert places.reasons == {}
    assert forked.provenance["forked"] and not forked.provenance["unlike"]
    assert difference(new, forked) is None


def test_families_are_among_those_that_are_compared():
    assert not FAMILIES & _NEVER_ALIKE


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """An environment with everything of this one and a package ``almanac``: a function that writes its text, and the interpreter."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "all.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def write(text: str) -> str:
        (packages / "almanac.py").write_text(text)
        return str(folder / "bin" / "python")

    return write


_MAIN = "import sqlalchemy.orm\nimport almanac\nsqlalchemy.orm.declarative_base()\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "leaves a thread"),
        ("import socket\nkept = socket.socket()", "leaves open: socket"),
        ("kept = open('/dev/null')", "leaves open: null"),
        ("import os\nos.close(os.open(os.environ['HOME'] + '/seen', os.O_CREAT | os.O_WRONLY))", "opens seen"),
        pytest.param("import os.path\nopen('settings.ini').close()", "opens settings.ini", marks=pytest.mark.slow),
        ("import os\ndel os.environ['TZ']", "takes something out of the environment"),
        pytest.param("import subprocess\nsubprocess.run(['true'])", "starts a process", marks=pytest.mark.slow),
        pytest.param("print('loaded')", "prints", marks=pytest.mark.slow),
        pytest.param("import sqlite3\nsqlite3.connect(':memory:')", "opens a database", marks=pytest.mark.slow),
        ("import service.settings", "cannot be imported without the application"),
    ],
)  # fmt: skip
def test_a_package_that_does_more_than_define_is_imported_anew_in_each_run(text, reason, library, write_incident):
    files = {"service/__init__.py": "", "service/settings.py": "", "service/main.py": _MAIN, "settings.ini": ""}
    incident = load(write_incident(files, app={"python": library(text), "path": ["."]}))
    with warm(incident) as places:
        ran(incident, forked=False)
        assert "forked" not in ran(incident, forked=True).provenance
        assert len(places.reasons) == 1 and reason in list(places.reasons)[0]


def test_what_a_package_sets_in_the_environment_is_set_in_a_forked_run(library, write_incident):
    files = {"service/__init__.py": "", "service/main.py": f"{_MAIN}import os\nprint(os.environ['SEASON'])\n"}
    python = library("import os\nos.environ.setdefault('SEASON', 'spring')")
    incident = load(write_incident(files, app={"python": python, "path": ["."]}))
    with warm(incident):
        new, forked = ran(incident, forked=False), ran(incident, forked=True)
    assert forked.provenance["forked"] and not forked.provenance["unlike"]
    assert (forked.steps[0].output, difference(new, forked)) == ("spring\n", None)


def test_a_run_that_sets_what_a_package_read_is_run_again_in_a_new_interpreter(library, write_incident):
    python = library("import os\nseason = os.environ.get('SEASON', 'none')")
    main = "import almanac\nimport sqlalchemy.orm\nprint(almanac.season)\n"
    file = write_incident(
        {"service/__init__.py": "", "service/main.py": main},
        app={"python": python, "path": ["."]},
        fixes={"season": {"patches": ["season.patch"]}},
    )
    patch = "--- a/service/main.py\n+++ b/service/main.py\n@@ -1,1 +1,3 @@\n+import os\n+os.environ['SEASON'] = 'spring'\n import almanac\n"
    (file.parent / "season.patch").write_text(patch)
    incident = load(file)
    with warm(incident) as places:
        ran(incident, forked=False)
        places.same = True
        fixed = look_at(incident, checks=True, fix="season").trace
    assert "forked" not in fixed.provenance
    assert "spring" in fixed.steps[0].output


def test_a_copy_in_which_a_file_takes_the_name_of_a_package_is_run_anew(library, write_incident):
    file = write_incident(
        {"service/__init__.py": "", "service/main.py": _MAIN},
        app={"python": library("raise_it = 1"), "path": ["."]},
        fixes={"shadow": {"patches": ["shadow.patch"]}},
    )
    text = "--- /dev/null\n+++ b/almanac.py\n@@ -0,0 +1,1 @@\n+print('of the application')\n"
    (file.parent / "shadow.patch").write_text(text)
    incident = load(file)
    with warm(incident):
        ran(incident, forked=False)
        assert ran(incident, forked=True).provenance["forked"]
        shadowed = ran(incident, forked=True, fix="shadow")
    assert "forked" not in shadowed.provenance
    assert "of the application" in shadowed.steps[0].output


def _fixes(file, names):
    for name in names:
        (file.parent / f"{name}.patch").write_text(
            f"--- /dev/null\n+++ b/service/{name}.py\n@@ -0,0 +1,1 @@\n+name = {name!r}\n"
        )


def test_where_the_build_as_it_is_shows_something_else_nothing_is_forked(write_incident, duplicate, monkeypatch):
    names = [f"fix{number}" for number in range(6)]
    main = "import sys\nprint('json' in sys.modules)\nimport json\n" + duplicate["service/main.py"].replace(
        "        ", ""
    )
    file = write_incident(
        {**duplicate, "service/main.py": main},
        app={"path": ["."]},
        fixes={name: {"patches": [f"{name}.patch"]} for name in names},
        expect={"table": "invoices"},
    )
    _fixes(file, names)
    kept = []
    monkeypatch.setattr(verification, "waiting", _noting(kept, verification.waiting))
    result = verify(load(file))
    assert {fix.verdict for fix in result.fixes} == {"does-not-cure"}
    assert not any("forked" in fix.trace.provenance for fix in result.fixes)
    assert kept[0].same is False
    assert [reason.partition(": output")[0] for reason in kept[0].reasons] == [
        "the build as it is shows something else when it is forked"
    ]


def _noting(kept, plain):
    @contextmanager
    def waiting(*args):
        with plain(*args) as incident:
            kept.append(incident._warm)
            yield incident

    return waiting


def test_what_cures_is_started_in_a_new_interpreter(write_incident, duplicate):
    names = [f"fix{number}" for number in range(6)]
    fixes = {name: {"patches": [f"{name}.patch"]} for name in names} | {"real": {"patches": ["real.patch"]}}
    file = write_incident(duplicate, app={"path": ["."]}, fixes=fixes, expect={"table": "invoices"})
    _fixes(file, names)
    patch = "--- a/service/main.py\n+++ b/service/main.py\n@@ -1,3 +1,2 @@\n \n from service import billing\n-from service import legacy\n"
    (file.parent / "real.patch").write_text(patch)
    result = verify(load(file))
    forked = {fix.name for fix in result.fixes if "forked" in fix.trace.provenance}
    assert result.verified == ("real",)
    assert forked and "real" not in forked


def test_a_run_goes_on_in_a_new_interpreter_when_the_one_that_waits_is_killed(write_incident, duplicate):
    incident = load(write_incident(duplicate, app={"path": ["."]}, expect={"table": "invoices"}))
    with warm(incident) as places:
        new = ran(incident, forked=False)
        assert ran(incident, forked=True).provenance["forked"]
        for place in places._free:
            for waiting in place.waiting.values():
                psutil.Process(waiting.pid).kill()
        again = ran(incident, forked=True)
    assert "forked" not in again.provenance
    assert difference(new, again) is None


def test_nothing_is_left_of_interpreters_that_waited(write_incident, duplicate):
    incident = load(write_incident(duplicate, app={"path": ["."]}, expect={"table": "invoices"}))
    with warm(incident) as places:
        attempt(incident)
        ran(incident, forked=True)
        folders = [place.folder for place in places._free]
        pids = [waiting.pid for place in places._free for waiting in place.waiting.values()]
        assert all(map(psutil.pid_exists, pids)) and pids
    assert not any(map(psutil.pid_exists, pids))
    assert not any(folder.exists() for folder in folders)
