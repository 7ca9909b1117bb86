"""The whole postmortem of the bundled incident, and the notebook's own share of it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import PROJECT
from measuring import Row
from part_verify import INCIDENT, plain_startups

from kit.incident import Incident, load
from kit.interrupt import cores

PAIRS = 3


def measure() -> dict[str, Row]:
    incident = load(INCIDENT)
    ratios, own = [], []
    startups = len(incident.fixes) + 4
    for number in range(PAIRS):
        if number % 2:
            wall, cpu, startups = postmortem(len(incident.fixes) + 3)
            plain = plain_wall(incident, startups)
        else:  # as many as the last one, which is always the same
            plain = plain_wall(incident, startups)
            before, (wall, cpu, startups) = startups, postmortem(len(incident.fixes) + 3)
            if startups != before:
                plain = plain_wall(incident, startups)
        ratios.append(wall / plain)
        own.append(cpu)
    said = f"wall of the postmortem, over its startups as plain commands, {cores()} at a time"
    return {
        "postmortem_ratio": Row(said, ratios, limit=1.5),
        "postmortem_own_cpu_s": Row("CPU of the kernel, papermill and the page", own, unit="s", limit=5),
    }


def plain_wall(incident: Incident, startups: int) -> float:
    """Seconds of these startups, one a core: each fix and the broken build with its Alembic check, the rest alone."""
    checked = [None, *incident.fixes]
    return plain_startups(incident, [*checked, *[None] * (startups - len(checked))], len(checked), cores())


def postmortem(others: int) -> tuple[float, float, int]:
    """Seconds of wall; seconds of CPU that the kit's own process and its kernel took; how many startups there were.

    :param others: processes of the application that are no startups: Alembic is asked once a fix and the control, and
        twice by the diagnosis
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "site").mkdir()
        (Path(folder) / "site" / "sitecustomize.py").write_text(_HOOK)
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": f"{folder}/cache",  # no result of an earlier search
            "PYTHONPATH": os.pathsep.join([f"{folder}/site", str(PROJECT)]),
            "BENCH_NOTES": f"{folder}/notes",
        }
        command = [sys.executable, "-m", "kit", "postmortem", str(INCIDENT), "-o", f"{folder}/postmortem"]
        began = time.monotonic()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall = time.monotonic() - began
        notes = [json.loads(line) for line in Path(folder, "notes").read_text().splitlines()]
    return wall, sum(one["cpu"] for one in notes), sum(one["started"] for one in notes) - others


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
