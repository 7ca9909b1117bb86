"""A fleet of generated services on a Dask cluster, against the same run here: ``make fleet``.

    .venv/bin/python tests/benchmarks/fleet.py [--services 12] [--workers 2] [--output results/fleet] [--executor dask://HOST:PORT]

Every build of every service is verified: once by threads of this process, once on worker processes, each with a folder,
a temporary folder and a copy of the kit of its own, one of which is killed in the middle. The answers must be the same
but for times. With ``--executor`` they run on that cluster, and nothing of it is killed. Writes ``fleet.json`` and one page over all, ``index.html``.
"""

import argparse
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from services import BUILDS, write_service  # noqa: E402

from kit.incident.load import load  # noqa: E402
from kit.startup.portable import Portable, named_executor  # noqa: E402
from kit.verify.verification import verify  # noqa: E402
from kit.views.report import verify_report  # noqa: E402


def verify_all(
    files: dict[str, Path], executor: Executor, *, at_once: int, progress: Callable[[int, str], None]
) -> dict[str, dict[str, Any]]:
    """The report of each incident; every startup of them runs in ``executor``.

    :param files: name of the build to its incident file
    :param at_once: how many are under way at a time
    :param progress: called with how many are done, and a sentence on the last one
    """

    def one(name: str) -> dict[str, Any]:
        incident = load(files[name])
        return verify_report(incident, verify(incident, executor=executor))

    reports: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(max_workers=at_once) as threads:
        futures = {threads.submit(one, name): name for name in files}
        try:
            for future in as_completed(futures):
                name = futures[future]
                reports[name] = future.result()
                progress(len(reports), f"{name}: {verdict_of(reports[name])}")
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    return {name: reports[name] for name in files}


def verdict_of(report: dict[str, Any]) -> str:
    if not report["control"]["reproduced"]:
        return "does not reproduce"
    return f"reproduces, verified: {', '.join(report['verified']) or 'no fix'}"


def without_times(report: Any) -> Any:
    if isinstance(report, dict):
        return {key: without_times(value) for key, value in report.items() if key != "seconds"}
    return [without_times(one) for one in report] if isinstance(report, list) else report


class Workers:
    """Worker processes of a cluster: each in a folder of its own, with a copy of the kit and nothing else of the project."""

    def __init__(self, address: str, folder: Path):
        self.address, self.folder = address, folder
        self.processes: list[subprocess.Popen] = []

    def start(self) -> subprocess.Popen:
        home = self.folder / f"worker-{len(self.processes)}"
        for name in ("tmp", "dask", "site"):
            (home / name).mkdir(parents=True)
        shutil.copytree(PROJECT / "kit", home / "site" / "kit", ignore=shutil.ignore_patterns("__pycache__"))
        own = {"HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONPATH": str(home / "site")}
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--no-nanny", "--nthreads", "1"]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--local-directory", str(home / "dask"), "--no-dashboard"],
                cwd=home,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **own},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def kill_one(self) -> None:
        """As a machine is lost, with what runs there; another one takes its place."""
        self.processes[0].send_signal(signal.SIGKILL)
        self.processes[0].wait()
        self.start()

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def cluster(count: int) -> Iterator[tuple[Any, Workers]]:
    """A client of a scheduler here, and its workers, which have answered."""
    from distributed import Client, LocalCluster

    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        scheduler = ending.enter_context(LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1"))
        client = ending.enter_context(Client(scheduler))
        workers = Workers(scheduler.scheduler_address, folder)
        ending.callback(workers.end)
        for _ in range(count):
            workers.start()
        client.wait_for_workers(count, timeout=120)
        places = client.run(pkgutil.resolve_name, "kit:__file__")
        assert all(place.startswith(str(folder)) for place in places.values()), places
        yield client, workers


def on_cluster(client: Any) -> Portable:
    """An executor on the cluster: what dies with a worker runs again, and each worker is sent an application once."""
    return Portable(client.get_executor(pure=False), put=lambda data: client.submit(bytes, data))


def write_index(reports: dict[str, dict[str, Any]], output: Path) -> Path:
    """One page over all, as ``check`` makes it."""
    from kit.postmortem.recheck import Checked
    from kit.postmortem.recheck_files import index_page

    rows = []
    for name, report in reports.items():
        code = 3 if not report["control"]["reproduced"] else 0 if report["verified"] else 1
        shown = {"verify": {"verified": report["verified"]}, "mechanism": None}
        rows.append(Checked(name, f"{report['incident']} ({name})", code, verdict_of(report), report=shown))
    page = output / "index.html"
    page.write_text(index_page(rows, output), encoding="utf-8")
    return page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--executor", help="the scheduler of a Dask cluster that there is: dask://HOST:PORT")
    parser.add_argument("--output", type=Path, default=Path("results/fleet"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    with tempfile.TemporaryDirectory(prefix="services-") as folder:
        files = {}
        for number in range(options.services):
            for build, file in enumerate(write_service(Path(folder) / f"{number}", number), 1):
                files[f"service-{number:03}/build-{build}"] = file
        step = max(1, len(files) // 10)

        def told(where: str) -> Callable[[int, str], None]:
            def progress(done: int, says: str) -> None:
                if done % step == 0 or done == len(files):
                    print(f"{where}: {done} of {len(files)}; {says}", file=sys.stderr, flush=True)

            return progress

        print(f"{options.services} services × {BUILDS} builds", file=sys.stderr)
        began = time.monotonic()
        with ThreadPoolExecutor(max_workers=options.workers) as threads:
            here = verify_all(files, threads, at_once=2 * options.workers, progress=told("here"))
        local = time.monotonic() - began

        with ExitStack() as ending:
            say, killed, workers = told("cluster"), [], None
            if options.executor:
                executor = ending.enter_context(named_executor(options.executor))
            else:
                client, workers = ending.enter_context(cluster(options.workers))
                executor = on_cluster(client)

            def progress(done: int, says: str) -> None:
                say(done, says)
                if workers and done >= len(files) // 2 and not killed:
                    killed.append(done)
                    workers.kill_one()
                    print(f"cluster: a worker was killed after {done} of {len(files)}", file=sys.stderr, flush=True)

            began = time.monotonic()
            there = verify_all(files, executor, at_once=2 * options.workers, progress=progress)
            remote = time.monotonic() - began

    differing = [name for name in files if without_times(here[name]) != without_times(there.get(name))]
    verdicts: dict[str, int] = {}
    for report in there.values():
        verdicts[verdict_of(report)] = verdicts.get(verdict_of(report), 0) + 1
    found = {
        "services": options.services,
        "builds": len(files),
        "workers": options.workers,
        "killed_after": killed[0] if killed else None,
        "answered": len(there),
        "differing": differing,
        "verdicts": verdicts,
        "seconds": {"here": round(local, 1), "cluster": round(remote, 1)},
    }
    (options.output / "fleet.json").write_text(json.dumps({**found, "reports": there}, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    print(f"page: {write_index(there, options.output)}")
    return 1 if differing or len(there) != len(files) else 0


if __name__ == "__main__":
    sys.exit(main())
