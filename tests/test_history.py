"""History: the commit that brought an incident in, the one that took it out, and the one that claims to have."""

import fcntl
import html
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import pytest
import yaml
from conftest import PROJECT
from histories import History, git, state

from kit import views
from kit.base.errors import IncidentError
from kit.history.commit_changes import claiming, parse
from kit.history.runs import HEALTHY, REPRODUCES, UNTESTABLE, Kept, Seen, at_build, judge, run_build
from kit.history.search import history
from kit.incident.builds import builds_of
from kit.incident.load import load
from kit.incident.model import App, Expect, Incident
from kit.incident.repository import open_repository
from kit.incident.steps import Step
from kit.triage.origin import triage_incident
from kit.verify.verification import verify

INCIDENT = PROJECT / "notebooks" / "incidents" / "energy_events"

GOOD = "import service.models\n"
BAD = "import service.models\nraise RuntimeError('the pool is closed')\n"
BROKEN = "import something_that_is_not_there\n"
SERVICE = {"service/__init__.py": "", "service/models.py": "", "service/main.py": GOOD}


@pytest.fixture
def written(write_incident, tmp_path):
    """An incident file for a repository: its startup ends with 'the pool is closed'."""

    def write(folder, **more):
        file = write_incident({"x.py": ""}, expect={"error": "the pool is closed"}, **more.pop("incident", {}))
        content = yaml.safe_load(file.read_text())
        content["app"] = {"repository": str(folder), **more}
        file.write_text(yaml.safe_dump(content))
        return file

    return write


@pytest.fixture
def pool(tmp_path):
    """Seven commits: the incident comes with the third and goes with the sixth; the seventh claims to be the fix."""
    made = History(tmp_path / "pool")
    made.ids = [
        made.commit(SERVICE, "Begin"),
        made.commit({"README": "one\n"}, "Say what it is"),
        made.commit({"service/main.py": BAD, "setup.cfg": "[x]\n"}, "Close the pool early"),
        made.commit({"README": "two\n"}, "Say more"),
        made.commit({"README": "three\n"}, "Fix the typo"),
        made.commit({"service/main.py": GOOD, "README": "four\n"}, "Bump the version"),
        made.commit({"service/models.py": "# pool\n"}, "Fix: 'the pool is closed' at startup"),
    ]
    return made


# ------------------------------------------------------------------------------------ the bundled incident


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Reports of two searches with one cache; every worker of a test run takes them from one place."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    found = base / "searched.json"
    with open(base / "searched.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            command = [sys.executable, "-m", "kit", "history", str(INCIDENT), "--cache", str(base / "cache"), "--json"]
            said = [subprocess.run(command, cwd=PROJECT, capture_output=True, text=True) for _ in range(2)]
            assert [one.returncode for one in said] == [0, 0], said[0].stderr
            found.write_text(json.dumps([json.loads(one.stdout) for one in said]))
    return json.loads(found.read_text())


def test_b1_brought_it_in_f1_took_it_out_and_a1_changed_nothing(searched):
    report = searched[0]
    subject = {one["sha"]: one["subject"] for one in report["commits"]}
    assert report["schema"] == 1
    assert subject[report["introduced"]] == "Add the Domain Charge Party models"
    assert subject[report["fixed"]] == "Add stripe package to requirements"
    (claimed,) = report["claims"]
    assert claimed["subject"].startswith("Fix duplicate energy_events registration")
    assert (claimed["before"], claimed["after"]) == (HEALTHY, HEALTHY)
    assert claimed["verdict"] == "changed nothing"


def test_the_search_runs_at_most_the_bound_and_a_second_one_nothing(searched):
    bound = math.ceil(math.log2(8)) + 2
    for boundary in searched[0]["searched"].values():
        assert boundary["runs"] <= bound
    assert searched[0]["runs"] <= 6
    assert searched[1]["runs"] == 0 and searched[1]["kept"] == len(searched[0]["commits"])
    assert searched[1]["introduced"] == searched[0]["introduced"]
    assert searched[1]["fixed"] == searched[0]["fixed"]


def test_both_changes_are_cut_to_what_the_trace_says_matters(searched):
    introduced, fixed = searched[0]["changes"]["introduced"], searched[0]["changes"]["fixed"]
    assert {one["file"] for one in introduced["hunks"]} == {
        "alembic/env.py",
        "app/models_domain.py",
        "app/run_migrations.py",
    }
    assert {one["file"] for one in fixed["hunks"]} == {
        "alembic/env.py",
        "app/main_simple.py",
        "app/models_extra.py",
    }
    (legacy,) = [one["text"] for one in fixed["hunks"] if one["file"] == "app/models_extra.py"]
    assert "-class EnergyEvent(Base):" in legacy
    assert "requirements.txt" in fixed["files"]


@pytest.mark.slow
def test_a_fix_given_as_a_commit_is_applied_to_the_broken_build(tmp_path):
    incident = load(INCIDENT)
    fixes = {"stripe": {"commits": ["HEAD~3"], "claim": "Add stripe package to requirements"}}
    model = type(incident).model_validate({**incident.model_dump(exclude={"fixes", "startup", "prepare", "checks"}), "fixes": fixes,
        "startup": [{"import": "app.main_simple"}], "checks": [{"clean_start": True}]})  # fmt: skip
    verification = verify(model)
    (fix,) = verification.fixes
    assert verification.reproduced and fix.verdict == "cures", fix.because
    assert fix.patches == ("commit HEAD~3",)


# ------------------------------------------------------------------------------------ the command line


def test_the_whole_line_is_searched_from_the_revision_on_and_nothing_is_changed(kit, pool, written, tmp_path):
    (pool.folder / "README").write_text("not committed\n")
    before = state(pool.folder)
    file = written(pool.folder, revision=pool.ids[3][:10])
    said = kit("history", file, "--cache", tmp_path / "cache", "--json")
    assert said.code == 0, said.err
    report = said.json
    assert (report["introduced"], report["fixed"]) == (pool.ids[2], pool.ids[5])
    assert {one["sha"]: one["verdict"] for one in report["claims"]} == {pool.ids[6]: "changed nothing"}
    assert [one["file"] for one in report["changes"]["introduced"]["hunks"]] == ["service/main.py"]
    assert report["changes"]["introduced"]["files"] == ["service/main.py", "setup.cfg"]
    assert {one["verdict"] for one in report["commits"]} == {REPRODUCES, HEALTHY}
    assert state(pool.folder) == before


def test_in_words_it_names_both_commits_and_the_claim(kit, pool, written, tmp_path):
    said = kit("history", written(pool.folder), "--cache", tmp_path / "cache")
    assert said.code == 0
    assert f"Introduced by {pool.ids[2][:9]}" in said.out and f"Fixed by {pool.ids[5][:9]}" in said.out
    assert f"the fix changed nothing: {pool.ids[6][:9]} (Fix: 'the pool is closed' at startup)" in said.out


def test_what_reproduces_nowhere_is_exit_3_and_what_cannot_run_anywhere_exit_4(kit, pool, written, tmp_path):
    said = kit("history", written(pool.folder), "--from", pool.ids[5], "--cache", tmp_path / "cache", "--json")
    assert said.code == 3 and said.json["introduced"] is None and said.json["fixed"] is None
    broken = History(tmp_path / "broken")
    broken.commit({**SERVICE, "service/main.py": BROKEN}, "Begin")
    said = kit("history", written(broken.folder), "--cache", tmp_path / "cache", "--json")
    assert said.code == 4 and [one["verdict"] for one in said.json["commits"]] == [UNTESTABLE]
    assert "something_that_is_not_there" in said.json["commits"][0]["because"]


def test_wrong_calls_are_exit_2(kit, pool, written, write_incident, tmp_path):
    for words in (["--from", "gone"], ["--to", "gone"]):
        said = kit("history", written(pool.folder), *words, "--cache", tmp_path)
        assert said.code == 2 and "there is no revision 'gone'" in said.err
    said = kit("history", written(pool.folder, revision="v9"), "--cache", tmp_path)
    assert said.code == 2 and "there is no revision 'v9'" in said.err
    said = kit("history", write_incident({"service/main.py": GOOD}), "--cache", tmp_path)
    assert said.code == 2 and "is a folder without a history" in said.err
    said = kit("history", written(tmp_path), "--cache", tmp_path)
    assert said.code == 2 and "is no git repository" in said.err


def test_a_missing_interpreter_is_exit_4(kit, pool, written, tmp_path):
    said = kit("history", written(pool.folder, python="python9.9"), "--cache", tmp_path)
    assert said.code == 4 and "there is no interpreter 'python9.9'" in said.err


# ------------------------------------------------------------------------------------ the search itself


def line_of(folder, count):
    """A repository of ``count`` commits, oldest first."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
    stream = []
    for number in range(count):
        stream.append(
            f"commit refs/heads/main\ncommitter A <a@example.com> {1_700_000_000 + number} +0000\ndata 1\nx\n"
        )
        stream.append(f"M 100644 inline n\ndata {len(str(number))}\n{number}\n")
    git(folder, "fast-import", "--quiet", input="".join(stream))
    repository = open_repository(folder)
    return repository, [one.sha for one in reversed(repository.commits())]


SHOWS, FINE = Seen(True, "it shows", None), Seen(False, None, None)
NOT_ABLE = Seen(False, None, "another reason")


class Builds:
    """Stands for startups: says what each commit shows, and counts."""

    def __init__(self, shown=(), broken=()):
        self.shown, self.broken, self.asked = set(shown), set(broken), []

    def __call__(self, build):
        sha = build.app.revision
        self.asked.append(sha)
        return NOT_ABLE if sha in self.broken else SHOWS if sha in self.shown else FINE


def search(incident, repository, builds, **more):
    with ThreadPoolExecutor(2) as pool:
        return history(incident, repository, run=builds, executor=pool, **more)


@pytest.fixture
def plain(write_incident):
    return load(write_incident({"service/main.py": GOOD}, expect={"error": "x"}))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 33, 100])
def test_both_boundaries_are_found_with_no_more_builds_than_the_bound(count, plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", count)
    bound = math.ceil(math.log2(count)) + 2
    chance = random.Random(count)
    for _ in range(6):
        first = chance.randrange(count)
        end = chance.randrange(first + 1, count + 1)
        builds = Builds(ids[first:end])
        # What the log leaves open: some builds of those that show it.
        low, high = sorted((chance.randrange(first, end), chance.randrange(first, end)))
        hints = [
            {"seeds": ids[low : high + 1][::-1]},
            {"around": ids[chance.randrange(first, end)]},
            {"seeds": ids[first:end][::-1]},
        ]
        for hint in hints:
            builds.asked.clear()
            found = search(plain, repository, builds, **hint)
            assert found.when_introduced.first == ids[first]
            assert found.when_fixed.first == (ids[end] if end < count else None)
            for boundary in (found.when_introduced, found.when_fixed):
                assert boundary.runs <= math.ceil(math.log2(max(1, boundary.size))) + 2 <= bound
            assert found.runs == len(builds.asked) == len(set(builds.asked)) <= 2 * bound


def test_a_hint_that_does_not_help_stays_within_the_bound(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 18)
    for first in range(1, 16):
        found = search(plain, repository, Builds(ids[first:]), first=ids[0], seeds=[ids[16]])
        boundary = found.when_introduced
        assert boundary.first == ids[first]
        assert boundary.runs <= math.ceil(math.log2(boundary.size)) + 2


def test_the_logs_own_builds_make_the_search_shortest(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 100)
    found = search(plain, repository, Builds(ids[40:60]), seeds=ids[40:60][::-1])
    assert (found.when_introduced.first, found.when_fixed.first) == (ids[40], ids[60]) and found.runs == 5


def test_the_revision_that_is_said_to_reproduce_bounds_the_search_whatever_the_log_fits(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 64)
    builds = Builds(ids[10:20] + ids[40:50])  # it went, and came back
    found = search(plain, repository, builds, seeds=ids[10:20][::-1], around=ids[45])
    assert found.reproduced.sha == ids[45]
    assert (found.when_introduced.first, found.when_fixed.first) == (ids[40], ids[50])


def test_without_any_hint_it_doubles_back_from_the_newest(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 100)
    found = search(plain, repository, Builds(ids[80:90]))
    assert (found.when_introduced.first, found.when_fixed.first) == (ids[80], ids[90])
    assert found.runs <= 7 + 2 * 9  # the steps back, and both boundaries


def test_what_was_there_from_the_first_commit_on_and_is_there_still(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 9)
    found = search(plain, repository, Builds(ids))
    assert found.when_introduced.first == ids[0] and "the first commit of all" in found.when_introduced.because
    assert found.when_fixed.first is None and "still reproduces" in found.when_fixed.because


def test_builds_that_cannot_run_are_passed_over_and_not_taken_for_bad(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 64)
    found = search(plain, repository, Builds(ids[40:50], broken=ids[20:36] + ids[52:60]), around=ids[45])
    assert (found.when_introduced.first, found.when_fixed.first) == (ids[40], ids[50])


def test_a_boundary_among_builds_that_cannot_run_is_undecided_and_named(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 32)
    found = search(plain, repository, Builds(ids[12:20], broken=[*ids[8:12], *ids[20:23]]), around=ids[15])
    assert found.when_introduced.first is None and found.when_fixed.first is None
    assert set(found.when_introduced.between) == set(ids[8:13])
    assert "cannot be run for another reason" in found.when_introduced.because
    assert set(found.when_fixed.between) == set(ids[20:24])


def test_where_every_build_fails_of_its_surroundings_the_search_ends_after_a_few_and_says_why(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 64)
    found = search(plain, repository, Builds(ids[52:], broken=ids[:52]), around=ids[60])
    assert found.when_introduced.first is None and found.runs <= 3 * 8
    assert (
        "the others of these 52 were not tried: it does not start for another reason" in found.when_introduced.because
    )
    assert set(found.when_introduced.between) == set(ids[:53])


def test_a_newest_build_that_cannot_run_gives_way_to_the_newest_that_can(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 32)
    found = search(plain, repository, Builds(ids[12:20], broken=ids[30:]), around=ids[15])
    assert (found.when_introduced.first, found.when_fixed.first) == (ids[12], ids[20])


def test_builds_right_after_the_one_that_reproduces_are_asked_however_many_beyond_them_cannot_run(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 32)
    for broken in (22, 21, 27):
        found = search(plain, repository, Builds(ids[12:20], broken=ids[broken:]), around=ids[15])
        assert (found.when_introduced.first, found.when_fixed.first) == (ids[12], ids[20])


def test_a_folder_that_a_commit_has_not_got_costs_no_build(plain, tmp_path):
    folder = tmp_path / "line"
    folder.mkdir()
    git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
    stream = []
    for number in range(16):
        name = "service" if number < 10 else "renamed"
        stream.append(
            f"commit refs/heads/main\ncommitter A <a@example.com> {1_700_000_000 + number} +0000\ndata 1\nx\n"
            + ("D service\n" if number == 10 else "")
            + f"M 100644 inline {name}/n\ndata {len(str(number))}\n{number}\n"
        )
    git(folder, "fast-import", "--quiet", input="".join(stream))
    repository = open_repository(folder, subdir="service")
    ids = [commit.sha for commit in reversed(open_repository(folder).commits())]
    builds = Builds(ids[2:7])
    found = search(plain, repository, builds, around=ids[4])
    assert (found.when_introduced.first, found.when_fixed.first) == (ids[2], ids[7])
    assert not set(builds.asked) & set(ids[10:])


def test_a_range_begins_where_it_is_told_to(plain, tmp_path):
    repository, ids = line_of(tmp_path / "line", 64)
    builds = Builds(ids[30:40])
    found = search(plain, repository, builds, first=ids[20], last=ids[35])
    assert found.when_introduced.first == ids[30] and found.when_introduced.runs <= math.ceil(math.log2(15)) + 2
    assert found.when_fixed.first is None and ids[0] not in builds.asked
    found = search(plain, repository, Builds(ids[10:40]), first=ids[20])
    assert found.when_introduced.first is None and "already reproduces: begin earlier" in found.when_introduced.because


def test_the_messages_of_many_commits_are_read_by_one_git(tmp_path, monkeypatch):
    written = History(tmp_path / "service")
    says = [f"Commit {number}\n\nFixes {'the invoices' if number == 3 else 'nothing'} é" for number in range(6)]
    shas = [written.commit({"a.txt": text}, text) for text in says]
    repository, ran = open_repository(written.folder), []
    git = repository.git
    monkeypatch.setattr(
        type(repository), "git", lambda self, *words, **more: (ran.append(words), git(*words, **more))[1]
    )
    assert repository.messages(shas) == dict(zip(shas, says, strict=True)) and len(ran) == 1
    assert repository.messages([]) == {} and len(ran) == 1
    commits = repository.commits("HEAD")
    incident = Incident(
        title="t", app=App(root="app"), startup=[Step.model_validate({"import": "a"})], expect=Expect(table="invoices")
    )
    assert [commit.sha for commit, _, _ in claiming(repository, incident, commits, ())] == [shas[3]] and len(ran) == 3


def test_equal_trees_are_run_once(plain, tmp_path):
    made = History(tmp_path / "twice")
    ids = [made.commit({"a": text}, "x") for text in ("1", "2", "1", "2", "1")]
    builds = Builds(ids)
    search(plain, open_repository(made.folder), builds)
    assert len(builds.asked) <= 2


def test_a_merge_that_brings_it_in_and_a_branch_that_takes_it_out(plain, tmp_path):
    made = History(tmp_path / "merges")
    base = made.commit({"a": "0", "b": "0"}, "Begin")
    left = made.commit({"a": "1"}, "Left")
    made.switch("side", base)
    side = [made.commit({"b": str(n)}, f"Side {n}") for n in (1, 2, 3)]
    made.switch("main")
    merge = made.merge("side", "Merge the side")
    after = made.commit({"c": "1"}, "After")
    made.switch("mend", after)
    mend = made.commit({"d": "1"}, "Mend")
    made.switch("main")
    more = made.commit({"c": "2"}, "More")
    second = made.merge("mend", "Merge the mend")
    repository = open_repository(made.folder)
    # Only both sides together show it.
    found = search(plain, repository, Builds([merge, after, more]))
    assert (found.when_introduced.first, found.when_fixed.first) == (merge, second)
    # The branch brought it in and took it out; what never had it does not count as its end.
    found = search(plain, repository, Builds([*side[1:], merge, after, more]))
    assert (found.when_introduced.first, found.when_fixed.first) == (side[1], second)
    assert left and mend


def test_a_shallow_clone_does_not_name_the_commit_where_it_ends(plain, pool, tmp_path):
    git(tmp_path, "clone", "--quiet", "--depth=3", f"file://{pool.folder}", "shallow")
    repository = open_repository(tmp_path / "shallow")
    before = state(repository.folder)
    found = search(plain, repository, Builds(pool.ids[2:5]))
    assert state(repository.folder) == before
    assert found.when_introduced.first is None and "where the shallow clone ends" in found.when_introduced.because
    assert found.when_fixed.first == pool.ids[5]


# ------------------------------------------------------------------------------------ real builds


def test_renames_line_ends_and_a_folder_inside_a_repository(plain, written, tmp_path):
    made = History(tmp_path / "all")
    old = made.commit({f"old/{name}": text.replace("\n", "\r\n") for name, text in SERVICE.items()}, "Elsewhere")
    git(made.folder, "mv", "old", "backend")
    moved = made.commit({}, "Move the package root")
    bad = made.commit({"backend/service/main.py": BAD.replace("\n", "\r\n")}, "Close the pool")
    git(made.folder, "mv", "backend/service/models.py", "backend/service/tables.py")
    good = made.commit({"backend/service/main.py": "import service.tables\r\n"}, "Rename the models")
    before = state(made.folder)
    incident = load(written(made.folder, subdir="backend"))
    found = history(incident, open_repository(made.folder, subdir="backend"))
    assert state(made.folder) == before
    assert (found.when_introduced.first, found.when_fixed.first) == (bad, good)
    (hunk,) = found.introduced.hunks
    assert hunk.file == "service/main.py" and "the pool is closed" in hunk.text
    seen = run_build(at_build(incident, open_repository(made.folder, subdir="backend"), old))
    assert judge(seen, None)[0] == UNTESTABLE and "cannot take" in seen.blocked
    assert moved


def test_a_build_that_needs_a_submodule_is_untestable(pool, written, tmp_path):
    whole = History(tmp_path / "whole")
    git(whole.folder, "submodule", "--quiet", "add", str(pool.folder), "lib")
    sha = whole.commit({}, "Add the library")
    before = state(whole.folder)
    incident = load(written(whole.folder, path=["lib"]))
    seen = run_build(at_build(incident, open_repository(whole.folder), sha))
    assert state(whole.folder) == before
    verdict, because = judge(seen, None)
    assert verdict == UNTESTABLE and "No module named 'service'" in because


def test_hooks_watchers_and_a_split_index_of_the_repository_stay_untouched(pool, written, tmp_path):
    hook = pool.folder / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    git(pool.folder, "config", "core.fsmonitor", str(hook))
    git(pool.folder, "config", "core.splitIndex", "true")
    (tmp_path / "hooked").unlink(missing_ok=True)
    kept = {path: path.read_bytes() for path in (pool.folder / ".git").rglob("*") if path.is_file()}
    seen = run_build(at_build(load(written(pool.folder)), open_repository(pool.folder), pool.ids[2]))
    assert seen.shown and not (tmp_path / "hooked").exists()
    assert kept == {path: path.read_bytes() for path in (pool.folder / ".git").rglob("*") if path.is_file()}


def test_builds_run_in_any_executor(pool, written):
    incident, repository = load(written(pool.folder)), open_repository(pool.folder)
    with ProcessPoolExecutor(2) as workers:
        found = history(incident, repository, executor=workers, around=pool.ids[3])
    assert (found.when_introduced.first, found.when_fixed.first) == (pool.ids[2], pool.ids[5])


def test_an_error_on_the_way_to_the_incident_is_not_its_end():
    """The migrations of one build fail earlier, for another reason, and the startup goes on all the same."""
    way = (("app/main.py", 3), ("alembic/env.py", 12), ("app/models.py", 36))
    reference = Seen(
        True, "it shows", None, path=way, second="app/models.py", swallowed=(("Error: this", ("app/main.py",)),)
    )
    other = Seen(False, None, None, swallowed=(("KeyError: 'x'", ("app/main.py", "alembic/env.py")),))
    assert judge(other, None)[0] == HEALTHY
    verdict, because = judge(other, reference)
    assert verdict == UNTESTABLE and "KeyError: 'x'" in because
    passed = Seen(False, None, None, swallowed=other.swallowed, defined=("app/models.py",))
    assert judge(passed, reference)[0] == HEALTHY
    elsewhere = Seen(False, None, None, swallowed=(("KeyError: 'x'", ("app/main.py", "app/cache.py")),))
    assert judge(elsewhere, reference)[0] == HEALTHY


def test_a_fix_whose_next_error_stands_behind_it_took_the_incidents_error_out_and_both_are_said(kit, written, tmp_path):
    """The last commit mends the pool, and a later step fails of something else: it is where the incident ends."""
    made = History(tmp_path / "pool")
    made.commit({**SERVICE, "service/jobs.py": ""}, "Begin")
    bad = made.commit({"service/main.py": BAD}, "Close the pool early")
    made.commit({"service/main.py": BROKEN}, "Break the import of the service")
    behind = made.commit({"service/main.py": GOOD, "service/jobs.py": BROKEN}, "Mend the pool, break the jobs")
    steps = [{"import": "service.main"}, {"import": "service.jobs"}]
    report = kit("history", written(made.folder, incident={"startup": steps}, revision=bad), "--json").json
    builds = {commit["sha"]: commit for commit in report["commits"]}
    assert report["introduced"] == bad and builds[behind]["verdict"] == HEALTHY
    assert "its error is gone, and the next one was hidden behind it" in builds[behind]["because"]
    assert "something_that_is_not_there" in builds[behind]["because"]


def test_both_definitions_have_to_be_imported_to_say_that_the_incident_is_gone_before_another_error():
    reference = Seen(True, "it shows", "step 1", stopped=1, first="app/one.py", second="app/two.py")
    other = Seen(False, None, "step 1 (import app): KeyError: 'x'", stopped=1, completed=("app/two.py",))
    assert judge(other, reference)[0] == UNTESTABLE
    past = replace(other, completed=("app/one.py", "app/two.py"))
    verdict, because = judge(past, reference)
    assert verdict == HEALTHY and "KeyError: 'x'" in because
    assert judge(replace(past, transient=True), reference)[0] == UNTESTABLE and judge(past, None)[0] == UNTESTABLE


# ------------------------------------------------------------------------------------ what is kept


def test_results_are_kept_by_tree_and_only_for_the_same_startup(pool, written, tmp_path):
    incident, repository = load(written(pool.folder)), open_repository(pool.folder)
    found = history(incident, repository, cache=tmp_path / "cache", around=pool.ids[3])
    again = history(incident, repository, cache=tmp_path / "cache", around=pool.ids[3])
    assert found.runs > 0 and again.runs == 0 and again.when_fixed == found.when_fixed
    new = pool.commit({"README": "new\n"}, "Something new")
    more = history(incident, repository, cache=tmp_path / "cache", around=pool.ids[3])
    assert more.runs == 1 and new in {one.commit.sha for one in more.builds}
    other = load(written(pool.folder, env={"LEVEL": "1"}))
    assert Kept(tmp_path / "cache", other).key != Kept(tmp_path / "cache", incident).key


def test_a_damaged_result_is_run_again_and_a_passing_failure_is_not_kept(plain, tmp_path):
    kept = Kept(tmp_path, plain)
    kept.put("tree", SHOWS)
    assert kept.get("tree") == SHOWS
    (file,) = (tmp_path / "runs").iterdir()
    for text in ("", "[]", "{}", file.read_text()[:-9]):
        file.write_text(text)
        assert kept.get("tree") is None
    kept.put("slow", Seen(False, None, "still running", transient=True))
    assert kept.get("slow") is None


# ------------------------------------------------------------------------------------ fixes as commits


def test_a_fix_is_given_by_patches_or_by_commits(pool, written):
    for fix in ({}, {"patches": ["x.patch"], "commits": ["abc"]}):
        with pytest.raises(IncidentError, match="patches (.files. )?or commits, (or by one of|and not both)"):
            load(written(pool.folder, incident={"fixes": {"one": fix}}))


def test_fixes_from_commits_are_judged_as_any_other(pool, written):
    fixes = {"real": {"commits": [pool.ids[5]]}, "claimed": {"commits": pool.ids[6]}}
    file = written(pool.folder, revision=pool.ids[4], incident={"fixes": fixes})
    verification = verify(load(file))
    verdicts = {one.name: one.verdict for one in verification.fixes}
    assert verdicts == {"real": "cures", "claimed": "does-not-cure"}
    with pytest.raises(IncidentError, match="there is no revision 'gone'"):
        verify(load(written(pool.folder, revision=pool.ids[4], incident={"fixes": {"x": {"commits": ["gone"]}}})))


def test_a_commit_needs_a_history_to_be_taken_from(write_incident, duplicate):
    file = write_incident(duplicate, fixes={"x": {"commits": ["HEAD"]}})
    with pytest.raises(IncidentError, match="is a folder without a history"):
        verify(load(file))


def test_a_patch_is_read_with_its_renames_and_its_odd_lines():
    files, hunks = parse(
        "diff --git a/a b.py b/c.py\nsimilarity index 90%\nrename from a b.py\nrename to c.py\n--- a/a b.py\n+++ b/c.py\n"
        "@@ -1,2 +1,2 @@ def f\n--- a comment\n+++ a counter\n same\n@@ -9 +9,0 @@\n-gone\n\\ No newline at end of file\n"
        "diff --git a/empty b/empty\nnew file mode 100644\n"
    )
    assert files == ["c.py", "empty"]
    assert [(one.file, one.old_file, one.before, one.after) for one in hunks] == [
        ("c.py", "a b.py", (1, 2), (1, 2)),
        ("c.py", "a b.py", (9, 1), (9, 0)),
    ]
    assert hunks[0].text.splitlines()[1:] == ["--- a comment", "+++ a counter", " same"]


def test_the_series_of_patches_is_found_wherever_the_incident_lies(kit, tmp_path):
    shutil.copytree(INCIDENT, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    one = kit("triage", tmp_path / "copy", "--json", "--cache", tmp_path / "one").json["builds"]
    other = kit("triage", INCIDENT, "--json", "--cache", tmp_path / "two").json["builds"]
    assert one == other and len(one) == 3


def test_both_notebooks_show_what_they_are_for(tmp_path):
    """Views of the bundled log and of a search in it, as text."""
    found = triage_incident(load(INCIDENT), cache=tmp_path)
    assert "The work tree could have made the log" in repr(views.made_by(found))
    assert "alembic/env.py:12" in repr(views.frames(found)) and "2025-11-27 06:58" in repr(views.builds(found))
    assert "app/models_extra.py:259" in repr(views.deductions(found))
    repository = builds_of(load(INCIDENT), tmp_path)
    ids = [one.sha for one in reversed(repository.commits())]
    way = (("app/models_domain.py", 36), ("app/models_extra.py", 259))

    def run(build):
        shown = build.app.revision in ids[1:4]
        return Seen(shown, "it shows", None, path=way if shown else ())

    with ThreadPoolExecutor(1) as pool:
        made = history(load(INCIDENT), repository, run=run, executor=pool, seeds=ids[1:4][::-1])
    assert repr(views.came_and_went(made)).startswith("Both commits are known: the one that introduced it, and")
    for known, said in (("fixed", "introduced it is known; none"), ("introduced", "the one that introduced it is not")):
        assert said in repr(views.came_and_went(replace(made, **{known: None})))
    assert "Introduced by" in repr(views.came_and_went(made)) and "changed nothing" in repr(views.came_and_went(made))
    shown = html.unescape(re.sub("<[^>]*>", "", views.changes(made).html))
    assert "+class EnergyEvent(Base):" in shown and "-class EnergyEvent(Base):" in shown
    assert "changed nothing" in repr(views.claimed(made)) and "does not reproduce" in repr(views.searched(made))
