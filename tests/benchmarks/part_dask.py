"""``check`` of a folder of generated incidents on a Dask cluster of 1, 2 and 4 worker processes, and what is sent with a startup."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

from bench import PROJECT
from fleet import cluster
from measuring import Row
from part_verify import INCIDENT
from services import write_service

from kit.incident.load import load
from kit.startup.portable import Portable
from kit.verify.verification import attempt

ROUNDS = 1
WORKERS = 1, 2, 4
SERVICES = 0, 1, 2, 4, 5, 7, 8, 10  # whose third build shows the incident, and does not only hide it


def measure() -> dict[str, Row]:
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        files = [write_incident(folder / "incidents" / f"service-{number}", number) for number in SERVICES]
        walls: dict[int, list[float]] = {count: [] for count in WORKERS}
        for round_ in range(ROUNDS):
            for count in WORKERS if round_ % 2 == 0 else reversed(WORKERS):
                walls[count].append(checked(folder, count, f"{round_}-{count}"))
        sent = {"generated": sent_with(files[0], None), "bundled": sent_with(INCIDENT, "remove-legacy")}
    said = f"check of {len(SERVICES)} incidents on {len(os.sched_getaffinity(0))} cores, wall"
    rows = {f"dask_{count}_s": Row(f"{said} with {count} worker processes", walls[count], "s") for count in WORKERS}
    for count in WORKERS[1:]:
        ratios = [with_ / alone for with_, alone in zip(walls[count], walls[1], strict=True)]
        rows[f"dask_{count}_ratio"] = Row(f"{said} with {count} worker processes, over that with one", ratios)
    for name, (application, job, result) in sent.items():
        for what, size in (("once an application", application), ("with each startup", job), ("back of each", result)):
            rows[f"dask_{name}_{what.split()[0]}_kb"] = Row(f"sent {what}, {name}", [size / 1000], "kB")
    return rows


def write_incident(folder: Path, number: int) -> Path:
    """One generated service, whose third build is the incident."""
    file = write_service(folder, number)[2]
    return file.rename(folder / "incident.yaml")


def checked(folder: Path, count: int, name: str) -> float:
    """Seconds of wall of ``check`` on so many workers, which have all answered; every incident must be true."""
    with cluster(count) as (client, _):
        address = client.scheduler.address.replace("tcp", "dask")
        words = ["check", str(folder / "incidents"), "--executor", address, "-o", str(folder / name)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / f"cache-{name}"), "PYTHONPATH": str(PROJECT)}
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "kit", *words], cwd=PROJECT, env=environment, capture_output=True, text=True
        )
        wall = time.monotonic() - began
        assert done.returncode == 0, done.stdout + done.stderr[-2000:]
        print(f"    {count} workers: {wall:.1f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        return wall


class Weighed(Executor):
    """Runs what it is given, and knows how many bytes it was."""

    def __init__(self, executor: Executor):
        self.executor, self.sizes = executor, []

    def submit(self, function: Callable, /, *args, **named) -> Future:
        self.sizes.append(len(pickle.dumps((function, args[1:], named))))  # the first is the application, sent once
        return self.executor.submit(function, *args, **named)


def sent_with(file: Path, fix: str | None) -> tuple[int, int, int]:
    """Bytes that are sent once of an application, with one startup of it, and back."""
    packed: list[bytes] = []

    def put(data: bytes) -> bytes:
        packed.append(data)
        return data

    with ThreadPoolExecutor(1) as threads:
        weighed = Weighed(threads)
        result = Portable(weighed, put).submit(attempt, load(file), fix).result()
    return len(packed[0]), weighed.sizes[0], len(pickle.dumps(result))
