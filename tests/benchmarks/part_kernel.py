"""What the notebooks' own process does with an application of real size: how long nothing else of it gets a turn, and what a view takes."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import part_page
from bench import PROJECT
from measuring import Row

MODULES, TABLES, EDGES = 4_000, 1_000, 16_000
NOTEBOOKS = "reproduce", "diagnose"
# A thread that wants a turn every hundredth of a second. What it lacks counts by processor of this process: neither
# waiting for the application nor what else the machine does is a pause of the kernel.
_CELLS = """
import json, resource, sys, threading, time
pause, ended = 0.0, False
def watch():
    global pause
    while not ended:
        wall, cpu = time.monotonic(), time.process_time()
        time.sleep(0.01)
        pause = max(pause, min(time.monotonic() - wall, time.process_time() - cpu))
cells = ["".join(cell["source"]) for cell in json.load(open(sys.argv[1]))["cells"] if cell["cell_type"] == "code"]
threading.Thread(target=watch, daemon=True).start()
from IPython.core.interactiveshell import InteractiveShell
shell, slowest = InteractiveShell.instance(), {}
for number, cell in enumerate(cells):
    if number == 0:
        cell = f"incident = {sys.argv[2]!r}"
    began = time.process_time()
    done = shell.run_cell(cell, silent=False)
    done.raise_error()
    if done.result is not None:
        shell.display_formatter.format(done.result)
    last = cell.strip().splitlines()[-1]
    if not any(word in cell for word in ("progress", "trying", "from kit")):
        slowest[last] = time.process_time() - began
ended = True
view = max(slowest, key=slowest.get)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print("\\n" + json.dumps({"pause": pause, "view": view, "view_s": slowest[view], "mb": peak}))
"""


def measure() -> dict[str, Row]:
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        file = part_page.write_incident(Path(folder) / "large", MODULES, TABLES, EDGES)
        for name in NOTEBOOKS:
            seen = run(name, file, Path(folder))
            print(f"    {name}: {seen}", flush=True)
            rows[f"kernel_{name}_pause_s"] = Row(f"{name}.ipynb: longest time without a turn", [seen["pause"]], "s", 1)
            rows[f"kernel_{name}_view_s"] = Row(
                f"{name}.ipynb: the slowest view, {seen['view']}", [seen["view_s"]], "s"
            )
            rows[f"kernel_{name}_mb"] = Row(f"{name}.ipynb: peak memory of the kernel", [seen["mb"]], "MB", 1000)
    return rows


def run(notebook: str, file: Path, folder: Path) -> dict:
    """The code cells of a notebook in one interpreter, each view shown: ``{pause, view, view_s, mb}``."""
    environment = {
        **os.environ,
        "KIT_NO_CACHE": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": str(PROJECT),
    }
    words = [sys.executable, "-c", _CELLS, str(PROJECT / "notebooks" / f"{notebook}.ipynb"), str(file)]
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
