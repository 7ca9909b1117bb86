"""What the probe costs: a traced startup over the plain one, on the bundled application and on a generated one.

Both with the same interpreter, environment and bytecode; "plain" has no ``sitecustomize``. Other tools on the same startups.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from environments import environment, interpreters
from generated import write_application
from measuring import Row, Used, in_pairs, instructions, own_cpu, used

from kit.incident.load import load
from kit.startup.probe import put_probe
from kit.startup.run import reproduce

PROJECT = Path(__file__).resolve().parents[2]
INTERPRETER = (3, 11)
TOOLS = ["coverage==7.17.4", "pyinstrument==5.1.3", "viztracer==1.1.1"]
PAIRS = {"bundled": 12, "generated": 6}
PAIRS_OF_TOOLS = {"bundled": 3, "generated": 2}
GENERATED = 2000, 1000, 8000  # modules, tables, import statements between them
GROWTH = 10, 500, 4000  # modules; what the probe takes at the first is its start
# As the server does, and no server: it imports the application and runs its start, which ends in the incident.
BUNDLED = """
import asyncio
from app.main_simple import app

async def start():
    async with app.router.lifespan_context(app):
        pass

try:
    asyncio.run(start())
except Exception:
    pass
"""


@dataclass(frozen=True)
class Startup:
    """A script that starts an application, and what it needs for that."""

    python: str
    folder: Path  # of this startup: the script, the probe, traces
    root: Path

    def environment(self, *, probe: bool) -> dict[str, str]:
        found = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{self.folder / ('probe' if probe else 'no-probe')}:{self.root}",
            "DATABASE_URL": f"sqlite:///{self.folder}/scratch.db",
        }
        if probe:
            trace = self.folder / "trace"
            shutil.rmtree(trace, ignore_errors=True)
            trace.mkdir()
            found |= {
                "INCIDENT_TRACE": str(trace),
                "INCIDENT_ROOT": str(self.root),
                "INCIDENT_INSIDE": str(self.folder),
            }
        return found

    def _fresh(self) -> None:
        (self.folder / "scratch.db").unlink(missing_ok=True)

    def used(self, *words: str, probe: bool = False) -> Used:
        """One run of the script, as ``python WORDS start.py``."""
        self._fresh()
        return used([self.python, *words, str(self.folder / "start.py")], self.environment(probe=probe), self.root)

    def instructions(self, *, probe: bool) -> int:
        self._fresh()
        return instructions([self.python, str(self.folder / "start.py")], self.environment(probe=probe), self.root)


def prepare(python: str, folder: Path, script: str, write: Callable[[Path], None]) -> Startup:
    root = folder / "app"
    write(root)
    for name in ("probe", "no-probe"):
        (folder / name).mkdir()
    put_probe(folder / "probe", python)
    (folder / "start.py").write_text(script)
    subprocess.run([python, "-m", "compileall", "-q", str(root)], check=True, env={"PYTHONHASHSEED": "0"})
    startup = Startup(python, folder, root)
    startup.used()  # what is written on a first run, is written now
    return startup


def application_environment(*more: str) -> str:
    """What the bundled application stands on, as in requirements.txt, with the tools that are compared."""
    lines = [line.split("#")[0].strip() for line in (PROJECT / "requirements.txt").read_text().splitlines()]
    needed = [line for line in lines if line.startswith(("sqlalchemy==", "alembic==", "fastapi==", "uvicorn=="))]
    return environment(interpreters()[INTERPRETER], *needed, *more)


def measure() -> dict[str, Row]:
    python = application_environment(*TOOLS)
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        bundled = PROJECT / "notebooks/incidents/energy_events/app"
        startups = {
            "bundled": prepare(python, _made(folder / "bundled"), BUNDLED, lambda to: shutil.copytree(bundled, to)),
            "generated": _generated(python, folder / "generated", *GENERATED),
        }
        for name, startup in startups.items():
            print(f"  {name}: instructions, processor, memory", file=sys.stderr, flush=True)
            rows |= _of_probe(name, startup)
            for tool, words in _tools(startup).items():
                ratios = in_pairs(
                    lambda words=words, one=startup: one.used(*words).cpu,
                    lambda one=startup: one.used().cpu,
                    PAIRS_OF_TOOLS[name],
                )
                rows[f"tool_{tool}_{name}_ratio"] = Row(f"{tool}, {name}: processor", ratios)
        # The key that is promised is the worse of the two applications.
        worst = max((rows[f"probe_{name}_instructions_ratio"] for name in startups), key=lambda row: row.values[0])
        rows["probe_cpu_ratio"] = Row("the worse of both applications, by instructions", worst.values, "ratio", 1.05)
        rows |= _growth(python, folder)
        rows |= _whole_run(startups["bundled"], bundled.parent / "incident.yaml", python, folder)
    return rows


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _generated(python: str, folder: Path, modules: int, tables: int, edges: int) -> Startup:
    return prepare(
        python, _made(folder), "import gen.main\n", lambda root: write_application(root, modules, tables, edges)
    )


def _tools(startup: Startup) -> dict[str, list[str]]:
    out = str(startup.folder / "out")
    return {
        "importtime": ["-X", "importtime"],
        "cProfile": ["-m", "cProfile", "-o", out],
        "pyinstrument": ["-m", "pyinstrument", "-o", out],
        "coverage": ["-m", "coverage", "run", f"--data-file={out}.coverage"],
        "viztracer": ["-m", "viztracer", "-o", out + ".json", "--quiet"],
    }


def _of_probe(name: str, startup: Startup) -> dict[str, Row]:
    with ThreadPoolExecutor(2) as pool:
        traced, plain = pool.map(lambda probe: startup.instructions(probe=probe), (True, False))
    memory: list[float] = []

    def run(probe: bool) -> float:
        found = startup.used(probe=probe)
        memory.append(found.peak)
        return found.cpu

    ratios = in_pairs(lambda: run(True), lambda: run(False), PAIRS[name])
    # Pairs come as plain, traced and traced, plain in turns.
    pairs = list(zip(memory[::2], memory[1::2], strict=True))
    peaks = [one / other if turn % 2 else other / one for turn, (one, other) in enumerate(pairs)]
    return {
        f"probe_{name}_instructions_ratio": Row(f"probe, {name}: instructions", [traced / plain], "ratio", 1.05),
        f"probe_{name}_cpu_ratio": Row(f"probe, {name}: processor", ratios, "ratio", 1.05),
        f"probe_{name}_memory_ratio": Row(f"probe, {name}: peak memory", peaks, "ratio", 1.1),
    }


def _growth(python: str, folder: Path) -> dict[str, Row]:
    """Instructions that the probe adds for each module, at the most modules over those at fewer; its start is not counted."""
    costs: dict[int, int] = {}
    for modules in GROWTH:
        print(f"  growth: {modules} modules", file=sys.stderr, flush=True)
        startup = _generated(python, folder / f"growth-{modules}", modules, modules // 10, modules * 4)
        with ThreadPoolExecutor(2) as pool:
            traced, plain = pool.map(lambda probe, one=startup: one.instructions(probe=probe), (True, False))
        costs[modules] = traced - plain
    start, few, many = GROWTH
    each = [(costs[modules] - costs[start]) / (modules - start) for modules in (few, many)]
    what = f"instructions a module, at {many:,} modules over {few:,}"
    return {
        "probe_growth": Row(what, [each[1] / each[0]], "ratio", 1.15),
        "probe_instructions_a_module": Row(f"the same at {few:,} modules", [each[0]], "instructions"),
    }


def _whole_run(startup: Startup, file: Path, python: str, folder: Path) -> dict[str, Row]:
    """All that one run of the kit takes (copy, supervisor, guards, probe, reading) over the plain command."""
    written = yaml.safe_load(file.read_text())
    written["app"] |= {"root": str(file.parent / "app"), "python": python}
    code = f"exec(open({str(startup.folder / 'start.py')!r}).read())"
    kept = {key: written[key] for key in ("title", "app", "database") if key in written}
    (folder / "incident.yaml").write_text(yaml.safe_dump({**kept, "startup": [{"code": code}]}))
    incident = load(folder / "incident.yaml")
    shutil.rmtree(startup.root / "__pycache__", ignore_errors=True)
    cpu, wall = [], []
    for _ in range(5):
        plain = startup.used()
        before, began = own_cpu(), time.monotonic()
        trace = reproduce(incident)
        assert trace.conflicts, trace.broke
        cpu.append((own_cpu() - before) / plain.cpu)
        wall.append((time.monotonic() - began) / plain.wall)
    return {
        "run_cpu_ratio": Row("a whole run of the kit over the plain command: processor", cpu),
        "run_wall_ratio": Row("a whole run of the kit over the plain command: wall", wall),
    }
