"""From a stranger's folder and log to an incident: ``python -m kit new`` tries startups, and what it writes reproduces."""

import ast
import base64
import json
import re
import shlex
import shutil
import subprocess
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from environments import applications_environment

from kit.incident import load
from kit.incident.deployments import composes, words_of
from kit.incident.environment import (
    chosen_kinds,
    database_variables,
    named,
    parts_of,
    stand_in,
    stand_ins,
    variables_of,
)
from kit.incident.interpreters import Interpreter
from kit.incident.project import Project
from kit.incident.scripts import lines_of
from kit.incident.starts import commands_of
from kit.new.candidates import Start, candidates_of, step_of
from kit.new.draft import not_found, title_of
from kit.new.next_setups import _places, completed, lessons
from kit.new.trial import Search, Setup, Trial, best_of, checks_of, with_what_is_known
from kit.triage.evidence import Evidence, common, evidence_of, of_the_surroundings, stable
from kit.triage.frames import Placed
from kit.triage.logs import read_log
from kit.triage.programs import Program, subcommand_of

SMALL = (
    "flask==3.1.3",
    "flask-migrate==4.1.0",
    "celery==5.7.0",
    "sqlmodel==0.0.50",
    "uvicorn==0.54.0",
    "fastapi==0.165.0",
    "aiosqlite==0.22.1",
    "greenlet==3.5.6",
    "pydantic-settings==2.16.3",
)

DB = """
    import os
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass

    engine = create_engine(os.environ["STORE_DATABASE_URL"])
"""
MODEL = """
    from sqlalchemy import Column, Integer
    from {package}.db import Base

    class {name}(Base):
        __tablename__ = "parcels"
        id = Column(Integer, primary_key=True)
"""
MAIN = """
    import logging
    from {package} import parcels, legacy
    from fastapi import FastAPI  # which takes longer to import than all before it

    app = FastAPI()

    @app.get("/healthz")
    def health():
        return {{}}
"""
ENV_PY = """
    from alembic import context
    from {package}.db import engine, Base
    import {package}.parcels

    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = """
    import sqlalchemy as sa
    from alembic import op
    revision, down_revision = "a1", None

    def upgrade():
        op.create_table("parcels", sa.Column("id", sa.Integer, primary_key=True))
"""


def store(package="store", folder="", main=MAIN) -> dict[str, str]:
    """A service whose ``main`` imports two definitions of the table ``parcels``."""
    below = folder + package.replace(".", "/")
    return {
        f"{below}/__init__.py": "",
        f"{below}/db.py": DB,
        f"{below}/parcels.py": MODEL.format(package=package, name="Parcel"),
        f"{below}/legacy.py": MODEL.format(package=package, name="OldParcel"),
        f"{below}/main.py": main.format(package=package),
    }


def migrations(folder="alembic", package="store") -> dict[str, str]:
    return {
        f"{folder}/env.py": ENV_PY.format(package=package),
        f"{folder}/versions/a1.py": REVISION,
        f"{folder}/script.py.mako": "",
    }


FLASK = {
    "shop/__init__.py": """
        from flask import Flask
        from shop.models import db
        from flask_migrate import Migrate

        def create_app(settings=None):
            app = Flask(__name__)
            app.config.from_prefixed_env()
            db.init_app(app)
            Migrate(app, db)
            from shop import models, legacy
            return app
    """,
    "shop/models.py": """
        from flask_sqlalchemy import SQLAlchemy
        db = SQLAlchemy()

        class Parcel(db.Model):
            __tablename__ = "parcels"
            id = db.Column(db.Integer, primary_key=True)
    """,
    "shop/legacy.py": """
        from shop.models import db

        class OldParcel(db.Model):
            __tablename__ = "parcels"
            id = db.Column(db.Integer, primary_key=True)
    """,
    "migrations/alembic.ini": "# A generic, single database configuration.\n[alembic]\n[loggers]\nkeys = root\n",
    "migrations/env.py": "from flask import current_app\n",
    "migrations/versions/a1.py": REVISION,
}

# As above, but the settings' class reads a variable whose name says nothing, and blueprints are found by their names.
FLASK_SETTINGS = {
    **FLASK,
    "shop/__init__.py": """
        from importlib import import_module
        from flask import Flask
        from flask_migrate import Migrate
        from shop.models import db

        def create_app():
            app = Flask(__name__)
            app.config.from_object("shop.settings.Settings")
            db.init_app(app)
            Migrate(app, db)
            for name in ["parcels", "state"]:
                app.register_blueprint(import_module(f"shop.views.{name}").views)
            from shop import models, legacy
            return app
    """,
    "shop/settings.py": """
        import os

        class Settings:
            SECRET_KEY = os.environ["SHOP_KEY"]
            SQLALCHEMY_DATABASE_URI = os.environ["SHOP_PARCELS"]
    """,
    "shop/views/__init__.py": "",
    "shop/views/parcels.py": """
        from flask import Blueprint
        views = Blueprint("parcels", __name__, url_prefix="/parcels")

        @views.get("/")
        def all():
            return []
    """,
    "shop/views/state.py": """
        from flask import Blueprint
        views = Blueprint("state", __name__, url_prefix="/api/v1")

        @views.route("/healthz")
        def healthz():
            return {}
    """,
}

COMPOSE = """
    services:
      db:
        image: postgres:17
      worker:
        build: ./api
        command: celery -A store.jobs worker
      api:
        build: ./api
        command: sh -c "alembic upgrade head && uvicorn store.main:app --host=0.0.0.0 --port=80 --reload"
        ports: ["80:80"]
"""

# Files, and what the written file must hold: its startup, and other keys of it.
LAYOUTS = {
    "procfile": (
        {
            **store(),
            **migrations(),
            "alembic.ini": "[alembic]\nscript_location = alembic\nprepend_sys_path = .\n",
            "Procfile": "release: alembic upgrade head\nweb: uvicorn store.main:app --host 0.0.0.0 --port $PORT\nworker: celery -A x worker\n",
        },
        ["command: alembic upgrade head", "serve: uvicorn store.main:app --port {port}"],
        {"checks": ["migrations: alembic.ini", "mappers", "clean_start"]},
    ),
    "src layout, Dockerfile in exec form": (
        {
            **store(folder="src/"),
            "Dockerfile": """
                FROM python:3.12 AS base
                WORKDIR /srv
                ENV PYTHONPATH=/srv/src
                COPY . /srv
                CMD ["uvicorn", "store.main:app", "--host", "0.0.0.0", "--port", "80", "--reload"]
            """,
        },
        ["serve: uvicorn store.main:app --port {port}"],
        {"path": ["src"]},
    ),
    "Dockerfile with an entry script, run as it is": (
        {
            **store(),
            "docker/entrypoint.sh": '#!/bin/sh\nset -e\necho starting\nexec "$@"\n',
            "Dockerfile": 'FROM python:3.12\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["/app/docker/entrypoint.sh"]\nCMD python -m uvicorn store.main:app --port ${PORT:-80}\n',
        },
        ["serve: sh docker/entrypoint.sh python -m uvicorn store.main:app --port {port}"],
        {},
    ),
    "docker compose, its own folder": (
        {**store(folder="api/"), "api/Dockerfile": "FROM python:3.12\nWORKDIR /code\nCOPY . /code\n", "docker-compose.yml": COMPOSE.replace("alembic upgrade head && ", "")},
        ["serve: uvicorn store.main:app --port {port}"],
        {"workdir": "api"},
    ),
    "docker compose, a folder copied below the image's working folder": (
        {
            **store(folder="api/"),
            "api/Dockerfile": "FROM python:3.12\nWORKDIR /srv/api/\nCOPY ./api/start /srv/api/start\nCOPY ./api/store /srv/api/store\n",
            "api/start/web": "",
            "docker-compose.yml": COMPOSE.replace("alembic upgrade head && ", "").replace("build: ./api", "build: {context: ., dockerfile: api/Dockerfile}"),
        },
        ["serve: uvicorn store.main:app --port {port}"],
        {"workdir": "api"},
    ),
    "Flask with a factory": (
        FLASK,
        ["serve: flask --app shop:create_app run --port {port}"],
        {"database_env": "FLASK_SQLALCHEMY_DATABASE_URI"},
    ),
    "Flask with a settings class and blueprints": (
        FLASK_SETTINGS,
        ["serve: flask --app shop:create_app run --port {port}"],
        {"database_env": "SHOP_PARCELS"},
    ),
    "Celery": (
        {
            **store(main="import store.parcels\n"),
            "store/jobs.py": "from celery import Celery\nfrom store import parcels, legacy\napp = Celery('store')\n",
            "Procfile": "worker: celery -A store.jobs worker -l info\n",
        },
        ["command: celery -A store.jobs worker -l info --pool solo"],
        {},
    ),
    "a script whose port a variable has": (
        {
            **store(),
            "serve.py": """
                import os, uvicorn
                from store.main import app

                uvicorn.run(app, port=int(os.environ.get("SERVE_PORT", "80")))
            """,
            "Makefile": "run:\n\t@python serve.py\n",
        },
        ["serve: SERVE_PORT={port} python serve.py"],
        {},
    ),
    "an asynchronous engine": (
        {
            **store(),
            "store/db.py": DB.replace("sqlalchemy import create_", "sqlalchemy.ext.asyncio import create_async_").replace(
                "engine = create_", "engine = create_async_"
            ),
        },
        ["serve: uvicorn store.main:app --port {port}"],
        {"database_driver": "aiosqlite"},
    ),
    "settings that pydantic reads": (
        {
            **store(),
            "store/db.py": """
                from pydantic_settings import BaseSettings, SettingsConfigDict
                from sqlalchemy.orm import DeclarativeBase

                class Settings(BaseSettings):
                    model_config = SettingsConfigDict(env_prefix="STORE_")
                    db_url: str
                    secret_key: str
                    workers: int
                    region: str
                    level: int
                    debug: bool = False

                settings = Settings()

                class Base(DeclarativeBase):
                    pass
            """,
            ".env.example": "STORE_REGION=north\nSTORE_SECRET_KEY=hunter2hunter2\n",
            "Dockerfile": 'FROM python:3.12\nWORKDIR /app\nARG LEVEL="7"\nENV STORE_LEVEL="${LEVEL}"\nCOPY . .\nCMD ["uvicorn", "store.main:app"]\n',
        },
        ["serve: uvicorn store.main:app --port {port}"],
        {"database_env": "STORE_DB_URL", "env": {"STORE_REGION": "north", "STORE_WORKERS": "1", "STORE_LEVEL": "7"}},
    ),
}  # fmt: skip


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return root


def state(root: Path) -> dict:
    return {str(one): (one.lstat().st_mtime_ns, one.lstat().st_size) for one in sorted(root.rglob("*"))}


@pytest.fixture(scope="session")
def small() -> str:
    return applications_environment()


def says(incident, startup: list[str], more: dict) -> bool:
    """Is that the startup of an incident, with the other keys that are named?"""
    assert [str(step) for step in incident.startup] == startup
    assert incident.app.workdir == more.get("workdir", ".") and incident.app.path == more.get("path", [])
    assert [str(one) for one in incident.checks] == more.get("checks", ["mappers", "clean_start"])
    assert incident.database_env == more.get("database_env", "STORE_DATABASE_URL")
    return True


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_a_deployment_says_is_read(name, kit, tmp_path, small):
    files, startup, more = LAYOUTS[name]
    root = written(tmp_path / "store-app", files)
    assert kit("new", tmp_path / "x", "--app", root, "--python", small, "--read-only").code == 3
    assert says(load(tmp_path / "x"), startup, more)


# Of those that are tried by make test another is like each of these; they are read there, and make test-all tries them.
LIKE_OTHERS = {
    "src layout, Dockerfile in exec form",
    "Dockerfile with an entry script, run as it is",
    "docker compose, a folder copied below the image's working folder",
    "Flask with a factory",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LIKE_OTHERS else []) for name in LAYOUTS]
)
def test_what_a_deployment_says_is_tried_until_something_fails(name, kit, tmp_path, small):
    files, startup, more = LAYOUTS[name]
    root = written(tmp_path / "store-app", files)
    (root / ".venv").symlink_to(Path(small).parents[1])  # as the application's own environment
    before = state(root)
    said = kit("new", tmp_path / "incidents" / "x", "--app", root)
    assert said.code == 0, said.out + said.err
    assert state(root) == before
    incident = load(tmp_path / "incidents" / "x")
    assert says(incident, startup, more)
    assert incident.app.python.endswith("store-app/.venv/bin/python")
    assert incident.database_driver == more.get("database_driver")
    assert more.get("env", {}).items() <= incident.app.env.items()
    assert "hunter2" not in incident.file.read_text() + said.out + said.err
    assert "Table 'parcels' is already defined" in said.out and "reproduced" in said.out


# ------------------------------------------------------------------------------ what a log says is what is run

LIBRARY = "/opt/venv/lib/python3.11/site-packages"


def traceback(*frames: str, error: str) -> str:
    """A traceback of ``file:line:function`` frames."""
    lines = [
        f'  File "{file}", line {line}, in {name}\n    …' for file, line, name in (one.rsplit(":", 2) for one in frames)
    ]
    return "\n".join(["Traceback (most recent call last):", *lines, error, ""])


DOUBLED = "sqlalchemy.exc.InvalidRequestError: Table 'parcels' is already defined for this MetaData instance.  Specify 'extend_existing=True'"
INSIDE = ("/srv/store/main.py:2:<module>", "/srv/store/legacy.py:4:<module>")


@pytest.mark.parametrize(
    ("log", "startup"),
    [
        (traceback("<frozen runpy>:198:_run_module_as_main", "<frozen runpy>:88:_run_code", *INSIDE, error=DOUBLED), "command: python -m store.main"),
        (traceback(f"{LIBRARY}/uvicorn/main.py:620:run", f"{LIBRARY}/uvicorn/config.py:434:load_app", *INSIDE, error=DOUBLED), "serve: uvicorn store.main:app --port {port}"),
        (traceback(f"{LIBRARY}/alembic/config.py:1039:main", f"{LIBRARY}/alembic/command.py:487:upgrade", "/srv/alembic/env.py:3:<module>", *INSIDE, error=DOUBLED), "command: alembic upgrade head"),
        pytest.param("root@shop:/srv# python run.py\n" + traceback("/srv/run.py:1:<module>", *INSIDE, error=DOUBLED), "command: python run.py", marks=pytest.mark.slow),
    ],
    ids=["a module", "a server", "alembic", "a script that was typed"],
)  # fmt: skip
def test_the_program_of_the_outermost_frames_is_what_is_run(log, startup, kit, tmp_path, small):
    files = {
        **store(),
        **migrations(),
        "alembic/env.py": ENV_PY.format(package="store").replace("store.parcels", "store.main"),
        "alembic.ini": "[alembic]\nscript_location = alembic\nprepend_sys_path = .\n",
        "run.py": "import store.main\n",
    }
    root = written(tmp_path / "store-app", files)
    trace = tmp_path / "trace.jsonl"
    command = ["new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, "--json", "--trace", trace]
    said = kit(*command, input=log)
    assert said.code == 0, said.out + said.err
    assert kit("reproduce", tmp_path / "x", "--from-trace", trace).code == 0
    assert said.json["reproduced"] is True and said.json["tried"][-1]["seconds"] > 0
    incident = load(tmp_path / "x")
    assert str(incident.startup[-1]) == startup
    assert incident.expect.error == "Table 'parcels' is already defined for this MetaData instance."
    assert incident.expect.table == "parcels" and "table parcels is already defined" in incident.title
    if startup.startswith("serve"):
        assert kit("reproduce", incident.file).code == 0


def test_a_variable_that_the_log_calls_missing_is_not_supplied(kit, tmp_path, small):
    main = 'import os\nREGION = os.environ["REGION"]\nZONE = os.environ["ZONE"]\n'
    root = written(tmp_path / "app", {"main.py": main})
    log = traceback("/srv/main.py:3:<module>", "<frozen os>:679:__getitem__", error="KeyError: 'ZONE'")
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert said.code == 0, said.out + said.err
    assert load(tmp_path / "x").app.env == {"REGION": "stand-in"}
    assert load(tmp_path / "x").expect.error == "KeyError: 'ZONE'"


def test_what_the_setup_lacks_behind_the_incident_is_learnt_too_so_that_a_fix_can_be_verified(kit, tmp_path, small):
    shop = """
        import os
        from rates import RATES
        zone = "_".join(["SHOP", "ZONE"])
        if zone not in os.environ:
            raise LookupError(f"the option 'zone' is missing, set the environment variable {zone}")
        open("conf.yaml").close()
    """
    files = {"main.py": "import shop\n", "shop.py": shop, "rates.py": "", "conf.example.yaml": ""}
    root = written(tmp_path / "app", files)
    log = traceback(
        "/srv/main.py:1:<module>",
        "/srv/shop.py:2:<module>",
        error="ImportError: cannot import name 'RATES' from 'rates'",
    )
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert said.code == 0, said.out + said.err
    incident = load(tmp_path / "x")
    assert incident.app.env == {"SHOP_ZONE": "stand-in"}, said.out
    assert [str(step) for step in incident.prepare] == ["command: cp conf.example.yaml conf.yaml"]


def test_what_was_reproduced_stands_where_looking_behind_it_cannot_begin(tmp_path, small):
    project = Project(written(tmp_path / "app", {"main.py": ""}))
    work = Search(project, Evidence(expected="ValueError: no"), str(small), tmp_path, lambda text: None)
    shows = Trial(Setup(Start((("import", "main"),), "", 0)), None, 3, "", Evidence(), 0.0)
    assert shows.shows_incident
    shutil.rmtree(project.root)
    assert completed(work, shows) is shows


def test_alembic_is_started_with_the_file_that_configures_it_where_that_has_another_name(tmp_path):
    ini = "[app:main]\nuse = egg:shop\n[alembic]\nscript_location = %(here)s/../shop/alembic\n"
    files = {"config/shop.ini": ini, "shop/alembic/env.py": ""}
    project = Project(written(tmp_path / "app", files))
    log = traceback(f"{LIBRARY}/alembic/config.py:9:main", "/srv/shop/alembic/env.py:3:<module>", error="TypeError: no")
    evidence = evidence_of(read_log(log), log, project)
    first = candidates_of(project, evidence, [])[0]
    assert (first.steps, first.workdir) == ((("command", "alembic -c config/shop.ini upgrade head"),), ".")


def test_a_module_that_the_log_calls_missing_stays_off_the_path_and_another_is_found_by_a_trial(kit, tmp_path, small):
    files = {"lib/helper.py": "", "jobs/first.py": "import shared\nimport helper\n", "shared.py": ""}
    root = written(tmp_path / "app", files)
    log = traceback("/srv/jobs/first.py:2:<module>", error="ModuleNotFoundError: No module named 'helper'")
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert said.code == 0, said.out + said.err
    incident = load(tmp_path / "x")
    assert incident.app.path == ["."] and str(incident.startup[0]) == "command: python jobs/first.py"
    assert "a trial did not find the module shared" in incident.file.read_text()


CHANGES = {
    "db/alembic.ini": "[alembic]\nscript_location = %(here)s/alembic\nprepend_sys_path = ..\n",
    "db/alembic/env.py": """
        import os
        from alembic import context
        from sqlalchemy import create_engine

        with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
            context.configure(connection=connection, render_as_batch=True)
            with context.begin_transaction():
                context.run_migrations()
    """,
    "db/alembic/versions/a1.py": REVISION,
    "db/alembic/versions/b2.py": """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = "b2", "a1"
        revision = "b2"
        down_revision = "a1"

        def upgrade():
            with op.batch_alter_table("parcels", recreate="always") as batch:
                batch.add_column(sa.Column("weight", sa.Integer, nullable=False))
    """,
}


def test_where_rows_decide_the_database_is_at_the_revision_before_with_a_row_a_table(kit, tmp_path, small):
    root = written(tmp_path / "app", CHANGES)
    failed = "sqlite3.IntegrityError: NOT NULL constraint failed: _alembic_tmp_parcels.weight"
    log = traceback(f"{LIBRARY}/alembic/config.py:9:main", "/srv/db/alembic/versions/b2.py:8:upgrade", error=failed)
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert said.code == 0, said.out + said.err
    incident = load(tmp_path / "x")
    assert [str(one) for one in incident.prepare] == ["upgrade: a1", "rows: 1"] and incident.app.workdir == "db"
    assert kit("reproduce", incident.file).code == 0


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", marks=pytest.mark.slow),
        traceback("/srv/db/alembic/env.py:2:<module>", error="OSError: no zones"),
    ],
    ids=["alone", "after an error that did not end it"],
)
def test_a_revision_that_no_file_has_is_the_databases(before, kit, tmp_path, small):
    root = written(tmp_path / "app", CHANGES)
    log = f"{before}INFO  [alembic.runtime.migration] Context impl SQLiteImpl.\nFAILED: Can't locate revision identified by 'c3d4'\n"
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert said.code == 0, said.out + said.err
    assert load(tmp_path / "x").expect.error == "Can't locate revision identified by 'c3d4'"
    assert "c3d4" in (tmp_path / "x" / "database-state.sql").read_text()
    assert kit("reproduce", tmp_path / "x").code == 0


def test_what_a_revision_creates_and_the_log_says_is_there_was_made_by_the_server_before(kit, tmp_path, small):
    """One line of a log names neither Alembic nor the revision: what creates the object says both."""
    files = {name.removeprefix("db/").replace("alembic/", "moves/"): text for name, text in CHANGES.items()}
    files["alembic.ini"] = "[alembic]\nscript_location = moves\n"
    files["moves/versions/b2.py"] = """
        import sqlalchemy as sa
        from alembic import op
        revision = "b2"
        down_revision = "a1"

        def upgrade():
            op.create_table("labels", sa.Column("id", sa.Integer, primary_key=True))
    """
    files["main.py"] = """
        import os
        from sqlalchemy import Column, Integer, MetaData, Table, create_engine
        from starlette.applications import Starlette

        metadata = MetaData()
        Table("labels", metadata, Column("id", Integer, primary_key=True))
        metadata.create_all(create_engine(os.environ["DATABASE_URL"]))
        app = Starlette()
    """
    root = written(tmp_path / "app", {**files, "Procfile": "web: uvicorn main:app\n"})
    log = "sqlite3.OperationalError: table labels already exists\n"
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert said.code == 0, said.out + said.err
    steps = [step.kind for step in load(tmp_path / "x").startup]
    assert steps == ["serve", "command"], said.out


def test_where_no_trial_shows_the_logs_error_it_says_so_and_asks_two_questions(kit, tmp_path, small):
    files = {
        "main.py": "import sys\nprint('fine')\nsys.exit(0)\n",
        "tests/test_main.py": "",
        "Makefile": "test:\n\tarq tests.Settings\n",
    }
    root = written(tmp_path / "app", files)  # what nobody ran, and is not installed, is no start of it
    log = traceback("/srv/main.py:3:<module>", error="ValueError: the moon is not where it should be")
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, "--json", input=log)
    assert said.code == 3, said.out + said.err
    assert said.json["reproduced"] is False and len(said.json["tried"]) >= 1
    assert "the nearest was command: python main.py" in said.json["not_found"][0] and len(said.json["not_found"]) == 3
    assert "moon" in load(tmp_path / "x").expect.error
    assert kit("reproduce", tmp_path / "x").code == 3


@pytest.mark.parametrize(
    ("request_", "says"), [(("GET", "/orders"), "comes up and answers GET /orders; "), (None, "comes up; ")]
)
def test_where_the_nearest_start_comes_up_the_logs_error_is_said_to_come_later(request_, says, tmp_path):
    evidence = Evidence(error="E: e", text="[Errno 98] Address already in use", expected="e", request=request_)
    work = Search(Project(written(tmp_path, {"main.py": ""})), evidence, "python", tmp_path, print)
    start = Start((("serve", "uvicorn main:app"),), "", 0)
    best = SimpleNamespace(setup=Setup(start), up=True, shows_incident=False, seen=Evidence(), trace=None, level=0)
    sentence = not_found(work, Interpreter(Path("python"), ""), best, True, [])[0]
    assert f"{start}, which shows: it {says}the log's error comes later" in sentence
    assert "Such an error usually means: Another process has the port" in sentence


@pytest.mark.parametrize(
    "shows", ["Error: no such option: --app", "Error: No such option: --app (Did you mean --apt?)"]
)
def test_a_flask_without_an_option_for_it_is_given_the_application_by_its_variable(shows, tmp_path):
    """Click 7 says it in small letters."""
    work = Search(Project(written(tmp_path, {"main.py": ""})), Evidence(), "python", tmp_path, print)
    start = Start((("serve", "flask --app main:app run --port {port}"),), "", 0)
    (taught,) = _places(work, Trial(Setup(start), None, 0, shows, Evidence(error=shows), 1))
    assert str(taught.start) == "serve: flask run --port {port}" and taught.env == {"FLASK_APP": "main:app"}


_EXCEPTION = """\
Traceback (most recent call last):
  File "/usr/lib/python3.12/site-packages/psycopg2/x.py", line 1, in x
sqlalchemy.exc.ProgrammingError: (psycopg2.errors.DuplicateTable) relation "shelf" already exists
[SQL: CREATE TABLE shelf (id INTEGER)]"""


@pytest.mark.parametrize(
    ("record", "missing", "database", "statement"),
    [
        ({"message": "cannot start", "detail": "environment variable SHOP_URL is not set"}, {"SHOP_URL"}, None, ""),
        ({"msg": "no", "all": [{"is": "environment variable SHOP_URL is not set"}, {"is": "x"}]}, {"SHOP_URL"}, None, ""),
        ({"event": "request failed", "exception": _EXCEPTION}, set(), "postgresql", "CREATE TABLE shelf (id INTEGER)"),
        ({"message": "no", "type": "KeyError", "frames": [{"filename": "/srv/a.py", "lineno": 1}]}, set(), None, ""),
    ],
)  # fmt: skip
def test_a_record_that_holds_more_than_its_message_is_read_whole(record, missing, database, statement, tmp_path):
    log = json.dumps(record)
    evidence = evidence_of(read_log(log), log, Project(written(tmp_path, {"main.py": ""})))
    assert (evidence.missing_variables, evidence.database, evidence.statement) == (missing, database, statement)


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("RuntimeError: STORE_URL is not set", {"STORE_URL"}),
        ("UserWarning: Neither SQLALCHEMY_DATABASE_URI nor SQLALCHEMY_BINDS is set. Defaulting to memory.", set()),
    ],
)
def test_of_two_names_of_which_a_library_lacks_both_neither_is_called_missing(line, missing, tmp_path):
    evidence = evidence_of(read_log(line), line, Project(written(tmp_path, {"main.py": ""})))
    assert evidence.missing_variables == missing


@pytest.mark.parametrize("typed", [True, False])
def test_which_command_was_run_is_not_asked_where_the_log_has_it_as_it_was_typed(typed, tmp_path):
    programs = (Program("line", "flask db upgrade", "typed in the log, line 1"),) if typed else ()
    evidence = Evidence(error="E: e", expected="e", programs=programs)
    work = Search(Project(written(tmp_path, {"main.py": ""})), evidence, "python", tmp_path, print)
    best = Trial(Setup(Start((("command", "flask db upgrade"),), "", 0)), None, 0, "KeyError: 'A'", Evidence(), 1)
    questions = not_found(work, Interpreter(Path("python"), ""), best, True, [])
    assert any("which command was run" in question for question in questions) is not typed


def test_the_nearest_start_is_what_the_log_tells_of_though_it_took_too_long():
    """Another one that fails at once, of something else, says nothing of the log."""
    told, guess = (Setup(Start((("command", name),), "", score)) for name, score in (("serve.sh", 60), ("main.py", 20)))
    slow = Trial(told, None, 0, "still running", Evidence(), 75, "still running")
    other = Trial(guess, None, 0, "ImportError: no", Evidence(), 1)
    whole = Trial(told, None, 0, "every step succeeded", Evidence(), 9)
    assert best_of([other, slow]) is slow and best_of([slow, other, whole]) is whole


def test_read_only_runs_nothing(kit, tmp_path, small):
    root = written(tmp_path / "app", store())
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--read-only", "--json")
    assert said.code == 3 and said.json["reproduced"] is None and said.json["tried"] == []
    assert str(load(tmp_path / "x").startup[0]) == "serve: uvicorn store.main:app --port {port}"


def test_steps_that_are_given_are_the_startup(kit, tmp_path, small):
    root = written(tmp_path / "app", store())
    steps = ["--startup", "import store.parcels", "--startup", "serve: uvicorn store.main:app --port 8000"]
    assert kit("new", tmp_path / "x", "--app", root, "--python", small, *steps).code == 0
    startup = [str(one) for one in load(tmp_path / "x").startup]
    assert startup == ["import: store.parcels", "serve: uvicorn store.main:app --port {port}"]


def test_an_existing_incident_is_never_written_over(kit, tmp_path):
    root = written(tmp_path / "app", store())
    assert kit("new", tmp_path / "x", "--app", root, "--read-only").code == 3
    text = (tmp_path / "x" / "incident.yaml").read_text()
    said = kit("new", tmp_path / "x", "--app", root)
    assert said.code == 2 and "there is an incident already" in said.err
    assert (tmp_path / "x" / "incident.yaml").read_text() == text


OF_ANOTHER_MAIN = """Traceback (most recent call last):
  File "/srv/other/main.py", line 3, in <module>
    import views_of_another_shop
  File "/srv/other/views.py", line 1, in <module>
    raise ValueError("no views")
ValueError: no views
"""
ELSEWHERE = traceback("/srv/other/views.py:3:<module>", error="ValueError: no")


@pytest.mark.parametrize(
    ("files", "words", "log", "said"),
    [
        ({"a.py": ""}, ["--app", "gone"], None, ["--app gone: there is no such folder"]),
        ({"a.txt": ""}, ["--app", "app"], None, ["there is no Python file in it"]),
        ({"a.py": ""}, ["--app", "app/a.py"], None, ["this is a file; name the folder", "--app app"]),
        (store(), ["--app", "app", "--python", "gone"], None, ["--python gone: there is no such interpreter"]),
        (store(), ["--app", "app", "--startup", "uvicorn a:b"], None, ["begin with the kind of step, one of import, call"]),
        (store(), ["--app", "app", "--log", "gone.txt"], None, ["--log gone.txt: cannot be read"]),
        (store(), ["--app", "app", "--log", "log.txt"], b"\n", ["it is empty"]),
        (store(), ["--app", "app", "--log", "log.txt"], bytes(range(256)) * 9, ["this is no text"]),
        (store(), ["--app", "app", "--log", "log.txt"], ELSEWHERE.encode(), ["of another application", "/srv/other/views.py"]),
        ({"main.py": "x = 1\n"}, ["--app", "app", "--log", "log.txt"], OF_ANOTHER_MAIN.encode(), ["of another application", "/srv/other/views.py"]),
        ({"a.py": "x = 1\n"}, ["--app", "app"], None, ["nothing says how this is started", "--startup"]),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_message_and_exit_2(files, words, log, said, kit, tmp_path):
    written(tmp_path / "app", files)
    if log is not None:
        (tmp_path / "log.txt").write_bytes(log)
    answer = kit("new", tmp_path / "incidents" / "x", *words, cwd=tmp_path)
    assert answer.code == 2, answer.out
    for part in said:
        assert part in answer.err
    assert not (tmp_path / "incidents").exists()


@pytest.mark.parametrize(
    ("main", "lacks"),
    [("import sqlalchemy, no_such_library", "no_such_library"), ("from importlib.metadata import version; version('shop')", "shop")],
    ids=["a library", "the application itself"],
)  # fmt: skip
def test_packages_that_no_interpreter_has_are_named_with_the_command_that_makes_one(main, lacks, kit, tmp_path):
    files = {"main.py": f"{main}\n", "requirements.txt": "no-such-library\n", "shop/__init__.py": ""}
    root = written(tmp_path / "app", files)
    said = kit("new", tmp_path / "x", "--app", root, "--startup", "command: python main.py", "--json")
    assert said.code == 3, said.out + said.err
    assert f"lacks {lacks}" in said.json["not_found"][0] and "-m venv" in said.json["not_found"][0]


def test_nothing_is_written_into_the_application(kit, tmp_path):
    root = written(tmp_path / "app", store())
    said = kit("new", root / "incidents" / "x", "--app", root)
    assert said.code == 2 and "lies inside the application" in said.err
    assert not (root / "incidents").exists()


def test_names_and_commands_that_mean_harm_stay_comments(kit, tmp_path):
    """A file's name with a line end in it, control characters and a password in a Procfile's other process."""
    files = store()
    files["Procfile"] = (
        "web: uvicorn store.main:app\n"
        "admin: python -m admin --db postgresql://admin:hunter2@db/prod \x1b[31m\x00\u2028 && echo '\\nfixes: {evil: {}}'\n"
    )
    root = written(tmp_path / "app", files)
    folder = root / "a\nstartup: [{command: evil}]\n#"
    folder.mkdir()
    (folder / "tools.py").write_text("from sqlalchemy import MetaData\nmetadata = MetaData()\n")
    said = kit("new", tmp_path / "x", "--app", root, "--read-only")
    assert said.code == 3, said.err
    text = (tmp_path / "x" / "incident.yaml").read_text()
    assert "hunter2" not in text + said.out + said.err and "\x1b" not in text
    assert [str(one) for one in load(tmp_path / "x").startup] == ["serve: uvicorn store.main:app --port {port}"]


def test_the_logs_secrets_stay_where_they_are(kit, tmp_path):
    root = written(tmp_path / "app", store())
    log = traceback(*INSIDE, error=DOUBLED) + "connected to postgresql://admin:hunter2@db/prod\n"
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--read-only", input=log)
    assert said.code == 3, said.err
    kept = (tmp_path / "x" / "log.txt").read_text()
    assert "legacy.py" in kept and "hunter2" not in kept + said.out + said.err


def test_a_folder_below_a_repository_is_written_as_one_with_its_commit(kit, tmp_path):
    top = tmp_path / "repository"
    root = written(top / "services/store", store())
    git = ["git", "-C", top, "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", top], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "all"], check=True)
    kit("new", tmp_path / "x", "--app", root, "--read-only")
    app = load(tmp_path / "x").app
    assert (app.repository, app.subdir, len(app.revision)) == ("../repository", "services/store", 40)
    (root / "store" / "more.py").write_text("")
    kit("new", tmp_path / "y", "--app", root, "--read-only")
    assert load(tmp_path / "y").app.root == "../repository/services/store"


# ------------------------------------------------------------------------------ parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Duplicated timeseries in CollectorRegistry: {'a_total', 'a'}", "Duplicated timeseries in CollectorRegistry"),
        ("(sqlite3.OperationalError) table users already exists", "table users already exists"),
        ("cannot import name 'db' from 'a.b' (most likely due to a circular import) (/srv/a/b.py)", "cannot import name 'db' from 'a.b'"),
        ("New upgrade operations detected: [('remove_table', Table('t', MetaData()))]", "New upgrade operations detected: [('remove_table'"),
        ("Table 'a' is already defined for this MetaData instance.  Specify it", "Table 'a' is already defined for this MetaData instance."),
        ("<object at 0x7f> is not bound", "is not bound"),
        ("One or more mappers failed to initialize. Original exception was: Mapper 'B' has no property 'a'.", "Mapper 'B' has no property 'a'."),
        ("Task <Task pending name='Task-7' coro=<a.<locals>.b() running at /x/y.py:3> cb=[c() at /x/z.py:1]> got Future <Future pending> attached to a different loop", "attached to a different loop"),
        ("<class 'dict'> has no matching SQLAlchemy type", "<class 'dict'> has no matching SQLAlchemy type"),
        ("x" * 30 + " " + "word " * 60, "x" * 30 + " " + " ".join(["word"] * 25)),
    ],
)  # fmt: skip
def test_of_an_error_whole_words_that_stay_the_same_are_expected(text, expected):
    assert stable(text) == expected


def test_of_an_error_that_several_processes_had_the_common_part_is_expected():
    assert (
        common(
            [
                "(sqlite3.OperationalError) table users already exists",
                "(sqlite3.OperationalError) table jobs_0 already exists",
            ]
        )
        == "already exists"
    )
    assert common(["no such column a", "an other error"]) is None


def test_the_variable_of_the_database_is_the_one_that_an_engine_is_made_of(tmp_path):
    db = """
        '''Reads os.environ["OLD_DATABASE_URL"] and makes an engine.'''
        import os
        from sqlalchemy import create_engine

        PLACE = os.environ["STORE_PLACE"]
        REDIS_URL = os.environ["REDIS_URL"]
        engine = create_engine(PLACE)
    """
    found = database_variables(variables_of(Project(written(tmp_path, {"db.py": db}))))
    assert [one.name for one in found] == ["STORE_PLACE"]


def test_what_pip_installed_into_a_folder_of_the_application_is_none_of_its_sources(tmp_path):
    files = {
        "main.py": "",
        "libs/zone/tz.py": "import os\nos.environ['TZ']\n",
        "libs/zone-2.1.dist-info/METADATA": "Name: zone\n",
    }
    project = Project(written(tmp_path, files))
    assert project.sources == ("main.py",)
    assert [variable.name for variable in variables_of(project)] == []


@pytest.mark.parametrize(
    ("reader", "required"),
    [("os.environ['ZONE']", True), ("config('ZONE')", True), ("env.str('ZONE')", True), ("setting('zone', 'ZONE')", False)],
)  # fmt: skip
def test_variables_of_the_usual_readers_are_found(reader, required, tmp_path):
    text = "import os\nfrom decouple import config\nfrom environs import Env\nenv = Env()\ndef setting(key, name):\n    return os.environ[name]\n"
    text += f"zone = {reader}\nother = os.getenv('OTHER')\n"
    variables = variables_of(Project(written(tmp_path, {"settings.py": text})))
    assert {variable.name: variable.required for variable in variables} == {"ZONE": required, "OTHER": False}


@pytest.mark.parametrize("why", ["{}", "Unable to load configuration file ({})", "Path doesn't exist"])
def test_a_file_that_a_source_names_as_in_its_image_is_found_where_it_is(why, kit, tmp_path, small):
    main = f"""
        from starlette.applications import Starlette

        try:
            open('/srv/store/settings.json').close()
        except OSError as error:
            error.strerror = "{why}".format(error.strerror)
            raise
        app = Starlette()
    """
    root = written(tmp_path / "app", {"main.py": main, "settings.json": "{}"})
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--json")
    assert said.code == 3 and "comes up" in said.json["not_found"][0], said.out
    assert [str(step) for step in load(tmp_path / "x").prepare] == [
        'command: sed -i "s#/srv/store/settings.json#$PWD/settings.json#g" main.py'
    ]


def test_a_url_that_the_code_does_not_take_is_no_failure_of_its_own(kit, tmp_path, small):
    main = "import os\nurl = os.environ['STORE_DATABASE_URL']\nif not url.startswith('cockroachdb://'):\n    raise ValueError('the database URL is no cockroachdb one')\n"
    root = written(tmp_path / "app", {"main.py": main, "Procfile": "web: python main.py\n"})
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--json")
    assert said.code == 3 and "cockroachdb" in said.json["tried"][0]["shows"], said.out


def test_a_setting_that_no_variable_set_is_no_failure_of_its_own(kit, tmp_path, small):
    main = "import os\nsettings = {}\n\ndef put(key, name):\n    if name in os.environ:\n        settings[key] = os.environ[name]\n\n"
    main += "put('store.zone', 'STORE_ZONE')\nif settings['store.zone'] != 'north':\n    raise SystemExit('not here')\n"
    root = written(tmp_path / "app", {"main.py": main, "Procfile": "web: python main.py\n"})
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--json")
    assert said.code == 3 and said.json["tried"][0]["shows"] == "KeyError: 'store.zone'", said.out


def test_a_command_with_a_secret_that_nothing_deploys_is_not_tried(kit, tmp_path):
    line = "DATABASE_URL=postgres://store:k1tt3n-pears@db/store python tools.py"
    files = {"tools.py": "if __name__ == '__main__':\n    pass\n", "Makefile": f"run:\n\t{line}\n"}
    assert str(read_only(kit, tmp_path, files).startup[0]) == "command: python tools.py"


def test_what_an_environment_has_as_a_link_to_the_application_runs_from_the_copy(tmp_path):
    root, packages = tmp_path / "app", "env/lib/python3.12/site-packages"
    files = {
        f"{packages}/_store.pth": f"{root}/src\n",
        "env/pyvenv.cfg": "",
        f"{packages}/other.pth": f"{tmp_path}/other\n",
    }
    mapping = f"MAPPING: dict[str, str] = {{'shelf': '{root}/lib/shelf', 'till.cash': '{root}/py/till/cash'}}\n"
    inner = f"NAMESPACES: dict[str, list[str]] = {{'shelf.static': ['{root}/lib/shelf/static']}}\n"
    files[f"{packages}/__editable___store_1_finder.py"] = mapping + inner
    interpreter = Interpreter(written(tmp_path, files) / "env" / "bin" / "python", "as --python says")
    assert interpreter.linked(root) == ["src", "lib", "py"]


def test_a_file_of_the_image_that_is_looked_for_below_the_package_is_named_by_its_whole_path(kit, tmp_path, small):
    """As Flask does with a settings file's name that is not absolute."""
    main = """
        import os
        from pathlib import Path
        from starlette.applications import Starlette

        (Path(__file__).parent / "store" / os.environ["STORE_SETTINGS"]).read_text()
        app = Starlette()
    """
    image = "FROM python:3.12\nWORKDIR /app\nENV STORE_SETTINGS=/app/conf/settings.py\nCOPY . .\nCMD uvicorn main:app\n"
    root = written(tmp_path / "app", {"main.py": main, "conf/settings.py": "", "Dockerfile": image})
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--json")
    assert said.code == 3 and "comes up" in said.json["not_found"][0], said.out + said.err
    assert str(load(tmp_path / "x").startup[0]).startswith(
        'serve: STORE_SETTINGS="$PWD/conf/settings.py" uvicorn main:app'
    )


@pytest.mark.parametrize(("code", "expected"), [(1, "exited with code 1"), (3, None), (4, None)])
def test_a_warning_is_not_what_a_worker_ended_of_that_says_nothing(code, expected, tmp_path):
    """Flask-Migrate ends a process without a word where ``env.py`` has silenced its logger. Gunicorn's own codes are of any failure."""
    log = (
        "[2026-11-29 07:56:26 +0000] [32441] [INFO] Booting worker with pid: 32441\n"
        "/srv/store/run.py:3: UserWarning: Running a server without changing the key is a risk.\n  warnings.warn(\n"
        "INFO  [alembic.runtime.migration] Context impl SQLiteImpl.\n"
        f"[2026-11-29 07:56:31 +0000] [32428] [ERROR] Worker (pid:32441) exited with code {code}.\n"
    )
    project = Project(written(tmp_path, {"run.py": ""}))
    evidence = evidence_of(read_log(log), log, project)
    at = "line 5 of the log" if expected else ""
    assert (evidence.expected, evidence.at, evidence.frames) == (expected, at, ())


def test_a_command_that_a_script_puts_together_first_is_what_it_starts(tmp_path):
    text = """
        #!/bin/sh
        cmd="exec gunicorn store.wsgi:application \\
             -b 0.0.0.0:$PORT \\
             $@"
        if [ "$PUID" -ne 0 ]; then
            cmd="su - abc -c '$cmd'"
        fi
        eval "$cmd"
    """
    project = Project(written(tmp_path, {"start.sh": text, "store/wsgi.py": ""}))
    assert list(lines_of(project, "start.sh"))[-1].text == "exec gunicorn store.wsgi:application -b 0.0.0.0:$PORT"


def test_a_program_that_shows_the_error_and_goes_on_is_ended_in_time(tmp_path):
    start, text = Start((("command", "python -m store.jobs"),), "", 0), "command: still running after 25 seconds"
    work = Search(
        Project(written(tmp_path, {"main.py": ""})), Evidence(error="E: e", expected="e"), "python", tmp_path, print
    )
    after = lessons(work, Trial(Setup(start), None, 2, text, Evidence(error="E: e"), 26.0, text))
    assert [setup.start.steps for setup in after] == [(("command", "timeout 15 python -m store.jobs || true"),)]


@pytest.mark.parametrize(
    ("line", "score", "seconds", "more"),
    [
        ("alembic upgrade head", 0, 26.0, [75.0]),
        ("alembic upgrade head", 0, 3.0, []),
        ("python -m store serve", 75, 26.0, [75.0]),
        ("python -m store serve", 12, 26.0, []),
    ],
)
def test_migrations_and_the_logs_own_program_that_were_ended_at_their_limit_are_given_more_time(
    line, score, seconds, more, tmp_path
):
    start, text = Start((("command", line),), "", 0), "prepare 1: upgrade: a1: it was ended"
    prepare = (("upgrade", "a1"),) if "upgrade" in line else ()
    work = Search(
        Project(written(tmp_path, {"main.py": ""})), Evidence(error="E: e", expected="e"), "python", tmp_path, print
    )
    setup = Setup(start, prepare=prepare, score=score)
    after = lessons(work, Trial(setup, None, 0, text, Evidence(), seconds, text))
    assert [setup.seconds for setup in after] == more


@pytest.mark.parametrize(
    ("installed", "database", "driver", "url"),
    [
        ({"aiosqlite", "aiomysql"}, "sqlite", "aiosqlite", None),
        ({"asyncpg", "aiomysql"}, "postgresql", "asyncpg", None),
        ({"aiomysql", "pymysql"}, "sqlite", None, "mysql+aiomysql://kit@127.0.0.1:9/kit"),
    ],
)
def test_an_asynchronous_driver_is_one_that_is_installed(installed, database, driver, url, tmp_path):
    """Where none is of a database that the kit makes, the installed one's URL shows what fails before the database is reached."""
    project = Project(written(tmp_path, {"main.py": ""}))
    error = "The asyncio extension requires an async driver to be used. The loaded 'pysqlite' is not async."
    seen = Evidence(error=f"InvalidRequestError: {error}", type="InvalidRequestError", text=error)
    setup = Setup(Start((("serve", "uvicorn main:app --port {port}"),), "", 0), database_env="STORE_URL")
    work = Search(project, Evidence(), "python", tmp_path, print, frozenset(installed))
    after = lessons(work, Trial(setup, None, 0, error, seen, 1.0))[:1]
    assert [(other.database, other.driver, other.env.get("STORE_URL")) for other in after] == [(database, driver, url)]


_IN_AN_IMAGE = """
    FROM python:3.13 AS base
    WORKDIR /srv/app
    FROM base AS production
    COPY store store
    COPY entrypoint.sh ./
    ENTRYPOINT ["/srv/app/entrypoint.sh"]
    CMD ["gunicorn", "store.wsgi:application"]
    FROM production AS tests
    ENTRYPOINT ["pytest"]
"""
_PROGRAMS_OF_ONE = """
    #!/bin/bash
    WORKER="celery --quiet -A run_celery.celery worker --concurrency=${CONCURRENCY:-4}"
    case "$1" in
      worker)
        exec $WORKER
        ;;
      worker-letters)
        exec $WORKER -Q letters
        ;;
      migration)
        exec flask db upgrade
        ;;
    esac
    exec "$@"
"""


def test_a_script_that_an_image_runs_starts_what_it_is_given_and_each_program_that_a_branch_ends_with(tmp_path):
    """The last stage that is not for tests counts, and a folder that holds nothing but the build is not the application's."""
    files = {"docker/Dockerfile": _IN_AN_IMAGE, "entrypoint.sh": _PROGRAMS_OF_ONE, "store/wsgi.py": ""}
    commands = [command for command in commands_of(Project(written(tmp_path, files))) if command.deployed]
    assert {command.lines[-1] for command in commands} == {
        "gunicorn store.wsgi:application",
        "celery --quiet -A run_celery.celery worker --concurrency=4",
        "flask db upgrade",
    }
    assert {command.workdir for command in commands} == {"."}


@pytest.mark.parametrize(
    ("files", "line", "workdir"),
    [
        (
            {"Dockerfile": "FROM x\nCOPY . /app\nWORKDIR /app\nCMD bash start.sh", "start.sh": "#!/bin/bash\nmkdir -p /app/data\npython stream.py &\npython -m store.forge\n"},
            "python -m store.forge",
            ".",
        ),
        (
            {"deploy/supervisor/server.conf": "[program:server]\ndirectory=/store/backend\ncommand=granian main:app\n"},
            "granian main:app",
            "backend",
        ),
    ],
    ids=["script", "supervisor"],
)  # fmt: skip
def test_the_program_that_a_deployment_ends_with_runs_in_the_folder_that_it_names(files, line, workdir, tmp_path):
    sources = dict.fromkeys(("store/forge.py", "backend/main.py", "stream.py"), "")
    first = commands_of(Project(written(tmp_path, {**files, **sources})))[0]
    assert (first.lines, first.workdir) == ((line,), workdir)


_WITH_ENTRY = 'FROM x\nCOPY . /app\nWORKDIR /app\nENTRYPOINT ["/app/enter.sh"]\nCMD ["gunicorn", "main:app"]\n'
_WRAPPED = _WITH_ENTRY.replace('["/app/enter.sh"]', '["tini", "--"]')
_MIGRATED = "sh enter.sh sh -c 'alembic upgrade head && uvicorn main:app'"


@pytest.mark.parametrize(
    ("image", "service", "lines"),
    [
        (_WITH_ENTRY, "", {("sh enter.sh gunicorn main:app",), ("gunicorn main:app",)}),
        (_WITH_ENTRY, "command: uvicorn main:app", {("sh enter.sh uvicorn main:app",), ("uvicorn main:app",)}),
        (_WITH_ENTRY, "command: [sh, -c, alembic upgrade head && uvicorn main:app]", {(_MIGRATED,), ("alembic upgrade head", "uvicorn main:app")}),
        (_WITH_ENTRY, "entrypoint: uvicorn main:app", {("uvicorn main:app",)}),
        (_WRAPPED, "", {("gunicorn main:app",)}),
        (_WRAPPED, "command: uvicorn main:app", {("uvicorn main:app",)}),
    ],
)  # fmt: skip
def test_the_command_of_a_service_is_given_to_the_entry_point_of_its_image(image, service, lines, tmp_path):
    compose = f"services:\n  web:\n    build: .\n    {service}\n"
    files = {"Dockerfile": image, "compose.yml": compose, "enter.sh": '#!/bin/sh\nexec "$@"\n', "main.py": ""}
    project = Project(written(tmp_path, files))
    assert {command.lines for command in composes(project)} == lines


def test_starts_that_differ_by_the_revision_that_they_name_are_one(tmp_path):
    revisions = {
        f"r/versions/{name}.py": f"revision = {name!r}\ndown_revision = None\ndef upgrade():\n    pass\n"
        for name in ("a1b2", "c3d4")
    }
    jobs = {f"jobs/{name}.yaml": f"command: [bash, enter.sh, migrate, {name}]\n" for name in ("a1b2", "c3d4")}
    project = Project(
        written(
            tmp_path,
            {**revisions, **jobs, "enter.sh": "", "r/env.py": "", "alembic.ini": "[alembic]\nscript_location = r\n"},
        )
    )
    assert [command.lines for command in commands_of(project)] == [("bash enter.sh migrate a1b2",)]


_OF_A_POD = """
    spec:
      {{- with .Values.pod }}
      initContainers:
        - name: migrate
          command: ["alembic", "upgrade", "base"]
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          workingDir: /srv/store
          command: ["gunicorn"]
          args: ["-w", "4", "main:app"]
          env:
            - {name: MODE, value: pod}
            - {name: TOKEN, value: "{{ .Values.token }}"}
"""
_DECLARED = {
    "a pod of a chart": ({"chart/web.yaml": _OF_A_POD}, ("gunicorn -w 4 main:app",), "store", {"MODE": "pod"}),
    "a container's shell": (
        {"k8s/web.yml": "- {name: w, command: [/bin/sh, -c], args: ['alembic upgrade head && celery -A main worker']}\n"},
        ("alembic upgrade head", "celery -A main worker"), ".", {},
    ),
    "a unit": (
        {"web.service": "[Service]\nEnvironment=\"MODE=a unit\" \"B=1\"\nWorkingDirectory=/opt/store\nExecStart=/opt/venv/bin/uvicorn main:app\n"},
        ("uvicorn main:app",), "store", {"MODE": "a unit", "B": "1"},
    ),
    "a unit in a folder that is called as the package in it": (
        {"web.service": "[Service]\nWorkingDirectory=/opt/store\nExecStart=/opt/venv/bin/uvicorn store.main:app\n"},
        ("uvicorn store.main:app",), ".", {},
    ),
    "a supervisor": (
        {"web.conf": "[program:web]\ncommand=uvicorn main:app ; the site\nenvironment=MODE=\"x\",B='y z'\ndirectory=/opt/store\n"},
        ("uvicorn main:app",), "store", {"MODE": "x", "B": "y z"},
    ),
    "fly": (
        {"fly.toml": "[env]\nMODE = 'fly'\n[processes]\napp = 'gunicorn main:app'\n"}, ("gunicorn main:app",), ".", {"MODE": "fly"},
    ),
    "render": (
        {"render.yaml": "services:\n- startCommand: uvicorn main:app --port $PORT\n  envVars: [{key: MODE, value: render}]\n"},
        ("uvicorn main:app --port $PORT",), ".", {"MODE": "render"},
    ),
    "Heroku's description of an app": (
        {"app.json": '{"description": "flask run in one place", "env": {"MODE": {"value": "app"}}, "scripts": {"postdeploy": "flask db upgrade"}}'},
        ("flask db upgrade",), ".", {"MODE": "app"},
    ),
    "a Taskfile": (
        {"Taskfile.yml": "env: {MODE: task}\ntasks:\n  web:\n    dir: store\n    cmds: [alembic upgrade head, 'uvicorn main:app']\n"},
        ("alembic upgrade head", "uvicorn main:app"), "store", {"MODE": "task"},
    ),
    "tox": (
        {"tox.ini": "[testenv]\nsetenv =\n  MODE = tox\n  OTHER = {env:OTHER:x}\ncommands =\n  alembic upgrade head\n  pytest -q {posargs}\n"},
        ("alembic upgrade head", "pytest -q"), ".", {"MODE": "tox"},
    ),
    "a step of a workflow": (
        {".github/workflows/ci.yml": "jobs:\n  t:\n    env: {MODE: ci}\n    steps:\n    - working-directory: store\n      run: |\n        pip install .\n        alembic upgrade head\n        alembic check\n"},
        ("alembic upgrade head", "alembic check"), "store", {"MODE": "ci"},
    ),
    "a container to develop in": (
        {".devcontainer/devcontainer.json": '{"postStartCommand": "uvicorn main:app --reload", "containerEnv": {"MODE": "dev"}}'},
        ("uvicorn main:app --reload",), ".", {"MODE": "dev"},
    ),
    "a file of variables that compose names": (
        {"compose.yml": "services:\n  web: {command: uvicorn main:app, env_file: [deploy/web.env]}\n", "deploy/web.env": "MODE=file\n"},
        ("uvicorn main:app",), ".", {"MODE": "file"},
    ),
    "a target whose variables hold others, with the quotes that a shell reads": (
        {"Makefile": "APP = \"main:make('$(MODE)')\"\nMODE ?= live\nserve:\n\tflask --app $(APP) run\n"},
        ("""flask --app "main:make('live')" run""",), ".", {},
    ),
    "a unit whose program is a library's, of the application's own function": (
        {"web.service": "[Service]\nExecStart=/opt/venv/bin/python -m aiohttp.web -P 80 main:start\n"},
        ("python -m aiohttp.web -P 80 main:start",), ".", {},
    ),
    "a task that is made of others": (
        {"pyproject.toml": "[tool.pdm.scripts]\ndb = 'alembic upgrade head'\nweb = {cmd = 'uvicorn main:app'}\nstart = {composite = ['db', 'web']}\n"},
        ("alembic upgrade head", "uvicorn main:app"), ".", {},
    ),
    "a unit of a worker in a folder of the machine that is called as a package": (
        {
            "jobs/app.py": "",
            "etc/worker.service": "[Service]\nWorkingDirectory=/srv/store\nExecStart=/srv/store/venv/bin/celery -A jobs.app worker\n",
        },
        ("celery -A jobs.app worker",), ".", {},
    ),
    "a job of a CI service that is called test": (
        {".github/workflows/ci.yml": "jobs:\n  test:\n    steps:\n      - run: |\n          alembic upgrade head\n          pytest -q\n"},
        ("alembic upgrade head", "pytest -q"), ".", {},
    ),
    "an image that has what one folder holds, and no more of the application": (
        {"Dockerfile": "FROM x\nWORKDIR /code\nCOPY requirements.txt .\nCOPY --chown=1 ./store /code\nCMD uvicorn store.main:app\n"},
        ("uvicorn store.main:app",), "store", {},
    ),
    "an image that has a file beside what one folder holds": (
        {"Dockerfile": "FROM x\nWORKDIR /code\nCOPY main.py .\nCOPY ./store /code\nCMD uvicorn store.main:app\n"},
        ("uvicorn store.main:app",), ".", {},
    ),
    "a service that mounts more than its image has": (
        {
            "Dockerfile": "FROM x\nWORKDIR /code\nCOPY ./store /code\nCMD uvicorn store.main:app\n",
            "docker-compose.yml": "services:\n  web:\n    build: .\n    command: uvicorn store.main:app --workers 2\n    volumes: ['.:/code', 'data:/data']\n",
        },
        ("uvicorn store.main:app --workers 2",), ".", {},
    ),
    "a service that mounts what its image has, and something from outside": (
        {
            "Dockerfile": "FROM x\nWORKDIR /code\nCOPY ./store /code\nCMD uvicorn store.main:app\n",
            "docker-compose.yml": "services:\n  db: {build: ., command: true, volumes: true}\n  web:\n    build: .\n    command: uvicorn store.main:app --workers 2\n    volumes: ['./store:/code', '../common:/code/common']\n",
        },
        ("uvicorn store.main:app --workers 2",), "store", {},
    ),
    "a target that goes to its folder first": (
        {"Makefile": "APP = main:app\nserve:\n\tcd store && uvicorn $(APP)\n"}, ("uvicorn main:app",), "store", {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _DECLARED)
def test_whatever_file_declares_a_command_its_folder_and_variables_are_kept(name, tmp_path):
    files, lines, workdir, env = _DECLARED[name]
    project = Project(written(tmp_path, {**files, "main.py": "", "store/main.py": ""}))
    command = next(command for command in commands_of(project) if command.lines == lines)
    assert (command.workdir, {name: text for name, (text, _) in command.env.items()}) == (workdir, env)
    assert not any("one place" in line for other in commands_of(project) for line in other.lines)


def test_fields_of_settings_that_are_classes_are_read_by_the_name_that_a_delimiter_joins(tmp_path):
    source = """
        class Database(BaseModel):
            hostname: str = "db"
            db: str = "shop"

        class Settings(BaseSettings):
            database: Database = Field(default_factory=Database)
            model_config = SettingsConfigDict(env_nested_delimiter="__")

        engine = create_engine(URL.create("postgresql", host=Settings().database.hostname))
    """
    variables = variables_of(Project(written(tmp_path, {"settings.py": source})))
    assert {variable.name for variable in variables} == {"DATABASE__HOSTNAME", "DATABASE__DB"}
    assert {name: value for name, (value, _) in parts_of(variables).items()} == {
        "DATABASE__HOSTNAME": "{database_host}",
        "DATABASE__DB": "{database_name}",
    }
    assert named({"database"}, variables) == {"DATABASE__HOSTNAME", "DATABASE__DB"}
    assert named({"database.db"}, variables) == {"DATABASE__DB"}


@pytest.mark.parametrize(
    ("ran", "shown", "after"),
    [
        ("alembic upgrade head", "FAILED: Path doesn't exist: store/alembic.  Please", [("alembic -c conf/alembic.ini upgrade head", ".")]),
        ("alembic upgrade head", "FAILED: Path doesn't exist: '/srv/store/alembic'.  Please", [("alembic upgrade head", "conf")]),
        ("alembic upgrade head", "FAILED: Multiple head revisions are present", [("alembic upgrade heads", "conf")]),
        ("alembic upgrade head", "KeyError: 'tenant'", [("alembic -x tenant=stand-in upgrade head", "conf")]),
    ],
)  # fmt: skip
def test_what_alembic_was_given_where_it_ran_is_given_again(ran, shown, after, tmp_path):
    files = {
        "conf/alembic.ini": "[alembic]\nscript_location = store/alembic\n",
        "conf/image.cfg": "[alembic]\nscript_location = /srv/store/alembic\n",
        "store/alembic/env.py": "from alembic import context\nx = context.get_x_argument(as_dictionary=True)\nx['tenant']\n",
    }
    project = Project(written(tmp_path, files))
    place = Placed("store/alembic/env.py", 3, "<module>", None, "/srv/store/alembic/env.py", None)
    seen = Evidence(error=shown, text=shown, frames=(place,))
    setup = Setup(Start((("command", ran),), "", 0, workdir="conf"))
    work = Search(project, Evidence(text="no such table", expected="no such table"), "python", tmp_path, print)
    setups = lessons(work, Trial(setup, None, 0, shown, seen, 1.0))
    assert [(other.start.steps[-1][1], other.start.workdir) for other in setups] == after


@pytest.mark.parametrize(
    ("workdir", "section", "checks"),
    [(".", "alembic", [{"migrations": "conf/alembic.ini"}]), ("conf", "alembic", []), (".", "stock", [])],
    ids=["there", "in another folder", "under names of its own"],
)
def test_alembics_settings_are_asked_where_the_folder_of_the_start_has_them(workdir, section, checks, tmp_path):
    project = Project(written(tmp_path, {"conf/alembic.ini": f"[{section}]\nscript_location = .\n", "main.py": ""}))
    start = Start((("command", "alembic -c conf/alembic.ini upgrade head"),), "", 0, workdir=workdir)
    assert checks_of(project, Setup(start))[:-2] == checks


@pytest.mark.parametrize(
    ("url", "refused", "replaced"),
    [
        ("postgresql+psycopg2://store@127.0.0.1/store", "postgresql+psycopg2://store@127.0.0.1/store", [("store.ini", "postgresql")]),
        ("sqlite:////var/tmp/store.db", "sqlite:////var/tmp/store.db", [("store.ini", "sqlite")]),
        ("sqlite:///store.db", "redis://127.0.0.1", []),
    ],
)  # fmt: skip
def test_a_database_of_the_applications_own_that_is_refused_is_replaced_where_it_is_written_at_once(
    url, refused, replaced, tmp_path
):
    project = Project(written(tmp_path, {"main.py": "", "store.ini": f"[store]\nurl = {url}\n"}))
    text = f"(OperationalError) {refused}: refused"
    trace = SimpleNamespace(refused=[{"what": refused}], swallowed=(), broke=None, whole=False, steps=())
    evidence = Evidence(text="no stock", expected="no stock", database=url.partition("+")[0].partition(":")[0])
    work = Search(project, evidence, "python", tmp_path, print)
    setup = Setup(Start((("command", "python main.py"),), "", 0))
    setups = lessons(work, Trial(setup, trace, 0, text, Evidence(error=text, type="OperationalError", text=text), 1.0))
    assert [(other.prepare[0][1].rpartition(" ")[2], other.database) for other in setups] == replaced


_TASKS = "[tool.taskipy.tasks]\nkeys = 'python -m store.keys > keys.json'\nfront = 'pnpm run build'\n"


@pytest.mark.parametrize(
    ("text", "logged", "prepared"),
    [
        ("keys.json is not there. Make it by running the command:\nuv run task keys", "", [(("command", "python -m store.keys > keys.json"),)]),
        ("keys.json is not there: uv run task keys", "keys.json is not there: uv run task keys", []),
        ("run task keys-of-old", "", []),
        ("the front end is not there: uv run task front", "", []),
    ],
)  # fmt: skip
def test_a_task_that_a_trials_error_says_to_run_is_run_before_it(text, logged, prepared, tmp_path):
    project = Project(written(tmp_path, {"store/keys.py": "", "pyproject.toml": _TASKS}))
    seen = Evidence(error=f"ValueError: {text}", type="ValueError", text=text)
    work = Search(project, Evidence(text=logged), "python", tmp_path, print)
    setup = Setup(Start((("command", "alembic upgrade head"),), "", 0))
    assert [other.prepare for other in lessons(work, Trial(setup, None, 0, text, seen, 1.0))] == prepared


@pytest.mark.slow
def test_the_last_part_of_a_start_that_comes_up_as_a_whole_is_no_incident(kit, tmp_path, small):
    tasks = (
        "[tool.pdm.scripts]\nplan = 'python plan.py'\nweb = 'python web.py'\nstart = {composite = ['plan', 'web']}\n"
    )
    opened = "import os, sqlite3\nopened = sqlite3.connect(os.environ['DATABASE_URL'].partition(':///')[2])\n"
    web = """
        from http.server import BaseHTTPRequestHandler, HTTPServer
        if not opened.execute("SELECT * FROM sqlite_master").fetchall():
            raise RuntimeError("nobody has planned")
        HTTPServer(("127.0.0.1", int(os.environ["PORT"])), BaseHTTPRequestHandler).serve_forever()
    """
    plan = "opened.execute('CREATE TABLE plan (day TEXT)')\n"
    files = {"pyproject.toml": tasks, "plan.py": opened + plan, "web.py": opened + textwrap.dedent(web)}
    root = written(tmp_path / "app", files)
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--json")
    assert said.code == 3, said.out + said.err
    assert [str(step) for step in load(tmp_path / "x").startup] == ["command: python plan.py", "serve: python web.py"]


def test_a_path_that_a_settings_class_does_not_take_is_made_in_the_copy(tmp_path):
    project = Project(written(tmp_path, {"main.py": ""}))
    text = "1 validation error for Settings\nRENDERER\n  Value error, The path tools/render is not a valid file path or does not exist."
    seen = Evidence(error=f"ValidationError: {text}", type="ValidationError", text=text)
    work = Search(project, Evidence(), "python", tmp_path, print)
    setup = Setup(Start((("command", "alembic upgrade head"),), "", 0))
    taught = lessons(work, Trial(setup, None, 0, text, seen, 1.0))
    assert [other.prepare for other in taught] == [(("command", "mkdir -p tools/render"),)]


_SUBCOMMANDS = """
    import click
    from store.base import migrated

    @click.group()
    def cli():
        pass

    @cli.command("run")
    @click.option("-p", "--port", default=5000)
    def run(port):
        app.run(port=port)

    @cli.group("user")
    def user():
        pass

    @user.command("migrate")
    def migrate():
        migrated()

    if __name__ == "__main__":
        cli()
"""


ENTERED = (
    "from store.base import migrated\nmigrated()\nfrom store.cli import cli\ncli()\n",
    "from store.base import migrated\nfrom store.cli import cli as main, user\nmigrated()\nif __name__ == '__main__':\n    main()\n",
    "from store.cli import cli\nfrom .base import migrated\nraise SystemExit(cli(migrated()))\n",
    "from asyncio import run\nfrom store.cli import cli\n\ndef main():\n    cli()\n\nrun(main())\n",
)


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("", ("command", "python -m store")),
        (" user migrate", ("command", "python -m store user migrate")),
        (" run", ("serve", "python -m store run --port {port}")),
    ],
)
@pytest.mark.parametrize(
    "main", ["", "from store.cli import cli\n\ncli()\n", "from .cli import cli\nraise SystemExit(cli())\n", *ENTERED]
)
def test_a_program_of_several_commands_serves_where_the_one_that_does_is_named(words, step, main, tmp_path):
    files = {"store/__main__.py": main or _SUBCOMMANDS, "store/base.py": "def migrated():\n    raise SystemExit(1)\n"}
    project = Project(written(tmp_path, {**files, "store/cli.py": _SUBCOMMANDS} if main else files))
    assert step_of(f"python -m store{words}", project) == step


def test_what_a_child_said_is_the_cause_and_not_that_it_ended(tmp_path):
    project = Project(written(tmp_path, {"store/__main__.py": _SUBCOMMANDS}))
    error = "subprocess.CalledProcessError: Command '['python3', '-m', 'alembic', 'upgrade', 'head']' returned non-zero exit status 255."
    log = traceback("/srv/store/__main__.py:20:migrate", error=error)
    of_child = "FAILED: Can't locate revision identified by 'c3d4'\n"
    evidence = evidence_of(read_log(of_child + log), of_child + log, project)
    assert evidence.expected == "Can't locate revision identified by 'c3d4'"
    assert [frame.function for frame in evidence.frames] == ["migrate"]
    assert evidence_of(read_log(log), log, project).type == "subprocess.CalledProcessError"


def test_an_error_without_words_is_known_by_what_it_was_raised_from(tmp_path):
    project = Project(written(tmp_path, {"store/__main__.py": _SUBCOMMANDS}))
    cause = traceback(
        "/srv/store/__main__.py:20:migrate", error="sqlite3.OperationalError: duplicate column name: rank"
    )
    between = "\nThe above exception was the direct cause of the following exception:\n\n"
    log = cause + between + traceback("/srv/store/__main__.py:30:main", error="store.errors.MigrationError:")
    assert evidence_of(read_log(log), log, project).expected == "duplicate column name: rank"


def test_the_word_of_argparse_that_leads_to_a_function_of_the_log_is_typed(tmp_path):
    text = """
        class Manager:
            def add_upgrade(self):
                parser = self.parsers.add_parser('current')
                parser.set_defaults(func=self.current)
                parser = self.parsers.add_parser('to-head',
                                                 help='all of them')
                parser.set_defaults(func=self.upgrade)
            def upgrade(self, args):
                raise KeyError("a1")
    """
    project = Project(written(tmp_path, {"store/manage.py": text}))
    frames = [
        Placed("store/manage.py", line, function, None, "", "") for line, function in ((10, "execute"), (9, "upgrade"))
    ]
    assert subcommand_of(project, frames) == ["to-head"]


@pytest.mark.parametrize(
    ("step", "subject"),
    [
        (("code", "import sys; sys.argv[1:] = ['users', 'add']; from store.cli import main; main()"), "store.cli:main users add"),
        (("command", "PYTHONPATH=/srv/alembic alembic upgrade head"), "alembic upgrade head"),
        (("serve", "FLASK_APP=/srv/the-flask flask run --port {port}"), "flask run"),
        (("command", "celery -A celery worker"), "celery -A celery worker"),
    ],
)  # fmt: skip
def test_a_title_names_the_program_that_is_called_with_its_words(step, subject, tmp_path):
    project = Project(written(tmp_path, {"a.py": ""}))
    title = title_of(Evidence(expected="no table"), Setup(Start((step,), "", 0)), project)
    assert title == f"{subject} fails: no table"


def test_what_a_debugger_is_given_is_what_runs():
    assert words_of("python -m debugpy --listen 0.0.0.0:5678 -m store.main serve") == [
        "python",
        "-m",
        "store.main",
        "serve",
    ]


def test_variables_that_a_readme_types_before_its_commands_are_set_for_what_has_none(tmp_path):
    scripts = '[project]\nname = "store"\n[project.scripts]\nstore = "store.main:main"\n'
    readme = "# Store\n\n    $ STORE_MODE=dev poetry run ./init.sh\n\nSet `LIMIT=3` first.\n"
    files = {"pyproject.toml": scripts, "README.md": readme, "store/main.py": "def main(): ...\n"}
    (command,) = commands_of(Project(written(tmp_path, files)))
    assert command.env == {"STORE_MODE": ("dev", "README.md:3")}


def test_a_revision_that_no_file_has_is_in_the_database_even_where_only_the_application_upgrades_it(tmp_path):
    text = "Can't locate revision identified by 'c3'"
    work = Search(Project(written(tmp_path / "app", {"main.py": ""})), Evidence(text=text), "python", tmp_path, print)
    setup = Setup(Start((("serve", "uvicorn main:app --port {port}"),), "", 0))
    setups = lessons(work, Trial(setup, None, 0, "every step succeeded", Evidence(), 1.0))
    state = ("sql", "database-state.sql")
    assert [other.prepare for other in setups] == [(("upgrade", "head"), state), (state,)]


def test_a_scheme_that_the_code_demands_of_its_url_is_given(tmp_path):
    work = Search(Project(written(tmp_path, {"main.py": ""})), Evidence(), "python", tmp_path, print)
    text = "Please use the 'postgres://…' format for the database URL."
    seen = Evidence(error=f"ValueError: {text}", type="ValueError", text=text)
    setup = Setup(Start((("serve", "uvicorn main:app --port {port}"),), "", 0), database_env="STORE_URL")
    first, *_ = taught = lessons(work, lacking := Trial(setup, None, 0, text, seen, 1.0))
    assert first.database == "postgresql" and first.env["STORE_URL"].startswith("postgres://{database_user}:")
    of_postgresql = replace(lacking, setup=replace(setup, database="postgresql"))
    for trial, setups in ((lacking, taught), (of_postgresql, lessons(work, of_postgresql))):
        assert with_what_is_known([replace(setup, run=2)], trial, setups)[0].env == {}, "no URL of another database"


@pytest.mark.parametrize(
    ("path", "env", "after"),
    [
        ("/tmp/gauge_all_413.db", {}, {"PROMETHEUS_MULTIPROC_DIR": "."}),
        ("/state/keys/1.pem", {"KEYS": "/state/keys"}, {"KEYS": "."}),
        ("/var/log/store.log", {"LOG_FILE": "/var/log/store.log"}, {"LOG_FILE": "store.log"}),
        ("/tmp/prometheus", {}, {"METRICS_DIR": "prometheus"}),  # what the sources take without the variable
        (
            "/run/shared/prometheus",
            {"SHARED": "/run/shared/prometheus"},
            {"SHARED": "shared/prometheus"},
        ),  # there is one here
        ("/var/log/other.log", {"LOG_FILE": "/var/log/store.log"}, None),
    ],
)
def test_what_a_variable_makes_it_write_outside_of_the_copy_is_written_in_it(path, env, after, tmp_path):
    sources = {
        "main.py": "import os\nfolder = os.environ.get('METRICS_DIR', '/tmp/prometheus')\n",
        "shared/prometheus": "",
    }
    project = Project(written(tmp_path, sources))
    text = f"[Errno 13] Permission denied: '{path}'"
    seen = Evidence(error=f"PermissionError: {text}", type="PermissionError", text=text)
    setup = Setup(Start((("serve", "uvicorn main:app --port {port}"),), "", 0), env=env)
    work = Search(project, Evidence(), "python", tmp_path, print, variables=variables_of(project))
    setups = lessons(work, Trial(setup, None, 0, text, seen, 1.0))
    assert [other.env for other in setups] == ([] if after is None else [after])


def test_a_stand_in_that_a_trial_took_for_a_databases_url_is_that_url_then(tmp_path):
    error = "ArgumentError: Could not parse SQLAlchemy URL from given URL string"
    work = Search(
        Project(written(tmp_path, {"main.py": ""})), Evidence(error="E: e", expected="e"), "python", tmp_path, print
    )
    setup = Setup(Start((("serve", "uvicorn main:app"),), "", 0), env={"SHOP_DSN": "stand-in", "REGION": "stand-in"})
    after = lessons(work, Trial(setup, None, 0, error, Evidence(error=error, text=error), 1.0))
    assert [other.env for other in after] == [{"SHOP_DSN": "{database_url}", "REGION": "stand-in"}]


def test_a_requests_environ_is_no_environment_and_what_is_asked_for_first_is_not_required(tmp_path):
    text = """
        import os

        class Prefixed:
            def __call__(self, environ, start_response):
                return environ["PATH_INFO"]

        if "STORE_ARCH" in os.environ:
            arch = os.environ["STORE_ARCH"]
        if os.getenv("STORE_TOKEN_FILE"):
            token = os.environ["STORE_TOKEN_FILE"]
        zone = os.environ["STORE_ZONE"]
        places = Config()
        place = places.ROOMS.get("shelf")
    """
    found = variables_of(Project(written(tmp_path, {"settings.py": text})))
    assert {one.name: one.required for one in found} == {
        "STORE_ARCH": False,
        "STORE_TOKEN_FILE": False,
        "STORE_ZONE": True,
    }


def test_a_variable_that_one_start_lacked_is_there_for_the_starts_that_wait_and_theirs_stay(tmp_path):
    first, other, last = (Setup(Start((("command", f"python {name}.py"),), "", 0)) for name in ("a", "b", "c"))
    last = last.changed("env.ZONE", "as deployed", env={"ZONE": "north"})
    lacking = Trial(first, None, 0, "KeyError: 'ZONE'", Evidence(), 1.0)
    taught = [first.changed("env.ZONE", "a trial failed for want of ZONE", env={"ZONE": "stand-in"})]
    waiting = with_what_is_known([other, last], lacking, taught)
    assert [(setup.env, setup.known) for setup in waiting] == [
        ({"ZONE": "stand-in"}, {"env.ZONE": "a trial failed for want of ZONE"}),
        ({"ZONE": "north"}, {"env.ZONE": "as deployed"}),
    ]


def test_a_variable_takes_what_another_place_takes_without_it_and_a_choice_one_of_its_own(tmp_path):
    """The type of a database holds no URL, whatever its name; what is called a schema may be the database's name."""
    text = """
        import os
        from typing import Literal
        from pydantic_settings import BaseSettings

        class Settings(BaseSettings):
            STORE_STAGE: Literal["dev", "prod"]
            DATABASE_TYPE: Literal["mysql", "postgresql"]
            DATABASE_HOST: str
            DATABASE_PASSWD: str
            DATABASE_KIND: Kind = Kind.LITE
            DATABASE_SCHEMA: str = "store"
            REDIS_PASSWORD: str
            REDIS_URL: str

        zone = os.environ["STORE_ZONE"]
        other = os.environ.get("STORE_ZONE", "north")
        STORE_DB_DRIVER = os.environ.get("STORE_DB_DRIVER", "mysql")
        shelf = os.environ.get("STORE_SHELF")
        place = shelf if shelf else "/store/shelf"
    """
    files = {
        "settings.py": text,
        "engine.py": "from settings import STORE_DB_DRIVER\nasked = STORE_DB_DRIVER == 'postgresql'\n",
        "kinds.py": "from enum import StrEnum\n\nclass Kind(StrEnum):\n    LITE = 'SQLITE'\n    POSTGRES = 'POSTGRESQL'\n",
    }
    variables = variables_of(project := Project(written(tmp_path, files)))
    values = stand_ins(project, variables, frozenset())
    secret, _ = values.pop("REDIS_PASSWORD")
    del values["DATABASE_PASSWD"]
    assert {name: value for name, (value, _) in values.items()} == {
        "STORE_STAGE": "dev",
        "DATABASE_TYPE": "postgresql",
        "DATABASE_HOST": "stand-in",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
    }
    assert len(secret) >= 32 and len(base64.urlsafe_b64decode(secret)) == 32, "as Fernet asks of a key"
    assert {name: value for name, (value, _) in parts_of(variables).items()} == {
        "DATABASE_HOST": "{database_host}",
        "DATABASE_PASSWD": "{database_password}",
        "DATABASE_SCHEMA": "{database_name}",
    }
    assert {name: value for name, (value, _) in chosen_kinds(project, variables).items()} == {
        "DATABASE_KIND": "POSTGRESQL",
        "STORE_DB_DRIVER": "postgresql",
    }
    zone, shelf = (variable for variable in variables if variable.name in ("STORE_ZONE", "STORE_SHELF"))
    assert (zone.required, zone.default, shelf.default) == (False, "north", "/store/shelf")


def test_credentials_hold_user_and_password_of_the_scratch_database(tmp_path):
    names = ("DATABASE_HOSTNAME", "DATABASE_NAME", "DATABASE_CREDENTIALS")
    lines = "".join(f"{name} = os.environ['{name}']\n" for name in names)
    parts = parts_of(variables_of(Project(written(tmp_path, {"settings.py": f"import os\n{lines}"}))))
    assert parts["DATABASE_CREDENTIALS"][0] == "{database_user}:{database_password}"


def test_a_secret_of_an_example_file_is_never_taken_over():
    assert (
        stand_in("REGION", "str", "north") == "north"
        and stand_in("API_TOKEN", "str", "hunter2hunter2") != "hunter2hunter2"
    )
    assert (stand_in("A_PORT"), stand_in("DEBUG", "bool"), stand_in("HOSTS", "list[str]")) == ("1", "false", "[]")


def test_a_traceback_that_is_drawn_in_a_box_is_read():
    log = """\
╭──────────── Traceback (most recent call last) ─────────────╮
│ /srv/app/main.py:3 in <module>                             │
│                                                            │
│ ❱ 3 print(x)                                               │
╰────────────────────────────────────────────────────────────╯
NameError: name 'x' is not defined
"""
    [read] = read_log(log).tracebacks
    assert [(frame.file, frame.line, frame.function) for frame in read.frames] == [("/srv/app/main.py", 3, "<module>")]
    assert str(read.error) == "NameError: name 'x' is not defined"


def test_the_field_that_a_settings_class_lacks_is_expected(tmp_path):
    error = "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\nsmtp_host\n  Field required [type=missing]"
    log = traceback("/srv/settings.py:9:<module>", error=error)
    evidence = evidence_of(read_log(log), log, Project(written(tmp_path, {"settings.py": ""})))
    assert evidence.expected == "1 validation error for Settings\nsmtp_host\n  Field required"
    assert evidence.missing_variables == {"smtp_host"}


# ------------------------------------------------------------------------------ without a log

ENTRYPOINT = """
    #!/bin/bash
    set -e
    WORKERS=${WORKERS:-1}
    if [ "$SKIP_PING" = "false" ]; then
        python ping.py
    fi
    echo "Starting"
    exec uvicorn store.main:app \\
        --host 0.0.0.0 --port 8000 \\
        --workers $WORKERS --root-path "$ROOT_PATH"
"""
ASKS = "if __name__ == '__main__':\n    input('Really? ')\n"


def test_without_a_log_what_is_deployed_answers_and_not_what_else_can_be_run(kit, tmp_path, small):
    """A script with a port of its own is read line by line; a program that asks, and one of the examples, are not tried."""
    sound = "from starlette.applications import Starlette\n\napp = Starlette()\n"
    files = {
        "store/__init__.py": "",
        "store/main.py": sound,
        "upgrade_1_to_2.py": ASKS,
        "ping.py": ASKS,
        "examples/start.sh": "python ask.py\n",
    }
    files |= {
        "docker-entrypoint": ENTRYPOINT,
        "Dockerfile": 'FROM python:3.12\nWORKDIR /app\nCOPY . /app\nENTRYPOINT ["/app/docker-entrypoint"]\n',
    }
    root = written(tmp_path / "app", files)
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--json")
    assert said.code == 3, said.out + said.err
    steps = ["serve: uvicorn store.main:app --workers 1 --port {port}", "serve: uvicorn store.main:app --port {port}"]
    assert {one["startup"] for one in said.json["tried"]} <= set(steps)
    assert "comes up" in said.json["not_found"][0]
    assert load(tmp_path / "x").title == "store.main under uvicorn starts; what goes wrong is not known yet"


def test_a_start_in_which_nothing_of_the_application_ran_has_not_come_up(kit, tmp_path, small):
    """As of an entry point that does nothing without an argument."""
    files = {
        "main.py": "from starlette.applications import Starlette\n\napp = Starlette()\n",
        "entry.sh": '#!/bin/sh\nset -e\npython --version\nexec "$@"\n',
        "Dockerfile": 'FROM python:3.12\nCOPY . /app\nWORKDIR /app\nENTRYPOINT ["/app/entry.sh"]\n',
    }
    said = kit("new", tmp_path / "x", "--app", written(tmp_path / "app", files), "--python", small, "--json")
    assert said.code == 3 and "comes up" in said.json["not_found"][0], said.out + said.err
    assert str(load(tmp_path / "x").startup[0]) == "serve: uvicorn main:app --port {port}"


@pytest.mark.parametrize(
    ("kind", "text", "line", "of_them"),
    [
        ("ProgrammingError", 'type "geometry" does not exist', "", True),
        ("ProgrammingError", 'extension "vector" is not available', "", True),
        ("ProgrammingError", 'type "mood" does not exist', "", False),
        ("IndexError", "list index out of range", "name = sys.argv[1]", True),
        ("IndexError", "list index out of range", "main(argv[1])", True),
        ("IndexError", "list index out of range", "return self.argv_cache[0]", False),
        ("IndexError", "list index out of range", "return self.argv[0], old_argv[0]", False),
    ],
)
def test_what_the_server_or_the_command_has_not_is_of_the_surroundings(kind, text, line, of_them, tmp_path):
    project = Project(written(tmp_path, {"main.py": ""}))
    seen = Evidence(text=text, type=kind, frames=(Placed("main.py", 1, "main", line, "", ""),))
    assert of_the_surroundings(seen, [], project) == of_them


OF_HOW_IT_IS_STARTED = {
    "a settings class refuses what it is given": {
        "main.py": """
            from starlette.applications import Starlette
            from pydantic import BaseModel as BaseSettings, model_validator

            class Config(BaseSettings):
                MODE: str = "production"

                @model_validator(mode="after")
                def reporting(self):
                    if self.MODE == "production":
                        raise ValueError("reporting is not set up")
                    return self

            Config()
            app = Starlette()
        """,
    },
    "a script takes the argument that nobody gives it": {
        "pyproject.toml": '[project]\nname = "store"\n[project.scripts]\nload = "load:main"\n',
        "load.py": "import sys\nfrom pydantic import BaseModel\n\ndef main():\n    print(open(sys.argv[1]).read())\n",
    },
    "the interpreter is another than the application asks for": {
        "pyproject.toml": '[project]\nname = "store"\nrequires-python = ">=3.99"\n',
        "main.py": "from starlette.applications import Starlette\n\napp = Starlette()\n\ndef parcel() -> Later: ...\n",
    },
    "a server fails over a worker that failed of its settings": {
        "main.py": """
            import traceback
            from pydantic import BaseModel as BaseSettings, Field

            class Config(BaseSettings):
                MODE: str = Field("production", max_length=4, validate_default=True)

            class HaltServer(Exception): ...

            def boot():
                try:
                    Config()
                except ValueError:
                    traceback.print_exc()
                    raise HaltServer("Worker failed to boot.") from None

            if __name__ == "__main__":
                try:
                    boot()
                except HaltServer:
                    len(None)
        """,
    },
    "a console script's package has a folder of the name of a module that such a script has imported": {
        "pyproject.toml": '[project]\nname = "store"\n[project.scripts]\nstore = "store.cli:main"\n',
        "Dockerfile": 'FROM python:3.12\nCOPY . .\nCMD ["store", "work"]\n',
        "store/__init__.py": "import sys\n\nsys.path.insert(0, __path__[0])\n",
        "store/types/__init__.py": "from functools import partial\n",
        "store/cli.py": "import functools\n\ndef main():\n    pass\n",
    },
    "a settings file that only the deployment has": {
        "main.py": """
            from pathlib import Path
            from starlette.applications import Starlette

            if not Path("store.ini").exists():
                raise RuntimeError("STORE_INI: store.ini is wanted")
            app = Starlette()
        """,
    },
    "a server asks for a table before anything has migrated": {
        "Dockerfile": 'FROM python:3.12\nCOPY . .\nCMD ["uvicorn", "main:app"]\n',
        **{name: text for name, text in CHANGES.items() if "b2" not in name},
        "main.py": """
            import logging, os
            from starlette.applications import Starlette
            from sqlalchemy import create_engine, text

            logging.disable()  # what it logs goes elsewhere

            engine = create_engine(os.environ["DATABASE_URL"])
            try:
                with engine.connect() as connection:
                    connection.execute(text("SELECT id FROM parcels"))
            except Exception:
                logging.exception("no parcels")
            app = Starlette()
        """,
    },
    "the deployed server is not installed, and a guessed one enters a cycle of imports by another module": {
        "Dockerfile": 'FROM python:3.12\nCOPY . .\nCMD ["gunicorn", "boot:app"]\n',
        "boot.py": "import store.models\nfrom store.web import app\n",
        "store/__init__.py": "",
        "store/models.py": "LIMIT = 5\nfrom store.web import app\n",
        "store/web.py": "from starlette.applications import Starlette\nfrom store.models import LIMIT\n\napp = Starlette()\n",
    },
    "an application object needs what only its machine has, and another enters a cycle of imports by another module": {
        "boot.py": "import store.models\nfrom starlette.applications import Starlette\n\nopen('/srv/store.key')\napp = Starlette()\n",
        "store/__init__.py": "",
        "store/models.py": "LIMIT = 5\nfrom store import web\napp = web.app\n",
        "store/web.py": "from starlette.applications import Starlette\nfrom store.models import LIMIT\n\napp = Starlette()\n",
    },
    "the kit gives a driver that the code does not take": {
        "main.py": """
            import os
            from starlette.applications import Starlette
            from sqlalchemy import create_engine
            from sqlalchemy.ext.asyncio import create_async_engine

            engine = create_async_engine(os.environ["STORE_DATABASE_URL"])
            app = Starlette()

            def report():
                return create_engine("sqlite://")
        """,
    },
}


@pytest.mark.parametrize("name", OF_HOW_IT_IS_STARTED)
def test_what_fails_of_how_it_is_started_is_no_incident_and_the_file_that_is_written_shows_none(
    name, kit, tmp_path, small
):
    root = written(tmp_path / "app", OF_HOW_IT_IS_STARTED[name])
    said = kit("new", tmp_path / "x", "--app", root, "--python", small, "--json")
    assert said.code == 3, said.out + said.err
    again = kit("reproduce", tmp_path / "x")
    assert again.code == 3, again.out
    if "interpreter" in name:
        assert any("Python >=3.99" in sentence and "pyproject.toml" in sentence for sentence in said.json["not_found"])


@pytest.mark.parametrize(
    "line",
    [
        "engine = create_engine(os.getenv('TESTING_DATABASE_URL', 'sqlite://'))",
        "engine = create_engine('sqlite:///' + os.getenv('STORE_SQLITE_PATH', 'a.db'))",
        "engine = create_engine(URL.create('postgresql', host=os.getenv('DB_ENDPOINT'), **json.loads(os.getenv('DB_PARAMETERS_JSON'))))",
        "engine = create_engine(URL.create('sqlite', query=os.getenv('SHOP_DB_QUERY'), database=os.getenv('SHOP_DB_NAME', 'shop.db')))",
        "goods = fetch(os.getenv('SHOP_DB_URL', PAGES))",
    ],
)
def test_a_variable_of_the_tests_of_a_files_place_of_a_part_or_of_a_page_is_not_the_databases(line, tmp_path):
    text = f"import os\nfrom sqlalchemy import create_engine\nPAGES = 'https://shop.example/db'\n{line}\n"
    root = written(tmp_path / "app", {"config.py": text})
    assert database_variables(variables_of(Project(root))) == []


# ------------------------------------------------------------------------------ of strangers' logs, by reading alone

CLI = """
    import click
    from store.db import engine

    @click.group()
    def main():
        pass

    @main.group()
    def stock():
        pass

    @stock.command()
    def load_all():
        with engine.connect() as connection:
            connection.exec_driver_sql("select * from stock")
"""
SHOP = """
    import os
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    db = SQLAlchemy(app)

    class Order(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    @app.route("/orders")
    def orders():
        return str(Order.query.count())

    @app.route("/")
    def index():
        return "open"
"""
REQUEST = """[2026-02-03 04:05:06,789] ERROR in app: Exception on /orders [GET]
Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/flask/app.py", line 902, in dispatch_request
    return self.ensure_sync(self.view_functions[rule.endpoint])(**view_args)
  File "/srv/shop.py", line 15, in orders
    return str(Order.query.count())
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: order
127.0.0.1 - - [03/Feb/2026 04:05:06] "GET /orders HTTP/1.1" 500 -
"""


def read_only(kit, tmp_path, files, log=None):
    root = written(tmp_path / "app", files)
    more = ["--log", "-"] if log else []
    said = kit("new", tmp_path / "x", "--app", root, "--read-only", *more, input=log)
    assert said.code == 3, said.err
    return load(tmp_path / "x")


@pytest.mark.parametrize(
    ("line", "put"),
    [("listen = 0.0.0.0:6543", "listen = 127.0.0.1:%(http_port)s"), ("port=6543", "port = %(http_port)s")],
)
def test_a_paste_file_of_pyramid_is_served_at_a_port_of_the_runs_own(line, put, kit, tmp_path):
    files = {
        "web.service": "[Service]\nExecStart=python3 -m pyramid.scripts.pserve production.ini --reload\n",
        "production.ini": f"[app:main]\nuse = egg:store\n[server:main]\nuse = egg:waitress#main\n{line}\n",
        "store/__init__.py": "",
    }
    incident = read_only(kit, tmp_path, files)
    assert str(incident.startup[0]) == "serve: python -m pyramid.scripts.pserve production.ini http_port={port}"
    prepared = shlex.split(str(incident.prepare[0]))
    pattern, text = prepared[-2].split("@")[1:3]
    assert (prepared[-1], re.sub(pattern, text, line)) == ("production.ini", put)


def test_the_words_that_chose_what_a_program_did_are_those_of_the_functions_that_the_log_passes(kit, tmp_path):
    files = {
        "src/store/__init__.py": "",
        "src/store/db.py": DB,
        "src/store/cli.py": CLI,
        "pyproject.toml": '[project]\nname = "store"\n[project.scripts]\nstore = "store.cli:main"\n',
    }
    log = (
        'Traceback (most recent call last):\n  File "/opt/venv/bin/store", line 8, in <module>\n    sys.exit(main())\n'
        '  File "/srv/src/store/cli.py", line 15, in load_all\n    connection.exec_driver_sql("select * from stock")\n'
        "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: stock\n"
    )
    files["enter.sh"] = "python -m ensurepip\n"
    startup = str(read_only(kit, tmp_path, files, log).startup[0])
    assert startup == "code: import sys; sys.argv[1:] = ['stock', 'load-all']; from store.cli import main; main()"
    project = Project(tmp_path / "app")
    starts = map(str, candidates_of(project, evidence_of(read_log(log), log, project), commands_of(project)))
    assert not any("ensurepip stock" in start for start in starts)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("/venv/bin/python3-cap /venv/bin/gunicorn -w 2 store.wsgi:app", "gunicorn -w 2 store.wsgi:app --bind 127.0.0.1:{port}"),
        ("/venv/bin/waitress-serve --listen=:80 --call store.wsgi:app", "waitress-serve --port={port} --call store.wsgi:app"),
        ("python -m aiohttp.web -H 0.0.0.0 -P 80 store.wsgi:start", "python -m aiohttp.web store.wsgi:start -H 127.0.0.1 -P {port}"),
        ("stored --port $STORE_PORT --workers 2", "stored --workers 2 --port {port}"),
        ("stored start --host=0.0.0.0", "stored start --host=0.0.0.0 --port {port}"),
    ],
    ids=["a program by its place in an image", "a server whose options end at its application", "a server that is a module of a library", "a program of its own that takes a port", "one that takes where it listens"],
)  # fmt: skip
def test_what_a_deployment_runs_is_a_step_on_the_port_that_the_kit_gives(line, step, tmp_path):
    setup = "entry_points={'console_scripts': ['stored = store.wsgi:main']}"
    project = Project(written(tmp_path, {"store/wsgi.py": "", "setup.py": setup}))
    assert step_of(line, project) == ("serve", step)


@pytest.mark.parametrize(
    ("script", "line", "error", "path"),
    [
        ("/venv/bin/stored", "sys.exit(main())", "ValueError: no", ["src"]),
        ("/app/.venv/bin/stored", "from store.cli import main", "ValueError: no", ["src"]),
        ("/venv/bin/stored", "from store.cli import main", "ModuleNotFoundError: No module named 'store'", []),
    ],
    ids=["as installed", "that cannot be imported", "not as the log has it"],
)
def test_a_program_of_its_own_has_its_package_on_the_path(script, line, error, path, kit, tmp_path):
    files = {f"src/{name}": text for name, text in store().items()}
    files["src/store/cli.py"] = "import os\nSSL_TRANSPORT = os.environ.get('SSL_TRANSPORT')\ndef main(): ...\n"
    files["pyproject.toml"] = '[project]\nname = "store"\n[project.scripts]\nstored = "store.cli:main"\n'
    files["Dockerfile"] = "FROM python\nCOPY . /app\nWORKDIR /app\nRUN pip install .\nCMD stored start --host=0.0.0.0\n"
    log = f'Traceback (most recent call last):\n  File "{script}", line 8, in <module>\n    {line}\n{error}\n'
    incident = read_only(kit, tmp_path, files, log)
    assert list(incident.app.path) == path and incident.title.startswith("store.cli:main fails: ")
    assert str(incident.startup[0]).endswith("main()' start --host=0.0.0.0 --port {port}")


def test_a_server_whose_script_names_its_port_gets_the_free_one_in_the_copy(kit, tmp_path):
    files = store() | {
        "run.py": "import uvicorn\nuvicorn.run('store.main:app', port=8000)\n",
        "Procfile": "web: python run.py\n",
    }
    incident = read_only(kit, tmp_path, files)
    assert str(incident.startup[0]) == "serve: python run.py"
    assert [step.kind for step in incident.prepare] == ["command"] and "port=int" in incident.prepare[0].text


@pytest.mark.parametrize(
    "call",
    [
        "app.run()",
        "app.run(debug=True)",
        "app.run(debug=True, port=app.config.get('PORT', '9191'))",
        "app.run(port=int(app.config.get('PORT', 8000)), debug=True)",
        "uvicorn.run(app, port=int((app.config.get('PORT') or dict(P=1).get('P'))))",
        "uvicorn.run(app)",
        "uvicorn.run('main:app', reload=False)",
        "web.run_app(app)",
        "web.run_app(app, host=config['host'], port=config['port'])",
    ],
)
def test_a_server_whose_script_writes_no_port_gets_the_free_one_too(call, kit, tmp_path):
    main = (
        f"import uvicorn\nfrom flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == '__main__':\n    {call}\n"
    )
    incident = read_only(kit, tmp_path, {"main.py": main}, "$ python main.py\nRuntimeError: of another kind\n")
    subprocess.run(incident.prepare[0].text, shell=True, check=True, cwd=tmp_path / "app")
    changed = ast.parse((tmp_path / "app" / "main.py").read_text())
    ports = [node for node in ast.walk(changed) if isinstance(node, ast.keyword) and node.arg == "port"]
    assert [ast.unparse(port.value) for port in ports] == ["int(__import__('os').environ['PORT'])"]


def test_a_settings_file_that_a_variable_names_is_written_with_the_scratch_database_in_it(kit, tmp_path):
    shop = SHOP.replace('["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]', '.from_envvar("SHOP_SETTINGS")')
    files = {"shop.py": f"# SQLALCHEMY_DATABASE_URI is in the settings\n{textwrap.dedent(shop)}"}
    incident = read_only(kit, tmp_path, files)
    startup = str(incident.startup[0])
    assert (
        startup.startswith('serve: SHOP_SETTINGS="$PWD/incident-settings.py" ')
        and "flask --app shop:app run" in startup
    )
    assert "{database_url}" in incident.prepare[0].text
    assert incident.title.startswith("flask --app shop:app run ")  # as somebody would type it


def test_an_engine_that_was_given_nothing_is_given_nothing_again(kit, tmp_path):
    shop = SHOP.replace('os.environ["DATABASE_URL"]', 'os.getenv("SHOP_DB_URL")')
    log = (
        'Traceback (most recent call last):\n  File "/srv/shop.py", line 7, in <module>\n    db = SQLAlchemy(app)\n'
        "sqlalchemy.exc.ArgumentError: Expected string or URL object, got None\n"
    )
    incident = read_only(kit, tmp_path, {"shop.py": shop}, log)
    assert incident.database_env != "SHOP_DB_URL" and "SHOP_DB_URL" not in incident.app.env


@pytest.mark.parametrize(
    "typed, step, reads, error",
    [
        ("python seed.py", "command: python seed.py", "", "IntegrityError: (sqlite3.IntegrityError) UNIQUE constraint failed: roles.name"),
        pytest.param("flask --app seed run", "serve: flask --app seed run --port {port}", "", "IntegrityError: (sqlite3.IntegrityError) UNIQUE constraint failed: roles.name", marks=pytest.mark.slow),
        ("python seed.py", "command: python seed.py", "tables.reflect(engine)", "InvalidRequestError: Table 'roles' is already defined for this MetaData instance."),
    ],
    ids=["rows of a script", "rows of a server", "a table that is read from the database first"],
)  # fmt: skip
def test_what_the_start_before_left_in_the_database_is_there_again(typed, step, reads, error, kit, tmp_path, small):
    seed = f"""
        import os
        import flask
        import sqlalchemy as sa

        app = flask.Flask("seed")
        engine, tables = sa.create_engine(os.environ["DATABASE_URL"]), sa.MetaData()
        {reads}
        roles = sa.Table("roles", tables, sa.Column("name", sa.String, unique=True))
        with engine.begin() as connection:
            roles.create(connection, checkfirst=True)
            connection.execute(roles.insert(), [{{"name": "admin"}}])
    """
    root = written(tmp_path / "app", {"seed.py": seed})
    log = f"$ {typed}\nsqlalchemy.exc.{error}\n"
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert said.code == 0, said.out + said.err
    assert [str(step) for step in load(tmp_path / "x").startup] == [step, step]


@pytest.mark.parametrize(
    "deployment, lacking", [("", {"DB_HOST", "DB_NAME"}), ("    environment: [DB_NAME=shop]\n", {"DB_HOST"})]
)
def test_a_part_of_a_url_that_was_none_is_not_given(deployment, lacking, kit, tmp_path):
    files = {
        "compose.yaml": f"services:\n  web:\n    build: .\n    command: flask --app shop run\n{deployment}",
        "settings.py": "import os\n\nHOST = os.getenv('DB_HOST')\nNAME = os.getenv('DB_NAME')\nURL = 'postgresql://' + HOST + '/' + NAME\n",
        "shop.py": SHOP.replace('os.environ["DATABASE_URL"]', "settings.URL").replace("import os", "import settings"),
    }
    log = (
        "Traceback (most recent call last):\n  File \"/srv/settings.py\", line 5, in <module>\n    URL = 'postgresql://' + HOST + '/' + NAME\n"
        'TypeError: can only concatenate str (not "NoneType") to str\n'
    )
    assert {"DB_HOST", "DB_NAME"} - read_only(kit, tmp_path, files, log).app.env.keys() == lacking


def test_a_server_runs_in_the_folder_from_which_its_module_has_the_name_that_was_typed(kit, tmp_path):
    files = {
        "server/main/__init__.py": "",
        "server/main/main.py": "from fastapi import FastAPI\nfrom main.config import URL\n\napp = FastAPI()\n",
    }
    log = (
        "root@box:/srv/proj/server/main# uvicorn main:app\nTraceback (most recent call last):\n"
        '  File "/srv/proj/server/main/main.py", line 2, in <module>\n    from main.config import URL\n'
        "ModuleNotFoundError: No module named 'main.config'; 'main' is not a package\n"
    )
    incident = read_only(kit, tmp_path, files, log)
    assert (incident.app.workdir, incident.startup[0].text) == ("server/main", "uvicorn main:app --port {port}")


@pytest.mark.parametrize("kind", ["PytestDeprecationWarning", "UserWarning"])
def test_a_warning_in_a_librarys_file_of_no_kind_of_its_own_is_no_incident(kind, tmp_path):
    project = Project(written(tmp_path / "app", {"shop.py": "stock = 1\n"}))
    for file, expected in (
        ("/usr/lib/python3.12/site-packages/pytest_asyncio/plugin.py", None),
        ("pytest_asyncio/plugin.py", None),
        ("/srv/shop.py", "it is called otherwise"),
    ):
        log = f"$ pytest -q\n{file}:1: {kind}: it is called otherwise\n1 passed in 0.1s\n"
        assert evidence_of(read_log(log), log, project).expected == expected


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("Failed to find attribute 'app' in 'wsgi'.\n[2026-01-01 00:00:00 +0000] [7] [ERROR] Reason: App failed to load.\n", "Failed to find attribute 'app' in 'wsgi'."),
        ('psycopg.errors.DuplicateTable: relation "price_levels" already exists\n', 'relation "price_levels" already exists'),
        ("sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called\n", "greenlet_spawn has not been called"),
        ("store.levels.Premium: all is as it was\nserved by store.errors.Handler: none\n", None),
        ("store.exceptions.Middleware: ready to serve\nkombu.exceptions.OperationalError: refused it\n", "refused it"),
        ("store.errors.Handler: installed 5 handlers\nERROR no level was read\n", "no level was read"),
        ("___ test_x ___\n\n    def test_x(caplog):\n>       assert 'no stock' in caplog.text\nE       AssertionError: assert 'no stock' in ''\n\nwsgi.py:7: AssertionError\n", "assert 'no stock' in ''"),
    ],
    ids=["a server that found no application", "an error of a driver's own name", "one of SQLAlchemy's", "no error at all", "a logger before an error", "a logger before an error's line", "a test whose own line failed"],
)  # fmt: skip
def test_what_says_most_is_the_reason(log, expected, tmp_path):
    evidence = evidence_of(read_log(log), log, Project(written(tmp_path / "app", {"wsgi.py": "application = None\n"})))
    assert evidence.expected == expected


def test_a_request_that_the_log_says_failed_is_asked_again(kit, tmp_path, small):
    root = written(tmp_path / "app", {"shop.py": SHOP})
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=REQUEST)
    assert said.code == 0, said.err
    assert str(load(tmp_path / "x").expect.check) == "http: GET /orders → below 500, not 404"
    report = kit("reproduce", tmp_path / "x", "--json")
    assert report.code == 0 and "no such table: order" in report.json["checks"][0]["seen"]


@pytest.mark.parametrize(
    "typed",
    [
        "$ flask db upgrade",
        "(venv) ines@dell:~/league$ flask db upgrade",
        "(venv) PS C:\\Users\\Ines\\league> flask db upgrade",
        "C:\\Users\\Ines\\league>flask db upgrade",
        "ines@MacBook league % flask db upgrade",
        "➜  league git:(main) ✗ flask db upgrade",
        "vscode ➜ /workspace (main) $ flask db upgrade",
        "~/league ❯ flask db upgrade",
        "#12 [web 5/7] RUN flask db upgrade",
        "$ docker compose exec -T web flask db upgrade",
        "root@vps:~# docker exec -it league_web_1 flask db upgrade",
        "$ kubectl exec -it deploy/league -- flask db upgrade",
        "docker compose --progress=plain run --rm dev-app flask db upgrade",
        "~ $ heroku run flask db upgrade",
    ],
)
def test_what_was_typed_is_read_behind_every_usual_prompt(typed, tmp_path):
    text = f"{typed}\n                .> celery           exchange=celery(direct) key=celery\nRuntimeError: no\n"
    evidence = evidence_of(read_log(text), text, Project(written(tmp_path, {"league.py": ""})))
    assert [program.what for program in evidence.programs if program.name == "line"] == ["flask db upgrade"]


ASGI = "from fastapi import FastAPI\n\napp = FastAPI()\n"
PERCENT = "ValueError: invalid interpolation syntax in 'postgresql://shop:***@db/shop' at position 21\n"
NO_DRIVER = "ModuleNotFoundError: No module named 'MySQLdb'\n"
WSGI_CALL = "TypeError: FastAPI.__call__() missing 1 required positional argument: 'send'\n"
UNKNOWN_TASK = """[tasks]
  . work.tasks.mail

[2026-02-03 04:05:06,789: ERROR/MainProcess] Received unregistered task of type 'work.more.digest'.
KeyError: 'work.more.digest'
"""
TWO_SERVICES = """services:
  web: {command: 'uvicorn core.web:app'}
  worker: {command: 'celery -A core.jobs worker'}
  beat: {command: 'celery -A core.jobs beat -l info'}
"""
MANAGED = """Traceback (most recent call last):
  File "/srv/shop/manage.py", line 3, in <module>
    manager()
  File "/srv/venv/lib/python3.12/site-packages/click/core.py", line 1157, in __call__
    return self.main(*args, **kwargs)
  File "/srv/venv/lib/python3.12/site-packages/flask_migrate/cli.py", line 150, in upgrade
    _upgrade(directory, revision, sql, tag, x_arg)
  File "/srv/venv/lib/python3.12/site-packages/flask_migrate/__init__.py", line 111, in wrapped
    f(*args, **kwargs)
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: orders
"""
OF_LOGS = {
    "Flask-Migrate, by its own name in the log": (
        {"shop.py": SHOP, "migrations/alembic.ini": "[alembic]\n", "migrations/env.py": ""},
        "INFO  [alembic.runtime.migration] Running upgrade  -> a1\nERROR [flask_migrate] Error: No support for ALTER here\n",
        "command: flask db upgrade",
        {},
    ),
    "Flask-Migrate, of a database that is behind": (
        {"shop.py": SHOP, "migrations/alembic.ini": "[alembic]\n", "migrations/env.py": ""},
        "INFO  [alembic.runtime.migration] Context impl SQLiteImpl.\nERROR [flask_migrate] Error: Target database is not up to date.\n",
        "command: flask db check",
        {},
    ),
    "Flask-Migrate, of a script of the application's own": (
        {
            "shop.py": SHOP,
            "manage.py": "from flask.cli import FlaskGroup\nmanager = FlaskGroup(name='shop')\nmanager()\n",
        },
        MANAGED,
        "command: python manage.py db upgrade",
        {},
    ),
    "a URL with a per cent sign": (
        {"shop.py": SHOP},
        PERCENT,
        "serve: flask --app shop:app run --port {port}",
        {"DATABASE_URL": "{database_url}?timeout=5%2E0"},
    ),
    "a URL of a driver that is not there": (
        {"shop.py": SHOP},
        NO_DRIVER,
        "serve: flask --app shop:app run --port {port}",
        {"DATABASE_URL": "mysql+mysqldb://incident@127.0.0.1/incident"},
    ),
    "a driver of PostgreSQL that is not there, whatever is": (
        {"shop.py": SHOP},
        "sqlalchemy/dialects/postgresql/psycopg.py\n" + NO_DRIVER.replace("MySQLdb", "psycopg"),
        "serve: flask --app shop:app run --port {port}",
        {"database_driver": "psycopg"},
    ),
    "a worker of gunicorn that was given no class": (
        {"main.py": ASGI},
        f"[INFO] Booting worker with pid: 7\n[INFO] Using worker: sync\n{WSGI_CALL}",
        "serve: gunicorn main:app --bind 127.0.0.1:{port}",
        {},
    ),
    "a worker that took the place of one that was killed": (
        {"main.py": ASGI},
        "[INFO] Using worker: sync\n[INFO] Booting worker with pid: 7\n[ERROR] Worker (pid:7) was sent SIGKILL!\n"
        f"[INFO] Booting worker with pid: 9\n{WSGI_CALL}",
        "serve: gunicorn main:app --bind 127.0.0.1:{port}",
        {},
    ),
    "a path that was typed on Windows": (
        {"tools/report.py": "print(1)\n"},
        "PS C:\\shop> python .\\tools\\report.py\nRuntimeError: of another kind\n",
        "command: python ./tools/report.py",
        {},
    ),
    "an installation of Python for Windows": (
        {"alembic.ini": "[alembic]\nscript_location = moves\n", "moves/env.py": ""},
        traceback(
            *(
                rf"C:\Users\Ana\AppData\Local\Programs\Python\Python312\lib\runpy.py:{line}:_run_code"
                for line in (88, 196)
            ),
            r"D:\shop\venv\Lib\site-packages\alembic\config.py:640:main",
            error="UnicodeDecodeError: 'gbk' codec can't decode byte 0x80",
        ),
        "command: alembic upgrade head",
        {},
    ),
    "a command that a CI service says it runs": (
        {"shop.py": SHOP, "migrations/alembic.ini": "[alembic]\n", "migrations/env.py": ""},
        "2026-05-29T11:20:10.1234567Z ##[group]Run flask db upgrade\n2026-05-29T11:20:11.1234567Z RuntimeError: of another kind\n",
        "command: flask db upgrade",
        {},
    ),
    "a variable that names the image's folder": (
        {
            "src/jobs/main.py": f"import os\n{ASGI}both = os.environ['JOBS'], os.environ['LEFT']\n",
            "Dockerfile": "FROM x\nWORKDIR /srv/src\nENV JOBS=/srv LEFT=/srv/left\nCOPY . /srv\nCMD uvicorn jobs.main:app\n",
        },
        "web-1 | RuntimeError: of another kind\n",
        "serve: uvicorn jobs.main:app --port {port}",
        {"JOBS": "..", "LEFT": "/srv/left"},
    ),
    "a unit that names its program by its place": (
        {
            "main.py": ASGI,
            "notes.service": "[Service]\nExecStart=/opt/notes/env/bin/gunicorn -w 2 --bind :80 main:app\n",
        },
        f"[INFO] Booting worker with pid: 7\n[INFO] Booting worker with pid: 8\n{WSGI_CALL}",
        "serve: gunicorn -w 2 main:app --bind 127.0.0.1:{port}",
        {},
    ),
    "options that were typed in a development container": (
        {"main.py": ASGI, "migrations/alembic.ini": "[alembic]\n"},
        "vscode ➜ /workspace (main) $ alembic -c migrations/alembic.ini -x db=dev upgrade head\nRuntimeError: of another kind\n",
        "command: alembic -c migrations/alembic.ini -x db=dev upgrade head",
        {},
    ),
    "a script of pdm that was typed in its folder": (
        {
            "mailer/src/mailer/main.py": ASGI,
            "billing/src/billing/main.py": ASGI,
            "billing/pyproject.toml": "[tool.pdm.scripts]\nstart = 'uvicorn billing.main:app --app-dir src --port 8000'\n",
        },
        "~/repo/billing ❯ pdm run start\nINFO:     Started server process [7]\nRuntimeError: of another kind\n",
        "serve: uvicorn billing.main:app --app-dir src --port {port}",
        {},
    ),
    "the service of compose that wrote the log": (
        {
            "core/web.py": ASGI,
            "core/jobs.py": "from celery import Celery\n\napp = Celery()\n",
            "docker-compose.yml": TWO_SERVICES,
        },
        '\x1b[36mbeat_1  |\x1b[0m   File "/usr/lib/python3.11/site-packages/celery/bin/celery.py", line 137, in celery\n'
        "\x1b[36mbeat_1  |\x1b[0m RuntimeError: of another kind\n",
        "command: celery -A core.jobs beat -l info",
        {},
    ),
    "a worker of no web framework": (
        {"jobs/work.py": "", "docker-compose.yml": "services:\n  work:\n    command: arq jobs.work.Settings\n"},
        'Traceback (most recent call last):\n  File "/usr/local/bin/arq", line 8, in <module>\n    sys.exit(cli())\nRuntimeError: of another kind\n',
        "command: arq jobs.work.Settings",
        {},
    ),
    "a package that was run by its name, where the log begins in it": (
        {"shop/__main__.py": "import shop.app\n", "shop/app.py": "raise RuntimeError\n", "shop/__init__.py": ""},
        'Traceback (most recent call last):\n  File "/srv/shop/__main__.py", line 1, in <module>\n    import shop.app\n'
        '  File "/srv/shop/app.py", line 1, in <module>\nRuntimeError: of another kind\n',
        "command: shop",
        {},
    ),
    "only the statement of a migration that failed": (
        {"main.py": ASGI, "alembic.ini": "[alembic]\nscript_location = alembic\n", "alembic/env.py": ""},
        "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: a\n[SQL: ALTER TABLE a ADD COLUMN b BOOLEAN]\n",
        "command: alembic upgrade head",
        {},
    ),
    "what Flask's own file of variables names": (
        {
            "wiki/pages.py": "def make():\n    return None\n",
            ".flaskenv": "FLASK_APP=wiki.pages:make\nFLASK_RUN_PORT=80\n",
        },
        "RuntimeError: of another kind\n",
        "serve: flask run --port {port}",
        {"FLASK_APP": "wiki.pages:make"},
    ),
    "a package that was run by its name, where a script gives it words": (
        {
            "shop/__main__.py": "import sys\nif sys.argv[1:] != ['user', 'migrate']:\n    raise SystemExit('usage')\n",
            "shop/__init__.py": "",
            "entry.sh": "set -e\npython3 -m shop user migrate\n",
        },
        'Traceback (most recent call last):\n  File "<frozen runpy>", line 198, in _run_module_as_main\n  File "/srv/shop/__main__.py", line 1, in <module>\n    import sys\nRuntimeError: of another kind\n',
        "command: shop user migrate",
        {},
    ),
    "a script of a project that is in a folder": (
        {
            "back/pyproject.toml": '[project]\nname = "shop"\n[project.scripts]\nload-stock = "shop.load:main"\n',
            "back/shop/load.py": "def main():\n    pass\n",
            "back/shop/__init__.py": "",
            "back/stock/a.csv": "",
        },
        "➜  back git:(main) ✗ poetry run load-stock stock/a.csv\nRuntimeError: of another kind\n",
        "command: python -c 'import re, sys; from shop.load import main; main()' stock/a.csv in back",
        {},
    ),
    "the handler of a function without a server": (
        {
            "template.yaml": "Resources:\n  Web:\n    Properties:\n      CodeUri: web/\n      Handler: entry.handler\n",
            "web/entry.py": "def handler(event, context):\n    pass\n",
        },
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'entry': No module named 'psycopg2._psycopg'\n",
        "import: entry in web",
        {},
    ),
    "what stands in the text of a README": (
        {"main.py": "print(1)\n", "README.md": "`python main.py --dry` for development.\n"},
        "RuntimeError: of another kind\n",
        "command: python main.py --dry",
        {},
    ),
}


def test_where_a_script_may_run_in_several_folders_the_one_with_the_files_that_it_is_given_is_surer(tmp_path):
    files, log, _, _ = OF_LOGS["a script of a project that is in a folder"]
    project = Project(written(tmp_path, files))
    starts = candidates_of(project, evidence_of(read_log(log), log, project), [])
    ran = {start.workdir: start.score for start in starts if "load-stock" in str(start)}
    assert ran["back"] > ran["."]


@pytest.mark.parametrize("name", OF_LOGS)
def test_what_the_log_and_the_deployment_say_of_the_start_is_kept(name, kit, tmp_path):
    files, log, startup, env = OF_LOGS[name]
    incident = read_only(kit, tmp_path, files, log)
    # The interpreter that only reads has no programs beside it.
    at = f" in {incident.app.workdir}" * (" in " in startup)
    assert str(incident.startup[0]).replace("python -m ", "") + at == startup
    assert env.items() <= {**incident.app.env, "database_driver": incident.database_driver}.items()


@pytest.mark.parametrize(
    "before",
    [
        "2026-04-02T07:14:00.123456789Z ",
        "web-1  | 2026-04-02T07:14:00Z ",
        "[pod/shop-6b/web] ",
        "2026-03-01T10:00:00.000000+00:00 app[web.1]: ",
        "Apr 02 07:14:00 host gunicorn[20311]: ",
        "Jul 21 02:19:39 PM  ",
        "2026-10-12T10:32:22Z app[e2865] ams [info] ",
        "\x1b[36mweb_1  |\x1b[0m ",
        '{"log":"',
        '{"asctime": "2026-04-02 07:14:00,123", "levelname": "INFO", "message": "',
        'web_1  | {"level": "info", "event": "Apr 02 07:14:00 host gunicorn[20311]: ',
    ],
)
def test_what_a_service_puts_before_each_line_is_no_part_of_it(before, tmp_path):
    after = '\\n","time":"2026-04-03T10:47:29Z"}' if "{" in before else ""
    text = "".join(
        f"{before}{line}{after}\n"
        for line in ("$ flask db upgrade", "FAILED: Multiple heads are here", "shop.Error: no")
    )
    evidence = evidence_of(read_log(text), text, Project(written(tmp_path, {"league.py": ""})))
    assert evidence.expected == "Multiple heads are here" and evidence.programs[0].what == "flask db upgrade"


def test_a_request_that_was_refused_is_asked_again_where_the_application_has_it(kit, tmp_path):
    log = (
        'INFO: 10.0.0.1:1 - "GET /favicon.ico HTTP/1.1" 404 Not Found\n'
        'INFO: 10.0.0.1:1 - "GET /users/me?x=1 HTTP/1.1" 422 Unprocessable Entity\n'
    )
    main = ASGI + "\n\n@app.get('/users/me')\ndef me():\n    return {}\n"
    incident = read_only(kit, tmp_path, {"main.py": main, "Procfile": "web: uvicorn main:app\n"}, log)
    assert str(incident.expect.check) == "http: GET /users/me → below 400"


def test_a_table_that_a_draft_of_a_revision_removes_is_asked_for_by_a_check(tmp_path):
    text = "INFO  [alembic.runtime.migration] Context impl SQLiteImpl.\n"
    text += "INFO  [alembic.autogenerate.compare.tables] Detected removed table 'bills'\n  Generating x.py ...  done\n"
    evidence = evidence_of(read_log(text), text, Project(written(tmp_path, {"league.py": ""})))
    assert evidence.expected == "New upgrade operations detected"
    assert [(program.name, program.what) for program in evidence.programs] == [("alembic", "check")]


def test_the_frames_of_a_notebooks_traceback_are_read():
    text = (
        "-----\nRuntimeError             Traceback (most recent call last)\nCell In[4], line 1\n----> 1 import shop.app\n\n"
        "File ~/src/shop/app.py:7, in make(url)\n      6 x = 1\n----> 7 raise RuntimeError('no')\n\nRuntimeError: no\n"
    )
    assert [(frame.file, frame.line, frame.function) for frame in read_log(text).tracebacks[0].frames] == [
        ("~/src/shop/app.py", 7, "make")
    ]


def test_a_path_of_an_image_is_the_folder_that_was_copied_there(kit, tmp_path):
    files = {
        "src/jobs/main.py": ASGI,
        "Dockerfile": "FROM python:3.12\nWORKDIR /srv\nCOPY . .\n",
        "docker-compose.yml": "services:\n  web:\n    build: .\n    command: uvicorn jobs.main:app\n    environment: {PYTHONPATH: '/srv:/srv/src'}\n",
    }
    assert read_only(kit, tmp_path, files).app.path == [".", "src"]


def test_a_start_of_an_image_that_holds_one_folder_alone_says_which(tmp_path):
    image = "FROM x\nWORKDIR /code\nCOPY ./store /code\nCMD uvicorn store.main:app\n"
    project = Project(written(tmp_path, {"Dockerfile": image, "store/main.py": ""}))
    assert [command.at for command in commands_of(project)] == ["Dockerfile, whose /code is what store holds"]


def test_a_file_of_the_deployment_that_cannot_be_read_is_told(kit, tmp_path):
    root = written(
        tmp_path / "app", {"main.py": ASGI, "docker-compose.yml": "services:\n  web: {command: [uvicorn\n  b: }\n"}
    )
    said = kit("new", tmp_path / "x", "--app", root, "--read-only")
    assert "docker-compose.yml:3: this YAML cannot be read" in said.out + said.err


def test_a_log_that_ends_before_its_error_is_shown_only_where_its_lines_are(kit, tmp_path, small):
    root = written(tmp_path / "app", {"main.py": "def begin():\n    raise LookupError('no')\n\nbegin()\nstart()\n"})
    log = 'Traceback (most recent call last):\n  File "/srv/main.py", line {}, in <module>\n'
    for line, code in ((5, 3), (4, 0)):
        name = tmp_path / f"of-{line}"
        said = kit("new", name, "--app", root, "--log", "-", "--python", small, input=log.format(line))
        assert said.code == code, said.out + said.err


@pytest.mark.parametrize(
    ("address", "value"), [("os.environ['BUS'].split(':')", "bus:5671"), ("(os.environ['BUS_HOST'], 5671)", "bus")]
)
def test_a_service_that_is_not_there_is_told_by_the_variable_that_names_it(address, value, kit, tmp_path, small):
    name = address.split("'")[1]
    main = f"import os\nimport socket\n\nfrom starlette.applications import Starlette\n\nsocket.create_connection({address})\napp = Starlette()\n"
    compose = f"services:\n  web:\n    command: uvicorn main:app\n    environment:\n      {name}: {value}\n"
    root = written(tmp_path / "app", {"main.py": main, "docker-compose.yml": compose})
    said = kit(
        "new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input="RuntimeError: of another kind\n"
    )
    assert said.code == 3 and f"bus:5671, which {name} (set in docker-compose.yml:5) names" in said.out


WORK = {
    "work/__init__.py": "",
    "work/queue.py": "from celery import Celery\n\nqueue = Celery('work', include=['work.tasks'])\n",
    "work/tasks.py": "from .queue import queue\n\n@queue.task\ndef mail():\n    return 1\n",
    "work/more.py": "from .queue import queue\n\n@queue.task\ndef digest():\n    return 2\n",
    "docker-compose.yml": "services:\n  worker:\n    command: celery -A work.queue worker\n    environment: {CELERY_BROKER_URL: 'redis://redis/0'}\n",
}


def test_a_task_that_a_worker_does_not_know_is_sent_to_one_without_a_broker(kit, tmp_path, small):
    root = written(tmp_path / "app", WORK)
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=UNKNOWN_TASK)
    assert said.code == 0, said.out + said.err
    diagnosis = kit("diagnose", tmp_path / "x", "--json").json
    assert diagnosis["mechanism"] == "class-not-imported" and diagnosis["sites"][0]["file"] == "work/more.py"


@pytest.mark.slow
def test_migrations_that_neither_log_nor_deployment_runs_are_not_what_failed(kit, tmp_path, small):
    """They fail on an empty database as the service did on its own: that shows nothing."""
    ini = "[alembic]\nscript_location = alembic\nprepend_sys_path = .\n"
    files = {**store(), **migrations(), "store/legacy.py": "", "alembic.ini": ini}
    create = 'op.create_table("parcels", sa.Column("id", sa.Integer, primary_key=True))'
    files["alembic/versions/a1.py"] = REVISION.replace(
        create, 'op.add_column("parcels", sa.Column("weight", sa.Integer))'
    )
    root = written(tmp_path / "app", files)
    log = "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: parcels\n"
    said = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, "--json", input=log)
    assert said.code == 3, said.out + said.err
    assert not any("alembic" in trial["startup"] for trial in said.json["tried"])


def test_an_application_object_is_one_whatever_its_name_and_also_of_a_class_of_the_applications_own(tmp_path):
    sources = {
        "shop/web.py": "from flask import Flask\n\n\nclass Shop(Mixin, Flask):\n    pass\n",
        "shop/jobs.py": "import celery\n\n\nclass Jobs(celery.Celery):\n    pass\n",
        "application.py": "from shop.jobs import Jobs\nfrom shop.web import Shop\n\napplication = Shop('app')\njobs = Jobs()\nother = Money('app')\n",
        "shop/wsgi.py": "from flask import Flask\nif DEBUG:\n    wsgi = Flask('app')\nelse:\n    wsgi = create_app()\n\ndef create_app():\n    local = Flask('x')\n    return local\n",
        "shop/service.py": "from fastapi import FastAPI\n\nserver = FastAPI(title='Shop')\nsettings = get_app_settings()\n\ndef get_app_settings():\n    pass\n",
    }
    objects = {(item.name, item.kind) for item in Project(written(tmp_path, sources)).objects}
    of_a_branch = {("wsgi", "wsgi"), ("create_app", "wsgi")}
    assert objects == {("application", "wsgi"), ("jobs", "celery"), ("server", "asgi")} | of_a_branch


def test_a_variable_that_a_function_of_the_application_is_asked_for_is_read(tmp_path):
    source = """
        import argparse
        settings.set("es.url", "SEARCH_ENDPOINT", required=True)
        MODE = read_env("SHOP_MODE", "dev")
        environ = request.environ.get("HTTP_HOST_NAME")
        parser.add_argument("--SHOP_FILE", required=True)
        config.get("SQLALCHEMY_DATABASE_URI")
    """
    variables = variables_of(Project(written(tmp_path, {"settings.py": source})))
    assert {variable.name: variable.required for variable in variables} == {
        "SEARCH_ENDPOINT": True,
        "SHOP_MODE": False,
    }
