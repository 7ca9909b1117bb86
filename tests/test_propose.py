"""The kit writes a fix, runs it, and shows only what held."""

import dataclasses
import shutil
import subprocess
from concurrent.futures import Future
from functools import cache
from types import SimpleNamespace

import pytest
from miniatures import APPLICATIONS, judged

from kit.base.errors import IncidentError
from kit.base.progress import silent
from kit.base.redact import redact
from kit.base.scan import kinds_in
from kit.diagnose.diagnosis import stands_behind
from kit.diagnose.experiments import patch_of
from kit.diagnose.migrations import several_heads
from kit.diagnose.values import Place
from kit.incident.model import Fix
from kit.incident.revisions import Revision
from kit.incident.steps import Preparation
from kit.trace.end_state import Answer, CheckResult
from kit.trace.trace import Trace
from kit.trace.values import Behind, Error, Swallowed
from kit.verify.attempts import beside, of_the_empty_database
from kit.verify.propose import Proposal, Proposals, edits, edits_of_classes, edits_of_imports, imports, own_modules
from kit.verify.propose.candidates import UNSAFE, candidates_for, maskers, why_unsafe
from kit.verify.propose.edits_of_calls import keep_in_dictionary, respell
from kit.verify.propose.edits_of_functions import when_needed
from kit.verify.propose.edits_of_imports import add_import, import_like_others
from kit.verify.propose.failing_build import Broken
from kit.verify.propose.form import in_form
from kit.verify.propose.kept import endpoints_kept, nothing_lost, settled
from kit.verify.propose.lessons import nothing
from kit.verify.propose.metadata import merge_heads
from kit.verify.propose.search import _Search
from kit.verify.propose.settings import set_variable
from kit.verify.verification import Attempt, FixResult, Verification
from kit.views.banner import overview
from kit.views.report import postmortem_report


def test_an_import_is_renamed_wherever_a_module_is_asked_for_and_the_form_stays():
    text = "import os\nfrom src.shop.models import Order  # the one\nfrom src import shop\nload('src.shop.main:app')\n"
    assert edits.rename_module(text, "src.shop", "shop") == (
        "import os\nfrom shop.models import Order  # the one\nimport shop\nload('shop.main:app')\n"
    )


def test_a_text_that_is_no_python_is_left_alone():
    assert edits.rename_module("from src import (", "src", "app") is None


def test_a_class_gives_way_to_an_import_and_its_neighbours_stay():
    text = "import a\n\n\n# old\nclass Order(Base):\n    id = 1\n\n\nclass Item(Base):\n    pass\n"
    assert edits.replace_class(text, 5, "from shop.models import Order") == (
        "import a\n\n\n# old\nfrom shop.models import Order\n\n\nclass Item(Base):\n    pass\n"
    )


def test_an_import_stands_beside_the_projects_others():
    text = '"""Environment."""\nfrom alembic import context\nfrom app.models import user\nimport os\n\nx = 1\n'
    new = edits_of_imports.add_import(text, "import app.models.key")
    assert new.splitlines()[2:5] == ["from app.models import user", "import app.models.key", "import os"]


def test_a_reserved_attribute_is_renamed_and_keeps_its_column():
    text = "class Order(Base):\n    metadata = Column(Text)\n"
    assert (
        edits_of_classes.rename_attribute(text, 1, "metadata", "metadata_")
        == 'class Order(Base):\n    metadata_ = Column("metadata", Text)\n'
    )


def test_a_block_that_would_be_empty_gets_pass():
    assert edits.remove_statement("if x:\n    importlib.reload(y)\nz = 1\n", 2) == "if x:\n    pass\nz = 1\n"


def test_a_file_that_two_names_reach_is_asked_for_by_one_and_the_patch_applies(kit, tmp_path):
    application = "tests/applications/alias-two-module-names"
    answer = kit("propose", application, "--json", "--trace", tmp_path / "trace.jsonl")
    assert answer.code == 0 and answer.json["verified"]
    kept = kit("reproduce", application, "--json", "--from-trace", tmp_path / "trace.jsonl")
    assert kept.code == 0 and kept.json["conflicts"]
    best = answer.json["proposals"][0]
    assert best["verdict"] == "cures" and all(check["ok"] for check in best["checks"])
    subprocess.run(["cp", "-r", f"{application}/app", tmp_path / "app"], check=True)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "app", check=True)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path / "app", input=best["patch"], text=True, check=True)


@pytest.mark.slow
def test_the_bundled_incident_is_cured_by_a_proposal_that_grew_over_what_stood_behind(kit, tmp_path):
    answer = kit("propose", "notebooks/incidents/energy_events", "-o", tmp_path / "proposed")
    assert answer.code == 0, answer.out
    assert "keep-models_domain" in answer.out and "rename-reserved" in answer.out
    assert list((tmp_path / "proposed").glob("*.patch")) and "fixes:" in answer.out


@pytest.mark.parametrize(
    "application",
    ["healthy-import-cycle", "healthy-star-imports", pytest.param("healthy-two-bases", marks=pytest.mark.slow)],
)
def test_for_a_healthy_application_nothing_is_proposed(kit, application):
    answer = kit("propose", f"tests/applications/{application}", "--json")
    assert answer.code == 3 and answer.json["proposals"] == []


# ------------------------------------------------------------------------ what is written, from kept traces


@cache
def _broken(name: str) -> Broken:
    """A miniature as ``propose`` sees it, by its kept trace: nothing is started."""
    incident, diagnosis = judged(name)
    root = APPLICATIONS / name / "app"
    files = [p for p in sorted(root.rglob("*")) if p.suffix in (".py", ".ini") and not p.is_symlink()]
    sources = {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in files if "__pycache__" not in p.parts}
    return Broken(incident, diagnosis.looked.trace, diagnosis.finding, diagnosis.conflict, diagnosis.fault, sources)


@pytest.mark.parametrize(
    ("made", "after"),
    [
        ("Blueprint('orders', __name__)", "go('orders.list', 'orders.models', 'orders.late')"),
        ("[]", "go('shop.orders.list', 'shop.orders.models', 'orders.late')"),
    ],
)
def test_an_endpoint_that_looks_like_a_module_is_no_text_that_names_one(made, after):
    """``orders.list`` is a view of the blueprint ``orders``, whatever modules there are; and what nothing defines is no module."""
    text = f"from orders.models import Order\norders = {made}\ngo('orders.list', 'orders.models', 'orders.late')\n"
    files = {
        "shop/orders/__init__.py": "",
        "shop/orders/models.py": "",
        "shop/orders/list.py": "",
        "shop/views.py": text,
    }
    broken = dataclasses.replace(_broken("alias-two-module-names"), sources=files)
    if "Blueprint" in made:  # of its views one has the name of a module that ran
        text, after = f"{text}view('late')\n", f"{after}\nview('late')"
        ran = dataclasses.replace(broken.trace.imports[0], module="orders.late")
        broken = dataclasses.replace(
            broken, trace=dataclasses.replace(broken.trace, imports=(ran,)), sources={**files, "shop/views.py": text}
        )
    changed = broken.edited_everywhere(edits.rename_module, "orders", "shop.orders", broken.defines)
    assert changed["shop/views.py"].splitlines() == [
        "from shop.orders.models import Order",
        f"orders = {made}",
        *after.splitlines(),
    ]


# What an experienced person would try first.
FIRST = {
    "alias-two-module-names": "import-as-lending",
    "association-table-and-class": "keep-labelling",
    "computed-table-name-collision": "table-therapy_session",
    "created-outside-migrations": "migrations-alone",
    "defined-inside-function-called-twice": "define-AuditRecord-once",
    "defined-inside-function-called-twice-library": "table-of-its-own",
    "extend-existing-merged-two-models": "table-web_bookings",
    "file-loaded-again-by-path": "import-by-name",
    "fork-of-library-models-on-its-base": "name-the-own-model",
    "circular-import": "Owner-when-needed",
    "class-not-imported": "import-in-package",
    "half-defined-class": "choose-before",
    "half-import-retried": "driver-when-needed",
    "half-import-retried-fallback": "own-module-for-CHANNELS",
    "import-failure-swallowed": "import-minted_until",
    "importlib-reload": "models-apart",
    "loggers-disabled": "keep-loggers",
    "main-module-imported-again": "models-apart",
    "main-module-imported-again-uvicorn": "hand-over-the-object",
    "metadata-is-reserved": "rename-reserved",
    "model-declared-in-migration-script-env": "models-apart",
    "module-and-package-side-by-side": "keep-photo",
    "name-on-another-metadata": "one-metadata",
    "name-taken-in-registry": "named-readers",
    "no-join-condition": "foreign-key",
    "race-in-lazy-definition": "lock-chunk_class",
    "reflected-before-declared": "reflect-apart",
    "route-shadowed": "narrower-first",
    "script-or-cell-run-again": "models-apart",
    "several-heads": "merge-heads",
    "startup-race": "lock-file",
    "table-on-metadata-alembic-does-not-migrate": "one-base",
    "test-runner-root-second-name": "make-it-a-package",
}


@pytest.mark.parametrize("name", FIRST)
def test_a_change_is_written_for_the_mechanism_and_its_patch_applies_and_is_python(name, tmp_path):
    broken = _broken(name)
    candidates = candidates_for(broken)
    assert candidates[0].name == FIRST[name]
    assert len({candidate.name for candidate in candidates}) == len(candidates)
    for number, candidate in enumerate(candidates):
        copy = tmp_path / str(number)
        shutil.copytree(APPLICATIONS / name / "app", copy, symlinks=True)
        patch = patch_of({file: text or "" for file, text in candidate.edits.items()}, dict(broken.sources))
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        subprocess.run(["git", "apply", "-"], cwd=copy, input=patch, text=True, check=True)
        for file in candidate.edits:
            compile((copy / file).read_text("utf-8"), file, "exec")


@pytest.mark.parametrize(
    "name", ["migration-fails-on-data", "created-by-two-revisions", "model-declared-in-migration-script"]
)
def test_a_revision_that_a_database_may_have_run_is_left_alone_and_the_reason_is_said(name):
    broken = _broken(name)
    assert not [file for candidate in candidates_for(broken) for file in candidate.edits if "/versions/" in file]
    assert "a revision that a database may have run is not edited" in UNSAFE[broken.finding.mechanism]


def test_of_branches_that_went_on_the_last_revisions_are_merged():
    broken = _broken("several-heads")
    tree = {"a1": (), "b2": ("a1",), "c2": ("a1",), "c3": ("c2",)}
    revisions = [Revision(id_, down, f"migrations/versions/{id_}.py", 3) for id_, down in tree.items()]
    case = SimpleNamespace(incident=broken.incident, trace=broken.trace, revisions=revisions, migrations=None)
    fault = several_heads(case, Error("CommandError", "Multiple head revisions are present", ()))
    assert [(place.role, place.name) for place in fault.sites] == [
        ("head", "b2"),
        ("branches off", "c2"),
        ("head", "c3"),
    ]
    (merge,) = merge_heads(dataclasses.replace(broken, fault=fault))
    assert "down_revision = ('b2', 'c3')" in "".join(merge.edits.values())


@pytest.mark.parametrize("name", sorted(FIRST))
def test_what_only_hides_is_no_candidate(name):
    broken = _broken(name)
    for candidate in candidates_for(broken):
        new = "".join(
            line
            for line in patch_of({f: t or "" for f, t in candidate.edits.items()}, dict(broken.sources)).splitlines(
                True
            )
            if line.startswith("+")
        )
        assert not any(mark in new for mark in ("extend_existing", "keep_existing", "metadata.clear()", "except"))


def test_maskers_can_be_written_and_are_told_apart_from_proposals():
    names = [masker.name for masker in maskers(_broken("second-class-same-table-other-file"))]
    assert names == ["extend-existing", "clear-metadata", "caught"]


def test_models_that_move_take_what_they_need_and_leave_no_import_behind_that_nothing_uses():
    broken = _broken("main-module-imported-again-spawn")
    (apart,) = [one for one in candidates_for(broken) if one.name == "models-apart"]
    assert "from sqlalchemy import Column, Float, Integer, String\n" in apart.edits["animation/models.py"]
    assert "sqlalchemy" not in apart.edits["animation/render.py"]
    assert "from animation.models import Frame" in apart.edits["animation/jobs.py"]


def test_an_extension_that_is_given_the_application_is_made_without_it_and_gets_it_later():
    sources = {
        "shop/__init__.py": "",
        "shop/app.py": "from flask import Flask\nfrom shop.models import Item\nfrom flask_sqlalchemy import SQLAlchemy\n\n"
        "app = Flask(__name__)\ndb = SQLAlchemy(app)\n",
        "shop/models.py": "from shop.app import db\n\n\nclass Item(db.Model):\n    pass\n",
    }
    broken = dataclasses.replace(_broken("half-import-retried-fallback"), sources=sources)
    places = [Place("asks", "shop/models.py", 1), Place("leads back", "shop/app.py", 2)]
    own = next(imports.unknotted(broken, places))
    assert own.edits["shop/extensions.py"] == "from flask_sqlalchemy import SQLAlchemy\n\ndb = SQLAlchemy()\n"
    assert own.edits["shop/models.py"].startswith("from shop.extensions import db\n")
    assert "db.init_app(app)" in own.edits["shop/app.py"] and "SQLAlchemy(app)" not in own.edits["shop/app.py"]


def test_what_is_used_at_module_level_does_not_move_into_functions():
    assert when_needed("import a\n\nx = a.b\n\n\ndef f():\n    return a\n", 1) is None
    assert (
        when_needed("import a\n\n\ndef f():\n    return a.b\n", 1) == "\n\ndef f():\n    import a\n\n    return a.b\n"
    )


def test_a_call_that_the_newer_line_has_not_is_respelled_where_both_take_it():
    assert respell("from sqlalchemy import select\n\nq = select([a, b])\n", 3) == (
        "from sqlalchemy import select\n\nq = select(a, b)\n"
    )
    assert "text('SELECT 1')" in respell("c.execute('SELECT 1')\n", 1)
    assert respell("x = engine.begin()\n", 1) is None


def test_the_postmortems_json_holds_what_its_page_proposes():
    incident, diagnosis = judged("metadata-is-reserved")
    trace = diagnosis.looked.trace
    verification = Verification(Attempt("control", (), trace, (), True), True, (), ())
    result = FixResult("rename-reserved", None, (), "cures", "every check holds", (), trace)
    patch = "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-metadata = 1\n+metadata_ = 1\n"
    proposal = Proposal("rename-reserved", "says", patch, {}, result)
    proposals = Proposals("metadata-is-reserved", True, (proposal,), 3, result.trace)
    first_page = overview(incident.model_copy(update={"fixes": {}}), verification, diagnosis, None, proposals).text
    assert "metadata_ = 1" in first_page and "git apply" in first_page and "rename-reserved.patch" in first_page
    assert (
        "a change that the kit proposes cures it: rename-reserved" in first_page
    )  # and not "no fix to try yet" above it
    reported = postmortem_report(incident, verification, diagnosis, proposals)
    assert [proposal["name"] for proposal in reported["proposals"]] == ["rename-reserved"]
    assert "proposals" not in postmortem_report(incident, verification, diagnosis)


def test_loggers_that_a_dictionary_disables_are_kept():
    text = 'dictConfig({\n    "version": 1,\n    "handlers": {},\n})\n'
    assert '"disable_existing_loggers": False' in keep_in_dictionary(text, 1)
    assert keep_in_dictionary('dictConfig({"version": 1, "disable_existing_loggers": True})\n', 1) == (
        'dictConfig({"version": 1, "disable_existing_loggers": False})\n'
    )


def test_a_large_source_that_is_no_python_takes_nothing_from_the_rest():
    broken = dataclasses.replace(
        _broken("alias-two-module-names"),
        sources={**_broken("alias-two-module-names").sources, "old.py": "print 'lending'\nimport src.lending"},
    )
    assert [candidate.name for candidate in candidates_for(broken)][:1] == ["import-as-lending"]


def test_the_place_of_the_scratch_databases_password_is_shown_and_a_password_is_not():
    url = "postgresql://{database_user}:{database_password}@{database_host}/x"
    assert redact(url) == url and not kinds_in(url)
    assert "hunter22" not in redact("postgresql://shop:hunter22@db/x") and kinds_in("postgresql://shop:hunter22@db/x")


def test_the_verdict_on_a_change_that_gives_a_secret_is_no_secret():
    lacking, giving = (SimpleNamespace(app=SimpleNamespace(env=env)) for env in ({}, {"SESSION_SECRET": "x"}))
    fault = SimpleNamespace(experiment=SimpleNamespace(incident=giving))
    (change,) = set_variable(SimpleNamespace(fault=fault, incident=lacking))
    assert redact(line := f"  {change.name}: undecided: the error is gone") == line


def test_an_error_that_names_another_port_in_each_run_stands_behind_itself_in_none():
    def seen(text: str) -> Trace:
        (step,) = (trace := _broken("setting-missing").trace).steps
        failed = dataclasses.replace(step, exception=dataclasses.replace(step.exception, text=text))
        return dataclasses.replace(trace, steps=(failed,), signs=())

    first = seen("1 error: port 26588, SIGNING_KEY is required")
    assert not stands_behind(first, seen("1 error: port 16847, SIGNING_KEY is required"))
    assert stands_behind(first, seen("1 error: port 16847, BROKER is required"))
    assert stands_behind(seen("table events1 is defined"), seen("table events2 is defined"))


@pytest.mark.parametrize(("table", "name", "text"), [
    ("reports", "Report", "Foreign key associated with column 'a.b' could not find table 'reports' with which to generate it"),
    (None, "DataSource", "Foreign key associated with column 'a.b' could not find table 'main.datasource' with which to generate it"),
    ("reports", "Report", "expression 'Report' failed to locate a name ('Report'). If this is a class name"),
])  # fmt: skip
def test_what_only_lacks_the_class_that_failed_or_its_table_follows(table, name, text):
    trace = _broken("setting-missing").trace
    source = f"class {name}(Base):\n    __tablename__ = {table!r}\n    metadata = 1\n"
    failed = trace.steps[0].exception
    site = failed.frames[-1]._replace(file="models.py", line=1)
    skipped = Behind(dataclasses.replace(failed, text="metadata is reserved"), site, (site,), False, (name,))
    later = dataclasses.replace(failed, type="sqlalchemy.exc.NoReferencedTableError", text=text)
    steps = (dataclasses.replace(trace.steps[0], exception=later),)
    beyond = dataclasses.replace(trace, steps=steps, behind=(skipped,), sources={"models.py": source}, signs=())
    assert [error.follows for error in stands_behind(trace, beyond)] == [False, True]


def test_models_that_move_keep_how_their_annotations_are_read():
    sources = {
        "shop/db.py": "Base = object\n",
        "shop/main.py": "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\nfrom shop.db import Base\n\n"
        "if TYPE_CHECKING:\n    from shop.parts import Part\n\n\nclass Parcel(Base):\n    part: Part\n\n\nprint(Parcel)\n",
    }
    broken = dataclasses.replace(_broken("main-module-imported-again"), sources=sources)
    own, edited = own_modules.moved(broken, "shop/main.py", {11})
    assert own == "shop/models.py"
    assert edited[own].startswith("from __future__ import annotations\n")
    assert "if TYPE_CHECKING:\n    from shop.parts import Part\n" in edited[own] and "from typing import" in edited[own]
    assert "from shop.models import Parcel" in edited["shop/main.py"]


def test_a_change_after_which_a_table_is_defined_no_more_breaks():
    trace = judged("metadata-is-reserved")[1].looked.trace
    result = FixResult("remove", None, (), "cures", "every check holds", (), trace)
    assert nothing_lost(result, trace).verdict == "cures"
    gone = dataclasses.replace(result, trace=dataclasses.replace(trace, registrations=trace.registrations[1:]))
    lost = nothing_lost(gone, trace)
    assert lost.verdict == "breaks" and trace.registrations[0].table in lost.because


@pytest.mark.slow
def test_on_request_it_is_shown_what_maskers_hide(kit):
    answer = kit("propose", "tests/applications/association-table-and-class", "--show-maskers", "--json")
    shown = {masker["name"]: masker["verdict"] for masker in answer.json["maskers"]}
    assert shown and "cures" not in shown.values()
    assert not set(shown) & {proposal["name"] for proposal in answer.json["proposals"]}


def test_what_no_source_holds_is_left_to_who_deployed_it():
    broken = _broken("second-class-same-table-other-file-stale-bytecode")
    assert candidates_for(broken) == []
    assert "is in no source of the application" in why_unsafe(broken)


def added(text: str, statement: str, *own: str) -> str:
    return in_form({"f.py": add_import(text, statement)}, {"f.py": text}, own)["f.py"]


def test_an_import_of_a_library_stands_with_others_or_above_the_applications_own():
    assert added("import os\n\nfrom museum.db import engine\n", "from sqlalchemy import inspect", "museum") == (
        "import os\n\nfrom sqlalchemy import inspect\n\nfrom museum.db import engine\n"
    )
    assert add_import("from sqlalchemy import Column, Integer\n", "from sqlalchemy import ForeignKey") == (
        "from sqlalchemy import Column, ForeignKey, Integer\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "import os\nfrom a import b\nimport sys\n",
            "import os\nfrom a import b\nimport sys\nfrom functools import cache\n",
        ),
        ("import os\nimport sys\n", "import os\nimport sys\nfrom functools import cache\n"),
        ("from os import path\nimport sys\n", "from functools import cache\nfrom os import path\nimport sys\n"),
    ],
    ids=["unordered", "import before from", "by module alone"],
)
def test_an_added_import_stands_where_the_order_of_the_file_has_it(before, after):
    assert added(before, "from functools import cache") == after


def test_a_decorator_whose_function_names_every_endpoint_keeps_the_names_of_what_it_wraps():
    broken = _broken("name-taken-in-registry")
    decorator = "def login(view):\n    def inner(*args):\n        return view(*args)\n\n    return inner\n"
    fault = dataclasses.replace(broken.fault, sites=(Place("definition", "web.py", 2, "login.<locals>.inner"),))
    wrapped = dataclasses.replace(broken, fault=fault, sources={"web.py": decorator})
    (candidate,) = candidates_for(wrapped)
    new = "import functools\n\n\ndef login(view):\n    @functools.wraps(view)\n    def inner(*args):\n"
    assert candidate.edits["web.py"] == decorator.replace("def login(view):\n    def inner(*args):\n", new)
    asked = dataclasses.replace(wrapped, sources={"web.py": decorator, "page.py": "url_for('inner')\n"})
    assert list(candidates_for(asked)) == []


def test_of_two_views_of_one_name_the_second_is_called_after_its_route():
    broken = _broken("name-taken-in-registry")
    source = "@pages.route('/users')\ndef user():\n    pass\n\n\n@pages.route('/users/<key>/rename')\ndef user(key):\n    pass\n"
    sites = (Place("definition", "web.py", 1, "user"), Place("definition", "web.py", 6, "user"))
    fault = dataclasses.replace(broken.fault, sites=sites)
    (candidate,) = candidates_for(dataclasses.replace(broken, fault=fault, sources={"web.py": source}))
    assert candidate.edits["web.py"] == source.replace("def user(key)", "def user_rename(key)")


MODULES = {"app", "app.models", "app.models.user", "app.models.key", "app.db"}


@pytest.mark.parametrize(
    ("before", "package", "after"),
    [
        ("from app.models import user  # noqa: F401\n", "", "from app.models import key, user  # noqa: F401\n"),
        (
            "from app.models.user import User  # noqa\n",
            "",
            "from app.models.key import Key  # noqa\nfrom app.models.user import User  # noqa\n",
        ),
        (
            "from .user import User\n\n__all__ = ['User']\n",
            "app.models",
            "from .key import Key\nfrom .user import User\n\n__all__ = ['Key', 'User']\n",
        ),
        ("from ..models import user\n", "app.db", "from ..models import key, user\n"),
        ("from .user import *\n", "app.models", "from .key import *\nfrom .user import *\n"),
        ("", "app.models", "from . import key  # noqa: F401"),
        ("app = 1\n", "", "from app.models import key  # noqa: F401\n\napp = 1\n"),
    ],
    ids=["modules", "classes", "relative and __all__", "parent", "star", "empty", "taken name"],
)
def test_a_model_is_imported_as_the_file_imports_others(before, package, after):
    new = import_like_others(before, "app.models.key", ["Key"], package, MODULES)
    assert in_form({"f.py": new}, {"f.py": before})["f.py"] == after


def test_what_asks_an_object_for_a_renamed_attribute_asks_by_its_new_name_and_a_metadata_stays():
    text = (
        "def show(item: Item, other):\n    return item.metadata, other.metadata, Item.metadata.tables\n\n\n"
        "def all_(session):\n    return [x.metadata for x in session.query(Item).filter(Item.metadata.is_(None))]\n"
    )
    new, unknown = edits.rename_reads(text, {"Item"}, "metadata", "metadata_")
    assert new == (
        "def show(item: Item, other):\n    return item.metadata_, other.metadata, Item.metadata.tables\n\n\n"
        "def all_(session):\n    return [x.metadata_ for x in session.query(Item).filter(Item.metadata_.is_(None))]\n"
    )
    assert unknown == ["other.metadata"]


def test_a_module_that_is_used_by_its_name_keeps_the_name():
    text = "import models  # noqa\n\nprint(models.Order)\n"
    assert (
        edits.rename_module(text, "models", "app.models") == "from app import models  # noqa\n\nprint(models.Order)\n"
    )


def test_a_new_line_is_laid_out_as_the_lines_of_the_file_are():
    before = "name = 'a'\n"
    after = {"f.py": before + 'x = ["a", "b"   ]\ndef f():\n    pass\n'}
    assert in_form(after, {"f.py": before})["f.py"] == "name = 'a'\nx = ['a', 'b']\n\n\ndef f():\n    pass\n"
    assert in_form(after, {"f.py": "name  =  'a'\n"}) == after


def test_what_moves_takes_a_star_import_and_a_logger_along_and_relative_imports_follow():
    sources = {
        "shop/db.py": "Base = object\n",
        "shop/main.py": "import logging\nfrom sqlalchemy import *\nfrom shop.db import Base\n\nlog = logging.getLogger(__name__)\n\n\n"
        "class Parcel(Base):\n    id = Column(Integer)\n    log.info('made')\n\n\nlog.info('up')\n",
        "shop/desk.py": "from .main import (\n    Parcel,\n    log,\n)\n",
    }
    broken = dataclasses.replace(_broken("main-module-imported-again"), sources=sources)
    own, edited = own_modules.moved(broken, "shop/main.py", {8})
    assert "from sqlalchemy import *\n" in edited[own] and "log = logging.getLogger(__name__)\n" in edited[own]
    assert "log = logging.getLogger(__name__)\n" in edited["shop/main.py"] and "class" not in edited["shop/main.py"]
    assert edited["shop/desk.py"] == "from .models import Parcel\nfrom .main import log\n"


def test_a_url_with_a_wrong_scheme_is_written_otherwise_wherever_the_application_has_it():
    sources = {"bakery/settings.py": "URL = 'sqlite3://'\n"}
    candidates = candidates_for(dataclasses.replace(_broken("unknown-url-scheme"), sources=sources))
    assert [c.env for c in candidates if c.env] == [{"BAKERY_DB": "sqlite://"}]
    assert {"bakery/settings.py": "URL = 'sqlite://'\n"} in [c.edits for c in candidates]


def _asked(*answers: Answer, verdict: str = "cures") -> FixResult:
    trace = judged("name-taken-in-registry")[1].looked.trace
    routes = CheckResult("routes", None, "asked", kind="routes", answers=answers)
    return FixResult("change", None, (), verdict, "the error is gone", (routes,), trace)


def test_a_change_after_which_an_endpoint_is_asked_for_by_a_name_that_none_has_breaks():
    before, after = "redirect(url_for('admin.index'))\n", "redirect(url_for('magazine.admin.index'))\n"
    result = endpoints_kept(_asked(), {"pages.py": after}, {"pages.py": before})
    assert result.verdict == "breaks" and "pages.py asks for the endpoint admin.index" in result.because
    assert endpoints_kept(_asked(), {"pages.py": before + "x = 1\n"}, {"pages.py": before}).verdict == "cures"
    gone = endpoints_kept(_asked(), {"pages.py": "x = 1\n"}, {"pages.py": "__tablename__ = 'admin.index'\n"})
    assert gone.verdict == "cures"  # what is named so may be a table, which the change takes away


def test_of_two_blueprints_pages_the_one_that_only_the_renamed_one_has_is_asked_for_by_its_new_name():
    broken = _broken("name-taken-in-registry")
    late = '@readers.route("/late")\ndef late():\n    return redirect(url_for("admin.late"))\n'
    page = "<a href=\"{{ url_for('admin.late') }}\">late</a> {{ url_for('admin.index') }}"
    text = broken.sources["magazine/readers.py"] + "\n\n" + late
    sources = {**broken.sources, "magazine/readers.py": text, "magazine/templates/page.html": page}
    edits = candidates_for(dataclasses.replace(broken, sources=sources))[0].edits
    assert edits["magazine/readers.py"] == text.replace("admin.late", "readers.late")
    assert edits["magazine/templates/page.html"] == page.replace("admin.late", "readers.late")


def test_a_route_that_fails_is_judged_by_what_it_answers_without_the_change_or_in_other_builds():
    good, bad = Answer("/", 200), Answer("/", 500, "KeyError: 'shelf'")
    for before, after, ok in [
        (good, bad, False),
        (bad, bad, True),
        (good, Answer("/", 404), False),
        (good, Answer("/", 302), True),
    ]:
        checks = [_asked(answer).checks[0] for answer in (after, before)]
        assert beside(*checks).ok is ok
    assert beside(_asked(Answer("/", None, late=True)).checks[0], _asked(good).checks[0]).ok is None
    patch = "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-shelf = 1\n+board = 1\n"
    assert settled(_asked(bad), patch, {"other": {"/": good}}, hidden=None).verdict == "breaks"
    assert settled(_asked(bad), patch, {"other": {"/": bad}}, hidden=None) is None  # it may break it, too
    hides = settled(_asked(bad), patch, {"extend-existing": {"/": bad}}, hidden="extend-existing")
    assert hides.verdict == "cures" and "as in every other build that serves" in hides.because
    assert settled(_asked(bad), patch, {"caught": {"/other": good}}, hidden="caught") is None
    elsewhere = settled(_asked(bad), patch.replace("shelf", "rack"), {}, hidden=None)
    assert (
        elsewhere.verdict == "cures"
        and "neither its path nor its error names what the change touches" in elsewhere.because
    )


def test_a_table_that_no_step_makes_is_missed_by_every_build_that_serves_and_a_change_that_names_it_may_be_to_blame(
    tmp_path,
):
    incident, diagnosis = judged("name-taken-in-registry")
    before = dataclasses.replace(diagnosis.looked.trace, created=())
    missed = Swallowed(Error("OperationalError", "no such table: rooms", ()), None, (), 0, "logged")
    other = dataclasses.replace(missed, error=Error("KeyError", "'rooms'", ()))
    control = Attempt("control", (), before, (), True)
    tried = Attempt("change", (), dataclasses.replace(before, swallowed=(missed, other)), (), False)

    def passed_over(patch: str, **changed) -> list[str]:
        file = tmp_path / "change.patch"
        file.write_text(patch)
        fixed = incident.model_copy(update={"fixes": {"change": Fix(patches=[str(file)])}, **changed})
        return of_the_empty_database(fixed, tried, control)

    assert passed_over("+chairs = 1\n") == ["OperationalError: no such table: rooms"]
    assert passed_over("+rooms = 1\n") == []
    assert passed_over("+chairs = 1\n", prepare=[Preparation.model_validate({"upgrade": "head"})]) == []


def test_a_change_that_cannot_be_started_in_this_setup_is_none_of_the_startups(tmp_path):
    class Refuses:
        def submit(self, *call) -> Future:
            future = Future()
            future.set_exception(IncidentError("aiosqlite is not installed"))
            return future

    broken = _broken("name-taken-in-registry")
    control = Attempt("control", (), broken.trace, (), True)
    search = _Search(
        broken.incident, broken.incident, control, broken.sources, tmp_path, Refuses(), silent, print, nothing
    )
    change = candidates_for(broken)[0]
    assert search.try_all(broken, [change]) == [] and search.again(change, broken.incident) is None
    assert search.startups == 2
