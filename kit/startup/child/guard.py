"""What every guard does: it starts a copy of the application and says whether the incident is back.

A guard that is given out is a header with the constants of its incident, and below it the text of this module, of
``guard_watch.py``, and, where migrations or a check are part of the incident, of ``ask_alembic.py`` and ``guard_migrations.py``, or of
``guard_check.py``. It runs without the kit, from Python 3.8 on.
"""

import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

INCIDENT = ""
ERROR = None
RECORDED = []
MARKER = ""
WORKDIR = "."
IMPORT_PATH = ["."]
ENVIRONMENT = {}
FROM_OUTSIDE = []
DATABASE_VARIABLE = "DATABASE_URL"
SCRATCH = "sqlite:///"
PREPARE = []
STARTUP = []
SECONDS = 60
# ---- below this line is the text of every guard


def passes(folder):
    """Assert that the startup, tried in an empty folder, does not show the incident."""
    __tracebackhide__ = True
    if "INCIDENT_GUARD_NOTES" in os.environ:
        return  # this is the startup of a guard, and one of its steps runs the tests
    wrong = look(Path(folder))
    if wrong:
        raise AssertionError(explained(wrong))


class Unprepared(AssertionError):
    """The steps before the startup failed, so that nothing was tried."""


def main():
    """Try the startup. With ``--json``, ``{prepared, right, back}`` is printed too: for programs, in place of the sentences."""
    wrong, why = [], None
    with tempfile.TemporaryDirectory() as folder:
        try:
            wrong = look(Path(folder))
        except Unprepared as error:
            why = str(error)
    if "--json" in sys.argv[1:]:
        back = any(fault["incident"] for fault in wrong)
        print(json.dumps({"prepared": why is None, "right": not wrong and why is None, "back": back}))
    sys.exit(why or (explained(wrong) if wrong else None))


def explained(wrong):
    """What is wrong, as a message: the incident itself first."""
    back = [fault for fault in wrong if fault["incident"]]
    gone = "The incident's error is gone, but the startup is not as it should be: "
    lines = [("The incident is back: " if back else gone) + INCIDENT]
    for fault in back + [fault for fault in wrong if not fault["incident"]]:
        lines.append("  " + fault["says"].replace("\n", "\n  "))
    lines += ["  recorded then: " + line for line in RECORDED]
    return "\n".join(lines + ["  The docstring of this file says what to do."])


AFTERWARDS = []  # functions that are asked when the startup is done: the Run in, sentences on what is wrong out


def look(folder):
    """Start a copy of the application in ``folder``; everything that is wrong, as ``[{incident, says}]``."""
    folder = folder.resolve()
    root = folder / "app"
    copy(find_root(), root, folder)
    for name in ("watch", "notes", "home"):
        (folder / name).mkdir()
    shutil.copyfile(os.path.abspath(__file__), str(folder / "watch" / "incident_guard.py"))
    (folder / "watch" / "sitecustomize.py").write_text("import incident_guard\nincident_guard.watch()\n")
    run = Run(root, SCRATCH + str(folder / "scratch.db"), folder)
    try:
        for steps in groups(PREPARE):
            if not run.step(steps):
                raise Unprepared("The guard could not prepare its startup: %s: %s" % (listed(steps), run.why))
        for note_file in (folder / "notes").iterdir():
            note_file.unlink()  # an earlier start is not judged
        run.printed = ""
        wrong = []
        for steps in groups(STARTUP):
            if not run.step(steps):
                wrong.append("%s failed: %s" % (listed(steps), run.why))
                break
        ended = [process for process, _ in run.servers if process.poll() is not None]
        wrong = wrong or ["the server ended by itself" for _ in ended]
        for ask in AFTERWARDS:
            wrong += ask(run)
    finally:
        run.end()
        shutil.rmtree(str(root), ignore_errors=True)
    return judged(folder / "notes", wrong, run.printed)


def judged(notes, wrong, printed):
    """What the notes of the processes, the steps' failures and what was printed say of the incident."""
    noted = [json.loads(line) for file in sorted(notes.iterdir()) for line in file.read_text().splitlines()]
    answers = []
    for refusal in unlike([fact for fact in noted if "refused" in fact]):
        answers.append({"incident": ERROR in refusal["refused"] if ERROR else True, "says": two_lines(refusal)})
    answers += [{"incident": bool(ERROR) and ERROR in sentence, "says": sentence} for sentence in wrong]
    if ERROR and ERROR in printed and not any(answer["incident"] for answer in answers):
        line = next(line for line in printed.splitlines() if ERROR.splitlines()[0] in line)
        answers.append({"incident": True, "says": "the startup went on, and printed: " + line.strip()})
    states = unlike([fact for fact in noted if "state" in fact])
    return answers + [{"incident": False, "says": fact["state"]} for fact in states]


def find_root():
    """The application's root: the nearest folder upwards that holds MARKER."""
    named = os.environ.get("INCIDENT_GUARD_ROOT")
    folders = [Path(named)] if named else list(Path(__file__).resolve().parents)
    for folder in folders:
        if (folder / MARKER).exists():
            return folder.resolve()
    raise AssertionError(
        "This guard did not find the application: no %s in %s. Set INCIDENT_GUARD_ROOT to the application's root, or, "
        "if that file has been moved, change MARKER." % (MARKER, " or ".join(str(folder) for folder in folders[:4]))
    )


def copy(source, target, never):
    """Copy the application, without version control, environments and caches."""
    known = {".git", ".hg", ".svn", ".tox", ".nox", "node_modules", "__pycache__"}
    known |= {".mypy_cache", ".pytest_cache", ".ruff_cache"}

    def left_out(folder, names):
        inside, others = (never, *never.parents), {name: Path(folder) / name for name in names}
        of_tools = {name for name, path in others.items() if name in known or (path / "pyvenv.cfg").exists()}
        return of_tools | {name for name, path in others.items() if path.resolve() in inside}

    shutil.copytree(str(source), str(target), symlinks=True, ignore=left_out)


def environment_of(root, url, folder):
    paths = [str(folder / "watch")] + [os.path.normpath(str(root / path)) for path in IMPORT_PATH]
    environment = {
        "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(paths),
        "INCIDENT_GUARD_NOTES": str(folder / "notes"),
        "INCIDENT_GUARD_APP": str(root),
    }
    environment.update(dict.fromkeys(("HOME", "TMPDIR"), str(folder / "home")))
    environment.update(LANG="C.UTF-8", LC_ALL="C.UTF-8", TZ="UTC")
    environment.update(PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", PYTHONHASHSEED="0")
    environment.update((name, value.replace("{database_url}", url)) for name, value in ENVIRONMENT.items())
    environment.update((name, os.environ.get(name, "not-set")) for name in FROM_OUTSIDE)
    environment[DATABASE_VARIABLE] = url
    return environment


def groups(steps):
    """Steps in order; consecutive import, call and code steps share one interpreter."""
    shared = ("import", "call", "code")
    together = []
    for kind, text in steps:
        if kind in shared and together and together[-1][-1][0] in shared:
            together[-1].append((kind, text))
        else:
            together.append([(kind, text)])
    return together


def listed(steps):
    return "; ".join("%s: %s" % step for step in steps)


class Run:
    """The processes of one startup; ``why`` says why the last step failed, ``printed`` is what all of them wrote."""

    def __init__(self, root, url, folder):
        self.workdir, self.url, self.folder = str(root / WORKDIR), url, folder
        self.environment = environment_of(root, url, folder)
        self.servers, self.why, self.printed, self.count, self.port = [], "", "", 0, None

    def step(self, steps):
        """Run the steps of one interpreter, a command, or a server until it answers. Did that go well?"""
        kind, text = steps[0]
        if kind == "serve":
            return self.serve(text)
        if kind == "command":
            return self.wait(*self.start(text), seconds=SECONDS)
        return self.call("run_steps(%r)" % steps, SECONDS * len(steps))

    def call(self, expression, seconds):
        """Run a function of this file in an interpreter of its own."""
        program = "import incident_guard\nincident_guard." + expression
        return self.wait(*self.start([sys.executable, "-c", program]), seconds=seconds)

    def wait(self, process, output, seconds):
        """Wait until a process has ended, or until only threads that never end are left of it. Did it do its work?"""
        until, finished = time.time() + seconds, self.folder / "notes" / ("finished-%d" % process.pid)
        late = True
        while process.poll() is None and time.time() < until:
            if late and finished.exists():
                late, until = False, min(until, time.time() + 2)
            time.sleep(0.02)
        code = process.poll()
        end(process, gently=False)  # with what it left behind
        self.read(output)
        if code is not None and code < 0:
            self.why = "ended by %s" % signal.Signals(-code).name
        if code is None and late:
            self.why = "still running after %s seconds" % seconds
        return not late if code is None else code == 0

    def serve(self, text):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process, output = self.start(text.replace("{port}", str(port)), PORT=str(port))
        self.servers.append((process, output))
        self.port = port
        until = time.time() + SECONDS
        while time.time() < until and process.poll() is None:
            if answers(port):
                return True
            time.sleep(0.1)
        self.why = "no answer after %s seconds" % SECONDS
        if process.poll() is not None:
            self.read(output)
        return False

    def start(self, command, **more):
        self.count += 1
        output = self.folder / ("output-%d" % self.count)
        if isinstance(command, str):
            command = self.words(command.replace("{database_url}", self.url))
        with output.open("wb") as to:
            environment = dict(self.environment, **more)
            options = {"cwd": self.workdir, "env": environment, "stdin": subprocess.DEVNULL, "start_new_session": True}
            return subprocess.Popen(command, stdout=to, stderr=subprocess.STDOUT, **options), output

    def words(self, text):
        words = shlex.split(text)
        if set(text) & set("|&;<>$`\n") or "=" in words[0]:
            return ["/bin/sh", "-c", text]
        if words[0] in ("python", "python3"):
            return [sys.executable] + words[1:]
        program = shutil.which(words[0], path=self.environment["PATH"])
        if program is None:
            where = (text, words[0], sys.executable)
            raise AssertionError("The guard cannot run %r: there is no program %s beside %s" % where)
        return [program] + words[1:]

    def read(self, output):
        text = output.read_bytes().decode("utf-8", "replace")
        self.printed += text
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        lines = [line for line in lines if not line.startswith("(Background on this error")]
        self.why = lines[-1] if lines else "it printed nothing"

    def end(self):
        for process, output in self.servers:
            end(process, gently=True)
            self.read(output)


def answers(port):
    """Does a server answer on this port? Silence on an open line counts too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        connection.getresponse().read(1)
    except ConnectionError:
        return False
    except (OSError, http.client.HTTPException):
        return True
    finally:
        connection.close()
    return True


def end(process, gently):
    """End a process with all that it started."""
    try:
        if gently and process.poll() is None:
            os.kill(process.pid, signal.SIGINT)
            process.wait(10)
    except (OSError, subprocess.TimeoutExpired):
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass
    process.wait()


def two_lines(refusal):
    if not refusal["first"]:
        return "%s\n  at %s by %s" % (refusal["refused"], refusal["second"], way_of(refusal))
    first, second = refusal["first"], refusal["second"]
    return "%s\n  first  %s\n  second %s by %s" % (refusal["refused"], first, second, way_of(refusal))


def way_of(refusal):
    return " -> ".join(refusal["way"][:-1]) or "the step itself"


def unlike(facts):
    """Each only once, in the order in which they came."""
    return list({json.dumps(fact, sort_keys=True): fact for fact in facts}.values())
