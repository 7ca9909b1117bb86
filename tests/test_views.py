"""What the notebooks show: the same content as HTML and as text, nothing of the application as markup."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT
from showing import APPLICATIONS, BASE, active, incident_of, known, model

from kit import views
from kit.base.errors import IncidentError
from kit.diagnose.definitions import compare
from kit.diagnose.diagnosis import Diagnosis, judge_again
from kit.diagnose.explanations import MEANINGS
from kit.diagnose.smallest import paste
from kit.incident.load import load
from kit.incident.model import Action, Expect, Postmortem
from kit.startup.run import reproduce
from kit.trace.end_state import LOOKED_AT, CheckResult, judge_start
from kit.trace.values import Broke, Swallowed
from kit.verify.propose.candidates import BY_MECHANISM, UNSAFE
from kit.verify.verification import Attempt, FixResult, Verification
from kit.views import collisions, diff, graph_picture, import_ways, markup
from kit.views import diagnosis as reasons
from kit.views.banner import _actions
from kit.views.by_people import still_to_be_written
from kit.views.notebook import check_writable, open_incident, write_result
from kit.views.ran_with import applied_by

KILLED = Broke("killed", "killed")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e"


def verification(reproduced: bool = True, *, seen: str = "as it should") -> Verification:
    incident, trace = known()
    control = Attempt("control", (), trace, (CheckResult("mappers", False, seen),), reproduced)
    names = {"one-name": "cures", "extend-existing": "hides", "migrate-first": "does-not-cure"}
    fixes = []
    for name, verdict in names.items():
        checks = (
            CheckResult("original error no longer occurs", verdict != "does-not-cure", seen, kind="gone"),
            CheckResult("mappers", None, seen),
        )
        fixes.append(
            FixResult(name, f"claim of {name}", (f"{name}.patch",), verdict, f"because of {seen}", checks, trace)
        )
    return Verification(control, reproduced, tuple(fixes) if reproduced else (), ("one-name",) if reproduced else ())


def started(incident) -> Diagnosis:
    """The diagnosis by one startup, without what asks for others."""
    return judge_again(incident, reproduce(incident))


def every_view(incident, trace, judged) -> dict[str, markup.Shown]:
    shown = {
        name: getattr(views, name)(trace)
        for name in ("steps", "metadata", "stepper", "collision", "imports", "errors", "swallowed")
    }
    shown |= {name: getattr(views, name)(incident) for name in ("timeline", "people")}
    shown |= {name: getattr(views, name)(judged) for name in ("matrix", "before_and_after")}
    shown["fixes"] = views.fixes(incident, judged)
    shown["verdict"] = views.verdict(incident, trace, judged)
    shown["provenance"] = views.provenance(incident, trace, {"incident": "x"})
    return shown


def _evil():
    """A trace and an incident in which every text that people or the application choose is hostile."""
    incident, trace = known()
    steps = tuple(replace(s, text=EVIL, error=EVIL, output=EVIL) for s in trace.steps)
    imports = tuple(replace(i, module=EVIL, file=i.file and EVIL) if i.application else i for i in trace.imports)
    registrations = tuple(replace(r, table=EVIL, class_=EVIL) for r in trace.registrations if r.application)
    swallowed = tuple(replace(s, error=replace(s.error, text=EVIL)) for s in trace.swallowed)
    hostile = replace(
        trace, steps=steps, imports=imports, registrations=registrations, swallowed=swallowed, broke=EVIL, lost=(EVIL,)
    )
    people = Postmortem(
        summary=EVIL, timeline=[{"at": EVIL, "what": EVIL}], actions=[{"what": EVIL, "owner": EVIL}], lucky=[EVIL]
    )
    return incident.model_copy(update={"title": EVIL, "postmortem": people}), hostile


def test_no_text_of_the_application_is_markup():
    incident, trace = _evil()
    for name, shown in every_view(incident, trace, verification(seen=EVIL)).items():
        assert active(shown.html) == [], name
        assert (
            "<script" not in shown.html
            and "\x1b" not in shown.html + shown.text
            and "\u202e" not in shown.html + shown.text
        ), name


def test_every_view_says_the_same_as_text():
    for name, shown in every_view(*known(), verification()).items():
        data, _ = shown._repr_mimebundle_()
        assert set(data) == {"text/html", "text/plain"}
        assert len(data["text/plain"]) > 10 and "<" not in data["text/plain"].replace("<module>", "").replace(
            "<step", ""
        ), name


def test_views_survive_an_untrusted_notebook():
    """JupyterLab takes style sheets and drawings out of an untrusted output: there the image stays, and no text of a drawing."""
    for name, shown in every_view(*known(), verification()).items():
        html = re.sub(r'<div class="kit-live" style="display:none">.*?</div>', "", shown.html)
        assert not re.search(r"<(style|script|svg)|\sonclick=", html), name
        assert shown.html.count('class="kit-live"') == shown.html.count('class="kit-picture"')


def test_the_banner_says_in_words_how_it_stands():
    incident, trace = known()
    assert views.verdict(incident, trace).text.startswith("It reproduces\n")
    assert views.verdict(incident, trace, verification()).text.startswith(
        "It reproduces, and 1 of 3 fixes cures it: one-name\n"
    )
    none = replace(verification(), verified=())
    assert "none of 3 fixes cures it" in views.verdict(incident, trace, none).text
    healthy = replace(trace, registrations=(), steps=(), imports=(), swallowed=())
    assert views.verdict(incident, healthy, verification(False)).text.startswith("It does not reproduce")
    assert "The run broke" in views.verdict(incident, replace(healthy, broke=KILLED)).text


def test_the_banner_names_both_definitions_and_their_ways():
    text = views.verdict(*known(), verification()).text + "\n"
    assert (
        "First definition: dispatch/models.py:7 as dispatch.models reached by dispatch/main.py:4 → dispatch/routers/__init__.py:1 → dispatch/routers/jobs.py:5\n"
        in text
    )
    assert (
        "Second definition: dispatch/models.py:7 as models reached by dispatch/main.py:8 → dispatch/migrate.py:12 → migrations/env.py:11\n"
        in text
    )


def test_the_collision_shows_both_source_lines_marked():
    shown = views.collision(known()[1])
    assert len(re.findall(r"<mark[^>]*>&gt;    7  class Rider\(Base\):</mark>", shown.html)) == 2


def test_lines_without_an_equal_in_the_other_definition_are_marked_by_a_sign():
    first = [(4, "class A(Base):"), (5, "    id = Column(Integer)"), (6, ""), (7, "    total = Column(Integer)")]
    second = [(9, "class B(Base):"), (10, "  id = Column(Integer)  ")]
    assert collisions._differing(first, second) == ({4, 7}, {9})
    shown = markup.source(first, marked=[4], differing={4, 7})
    assert "≠    7      total" in shown.text and ">    4  class A" in shown.text and "\n     5" in shown.text


def test_a_silent_second_definition_has_its_two_ways_and_its_sites(tmp_path):
    files = {
        "shop/db.py": BASE,
        "shop/one.py": model("One", "orders"),
        "shop/two.py": model("Two", "orders") + "    __table_args__ = {'extend_existing': True}\n",
        "shop/main.py": "import shop.one, shop.two\n",
    }
    diagnosis = started(incident_of(tmp_path, files))
    assert not diagnosis.trace.conflicts and diagnosis.meeting.second.outcome == "extended"
    shown = views.imports(diagnosis.trace, diagnosis.meeting).html
    assert all(f'id="kit-way-{name}-2"' in shown for name in ("first", "second"))
    assert "nothing was raised" in views.collision(diagnosis.trace, diagnosis.meeting).text
    banner = views.verdict(incident_of(tmp_path, files), diagnosis.trace, None, diagnosis).text
    assert "Second definition: shop/two.py:5" in banner and "Mechanism: extend-existing-merged-two-models" in banner
    assert "defined a table again: orders" in views.stepper(diagnosis.trace).html
    long = replace(diagnosis, finding=replace(diagnosis.finding, because=("word " * 50 + "point",)))
    assert "word point\n" in views.verdict(incident_of(tmp_path, files), diagnosis.trace, None, long).text + "\n"


def test_one_file_under_two_names_is_told_so_and_not_as_one_line_twice(tmp_path):
    files = {
        "shop/db.py": BASE,
        "shop/one.py": model("One", "orders") + "    __table_args__ = {'extend_existing': True}\n",
        "shop/main.py": "import sys, shop.one\nsys.path.append('shop')\nimport one\n",
    }
    incident = incident_of(tmp_path, files)
    diagnosis = started(incident)
    banner = views.verdict(incident, diagnosis.trace, None, diagnosis)
    assert "First definition: shop/one.py:5 as shop.one reached by" in banner.text
    assert "Second definition: shop/one.py:5 as one reached by" in banner.text
    told = "one file under two names, shop.one and one: the class One at shop/one.py:5 added its columns to the table that it had made before"
    assert f"Mechanism: alias-two-module-names: {told}" in banner.text
    assert "<code>shop/one.py:5</code> added its columns" in banner.html
    assert "the class One at <code>shop/one.py:5</code> added" in reasons.mechanism(diagnosis).html
    shown = views.collision(diagnosis.trace, diagnosis.meeting).text
    assert "Both are one file under two names, shop.one and one." in shown and "executed twice" not in shown
    assert "first, shop/one.py:5 as shop.one" in reasons.definitions(diagnosis).text


def test_a_path_in_a_sentence_is_code_and_nothing_else_is():
    shown = markup.with_places(
        "first a/b-c.py:7 by <frozen runpy>:3, then env.py and alembic.ini, not shop.python or 1.5"
    )
    assert re.findall("<code>(.*?)</code>", shown.html) == ["a/b-c.py:7", "env.py", "alembic.ini"]
    assert shown.text.startswith("first a/b-c.py:7 by <frozen runpy>:3, then env.py")


def test_a_column_without_a_type_of_its_own_has_its_foreign_keys(tmp_path):
    target = "    owner = Column(ForeignKey('owners.id'))\n"
    files = {
        "shop/db.py": BASE,
        "shop/owners.py": model("Owner", "owners"),
        "shop/one.py": model("One", "orders").replace("Column, ", "Column, ForeignKey, ") + target,
        "shop/two.py": model("Two", "orders").replace("Column, ", "Column, ForeignKey, ") + target,
        "shop/main.py": "import shop.owners, shop.one\nfrom sqlalchemy.orm import configure_mappers\nconfigure_mappers()\nimport shop.two\n",
    }
    diagnosis = started(incident_of(tmp_path, files))
    what = reasons.definitions(diagnosis).text
    assert [column.differs for column in diagnosis.definitions.columns] == [(), ()] and "as its target" in what
    assert "NullType" not in what


def test_of_one_class_statement_executed_twice_no_difference_is_claimed():
    trace = known()[1]
    conflict = trace.conflicts[0]
    new = tuple({**one, "default": "<object at 0x1>", "type": "NullType()"} for one in conflict.second.new)
    conflict = replace(conflict, second=replace(conflict.second, new=new))
    compared = compare(conflict.first, conflict.second, {}, None)
    assert not any(column.differs for column in compared.columns)


def test_the_line_to_paste_gives_what_the_incident_file_gives_and_no_secret(tmp_path):
    env = "{MODE: a b, SECRET_KEY: aPlainKey77, BROKER: 'amqp://me:hunter2x@mq/1', OTHER_URL: '{database_url}'}"
    incident = incident_of(tmp_path, {"shop/main.py": "", "shop/db.py": BASE})
    file = tmp_path / "incident.yaml"
    file.write_text(file.read_text().replace("root: app}", f"root: app, env: {env}}}"), encoding="utf-8")
    incident = load(file)
    assert paste(incident, incident.startup) == (
        "DATABASE_URL=sqlite:// MODE='a b' SECRET_KEY=… BROKER=… OTHER_URL=sqlite:// python -c 'import shop.main'"
    )


def test_without_a_conflict_the_collision_says_so():
    trace = replace(known()[1], registrations=())
    assert "No definition was rejected" in views.collision(trace).text


def test_the_ways_stand_beside_the_picture_and_without_it(monkeypatch):
    with_picture = views.imports(known()[1])
    assert with_picture.html.count("<ol>") == 2 and "<picture>" in with_picture.html
    monkeypatch.setattr(graph_picture, "engines", lambda: ())
    monkeypatch.setattr(import_ways, "engines", lambda: ())
    without = views.imports(known()[1])
    assert (
        without.html.count("<ol>") == 2
        and "<picture>" not in without.html
        and "No program that draws graphs" in without.text
    )


def test_the_picture_says_the_same_in_its_alternative_text():
    alt = re.search(r'alt="([^"]*)"', views.imports(known()[1]).html).group(1)
    assert "first path: dispatch/main.py:4 →" in alt and "second path: dispatch/main.py:8 →" in alt


def test_the_stepper_opens_the_first_wrong_import_and_only_that():
    html = views.stepper(known()[1]).html
    assert html.count("<details") == 11
    opened = re.findall(r"<details[^>]* open><summary>(.*?)</summary>", html)
    assert len(opened) == 1 and "models" in opened[0] and "the first rejected" in opened[0]


def test_a_traceback_shows_the_application_s_lines_and_folds_the_libraries():
    text = views.errors(known()[1]).text
    assert "4. dispatch/models.py:7 in <module>: class Rider(Base):" in text
    assert re.search(r"All \d+ frames, \d+ of them of libraries", text)
    assert "sqlalchemy/orm" not in text


def test_every_cell_of_the_matrix_is_a_mark_that_its_legend_explains():
    shown = views.matrix(verification())
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", shown.html)]
    assert set(cells) <= {"✓", "✗", "?", "–", "as it was", "cures", "hides", "does-not-cure", "breaks"}
    assert "<li>original error no longer occurs</li><li>mappers</li>" in shown.html
    assert "no fix | as it was | fail | fail" in shown.text and "1 of 3 claims about a fix held" in shown.text


def test_the_fixes_show_their_claims_checks_and_patches():
    shown = views.fixes(known()[0], verification())
    names = re.findall(r'<details class="kit-fix"><summary><code>(.*?)</code>', shown.html)
    assert names == ["one-name", "extend-existing", "migrate-first"] and "claim of one-name" in shown.html
    assert re.search(r"<ins[^>]*>\+", shown.html) and re.search(r"<del[^>]*>-", shown.html)


def test_a_patch_stands_side_by_side_with_its_numbers_and_signs():
    text = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -3,3 +3,4 @@ def f():\n x = 1\n-y = 2\n+y = 3\n+z = 4\n w = 5\n"
    text += "--- /dev/null\n+++ b/new <b>.py\n@@ -0,0 +1 @@\n+--- a\n"
    shown = diff.sides("Patch", text).html
    plain = re.sub(r"<(ins|del) [^>]*>", r"<\1>", shown)
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", plain.partition("<tbody>")[2])
    assert cells == [
        "a.py, line 3, in def f():",
        *("     3  x = 1", "     3  x = 1"),
        *("<del>-    4  y = 2</del>", "<ins>+    4  y = 3</ins>"),
        *("", "<ins>+    5  z = 4</ins>"),
        *("     5  w = 5", "     6  w = 5"),
        "new &lt;b&gt;.py, line 1",
        *("", "<ins>+    1  --- a</ins>"),
    ]
    assert "4 more lines are in the patch" in diff.sides("Patch", text, most=3).text


def test_before_and_after_show_what_changed_and_name_what_did_not():
    shown = views.before_and_after(verification(), incident=known()[0])
    assert "original error no longer occurs | fail: the incident is there | pass: as it should" in shown.text
    assert "The same before and after: tables rejected; " in shown.text
    assert 'class="kit-sides"' in shown.html and re.search(r"<ins[^>]*>\+", shown.html)


def test_before_and_after_count_a_table_once_however_many_processes_define_it():
    judged, registrations = verification(), known()[1].registrations
    twice = replace(known()[1], registrations=(*registrations, *(replace(r, process=99) for r in registrations)))
    assert "tables on the application's metadata" in views.before_and_after(judged).text.partition("The same")[2]
    judged = replace(judged, control=replace(judged.control, trace=twice))
    assert "tables on the application's metadata" in views.before_and_after(judged).text.partition("The same")[2]


def test_a_start_that_passes_over_known_errors_says_that_nothing_new_was_swallowed():
    trace = known()[1]
    fine = replace(trace, steps=tuple(replace(s, ok=True) for s in trace.steps), swallowed=())
    error = trace.conflicts[0].error
    passed = replace(fine, swallowed=(Swallowed(error, None, (), 0),))
    assert judge_start(fine).seen == f"every step succeeded, nothing was swallowed {LOOKED_AT}"
    assert judge_start(passed, [str(error)]).seen == f"every step succeeded, nothing new was swallowed {LOOKED_AT}"
    assert not judge_start(passed).ok


def test_a_sentence_about_a_run_that_broke_claims_nothing():
    incident, trace = known()
    broke = replace(
        trace,
        registrations=(),
        swallowed=(),
        broke=KILLED,
        steps=(replace(trace.steps[0], ok=False, error="killed", exception=None, broke=KILLED),),
    )
    assert views.verdict(incident, broke).text.count("killed") == 1
    told = [views.steps(broke).text, views.errors(broke).text]
    assert all("the run broke here; the reason is in the verdict" in one and "killed" not in one for one in told)
    assert "no line of the application raised an error" in views.imports(broke).text


@pytest.mark.parametrize("name", ["beside", "a name with ' and spaces"])
def test_the_command_that_runs_it_again_is_one_that_make_understands(name, tmp_path):
    incident = incident_of(tmp_path / name, {"shop/main.py": ""})
    shown = views.provenance(incident, known()[1]).text
    command = re.search(r"In the kit's folder: (make .*)", shown)[1]
    # As typed by a user, also where the tests themselves are run by make.
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    said = subprocess.run(
        f"{command} -n -o .venv/.installed", shell=True, cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    asked = shlex.split(said.stdout.splitlines()[-1])[-1]
    assert (PROJECT / asked).resolve() == incident.file.resolve()


def test_the_command_that_writes_a_proposal_leads_from_the_kits_folder_to_the_incident(tmp_path):
    incident = incident_of(tmp_path / "beside", {"shop/main.py": ""})
    command = re.search(r"In the kit's folder, (.*) writes it", applied_by(incident, "keep-models").text)[1]
    python, _, kit, propose, path, *_ = shlex.split(command)
    assert (python, kit, propose) == (".venv/bin/python", "kit", "propose")
    assert (PROJECT / path).resolve() == incident.file.resolve()


def test_what_does_not_reproduce_says_what_was_expected_or_that_nothing_went_wrong():
    incident, trace = known()
    healthy = replace(trace, registrations=(), steps=(), swallowed=())
    asked = views.verdict(incident, healthy, verification(False)).text
    assert asked.startswith("It does not reproduce") and "expect.table was not seen" in asked
    nothing = incident.model_copy(update={"expect": Expect()})
    assert views.verdict(nothing, healthy, verification(False)).text.startswith("It does not reproduce: every step")


def test_what_people_did_not_write_is_named_and_not_made_up():
    incident = known()[0]
    for shown in views.timeline(incident), views.people(incident):
        assert shown.place == "absent"  # the page has one box for all of it
    assert "summary, impact, detection, timeline, actions, went well" in still_to_be_written(incident).text
    told = incident.model_copy(update={"postmortem": Postmortem(actions=[Action(what="test it")])})
    assert "test it (missing: owner, missing: due)" in _actions(told).text


def test_provenance_keeps_every_time_in_its_last_line():
    incident, trace = known()
    first = views.provenance(incident, trace, {"incident": "/srv/secret/case/incident.yaml"}, took=3.25)
    second = views.provenance(
        incident, replace(trace, steps=tuple(replace(s, seconds=9.0) for s in trace.steps)), took=1.0
    )
    lines = first.html.splitlines(), second.html.splitlines()
    marked = [[line for line in each if 'class="kit-times"' in line] for each in lines]
    assert len(marked[0]) == len(marked[1]) == 1 and marked[0] != marked[1]
    assert [line for line in lines[1] if line not in marked[1]][1:] == [
        line for line in lines[0] if line not in marked[0]
    ][1:]
    assert "case/incident.yaml" in first.text and "/srv" not in first.text
    for one in views.steps(trace), views.metadata(trace), views.imports(trace), views.errors(trace):
        assert not re.search(r"\d\.\d+ ?s\b", one.text)


def test_what_differs_from_run_to_run_is_not_in_what_is_shown():
    incident, trace = known()
    texts = []
    for port, number, at in ((4711, 12, "2026-01-02 03:04:05,678"), (51820, 99999, "2026-02-03T04:05:06Z")):
        printed = f"{at} Started server process [{number}] on http://127.0.0.1:{port} with <X object at 0x{number:012x}>, status 404, id 77"
        texts.append(views.steps(replace(trace, steps=tuple(replace(s, output=printed) for s in trace.steps))).html)
    assert texts[0] == texts[1] and "status 404, id 77" in texts[0]


def test_showing_is_light_to_load():
    heavy = ["pandas", "libcst", "graphviz", "nbconvert", "nbformat", "IPython", "papermill", "jinja2", "sqlalchemy"]
    code = (
        f"import sys, kit.investigate, kit.trace.tables, kit.views; print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == "[]", done.stderr


def test_a_part_of_markup_escapes_what_it_holds():
    shown = markup.table("<c>", ("<h>", "b"), [("<x>", markup.code("<y>"))])
    assert (
        "<c>" not in shown.html
        and "<h>" not in shown.html
        and "<x>" not in shown.html
        and "<code>&lt;y&gt;</code>" in shown.html
    )
    assert "\x00" not in markup.part("a\x00b").html and len(markup.part("x" * 10**6).html) < 30_000


# ------------------------------------------------------------------------------------ around a notebook


def test_an_incident_is_found_from_here_from_the_notebooks_and_from_the_project(tmp_path, monkeypatch):
    name = "tests/applications/alias-two-module-names"
    monkeypatch.chdir(tmp_path)
    assert open_incident(name).file.exists()
    incident_of(tmp_path / "mine", {"shop/main.py": ""})
    assert open_incident("mine/incident.yaml").title == "made on the spot"
    with pytest.raises(IncidentError, match="nowhere.yaml.*was looked for in"):
        open_incident("nowhere.yaml")


def test_the_result_is_written_whole_and_only_where_it_was_asked_for(tmp_path):
    assert write_result("", {}).text == "No result file was asked for."
    write_result(str(tmp_path / "r.json"), {"a": "é"})
    assert json.loads((tmp_path / "r.json").read_text("utf-8")) == {"a": "é"}
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    check_writable("result", str(tmp_path / "r.json"))
    with pytest.raises(IncidentError, match="no folder"):
        open_incident("tests/applications/alias-two-module-names", result=str(tmp_path / "no" / "r.json"))
    with pytest.raises(IncidentError, match="no folder"):
        check_writable("result", str(tmp_path / "no" / "r.json"))


def test_every_mechanism_that_can_be_named_has_its_meaning_and_advice_and_a_change_or_why_none_is_safe():
    """On the page, in Lab, on the command line, in the JSON and in the guard: the words are in one place."""
    expected = [yaml.safe_load(one.read_text("utf-8"))["mechanism"] for one in APPLICATIONS.glob("*/expected.yaml")]
    sources = "".join(file.read_text("utf-8") for file in (PROJECT / "kit/diagnose").glob("*.py"))
    named = {*expected, *re.findall(r'\bFault\(\s*"([a-z-]+)"', sources)} - {"undecided", "none"}
    assert len(named) > 20 and named <= set(MEANINGS) == {*BY_MECHANISM, *UNSAFE}
    for meaning in MEANINGS.values():
        assert all(sentence.endswith(".") for sentence in (meaning.happened, meaning.advice))
