"""Startups elsewhere: in other processes, on a cluster, on machines that have nothing of this one but what is sent."""

import json
import pickle
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).with_name("benchmarks")))

from fleet import Workers, cluster, on_cluster, verify_all, without_times
from services import write_service

from kit.base.errors import IncidentError
from kit.base.interrupt import pool_of
from kit.diagnose.diagnosis import diagnose
from kit.history.search import history
from kit.incident.load import load
from kit.incident.repository import open_repository
from kit.startup.portable import Portable
from kit.startup.run import reproduce
from kit.verify.verification import attempt, verify
from kit.views.report import diagnose_report, history_report, verify_report

pytestmark = pytest.mark.slow


class Later(Executor):
    """Keeps what it is given, pickled, until it is told to run it."""

    def __init__(self):
        self.calls = []

    def submit(self, function, /, *given, **named):
        self.calls.append(pickle.dumps((function, given, named)))
        return Future()

    def run(self):
        for call in self.calls:
            function, given, named = pickle.loads(call)
            yield function(*given, **named)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The incident file of a build that reproduces, in a repository of five."""
    return write_service(tmp_path_factory.mktemp("services") / "one", 0)[2]


def test_other_processes_give_the_same_reports_as_threads(service, tmp_path):
    incident, repository = load(service), open_repository(service.parent / "repository")

    def everything(executor):
        return [
            verify_report(incident, verify(incident, executor=executor)),
            diagnose_report(incident, diagnose(incident, executor=executor)),
            history_report(incident, history(incident, repository, executor=executor)),
        ]

    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2) as processes:
        here, there = everything(threads), everything(Portable(processes))
    assert here[0]["verified"] == ["without-legacy"]
    assert here[1]["mechanism"] == "second-class-same-table-other-file"
    assert here[2]["introduced"] and here[2]["fixed"]
    assert without_times(there) == without_times(here)


def test_what_is_sent_needs_nothing_that_was_here(write_incident, tmp_path):
    """The application is gone when the startup begins: everything it needs came along, also what was left behind."""
    patch = tmp_path / "elsewhere" / "fix.patch"
    patch.parent.mkdir()
    patch.write_text("--- a/service/main.py\n+++ b/service/main.py\n@@ -1 +1 @@\n-import service.gone\n+VALUE = 1\n")
    files = {"service/main.py": "import service.gone\n", "node_modules/x.js": ""}
    incident = load(write_incident(files, fixes={"fix": {"patches": str(patch)}}))
    here = reproduce(incident)
    later = Later()
    executor = Portable(later)
    executor.submit(reproduce, incident)
    executor.submit(attempt, incident, "fix")
    shutil.rmtree(incident.folder)
    shutil.rmtree(patch.parent)
    there, fixed = later.run()
    assert there.steps[0].error == here.steps[0].error and there.provenance == here.provenance
    assert any("node_modules" in left for left in there.provenance["left_behind"])
    assert fixed.trace.steps[0].ok and fixed.patches == ("fix.patch",)


def test_a_commit_that_no_branch_holds_is_sent_too(service, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(service.parent / "repository", folder)
    repository = open_repository(folder)
    tip = repository.resolve("HEAD")
    repository.git("update-ref", "--no-deref", "HEAD", repository.resolve("HEAD~1"))
    repository.git("update-ref", "refs/heads/main", repository.resolve("HEAD"))
    incident = load(service)
    app = incident.app.model_copy(update={"repository": str(folder), "revision": tip})
    later = Later()
    Portable(later).submit(reproduce, incident.model_copy(update={"app": app}))
    shutil.rmtree(folder)
    (trace,) = later.run()
    assert trace.steps[0].ok


def test_an_error_from_elsewhere_names_the_file_that_was_given(write_incident, tmp_path):
    path = write_incident({"service/main.py": "VALUE = 1\n", "bad.patch": "no patch\n"})
    incident = load(path)
    fix = incident.model_copy(update={"fixes": {"bad": _fix(str(incident.resolve("app/bad.patch")))}})
    later = Later()
    Portable(later).submit(attempt, fix, "bad")
    with pytest.raises(IncidentError, match="the patch does not apply") as raised:
        list(later.run())
    assert str(incident.folder) in str(raised.value)


def _fix(patch):
    from kit.incident.model import Fix

    return Fix(patches=[patch])


def test_an_error_takes_back_what_a_given_executor_has_not_begun():
    later = Later()
    with pytest.raises(ZeroDivisionError), pool_of(later) as pool:
        waiting = pool.submit(abs, 1)
        raise ZeroDivisionError
    with pytest.raises(CancelledError):
        waiting.result()


def test_a_worker_of_a_cluster_dies_and_nothing_is_lost(tmp_path):
    """Dask: two worker processes, each with a folder and a copy of the kit of its own."""
    files = {f"build-{number}": file for number, file in enumerate(write_service(tmp_path / "one", 1), 1)}
    done = []
    with cluster(2) as (client, workers):

        def progress(count, says):
            if not done:
                workers.kill_one()
            done.append((count, says))

        there = verify_all(files, on_cluster(client), at_once=4, progress=progress)
        assert any(client.run(lambda: "kit.startup.portable" in sys.modules).values())  # a worker unpacked it
    assert [count for count, _ in done] == [1, 2, 3, 4, 5]
    with ThreadPoolExecutor(2) as threads:
        here = verify_all(files, threads, at_once=2, progress=lambda count, says: None)
    assert without_times(there) == without_times(here)
    assert any(one["verified"] for one in there.values())


def _check(file, address, output):
    command = [sys.executable, "-m", "kit", "check", str(file), "--executor", address, "--json", "-o", str(output)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_check_says_the_same_when_the_startups_run_on_a_cluster(service, tmp_path):
    with cluster(2) as (client, _):
        ran = _check(service, client.scheduler.address.replace("tcp", "dask"), tmp_path / "there")
        out, err = ran.communicate(timeout=300)
        sent = client.run(lambda: "kit.startup.portable" in sys.modules)
    assert ran.returncode == 0, out + err
    assert any(sent.values()), sent  # a worker has unpacked the application: it ran there
    here = subprocess.run(
        [sys.executable, "-m", "kit", "check", str(service), "--json", "-o", str(tmp_path / "here")],
        capture_output=True,
        text=True,
    )
    assert json.loads(out) == json.loads(here.stdout)
    assert json.loads(out)["incidents"][0]["verified"] == ["without-legacy"]


def test_a_worker_with_another_kit_is_refused_and_named(service, tmp_path):
    with cluster(1) as (client, workers):
        (workers.folder / "worker-0/site/kit/later.py").write_text("LATER = 1\n")
        ran = _check(service, client.scheduler.address.replace("tcp", "dask"), tmp_path / "there")
        out, err = ran.communicate(timeout=120)
    (result,) = json.loads(out)["incidents"]
    assert ran.returncode == result["code"] == 4
    assert "the worker on" in result["says"] and "another version of the kit" in result["says"], result["says"]


def test_a_scheduler_that_is_not_there_is_said_at_once(service, tmp_path):
    ran = _check(service, "dask://127.0.0.1:9", tmp_path / "there")
    _, err = ran.communicate(timeout=60)
    assert ran.returncode == 2 and "no Dask scheduler answers there" in err and "Traceback" not in err


def _begins(client):
    """Wait until a worker has something to do."""
    late = time.monotonic() + 60
    while not any(client.processing().values()):
        assert time.monotonic() < late
        time.sleep(0.05)


def test_a_scheduler_that_is_lost_in_the_middle_is_said_and_nothing_hangs(service, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    host, port = place.split(":")
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", host, "--port", port, "--no-dashboard"]
    scheduler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    workers = Workers(f"tcp://{place}", tmp_path)
    workers.start()
    try:
        from distributed import Client  # half a second, which only this test is to wait

        with Client(f"tcp://{place}", timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
            ran = _check(service, f"dask://{place}", tmp_path / "there")
            _begins(client)
        scheduler.kill()
        out, err = ran.communicate(timeout=180)
    finally:
        scheduler.kill()
        scheduler.wait()
        workers.end()
    (result,) = json.loads(out)["incidents"]
    assert ran.returncode == result["code"] == 4 and "the scheduler was lost" in result["says"], result["says"]
