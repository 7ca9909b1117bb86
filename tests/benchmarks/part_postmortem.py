"""The whole postmortem of the bundled incident, and the notebook's own share of it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import PROJECT
from measuring import Row, as_a_person
from part_verify import INCIDENT, plain_startups

from kit.base.interrupt import cores
from kit.incident.load import load
from kit.incident.model import Incident

PAIRS = 3


def measure() -> dict[str, Row]:
    incident = load(INCIDENT)
    others = len(incident.fixes) + 2  # Alembic is asked once a fix, and twice of the build as it is, which failed
    ratios, own, all_of_it = [], [], []
    for number in range(PAIRS):
        if number % 2:
            plain = plain_wall(incident, startups)  # noqa: F821 - as many as in the pair before
            wall, cpu, _ = noted([*_POSTMORTEM, "-o", "OUTPUT"])
        else:
            wall, cpu, started = noted([*_POSTMORTEM, "-o", "OUTPUT"])
            startups = started - others
            plain = plain_wall(incident, startups)
        ratios.append(wall / plain)
        own.append(cpu - noted(_INVESTIGATION)[1])
        all_of_it.append(cpu)
    said = f"wall of the postmortem, over its startups as plain commands, {cores()} at a time"
    return {
        "postmortem_ratio": Row(said, ratios, limit=1.5),
        "postmortem_own_cpu_s": Row(
            "CPU of the postmortem beyond what the same startups and verdicts take without a notebook",
            own,
            unit="s",
            limit=5,
        ),
        "postmortem_kit_cpu_s": Row("CPU of the postmortem that no child took", all_of_it, unit="s"),
    }


_POSTMORTEM = [sys.executable, "-m", "kit", "postmortem", str(INCIDENT)]
_CODE = "import sys; from kit import load; from kit.investigate import investigate; investigate(load(sys.argv[1]))"
_INVESTIGATION = [sys.executable, "-c", _CODE, str(INCIDENT)]


def plain_wall(incident: Incident, startups: int) -> float:
    """Seconds of these startups, one a core: each fix and the broken build with its Alembic check, the rest alone."""
    checked = [None, *incident.fixes]
    return plain_startups(incident, [*checked, *[None] * (startups - len(checked))], len(checked), cores())


def noted(command: list[str]) -> tuple[float, float, int]:
    """Seconds of wall; seconds of CPU that the kit's own processes took; how many of the application they started."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "site").mkdir()
        (Path(folder) / "site" / "sitecustomize.py").write_text(_HOOK)
        environment = {
            **as_a_person(),
            "XDG_CACHE_HOME": f"{folder}/cache",  # no result of an earlier search
            "PYTHONPATH": os.pathsep.join([f"{folder}/site", str(PROJECT)]),
            "BENCH_NOTES": f"{folder}/notes",
        }
        command = [f"{folder}/postmortem" if word == "OUTPUT" else word for word in command]
        began = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        wall = time.monotonic() - began
        notes = [json.loads(line) for line in Path(folder, "notes").read_text().splitlines()]
    return wall, sum(one["cpu"] for one in notes), sum(one["started"] for one in notes)


# In the kit's process and in its kernel, and not in what they start, whose environment is another: what each took itself
# when it ended, without its children; and how many processes of the application it began.
_HOOK = """
import atexit, json, os, resource, sys
if os.environ.get("BENCH_NOTES"):
    started = []
    def hear(event, given):
        if event == "subprocess.Popen" and "supervisor.py" in repr(given[1]):
            started.append(1)
    def note():
        used = resource.getrusage(resource.RUSAGE_SELF)
        with open(os.environ["BENCH_NOTES"], "a") as file:
            file.write(json.dumps({"cpu": used.ru_utime + used.ru_stime, "started": len(started)}) + "\\n")
    sys.addaudithook(hear)
    atexit.register(note)
"""
