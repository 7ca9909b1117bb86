"""The page of an application of 4,000 modules: does it grow with it, and how long does its picture take?

A generated application with one fault: its last module defines a table of the first one again. The whole postmortem is made as a
user makes it, once.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from generated import write_application
from measuring import Row, own_cpu
from part_probe import application_environment

from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.graph import import_graph
from kit.views.graph_picture import import_picture
from kit.views.reduced_graph import reduce

PROJECT = Path(__file__).resolve().parents[2]
MODULES, TABLES, EDGES = 4_000, 400, 16_000
PICTURES = 5
AGAIN = """
from gen.base import Base
from sqlalchemy.orm import Mapped, mapped_column


class Again(Base):
    __tablename__ = 'thing_0'
    id: Mapped[int] = mapped_column(primary_key=True)
"""


def write_incident(folder: Path, modules: int, tables: int, edges: int) -> Path:
    root = folder / "app"
    write_application(root, modules, tables, edges)
    (root / "gen" / "again.py").write_text(AGAIN)
    with (root / "gen" / "main.py").open("a") as main:
        main.write("import gen.again\n")
    said = {
        "title": f"an application of {modules} modules",
        "app": {"root": "app", "python": application_environment()},
        "startup": [{"import": "gen.main"}],
        "limits": {"seconds": 900},  # on a busy machine, too
        "expect": {"error": "is already defined", "table": "thing_0"},
    }
    file = folder / "incident.yaml"
    file.write_text(yaml.safe_dump(said))
    return file


def measure() -> dict[str, Row]:
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        file = write_incident(folder, MODULES, TABLES, EDGES)
        page = folder / "page.html"
        command = [sys.executable, "-m", "kit", "postmortem", str(file), "-o", str(page)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        assert page.exists(), done.stderr[-2000:]
        trace = reproduce(load(file))
        assert len(trace.conflicts) == 1 and len(trace.imports) > MODULES, trace.broke
        taken = []
        for _ in range(PICTURES):
            began = own_cpu()
            assert import_picture(reduce(import_graph(trace)))
            taken.append(own_cpu() - began)
        size = page.stat().st_size / 1000
    return {
        "page_kb": Row(f"the page of an application of {MODULES:,} modules", [size], "kB", 1000),
        "picture_s": Row("its import graph, from the trace to the picture", taken, "s of processor", 2),
    }
