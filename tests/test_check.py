"""``check``: of each recorded postmortem, is it still true? And what it leaves for people and for CI."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from conftest import PROJECT
from showing import Outline, active

from kit.base.errors import IncidentError
from kit.incident.load import load
from kit.postmortem.recheck import Checked, Target, check_all, find_incidents, worst
from kit.postmortem.recheck_files import index_page, junit, summary, write_files
from kit.postmortem.record import Claim, compared, record_of, write_record

APPLICATIONS = PROJECT / "tests" / "applications"
HOSTILE = "</title><script>x()</script> | `a` [b](https://evil.example) ]]> \x00\x1b[31m\ud800 @all #1 www.evil.example"
SECRET = "postgresql://admin:hunter2@db.example.com/prod"


@pytest.fixture(scope="session")
def checked_folder(once, tmp_path_factory):
    """One run over a folder of all kinds: what it said, and what it left."""

    def make():
        base = tmp_path_factory.mktemp("checked")
        incidents = base / "incidents"
        for name in ("true", "changed", "healthy"):
            shutil.copytree(APPLICATIONS / "second-class-same-table-same-file", incidents / name)
        proved = {
            "schema": 1,
            "mechanism": "second-class-same-table-same-file",
            "table": "stock_moves",
            "first": "warehouse/stock.py StockMove",
            "second": "warehouse/stock.py Movement",
            "fixes": {"one-class": "cures", "extend-existing": "hides"},
            "hypotheses": {},
        }
        (incidents / "true" / "recorded.json").write_text(json.dumps(proved))
        changed = {**proved, "fixes": {"one-class": "cures", "extend-existing": "cures", "gone": "hides"}}
        (incidents / "changed" / "recorded.json").write_text(json.dumps(changed))
        patch = incidents / "healthy" / "fixes" / "one-class.patch"
        subprocess.run(["git", "apply", str(patch)], cwd=incidents / "healthy" / "app", check=True)
        (incidents / "team" / "wrong").mkdir(parents=True)
        (incidents / "team" / "wrong" / "incident.yaml").write_text("title: [")
        shutil.copytree(incidents / "true", incidents / "team" / "no-interpreter")
        file = incidents / "team" / "no-interpreter" / "incident.yaml"
        file.write_text(file.read_text().replace("  root: app\n", "  root: app\n  python: python9.9\n"))
        done = subprocess.run(
            [sys.executable, "-m", "kit", "check", str(incidents), "-o", str(base / "out")],
            cwd=PROJECT,
            env={**os.environ, "GITHUB_STEP_SUMMARY": str(base / "step.md")},
            capture_output=True,
            text=True,
            timeout=600,
        )
        return done, base

    done, base = once("checked-folder", make)
    return done, base, json.loads((base / "out" / "check.json").read_text())


class TestAFolderOfAllKinds:
    def test_each_gets_its_own_code_and_none_stops_the_others(self, checked_folder):
        done, _, report = checked_folder
        assert "Traceback" not in done.stderr
        assert {one["name"]: one["code"] for one in report["incidents"]} == {
            "changed": 1,
            "healthy": 3,
            "team/no-interpreter": 4,
            "team/wrong": 2,
            "true": 0,
        }
        assert done.returncode == report["code"] == 4  # the highest

    def test_what_is_not_as_recorded_is_named_line_by_line(self, checked_folder):
        done, _, report = checked_folder
        assert report["incidents"][0]["drift"] == [
            "fix extend-existing: recorded cures, now hides",
            "fix gone: recorded hides, now not there",
        ]
        assert "    fix extend-existing: recorded cures, now hides\n" in done.stdout

    def test_every_page_that_the_index_leads_to_is_beside_it(self, checked_folder):
        _, base, report = checked_folder
        page = (base / "out" / "index.html").read_text()
        links = [one["href"] for one in Outline(page).all("a") if not one["href"].startswith("#")]
        assert links == ["changed/postmortem.html", "healthy/postmortem.html", "true/postmortem.html"]
        assert all((base / "out" / one).exists() for one in links)
        assert links == [one["page"] for one in report["incidents"] if one["page"]]

    def test_nothing_of_this_machine_is_in_what_it_leaves(self, checked_folder):
        _, base, _ = checked_folder
        for name in ("index.html", "junit.xml", "summary.md", "check.json"):
            text = (base / "out" / name).read_text()
            assert str(base) not in text and str(PROJECT) not in text and str(Path.home()) + "/" not in text, name

    def test_failures_and_errors_of_the_junit_file_are_those_of_the_incidents(self, checked_folder):
        _, base, _ = checked_folder
        suites = {one.get("name"): one for one in ElementTree.parse(base / "out" / "junit.xml").getroot()}
        counted = {name: (one.get("failures"), one.get("errors")) for name, one in suites.items()}
        assert counted == {
            "changed": ("2", "0"),
            "healthy": ("1", "0"),
            "team/no-interpreter": ("0", "1"),
            "team/wrong": ("0", "1"),
            "true": ("0", "0"),
        }
        failed = [case.get("name") for case in suites["changed"].iter("testcase") if case.find("failure") is not None]
        assert failed == ["fix extend-existing", "fix gone"]
        assert_valid((base / "out" / "junit.xml").read_text())

    def test_in_a_github_job_the_summary_is_the_jobs(self, checked_folder):
        _, base, _ = checked_folder
        assert (base / "step.md").read_text() == (base / "out" / "summary.md").read_text()
        assert "1 of 5 postmortems still true" in (base / "step.md").read_text()
        assert (
            "| still true | Two classes in one file define the same table. | it reproduces, verified: one-class;"
            in (base / "step.md").read_text().replace("\\", "")
        )


def assert_valid(text: str) -> None:
    """By the schema of the file that Jenkins publishes, which the readers of GitHub and GitLab follow."""
    from lxml import etree

    etree.XMLSchema(file=str(PROJECT / "tests" / "junit-10.xsd")).assertValid(etree.fromstring(text.encode()))


@pytest.fixture
def hostile(tmp_path) -> list[Checked]:
    """Answers in which everything that comes from others is hostile."""
    page = tmp_path / 'a"><b' / "postmortem.html"
    claims = (Claim(HOSTILE, False, HOSTILE), Claim(SECRET, None, SECRET), Claim("fine", True, "fine"))
    report = {"mechanism": "undecided", "verify": {"verified": [HOSTILE]}}
    return [
        Checked('a"><b', HOSTILE, 1, f"{HOSTILE} {SECRET}", claims, True, report, page, 1.5),
        Checked("c", HOSTILE, 2, HOSTILE),
    ]


def test_the_junit_file_is_valid_whatever_the_titles_are(hostile):
    text = junit(hostile)
    assert_valid(text)
    assert "hunter2" not in text and not re.search(r"[\x00-\x08\x0b-\x1f\ud800-\udfff]", text)
    (first, second) = ElementTree.fromstring(text)
    assert (first.get("tests"), first.get("failures"), first.get("skipped")) == ("3", "1", "1")
    assert "</title><script>x()</script>" in first.find(".//failure").text and second.get("errors") == "1"


def test_the_json_is_whole_whatever_the_titles_are(hostile, tmp_path):
    write_files(hostile, tmp_path)
    text = (tmp_path / "check.json").read_text()
    assert "hunter2" not in text and "\\u0000" not in text
    assert json.loads(text)["incidents"][0]["page"] == 'a"><b/postmortem.html'


def test_nothing_in_the_index_page_can_act_or_load(hostile, tmp_path):
    text = index_page(hostile, tmp_path)
    assert active(text) == ["a href=a%22%3e%3cb/postmortem.html"]  # the page beside it
    assert "hunter2" not in text and "\x1b" not in text
    page = Outline(text)
    assert not page.all("script") and not page.all("b") and len(page.all("main")) == 1
    assert [one["content"] for one in page.all("meta") if "http-equiv" in one][0].startswith("default-src 'none'")
    (link,) = [one["href"] for one in page.all("a") if not one["href"].startswith("#")]
    assert link == "a%22%3E%3Cb/postmortem.html"
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and all(one["href"][1:] in ids for one in page.all("a") if one["href"][0] == "#")
    assert text == index_page(hostile, tmp_path)


def test_the_summary_shows_titles_as_themselves(hostile):
    import mistune

    text = summary(hostile)
    assert "hunter2" not in text
    html = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough"])(text)
    assert set(re.findall(r"<(\w+)", html)) <= {
        "h3",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "ul",
        "li",
    }
    assert len(re.findall("<td>", html)) == 8 and "`a` [b](https://evil.example)" in html


def test_all_that_is_handed_to_an_executor_and_back_can_be_pickled(hostile, tmp_path):
    assert pickle.loads(pickle.dumps(hostile)) == hostile
    with ProcessPoolExecutor(1) as executor:
        (checked,) = check_all(find_incidents([tmp_path / "gone.yaml"]), tmp_path / "out", executor=executor)
    assert checked.code == 2 and "there is no such incident file" in checked.says


def test_a_worker_that_died_is_a_broken_run_of_its_incident_alone(tmp_path):
    class Dying:
        def submit(self, call, found, *rest, **more):
            future = Future()
            if found.name == "dead":
                future.set_exception(MemoryError("worker"))
            else:
                future.set_result(Checked(found.name, "t", 0, "fine"))
            return future

    answers = check_all([Target("dead", tmp_path), Target("alive", tmp_path)], tmp_path, executor=Dying())
    assert [one.code for one in answers] == [4, 0] and worst(answers) == 4


def test_incidents_are_found_below_folders_sorted_and_each_once(tmp_path):
    for name in ("b", "a/x", "a/y", ".hidden", "node_modules/m", "b/app/tests/fixture"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "incident.yaml").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "incident.yaml").touch()
    (tmp_path / "empty").mkdir()
    found = find_incidents([tmp_path, tmp_path / "b", tmp_path / "b" / "incident.yaml", tmp_path / "empty"])
    assert [one.name for one in found] == ["a/x", "a/y", "b", "other", "empty"]
    (tmp_path / "z" / "b").mkdir(parents=True)
    (tmp_path / "z" / "b" / "incident.yaml").touch()
    assert [one.name for one in find_incidents([tmp_path / "b", tmp_path / "z" / "b"])] == ["b", "b-2"]


def test_a_folder_without_incidents_is_exit_2(kit, tmp_path):
    (tmp_path / "empty").mkdir()
    said = kit("check", tmp_path / "empty", "-o", tmp_path / "out")
    assert said.code == 2 and "there is no incident.yaml in this folder or below it" in said.out


def test_a_record_that_cannot_be_read_is_exit_2_and_says_how_to_write_it_again(
    kit, write_incident, duplicate, tmp_path
):
    file = write_incident(duplicate)
    for text in ("{", "[]", '{"schema": 1, "fixes": {"a": 1}, "hypotheses": {}}'):
        file.with_name("recorded.json").write_text(text)
        said = kit("check", file, "-o", tmp_path / "out.json", "--format", "github", cwd=tmp_path)
        assert said.code == 2 and "check --record" in said.out
        assert f"::error file={file.relative_to(tmp_path)},title=the file is wrong::" in said.out
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["incidents"][0]["verdict"] == "the file is wrong"
    assert (tmp_path / "results" / "check" / "junit.xml").exists()


def test_what_has_no_verified_fix_is_exit_1_and_its_record_holds_the_rest(kit, write_incident, duplicate, tmp_path):
    claim = {"claim": "There are two Base objects"}
    file = write_incident(duplicate, hypotheses=[claim])
    said = kit("check", file, "--record", "-o", tmp_path / "out")
    assert said.code == 1 and "it reproduces, and no fix is verified" in said.out
    recorded = json.loads(file.with_name("recorded.json").read_text())
    assert recorded["mechanism"] == "second-class-same-table-other-file"
    assert recorded["second"] == "service/legacy.py OldInvoice"
    assert recorded["hypotheses"] == {"There are two Base objects": "refuted"}


def report_of(**changes):
    report = {
        "mechanism": "m",
        "table": "t",
        "sites": [{"role": "first", "file": "a.py", "line": 7, "name": "A"}],
        "hypotheses": [{"claim": "c", "verdict": "refuted", "of": "people"}],
        "verify": {"fixes": [{"name": "f", "verdict": "cures"}], "verified": ["f"]},
    }
    return {**report, **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mechanism": "n"}, "mechanism: recorded m, now n"),
        ({"sites": []}, "first: recorded a.py A, now none"),
        ({"hypotheses": []}, "hypothesis c: recorded refuted, now not there"),
        (
            {"verify": {"fixes": [{"name": "f", "verdict": "hides"}], "verified": []}},
            "fix f: recorded cures, now hides",
        ),
    ],
)
def test_everything_recorded_is_compared(changes, said):
    recorded = record_of(report_of())
    assert all(one.ok for one in compared(recorded, report_of()))
    assert [one.says for one in compared(recorded, report_of(**changes)) if one.ok is False] == [said]


@pytest.mark.parametrize("held", [True, False], ids=["git holds what decides", "git does not hold it"])
def test_what_only_the_work_tree_shows_is_not_recorded(held, write_incident, duplicate):
    duplicate["service/main.py"] = (
        "from pathlib import Path\nfrom service import billing\n"
        "if 'LEGACY=1' in Path('.env').read_text():\n    from service import legacy\n"
    )
    held_by_git = {".gitignore": "notes\n", "notes": ""} if held else {".gitignore": ".env\n"}
    file = write_incident({**duplicate, ".env": "LEGACY=1\n", **held_by_git}, expect={"table": "invoices"})
    for words in ("init -q", "add -A", "-c user.name=a -c user.email=a@example.com commit -qm first"):
        subprocess.run(["git", *words.split()], cwd=file.parent / "app", check=True, capture_output=True)
    if held:
        write_record(load(file), report_of())
    else:
        with pytest.raises(
            IncidentError, match=r"a fresh clone .* does not show the incident, which needs .*\(\.env\)"
        ):
            write_record(load(file), report_of())
    assert file.with_name("recorded.json").exists() is held


def test_lines_may_move_and_a_new_fix_fails_nothing():
    moved = [{"role": "first", "file": "a.py", "line": 99, "name": "A"}]
    fixes = [{"name": "f", "verdict": "cures"}, {"name": "new", "verdict": "breaks"}]
    now = report_of(sites=moved, verify={"fixes": fixes, "verified": ["f"]})
    claims = compared(record_of(report_of()), now)
    assert [one.says for one in claims if one.ok is not True] == ["fix new: recorded nothing, now breaks"]
    assert not [one for one in claims if one.ok is False]


@pytest.mark.parametrize(("then", "now"), [("cures", "undecided"), ("undecided", "cures")])
def test_a_fix_whose_run_broke_is_not_told_to_be_otherwise(then, now):
    was, is_ = (report_of(verify={"fixes": [{"name": "f", "verdict": one}], "verified": []}) for one in (then, now))
    assert [one.ok for one in compared(record_of(was), is_) if one.name == "fix f"] == [None]


def test_interrupted_it_ends_every_process_and_says_so(tmp_path, write_incident, duplicate):
    duplicate["service/main.py"] = "import time; print('up', flush=True); time.sleep(300)"
    file = write_incident(duplicate)
    marker = f"interrupted-{os.getpid()}-{time.time_ns()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "kit", "check", str(file), "-o", str(tmp_path / "out")],
        cwd=PROJECT,
        env={**os.environ, "MARKER": marker},
        stderr=subprocess.PIPE,
        text=True,
    )

    def alive() -> list[str]:
        found = []
        for one in Path("/proc").glob("[0-9]*"):
            try:
                if marker.encode() in (one / "environ").read_bytes():
                    found.append((one / "cmdline").read_text().replace("\0", " "))
            except OSError:
                pass
        return found

    until = time.monotonic() + 120
    while not any("ipykernel" in one for one in alive()) and time.monotonic() < until:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 4 and "interrupted" in said
    until = time.monotonic() + 30
    while alive() and time.monotonic() < until:
        time.sleep(0.2)
    assert alive() == []


def test_the_bundled_incidents_have_records():
    for found in find_incidents([PROJECT / "notebooks" / "incidents"]):
        recorded = json.loads(found.file.with_name("recorded.json").read_text())
        assert set(recorded["fixes"]) == set(load(found.file).fixes) and "cures" in recorded["fixes"].values()


class TestTheJobsOfTheReadme:
    LINES = (PROJECT / ".ci" / "check-postmortems.sh").read_text().partition("set -euo pipefail\n")[2].splitlines()

    def jobs(self) -> dict[str, dict]:
        text = (PROJECT / "README.md").read_text()
        return dict(re.findall(r"```yaml\n# (\.git\S+)\n(.*?)```", text, re.S))

    def test_their_lines_are_those_of_the_file_that_our_ci_runs(self):
        jobs = {name: yaml.safe_load(text) for name, text in self.jobs().items()}
        github = jobs[".github/workflows/postmortems.yml"]["jobs"]["postmortems"]["steps"]
        runs = [step["run"] for step in github if "run" in step]
        assert runs == [*self.LINES[:-1], f"{self.LINES[-1]} --format github"]  # with notes at the lines of a change
        assert jobs[".gitlab-ci.yml"]["postmortems"]["script"] == self.LINES
        assert len(self.LINES) == 3

    def test_what_they_keep_is_kept_on_failure_too(self):
        jobs = {name: yaml.safe_load(text) for name, text in self.jobs().items()}
        upload = jobs[".github/workflows/postmortems.yml"]["jobs"]["postmortems"]["steps"][-1]
        kept = jobs[".gitlab-ci.yml"]["postmortems"]["artifacts"]
        assert upload["if"] == "always()" and upload["with"]["path"] == "postmortems"
        assert kept == {"when": "always", "paths": ["postmortems"], "reports": {"junit": "postmortems/junit.xml"}}

    @pytest.mark.slow
    def test_the_file_runs_in_a_repository_of_somebody_else(self, tmp_path):
        clone_source, mine = tmp_path / "kit", tmp_path / "mine"
        skip = shutil.ignore_patterns(
            ".git", ".venv", ".environments", "results", "__pycache__", ".*_cache", "tests", "lab", "dist"
        )
        shutil.copytree(PROJECT, clone_source, ignore=skip)
        git = ["git", "-C", str(clone_source), "-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "kit"], check=True)
        shutil.copytree(APPLICATIONS / "second-class-same-table-same-file", mine / "incidents" / "stock")
        file = mine / "incidents" / "stock" / "incident.yaml"
        file.write_text(file.read_text().replace("  root: app\n", f"  root: app\n  python: {sys.executable}\n"))
        (mine / "incidents" / "wrong").mkdir()
        (mine / "incidents" / "wrong" / "incident.yaml").write_text("title: [")
        # All of it is real, but our own packages are in sight, so that pip finds every requirement satisfied and asks no registry.
        environment = {
            **os.environ,
            "INCIDENT_KIT": clone_source.as_uri(),
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "JUPYTER_PATH": f"{sys.prefix}/share/jupyter",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "false",  # which turns it off: what builds the package is in sight, too
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        done = subprocess.run(
            [PROJECT / ".ci" / "check-postmortems.sh"], cwd=mine, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 2, done.stdout + done.stderr
        report = json.loads((mine / "postmortems" / "check.json").read_text())
        assert {one["name"]: one["code"] for one in report["incidents"]} == {"stock": 0, "wrong": 2}
        assert (mine / "postmortems" / "stock" / "postmortem.html").exists()
        assert (mine / "postmortems" / "junit.xml").exists()
