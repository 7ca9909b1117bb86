"""Verification of the bundled incident, against its plain cold startups and checks one after another."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import PROJECT
from measuring import Row

from kit.incident.load import load
from kit.incident.model import Incident
from kit.startup.workspace import apply
from kit.verify.verification import verify

INCIDENT = PROJECT / "notebooks" / "incidents" / "energy_events" / "incident.yaml"
PAIRS = 3


def measure() -> dict[str, Row]:
    incident = load(INCIDENT)
    strict, whole = [], []
    for number in range(PAIRS):
        if number % 2:
            kit, (startups, mappers) = kit_wall(incident), plain_wall(incident)
        else:
            (startups, mappers), kit = plain_wall(incident), kit_wall(incident)
        strict.append(kit / startups)
        whole.append(kit / (startups + mappers))
    of = f"all fixes and checks, on {len(os.sched_getaffinity(0))} cores, over"
    return {
        "verify_wall_ratio": Row(f"wall of {of} the startups and every check's plain command", whole, limit=0.5),
        "verify_wall_ratio_without_mappers": Row(f"wall of {of} the startups and `alembic check` only", strict),
    }


def kit_wall(incident: Incident) -> float:
    began = time.monotonic()
    verification = verify(incident)
    wall = time.monotonic() - began
    assert verification.reproduced and verification.verified == ("full",), verification.verified
    return wall


def plain_wall(incident: Incident) -> tuple[float, float]:
    """Seconds of every attempt's startup and checks by plain commands; those of the mappers' check apart."""
    both = [plain(incident, fix) for fix in (None, *incident.fixes)]
    return sum(one for one, _ in both), sum(other for _, other in both)


def plain(incident: Incident, fix: str | None) -> tuple[float, float]:
    """One attempt as a shell would do it: a fresh copy (not counted), the server until it answers, each check."""
    with tempfile.TemporaryDirectory() as folder:
        root, environment = fresh_copy(incident, fix, Path(folder))
        began = time.monotonic()
        server = served(root, environment)
        with server as port:
            run([*ALEMBIC, "check"], root, environment)
            for check in incident.checks:
                if check.http is not None:
                    request(port, check.http)
        startups = time.monotonic() - began - server.grace
        began = time.monotonic()
        code = "import app.main_simple; from sqlalchemy.orm import configure_mappers; configure_mappers()"
        run([sys.executable, "-c", code], root, environment)
        return startups, time.monotonic() - began


ALEMBIC = [sys.executable, "-m", "alembic"]


def fresh_copy(incident: Incident, fix: str | None, folder: Path) -> tuple[Path, dict[str, str]]:
    """The application as it is checked out, with one fix: no bytecode yet; Python writes its own, as it always does."""
    root = folder / "app"
    shutil.copytree(incident.resolve(incident.app.root), root, ignore=shutil.ignore_patterns("__pycache__"))
    for patch in incident.changes_of(fix) if fix else ():
        apply(patch, root)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(root),
        "DATABASE_URL": f"sqlite:///{folder}/scratch.db",
    }
    return root, environment


def run(argv: list[str], root: Path, environment: dict[str, str]) -> int:
    """A command whose end is awaited; it may fail, as it does in the broken build."""
    return subprocess.run(
        argv, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode


class served:
    """The server, up until the block ends; ``grace`` is how long it took to end, which no sum counts."""

    def __init__(self, root: Path, environment: dict[str, str]):
        self.root, self.environment = root, environment

    def __enter__(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        argv = [sys.executable, "-m", "uvicorn", "app.main_simple:app", "--host", "127.0.0.1", "--port", str(port)]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(argv, cwd=self.root, env=self.environment, **silent)
        while self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.01)
        return port

    def __exit__(self, *_) -> None:
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.grace = time.monotonic() - began


def request(port: int, http) -> None:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{http.path}", method=http.method, headers=http.headers)
    try:
        urllib.request.urlopen(asked, timeout=30).close()
    except OSError:
        pass


def plain_startups(incident: Incident, fixes: list[str | None], checked: int, at_once: int) -> float:
    """Wall of a plain startup with each of these fixes, ``at_once`` at a time; the first ones with their Alembic check."""

    def one(number: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root, environment = fresh_copy(incident, fixes[number], Path(folder))
            with served(root, environment):
                if number < checked:
                    run([*ALEMBIC, "check"], root, environment)

    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=at_once) as threads:
        list(threads.map(one, range(len(fixes))))
    return time.monotonic() - began
