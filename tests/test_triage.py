"""Triage: which builds could have made a log, and what follows from it without running anything."""

import json
import resource
import subprocess
import sys
import time

import pytest
from conftest import PROJECT
from environments import each_interpreter, interpreters
from histories import History, git, state

from kit.base.errors import IncidentError
from kit.incident.builds import builds_of, repository_of_patches
from kit.incident.load import load
from kit.incident.repository import open_repository
from kit.incident.source_tables import read_tables
from kit.triage.log_text import text_of
from kit.triage.logs import read_log
from kit.triage.origin import triage

INCIDENT = PROJECT / "notebooks" / "incidents" / "energy_events"

# A service in which models.py is imported by main.py; the log below comes from its second commit.
MAIN = "import os\n\nfrom service import models\n"
MODELS = "from service.db import Base\n\n\nclass Invoice(Base):\n    __tablename__ = 'invoices'\n"
LOG = """\
Traceback (most recent call last):
  File "/app/service/main.py", line 3, in <module>
    from service import models
  File "/app/service/models.py", line 4, in <module>
    class Invoice(Base):
  File "/venv/lib/python3.11/site-packages/sqlalchemy/sql/schema.py", line 462, in _new
    raise exc.InvalidRequestError(
sqlalchemy.exc.InvalidRequestError: Table 'invoices' is already defined for this MetaData instance.
"""
ERROR = "sqlalchemy.exc.InvalidRequestError: Table 'invoices' is already defined for this MetaData instance."
FRAMES = [("service/main.py", 3, "from service import models"), ("service/models.py", 4, "class Invoice(Base):")]


@pytest.fixture
def service(tmp_path):
    """Four commits: before the models, with them, with something else, and with a line above them."""
    made = History(tmp_path / "service")
    made.ids = [
        made.commit({"service/__init__.py": "", "service/main.py": "import os\n"}, "Begin"),
        made.commit({"service/main.py": MAIN, "service/models.py": MODELS}, "Add the models"),
        made.commit({"README": "A service\n"}, "Say what it is"),
        made.commit({"service/models.py": f'"""Models."""\n{MODELS}'}, "Document the models"),
    ]
    return made


def looked_at(log, repository=None, **more):
    work_tree = repository.folder if repository is not None and not repository.bare else None
    return triage(log, repository, **{"work_tree": work_tree, **more})


def own(found):
    return [(one.frame.file, one.frame.line, one.frame.text) for one in found.frames]


# ------------------------------------------------------------------------------------ the bundled incident


def test_the_bundled_log_comes_from_b1_to_b3_and_from_nothing_later(kit, tmp_path):
    said = kit("triage", INCIDENT, "--json", "--cache", tmp_path)
    report = said.json
    assert said.code == 0 and report["schema"] == 1 and report["worktree_matches"] is True
    assert [" ".join(one["subject"].split()[:4]) for one in report["commits"]] == [
        "Add the merchants nearby",
        "Move the session queries",
        "Add the Domain Charge",
    ]
    assert report["builds"] == [one["sha"] for one in report["commits"]]
    assert "Table 'energy_events' is already defined" in report["error"]
    assert [(one["file"], one["line"], one["matches"]) for one in report["frames"]] == [
        ("app/main_simple.py", 170, True),
        ("app/run_migrations.py", 45, True),
        ("alembic/env.py", 12, True),
        ("app/models_domain.py", 36, True),
    ]
    after, before = report["excluded"]
    assert (after["side"], after["count"], after["nearest"]["subject"]) == (
        "after",
        4,
        "Add stripe package to requirements",
    )
    (moved,) = [one for one in after["differs"] if one["file"] == "alembic/env.py"]
    assert (moved["line"], moved["stands_at"]) == (12, [])
    assert (before["side"], before["count"]) == ("before", 1)
    says = {one["says"]: one["because"] for one in report["deductions"]}
    (later,) = [text for text in says if "and later could not have made the log" in text]
    assert "(Add stripe package to requirements)" in later
    (twice,) = [text for text in says if "did not run twice" in text]
    assert "zones (line 20) before energy_events (line 36)" in says[twice]
    assert "The other definition must be app/models_extra.py:259 (class EnergyEvent)" in says
    assert all(one["decided"] for one in report["deductions"])


def test_the_source_that_was_analysed_is_said_not_to_have_made_the_log(tmp_path):
    made = repository_of_patches(INCIDENT / "history", tmp_path)
    git(tmp_path, "clone", "--quiet", str(made.folder), "clone")
    found = looked_at(INCIDENT / "log.txt", open_repository(tmp_path / "clone"))
    assert found.worktree_matches is False and len(found.builds) == 3
    wrong = found.deductions[0]
    assert wrong.says == "The work tree is not what made the log"
    assert "alembic/env.py line 12 is 'from app.models_domain import *" in wrong.because
    assert "there it reads" in wrong.because


def test_the_same_patches_give_the_same_commits_whatever_the_user_configured(tmp_path, monkeypatch):
    one = repository_of_patches(INCIDENT / "history", tmp_path / "one")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n\tname = X\n[commit]\n\tgpgsign = true\n[am]\n\tthreeWay = true\n[core]\n\tautocrlf = true\n[i18n]\n\tcommitEncoding = latin1\n"
    )
    for name, value in {"HOME": str(home), "GIT_DIR": "/nowhere", "GIT_COMMITTER_DATE": "2001-01-01T00:00"}.items():
        monkeypatch.setenv(name, value)
    other = repository_of_patches(INCIDENT / "history", tmp_path / "other")
    commits = one.commits()
    assert [c.sha for c in commits] == [c.sha for c in other.commits()] and len(commits) == 8
    assert git(one.folder, "log", "--format=%cI") == git(one.folder, "log", "--format=%aI")
    assert [commits[-1].date, commits[0].date] == ["2025-11-24T16:30:00+00:00", "2025-11-27T09:31:00+00:00"]


# ------------------------------------------------------------------------------------ forms of logs


def prefixed(prefix):
    return lambda log: "".join(f"{prefix}{line}\n" for line in log.splitlines())


def numbered(form):
    return lambda log: "".join(f"{form.format(n)}{line}\n" for n, line in enumerate(log.splitlines(), 8))


def between(log):
    other = ["worker-1  | INFO tick", "worker-1  | Traceback (most recent call last):"]
    other += [
        'worker-1  |   File "/srv/tool.py", line 1, in <module>',
        "worker-1  |     run()",
        "worker-1  | KeyError: 'x'",
    ]
    other += ["worker-1  | INFO: tock"] * 20
    mine = [f"web-1     | {line}" for line in log.splitlines()]
    return "".join(f"{a}\n{b}\n" for a, b in zip(mine, other[: len(mine)], strict=True))


def structured(log):
    frames = [
        {"filename": f"/app/{file}", "lineno": line, "function": "<module>", "context_line": text}
        for file, line, text in FRAMES
    ]
    kind, text = ERROR.split(": ", 1)
    return json.dumps(
        {"level": "error", "exception": {"values": [{"type": kind, "value": text, "stacktrace": {"frames": frames}}]}}
    )


FORMS = {
    "as it is": lambda log: log,
    "windows line ends": lambda log: log.replace("\n", "\r\n"),
    "timestamps": numbered("2025-11-26T14:04:{:02}.123456Z "),
    "timestamps of differing length": numbered("[{}.5] "),
    "container name": prefixed("web-1  | "),
    "kubernetes": numbered("2025-11-26T14:04:{:02}.1234Z stderr F "),
    "syslog": numbered("Nov 26 14:04:{:02} host app[4711]: "),
    "level and logger": prefixed("ERROR app.main: "),
    "a record whose first line alone has a prefix": lambda log: f"2025-11-26 14:04:00 ERROR {log}",
    "colours": lambda log: log.replace("File", "\x1b[35mFile").replace(", line", "\x1b[0m, line"),
    "carets": lambda log: log.replace("(Base):\n", "(Base):\n    ^^^^^^^^~~~~~~^\n").replace("models\n", "models\n    ~~~~^^\n"),
    "several source lines": lambda log: log.replace("(Base):\n", "(Base):\n    ...<2 lines>...\n        id)\n    ^^^^\n"),
    "repeated": lambda log: log.replace("(Base):\n", "(Base):\n  [Previous line repeated 994 more times]\n"),
    "no first line": lambda log: log.split("\n", 1)[1],
    "a frame marked, as loguru does": lambda log: log.replace('  File "/app/service/models', '> File "/app/service/models'),
    "trimmed lines": lambda log: "\n".join(line.strip() for line in log.splitlines()),
    "json field": lambda log: json.dumps({"level": "error", "message": "failed", "exc_info": log}) + "\n",
    "json field after a prefix": lambda log: "web-1 | " + json.dumps({"log": {"error": {"stack_trace": log}}}),
    "json list of lines": lambda log: json.dumps({"exception": log.splitlines(keepends=True)}),
    "one json object a line": lambda log: "\n".join(json.dumps({"log": f"{line}\n", "stream": "stderr"}) for line in log.splitlines()),
    "frames as values": structured,
    "line ends escaped": lambda log: 'time=1 msg="failed" exc="' + log.replace("\n", "\\n").replace('"', '\\"') + '"',
    "a dictionary as Python prints it": lambda log: repr({"event": log, "level": "error"}),
    "line ends as #012": lambda log: "Nov 26 app: " + log.replace("\n", "#012"),
    "windows paths": lambda log: log.replace("/app/service/", "C:\\deploy\\service\\"),
    "relative paths": lambda log: log.replace("/app/service/", "./service/"),
    "another folder": lambda log: log.replace("/app/", "/home/ada/src/checkout-2/"),
    "interleaved with another container": between,
    "other lines before, between and after": lambda log: "INFO: up\n" * 3 + log.replace("(Base):\n", "(Base):\nINFO:     10.0.0.1 GET / 200\n").replace("sqlalchemy.exc.", "INFO: down\nsqlalchemy.exc.") + "INFO: on\n" * 3,
    "utf-16": lambda log: log.encode("utf-16"),
    "no utf-8": lambda log: b"caf\xe9 \xff\xfe\n" + log.encode() + b"\x80\x81",
    "pytest, short": lambda log: "".join(f"{f}:{n}: in <module>\n    {t}\n" for f, n, t in FRAMES) + f"E   {ERROR}\n",
    "pytest, long": lambda log: "".join(f">   {t}\n\n{f}:{n}: \n_ _ _\n" for f, n, t in FRAMES[:1])
    + f">   class Invoice(Base):\nE   {ERROR}\n\nservice/models.py:4: InvalidRequestError\n",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_traceback_is_found_in_whatever_form_it_was_logged(form, service, tmp_path):
    log = FORMS[form](LOG)
    (tmp_path / "log").write_bytes(log if isinstance(log, bytes) else log.encode())
    found = looked_at(tmp_path / "log", open_repository(service.folder), error="is already defined")
    assert own(found) == FRAMES
    assert str(found.traceback.error) == ERROR
    assert [one.sha for one in found.builds] == [service.ids[2], service.ids[1]]
    assert found.worktree_matches is False


RAISES = """\
import sys
def inner(n):
    if n: inner(n - 1)
    else: {}["x"]
def chain():
    try:
        try: inner(9)
        except KeyError as error: raise ValueError("bad") from error
    except ValueError:
        raise RuntimeError("worse")
if sys.argv[1] == "chain":
    chain()
elif sys.argv[1] == "group":
    raised = []
    for one in (1, 2):
        try: inner(one)
        except KeyError as error: raised.append(error)
    raise ExceptionGroup("several", [raised[0], ExceptionGroup("nested", raised[1:])])
else:
    compile("def (", "bad.py", "exec")
"""


@pytest.mark.parametrize("version", each_interpreter())
def test_what_an_interpreter_itself_prints_is_read_whole(version, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(RAISES)

    def printed(what, before=""):
        done = subprocess.run([interpreters()[version], str(script), what], capture_output=True, text=True)
        (traceback,) = read_log(f"starting\n{before}{done.stderr}stopped\n").tracebacks
        return traceback

    chain = printed("chain")
    assert [(str(one), one.link) for one in chain.raised] == [
        ("KeyError: 'x'", None),
        ("ValueError: bad", "cause"),
        ("RuntimeError: worse", "context"),
    ]
    assert [frame.line for frame in chain.raised[0].frames][:2] == [7, 3]
    assert [frame.repeated for frame in chain.raised[0].frames if frame.repeated] == [6]
    assert chain.raised[2].frames[-1].text == 'raise RuntimeError("worse")'
    syntax = printed("syntax")
    assert syntax.error.type == "SyntaxError" and (syntax.frames[-1].file, syntax.frames[-1].line) == ("bad.py", 1)
    if version >= (3, 11):
        group = printed("group")
        assert [(one.type, one.link) for one in group.raised] == [
            ("ExceptionGroup", None),
            ("KeyError", "member"),
            ("ExceptionGroup", "member"),
            ("KeyError", "member"),
        ] or [(one.type, one.link) for one in group.raised] == [
            ("ExceptionGroup", None),
            ("KeyError", "member"),
            ("KeyError", "member"),
        ]
        assert str(group.error) == "ExceptionGroup: several (2 sub-exceptions)"
        assert [one.type for one in printed("group", "ERROR:    ").raised] == [one.type for one in group.raised]


def test_of_several_tracebacks_the_one_about_the_incident_is_taken_and_equal_ones_are_counted(service):
    other = LOG.replace("Table 'invoices' is already defined for this MetaData instance.", "another one")
    found = looked_at(
        LOG + "INFO: on\n" * 8 + LOG + "\n" * 8 + other, open_repository(service.folder), error="already defined"
    )
    assert "already defined" in str(found.traceback.error) and found.traceback.times == 2
    assert [str(one.error) for one in found.others] == ["sqlalchemy.exc.InvalidRequestError: another one"]
    assert any("2 different tracebacks" in note for note in found.notes)


def test_of_a_line_of_many_megabytes_the_beginning_is_kept(tmp_path):
    """Minified JSON, or a dump: every pattern would look through all of it."""
    (tmp_path / "log.txt").write_bytes(b"x" * (9 << 20) + b"\nValueError: no\n")
    text, _ = text_of(str(tmp_path / "log.txt"))
    assert len(text) < 1 << 20 and text.endswith("ValueError: no\n")


def test_a_log_of_200_megabytes_is_streamed(tmp_path):
    log = tmp_path / "log"
    line = b'2025-11-26 14:04:00 INFO [app.main.py:12] GET /v1/zones "200 OK" File served in 12 ms\n'
    with log.open("wb") as stream:
        for _ in range(200):
            stream.write(line * ((1 << 20) // len(line)))
        stream.write(LOG.encode())
    code = "import re, sys; from pathlib import Path; from kit.triage.logs import read_log\n"
    code += "found = read_log(Path(sys.argv[1])); status = Path('/proc/self/status').read_text()\n"
    # Not ``ru_maxrss``: across ``exec`` it keeps what the process that started this one had.
    code += "print(len(found.tracebacks), found.lines, re.search(r'VmHWM:\\s+(\\d+)', status)[1])"
    done = subprocess.run([sys.executable, "-c", code, log], cwd=PROJECT, capture_output=True, text=True, check=True)
    count, lines, kilobytes = done.stdout.split()
    assert count == "1" and int(lines) == 200 * ((1 << 20) // len(line)) + 8
    assert int(kilobytes) < 180_000  # the log is 200 MB; the kit itself some 120
    log.unlink()


# ------------------------------------------------------------------------------------ repositories


def test_without_a_repository_the_folder_alone_is_compared(kit, write_incident, tmp_path):
    file = write_incident({"service/main.py": MAIN, "service/models.py": MODELS}, log="log.txt")
    (file.parent / "log.txt").write_text(LOG)
    report = kit("triage", file, "--json").json
    assert report["worktree_matches"] is True and report["builds"] == []
    (file.parent / "app" / "service" / "models.py").write_text("\n\n" + MODELS)
    report = kit("triage", file, "--json").json
    assert report["worktree_matches"] is False
    assert [one["matches"] for one in report["frames"]] == [True, False]
    assert not report["frames"][1]["there"] and report["frames"][1]["stands_at"] == [6]


def test_a_class_that_is_gone_from_its_file_is_said_to_be_gone(tmp_path):
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "main.py").write_text(MAIN)
    (tmp_path / "service" / "models.py").write_text("class Bill(Base):\n    pass\n")
    found = triage(LOG, work_tree=tmp_path)
    says = {one.says: one.because for one in found.deductions}
    assert "it holds no such class" in says["service/models.py of the work tree is not the file that ran"]


def test_renames_a_moved_root_and_merges_are_followed_by_content(service):
    service.switch("moved", service.ids[1])
    git(service.folder, "mv", "service", "src")
    (service.folder / "src").rename(service.folder / "tmp")
    (service.folder / "src").mkdir()
    (service.folder / "tmp").rename(service.folder / "src" / "service")
    moved = service.commit({}, "Move the package below src")
    service.switch("main")
    service.commit({"service/models.py": MODELS}, "Back")
    git(service.folder, "merge", "--quiet", "--no-commit", "--no-ff", "-s", "ours", "moved")
    merge = service.commit({}, "Merge, keeping ours")
    before = state(service.folder)
    found = looked_at(LOG, open_repository(service.folder))
    assert state(service.folder) == before
    back = git(service.folder, "rev-parse", "HEAD^1")
    assert {one.sha for one in found.builds} == {service.ids[1], service.ids[2], moved, back, merge}
    assert [one.sha for one in found.builds][0] == merge
    assert found.worktree_matches is True


def test_two_services_of_one_repository_are_not_mixed(tmp_path):
    made = History(tmp_path / "all")
    first = made.commit(
        {"a/service/main.py": MAIN, "b/service/models.py": MODELS, "a/service/models.py": "x\n"}, "Apart"
    )
    both = made.commit({"a/service/models.py": MODELS}, "Together")
    found = looked_at(LOG, open_repository(made.folder))
    assert [one.sha for one in found.builds] == [both] and first
    found = looked_at(LOG, open_repository(made.folder, subdir="a"))
    assert own(found) == FRAMES


def test_crlf_and_other_encodings_are_the_same_lines(tmp_path):
    made = History(tmp_path / "crlf")
    text = "# -*- coding: latin-1 -*-\r\nx = 'caf\xe9'\r\nraise KeyError(x)  # caf\xe9\r\n".encode("latin-1")
    sha = made.commit({"tool/run.py": text}, "Windows")
    log = 'Traceback (most recent call last):\n  File "D:\\x\\tool\\run.py", line 3, in <module>\n'
    log += "    raise KeyError(x)  # caf\xe9\nKeyError: 'caf\xe9'\n"
    found = looked_at(log, open_repository(made.folder))
    assert [one.sha for one in found.builds] == [sha] and found.worktree_matches is True


def test_a_shallow_clone_says_that_older_commits_may_have_made_it(service, tmp_path):
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{service.folder}", "shallow")
    before = state(tmp_path / "shallow")
    found = looked_at(LOG, open_repository(tmp_path / "shallow"))
    assert state(tmp_path / "shallow") == before
    assert found.builds == () and any("shallow clone" in note for note in found.notes)
    assert any("not in this repository, or older than this shallow clone" in one.says for one in found.deductions)


def test_frames_in_a_submodule_are_compared_with_the_work_tree_only(service, tmp_path):
    whole = History(tmp_path / "whole")
    first = whole.commit({"service/main.py": MAIN}, "Begin")
    git(whole.folder, "submodule", "--quiet", "add", str(service.folder), "lib")
    git(whole.folder / "lib", "checkout", "--quiet", service.ids[1])
    second = whole.commit({}, "Add the library")
    log = LOG.replace("/app/service/models.py", "/app/lib/service/models.py")
    found = looked_at(log, open_repository(whole.folder))
    assert {one.sha for one in found.builds} == {first, second} and found.worktree_matches is True
    assert any("in a submodule: lib/service/models.py" in note for note in found.notes)


def test_a_bare_repository_has_no_work_tree_to_compare(service, tmp_path):
    git(tmp_path, "clone", "--quiet", "--bare", str(service.folder), "bare")
    found = looked_at(LOG, open_repository(tmp_path / "bare"))
    assert found.worktree_matches is None and len(found.builds) == 2


def test_an_installed_copy_of_the_application_is_still_the_application(service):
    log = LOG.replace("/app/", "/usr/local/lib/python3.11/site-packages/")
    found = looked_at(log, open_repository(service.folder))
    assert own(found) == FRAMES and len(found.builds) == 2


def test_a_build_that_is_in_no_commit_is_said_to_be_in_none(service):
    found = looked_at(LOG.replace("line 4", "line 40"), open_repository(service.folder))
    assert found.builds == ()
    (none,) = [one for one in found.deductions if one.says.startswith("None of the 4 commits")]
    assert "service/models.py line 40" in none.because


def test_lines_without_their_source_decide_nothing(service):
    bare = "\n".join(line for line in LOG.splitlines() if not line.startswith("    "))
    found = looked_at(bare, open_repository(service.folder))
    assert found.builds == () and found.worktree_matches is None
    assert any(not one.decided and "which commit" in one.says for one in found.deductions)


def test_a_thousand_commits_and_two_thousand_files_take_less_than_five_seconds(tmp_path):
    """Of the processor, git's included."""
    folder = tmp_path / "large"
    folder.mkdir()
    git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
    stream = []

    def blob(path, text):
        stream.append(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n")

    for number in range(1000):
        stream.append(
            f"commit refs/heads/main\ncommitter A <a@example.com> {1_700_000_000 + number} +0000\ndata 1\nx\n"
        )
        if number == 0:
            for file in range(1998):
                body = f"class C{file}(Base):\n    __tablename__ = 't{file}'\n" + "x = 1\n" * 40
                blob(f"service/part{file % 40}/m{file}.py", body)
            blob("service/main.py", MAIN)
        blob("service/models.py", MODELS if 400 <= number < 500 else f"# {number}\n{MODELS}")
        blob(f"service/part{number % 40}/m{number}.py", f"class C{number}(Base):\n    __tablename__ = 't'\n")
    git(folder, "fast-import", "--quiet", input="".join(stream))
    repository = open_repository(folder)
    began = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = looked_at(LOG, repository, work_tree=None)
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    used = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(began, ended, strict=True))
    assert len(found.builds) == 100 and used < 60, used  # some 3; asking git once a file takes minutes


# ------------------------------------------------------------------------------------ deductions


def says(sources: dict[str, str], log=LOG, folder=None):
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {one.says: one for one in triage(log, work_tree=folder).deductions}


def test_the_first_table_of_a_module_leaves_open_whether_it_ran_twice(tmp_path):
    found = says({"service/main.py": MAIN, "service/models.py": MODELS}, folder=tmp_path)
    assert not found["Undecided whether service/models.py ran twice or another definition of invoices exists"].decided
    assert "The source defines invoices once: service/models.py:4 (class Invoice)" in found
    assert not found["Undecided which definition of invoices was the other one"].decided


def second_table(extra: str = "", base: str = "Base") -> str:
    head = f"class Zone({base}):\n    __tablename__ = 'zones'{extra}\n"
    return head + "class Invoice(Base):\n    __tablename__ = 'invoices'\n"


@pytest.mark.parametrize(
    ("models", "decided"),
    [
        (second_table(), True),
        (second_table("\n    __table_args__ = {'extend_existing': True}"), False),  # a second run passes it
        (second_table(base="OtherBase"), False),  # another metadata
        ("if x:\n    " + second_table().replace("\n", "\n    ", 1), False),  # may not have been there
        # a function that runs twice
        (
            "class Zone(Base):\n    __tablename__ = 'zones'\ndef make():\n    class Invoice(Base):\n        __tablename__ = 'invoices'\n",
            False,
        ),
    ],
)
def test_a_collision_at_a_later_table_means_another_definition_only_where_the_first_would_collide(
    models, decided, tmp_path
):
    line = [one.strip() for one in models.splitlines()].index("class Invoice(Base):") + 1
    log = LOG.replace("line 4", f"line {line}")
    other = "from sqlalchemy import Table\nt = Table('invoices', md)\n"
    found = says({"service/main.py": MAIN, "service/models.py": models, "service/old.py": other}, log, tmp_path)
    assert ("The other definition must be service/old.py:2 (Table(...))" in found) is decided
    assert any("did not run twice" in text for text in found) is decided


def test_a_computed_name_leaves_the_other_definition_open(tmp_path):
    models = second_table()
    log = LOG.replace("line 4", "line 3")
    mixin = "class Named:\n    @declared_attr\n    def __tablename__(cls):\n        return cls.__name__.lower()\n"
    sources = {
        "service/main.py": MAIN,
        "service/models.py": models,
        "service/old.py": mixin + "class Invoices(Named, Base):\n    pass\nt = Table('invoices', md)\n",
    }
    found = says(sources, log, tmp_path)
    open_ = found["Undecided which definition of invoices was the other one"]
    assert "names that are computed: service/old.py:5 (class Invoices)" in open_.because


def test_tables_are_read_from_classes_calls_constants_and_mixins():
    source = b"""
NAME = "by_name"
class Mixin:
    __tablename__ = "by_mixin"
class A(Mixin, Base): pass
class B(Base):
    __tablename__ = NAME
c = sa.Table("by_call", metadata)
class D(Base):
    __tablename__ = f"{prefix}_d"
class E(SQLModel, table=True): pass
class HTTPError(db.Model): pass
class Plain: pass
class F(Base):
    __abstract__ = True
    __tablename__ = "never"
class G(DeclarativeBase):
    @declared_attr.directive
    def __tablename__(cls): return cls.__name__
class H(G): pass
drawn = Table("Name", "Age")  # in a terminal
"""
    found = {one.line: (one.name, one.table, one.may_be) for one in read_tables({"m.py": source}).definitions}
    assert found == {
        5: ("A", "by_mixin", None),
        6: ("B", "by_name", None),
        8: (None, "by_call", None),
        9: ("D", None, None),
        11: ("E", None, "e"),
        12: ("HTTPError", None, "http_error"),
        20: ("H", None, None),
    }


# ------------------------------------------------------------------------------------ bad input


def test_a_log_without_a_traceback_is_exit_2(kit, write_incident):
    file = write_incident({"service/main.py": MAIN}, log="log.txt")
    (file.parent / "log.txt").write_text("INFO: up\nINFO: down\n")
    said = kit("triage", file)
    assert said.code == 2 and "there is no Python traceback in its 2 lines" in said.err


def test_no_log_at_all_a_missing_one_and_a_folder_are_exit_2(kit, write_incident, tmp_path):
    file = write_incident({"service/main.py": MAIN})
    assert "Name it there, or give one by --log" in kit("triage", file).err
    for log in ("gone.txt", tmp_path):
        said = kit("triage", file, "--log", log)
        assert said.code == 2 and "cannot be read" in said.err


def test_a_folder_that_is_no_repository_is_exit_2_also_inside_of_one(kit, write_incident, service):
    (service.folder / "inner").mkdir()
    for path in ("app", str(service.folder / "inner")):
        file = write_incident({"service/main.py": MAIN}, log="log.txt")
        (file.parent / "log.txt").write_text(LOG)
        file.write_text(file.read_text().replace("root: app", f"repository: {path}"))
        said = kit("triage", file)
        assert said.code == 2 and "is no git repository" in said.err


def test_a_series_of_patches_that_does_not_apply_is_exit_2(kit, write_incident, tmp_path):
    file = write_incident({"service/main.py": MAIN}, log="log.txt", history="patches")
    (file.parent / "log.txt").write_text(LOG)
    (file.parent / "patches").mkdir()
    assert "there is no *.patch in this folder" in kit("triage", file, "--cache", tmp_path).err
    second = sorted((INCIDENT / "history").glob("*.patch"))[1]
    (file.parent / "patches" / "0001.patch").write_bytes(second.read_bytes())
    said = kit("triage", file, "--cache", tmp_path)
    assert said.code == 2 and "0001.patch: does not apply after the 0 patches before it" in said.err


def test_changes_in_no_commit_are_named_and_left_alone(service):
    (service.folder / "service" / "models.py").write_text(MODELS)
    (service.folder / "README").write_text("changed\n")
    before = state(service.folder)
    found = looked_at(LOG, open_repository(service.folder))
    assert state(service.folder) == before
    assert found.worktree_matches is True
    assert any(
        "2 files with changes that are in no commit, of the log's own files service/models.py" in n for n in found.notes
    )


def test_an_empty_repository_has_no_builds(tmp_path):
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    found = looked_at(LOG, open_repository(tmp_path / "empty"))
    assert found.builds == () and "The repository has no commit yet." in found.notes


def test_a_log_from_standard_input(tmp_path):
    command = [sys.executable, "-m", "kit", "triage", str(INCIDENT), "--log", "-", "--json", "--cache", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, input=(INCIDENT / "log.txt").read_bytes(), capture_output=True)
    assert done.returncode == 0 and len(json.loads(done.stdout)["builds"]) == 3


def test_bytes_of_any_kind_break_nothing():
    began = time.monotonic()
    for junk in (
        b"",
        b"\0" * 1000,
        b"Traceback (most recent call last):\n" * 50,
        b"{" * 5000 + b"}",
        b'  File "x", line 9999999999999, in y\n' * 9,
    ):
        read_log(junk.decode("latin-1"))
    assert time.monotonic() - began < 20


def test_history_and_repository_together_are_refused(write_incident, service):
    file = write_incident({"service/main.py": MAIN}, history="app")
    file.write_text(file.read_text().replace("root: app", f"repository: {service.folder}"))
    with pytest.raises(IncidentError, match="app.repository has its own history"):
        load(file)


def test_a_root_with_a_repository_in_it_is_its_own_history(write_incident, service):
    file = write_incident({"service/main.py": MAIN}, app={"root": str(service.folder)})
    assert len(builds_of(load(file)).commits()) == 4


def test_no_secret_of_a_url_is_shown(kit, write_incident):
    line = "connect('postgresql://admin:hunter2@db.example.com/prod')"
    file = write_incident({"service/main.py": f"{line}  # changed\n"}, log="log.txt")
    log = f'Traceback (most recent call last):\n  File "/app/service/main.py", line 1, in <module>\n    {line}\n'
    (file.parent / "log.txt").write_text(log + "OSError: postgresql://admin:hunter2@db.example.com/prod\n")
    for words in ((), ("--json",)):
        said = kit("triage", file, *words)
        assert said.code == 0 and "hunter2" not in said.out and "admin:***@db.example.com" in said.out


# A module that fails behind its table, is asked for again by whoever catches that, and what it was started by.
RETRIED = {
    "service/__init__.py": "",
    "service/db.py": "from sqlalchemy import MetaData\n\nmetadata = MetaData()\n",
    "service/models.py": "from sqlalchemy import Column, Integer, Table\nfrom service.db import metadata\n\ninvoices = Table('invoices', metadata, Column('id', Integer))\n\nimport no_such_library\n",
    "service/main.py": "def main():\n    from service import views\n",
    "service/views.py": "try:\n    from .models import invoices\nexcept ImportError:\n    from service.models import invoices\n",
}
# Its own handler defines the table again: it ran once.
ONCE = {
    **RETRIED,
    "service/models.py": "from sqlalchemy import Column, Integer, Table\nfrom service.db import metadata\nimport service.other\ntry:\n    import no_such_library\n"
    "except ImportError:\n    invoices = Table('invoices', metadata, Column('id', Integer))\n",
    "service/other.py": "from sqlalchemy import Column, Integer, Table\nfrom service.db import metadata\n\ninvoices = Table('invoices', metadata, Column('id', Integer))\n",
    "service/views.py": "from service import models\n",
}


def started(tmp_path, files):
    """What the service prints when it is started by its console script, as an installer writes one."""
    for name, text in files.items():
        file = tmp_path / "app" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    script = tmp_path / "env" / "bin" / "serve"
    script.parent.mkdir(parents=True)
    script.write_text("import sys\nfrom service.main import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    environment = {"PYTHONPATH": str(tmp_path / "app")}
    return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True).stderr


@pytest.mark.parametrize("known", ["a folder", "a repository"])
def test_a_chained_traceback_shows_that_a_module_ran_twice(kit, write_incident, tmp_path, known):
    log = started(tmp_path, RETRIED)
    assert "During handling of the above exception" in log
    file = write_incident(RETRIED, log="log.txt")
    (file.parent / "log.txt").write_text(log)
    if known == "a repository":
        made = History(tmp_path / "history")
        made.commit(RETRIED, "Begin")
        file.write_text(file.read_text().replace("root: app", f"repository: {made.folder}"))
    report = kit("triage", file, "--json").json
    says = {one["says"]: one for one in report["deductions"]}
    twice = says["service/models.py ran twice: its first run failed at line 6"]
    assert "ModuleNotFoundError: No module named 'no_such_library' ended it" in twice["because"]
    assert "service/views.py:4 had it run again, to line 4" in twice["because"]
    assert "The other definition must be the same one, service/models.py:4 (Table(...)), in the first run" in says
    assert all(one["decided"] for one in report["deductions"])
    # What an installer wrote is none of the application's files, and nothing is undecided for it.
    assert not any("bin/serve" in text for text in [*report["notes"], *(one["file"] for one in report["frames"])])


def test_a_module_that_catches_its_own_error_ran_once(kit, write_incident, tmp_path):
    log = started(tmp_path, ONCE)
    file = write_incident(ONCE, log="log.txt")
    (file.parent / "log.txt").write_text(log)
    report = kit("triage", file, "--json").json
    assert "During handling" in log and not any("ran twice: its" in one["says"] for one in report["deductions"])


def test_a_script_of_the_applications_own_is_no_installers(kit, write_incident):
    files = {"bin/serve": "import sys\nsys.exit(main())\n", "main.py": ""}
    file = write_incident(files, log="log.txt")
    log = 'Traceback (most recent call last):\n  File "/app/bin/serve", line 2, in <module>\n    sys.exit(main())\nOSError: x\n'
    (file.parent / "log.txt").write_text(log.replace("serve", "other"))
    assert kit("triage", file, "--json").json["frames"] == []
    (file.parent / "log.txt").write_text(log)
    assert [one["file"] for one in kit("triage", file, "--json").json["frames"]] == ["bin/serve"]


def test_a_file_that_is_nowhere_is_said_to_be_missing_where_it_was_looked_for(kit, write_incident, tmp_path):
    file = write_incident({"service/main.py": MAIN}, log="log.txt")
    (file.parent / "log.txt").write_text(LOG.replace("/app/service/models.py", "/elsewhere/gone.py"))
    said = kit("triage", file).out
    assert "since the application's folder has no file like it: /elsewhere/gone.py" in said and "repository" not in said
