"""Each miniature application by hand: the mechanism and both sites are right, no healthy one is accused."""

import ast
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from miniatures import (
    APPLICATIONS,
    EXPECTED,
    FAMILIES,
    JUDGED_FIXES,
    PAIRS,
    SOURCES,
    WITH_FIXES,
    digest,
    incident_of,
    judged,
    judged_builds,
    python,
    shown_by,
    sites_of,
)
from showing import active

from kit import views
from kit.diagnose.decision import faults_of, find_mechanism
from kit.diagnose.diagnosis import diagnose, load_diagnosis, reproduce
from kit.diagnose.experiments import decide
from kit.diagnose.observation import look_at
from kit.diagnose.values import Case
from kit.incident.load import load
from kit.incident.model import Fix
from kit.startup.kept_runs import Ran
from kit.trace.end_state import judge_start
from kit.trace.expected import own_errors, shows_incident
from kit.trace.trace import Trace
from kit.trace.values import Error, StepResult
from kit.verify.verification import judge_fix, verify
from kit.views import diagnosis as reasons
from kit.views.report import diagnose_report
from kit.views.terminal import diagnosis_lines

RACING = {name for name in WITH_FIXES if name not in JUDGED_FIXES}
# Whose fixes are run by make test, beside the bundled incident (served, Alembic), those of the pages that are compared with
# kept ones, and those that are judged by what is kept: one of each kind of step and of end.
VERIFIED = {
    "loggers-disabled",
    "main-module-imported-again-spawn",
    "model-module-not-imported-by-env",
}
RACE = "race-in-lazy-definition"  # its every build is started several times: make test starts those of one fix
# Of those with migrations one is started on SQLAlchemy 1.4 and 2.1 too; processes and pytest are the same on each.
ON_EACH_LINE = FAMILIES - {
    "healthy-two-bases",
    "main-module-imported-again-spawn",
    "model-module-not-imported-by-env",
    "test-runner-root-second-name",
}
# What is started by make test: the first application of each mechanism. The others' kept traces are judged there, and
# make test-all starts them.
FIRST = {expected["mechanism"]: name for name, expected in reversed(EXPECTED.items())}.values()


def a_line(pairs, fast) -> list:
    """Pairs of a name and a line of SQLAlchemy as parameters; those that are not ``fast`` are for ``make test-all``."""
    marked = [pytest.param(*pair, marks=() if fast(*pair) else pytest.mark.slow) for pair in pairs]
    return [pytest.param(*one.values, marks=one.marks, id="-".join(one.values)) for one in marked]


@pytest.mark.slow
def test_a_call_that_a_line_took_out_is_decided_by_the_line_before_where_a_fix_names_an_interpreter_that_has_it():
    incident = incident_of(APPLICATIONS / "api-removed-in-installed-version")
    before = Fix(python=python("1.4"))
    diagnosis = diagnose(incident.model_copy(update={"fixes": {**incident.fixes, "before": before}}))
    assert diagnosis.finding.mechanism == "api-removed-in-installed-version"
    assert diagnosis.experiment.outcome == "confirmed" and "1.4" in diagnosis.experiment.says


def is_as_expected(name: str, incident, diagnosis) -> None:
    expected, trace = EXPECTED[name], diagnosis.trace
    assert diagnosis.finding.mechanism == expected["mechanism"], diagnosis.finding
    assert not trace.lost
    if expected["mechanism"] not in ("none", "undecided"):
        assert sites_of(diagnosis) == [expected.get("first"), expected.get("second")]
        if "sites" in expected:
            assert [str(place) for place in diagnosis.sites] == expected["sites"]
            assert diagnosis.experiment is None or diagnosis.experiment.outcome == "confirmed"
        assert diagnosis.finding.because and all(diagnosis.finding.against.values())
    assert diagnosis.reproduced is (expected["mechanism"] != "none" or any(own_errors(trace)))


@pytest.mark.parametrize(("name", "line"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_of_a_kept_trace_the_mechanism_and_both_sites_are_right(name, line):
    incident, diagnosis = judged(name, line)
    if any(one.module == "sqlalchemy" for one in diagnosis.trace.imports):  # a server may fail before it
        assert diagnosis.trace.provenance["sqlalchemy"].startswith(line)
    is_as_expected(name, incident, diagnosis)


def test_the_kept_traces_are_those_of_the_applications_as_they_are():
    kept = json.loads(SOURCES.read_text())
    changed = [name for name in EXPECTED if kept.get(name) != digest(name)]
    assert not changed, f'make traces ONLY="{" ".join(changed)}"'


REFUSED = "a connection to 192.0.2.7:5432"


@pytest.mark.parametrize(("ended", "outcome"), [(None, "undecided"), (5, "confirmed")])
@pytest.mark.parametrize("name", ["setting-missing", "unknown-url-scheme", "driver-not-installed"])
def test_what_the_kit_refuses_past_the_place_of_the_error_takes_nothing_back(name, ended, outcome, monkeypatch):
    """A setting that is missing, or a URL that is wrong, and behind it a server that no run reaches."""
    incident, kept = judged(name)
    case = Case.of(incident, kept.looked)
    experiment = next(fault.experiment for fault in faults_of(case))
    imports = (
        replace(it, error=None, ended=ended if it.file == experiment.past else it.ended) for it in kept.trace.imports
    )
    step = StepResult(1, "command", "x", False, REFUSED, None, Error("ConnectionRefusedError", REFUSED, ()))
    refused = ({"what": REFUSED, "site": None},)
    ran = replace(kept.trace, steps=(step,), refused=refused, imports=tuple(imports), swallowed=())
    monkeypatch.setattr("kit.diagnose.experiments.ran_of", lambda *_, **__: Ran(ran))
    assert decide(experiment, case.sources).outcome == outcome


@pytest.mark.parametrize("error", [f"ConnectionRefusedError: {REFUSED}", "ZeroDivisionError: division by zero"])
def test_a_deciding_run_that_fails_for_a_reason_of_its_own_refutes_nothing_and_where_the_kit_refused_it_decides_nothing(
    error, monkeypatch
):
    step = StepResult(1, "command", "x", False, error, None, Error(*error.split(": ", 1), ()))
    refused = ({"what": REFUSED, "site": None},) if REFUSED in error else ()
    ran = replace(Trace.not_begun([], ""), steps=(step,), refused=refused, broke=None)
    monkeypatch.setattr("kit.diagnose.experiments.ran_of", lambda *_, **__: Ran(ran))
    monkeypatch.setattr("kit.diagnose.experiments.reproduce", lambda *_, **__: ran)
    for name in (
        name for name in FIRST if EXPECTED[name]["mechanism"] != "none" and "2.0" in EXPECTED[name]["sqlalchemy"]
    ):
        incident, diagnosis = judged(name)
        case = Case.of(incident, diagnosis.looked)
        for experiment in (fault.experiment for fault in faults_of(case) if fault.experiment):
            outcome = decide(experiment, case.sources).outcome
            assert outcome in (("undecided",) if refused else ("undecided", "confirmed")), (name, experiment.says)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if expected["mechanism"] == "none"])
def test_a_healthy_application_does_not_reproduce_but_by_an_error_that_it_swallows(name):
    incident = incident_of(APPLICATIONS / name)
    trace = reproduce(incident)
    assert shows_incident(incident, trace) is any(own_errors(trace)), (trace.signs, trace.steps)


@pytest.mark.parametrize(
    ("name", "line"),
    a_line(
        PAIRS, lambda name, line: name in {*FIRST} - {*VERIFIED, *RACING} if line == "2.0" else name in ON_EACH_LINE
    ),
)
def test_started_it_shows_what_its_kept_trace_shows(name, line):
    incident = incident_of(APPLICATIONS / name, line)
    looked = look_at(incident)
    if EXPECTED[name]["mechanism"] != "startup-race":  # how far each of several processes came differs from run to run
        assert shown_by(looked.trace) == shown_by(judged(name, line)[1].trace)
    assert find_mechanism(incident, looked)[0].mechanism == EXPECTED[name]["mechanism"]


@pytest.mark.parametrize("name", JUDGED_FIXES)
def test_of_kept_builds_each_fix_gets_its_verdict(name):
    incident, control, fixes = judged_builds(name)
    assert control.reproduced
    judged = {fix: judge_fix(incident, fix, attempt, control) for fix, attempt in fixes.items()}
    shown = {fix: result.verdict for fix, result in judged.items()}
    assert shown == EXPECTED[name]["fixes"], {fix: result.because for fix, result in judged.items()}


def named(name: str, fixes: list[str] | None = None) -> object:
    """An application and those of its fixes that are run; None: all."""
    fast = name in VERIFIED or fixes is not None
    return pytest.param(name, fixes, id="-".join([name, *(fixes or [])]), marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(("name", "fixes"), [named(RACE, ["lock"]), *map(named, WITH_FIXES)])
def test_each_fix_of_an_application_gets_the_verdict_that_running_it_shows(name, fixes, monkeypatch):
    if fixes:  # of the race; all its starts are for make test-all
        monkeypatch.setattr("kit.verify.verification.MOST", 7)
    verification = verify(incident_of(APPLICATIONS / name), only=fixes)
    assert verification.reproduced
    shown = {one.name: one.verdict for one in verification.fixes}
    expected = EXPECTED[name]["fixes"]
    assert shown == {fix: expected[fix] for fix in fixes or expected}, {
        one.name: one.because for one in verification.fixes
    }
    if EXPECTED[name]["mechanism"] != "startup-race":  # how far each of several processes came differs from run to run
        assert shown_by(verification.control.trace) == shown_by(judged(name)[1].trace)


VIEWS = ("mechanism", "definitions", "behind", "hypotheses", "smallest", "static_and_run", "unseen", "sites")
OF_TRACES = ("steps", "errors", "swallowed", "imports", "metadata", "stepper", "collision", "why")


@pytest.mark.parametrize("name", EXPECTED)
def test_every_view_of_a_kept_diagnosis_is_whole_and_its_json_says_the_same(name):
    incident, diagnosis = judged(name, EXPECTED[name]["sqlalchemy"][-1])
    shown = [getattr(views, view)(diagnosis) for view in VIEWS]
    shown += [getattr(views, view)(diagnosis.trace) for view in OF_TRACES]
    shown += [views.verdict(incident, diagnosis.trace, None, diagnosis)]
    for one in shown:
        assert one.text.strip() and active(one.html) == [] and not re.search(r" object at 0x|\\bNone\\b", one.text)
    report = json.loads(json.dumps(diagnose_report(incident, diagnosis)))
    assert report["mechanism"] == EXPECTED[name]["mechanism"]
    if report["mechanism"] not in ("none", "undecided"):
        lines = [f"{one['file']}:{one['line']}" for one in report["sites"]]
        assert {EXPECTED[name].get("first"), EXPECTED[name].get("second")} - {None} <= set(lines)


def renamed(folder: Path, target: Path) -> tuple[Path, dict[str, str], dict[str, int]]:
    """A copy of an application in which packages, classes and tables have other names and every line has moved.

    Gives the copy, old to new names, and by how many lines each file moved.
    """
    shutil.copytree(folder, target, symlinks=True)
    app = target / "app"
    names = {path.name for path in app.rglob("*") if path.is_dir() and any(path.rglob("*.py"))}
    keep = {"src", "migrations", "versions", "vendor", "tests", "alembic", "app"}
    sources = [path for path in app.rglob("*.py") if not path.is_symlink()]
    for path in sources:
        tree = ast.parse(path.read_text())
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name != "Base"}
        names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and _is_table(tree, node)}
    mapping = {name: ("Zq" if name[:1].isupper() else "zq_") + name for name in names - keep}
    pattern = re.compile(
        r"(?<![\w])(" + "|".join(map(re.escape, sorted(mapping, key=len, reverse=True))) + r")(?![\w])"
    )
    moved = {}
    for path in [*sources, target / "incident.yaml", *app.rglob("*.ini")]:
        text = pattern.sub(lambda found: mapping[found[0]], path.read_text())
        if path.suffix == ".py" and "from __future__" not in text:
            shift = 3 + len(path.name) % 5
            parts = path.relative_to(app).with_suffix("").parts
            moved["/".join(mapping.get(part, part) for part in parts) + ".py"] = shift
            text = "# moved\n" * shift + text
        path.write_text(text)
    for path in sorted((p for p in app.rglob("*") if p.is_dir() or p.is_symlink()), key=lambda p: -len(p.parts)):
        if path.is_symlink():
            goal = pattern.sub(lambda found: mapping[found[0]], str(path.readlink()))
            path.unlink()
            path.symlink_to(goal)
        if path.name in mapping:
            path.rename(path.with_name(mapping[path.name]))
    for path in list(app.rglob("*.py")):
        if path.stem in mapping:
            path.rename(path.with_stem(mapping[path.stem]))
    shutil.rmtree(target / "fixes", ignore_errors=True)
    content = yaml.safe_load((target / "incident.yaml").read_text())
    content.pop("fixes", None)
    (target / "incident.yaml").write_text(yaml.safe_dump(content))
    return target, mapping, moved


def _is_table(tree: ast.AST, node: ast.Constant) -> bool:
    for parent in ast.walk(tree):
        if (
            isinstance(parent, ast.Assign)
            and parent.value is node
            and getattr(parent.targets[0], "id", "") == "__tablename__"
        ):
            return isinstance(node.value, str)
    return False


def found_in(folder: Path, line: str):
    """The mechanism and the two sites, from one startup."""
    incident = incident_of(folder, line)
    finding, conflict, fault = find_mechanism(incident, look_at(incident))
    first, second = (
        (conflict.first.site, conflict.second.site) if conflict else (fault and fault.first, fault and fault.second)
    )
    return finding, [str(site) if site else None for site in (first, second)]


# One of each family; a name or a line that the kit had learned by heart would show here.
SHUFFLED = [
    "alias-two-module-names",
    "second-class-same-table-other-file",
    "half-import-retried",
    "main-module-imported-again",
    "file-loaded-again-by-path",
    "association-table-and-class",
    "extend-existing-merged-two-models",
    "model-module-not-imported-by-env",
    "healthy-two-bases",
    "healthy-import-cycle",
]


@pytest.mark.parametrize("name", [name for name in SHUFFLED if name in EXPECTED])
def test_other_names_and_other_lines_change_only_names_and_lines(name, tmp_path):
    expected = EXPECTED[name]
    folder, mapping, moved = renamed(APPLICATIONS / name, tmp_path / "renamed")
    line = "2.0" if "2.0" in expected["sqlalchemy"] else expected["sqlalchemy"][0]
    finding, sites = found_in(folder, line)
    assert finding.mechanism == expected["mechanism"], finding
    for site, key in zip(sites, ("first", "second"), strict=True):
        if site is None or key not in expected:
            continue
        file, number = expected[key].rsplit(":", 1)
        file = "/".join(mapping.get(part, part) for part in file.removesuffix(".py").split("/")) + ".py"
        assert site == f"{file}:{int(number) + moved.get(file, 0)}"


def test_diagnose_by_hand_on_an_application_says_it_all(kit):
    folder = APPLICATIONS / "alias-two-module-names"
    said = kit("diagnose", folder, "--json")
    report = said.json
    assert said.code == 0
    assert report["mechanism"] == "alias-two-module-names" and report["because"]
    assert "second-class-same-table-other-file" in report["against"]
    assert report["smallest"] == ["import: lending.models", "import: src.lending.models"]
    assert report["smallest_command"].startswith("DATABASE_URL=sqlite:// PYTHONPATH=")
    assert {one["kind"]: one["verdict"] for one in report["hypotheses"]}["module-imported-twice"] == "confirmed"
    assert [one["site"]["line"] for one in report["masked"]] == [16, 24]  # the module's other tables


def test_a_link_is_named_with_the_file_that_it_leads_to():
    incident, diagnosis = judged("alias-two-module-names-symlink")
    second = diagnosis.pair[1]
    assert (str(second.site), second.link, str(second.frame)) == (
        "membership/models.py:6",
        "reports/models.py",
        "reports/models.py:6",
    )
    says = "(reached as reports/models.py:6; reports/models.py is a link)"
    assert says in diagnosis.finding.because[1]
    assert any(says in line for line in diagnosis_lines(incident, diagnosis))
    assert says in views.collision(diagnosis.trace).text
    assert diagnose_report(incident, diagnosis)["conflicts"][0]["second"]["link"] == "reports/models.py"


def test_what_is_known_of_an_undecided_incident_is_told_on_the_terminal_in_the_json_and_on_the_page():
    incident, diagnosis = judged("undecided-mapped-twice")
    report, page = diagnose_report(incident, diagnosis), views.mechanism(diagnosis).text + views.sites(diagnosis).text
    for text in ("\n".join(diagnosis_lines(incident, diagnosis)), json.dumps(report), page):
        assert "allocation/orm.py:33" in text and "A class is mapped a second time" in text
        assert "Map it once, when its module is imported" in text
    assert (report["mechanism"], report["sites"][0]["line"]) == ("undecided", 33)


def test_diagnose_of_a_healthy_application_accuses_nobody(kit):
    said = kit("diagnose", APPLICATIONS / "healthy-import-cycle", "--json")
    assert said.code == 3 and said.json["mechanism"] == "none" and said.json["masked"] == []


of_the_bundled_page = pytest.mark.xdist_group("energy_events")  # whose worker waits for the page


@pytest.fixture(scope="module")
def energy_events(bundled_page):
    """The diagnosis that the page's own run kept."""
    return load_diagnosis(bundled_page.with_suffix(".gz"))


@of_the_bundled_page
class TestTheBundledIncident:
    def test_its_mechanism_is_a_second_class_in_another_file(self, energy_events):
        assert energy_events.finding.mechanism == "second-class-same-table-other-file"

    def test_the_reserved_attribute_stands_behind_the_collision(self, energy_events):
        assert [(str(one.site), one.follows) for one in energy_events.masked] == [("app/models_domain.py:126", False)]

    def test_two_imports_are_enough_to_reproduce_it(self, energy_events):
        command = "DATABASE_URL=sqlite:// python -c 'import app.models_extra; import app.models_domain'"
        assert energy_events.smallest.command == command

    def test_the_migrations_agree_with_the_second_definition(self, energy_events):
        assert energy_events.definitions.agrees == "the second"
        by_name = {column.name: column for column in energy_events.definitions.columns}
        assert "type" in by_name["id"].differs and by_name["boost_rate"].differs == ("only in one",)
        assert by_name["slug"].migrations is not None and by_name["boost_rate"].migrations is None

    def test_what_people_believed_is_refuted_with_evidence(self, energy_events):
        people = {one.kind: one for one in energy_events.hypotheses if one.of == "people"}
        refuted = [
            "one-definition",
            "module-imported-twice",
            "circular-import",
            "double-import",
            "import-order",
            "several-metadata",
        ]
        assert {kind: people[kind].verdict for kind in refuted} == dict.fromkeys(refuted, "refuted")
        assert "its first table, zones, did not collide" in people["module-imported-twice"].evidence
        assert "app/models_extra.py:259" in people["import-order"].evidence


def test_a_claim_without_an_experiment_is_undecided_and_says_so(write_incident, duplicate):
    hypotheses = [
        {"claim": "It was the moon"},
        {"claim": "There are two Base objects"},
        {"claim": "x", "kind": "astrology"},
    ]
    tested = diagnose(load(write_incident(duplicate, hypotheses=hypotheses))).hypotheses
    double = next(one for one in tested if one.kind == "double-import")
    assert double.evidence == "up to the failure, only service/main.py:3 imports service.legacy"
    assert [(one.verdict, one.kind) for one in tested[:3]] == [
        ("undecided", None),
        ("refuted", "several-metadata"),
        ("undecided", "astrology"),
    ]
    assert "no experiment for this claim" in tested[0].evidence


def test_changing_the_order_is_confirmed_where_it_helps(write_incident, duplicate):
    duplicate["service/legacy.py"] = """
        from sqlalchemy import Column, Integer
        from service.db import Base
        if "invoices" in Base.metadata.tables:
            class OldInvoice(Base):
                __tablename__ = "invoices"
                id = Column(Integer, primary_key=True)
    """
    tested = {one.kind: one for one in diagnose(load(write_incident(duplicate))).hypotheses}
    assert tested["import-order"].verdict == "confirmed"


def test_a_cycle_that_did_not_lead_to_the_second_execution_is_refuted_and_told_by_its_shortest_way(
    write_incident, duplicate
):
    """In a large application nearly every module is in one group with nearly every other."""
    chain = {f"service/m{n}.py": f"import service.m{n + 1}\n" for n in range(40)}
    sources = duplicate | chain | {
        "service/m40.py": "import service.billing\n",
        "service/billing.py": duplicate["service/billing.py"] + "\n        import service.m0\n        import service.rates\n",
        "service/rates.py": "import service.billing\n",
        "service/main.py": "import importlib\nimport service.billing\nimportlib.reload(service.billing)\n",
    }  # fmt: skip
    diagnosis = diagnose(load(write_incident(sources)))
    tested = {one.kind: one for one in diagnosis.hypotheses}["circular-import"]
    assert (diagnosis.finding.mechanism, tested.verdict) == ("importlib-reload", "refuted")
    shortest = "(service.billing → service.rates → service.billing; 41 more modules reach each other with it)"
    assert shortest in tested.evidence and "begun outside of the file's first one" in tested.evidence


@pytest.mark.parametrize(
    ("fails", "verdict"),
    [("import no_such_extra", "refuted"), ("[][getattr(service.rates, 'ready', 0)]", "undecided")],
)
def test_a_cycle_is_refuted_for_a_failed_first_import_only_where_it_cannot_have_failed_for_the_cycle(
    fails, verdict, write_incident, duplicate
):
    sources = duplicate | {
        "service/billing.py": duplicate["service/billing.py"] + f"\n        import service.rates\n        {fails}\n",
        "service/rates.py": "import service.billing\n",
        "service/main.py": "try:\n    import service.billing\nexcept Exception:\n    import service.billing\n",
    }
    diagnosis = diagnose(load(write_incident(sources)))
    tested = {one.kind: one for one in diagnosis.hypotheses}["circular-import"]
    assert (diagnosis.finding.mechanism, tested.verdict) == ("half-import-retried", verdict), tested.evidence


def test_a_merge_that_fails_half_way_is_not_said_to_be_silent(write_incident, duplicate):
    duplicate["service/legacy.py"] = """
        from sqlalchemy import Column, Integer, String
        from service.db import Base

        class OldInvoice(Base):
            __tablename__ = "invoices"
            __table_args__ = {"extend_existing": True}
            id = Column(Integer)
            total = Column(Integer)
    """
    extra = "for _ in range(2):\n    try:\n        import service.extra\n    except RuntimeError:\n        pass\n"
    duplicate["service/extra.py"] = "raise RuntimeError('no extra')\n"
    duplicate["service/main.py"] = extra + "from service import billing, legacy\n"
    incident = load(write_incident(duplicate, expect={"table": "invoices"}))
    looked = look_at(incident)
    finding, *_ = find_mechanism(incident, looked)
    said = " ".join(finding.because)
    assert finding.mechanism == "extend-existing-merged-two-models"
    assert "raised sqlalchemy.exc.ArgumentError: Trying to redefine" in said and "without an error" not in said
    assert judge_start(looked.trace).seen.count("RuntimeError: no extra") == 1  # though it was caught twice


@of_the_bundled_page
def test_what_stands_in_the_sources_is_set_against_what_ran(energy_events):
    shown = reasons.static_and_run(energy_events)
    row = next(row for row in shown.html.replace("<wbr>", "").split("<tr")[1:] if "env_py" in row)
    assert "app/run_migrations.py:45" in row  # a call that no search for imports finds
    assert "1 ran without an import statement" in shown.text


@of_the_bundled_page
def test_a_log_of_another_build_refutes_that_it_comes_from_the_source_at_hand(energy_events):
    (tested,) = [one for one in energy_events.hypotheses if one.kind == "log-matches-source"]
    assert tested.verdict == "refuted" and "of the log is not in" in tested.evidence


@pytest.mark.parametrize("line", ["1.4", "2.0", "2.1"])
def test_a_table_of_a_librarys_own_kind_is_defined_where_the_application_calls_it(line, write_incident):
    """As Flask-SQLAlchemy's ``db.Table``, whose ``__new__`` would else be the site of every one."""
    files = {
        "service/__init__.py": "",
        "service/db.py": "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()\n",
        "service/models.py": "from service.db import db\nlabels = db.Table('labels', db.Column('id', db.Integer))\nimport no_such_driver\n",
        "service/main.py": """
            from flask import Flask
            from service.db import db
            app = Flask("service")
            app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
            db.init_app(app)
            with app.app_context():
                try:
                    import service.models
                except ImportError:
                    import service.models
        """,
    }
    incident = incident_of(write_incident(files), line)
    looked = look_at(incident)
    finding, conflict, _ = find_mechanism(incident, looked)
    assert finding.mechanism == "half-import-retried", finding
    assert [str(conflict.first.site), str(conflict.second.site)] == ["service/models.py:2"] * 2


FACTORY = {
    "service/__init__.py": "",
    "service/db.py": "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n",
    "service/settings.py": "import os\nREGION, PLACE = os.environ['REGION'], os.getenv('STORE_URL', 'postgresql://db.example.com/prod')\n",
    "service/made.py": """
        from sqlalchemy import Column, Integer, Table

        def tables(name):
            from service.db import Base
            Table(name, Base.metadata, Column("id", Integer))

        def create(name{default}):
            import service.settings
            tables("parcels")
            tables(name)
            return object()
    """,
    "run.py": "from service.made import create\ncreate({arguments})\n",
}


@pytest.mark.parametrize(
    ("named", "arguments", "steps"),
    [
        ("service.made:create", "", ["call: service.made:create"]),
        pytest.param("service.made:create()", "", ["call: service.made:create"], marks=pytest.mark.slow),
        ("service.made:create(name='parcels')", "name='parcels'", ["code: import service.made; service.made.create(name='parcels')"]),
    ],
)  # fmt: skip
def test_a_factorys_smallest_reproduction_calls_it_and_gives_only_the_variables_that_it_takes(
    named, arguments, steps, kit, write_incident
):
    """Only its database's variable it may name although the failure does not need it: left out, the default would be reached."""
    files = {**FACTORY, "run.py": FACTORY["run.py"].format(arguments=arguments)}
    files["service/made.py"] = files["service/made.py"].format(default="" if arguments else "='parcels'")
    env = {"REGION": "north", "UNREAD": "1", "FACTORY": named, "STORE_URL": "{database_url}"}
    file = write_incident(files, app={"env": env}, startup=[{"command": "python run.py"}])
    report = kit("diagnose", file, "--json", "--smallest", "full").json  # however slow the machine is
    assert report["smallest"] == steps
    text = steps[0].removeprefix("code: ") if arguments else "import service.made; service.made.create()"
    command = f"REGION=north STORE_URL=sqlite:// python -c {shlex.quote(text)}"
    assert report["smallest_command"] == command
