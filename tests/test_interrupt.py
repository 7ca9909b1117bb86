"""Interrupted at a terminal: one line, exit 4, nothing left; and progress that says which of how many."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import psutil
import pytest
from browser import processes_of
from conftest import PROJECT, patch

SLOW = """
import subprocess, time
from service import billing
subprocess.Popen(["sleep", "600"])
time.sleep(600)
"""


@pytest.fixture
def slow(write_incident, duplicate):
    """An incident whose startup takes longer than anybody waits."""
    return write_incident(duplicate | {"service/main.py": SLOW}, limits={"seconds": 600})


class Terminal:
    """``python -m kit`` on a terminal of its own."""

    def __init__(self, tmp, *words):
        self.tmp, (self.ours, theirs) = tmp, pty.openpty()
        tmp.mkdir()
        self.said = ""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "kit", *map(str, words)],
            cwd=tmp.parent,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def wait_for(self, text: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while text not in self.said and self._read(end):
            pass
        assert text in self.said, self.said

    def _read(self, end: float) -> bool:
        if not select.select([self.ours], [], [], max(0, end - time.monotonic()))[0]:
            return False
        try:
            more = os.read(self.ours, 65536)
        except OSError:  # everybody has left the terminal
            return False
        self.said += more.decode("utf-8", "replace")
        return bool(more)

    def press_ctrl_c(self) -> None:
        os.write(self.ours, b"\x03")

    def end(self) -> int:
        while self._read(time.monotonic() + 120):
            pass
        os.close(self.ours)
        return self.process.wait(30)


@pytest.mark.parametrize(
    ("command", "times"),
    [
        pytest.param("reproduce", 1, marks=pytest.mark.slow),
        pytest.param("diagnose", 1, marks=pytest.mark.slow),
        ("verify", 1),
        pytest.param("verify", 3, marks=pytest.mark.slow),
        ("postmortem", 3),
    ],
)
def test_ctrl_c_ends_the_run_in_one_line_and_leaves_nothing(command, times, slow, tmp_path):
    terminal = Terminal(tmp_path / "tmp", command, slow)
    waiting = {"verify": "control: starting", "postmortem": "control: starting", "reproduce": "step 1"}
    terminal.wait_for(waiting.get(command, "starting the application"))
    end = time.monotonic() + 60
    while not processes_of(tmp_path / "tmp", "sleep") and time.monotonic() < end:
        time.sleep(0.05)
    for _ in range(times):
        terminal.press_ctrl_c()
        time.sleep(0.02)
    assert terminal.end() == 4
    last = terminal.said.replace("^C", "").strip().splitlines()
    assert last[-1] == "kit: interrupted; every process of the run has been ended"
    assert "Traceback" not in terminal.said and terminal.said.count("interrupted") == 1
    assert processes_of(tmp_path / "tmp", "sleep") == [] and list((tmp_path / "tmp").glob("incident-*")) == []
    assert not list(tmp_path.glob("results/*/*"))


def test_an_interrupt_does_not_stay(write_incident, duplicate, slow):
    """In one process: the run after an interrupted one is whole."""
    import threading

    from kit import load, reproduce
    from kit.base.errors import Interrupted

    before = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Interrupted):
        reproduce(load(slow))
    assert signal.getsignal(signal.SIGINT) is before
    ended = reproduce(load(write_incident(duplicate, folder="again")))
    assert len(ended.conflicts) == 1


def test_a_signal_that_wakes_nobody_is_heard_all_the_same(write_incident, duplicate):
    """As one that comes just before the main thread begins to wait: no thread's wait is cut short by it."""
    import threading

    from kit import load, reproduce
    from kit.base.errors import Interrupted

    def interrupt() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.kill(os.getpid(), signal.SIGINT)  # comes to this thread: the main thread takes none

    file = write_incident(duplicate | {"service/main.py": SLOW}, limits={"seconds": 20})
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        threading.Timer(2, interrupt).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            reproduce(load(file))
        assert time.monotonic() - began < 20, "it was heard only when the run had come to its own end"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_an_error_in_one_run_ends_the_others_and_does_not_stay(write_incident, duplicate):
    from concurrent.futures import ThreadPoolExecutor

    from kit import IncidentError, load, reproduce
    from kit.verify.verification import verify

    file = write_incident(duplicate, fixes={"wrong": {"patches": ["wrong.patch"]}})
    (file.parent / "wrong.patch").write_text(patch("service/main.py", "nothing of it", "x"))
    incident = load(file)
    with ThreadPoolExecutor(2) as pool, pytest.raises(IncidentError):
        verify(incident, executor=pool)
    assert len(reproduce(incident).conflicts) == 1


def test_progress_says_which_of_how_many_and_rewrites_no_line(kit, write_incident, duplicate, tmp_path):
    """Through papermill too: what the notebook's own line says comes to the terminal."""
    fixes = {name: {"patches": ["cure.patch"]} for name in ("one", "two")}
    file = write_incident(duplicate | {"service/main.py": "from service import (billing, legacy)\n"}, fixes=fixes)
    (file.parent / "cure.patch").write_text(
        patch("service/main.py", "from service import (billing, legacy)", "from service import billing")
    )
    said = kit("postmortem", file, "-o", tmp_path / "page").err
    assert "\r" not in said and all(line.startswith("kit: ") for line in said.splitlines())
    assert re.search(r"kit: fix 1 of 2, \w+: \d of \d checks pass, cures\n(.*\n)*kit: fix 2 of 2, ", said)
    assert re.search(r"kit: hypothesis 1 of \d+: ", said) and "kit: writing the page" in said


def started_at(process: int) -> float:
    """When it was started: a child has its parent's command line until it becomes a program of its own."""
    try:
        return psutil.Process(process).create_time()
    except psutil.NoSuchProcess:  # a child that has ended since
        return float("inf")


def test_what_a_kernel_showed_before_it_was_killed_is_on_the_page(slow, tmp_path):
    """As the kernel does where memory is short."""
    terminal = Terminal(tmp_path / "tmp", "postmortem", slow, "-o", tmp_path / "page")
    terminal.wait_for("control: starting")
    kernel, *_forked = sorted(processes_of(tmp_path / "tmp", "ipykernel_launcher"), key=started_at)
    os.kill(kernel, signal.SIGKILL)
    assert terminal.end() == 4 and "did not finish" in terminal.said and "Traceback" not in terminal.said
    cells = json.loads((tmp_path / "page.ipynb").read_text("utf-8"))["cells"]
    ran = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    html = (tmp_path / "page.html").read_text("utf-8")
    assert ran[0] == 1 and None in ran and "An incident" in html
    assert "cell 5 was running when its kernel ended. What follows is incomplete." in html.partition("<main")[0]
    assert not (tmp_path / "page.json").exists()
    assert processes_of(tmp_path / "tmp", "sleep") == [] and list((tmp_path / "tmp").glob("incident-*")) == []
