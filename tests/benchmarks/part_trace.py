"""Reading a trace of 1,000,000 events: into values, DataFrames, the mechanism and the picture.

The trace is written here as the probe writes it. Such a startup does not exist: in a real one there are four edges or so
to each module, and this would be one of 150,000 modules. 4,000 modules and 990,000 edges between them is worse for what
is asked of it: the edges are what the graph is made of.
"""

import json
import multiprocessing
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from measuring import Row, own_cpu

EVENTS = 1_000_000
MODULES = 4_000
RUNS = 3


def write_trace(file: Path, root: Path, modules: int, events: int) -> None:
    """One process in which ``main`` imports every module; each holds a table, the last one a table that was there."""
    at = iter(range(1_000, 1 << 60, 1_000)).__next__
    edges_each = (events - 5 * modules - 10) // modules
    left = events - 10 - modules * (5 + edges_each)

    with file.open("w", encoding="ascii") as out:

        def write(kind: str, **fields) -> None:
            out.write(json.dumps({"k": kind, **fields}, separators=(",", ":")) + "\n")

        version = list(sys.version_info[:3])
        write("process", t=at(), pid=1, parent=0, version=version, implementation="cpython", executable="python")
        write("library", t=at(), name="sqlalchemy", version="2.0.58")
        write("step", t=at(), s=1)
        write("place", c=1, f="<step 1>", fn="<module>", m="__main__", p=None)
        write("exec", t=at(), n=1, b=0, m="gen.main", f=f"{root}/gen/main.py", via=[[1, 1]], how="import")
        write("place", c=2, f=f"{root}/gen/main.py", fn="<module>", m="gen.main", p="gen")
        write("metadata", t=at(), i=1, b=1, via=[[2, 1]])
        for number in range(modules):
            package, place = f"gen.p{number // 50}", number + 3
            module, path = f"{package}.m{number}", f"{root}/gen/p{number // 50}/m{number}.py"
            write("exec", t=at(), n=number + 2, b=1, m=module, f=path, via=[[2, number + 2]], how="import")
            write("place", c=place, f=path, fn="<module>", m=module, p=package)
            for edge in range(edges_each + (number < left)):
                other = (number * 7 + edge * 131) % (number + 1)
                wanted = {"to": f"gen.p{other // 50}", "names": f"m{other}"}
                write("edge", t=at(), c=place, l=edge + 3, **wanted)
            last = number == modules - 1
            table = {"table": f"thing_{0 if last else number}", "outcome": "rejected" if last else "registered"}
            more = {"existing": [], "new": [], "mapped": True} if last else {}
            via = [[place, edges_each + 9]]
            write(
                "table",
                t=at(),
                i=1,
                b=number + 2,
                via=via,
                cls=f"Thing{number}",
                mod=module,
                cols=5,
                named=True,
                **table,
                **more,
            )
            if last:
                error = {"type": "ValueError", "text": f"Table '{table['table']}' is already defined", "frames": via}
                error["links"] = [[1, "ValueError", error["text"]]]
                write("done", t=at(), n=number + 2, error=error)
                write("done", t=at(), n=1, error=error)
                write("stepped", t=at(), s=1, error=error)
            else:
                write("mapped", t=at(), i=1, table=table["table"], mod=module, cls=f"Thing{number}")
                write("done", t=at(), n=number + 2)
        write("exit", t=at(), uncaught=None, steps=True)


def _read(folder: Path, modules: int) -> dict[str, float]:
    """Seconds of processor for each part, and MB; in a process of its own, whose peak is that of the reading and the kit."""
    from kit.diagnose import registered_twice
    from kit.incident.load import load
    from kit.startup.workspace import Workspace
    from kit.trace import graph as imports
    from kit.trace import processes, reader, tables
    from kit.views import graph_picture
    from kit.views.reduced_graph import reduce

    imported = own_cpu()
    incident = load(folder / "incident.yaml")
    space = Workspace(folder, folder / "app", folder / "app", sys.executable, {}, "sqlite://", (), None)
    ended = [processes.Ended([(1, incident.startup[0])], folder / "trace", False, None, 1, None)]
    trace = reader.read_trace(incident, space, ended)
    read = own_cpu()
    tables.steps_table(trace)
    tables.imports_table(trace)
    tables.registrations_table(trace)
    tables.metadata_after_each_import(trace)
    tabled = own_cpu()
    (conflict,) = trace.conflicts
    finding = registered_twice.judge(registered_twice.Pair(trace, conflict.first, conflict.second))
    assert finding.mechanism == "second-class-same-table-other-file", finding
    judged = own_cpu()
    graph = imports.import_graph(trace)
    graphed = own_cpu()
    drawn = graph_picture.import_picture(reduce(graph))
    assert drawn and trace.edges and len(graph.modules) == modules + 1 and not trace.lost
    ended = own_cpu()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "all": ended - imported,
        "read": read - imported,
        "DataFrames": tabled - read,
        "mechanism": judged - tabled,
        "graph": graphed - judged,
        "picture": ended - graphed,
        "peak": peak,
    }


def measure() -> dict[str, Row]:
    found = []
    context = multiprocessing.get_context("spawn")  # each reading in a process of its own
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        (folder / "app").mkdir()
        (folder / "trace").mkdir()
        (folder / "incident.yaml").write_text("title: big\napp: {root: app}\nstartup: [{import: gen.main}]\n")
        write_trace(folder / "trace" / "1-1.jsonl", folder / "app", MODULES, EVENTS)
        for _ in range(RUNS):
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                found.append(pool.submit(_read, folder, MODULES).result())

    def column(name: str) -> list[float]:
        return [one[name] for one in found]

    parts = ("read", "DataFrames", "mechanism", "graph", "picture")
    return {
        "trace_million_events_s": Row(
            "1,000,000 events to DataFrames, mechanism and picture", column("all"), "s of processor", 10
        ),
        "trace_million_events_mb": Row("the most memory meanwhile", column("peak"), "MB", 1000),
        **{f"trace_{part.lower()}_s": Row(f"of it: {part}", column(part), "s of processor") for part in parts},
    }
