"""Killed at any moment, the kit leaves nothing behind, and running again just works.

``KILLS=500 pytest tests/test_killed.py -k moments`` tries more moments than the suite does.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from conftest import PROJECT

from kit.base.janitor import folder, remove, write_whole

KILLS = int(os.environ.get("KILLS", "16"))
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
pytestmark = linux

ONE_CLASS = """\
--- a/service/main.py
+++ b/service/main.py
@@ -1,3 +1,2 @@

 from service import billing
-from service import legacy
"""


class Machine:
    """What a run may leave: its temporary folder, its home, its results, and processes that know its mark."""

    def __init__(self, base: Path, incident: Path):
        self.base, self.incident, self.mark = base, incident, f"MARK_{os.getpid()}_{time.monotonic_ns()}"
        for name in ("temporary", "home", "results"):
            (base / name).mkdir()
        content = json.loads(incident.read_text())
        content["app"]["env"] = {self.mark: "1"}
        incident.write_text(json.dumps(content))

    def start(self, *words, **named) -> subprocess.Popen:
        environment = {
            **os.environ,
            self.mark: "1",
            "PYTHONPATH": str(PROJECT),
            "TMPDIR": str(self.base / "temporary"),
            "HOME": str(self.base / "home"),
        }
        command = [sys.executable, "-m", "kit", *map(str, words)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, start_new_session=True, **streams, **named)

    def run(self, *words) -> tuple[int, str]:
        with self.start(*words) as running:
            said = running.communicate(timeout=300)
        assert "Traceback" not in said[1], said[1]
        return running.returncode, said[0] + said[1]

    def processes(self, word: str = "") -> list[int]:
        """Living processes of the run, by its mark; those only whose command line holds ``word``."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                living = (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()[0] not in b"ZX"
                marked = living and self.mark.encode() in (entry / "environ").read_bytes()
                if marked and word.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def left(self) -> list[str]:
        """What is there after a run, once everything that can clear up has had its time."""
        until = time.monotonic() + 90
        while time.monotonic() < until:
            found = [f"process {pid}" for pid in self.processes()]
            found += [str(path.relative_to(self.base)) for path in (self.base / "temporary").iterdir()]
            if not found:
                break
            time.sleep(0.05)
        return found + [path.name for path in (self.base / "results").iterdir() if path.name.startswith(".")]

    def up(self, running: subprocess.Popen) -> None:
        """Wait until both processes of the application are there."""
        while len(self.processes("_incident_steps")) < 2:
            assert running.poll() is None, running.communicate()
            time.sleep(0.02)


@pytest.fixture
def machine(tmp_path, write_incident, duplicate):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "one-class.patch").write_text(ONE_CLASS)
    file = write_incident(
        duplicate,
        expect={"error": "is already defined", "table": "invoices"},
        fixes={"one-class": {"patches": ["one-class.patch"]}},
        checks=[{"mappers": True}, {"clean_start": True}],
    )
    return Machine(tmp_path / "case", as_json(file))


@pytest.fixture
def waiting(tmp_path, write_incident):
    """An application that never comes to its end, with a child that has left its group."""
    source = "import os, time\nif not os.fork():\n    os.setsid()\n    time.sleep(600)\ntime.sleep(600)"
    files = {"service/__init__.py": "", "service/main.py": source}
    return Machine(tmp_path / "waiting", as_json(write_incident(files, folder="waiting", limits={"seconds": 500})))


def as_json(file: Path) -> Path:
    """JSON is YAML, and the machine writes its mark into it."""
    import yaml

    file.write_text(json.dumps(yaml.safe_load(file.read_text())))
    return file


WHO = {
    "the kit": lambda m, kit: [kit.pid],
    "the kit's whole group": lambda m, kit: [-kit.pid],
    "the kit and its janitor": lambda m, kit: [kit.pid, *m.processes("janitor.py")],
    "the kit and its supervisor": lambda m, kit: [kit.pid, *m.processes("supervisor.py")],
    "the kit, its supervisor and its janitor": lambda m, kit: [
        kit.pid,
        *m.processes("supervisor.py"),
        *m.processes("janitor.py"),
    ],
}


@pytest.mark.attempt("leftovers")
@pytest.mark.parametrize(
    "who", ["the kit", *(pytest.param(who, marks=pytest.mark.slow) for who in WHO if who != "the kit")]
)
def test_whoever_is_killed_nothing_is_left(who, waiting):
    with waiting.start("reproduce", waiting.incident) as running:
        waiting.up(running)
        for pid in WHO[who](waiting, running):
            (os.killpg if pid < 0 else os.kill)(abs(pid), signal.SIGKILL)
    if "janitor" in who:  # nobody is there who could clear up: the next run does
        waiting.run("reproduce", PROJECT / "tests" / "applications" / "healthy-second-import")
    assert waiting.left() == []


@pytest.mark.slow
@pytest.mark.attempt("leftovers")
def test_a_run_whose_supervisor_is_killed_says_so_and_leaves_nothing(waiting):
    with waiting.start("reproduce", waiting.incident) as running:
        waiting.up(running)
        for pid in waiting.processes("supervisor.py"):
            os.kill(pid, signal.SIGKILL)
        out, _ = running.communicate(timeout=90)
    assert running.returncode == 4 and "the run broke: import: service.main: its supervisor was killed" in out
    assert waiting.left() == []


@pytest.mark.attempt("leftovers")
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
    ids=lambda n: n.name,
)
def test_asked_to_end_it_ends_in_order(number, waiting):
    with waiting.start("reproduce", waiting.incident) as running:
        waiting.up(running)
        os.kill(running.pid, number)
        _, said = running.communicate(timeout=90)
    assert running.returncode == 4 and "interrupted" in said and "Traceback" not in said
    assert waiting.left() == []


@pytest.mark.slow
@pytest.mark.attempt("leftovers")
def test_killed_at_random_moments_nothing_is_left_and_running_again_just_works(machine, tried):
    began = time.monotonic()
    code, said = machine.run("verify", machine.incident)
    whole = time.monotonic() - began
    assert code == 0 and machine.left() == [], said
    moments = random.Random(7)
    for number in range(KILLS):
        with machine.start("verify", machine.incident) as running:
            time.sleep(moments.uniform(0, whole))
            target = moments.choice([running.pid] * 4 + [-running.pid])
            (os.killpg if target < 0 else os.kill)(abs(target), signal.SIGKILL)
        assert machine.left() == [], f"after kill {number} of {KILLS}"
    tried("SIGKILL at a random moment of verify", times=KILLS)
    assert machine.run("verify", machine.incident)[0] == 0


@pytest.mark.slow
@pytest.mark.attempt("leftovers")
def test_killed_while_the_interpreter_compiles_the_probe_nothing_is_left(machine):
    slow = machine.base / "python"
    # Python makes the folder for the bytecode anew, with all above it: here late enough to be seen.
    late = 'for last; do :; done; sleep 2; mkdir -p "$(dirname "$last")/__pycache__"'
    asked = f'case "$*" in *py_compile*) {late};; *print\\(sys.executable*) echo "$0"; exit;; esac'
    slow.write_text(f'#!/bin/sh\n{asked}\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    content = json.loads(machine.incident.read_text())
    content["app"]["python"] = str(slow)
    machine.incident.write_text(json.dumps(content))
    with machine.start("verify", machine.incident) as running:
        while not list(machine.base.glob("temporary/*/sitecustomize.py")):
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)
        time.sleep(0.3)
        running.kill()
    time.sleep(3)  # what still wrote would have written by now
    assert machine.left() == []


@pytest.mark.attempt("leftovers")
def test_a_postmortem_killed_half_way_leaves_no_page_that_looks_whole(waiting):
    page = waiting.base / "results" / "page.html"
    page.write_text("of an earlier run")
    with waiting.start("postmortem", waiting.incident, "-o", page) as running:
        waiting.up(running)
        running.kill()
    assert waiting.left() == [] and list(page.parent.iterdir()) == []


@pytest.mark.slow
def test_two_runs_at_once_do_not_disturb_each_other(machine, waiting):
    """One of them is killed meanwhile."""
    with waiting.start("reproduce", waiting.incident) as killed:
        waiting.up(killed)
        with machine.start("verify", machine.incident) as running:
            time.sleep(0.5)
            killed.kill()
            out, _ = running.communicate(timeout=180)
    assert running.returncode == 0 and "one-class: cures" in out
    assert machine.left() == []


def test_a_folder_that_somebody_else_made_is_not_swept_away(tmp_path, monkeypatch):
    theirs = tmp_path / "incident-0123456789abcdef"
    theirs.mkdir()
    (theirs / "notes.txt").write_text("mine")
    empty = Path(tempfile.mkdtemp(prefix="incident-", dir=tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    source = "from kit.base.janitor import folder\nwith folder(): pass"
    subprocess.run([sys.executable, "-c", source], env=environment, check=True)
    with folder() as own:
        subprocess.run([sys.executable, "-c", source], env=environment, check=True)
        assert own.is_dir(), "held by a run that is under way"
    assert set(tmp_path.iterdir()) == {theirs, empty}


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    write_whole(target, "first")
    full = OSError("No space left on device")
    monkeypatch.setattr("kit.base.janitor.os.replace", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match="No space"):
        write_whole(target, "second")
    assert target.read_text() == "first" and [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_removing_what_is_not_there_does_not_touch_the_folder_around_it(tmp_path):
    tmp_path.chmod(0o1777)
    remove(tmp_path / "gone")
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777
