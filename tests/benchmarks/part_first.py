"""How long a person waits: for the first answer, and for the whole of ``diagnose``, over plain startups of the bundled incident.

The first answer is the line that names the table, the mechanism and both sites. Plain is the server's own command in a fresh
copy until it answers. And an application of real size: what reading, starting and judging it take.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import part_page
from bench import PROJECT
from generated import write_application
from measuring import Row, Used, as_a_person, own_cpu, used
from part_verify import INCIDENT, fresh_copy, served

from kit.incident.load import load

PAIRS = 3
COMMANDS = "reproduce", "diagnose", "postmortem"
MODULES, TABLES, EDGES = 4_000, 1_000, 16_000
READ = 1_653  # modules of the application that `new` reads


def measure() -> dict[str, Row]:
    answers = {command: [] for command in COMMANDS}
    beyond, startups, processor = {command: [] for command in COMMANDS}, [], []
    for _ in range(PAIRS):
        for command in COMMANDS:
            before = own_cpu()
            plain = plain_startup()
            between = own_cpu()
            first, whole = answered(command)
            answers[command].append(first / plain)
            beyond[command].append(first - 1.2 * plain)
            if command == "diagnose":
                startups.append(whole / plain)
                processor.append((own_cpu() - between) / (between - before))
    rows = {}
    for command in COMMANDS:
        what = f"{command}: wall until the first answer"
        rows[f"first_answer_{command}_ratio"] = Row(f"{what}, over a plain startup", answers[command])
        rows[f"first_answer_{command}_s"] = Row(f"{what}, less 1.2 plain startups", beyond[command], "s", 1)
    rows["diagnose_ratio"] = Row("diagnose: its whole wall, over a plain startup", startups, limit=4)
    rows["diagnose_cpu_ratio"] = Row("diagnose: its processor, over a plain startup's", processor)
    return rows | _real_size()


def plain_startup() -> float:
    """Seconds of wall until the server's plain command, in a fresh copy, answers."""
    with tempfile.TemporaryDirectory() as folder:
        root, environment = fresh_copy(load(INCIDENT), None, Path(folder))
        began = time.monotonic()
        with served(root, environment):
            return time.monotonic() - began


def answered(command: str) -> tuple[float, float]:
    """Seconds of wall until the command names both sites, and until it ends; of ``postmortem`` the first only."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "kit", command, str(INCIDENT), *_more(command, folder)]
        began, first = time.monotonic(), None
        environment = {**as_a_person(), "KIT_NO_CACHE": "1", "XDG_CACHE_HOME": f"{folder}/cache"}
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(words, cwd=PROJECT, env=environment, text=True, **both) as process:
            for line in process.stdout:
                if first is None and "second app/models_domain.py:36" in line:
                    first = time.monotonic() - began
                    if command == "postmortem":
                        process.terminate()
        assert first is not None, command
        return first, time.monotonic() - began


def _more(command: str, folder: str) -> list[str]:
    return ["-o", f"{folder}/page.html"] if command == "postmortem" else []


def _real_size() -> dict[str, Row]:
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        application = str(_application(folder / "read", READ))
        started = "--startup", "import gen.main"  # nothing in the generated sources says how it is started
        read = _kit("new", f"{folder}/new", "--app", application, *started, "--read-only", folder=folder)
        file = part_page.write_incident(folder / "large", MODULES, TABLES, EDGES)
        large = {command: _kit(command, str(file), folder=folder) for command in ("reproduce", "diagnose")}
    size = f"{MODULES:,} modules and {TABLES:,} tables"
    rows = {"new_reading_s": Row(f"new --read-only of {READ:,} modules: processor", [read.cpu], "s", 10)}
    for command, taken in large.items():
        rows[f"large_{command}_mb"] = Row(f"{command} of {size}: peak memory of any process", [taken.peak], "MB", 1000)
        rows[f"large_{command}_cpu_s"] = Row(f"{command} of {size}: processor, startups included", [taken.cpu], "s")
    return rows


def _application(folder: Path, modules: int) -> Path:
    write_application(folder, modules, modules // 10, modules * 4)
    return folder


def _kit(*words: str, folder: Path) -> Used:
    environment = {
        **as_a_person(),
        "KIT_NO_CACHE": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(PROJECT),
    }
    return used([sys.executable, "-m", "kit", *words], environment, PROJECT, (0, 3))
