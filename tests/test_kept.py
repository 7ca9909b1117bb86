"""Runs that are kept: the same as what is run, and run anew when anything that they depend on has changed."""

import gzip
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from tempfile import NamedTemporaryFile
from textwrap import dedent

import pytest
import yaml
from conftest import PROJECT
from histories import History

from kit.diagnose.diagnosis import load_diagnosis
from kit.diagnose.observation import lasts, look_at
from kit.incident.load import load
from kit.startup import installed_packages, kept_runs
from kit.startup.kept_runs import keeping
from kit.views.ran_with import provenance

TRACES = PROJECT / "tests" / "traces"


@pytest.fixture
def folder(tmp_path):
    with keeping(tmp_path / "runs"):
        yield tmp_path / "runs"


def looks(incident, **named):
    """One look, and whether anything was started for it."""
    heard = []
    return look_at(incident, heard.append, **named), any(line.startswith("step 1:") for line in heard)


def test_what_is_kept_is_what_was_run(write_incident, duplicate, folder):
    incident = load(write_incident(duplicate, checks=[{"mappers": True}, {"clean_start": True}]))
    first, started = looks(incident, checks=True)
    again, started_again = looks(incident, checks=True)
    assert (started, started_again) == (True, False)
    assert list(again.trace.edges) == list(first.trace.edges)
    assert set(again.trace.provenance) - set(first.trace.provenance) == {"run_at"}, "a kept run says when it was run"
    assert "the startup at 20" in provenance(incident, again.trace).text
    assert "the startup itself" not in provenance(incident, first.trace).text
    without = {"edges": (), "provenance": first.trace.provenance}
    assert replace(again, trace=replace(again.trace, **without)) == replace(
        first, trace=replace(first.trace, **without)
    )
    assert again.checks and again.trace.conflicts and again.trace.sources


def test_who_asks_for_fewer_checks_is_answered_by_the_same_run(write_incident, duplicate, folder):
    incident = load(write_incident(duplicate, checks=[{"mappers": True}], expect={"table": "invoices"}))
    asked, started = looks(incident, checks=True)
    unasked, started_again = looks(incident)
    assert (started, started_again) == (True, False)
    assert asked.checks and not unasked.checks


def test_what_an_environment_has_is_read_once_where_several_threads_ask_for_it(monkeypatch, tmp_path):
    asked = []

    def answer(python, code, *words):
        asked.append(python)
        time.sleep(0.2)
        return ["3", sys.executable, "/", [str(tmp_path)]]

    monkeypatch.setattr(installed_packages, "_asked", answer)
    with ThreadPoolExecutor(3) as threads:
        told = set(threads.map(installed_packages.packages_of, ["some python"] * 3))
    assert asked == ["some python"] and len(told) == 1 and told != {None}


def test_without_a_folder_nothing_is_kept(write_incident, duplicate):
    incident = load(write_incident(duplicate))
    assert [looks(incident)[1] for _ in range(2)] == [True, True]


def change_a_file(file, monkeypatch):
    with open(file.parent / "app" / "service" / "db.py", "a") as source:
        source.write("\n")


def change_the_incident(file, monkeypatch):
    file.write_text(file.read_text() + "limits: {seconds: 41}\n")


def change_a_package(file, monkeypatch):
    monkeypatch.setattr(
        kept_runs, "packages_of", lambda python: installed_packages.packages_of(python) + "another package"
    )


def change_the_kit(file, monkeypatch):
    monkeypatch.setattr(kept_runs, "package_digest", lambda: "another kit")


@pytest.mark.parametrize("change", [change_a_file, change_the_incident, change_a_package, change_the_kit])
def test_what_has_changed_is_run_anew(change, write_incident, duplicate, folder, monkeypatch):
    file = write_incident(duplicate)
    assert looks(load(file))[1]
    change(file, monkeypatch)
    assert looks(load(file))[1]


def test_a_package_that_changes_in_its_place_changes_what_an_interpreter_is(tmp_path):
    site = tmp_path / "site-packages"
    (site / "library").mkdir(parents=True)
    (site / "library" / "core.py").write_text("one = 1\n")

    def told():
        return list(installed_packages._parts(str(site), set()))

    before = told()
    (site / "library" / "core.py").write_text("one = 12\n")
    changed = told()
    elsewhere = tmp_path / "checkout"
    elsewhere.mkdir()
    (site / "linked.pth").write_text(f"{elsewhere}\n")
    linked = told()
    (elsewhere / "linked.py").write_text("")
    assert before != changed != linked != told()
    (site / "__editable___x_finder.py").write_text("")
    with pytest.raises(ValueError, match="__editable__"):
        told()


def test_a_run_that_broke_is_not_kept(write_incident, folder):
    files = {"service/__init__.py": "", "service/main.py": "import time; time.sleep(60)"}
    incident = load(write_incident(files, limits={"seconds": 1}))
    assert [looks(incident)[1] for _ in range(2)] == [True, True]
    with kept_runs.handing_over():
        look_at(incident, hand_over=True)
        assert [looks(incident)[1] for _ in range(2)] == [False, True], "it is handed over, once"
        look_at(incident, hand_over=True)
    assert not list(folder.rglob("*.json.gz"))


@pytest.mark.parametrize("name", ["race-in-lazy-definition", "startup-race"])
def test_a_run_that_raced_is_not_kept(name):
    (file,) = TRACES.glob(f"{name}-2.0.jsonl.gz")
    assert not lasts(kept_runs.Ran(load_diagnosis(file).trace))


def test_no_secret_is_in_what_is_kept(write_incident, folder):
    secret = "ghp_" + "a1B2" * 9
    files = {"service/__init__.py": "", "service/main.py": f"token = '{secret}'\nraise RuntimeError(f'token={secret}')"}
    looks(load(write_incident(files)))
    assert not any(secret.encode() in gzip.decompress(file.read_bytes()) for file in folder.rglob("*.json.gz"))


def test_a_run_that_a_file_could_not_hold_as_it_is_is_not_kept(write_incident, duplicate, folder):
    ran = kept_runs.Ran(looks(load(write_incident(duplicate)))[0].trace)
    kept_runs._write(folder / "whole.json.gz", ran)
    kept_runs._write(folder / "masked.json.gz", replace(ran, stopped="password=hunter2hunter2"))
    assert [file.name for file in folder.glob("*.json.gz")] == ["whole.json.gz"]


def test_a_file_that_is_not_whole_is_run_anew(write_incident, duplicate, folder):
    incident = load(write_incident(duplicate))
    looks(incident)
    (file,) = folder.rglob("*.json.gz")
    file.write_bytes(file.read_bytes()[:100])
    assert [looks(incident)[1] for _ in range(2)] == [True, False]
    with kept_runs.keeping(file / "no folder"):
        assert looks(incident)[1], "where nothing can be kept, it is run"


LOG = """Traceback (most recent call last):
  File "/srv/app/service/main.py", line 5, in <module>
    from service import legacy
sqlalchemy.exc.InvalidRequestError: Table 'invoices' is already defined for this MetaData instance.
"""


COUNTING = """import glob, os, zlib
if not any(name in os.environ for name in ('INCIDENT_GO_ON', 'INCIDENT_HOLD')):
    build = zlib.crc32("".join(open(name).read() for name in sorted(glob.glob("service/*.py"))).encode())
    open({file!r}, "a").write(f"{{build}}\\n")
"""


@pytest.fixture
def counted():
    """Source text that counts plain startups in shared memory, which alone outlasts a workspace; how many there were of the first build."""
    with NamedTemporaryFile("r", dir="/dev/shm") as file:

        def count() -> int:
            file.seek(0)
            builds = file.read().split()
            return builds.count(builds[0])

        yield COUNTING.format(file=file.name), count


@pytest.mark.parametrize("commands", [["verify", "diagnose"], pytest.param(["postmortem"], marks=pytest.mark.slow)])
def test_the_winning_trial_is_the_startup_of_what_comes_after_it(
    commands, counted, write_incident, duplicate, kit, tmp_path
):
    counting, count = counted
    app = (
        write_incident({**duplicate, "service/main.py": counting + dedent(duplicate["service/main.py"])}).parent / "app"
    )
    env = {"KIT_NO_CACHE": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "log.txt").write_text(LOG)
    startup = ("--startup", "import service.main")
    assert kit("new", tmp_path / "new", "--app", app, "--log", tmp_path / "log.txt", *startup, env=env).code == 0
    assert count() == 1
    for command in commands:
        output = ("-o", tmp_path / "page") if command == "postmortem" else ()
        assert kit(command, tmp_path / "new", *output, env=env).code in (0, 1)
    assert count() == 1


def test_a_command_that_keeps_nothing_starts_no_build_twice(counted, write_incident, duplicate, kit, tmp_path):
    counting, count = counted
    duplicate["service/main.py"] = counting + dedent(duplicate["service/main.py"])
    said = kit("postmortem", write_incident(duplicate), "--no-cache", "-o", tmp_path / "page")
    before, answer, after = said.err.partition("first service/billing.py:5, second service/legacy.py:5")
    assert (said.code, count()) == (1, 1), said.err
    assert answer not in after and "a second time going on" not in before, "it is said once, and not by the notebook"


def test_one_run_tells_what_a_module_does_alone_and_what_the_other_order_does(counted, write_incident, duplicate, kit):
    counting, count = counted
    duplicate["service/legacy.py"] = counting + dedent(duplicate["service/legacy.py"])
    said = kit("diagnose", write_incident(duplicate), "--json")
    assert said.json["smallest"] == ["import: service.billing", "import: service.legacy"]
    (order,) = (it for it in said.json["hypotheses"] if it["kind"] == "import-order")
    assert order["verdict"] == "refuted" and "service.legacy then service.billing fails as well" in order["evidence"]
    assert count() == 4, "the startup, either order, and the shortest list without the variables"


def test_the_own_build_of_a_history_is_the_control_and_the_startup_of_the_diagnosis(
    counted, write_incident, kit, tmp_path
):
    counting, count = counted
    grown = History(tmp_path / "grown")
    grown.commit({"service/__init__.py": "", "service/main.py": "begun = 1\n"}, "Begin")
    sha = grown.commit({"service/main.py": f"{counting}raise RuntimeError('the pool is closed')"}, "Close the pool")
    file = write_incident({"x.py": ""}, expect={"error": "the pool is closed"})
    app = {"root": None, "repository": str(grown.folder), "revision": sha}
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"app": {k: v for k, v in app.items() if v}}))
    env = {"KIT_NO_CACHE": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for command in ("history", "verify", "diagnose"):
        assert kit(command, file, env=env).code in (0, 1)
    assert count() == 1
    assert kit("history", file, "--no-cache", env=env).code == 0
    assert count() == 2


SERVER = """import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        {asked}
        self.send_response(200)
        self.end_headers()
if __name__ == "__main__":
    {begins}
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SHOWN = "print('RuntimeError: the pool is closed', flush=True)"
COUNTED_ON_ASKING = "self.path == '/pool' and exec(counting)"


@pytest.mark.parametrize(
    ("begins", "asked", "commands"),
    [
        ("raise RuntimeError('the pool is closed')", "pass", ("diagnose", "verify")),
        ("pass", f"self.path == '/pool' and {SHOWN}", ("reproduce",)),
        (SHOWN, COUNTED_ON_ASKING, ("reproduce",)),
        ("pass", f"self.path == '/pool' and {SHOWN}", ("history",)),
    ],
    ids=["it failed and nothing was up", "an answer shows it", "the start shows it and nothing is asked", "a history"],
)
def test_a_build_is_not_started_a_second_time_to_be_asked(
    begins, asked, commands, counted, write_incident, kit, tmp_path
):
    counting, count = counted
    main = f"counting = {counting!r}\nexec(counting)\n" + SERVER.format(begins=begins, asked=asked)
    files = {"service/__init__.py": "", "service/main.py": main}
    keys = {"startup": [{"serve": "python -m service.main {port}"}], "expect": {"error": "the pool is closed"}}
    file = write_incident(files, **keys, checks=[{"http": {"path": "/pool", "status": 200}}])
    if commands == ("history",):
        grown, healthy = History(tmp_path / "grown"), SERVER.format(begins="pass", asked="pass")
        shas = [grown.commit(content, "Begin") for content in ({**files, "service/main.py": healthy}, files)]
        app = {"repository": str(grown.folder), "revision": shas[1]}
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"app": app}))
    env = {"KIT_NO_CACHE": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert [kit(command, file, env=env).code for command in commands] == [0, 1][: len(commands)]
    assert count() == 1


def test_the_command_line_says_the_same_of_a_kept_run(write_incident, kit, tmp_path):
    main = "import sqlalchemy\nraise RuntimeError('the pool is closed')\n"
    file = write_incident({"service/__init__.py": "", "service/main.py": main}, checks=[{"mappers": True}])
    env = {"KIT_NO_CACHE": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    first, kept_run = (kit("diagnose", file, "--json", env=env) for _ in range(2))
    anew = kit("diagnose", file, "--json", "--no-cache", env=env)
    assert ["the result of that run is used" in one.err for one in (first, kept_run, anew)] == [False, True, False]
    assert without_seconds(first.json) == without_seconds(kept_run.json) == without_seconds(anew.json)


def without_seconds(value):
    if isinstance(value, dict):
        return {key: without_seconds(item) for key, item in value.items() if key not in ("seconds", "at", "run_at")}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value
