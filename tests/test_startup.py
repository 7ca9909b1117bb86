"""Running a startup: what goes wrong ends in order, is said plainly, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
from conftest import PROJECT
from environments import environment, interpreters

from kit.base.errors import IncidentError, RunBroke
from kit.diagnose.observation import look_at
from kit.incident.load import load
from kit.startup import checks
from kit.startup.run import reproduce, run_startup
from kit.startup.workspace import workspace

LIMITS = {"seconds": 3, "disk_mb": 30, "output_mb": 1}


def started(write_incident, source: str, **incident):
    """The trace of a service whose main module is ``source``."""
    incident.setdefault("limits", LIMITS)
    return reproduce(load(write_incident({"service/__init__.py": "", "service/main.py": source}, **incident)))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import time\ntime.sleep(60)", "still running after 3 seconds (limits.seconds)"),
        ("import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()", "still running after 3 seconds"),
        ("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)", "still running"),
        ("while True: print('x' * 9999)", "printed more than 1 MB (limits.output_mb)"),
        ("import os\nos._exit(0)", "the process ended in the middle of it (exit code 0)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("x = bytearray(900 << 20)", "out of memory at 700 MB (limits.memory_mb)"),
        ("for n in range(99):\n    open(f'big{n}', 'wb').write(os.urandom(5 << 20)) if n else __import__('os')", None),
    ],
)  # fmt: skip
def test_a_run_that_breaks_says_why_and_keeps_what_was_seen(source, why, write_incident):
    source = "import os\n" + source
    trace = started(write_incident, source, limits={**LIMITS, "memory_mb": 700})
    assert why is None or why in str(trace.broke)
    assert [one.module for one in trace.imports if one.application] == ["service", "service.main"]


def test_a_startup_that_fills_the_disk_is_ended(write_incident):
    trace = started(
        write_incident,
        "for n in range(999):\n    open(f'big{n}', 'wb').write(bytes(range(256)) * (4 << 10))\n    __import__('time').sleep(0.01)",
    )
    assert "wrote more than 30 MB (limits.disk_mb)" in str(trace.broke)


def test_binary_output_is_kept_as_text(write_incident):
    trace = started(write_incident, "import sys\nsys.stdout.buffer.write(bytes(range(256)))")
    assert trace.steps[0].ok and "\ufffd" in trace.steps[0].output


def test_a_daemon_that_the_application_leaves_is_gone_afterwards(write_incident):
    source = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print("daemon", os.getpid(), flush=True)
                time.sleep(60)
            os._exit(0)
        time.sleep(0.5)
    """
    trace = started(write_incident, source)
    assert trace.steps[0].ok
    pid = int(re.search(r"daemon (\d+)", trace.steps[0].output)[1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_threads_that_never_end_do_not_fail_a_startup_that_is_done(write_incident):
    trace = started(write_incident, "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()")
    assert trace.steps[0].ok and not trace.broke


def test_the_workspace_is_removed_whatever_happens(write_incident, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "work"))
    (tmp_path / "work").mkdir()
    started(write_incident, "import os\nos.mkdir('kept', 0o500)\nos.chmod('.', 0o500)\nos._exit(1)")
    assert list((tmp_path / "work").iterdir()) == []


def test_the_applications_own_folder_is_not_touched(write_incident):
    file = write_incident(
        {
            "service/__init__.py": "",
            "service/main.py": "open('new', 'w').write('x')\nopen('service/main.py', 'a').write('#')",
        }
    )
    before = {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()}
    trace = reproduce(load(file))
    assert trace.steps[0].ok
    assert {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()} == before


def test_links_never_lead_back_into_the_original(write_incident, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "note.txt").write_text("mine")
    file = write_incident(
        {
            "service/__init__.py": "",
            "service/main.py": "for p in ('direct.txt', 'folder/note.txt', 'service/own.txt'):\n    open(p, 'w').write('yours')",
            "own.txt": "mine",
        }
    )
    root = file.parent / "app"
    (root / "direct.txt").symlink_to(tmp_path / "outside" / "note.txt")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "service" / "own.txt").symlink_to(root / "own.txt")
    assert reproduce(load(file)).steps[0].ok
    assert (tmp_path / "outside" / "note.txt").read_text() == "mine"
    assert (root / "own.txt").read_text() == "mine"


def test_a_settings_file_that_a_step_names_by_a_variable_is_one_of_its_files(write_incident):
    files = {"service/__init__.py": "", "service/main.py": "", "conf/store.ini": "[store]\n"}
    startup, app = [{"command": "python -m service.main ${STORE}/store.ini"}], {"env": {"STORE": "conf"}}
    assert look_at(load(write_incident(files, startup=startup, app=app))).scripts == {"conf/store.ini": "[store]\n"}


_FINDER = """
import sys
from importlib.util import spec_from_file_location

MAPPING = {'service': %r}


class Finder:
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, MAPPING[name] + '/__init__.py') if name in MAPPING else None


sys.meta_path.append(Finder)
"""


_RAISES = "raise RuntimeError(__file__)"


@pytest.mark.parametrize("link", ["path", "finder"])
def test_what_is_installed_as_a_link_to_the_application_is_its_copy(link, write_incident, tmp_path):
    """As ``pip install -e`` and ``uv sync`` do. Else no patch would change what runs."""
    files = {"src/service/__init__.py": "# it\n", "src/service/main.py": f"{_RAISES}\n"}
    file = write_incident(files, app={"path": [], "python": str(tmp_path / "env" / "bin" / "python")})
    venv.create(tmp_path / "env", symlinks=True)
    packages = next((tmp_path / "env").glob("lib/*/site-packages"))
    source = file.parent / "app" / "src"
    (packages / "__editable___service_finder.py").write_text(_FINDER % str(source / "service"))
    (packages / "service.pth").write_text(f"{source}\n" if link == "path" else "import __editable___service_finder\n")
    error = reproduce(load(file)).steps[0].exception
    assert (error.frames[-1].file, error.frames[-1].application) == ("src/service/main.py", True)
    assert str(source) not in str(error)
    # Nor does the folder itself come in where a build lacks the package, as an older commit may.
    remove = "--- a/src/service/{0}\n+++ /dev/null\n@@ -1 +0,0 @@\n-{1}\n"
    patch = file.with_name("remove.patch")
    patch.write_text("".join(remove.format(*it) for it in (("__init__.py", "# it"), ("main.py", _RAISES))))
    error = reproduce(load(file), patches=[patch]).steps[0].error
    assert error.startswith("ModuleNotFoundError" if link == "path" else "FileNotFoundError")


def test_the_environment_holds_nothing_of_the_callers(write_incident, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://prod:secret@db/prod")
    trace = started(
        write_incident, "import os\nprint(dict(os.environ))", app={"env": {"LEVEL": "INFO", "OTHER": "{database_url}"}}
    )
    assert "hunter2" not in trace.steps[0].output and "prod" not in trace.steps[0].output
    assert "'LEVEL': 'INFO'" in trace.steps[0].output
    assert trace.steps[0].output.count("sqlite:///") == 2


def test_steps_share_one_interpreter_and_stop_at_the_first_failure(write_incident):
    steps = [
        {"import": "service.main"},
        {"code": "import sys; sys.mark = 1"},
        {"code": "import sys; assert sys.mark == 1"},
        {"call": "service.main:go"},
        {"import": "service.gone"},
        {"code": "pass"},
    ]
    trace = started(write_incident, "async def go(): print('gone async')", startup=steps)
    assert [step.ok for step in trace.steps] == [True, True, True, True, False, None]
    assert "gone async" in trace.steps[0].output
    assert trace.steps[4].error == "ModuleNotFoundError: No module named 'service.gone'"


def test_prepare_runs_on_the_same_scratch_database_and_must_succeed(write_incident):
    store = "import os, sqlite3\ndb = sqlite3.connect(os.environ['DATABASE_URL'][10:])\n"
    files = {
        "service/__init__.py": "",
        "service/main.py": store + "assert db.execute('select 1 from t').fetchall() == []",
    }
    file = write_incident(files, prepare=[{"code": store.replace("\n", ";") + "db.execute('create table t (a)')"}])
    assert reproduce(load(file)).steps[0].ok
    with pytest.raises(RunBroke, match="prepare 1: code: 1/0: it failed"):
        reproduce(load(write_incident(files, folder="other", prepare=[{"code": "1/0"}])))


def test_an_interpreter_without_sqlalchemy_is_named(write_incident):
    python = environment(interpreters().get((3, 11), sys.executable))
    trace = started(write_incident, "import sqlalchemy", app={"python": python})
    assert "has no SQLAlchemy. Name the python of the application's own environment in app.python" in str(trace.broke)


def test_a_command_that_is_not_there_is_named(write_incident):
    with pytest.raises(RunBroke, match="there is no program 'no-such-program'"):
        started(write_incident, "", startup=[{"command": "no-such-program --go"}])


def test_a_served_application_is_asked_on_its_port_and_ended(write_incident):
    source = """
        import http.server, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200); self.end_headers(); self.wfile.write(b"up")
        if __name__ == "__main__":
            http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """
    asked = []
    file = write_incident(
        {"service/__init__.py": "", "service/main.py": source}, startup=[{"serve": "python -m service.main {port}"}]
    )
    trace = reproduce(load(file), while_up=lambda space, port: asked.append(port))
    assert trace.steps[0].ok and asked[0] > 0 and not trace.broke


@pytest.mark.parametrize("by_itself", [False, True])
def test_a_server_that_the_kit_ends_runs_its_exit_handlers_and_is_not_taken_apart(by_itself, write_incident):
    """Taking an interpreter apart is a quarter of a server's processor; of one that ends by itself it may be what is wrong."""
    source = f"""
        import atexit, http.server, pathlib, sys
        class Left:
            def __del__(self, mark=pathlib.Path("taken-apart").touch):
                mark()
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200); self.end_headers(); self.wfile.write(b"up")
        if __name__ == "__main__":
            left = Left()
            atexit.register(pathlib.Path("handled").touch)
            server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
            server.handle_request() if {by_itself} else server.serve_forever()
    """
    incident = load(
        write_incident(
            {"service/__init__.py": "", "service/main.py": source}, startup=[{"serve": "python -m service.main {port}"}]
        )
    )
    with workspace(incident) as space:
        trace = run_startup(incident, space, judge=True)
        left = {name for name in ("handled", "taken-apart") if (space.workdir / name).exists()}
    assert left == ({"handled", "taken-apart"} if by_itself else {"handled"})
    assert trace.steps[0].ok is not by_itself


def test_a_question_to_alembic_waits_for_threads_and_exit_handlers_and_is_not_taken_apart(tmp_path):
    child = PROJECT / "kit" / "startup" / "child"
    code = f"""if True:
        import atexit, pathlib, sys, threading, time
        sys.path.insert(0, {str(child)!r})
        import ask_alembic
        class Left:
            def __del__(self, mark=pathlib.Path("taken-apart").touch):
                mark()
        left = Left()
        atexit.register(pathlib.Path("handled").touch)
        threading.Thread(target=lambda: (time.sleep(0.2), pathlib.Path("threaded").touch())).start()
        print("printed", end="")
        ask_alembic.end()
    """
    ran = subprocess.run([sys.executable, "-u", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "printed", "")
    assert {path.name for path in tmp_path.iterdir()} == {"handled", "threaded"}


@pytest.mark.parametrize("status", [500, 404])
def test_what_a_server_prints_after_an_answer_is_waited_for_where_it_failed_in_giving_it(
    status, write_incident, monkeypatch
):
    source = f"""
        import http.server, sys, time
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response({status}); self.end_headers()
                if self.path == "/page":
                    self.wfile.write(b"x"); time.sleep(0.2)
                    raise RuntimeError("no rates")
        if __name__ == "__main__":
            http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """
    waited, wait = [], checks.until_printed
    monkeypatch.setattr(checks, "until_printed", lambda traces: (waited.append(traces), wait(traces)))
    file = write_incident(
        {"service/__init__.py": "", "service/main.py": source},
        startup=[{"serve": "python -m service.main {port}"}],
        checks=[{"http": {"path": "/page", "status": 200}}],
    )
    (page,) = look_at(load(file), checks=True).checks
    assert not page.ok and len(waited) == (status >= 500)
    assert "the server printed: RuntimeError: no rates" in page.seen or not waited


def test_a_server_that_speaks_no_http_is_up_when_it_answers(write_incident):
    """On a port that the system gives to nobody else who asks for any."""
    source = """
        import socket, sys
        if __name__ == "__main__":
            server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
            while True:
                with server.accept()[0] as line:
                    line.sendall(bytes([255]) + bytes(8) + bytes([1, 127]))
    """
    asked = []
    file = write_incident(
        {"service/__init__.py": "", "service/main.py": source}, startup=[{"serve": "python -m service.main {port}"}]
    )
    trace = reproduce(load(file), while_up=lambda space, port: asked.append(port))
    assert trace.steps[0].ok and not trace.broke
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    assert 10_000 <= asked[0] < (int(given.read_text().split()[0]) if given.exists() else 32_768)


def test_a_patch_that_does_not_apply_names_the_patch_and_the_reason(write_incident, duplicate, tmp_path):
    file = write_incident(duplicate)
    patch = tmp_path / "wrong.patch"
    patch.write_text("--- a/service/main.py\n+++ b/service/main.py\n@@ -1,1 +1,1 @@\n-nothing like it\n+new\n")
    with pytest.raises(IncidentError, match="wrong.patch: the patch does not apply .*patch failed: service/main.py:1"):
        reproduce(load(file), patches=[patch])


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/incident-outside.txt"])
def test_a_patch_cannot_write_outside_the_workspace(name, write_incident, duplicate, tmp_path):
    file = write_incident(duplicate)
    patch = tmp_path / "evil.patch"
    patch.write_text(f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,1 @@\n+written\n")
    with pytest.raises(IncidentError, match="does not apply"):
        reproduce(load(file), patches=[patch])
    assert not Path("/tmp/incident-outside.txt").exists()


def test_a_commit_of_a_repository_is_started_and_the_repository_stays_as_it_is(write_incident, duplicate, tmp_path):
    file = write_incident({f"backend/{name}": text for name, text in duplicate.items()})
    repository = file.parent / "app"

    def git(*words):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        return subprocess.run(
            ["git", *identity, "-C", repository, *words], check=True, capture_output=True, text=True
        ).stdout

    git("init", "--quiet"), git("add", "."), git("commit", "--quiet", "-m", "one")
    (repository / "backend/service/main.py").write_text("nothing = 1")
    before = git("status", "--porcelain"), git("rev-parse", "HEAD"), (repository / ".git/index").read_bytes()
    file.write_text(file.read_text().replace("root: app", "repository: app\n  subdir: backend"))
    trace = reproduce(load(file))
    assert [one.table for one in trace.conflicts] == ["invoices"]
    assert (git("status", "--porcelain"), git("rev-parse", "HEAD"), (repository / ".git/index").read_bytes()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
@pytest.mark.parametrize("command", ["reproduce", "diagnose"])
def test_an_interrupted_run_ends_soon_and_leaves_no_process(number, command, write_incident, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work"))
    (tmp_path / "work").mkdir()
    seconds = f"61.{os.getpid()}{number:d}{len(command)}"  # a command line of its own
    source = f"import subprocess\nsubprocess.run(['sleep', '{seconds}'])"
    file = write_incident({"service/__init__.py": "", "service/main.py": source})
    running = subprocess.Popen(
        [sys.executable, "-m", "kit", command, str(file)], cwd=PROJECT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not sleeping(seconds) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sleeping(seconds)
    running.send_signal(number)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 4 and "interrupted" in said
    assert not sleeping(seconds) and list((tmp_path / "work").glob("incident-*")) == []


def sleeping(seconds: str) -> bool:
    """Does a process sleep for just so long?"""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                return True
        except OSError:
            continue
    return False


def test_where_the_interpreters_environment_lies_is_shown_nowhere(kit, write_incident):
    """A traceback names the console script that began, as ``File "…/bin/flask"``."""
    python = environment(interpreters()[max(interpreters())])
    place = Path(python).parent.parent
    source = "import os, sys\nraise RuntimeError(os.path.join(sys.prefix, 'bin', 'flask'))\n"
    file = write_incident({"service/__init__.py": "", "service/main.py": source}, app={"python": python})
    said = kit("reproduce", file, "--json")
    assert str(place) not in said.out + said.err and "…/bin/flask" in said.json["steps"][0]["error"]
