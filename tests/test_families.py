"""Faults of imports and of logging: each named with its lines, and what only looks like one accused of nothing."""

import ast
import json
import re
from dataclasses import replace
from os.path import normpath
from pathlib import Path
from types import SimpleNamespace

import pytest
from histories import History
from miniatures import EXPECTED, judged, python

from kit.diagnose import migration_runs, removed_apis
from kit.diagnose.decision import _what_is_wrong, decide_mechanism, decided, find_mechanism
from kit.diagnose.diagnosis import diagnose
from kit.diagnose.explanations import MEANINGS
from kit.diagnose.metadata_runs import _sees
from kit.diagnose.migrations import migration_fails_on_data
from kit.diagnose.observation import look_at
from kit.diagnose.registered_twice import BY_DEFINITION, ONE_DEFINITION, TWO_DEFINITIONS, Pair, judge
from kit.diagnose.registries import _against, _shadowed
from kit.diagnose.removed_apis import user_of
from kit.diagnose.two_registrations import is_library
from kit.diagnose.undecided import _engines, _meaning, _named
from kit.diagnose.values import Case, Looked, Outcome
from kit.incident import load
from kit.incident.revisions import Revision
from kit.investigate import propose
from kit.startup.installed_packages import installed
from kit.startup.migrations import Migrations
from kit.trace.expected import advice
from kit.trace.routes import Route
from kit.trace.trace import Trace
from kit.trace.values import EngineMade, Error, Frame, Judgement
from kit.views.report import proposals_report
from kit.views.startup import errors


def mechanism_of(file) -> tuple[str, list[str]]:
    finding, _, fault = find_mechanism(incident := load(file), look_at(incident))
    return finding.mechanism, [str(place) for place in fault.places] if fault else []


def test_a_cycle_is_told_by_the_line_that_asks_the_one_that_leads_back_and_the_one_that_would_bind(write_incident):
    files = {
        "service/__init__.py": "",
        "service/main.py": "import service.one",
        "service/one.py": "from service.two import b\na = 1",
        "service/two.py": "from service.one import a\nb = 2",
    }
    mechanism, places = mechanism_of(write_incident(files, expect={"error": "cannot import name 'a'"}))
    assert mechanism == "circular-import"
    assert places == ["service/two.py:1", "service/one.py:1", "service/one.py:2"]


@pytest.mark.parametrize("program", [True, False], ids=["by its file's name", "by its module's name"])
def test_a_program_that_is_imported_again_by_its_modules_name_is_said_to_run_twice(program, write_incident):
    """What a cycle fails of is then how it is started: by its module's name the same file runs once."""
    files = {
        "main.py": "import sqlalchemy\nfrom models import User\nlimit = 1\n",
        "models.py": "from main import limit\nclass User: ...\n",
    }
    step = {"command": "python main.py"} if program else {"import": "main"}
    incident = load(write_incident(files, startup=[step], app={"python": python("2.0")}, expect={}))
    finding, _, _ = find_mechanism(incident, look_at(incident))
    assert finding.mechanism == "circular-import"
    twice = "main.py runs twice, as the program and again as main, which models.py:1 imports"
    assert any(because.startswith(twice) for because in finding.because) is program


ENDPOINT = "\n@app.route('/static/<name>')\ndef {}(name): ...\n"


@pytest.mark.parametrize(
    "files",
    [
        {"main.py": "try:\n    import service.fast\nexcept ImportError:\n    pass\n", "fast.py": "import no_such_library"},
        {"main.py": "import sqlalchemy.orm\ntry:\n    import sqlalchemy.ext.mypy.plugin\nexcept ImportError:\n    pass\n"},
        {"main.py": f"from flask import Flask\napp = Flask('a')\n{ENDPOINT.format('file')}{ENDPOINT.format('file_as_it_was_called')}"},
    ],
    ids=["an optional import that changes nothing", "an optional part of a library", "two endpoints that one file of Flask gives one URL"],
)  # fmt: skip
def test_what_only_looks_like_a_fault_is_accused_of_nothing(files, write_incident):
    files = {"service/__init__.py": "", **{f"service/{name}": text for name, text in files.items()}}
    assert mechanism_of(write_incident(files, app={"python": python("2.0")}, expect={}))[0] == "none"


def test_a_route_that_its_copy_answers_for_before_another_is_shadowed_by_none():
    """FastAPI 0.108 copies the routes of a router where that is included: each is there twice."""
    entries = [SimpleNamespace(frame=SimpleNamespace(application=True), definition=name, kind="route") for name in "ab"]
    me, user = (
        Route(path, frozenset({"GET"}), it, ()) for path, it in zip(("/u/me", "/u/{name}"), entries, strict=True)
    )
    assert not list(_shadowed([me, user, me, user])) and list(_shadowed([user, me])) == [(user, me)]


MODEL = """
from sqlalchemy import Column, ForeignKey, Integer
from service.base import Base
class {name}(Base):
    __tablename__ = "{table}"
    id = Column(Integer, primary_key=True)
"""
BASE = "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n"
TWO_ROUTES = """
from starlette.applications import Starlette
from starlette.routing import Mount, Route
import sqlalchemy
def user(request): ...
def me(request): ...
app = Starlette(routes=[Mount("/api", routes=[
    Route("/users/{name}", user),
    Route("/users/me", me),
])])
"""
SECOND_TABLE = MODEL.format(name="Order", table="orders") + '    user_id = Column(ForeignKey("users.id"))\n'
FAULTS = {
    "a variable that is not set, and that a condition asks": (
        {"main.py": "import os, sqlalchemy\nuri = os.getenv('SHOP_URI')\nif uri.startswith('postgres'):\n    pass\n"},
        "setting-missing",
        ["service/main.py:2", "service/main.py:3"],
    ),
    "a variable that is read where it fails, beside another that is not set": (
        {
            "main.py": "import os, sqlalchemy\nport = os.getenv('SHOP_PORT')\nlimit = int(os.getenv('SHOP_LIMIT')) + len(port or '')\n"
        },
        "setting-missing",
        ["service/main.py:3"],
    ),
    "a submodule that its package has not got yet": (
        {
            "one.py": "import service.two\nlimit = 1",
            "two.py": "import service.one\nservice.one.limit",
            "main.py": "import sqlalchemy.orm, service.one",
        },
        "circular-import",
        ["service/two.py:2", "service/one.py:1"],
    ),
    "a library that is not installed": (
        {"main.py": "import sqlalchemy\nfrom shop_rates import RATES"},
        "no-such-module",
        ["service/main.py:2"],
    ),
    "a folder that is put on the path below the import that needs it": (
        {
            "env.py": "import sqlalchemy\nimport sys\nfrom tools import limit\nsys.path.append('service/lib')\n",
            "lib/tools.py": "limit = 1\n",
            "main.py": "import sys\nsys.path.append('service')\nimport env\n",
        },
        "module-not-on-path",
        ["service/env.py:3", "service/env.py:4"],
    ),
    "a folder that is put on the path below the import, after lines that do not put it there": (
        {
            "env.py": "import sqlalchemy\nimport sys\nfrom tools import limit\nsys.path.remove('service/lib')\n"
            "def late():\n    sys.path.append('service/lib')\nsys.path.insert(0, '/opt/lib2')\nsys.path += ['service/lib']\n",
            "lib/tools.py": "limit = 1\n",
            "main.py": "import sys\nsys.path.append('service')\nimport env\n",
        },
        "module-not-on-path",
        ["service/env.py:3", "service/env.py:8"],
    ),
    "a module that the application names by a string, which is no need of the library that imports it": (
        {
            "main.py": "import sqlalchemy\nfrom werkzeug.utils import import_string\nimport_string('shop_settings.Live')\n"
        },
        "undecided",
        [],
    ),
    "a library that another one needs, and that is not installed": (
        {"main.py": "import sqlalchemy.orm\nimport sqlalchemy.ext.mypy.plugin"},
        "no-such-module",
        ["service/main.py:2"],
    ),
    "a package in front of the module that is meant": (
        {"shop.py": "app = 1\n", "shop/__init__.py": "", "main.py": "import sqlalchemy\nfrom service.shop import app"},
        "module-and-package-side-by-side",
        ["service/shop/__init__.py:1", "service/shop.py:1"],
    ),
    "a module that stands beside the one that asks": (
        {"settings.py": "", "main.py": "import sqlalchemy\nimport settings"},
        "module-not-on-path",
        ["service/main.py:2"],
    ),
    "a foreign key to a table whose class nobody imported": (
        {
            "base.py": BASE,
            "users.py": MODEL.format(name="User", table="users"),
            "orders.py": SECOND_TABLE,
            "main.py": "import service.orders\nfrom service.base import Base\nBase.metadata.sorted_tables",
        },
        "class-not-imported",
        ["service/orders.py:7", "service/users.py:4"],
    ),
    "a table that create_all came too early for": (
        {
            "base.py": BASE,
            "users.py": MODEL.format(name="User", table="users"),
            "main.py": "import sqlalchemy as sa\nfrom service.base import Base\nengine = sa.create_engine('sqlite://')\nBase.metadata.create_all(engine)\n"
            "from service.users import User\nwith engine.connect() as connection:\n    connection.execute(sa.select(User))",
        },
        "class-not-imported",
        ["service/users.py:4", "service/main.py:4"],
    ),
    "a foreign key across two metadata": (
        {
            "base.py": BASE + "Other = declarative_base()\n",
            "users.py": MODEL.format(name="User", table="users").replace("Base", "Other"),
            "orders.py": SECOND_TABLE,
            "main.py": "import service.users, service.orders\nfrom service.base import Base\nBase.metadata.sorted_tables",
        },
        "name-on-another-metadata",
        ["service/orders.py:7", "service/users.py:4", "service/base.py:2", "service/base.py:3"],
    ),
    "a route in a list, below one that takes its requests": (
        {"main.py": TWO_ROUTES},
        "route-shadowed",
        ["service/main.py:8", "service/main.py:9", "service/main.py:5", "service/main.py:6"],
    ),
    "an attribute of a whole module that the installed line has no longer": (
        {"main.py": "import sqlalchemy\nnames = sqlalchemy.__all__\n"},
        "api-removed-in-installed-version",
        ["service/main.py:2"],
    ),
    "plain text that begins in its second line": (
        {
            "main.py": "import sqlalchemy\nengine = sqlalchemy.create_engine('sqlite://')\n"
            "engine.connect().execute('\\n    SELECT 1')\n"
        },
        "api-removed-in-installed-version",
        ["service/main.py:3"],
    ),
    "an asynchronous engine that a synchronous function is given": (
        {
            "base.py": BASE,
            "users.py": MODEL.format(name="User", table="users"),
            "main.py": "from sqlalchemy.ext.asyncio import create_async_engine\nfrom service.users import Base\n"
            "engine = create_async_engine('sqlite+aiosqlite://')\nBase.metadata.create_all(engine)\n",
        },
        "async-driver-in-sync-code",
        ["service/main.py:3", "service/main.py:4"],
    ),
    "an asynchronous engine of a synchronous driver": (
        {
            "main.py": "from sqlalchemy.ext.asyncio import create_async_engine\n"
            "engine = create_async_engine('sqlite:///:memory:')\n"
        },
        "sync-driver-in-async-code",
        ["service/main.py:2"],
    ),
    "a table's name that is misspelt, and that a library has in a schema of its own": (
        {
            "site-packages/shelf.py": "import sqlalchemy as sa\nown = sa.MetaData()\nsa.Table('order', own, schema='shelf')\n",
            "base.py": BASE,
            "main.py": "import sys\nsys.path.insert(0, 'service/site-packages')\nimport shelf\n"
            + MODEL.format(name="Order", table="orders")
            + "    other = Column(ForeignKey('order.id'))\nBase.metadata.sorted_tables\n",
        },
        "undecided",
        [],
    ),
    "a failure that quotes what a disabled logger lost": (
        {
            "main.py": "import io\nimport logging\nimport logging.config\nlog = logging.getLogger('service')\nseen = io.StringIO()\n"
            "log.addHandler(logging.StreamHandler(seen))\nlogging.config.fileConfig('service/logging.ini')\n"
            "log.warning('no stock left')\nif 'no stock' not in seen.getvalue():\n    raise AssertionError(\"'no stock' not in ''\")\n",
            "logging.ini": "[loggers]\nkeys = root\n[handlers]\nkeys =\n[formatters]\nkeys =\n[logger_root]\nhandlers =\n",
        },
        "loggers-disabled",
        ["service/main.py:7", "service/main.py:8"],
    ),
}


@pytest.mark.parametrize("shown", FAULTS)
def test_a_fault_of_another_make_is_named_with_its_lines(write_incident, shown):
    files, mechanism, places = FAULTS[shown]
    files = {"service/__init__.py": "", **{f"service/{name}": text for name, text in files.items()}}
    incident = load(write_incident(files, app={"python": python("2.0")}, expect={}))
    finding, _, fault = find_mechanism(incident, look_at(incident))
    assert (finding.mechanism, [str(place) for place in fault.places] if fault else []) == (mechanism, places)
    # Nobody knows as which library a module that is not there is installed.
    assert not any("names shop_rates itself" in sentence for sentence in finding.because)


@pytest.mark.parametrize(
    ("url", "env"), [("os.environ['SHOP_DB']", {"SHOP_DB": "sqlite:///a.db"}), ("'sqlite://'", {})]
)
def test_an_asynchronous_engine_of_a_synchronous_url_is_given_the_scheme_that_it_takes(url, env, write_incident):
    main = f"import os\nfrom sqlalchemy.ext.asyncio import create_async_engine\nurl = {url}\ncreate_async_engine(url)\n"
    files, app = {"service/__init__.py": "", "service/main.py": main}, {"python": python("2.0"), "env": env}
    tried = propose(load(write_incident(files, app=app, expect={"error": "requires an async driver"})))
    proposals = [(it["name"], it["verdict"]) for it in proposals_report(tried)["proposals"]]
    assert [it for it in proposals if it[0].startswith("scheme-sqlite+aiosqlite") and it[1] == "cures"], proposals


def test_a_script_that_is_found_first_under_its_packages_name_stands_in_front_of_it(write_incident):
    files = {
        "service/__init__.py": "",
        "service/service.py": "import sqlalchemy\nfrom service.models import limit\nprint(limit)\n",
        "service/models.py": "limit = 1\n",
    }
    incident = write_incident(files, startup=[{"command": "python service/service.py"}])
    assert mechanism_of(incident) == ("module-not-on-path", ["service/service.py:2", "service/service.py:1"])
    assert diagnose(load(incident)).outcomes[0].outcome == "confirmed"


def test_a_module_that_a_commit_moved_is_told_with_the_commit_and_with_where_it_is_now(tmp_path):
    made = History(tmp_path / "app")
    made.commit(
        {"service/__init__.py": "", "service/base.py": BASE, "service/main.py": "import service.base\n"}, "Base"
    )
    moved = {"service/base.py": None, "service/db/__init__.py": "", "service/db/base.py": BASE}
    commit = made.commit(moved, "Move it")
    file = tmp_path / "incident.yaml"
    app = {"root": "app", "python": python("2.0")}
    file.write_text(json.dumps({"title": "moved", "app": app, "startup": [{"import": "service.main"}]}))
    incident = load(file)
    finding, _, fault = find_mechanism(incident, look_at(incident))
    assert finding.mechanism == "no-such-module"
    assert [str(place) for place in fault.places] == ["service/main.py:1", "service/db/base.py:1"]
    assert f"service/base.py was moved to service/db/base.py by commit {commit[:9]} (Move it)" in finding.because[1]
    assert diagnose(incident).outcomes[0].outcome == "confirmed"


def test_the_line_of_a_settings_file_that_has_the_url_of_an_unknown_scheme_is_named(write_incident):
    files = {
        "alembic.ini": "[alembic]\nscript_location = moves\n# sqlalchemy.url = driver://commented/out\n"
        "sqlalchemy.url = driver://user:pass@localhost/dbname\n",
        "moves/env.py": "from alembic import context\nfrom sqlalchemy import engine_from_config\n"
        "engine = engine_from_config(context.config.get_section('alembic'))\n",
    }
    incident = load(write_incident(files, startup=[{"command": "alembic upgrade head"}], app={"python": python("2.0")}))
    finding, _, fault = find_mechanism(incident, look_at(incident))
    assert finding.mechanism == "unknown-url-scheme"
    assert [str(place) for place in fault.places] == ["moves/env.py:3", "alembic.ini:4"]
    assert fault.experiment.says == "sqlite:// in place of driver://…"  # nothing tells which scheme was meant
    assert "\nsqlalchemy.url = sqlite://\n" in fault.experiment.edits["alembic.ini"]


def test_what_a_notebooks_cell_asks_for_and_no_folder_on_the_path_holds_is_named(write_incident):
    cell = '{"source": "import sqlalchemy\\nimport service.models"}'
    files = {"lib/service/__init__.py": "", "lib/service/models.py": "limit = 1\n", "notebooks/report.ipynb": cell}
    run = "python -c 'import json, sys; exec(json.load(open(sys.argv[1]))[\"source\"])' notebooks/report.ipynb"
    incident = write_incident(files, startup=[{"command": run}])
    assert mechanism_of(incident) == ("module-not-on-path", ["lib/service/__init__.py:1"])


NEWER = {
    "service/__init__.py": "",
    "service/main.py": "import sqlalchemy\nfrom sqlalchemy.ext.asyncio import async_sessionmaker\n",
    "requirements.txt": "sqlalchemy>=2.0,<3\n",
}
LACKS = "service/main.py:2 uses async_sessionmaker of sqlalchemy.ext.asyncio, which sqlalchemy does not have; 1.4.54 is installed"


def test_a_name_that_only_a_later_line_has_is_told_by_the_requirement_that_asks_for_it(write_incident):
    incident = load(write_incident(NEWER, app={"python": python("1.4")}))
    looked = look_at(incident)
    finding, _, fault = find_mechanism(incident, looked)
    assert finding.mechanism == "api-removed-in-installed-version" and finding.because[0] == LACKS
    assert [str(place) for place in fault.places] == ["service/main.py:2", "requirements.txt:1"]
    for asked in ({}, {"sqlalchemy": [("requirements.txt", 1, ">=1.4")]}):
        finding = find_mechanism(incident, replace(looked, requirements=asked))[0]
        known = "required by requirements.txt:1 (>=1.4)" if asked else "no file of requirements names sqlalchemy itself"
        assert finding.mechanism == "undecided"
        assert f"sqlalchemy 1.4.54 is installed, {known}" in finding.because
    root = incident.resolve(incident.app.root)
    root.with_name("env").symlink_to(Path(python("2.0")).parents[1])
    _, _, fault = find_mechanism(incident, replace(looked, requirements={}))
    assert fault.experiment.says == "sqlalchemy 2.0.58, all else equal"
    assert fault.experiment.incident.app.python == f"{root.parent}/env/bin/python"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mechanism"), [("async_sessionmaker", "api-removed-in-installed-version"), ("sessionmakr", "undecided")]
)
def test_a_name_that_the_installed_line_lacks_is_decided_by_another_that_a_fix_names(write_incident, name, mechanism):
    main = NEWER["service/main.py"].replace("async_sessionmaker", name)
    files = {**NEWER, "service/main.py": main, "requirements.txt": "sqlalchemy\n"}
    newer = {"newer": {"python": python("2.0"), "claim": "2.0 has it"}}
    diagnosis = diagnose(load(write_incident(files, app={"python": python("1.4")}, fixes=newer, expect={})))
    assert diagnosis.finding.mechanism == mechanism
    assert [outcome.outcome for outcome in diagnosis.outcomes] == [
        "refuted" if mechanism == "undecided" else "confirmed"
    ]


def test_what_a_library_says_that_it_no_longer_has_is_told_by_its_name(write_incident):
    files = {"service/__init__.py": "", "service/main.py": "import sqlalchemy\nfrom pydantic import BaseSettings\n"}
    finding = diagnose(load(write_incident(files))).finding
    assert finding.mechanism == "api-removed-in-installed-version"
    assert finding.because[0].startswith(
        "service/main.py:2 uses BaseSettings, which pydantic no longer has, as it says "
    )


def test_a_module_and_a_vendored_library_are_known_by_the_folder_on_the_path_that_holds_them(write_incident):
    incident = load(write_incident({"src/service/__init__.py": ""}, app={"path": ["src"]}))
    case = Case.of(incident, Looked(trace=Trace.not_begun([], "")))
    assert case.module_of("src/service/visits.py") == "service.visits"
    assert is_library(Frame("src/vendor/authkit/models.py", 1, "<module>", "authkit.models", True))
    assert not is_library(Frame("src/shop/vendor/models.py", 1, "<module>", "shop.vendor.models", True))


def test_a_librarys_function_that_stands_in_for_table_defines_nothing_its_callers_do(write_incident):
    maker = """
        import sqlalchemy
        def maker():
            def make(*args, **more):
                more.setdefault("info", {})
                return sqlalchemy.Table(*args, **more)
            return make
    """
    files = {
        "vendor/site-packages/tables.py": maker,
        "service/__init__.py": "",
        "service/db.py": "import tables\nfrom sqlalchemy import MetaData\nmetadata, Table = MetaData(), tables.maker()\n",
        "service/tags.py": "from sqlalchemy import Column, Integer\nfrom service.db import Table, metadata\n"
        "tags = Table('tags', metadata, Column('id', Integer))\n",
        "service/main.py": "import service.tags\nimport tags\n",
    }
    file = write_incident(files, app={"path": [".", "vendor/site-packages", "service"]})
    diagnosis = diagnose(load(file))
    assert diagnosis.finding.mechanism == "alias-two-module-names"
    assert [str(place) for place in diagnosis.sites][:2] == ["service/tags.py:3", "service/tags.py:3"]


def test_what_another_library_uses_is_not_told_as_used_by_the_application():
    frames = (("service/main.py", 2, True), ("jinja2/filters.py", 13, False), ("markupsafe/__init__.py", 4, False))
    frames = tuple(Frame(file, line, "<module>", None, own) for file, line, own in frames)
    error = Error("ImportError", "cannot import name 'soft_unicode' from 'markupsafe'", frames)
    case = SimpleNamespace(incident=SimpleNamespace(python=python("2.0")))
    assert user_of(case, error, frames[0], "markupsafe") == "jinja2/filters.py:13, to which service/main.py:2 leads,"
    assert user_of(case, replace(error, frames=frames[::2]), frames[0], "markupsafe") == "service/main.py:2"


@pytest.mark.parametrize(("error", "advised"), [("No module named 'tools'", False), ("no such table: orders", True)])
def test_how_to_find_a_module_is_no_advice_where_its_lack_is_the_incident(error, advised, write_incident):
    incident = load(write_incident({"service/__init__.py": ""}, expect={"error": error}))
    assert bool(advice(incident, "ModuleNotFoundError: No module named 'tools'")) is advised


def test_the_error_that_a_disabled_logger_loses_is_shown_with_who_disabled_it(write_incident):
    main = """
        import logging
        import logging.config
        log = logging.getLogger("service.main")
        logging.config.dictConfig({"version": 1})
        try:
            raise LookupError("no stock")
        except LookupError:
            log.exception("lost")
    """
    incident = load(write_incident({"service/__init__.py": "", "service/main.py": main}, expect={}))
    finding, _, fault = find_mechanism(incident, look_at(incident))
    assert finding.mechanism == "loggers-disabled"
    assert [place.file for place in fault.places] == ["service/main.py"] * 3
    kept = 'logging.config.dictConfig(dict({"version": 1}, disable_existing_loggers=False))'
    assert kept.replace('"', "'") in fault.experiment.edits["service/main.py"]


def test_what_a_mechanism_of_every_registry_means_speaks_of_no_table():
    shared = _against(dict.fromkeys(slug for slug, _ in (*ONE_DEFINITION, *BY_DEFINITION)))
    assert {"defined-inside-function-called-twice", "main-module-imported-again", "importlib-reload"} <= set(shared)
    assert not [slug for slug in shared if "table" in " ".join(MEANINGS[slug]) or "model " in " ".join(MEANINGS[slug])]


def claims_of(file) -> dict[str, str]:
    return {tested.kind: f"{tested.verdict}: {tested.evidence}" for tested in diagnose(load(file)).hypotheses}


CLAIMS = [{"claim": "a circle", "kind": "circular-import"}, {"claim": "twice", "kind": "module-imported-twice"}]


def test_claims_about_executions_need_no_table_that_is_registered_twice(write_incident):
    twice = {
        "service/__init__.py": "",
        "names.py": "import sqlalchemy\nTAKEN = []\n",
        "service/jobs.py": "import names\nif 'jobs' in names.TAKEN:\n    raise ValueError('jobs is there')\nnames.TAKEN.append('jobs')\n",
        "service/main.py": "import service.jobs\nimport sys, os\nsys.path.insert(0, os.path.dirname(__file__))\nimport jobs\n",
    }
    assert claims_of(write_incident(twice, hypotheses=CLAIMS, expect={"error": "jobs is there"})) == {
        "circular-import": "refuted: no modules of the application import each other in this startup",
        "module-imported-twice": "confirmed: service/jobs.py was executed 2 times: as service.jobs by service/main.py:1, as jobs by service/main.py:4",
    }
    circle = {
        "service/__init__.py": "",
        "service/main.py": "import service.one",
        "service/one.py": "from service.two import b\na = 1",
        "service/two.py": "from service.one import a\nb = 2",
    }
    assert claims_of(
        write_incident(circle, hypotheses=CLAIMS, folder="circle", expect={"error": "import name 'a'"})
    ) == {
        "circular-import": "confirmed: the failure comes of it: see the mechanism and its experiment",
        "module-imported-twice": "refuted: no process executed a file of the application twice",
    }


def test_two_metadata_of_one_line_come_of_a_file_that_runs_under_two_names(write_incident):
    files = {
        "app.py": """
            from flask import Flask
            from flask_sqlalchemy import SQLAlchemy
            app = Flask(__name__)
            app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
            db = SQLAlchemy(app)
            import models
            if __name__ == "__main__":
                with app.app_context():
                    models.User.query.count()
        """,
        "models.py": "from app import db\nclass User(db.Model):\n    id = db.Column(db.Integer, primary_key=True)\n",
    }
    started = {"app": {"python": python("2.0")}, "startup": [{"command": "python app.py"}]}
    decision = decide_mechanism(incident := load(write_incident(files, **started)), look_at(incident))
    assert decision.finding.mechanism == "main-module-imported-again"
    assert [(str(place), place.module) for place in decision.fault.sites] == [
        ("app.py:6", "__main__"),
        ("app.py:6", "app"),
    ]
    assert decision.experiment.outcome == "confirmed", decision.experiment


TWO = (
    BASE
    + """
from sqlalchemy import Column, ForeignKey, Integer, create_engine
from sqlalchemy.orm import relationship{more}
class User(Base):
    __tablename__ = "users"
    {user}
class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    {order}
"""
)
KEY, OWNER = "id = Column(Integer, primary_key=True)", 'owner = Column(ForeignKey("users.id"))'
MADE = "from service.models import Base\nfrom sqlalchemy import create_engine\nBase.metadata.create_all(create_engine('sqlite://'))\n"
FLASK = "from flask import current_app\nimport sqlalchemy\nlimit = current_app.config['LIMIT']\n"
ALTERED = """
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, create_engine
def upgrade(op):
    op.create_table("users", Column("id", Integer))
    {operation}
with create_engine("sqlite://").connect() as connection:
    upgrade(Operations(MigrationContext.configure(connection)))
"""


def models(user=KEY, order=OWNER, more=""):
    return TWO.format(user=user.replace("\n", "\n    "), order=order.replace("\n", "\n    "), more=more)


SETTINGS = """
import sqlalchemy
from pydantic_settings import BaseSettings
class Settings(BaseSettings):
    region: str = "north"
Settings(color="red")
"""
SQLMODEL = """
from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel
class Step(SQLModel, table=True):
    id: int = Field(primary_key=True)
    data: dict = Field(sa_column=Column(JSON))
    extra: dict = {}
"""
PLANS = """
from typing import List
from sqlmodel import Field, Relationship, SQLModel
class Plan(SQLModel, table=True):
    id: int = Field(primary_key=True)
    meals: List["Meal"] = Relationship(back_populates="plan")
class Meal(SQLModel, table=True):
    id: int = Field(primary_key=True)
    plan_id: int = Field(foreign_key="plan.id")
    plan: "Plan" = Relationship(back_populates="meals")

Plan()
"""
KNOWN = {  # files, lines that are named, words of what it usually means
    "back_populates mismatch": (
        {
            "models.py": models(user=KEY + '\norders = relationship("Order", back_populates="owned_by")'),
            "main.py": "from service.models import User\nUser()\n",
        },
        ["service/main.py:2", "service/models.py:10", "service/models.py:9"],
        "back_populates",
    ),
    "a name for type checkers only": (
        {
            "main.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from decimal import Decimal\ndef sum_up(of: Decimal): ...\n"
        },
        ["service/main.py:4", "service/main.py:3"],
        "for type checkers only",
    ),
    "a missing primary key": (
        {"models.py": models(user="id = Column(Integer)"), "main.py": "import service.models\n"},
        ["service/models.py:6"],
        "primary key",
    ),
    "a schema left out of a foreign key": (
        {"models.py": models(user=KEY + '\n__table_args__ = {"schema": "auth"}'), "main.py": MADE},
        ["service/main.py:3", "service/models.py:13", "service/models.py:6"],
        "its schema included",
    ),
    "a column that the target of a foreign key has not": (
        {"models.py": models(order='owner = Column(ForeignKey("users.uid"))'), "main.py": MADE},
        ["service/main.py:3", "service/models.py:9", "service/models.py:6", "service/models.py:12"],
        "names a column",
    ),
    "a naming convention": (
        {
            "models.py": models(
                order='__table_args__ = (sa.CheckConstraint("id > 0"),)', more="\nimport sqlalchemy as sa"
            ).replace(
                "base()",
                "base(metadata=__import__('sqlalchemy').MetaData(naming_convention={'ck': '%(constraint_name)s'}))",
            ),
            "main.py": MADE,
        },
        ["service/models.py:10"],
        "naming convention",
    ),
    "no application context": ({"main.py": FLASK}, ["service/main.py:3"], "while no application is active"),
    "ALTER on SQLite": (
        {"main.py": ALTERED.format(operation='op.create_unique_constraint("one", "users", ["id"])')},
        ["service/main.py:7"],
        "SQLite cannot alter",
    ),
    "a constraint without a name": (
        {
            "main.py": ALTERED.format(
                operation='with op.batch_alter_table("users") as batch: batch.drop_constraint(None)'
            )
        },
        ["service/main.py:7"],
        "without a name",
    ),
    "the kit's own synchronous URL in asynchronous code": (
        {
            "main.py": "import os\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
            "engine = create_async_engine(os.environ['DATABASE_URL'])\n"
        },
        ["service/main.py:3"],
        "whose driver is synchronous",
    ),
    "a field that settings forbid": ({"main.py": SETTINGS}, ["service/main.py:6"], "forbids fields"),
    "a folder of SQLite's that is not there": (
        {
            "main.py": "from sqlalchemy import create_engine\nengine = create_engine('sqlite:///data/shop.db')\nengine.connect()\n"
        },
        ["service/main.py:3", "service/main.py:2"],
        "a relative path begins at",
    ),
    "a field of SQLModel without a column's type": (
        {"main.py": SQLMODEL},
        ["service/main.py:4", "service/main.py:7"],
        "knows no column",
    ),
    "a relationship of SQLModel whose annotation is a text": (
        {"main.py": "from __future__ import annotations\n" + PLANS},
        ["service/main.py:13", "service/main.py:7", "service/main.py:5", "service/main.py:8"],
        "is not read as one",
    ),
    "a table that nobody creates": (
        {
            "models.py": models(),
            "main.py": "from sqlalchemy import create_engine, select\nfrom service.models import User\n"
            "with create_engine('sqlite://').connect() as connection:\n    connection.execute(select(User))\n",
        },
        ["service/main.py:4", "service/models.py:6"],
        "before anything has created",
    ),
}


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(name, marks=() if name.startswith(("back", "a name", "the kit's")) else pytest.mark.slow)
        for name in KNOWN
    ],
)
def test_what_no_mechanism_explains_is_told_by_its_lines_and_what_its_error_usually_means(write_incident, shown):
    files, lines, means = KNOWN[shown]
    files = {"service/__init__.py": "", **{f"service/{name}": text for name, text in files.items()}}
    incident = load(write_incident(files, app={"python": python("2.0")}, expect={}))
    finding = find_mechanism(incident, look_at(incident))[0]
    assert (finding.mechanism, [str(place) for place in finding.sites]) == ("undecided", lines)
    assert any(f"at {lines[0]}" in sentence for sentence in finding.because)
    assert any(means in sentence for sentence in finding.because) and finding.advice


def test_a_metadata_that_a_program_has_a_factory_make_is_called_by_the_factorys_line(write_incident):
    made = "import sqlalchemy as sa\ndef make():\n    meta = sa.MetaData()\n    sa.Table('rooms', meta, sa.Column('id', sa.Integer))\n"
    steps = [{"command": "python -m timeit -n 1 -r 1 'from service.main import make; make()'"}]
    files = {"service/__init__.py": "", "service/main.py": made}
    trace = look_at(load(write_incident(files, startup=steps, app={"python": python("2.0")}, expect={}))).trace
    assert {it.metadata.label for it in trace.registrations} == {"service/main.py:3"}


@pytest.mark.parametrize(("kind", "runs"), [("NotImplementedError", False), ("IntegrityError", True)])
def test_what_no_row_makes_a_migration_raise_is_not_tried_with_rows(kind, runs, monkeypatch):
    monkeypatch.setattr(migration_runs, "empty_against_a_row", lambda *_: None)
    revision = Revision("b2", ("a1",), "versions/b2.py", 1)
    error = Error(f"sqlalchemy.exc.{kind}", "No", frames=(Frame("versions/b2.py", 7, "upgrade", "b2_py", True),))
    case = SimpleNamespace(revisions=(revision,), failures=(error,), trace=SimpleNamespace(steps=()))
    assert runs == (migration_fails_on_data(case, error) is not None)


def test_of_the_names_in_an_error_the_one_that_stands_in_the_fewest_places_is_told_first():
    text = models(
        user="\n".join(f'by{n} = relationship("User")' for n in range(5))
        + '\norders = relationship("Order", back_populates="owned_by")'
    )
    definitions = tuple(
        SimpleNamespace(
            class_=f"models.{name}", table=name.lower(), site=Frame("models.py", line, name, "models", True)
        )
        for name, line in (("User", 6), ("Order", 14))
    )
    case = SimpleNamespace(definitions=definitions, tree=lambda file: ast.parse(text))
    error = Error(
        "E",
        "Triggering mapper: 'Mapper[User(users)]'. Original exception was: Mapper 'Mapper[Order(orders)]' has no property 'owned_by'",
    )
    assert "models.py:13" in [str(place) for place in _named(case, error)]


SAID = {  # an error as its library says it, and words of what it usually means; none of what only sounds like it
    '(sqlite3.OperationalError) near "ALTER": syntax error\n[SQL: ALTER TABLE users ALTER COLUMN id TYPE VARCHAR]': "SQLite cannot alter",
    '(sqlite3.OperationalError) near "DROP": syntax error\n[SQL: select 1 from DROP table x]': None,
    "(sqlite3.OperationalError) table users already exists": "Something created it",
    '(psycopg2.errors.DuplicateObject) type "mood" already exists\n': "Something created it",
    '(psycopg2.errors.DuplicateTable) relation "users" already exists\n': "Something created it",
    "queue orders already exists": None,
    "(sqlite3.OperationalError) no such column: users.name": "older than the models",
    '(psycopg2.errors.UndefinedColumn) column "name" of relation "users" does not exist\n': "older than the models",
    "Column x does not exist; Unknown column x": None,
    "Path doesn't exist: nope.  Please use the 'init' command to create a new scripts folder.": "does not find",
    "Path doesn't exist: pictures": None,
    "Requested revision b1 overlaps with other requested revisions a1": "holds two revisions",
    "Cycle is detected in revisions (a1, b1)": "lead back",
    "1 validation error for S\nb\n  Extra inputs are not permitted [type=extra_forbidden, input_value=2, input_type=int]": "A pydantic model forbids",
    "No module named 'shop.models'; 'shop' is not a package": "is a file and not a package",
    "cannot import name 'Oder' from 'shop' (/srv/shop.py)": "does not have this name",
    "module 'shop' has no attribute 'Oder'": "does not have this name",
    "partially initialized module 'shop' has no attribute 'x' (most likely due to a circular import)": None,
    "cannot import name 'x' from partially initialized module 'shop' (most likely due to a circular import)": None,
    "asyncio.run() cannot be called from a running event loop": "runs already",
    "Event loop is closed": "another event loop",
    "A 'SQLAlchemy' instance has already been registered on this Flask app. Import and use that instance instead.": "is given to an application",
    "Bind key 'audit' is not in 'SQLALCHEMY_BINDS' config.": "names a bind key",
    "Column object 'created' already assigned to Table 'orders'": "used for two tables",
    "The seat 'A1' already assigned to Table 'orders'": None,
    "Can't determine polymorphic_on value 'kind' - no attribute is mapped to this name.": "does not have",
    "Class <class 'sqlalchemy.sql.elements.SQLCoreOperations'> directly inherits TypingOnly but has additional attributes {'__firstlineno__'}.": "older than this Python",
    "Columns with foreign keys to other columns must be declared as @declared_attr callables on declarative mixin classes. ": "makes no copy",
    "Python dataclasses error encountered when creating dataclass for 'Entry': TypeError(\"non-default argument 'size' follows default argument\").": "mixins and base",
    "non-default argument 'size' follows default argument": None,
    '(psycopg2.errors.UndefinedObject) type "mood" does not exist\nLINE 1: ALTER': "nothing has created",
    '(psycopg2.errors.UndefinedObject) type "citext" does not exist\nLINE 1: ALTER': "an extension",
    "(psycopg2.errors.UndefinedFunction) function uuid_generate_v4() does not exist\nLINE 1": "an extension",
    "the content type of the answer does not exist": None,
    "Could not locate a Flask application. Use the 'flask --app' option": "does not know the application",
    "invalid interpolation syntax in 'postgresql://shop:a%40b@db/shop' at position 19": "a per cent sign",
    "exit code 4: Failed to find attribute 'app' in 'shop.web'.": "has no application",
    "When initializing mapper Mapper[User(users)], expression 'Ordr' failed to locate a name ('Ordr').": "names a class",
    "name 'geoalchemy2' is not defined": "neither defines nor imports",
    ("sqlmodel/main.py", "<class 'dict'> has no matching SQLAlchemy type"): "knows no column",
    'When initializing mapper Mapper[Plan(plan)], expression "relationship("List[\'Meal\']")" seems to be using a generic class as the argument to relationship(); please': "is not read as one",
    "the greenlet library is required to use this function. No module named 'greenlet'": "needs the package greenlet",
    "(sqlite3.OperationalError) unable to open database file": "its file",
    "(sqlite3.OperationalError) database is locked": "is writing to this SQLite file",
    "the database is locked away": None,
    ("logging/config.py", "'formatters'"): "no section of this name",
    "'formatters'": None,
    ("sqlmodel/main.py", "issubclass() arg 1 must be a class"): "knows no column",
    "issubclass() arg 1 must be a class": None,
    "there are no 'formatters' here": None,
    "Could not interpret annotation Mapped[Nope].  Check that it uses names that are correctly imported": "when the class is mapped",
}


@pytest.mark.parametrize("shown", SAID)
def test_what_an_error_usually_means_is_told_of_that_error_and_of_none_that_sounds_like_it(shown):
    file, text = shown if isinstance(shown, tuple) else ("", shown)
    error = Error("E", text, (Frame(file, 1, "f", None, False),), links=((1, "E", text),))
    meaning = _meaning(error)
    assert meaning is None if SAID[shown] is None else meaning and SAID[shown] in meaning.happened


@pytest.mark.parametrize(
    ("judged", "kept"),
    [("no such page: 1", True), ("1", False), ("Triggering mapper: 'M'. Original exception was: 1", False)],
)
def test_what_the_mappers_raise_is_told_beside_a_step_that_failed_of_something_else(judged, kept, write_incident):
    trace = Trace.not_begun([("import", "shop")], "")
    failed = replace(trace.steps[0], ok=False, error="KeyError: 1", exception=Error("KeyError", "1"))
    judgement = Judgement("step 1", 1, Error("KeyError", judged), ())
    trace = replace(trace, steps=(failed,), judged=(judgement,), broke=None)
    because = _what_is_wrong(load(write_incident({"service/__init__.py": ""}, expect={})), trace)
    assert (f"configure_mappers(): KeyError: {judged}" in because) is kept


@pytest.mark.parametrize(
    ("text", "library", "named"),
    [
        ("(sqlite3.OperationalError) unable to open database file", "sqlalchemy/engine/base.py", ["app.py:1"]),
        ("unable to open database file", "app.py", []),
        ("Event loop is closed", "sqlalchemy/engine/base.py", ["app.py:1", "app.py:2"]),
        ("Event loop is closed", "httpx/_client.py", []),
    ],
)
def test_an_error_is_about_the_engines_that_can_have_raised_it(text, library, named):
    drivers = enumerate(("sqlite", "postgresql+asyncpg"), 1)
    engines = [EngineMade(name, True, (Frame("app.py", n, "f", "app", True),), 1, "", n) for n, name in drivers]
    error = Error("E", text, (Frame("app.py", 9, "f", "app", True), Frame(library, 1, "f", None, False)))
    case = SimpleNamespace(trace=SimpleNamespace(engines=engines))
    assert [str(place) for place in _engines(case, error)] == named


RELATIVE = {
    "service/__init__.py": "",
    "service/main.py": "import sqlalchemy\nfrom . import other\n",
    "service/other.py": "",
}


@pytest.mark.slow
def test_a_relative_import_of_a_script_is_told_by_its_line(write_incident):
    incident = load(write_incident(RELATIVE, startup=[{"command": "python service/main.py"}], expect={}))
    finding = find_mechanism(incident, look_at(incident))[0]
    assert (finding.mechanism, [str(place) for place in finding.sites]) == ("undecided", ["service/main.py:2"])
    assert "python -m package.module" in finding.advice


@pytest.mark.parametrize(
    ("version", "mechanism"), [("1.3.24", "computed-table-name-collision"), ("2.0.58", "half-defined-class")]
)
def test_a_class_whose_mapper_no_probe_could_see_is_not_said_to_have_none(version, mechanism):
    trace = judged("computed-table-name-collision")[1].trace
    first, second = (replace(it, made_mapper=False) for it in judged("computed-table-name-collision")[1].pair)
    known = {"registrations": (first, second), "provenance": {**trace.provenance, "sqlalchemy": version}}
    assert judge(Pair(replace(trace, **known), first, second)).mechanism == mechanism


OLD = "from sqlalchemy.orm.query import _ColumnEntity\n"
PATHS = "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'site-packages'))\n"


@pytest.mark.parametrize(
    ("files", "mechanism"),
    [
        (
            {"site-packages/old_tools.py": OLD, "main.py": PATHS + "import old_tools\n"},
            "api-removed-in-installed-version",
        ),
        (
            {
                "site-packages/old_tools.py": "import sqlalchemy\nsqlalchemy.__all__\n",
                "main.py": PATHS + "import old_tools\n",
            },
            "api-removed-in-installed-version",
        ),
        # What may be a slip of the application's own, a name that it hands to a library among them:
        ({"main.py": f"import sqlalchemy\n\n{OLD}"}, "undecided"),
        ({"main.py": "import importlib, sqlalchemy\n\nimportlib.import_module('sqlalchemy.ormm')\n"}, "undecided"),
        (
            {
                "main.py": "import sqlalchemy\nfrom werkzeug.utils import import_string\nimport_string('sqlalchemy.ormm')\n"
            },
            "undecided",
        ),
        # A library that is required by another name than its module's:
        (
            {"main.py": "import sqlalchemy\n\nfrom dotenv import slip\n", "requirements.txt": "python-dotenv\n"},
            "undecided",
        ),
    ],
)
def test_what_one_library_asks_of_another_that_has_it_not_is_a_matter_of_their_versions(
    write_incident, monkeypatch, files, mechanism
):
    there = installed(python("2.0"))
    more = {"versions": (*there.versions, ("py-tools", "1.0")), "tops": (*there.tops, ("old_tools", "py-tools"))}
    monkeypatch.setattr(removed_apis, "installed", lambda python: replace(there, **more))
    files = {"service/__init__.py": "", **{f"service/{name}": text for name, text in files.items()}}
    incident = load(write_incident(files, app={"python": python("2.0")}, expect={}))
    finding = decide_mechanism(incident, look_at(incident)).finding
    assert (finding.mechanism, str(finding.sites[0]) if finding.sites else "service/main.py:3") == (
        mechanism,
        "service/main.py:3",
    )
    for told in (r"old_tools\.py:\d, to which service/main\.py:3 leads,", "^py-tools: no file of requirements names"):
        assert any(re.search(told, sentence) for sentence in finding.because) == (mechanism != "undecided"), (
            finding.because
        )
    required = "python-dotenv .* is installed, required by service/requirements.txt:1"
    assert any(re.search(required, it) for it in finding.because) == ("service/requirements.txt" in files), (
        finding.because
    )


# What executed a statement twice the trace has already, and of a doubled table the smallest reproduction is a run.
BY_THE_TRACE = {"none", "undecided", *(slug for slug, _ in (*BY_DEFINITION, *ONE_DEFINITION, *TWO_DEFINITIONS))}
NO_OTHER_LINE = "api-removed-in-installed-version"  # is decided by an environment that a miniature has not


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, it in EXPECTED.items()
        if it["mechanism"] not in ("none", "undecided", NO_OTHER_LINE)
        and ("sites" in it or it["mechanism"] not in BY_THE_TRACE)
    ],
)
def test_what_decides_a_mechanism_is_run_and_confirms_it(name):
    line = EXPECTED[name]["sqlalchemy"][0]
    outcome = judged(name, line)[1].experiment
    assert outcome is not None and outcome.outcome == "confirmed", outcome


def test_what_decides_is_said_where_nothing_at_hand_can_run_it():
    because = judged(NO_OTHER_LINE)[1].finding.because
    assert any(
        "undecided by a run: " in sentence and "pip install 'sqlalchemy<2.0'" in sentence for sentence in because
    )


HANDED = Migrations(None, models={"orders": ["id"]}, database={"orders": ["id"], "visits": ["id"]})
SEEN = {
    "a table that env.py hands over then": (HANDED, True, "Alembic then sees orders, and autogenerate does not drop it"),
    "one that no migration creates": (
        replace(HANDED, differing=("orders", "visits"), differences=("no migration creates table orders", "no table visits")),
        True,
        "Alembic then sees orders, and autogenerate does not drop it; no migration creates table orders; autogenerate still wants to drop visits",
    ),
    "one that it still does not see": (replace(HANDED, models={}), False, "Alembic still does not see orders"),
    "an env.py that fails": (Migrations("ImportError: orders"), None, "ImportError: orders"),
    "two of one name": (
        Migrations('ValueError: Duplicate table keys across multiple MetaData objects: "orders"'),
        True,
        'Alembic then sees two tables of one name: ValueError: Duplicate table keys across multiple MetaData objects: "orders"',
    ),
    "two of another name": (
        Migrations('Duplicate table keys across multiple MetaData objects: "rooms"'),
        None,
        'Duplicate table keys across multiple MetaData objects: "rooms"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("shown", SEEN)
def test_whether_a_table_is_unseen_is_decided_by_what_alembic_compares_then(shown):
    seen, holds, says = SEEN[shown]
    assert _sees(["orders"])(seen) == (holds, says)


def test_a_module_that_env_does_not_import_is_decided_by_a_comparison_also_where_no_step_asks_alembic():
    incident, kept = judged("model-module-not-imported-by-env")
    trace = replace(
        kept.trace, steps=tuple(replace(step, ok=True, error=None, exception=None) for step in kept.trace.steps)
    )
    incident = incident.model_copy(update={"expect": incident.expect.model_copy(update={"error": None})})
    finding, _, fault = find_mechanism(incident, replace(kept.looked, trace=trace))
    assert finding.mechanism == "model-module-not-imported-by-env" and fault.error is None
    assert fault.experiment.compares and fault.experiment.says == kept.experiment.says


@pytest.mark.slow
def test_a_task_that_no_worker_imported_is_decided_by_its_module_imported_there(write_incident):
    files = {
        "service/__init__.py": "",
        "service/jobs.py": "from celery import Celery\napp = Celery('service')\n",
        "service/work.py": "from service.jobs import app\n@app.task\ndef count(): ...\n",
        "service/main.py": "import sqlalchemy\nfrom service.jobs import app\napp.tasks['service.work.count']\n",
    }
    diagnosis = diagnose(load(write_incident(files, app={"python": python("2.0")}, expect={})))
    assert diagnosis.finding.mechanism == "class-not-imported"
    assert [str(place) for place in diagnosis.sites] == ["service/work.py:3"]
    assert (diagnosis.experiment.outcome, diagnosis.experiment.says) == ("confirmed", "the worker imports service.work")


JOINS = {  # the classes' own lines, and by which keys the mappers configure
    "an association table without any": (
        KEY + '\norders = relationship("Order", secondary=Table("both", Base.metadata, Column("user", Integer), Column("order", Integer)))',
        "pass",
        2,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("shown", JOINS)
def test_a_join_that_is_not_one_is_decided_by_the_keys_that_there_should_be(write_incident, shown):
    user, order, count = JOINS[shown]
    files = {
        "service/__init__.py": "",
        "service/models.py": models(user=user, order=order, more="\nfrom sqlalchemy import Table"),
    }
    files["service/main.py"] = "from service.models import User\nUser()\n"
    outcome = diagnose(load(write_incident(files, expect={}))).experiment
    assert outcome.outcome == "confirmed" and outcome.seen.count("a foreign key from ") == count, outcome


def test_a_module_that_nothing_imported_is_named_from_the_folder_that_the_others_are_imported_from():
    """Where ``alembic.ini`` puts its own folder on the path, the incident file need not."""
    incident, kept = judged("model-module-not-imported-by-env")
    imports = tuple(
        replace(it, file=f"server/{it.file}") if it.application and it.file else it for it in kept.trace.imports
    )
    case = Case.of(incident, replace(kept.looked, trace=replace(kept.trace, imports=imports)))
    assert case.module_of("server/orchard/pears.py") == "orchard.pears"
    assert Case.of(incident, kept.looked).module_of("orchard/pears.py") == "orchard.pears"


BLUEPRINTS = """
from flask import Blueprint, Flask
names = {{"readers": "admin"}}
readers = Blueprint("admin", __name__)
editors = Blueprint({name}, __name__)
app = Flask(__name__)
app.register_blueprint(readers)
app.register_blueprint(editors)
"""
VIEWS = """
from flask import Blueprint, Flask
def open_to_all(view):
    return view
pages = Blueprint("pages", __name__)
@open_to_all
@pages.route("/a", endpoint="{name}")
def first(): ...
@open_to_all
@pages.route("/b", endpoint="{name}")
def second(): ...
app = Flask(__name__)
app.register_blueprint(pages)
"""
METRICS = """
import sqlalchemy
from prometheus_client import Counter
served = Counter("shop_served", "requests")
again = Counter("served", "requests", {more})
"""
TICKETS = "from django.apps import AppConfig\nclass App(AppConfig):\n    name = {name!r}\n    label = 'tickets'\n"
LABELS = """
import django
import sqlalchemy
from django.conf import settings
settings.configure(INSTALLED_APPS=[f"{place}.tickets" for place in ("museum", "partners")])
django.setup()
"""
JOINED = """
class Pilot(User):
    __tablename__ = "pilots"
    id = Column(Integer, primary_key=True)
"""
MAPPED = """
from sqlalchemy import Column, Integer, Table
from sqlalchemy.orm import configure_mappers, registry, relationship
kept = registry()
users = Table("users", kept.metadata, Column("id", Integer, primary_key=True))
orders = Table("orders", kept.metadata, Column("id", Integer, primary_key=True), Column("user_id", Integer))
class User: ...
class Order: ...
kept.map_imperatively(Order, orders)
kept.map_imperatively(User, users, properties={"orders": relationship(Order)})
configure_mappers()
"""
REVISED = {
    "../alembic.ini": "[alembic]\nscript_location = moves\n",
    "../moves/env.py": "from alembic import context\nfrom sqlalchemy import create_engine\n"
    "with create_engine(__import__('os').environ['DATABASE_URL']).connect() as connection:\n"
    "    context.configure(connection=connection)\n    with context.begin_transaction():\n        context.run_migrations()\n",
}
REVISION = (
    "import sqlalchemy as sa\nfrom alembic import op\nrevision = 'r1'\ndown_revision = None\ndef upgrade():\n    {}\n"
)
BOATS = 'op.create_table("boats", sa.Column("id", sa.Integer), sa.Column("name", sa.Text{more}))'
INDEX = 'op.create_index("ix_boats_name", "boats", ["name"])'
COLUMN = 'op.add_column("boats", sa.Column("name", sa.Text))'


def revised(*operations: str) -> dict[str, str]:
    return {**REVISED, "../moves/versions/r1.py": REVISION.format("\n    ".join(operations))}


DECIDED = {  # files, the mechanism, its lines, and what the run that decides it says that it sets otherwise
    "a blueprint's name that its line computes": (
        {"main.py": BLUEPRINTS.format(name='names["readers"]')},
        "name-taken-in-registry",
        ["main.py:7", "main.py:8", "main.py:4", "main.py:5"],
        "admin_of_its_own in place of admin at service/main.py:5",
    ),
    "a metric's name that its line computes of two parts": (
        {"main.py": METRICS.format(more='namespace="shop"')},
        "name-taken-in-registry",
        ["main.py:4", "main.py:5"],
        "shop_served_of_its_own in place of shop_served at service/main.py:5",
    ),
    "a metric's name that its line computes of options": (
        {
            "main.py": METRICS.format(more='namespace="shop"').replace(
                "again = ", "options = {'name': 'shop_served', 'documentation': ''}\nagain = Counter(**options)\n"
            )
        },
        "name-taken-in-registry",
        ["main.py:4", "main.py:6"],
        "shop_served_of_its_own in place of shop_served at service/main.py:6",
    ),
    "a metric that a function makes each time that it is called": (
        {
            "main.py": "import sqlalchemy\nfrom prometheus_client import Counter\ndef count():\n    return Counter('served', '')\ncount()\ncount()\n"
        },
        "defined-inside-function-called-twice",
        ["main.py:4", "main.py:4"],
        "the call at service/main.py:4 made once in a process",
    ),
    "a class of another registry": (
        {
            "main.py": models(
                user=KEY + '\norders = relationship("Order", primaryjoin="User.id == foreign(Order.owner)")'
            )
            .replace("class Order(Base)", "Other = declarative_base()\nclass Order(Other)")
            .replace('Column(ForeignKey("users.id"))', "Column(Integer)")
            + "User()\n"
        },
        "name-on-another-metadata",
        ["main.py:9", "main.py:11", "main.py:2", "main.py:10"],
        "Order itself known where 'User.id == foreign(Order.owner)' at service/main.py:9 is looked up",
    ),
    "a foreign key's table on another metadata": (
        {
            "main.py": models().replace("class Order(Base)", "Other = declarative_base()\nclass Order(Other)")
            + "Other.metadata.sorted_tables\n"
        },
        "name-on-another-metadata",
        ["main.py:13", "main.py:6", "main.py:9", "main.py:2"],
        "users itself known where 'users.id' at service/main.py:13 is looked up",
    ),
    "a foreign key's table that a library has": (
        {
            "site-packages/beats.py": 'import sqlalchemy as sa\nclocks = sa.MetaData()\nclock = sa.Table("clocks", clocks, sa.Column("id", sa.Integer), schema="beat")\n',
            "main.py": "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'site-packages'))\nimport beats\n"
            + models(order='clock = Column(ForeignKey("clocks.id"))')
            + "Base.metadata.sorted_tables\n",
        },
        "name-on-another-metadata",
        ["main.py:15", "site-packages/beats.py:3", "main.py:5", "site-packages/beats.py:2"],
        "clocks itself known where 'clocks.id' at service/main.py:15 is looked up",
    ),
    "an endpoint of two views of one blueprint": (
        {"main.py": VIEWS.format(name="shown")},
        "name-taken-in-registry",
        ["main.py:13", "main.py:13", "main.py:6", "main.py:9"],
        "shown_of_its_own in place of shown at service/main.py:10",
    ),
    "labels of a list that is computed": (
        {
            "main.py": LABELS,
            **{
                f"../{place}/tickets/__init__.py": TICKETS.format(name=f"{place}.tickets")
                for place in ("museum", "partners")
            },
        },
        "name-taken-in-registry",
        ["main.py:6"],
        "without partners.tickets in the INSTALLED_APPS that come to service/main.py:6",
    ),
    "several foreign keys": (
        {
            "main.py": models(
                user=KEY + '\norders = relationship("Order")', order=OWNER + "\nbuyer = Column(ForeignKey(User.id))"
            )
            + "User()\n"
        },
        "no-join-condition",
        ["main.py:9", "main.py:6", "main.py:10", "main.py:13", "main.py:14"],
        "a foreign key between the two tables, as soon as they are there",
    ),
    "a package in front of the module that is meant": (
        {"../shop.py": "app = 1\n", "../shop/__init__.py": "", "main.py": "import sqlalchemy\nfrom shop import app"},
        "module-and-package-side-by-side",
        ["../shop/__init__.py:1", "../shop.py:1"],
        "the package shop with what shop.py holds",
    ),
    "a joined inheritance": (
        {"main.py": models() + JOINED},
        "no-join-condition",
        ["main.py:14", "main.py:6", "main.py:14"],
        "a foreign key between the two tables, as soon as they are there",
    ),
    "a join that a query writes": (
        {"main.py": models(order="user_id = Column(Integer)") + "User.__table__.join(Order.__table__)\n"},
        "no-join-condition",
        ["main.py:13", "main.py:6", "main.py:9"],
        "a foreign key between the two tables, as soon as they are there",
    ),
    "a join of classes that are mapped by hand": (
        {"main.py": MAPPED},
        "no-join-condition",
        ["main.py:11", "main.py:5", "main.py:6"],
        "a foreign key between the two tables, as soon as they are there",
    ),
    "a table that one revision creates twice": (
        revised(BOATS.format(more=""), BOATS.format(more="")),
        "created-by-two-revisions",
        ["../moves/versions/r1.py:6", "../moves/versions/r1.py:7"],
        "revision r1 without what creates boats at moves/versions/r1.py:6",
    ),
    "a column that one revision creates three times": (
        revised(BOATS.format(more=""), COLUMN, COLUMN),
        "created-by-two-revisions",
        ["../moves/versions/r1.py:6", "../moves/versions/r1.py:7"],
        "revision r1 without what creates name at moves/versions/r1.py:6 and moves/versions/r1.py:8",
    ),
    "an index that its column asks for, and a statement": (
        revised(BOATS.format(more=", index=True"), INDEX),
        "created-by-two-revisions",
        ["../moves/versions/r1.py:6", "../moves/versions/r1.py:7"],
        "revision r1 without what creates ix_boats_name at moves/versions/r1.py:6",
    ),
    "a column of two revisions, where only the application itself can upgrade": (
        {
            "main.py": "from alembic import command, config\nmigrations = config.Config()\n"
            "migrations.set_main_option('script_location', 'moves')\ncommand.upgrade(migrations, 'head')\n",
            "../moves/env.py": REVISED["../moves/env.py"],
            "../moves/versions/r1.py": REVISION.format(BOATS.format(more="")),
            "../moves/versions/r2.py": REVISION.format(COLUMN).replace("None", "'r1'").replace("'r1'", "'r2'", 1),
        },
        "created-by-two-revisions",
        ["../moves/versions/r1.py:6", "../moves/versions/r2.py:6"],
        "revision r2 without what creates name at moves/versions/r2.py:6",
    ),
    "a column of a table that create_all makes whole": (
        {
            **revised(COLUMN),
            "main.py": "import os\nfrom sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine\nkept = MetaData()\n"
            "Table('boats', kept, Column('id', Integer, primary_key=True), Column('name', Text))\n"
            "kept.create_all(create_engine(os.environ['DATABASE_URL']))\n",
        },
        "created-outside-migrations",
        ["main.py:5", "../moves/versions/r1.py:6"],
        "without the statement at service/main.py:5 the migrations create it alone",
    ),
}


def test_a_module_beside_a_package_is_not_accused_where_no_run_shows_that_it_has_the_name(write_incident):
    """What it holds cannot be put into the package, and it has no such name."""
    files = {
        "shop.py": "from __future__ import annotations\n",
        "shop/__init__.py": "kept = 1\n",
        "service/__init__.py": "",
        "service/main.py": "import sqlalchemy\nfrom shop import app\n",
    }
    incident = load(write_incident(files, expect={"error": "cannot import name 'app'"}))
    assert diagnose(incident).finding.mechanism == "undecided"


FIRST_OF_ITS_KIND = (
    "a column of two revisions, where only the application itself can upgrade",
    "a column of a table that create_all makes whole",
    "a joined inheritance",
    "a table that one revision creates twice",
    "an endpoint of two views of one blueprint",
)


@pytest.mark.parametrize(
    "shown", [pytest.param(name, marks=() if name in FIRST_OF_ITS_KIND else pytest.mark.slow) for name in DECIDED]
)
def test_a_mechanism_that_no_text_shows_is_decided_by_a_run_all_the_same(write_incident, shown):
    files, mechanism, lines, says = DECIDED[shown]
    kinds = {"main.py": {"import": "service.main"}, "../alembic.ini": {"command": "alembic upgrade head"}}
    steps = [step for file, step in kinds.items() if file in files]
    files = {"service/__init__.py": "", **{normpath(f"service/{name}"): text for name, text in files.items()}}
    incident = load(write_incident(files, app={"python": python("2.0")}, startup=steps, expect={}))
    decision = decide_mechanism(incident, looked := look_at(incident))
    assert decision.finding.mechanism == mechanism, decision
    assert [str(place) for place in decision.fault.places] == [normpath(f"service/{line}") for line in lines]
    assert (decision.experiment.outcome, decision.experiment.says) == ("confirmed", says), decision.experiment
    without = decision.fault.experiment.judge(looked.trace)[
        0
    ]  # a run in which nothing was set otherwise confirms nothing
    assert without is (
        None if "computes" in shown or mechanism in ("no-join-condition", "name-on-another-metadata") else False
    )


NOT_RUN = {  # a revision's operations, and what the error says of the rows that no run could ask about
    "an error that rows alone raise": ([BOATS.format(more=", nullable=False"), 'op.execute("insert into boats (id) values (1)")'], "migration-fails-on-data"),
    "any other error": (['op.add_column("ships", sa.Column("name", sa.Text))'], "undecided"),
}  # fmt: skip


@pytest.mark.parametrize("shown", NOT_RUN)
def test_rows_are_blamed_without_a_run_only_for_what_rows_alone_raise(write_incident, shown):
    operations, mechanism = NOT_RUN[shown]
    files = {normpath(f"service/{name}"): text for name, text in revised(*operations).items()}
    startup = [{"command": "alembic upgrade head"}]
    incident = load(write_incident(files, app={"python": python("2.0")}, startup=startup, expect={}))
    decision = decided(incident, look_at(incident), lambda run: Outcome(run.says, "undecided", "it could not be run"))
    assert decision.finding.mechanism == mechanism, decision
    assert mechanism != "undecided" or "could not be run" in decision.finding.against["migration-fails-on-data"]


WRAPPED = {
    "service/__init__.py": "",
    "service/storage.py": "import sqlalchemy\ndef connect(url):\n    return sqlalchemy.create_engine(url)\n",
    "service/main.py": """
        from service import storage
        class ConfigurationError(Exception): ...
        def load(url):
            try:
                return storage.connect(url)
            except Exception as error:
                raise ConfigurationError("the backend could not be loaded")
        load("postgres://localhost/shop")
    """,
    "start.py": "import sys\nsys.path.insert(0, '.')\nimport service.main\n",
}
FROM = WRAPPED["service/main.py"].replace('loaded")', 'loaded") from error')
RAISED = {  # how the application wraps an error, how it is started, and how the terminal says what it came of
    "from it": (FROM, {"import": "service.main"}, "it came of "),
    "while handling it": (WRAPPED["service/main.py"], {"import": "service.main"}, "it was raised while handling "),
    "in a process that only prints": (FROM, {"command": "python -I start.py"}, "it came of "),
}


@pytest.mark.parametrize("shown", RAISED)
def test_an_error_that_the_application_wraps_is_told_by_what_it_came_of_at_its_own_line(kit, write_incident, shown):
    main, step, says = RAISED[shown]
    expect = {"error": "the backend could not be loaded"}
    incident = write_incident({**WRAPPED, "service/main.py": main}, startup=[step], expect=expect)
    diagnosis = kit("diagnose", incident, "--json").json
    assert diagnosis["mechanism"] == "unknown-url-scheme"
    assert [(site["file"], site["line"]) for site in diagnosis["sites"]][:1] == [("service/storage.py", 3)]
    (cause,) = diagnosis["steps"][0]["causes"]
    assert [(place["file"], place["line"]) for place in cause["chain"]][-2:] == [
        ("service/main.py", 6),
        ("service/storage.py", 3),
    ]
    told = f"{says}sqlalchemy.exc.NoSuchModuleError: Can't load plugin: sqlalchemy.dialects:postgres, raised at "
    assert told in kit("reproduce", incident).out


def test_what_was_only_handled_when_another_error_arose_by_itself_is_asked_after_that(write_incident):
    main = "import sqlalchemy\ntry:\n    sqlalchemy.create_engine('postgres://x')\nexcept Exception:\n    sqlalchemy.create_engine('pgsql://x')\n"
    files = {"service/__init__.py": "", "service/main.py": main}
    assert mechanism_of(write_incident(files, expect={})) == ("unknown-url-scheme", ["service/main.py:5"])


def test_an_undecided_error_is_told_by_the_line_of_what_it_came_of(write_incident):
    main = FROM.replace("storage.connect(url)", "int(url)")
    incident = load(write_incident({**WRAPPED, "service/main.py": main}, expect={}))
    finding = find_mechanism(incident, looked := look_at(incident))[0]
    assert (finding.mechanism, [str(place) for place in finding.sites]) == (
        "undecided",
        ["service/main.py:6", "service/main.py:8"],
    )
    page = errors(looked.trace).html
    assert "service/main.py:6" in page.partition("It came of ValueError: ")[2]
    assert any(
        it.startswith("it came of ValueError: ") and it.endswith("raised at service/main.py:6")
        for it in finding.because
    )
