"""What the tests share: small applications written on the spot, and the command line."""

import fcntl
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from attempts import Plugin, tried  # noqa: F401 (tried is a fixture)

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from browser import chromium, lab, needs_browser  # noqa: E402, F401 - two fixtures
from environments import interpreters  # noqa: E402

from kit import cli  # noqa: E402
from kit.base import known_secrets  # noqa: E402


class Said(NamedTuple):
    """What a command line said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def pytest_configure(config):
    os.environ.setdefault("KIT_NO_CACHE", "1")  # what one test ran, another runs again
    sys.modules.setdefault(
        "rfc3987_syntax", None
    )  # jsonschema would build its grammar, 1.3 s a worker; no test needs it
    for number in (signal.SIGINT, signal.SIGHUP):
        if (
            signal.getsignal(number) is signal.SIG_IGN
        ):  # as for a job in the background: nobody would hear what the tests send
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    interpreters()  # before the workers, which inherit the answer
    config.pluginmanager.register(Plugin(config))


def pytest_runtest_setup(item):
    needs_browser(item)


def pytest_terminal_summary(terminalreporter):
    """What was not tried because this machine lacks it, in one line."""
    missing = [f"3.{minor}" for minor in range(8, 14) if (3, minor) not in interpreters()]
    if missing:
        terminalreporter.write_line(
            f"not tried, since this machine has no such interpreter: CPython {', '.join(missing)}"
        )


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id):
    """Makes a value once for all tests, also where several workers run them side by side."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def get(name: str, make):
        kept = base / f"{name}.pickle"
        with open(base / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_bytes(pickle.dumps(make()))
            return pickle.loads(kept.read_bytes())

    return get


@pytest.fixture(scope="session")
def bundled_page(once, tmp_path_factory, worker_id):
    """The page of the bundled incident, made once for all tests as `make postmortem` makes it; beside it .ipynb, .json and its diagnosis."""
    base = tmp_path_factory.getbasetemp()
    page = (base if worker_id == "master" else base.parent) / "bundled" / "postmortem.html"

    def make() -> str:
        incident = PROJECT / "notebooks" / "incidents" / "energy_events"
        words = [sys.executable, "-m", "kit", "postmortem", incident, "-o", page, "--trace", page.with_suffix(".gz")]
        done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stderr

    once("bundled-page", make)
    return page


@pytest.fixture
def kit(monkeypatch):
    """Runs the command line within the test, as ``python -m kit`` would: nothing of a run stays, in the environment or in mind."""

    def call(*words, cwd=PROJECT, env=None, input=None) -> Said:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        with monkeypatch.context() as patched:
            patched.chdir(cwd)
            for name, value in {"KIT_TRACEBACK": "1", **(env or {})}.items():
                patched.setenv(name, str(value))
            patched.setattr(known_secrets, "_known", {})
            patched.setattr(known_secrets, "_written", {})
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((input or "").encode()), "utf-8"))
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", err)
            try:
                code = cli.main([str(word) for word in words])
            except SystemExit as ended:  # of argparse
                code = ended.code
            finally:
                for number, handler in signals.items():
                    signal.signal(number, handler)
        said = Said(code or 0, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err)))
        assert "Traceback" not in said.err, said.err
        return said

    return call


@pytest.fixture
def kit_process():
    """Runs ``python -m kit`` as a user does: for what only a process of its own shows."""

    def call(*words, cwd=PROJECT, env=None, input=None, timeout=180) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "kit", *map(str, words)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **(env or {})},
            capture_output=True,
            text=True,
            input=input,
            timeout=timeout,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def write_incident(tmp_path):
    """Writes an application and its incident file; ``files`` are paths to source texts.

    Returns the incident file. What is not given: one import of ``service.main``.
    """

    def write(files: dict[str, str], folder="case", **incident) -> Path:
        root = tmp_path / folder / "app"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        content = {"title": "An incident", "app": {"root": "app"}, "startup": [{"import": "service.main"}]}
        app = {**content["app"], **incident.pop("app", {})}
        file = tmp_path / folder / "incident.yaml"
        file.write_text(yaml.safe_dump({**content, **incident, "app": app}, sort_keys=False))
        return file

    return write


DUPLICATE = {
    "service/__init__.py": "",
    "service/db.py": """
        from sqlalchemy.orm import declarative_base
        Base = declarative_base()
    """,
    "service/billing.py": """
        from sqlalchemy import Column, Integer
        from service.db import Base

        class Invoice(Base):
            __tablename__ = "invoices"
            id = Column(Integer, primary_key=True)
    """,
    "service/legacy.py": """
        from sqlalchemy import Column, Integer, String
        from service.db import Base

        class OldInvoice(Base):
            __tablename__ = "invoices"
            id = Column(String, primary_key=True)
            total = Column(Integer)
    """,
    "service/main.py": """
        from service import billing
        from service import legacy
    """,
}


@pytest.fixture
def duplicate() -> dict[str, str]:
    """A service in which two files define the table ``invoices``: billing.py:5 and legacy.py:5."""
    return dict(DUPLICATE)


def patch(name: str, old: str, new: str) -> str:
    """A patch that replaces the first line of a file."""
    return f"--- a/{name}\n+++ b/{name}\n@@ -1,1 +1,1 @@\n-{old}\n+{new}\n"
