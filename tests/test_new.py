"""Starting one's own: ``python -m kit new`` reads an application, writes what it found, and what it wrote runs."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import PROJECT
from environments import environment, interpreters

from kit.incident.load import load

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
    from fastapi import FastAPI
    from {package} import parcels, legacy

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

# Files, and what the written file must say: startup, then other keys of it.
LAYOUTS = {
    "procfile": (
        {
            **store(),
            **migrations(),
            "alembic.ini": "[alembic]\nscript_location = alembic\n",
            "Procfile": "release: alembic upgrade head\nweb: uvicorn store.main:app --host 0.0.0.0 --port $PORT --workers 4\nworker: celery -A x worker\n",
        },
        ["command: alembic upgrade head", "serve: uvicorn store.main:app --host 127.0.0.1 --port {port}"],
        {"checks": ["migrations: alembic.ini", "mappers", "clean_start", "http: GET /healthz → 200"]},
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
        ["serve: uvicorn store.main:app --host 127.0.0.1 --port {port}"],
        {"path": ["src"]},
    ),
    "Dockerfile in shell form, with an entry script": (
        {
            **store(),
            **migrations("db/migrations"),
            "db/alembic.ini": "[alembic]\nscript_location = db/migrations\n",
            "docker/entrypoint.sh": '#!/bin/sh\nset -e\nwait-for-it db:5432\nalembic -c db/alembic.ini upgrade head\nexec "$@"\n',
            "Dockerfile": 'FROM python:3.12\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["/app/docker/entrypoint.sh"]\nCMD python -m uvicorn store.main:app --port ${PORT:-80}\n',
        },
        ["command: alembic -c db/alembic.ini upgrade head", "serve: uvicorn store.main:app --port {port}"],
        {"checks": ["migrations: db/alembic.ini", "mappers", "clean_start", "http: GET /healthz → 200"]},
    ),
    "Alembic in a subfolder of its own": (
        {**store(), **migrations("db/alembic"), "db/alembic.ini": "[alembic]\nscript_location = %(here)s/alembic\n"},
        ["command: alembic -c db/alembic.ini upgrade head", "serve: uvicorn store.main:app --port {port}"],
        {},
    ),
    "Alembic in pyproject": (
        {**store(), **migrations(), "pyproject.toml": '[project]\nname = "store"\n[tool.alembic]\nscript_location = "%(here)s/alembic"\n'},
        ["command: alembic upgrade head", "serve: uvicorn store.main:app --port {port}"],
        {"checks": ["command: alembic check", "mappers", "clean_start", "http: GET /healthz → 200"]},
    ),
    "a nested backend": (
        {**store(folder="backend/"), "backend/requirements.txt": "fastapi\n", "frontend/package.json": "{}", "README.md": "# Store"},
        ["serve: uvicorn store.main:app --port {port}"],
        {"workdir": "backend", "path": ["backend"]},
    ),
    "docker compose": (
        {**store(folder="api/"), **migrations("api/alembic"), "api/alembic.ini": "[alembic]\nscript_location = alembic\n",
         "api/Dockerfile": "FROM python:3.12\nWORKDIR /code\nCOPY . /code\n", "docker-compose.yml": COMPOSE},
        ["command: alembic upgrade head", "serve: uvicorn store.main:app --host 127.0.0.1 --port {port}"],
        {"workdir": "api", "path": ["api"]},
    ),
    "Flask-Migrate with a factory": (
        FLASK,
        ["command: flask --app shop:create_app db upgrade", "serve: flask --app shop:create_app run --port {port}"],
        {"database_env": "FLASK_SQLALCHEMY_DATABASE_URI", "checks": ["command: flask --app shop:create_app db check", "mappers", "clean_start"]},
    ),
    "Flask with a settings class and blueprints": (
        FLASK_SETTINGS,
        ["command: flask --app shop:create_app db upgrade", "serve: flask --app shop:create_app run --port {port}"],
        {"database_env": "SHOP_PARCELS", "checks": ["command: flask --app shop:create_app db check", "mappers", "clean_start", "http: GET /api/v1/healthz → 200"]},
    ),
    "Celery": (
        {
            **store(main="import store.parcels\n"),
            "store/jobs.py": "from celery import Celery\nfrom store import parcels, legacy\napp = Celery('store')\n",
            "Procfile": "worker: celery -A store.jobs worker -l info\n",
        },
        ["import: store.jobs"],
        {},
    ),
    "SQLModel, run as a script with a fixed port": (
        {
            "main.py": """
                import uvicorn
                from fastapi import FastAPI
                from models import Parcel
                import legacy

                app = FastAPI()

                if __name__ == "__main__":
                    uvicorn.run("main:app", host="0.0.0.0", port=8000)
            """,
            "models.py": "from sqlmodel import SQLModel, Field\n\nclass Parcel(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n",
            "legacy.py": "from sqlmodel import SQLModel, Field\n\nclass Parcel(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n",
            "Procfile": "web: python main.py\n",
        },
        ["serve: uvicorn main:app --port {port}"],
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
    "a URL put together of its parts": (
        {
            **store(),
            "store/db.py": """
                import os
                from sqlalchemy import URL, create_engine
                from sqlalchemy.orm import DeclarativeBase

                class Base(DeclarativeBase):
                    pass

                at = os.environ["POSTGRES_SERVER"], os.environ["POSTGRES_PASSWORD"]
                url = URL.create("postgresql", os.environ["POSTGRES_USER"], at[1], at[0], database=os.environ["POSTGRES_DB"])
            """,
        },
        ["serve: uvicorn store.main:app --port {port}"],
        {
            "database": "postgresql",
            # That no port is read is seen, too: libpq takes it from there.
            "env": {"PGPORT": "{database_port}", "POSTGRES_SERVER": "{database_host}", "POSTGRES_PASSWORD": "{database_password}", "POSTGRES_DB": "{database_name}"},
        },
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
                    debug: bool = False

                settings = Settings()

                class Base(DeclarativeBase):
                    pass
            """,
            ".env.example": "STORE_REGION=north\nSTORE_SECRET_KEY=hunter2hunter2\n",
        },
        ["serve: uvicorn store.main:app --port {port}"],
        {"database_env": "STORE_DB_URL", "env": {"STORE_REGION": "north", "STORE_WORKERS": "1"}},
    ),
}  # fmt: skip
# These are run as well; each of the others differs from one of them only in what is read.
RUN = [
    "procfile",
    "src layout, Dockerfile in exec form",
    "Dockerfile in shell form, with an entry script",
    "Alembic in pyproject",
    "docker compose",
    "Flask-Migrate with a factory",
    "Flask with a settings class and blueprints",
    "Celery",
    "an asynchronous engine",
    "SQLModel, run as a script with a fixed port",
    "a script whose port a variable has",
]


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
    return environment(interpreters()[3, 11], *SMALL)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_a_layout_says_is_found_and_what_is_written_runs(name, kit, tmp_path, small):
    files, startup, more = LAYOUTS[name]
    root = written(tmp_path / "store-app", files)
    (root / ".venv").symlink_to(Path(small).parents[1])  # as the application's own environment
    before = state(root)
    said = kit("new", tmp_path / "incidents" / "x", "--app", root)
    assert said.code == 0, said.err
    assert state(root) == before
    incident = load(tmp_path / "incidents" / "x")
    assert [str(step) for step in incident.startup] == startup
    assert incident.app.python.endswith("store-app/.venv/bin/python")
    assert incident.app.workdir == more.get("workdir", ".") and incident.app.path == more.get("path", ["."])
    assert [str(one) for one in incident.checks] == more.get("checks", [str(one) for one in incident.checks])
    if "STORE_DATABASE_URL" in "".join(files.values()):
        assert incident.database_env == "STORE_DATABASE_URL"
    assert incident.database_driver == more.get("database_driver") and incident.database == more.get(
        "database", "sqlite"
    )
    assert incident.database_env == more.get("database_env", incident.database_env)
    assert more.get("env", {}).items() <= incident.app.env.items()
    assert "hunter2" not in (incident.file.read_text() + said.out)
    if name in RUN:
        ran = kit("reproduce", incident.file, "--json")
        assert ran.code == 0, ran.out + ran.err
        table = "parcel" if "SQLModel" in name else "parcels"
        assert [one["table"] for one in ran.json["conflicts"]] == [table]


def test_a_log_alone_tells_the_application_the_step_and_what_to_expect(kit, tmp_path, small):
    """Pasted, from a machine where the application lay elsewhere; the kit is called in the application's parent."""
    files = {**store(), **migrations(), "alembic.ini": "[alembic]\nscript_location = alembic\n"}
    files["alembic/env.py"] = ENV_PY.format(package="store").replace("store.parcels", "store.main")
    root = written(tmp_path / "store-app", files)
    environment = {**os.environ, "STORE_DATABASE_URL": "sqlite://", "PYTHONPATH": str(root)}
    alembic = Path(small).parent / "alembic"
    failed = subprocess.run([alembic, "upgrade", "head"], cwd=root, env=environment, capture_output=True, text=True)
    log = failed.stderr.replace(str(root), "/srv/release-7") + "postgresql://admin:hunter2@db/prod\n"
    assert "/srv/release-7/alembic/env.py" in log
    said = kit("new", "../incidents/x", "--log", "-", "--python", small, cwd=root, input=log)
    assert said.code == 0, said.err
    incident = load(tmp_path / "incidents" / "x")
    assert incident.resolve(incident.app.root).resolve() == root
    assert str(incident.startup[0]) == "command: alembic upgrade head"
    assert (incident.expect.error, incident.expect.table) == ("Table 'parcels' is already defined", "parcels")
    assert incident.title == "Table 'parcels' is already defined"
    kept = (incident.folder / "log.txt").read_text()
    assert "alembic/env.py" in kept and "hunter2" not in kept
    assert kit("reproduce", incident.file).code == 0
    triaged = kit("triage", incident.file, "--json").json
    assert triaged["worktree_matches"] is True


def services(kind="requirements.txt") -> dict[str, str]:
    return {
        **store("orders", "services/orders/"),
        **store("billing", "services/billing/"),
        f"services/orders/{kind}": "fastapi\n",
        f"services/billing/{kind}": "fastapi\n",
        "docker-compose.yml": "services: {}\n",
    }


def test_of_several_services_it_asks_which_and_says_how(kit, tmp_path):
    root = written(tmp_path / "mono", services())
    said = kit("new", tmp_path / "x", "--app", root)
    assert said.code == 2 and "there are 2 services" in said.err
    assert f"--app {root}/services/billing" in said.err and f"--app {root}/services/orders" in said.err
    assert not (tmp_path / "x").exists()


def test_of_several_services_a_log_tells_which(kit, tmp_path):
    root = written(tmp_path / "mono", services())
    log = """\
        Traceback (most recent call last):
          File "/code/services/billing/billing/main.py", line 2, in <module>
            from billing import parcels, legacy
          File "/code/services/billing/billing/legacy.py", line 4, in <module>
            class OldParcel(Base):
        sqlalchemy.exc.InvalidRequestError: Table 'parcels' is already defined for this MetaData instance.  Specify 'extend_existing=True'
    """
    (tmp_path / "log").write_text(textwrap.dedent(log))
    said = kit("new", tmp_path / "x", "--app", root, "--log", tmp_path / "log")
    assert said.code == 0, said.err
    incident = load(tmp_path / "x")
    assert incident.app.workdir == "services/billing"
    assert str(incident.startup[0]) == "serve: uvicorn billing.main:app --port {port}"


def test_steps_that_are_given_are_the_startup(kit, tmp_path):
    root = written(tmp_path / "app", store())
    steps = ["--startup", "import store.parcels", "--startup", "serve: uvicorn store.main:app --port 8000"]
    assert kit("new", tmp_path / "x", "--app", root, *steps).code == 0
    startup = [str(one) for one in load(tmp_path / "x").startup]
    assert startup == ["import: store.parcels", "serve: uvicorn store.main:app --port {port}"]


def test_an_existing_incident_is_never_written_over(kit, tmp_path):
    root = written(tmp_path / "app", store())
    assert kit("new", tmp_path / "x", "--app", root).code == 0
    text = (tmp_path / "x" / "incident.yaml").read_text()
    said = kit("new", tmp_path / "x", "--app", root)
    assert said.code == 2 and "there is one already" in said.err
    assert (tmp_path / "x" / "incident.yaml").read_text() == text


NEEDS = {"main.py": "import sqlalchemy, no_such_library\n", "requirements.txt": "no-such-library\n"}


@pytest.mark.parametrize(
    ("files", "words", "said"),
    [
        ({"a.py": ""}, ["--app", "gone"], ["--app gone: there is no such folder"]),
        ({"a.txt": ""}, ["--app", "app"], ["there is no Python file in it"]),
        ({"a.py": ""}, ["--app", "app/a.py"], ["this is a file; name the folder", "--app app"]),
        (NEEDS, ["--app", "app"], ["lacks no_such_library (imported at main.py:1)", "-m venv", "pip install -r", "--python"]),
        (store(), ["--app", "app", "--python", "gone"], ["--python gone: there is no such interpreter"]),
        (store(), ["--app", "app", "--startup", "uvicorn a:b"], ["begin with the kind of step, one of import, call"]),
        (store(), ["--app", "app", "--log", "gone.txt"], ["--log gone.txt: cannot be read"]),
        (store(), [], ["which application?", "--app ../app"]),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_message_and_exit_2(files, words, said, kit, tmp_path):
    written(tmp_path / "app", files)
    (tmp_path / "elsewhere").mkdir()
    cwd = tmp_path if words else tmp_path / "elsewhere"
    answer = kit(
        "new",
        tmp_path / "incidents" / "x",
        *words,
        cwd=cwd,
        env={"VIRTUAL_ENV": "", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert answer.code == 2, answer.out
    for part in said:
        assert part in answer.err
    assert not (tmp_path / "incidents").exists()


def test_nothing_is_written_into_the_application(kit, tmp_path):
    root = written(tmp_path / "app", store())
    said = kit("new", root / "incidents" / "x", "--app", root)
    assert said.code == 2 and "lies inside the application" in said.err
    assert not (root / "incidents").exists()


def test_the_kits_own_folder_is_no_application(kit, tmp_path):
    said = kit("new", tmp_path / "x", cwd=PROJECT)
    assert said.code == 2 and "which application?" in said.err


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
    said = kit("new", tmp_path / "x", "--app", root)
    assert said.code == 0, said.err
    text = (tmp_path / "x" / "incident.yaml").read_text()
    assert "hunter2" not in text + said.out and "\x1b" not in text
    assert [str(one) for one in load(tmp_path / "x").startup] == ["serve: uvicorn store.main:app --port {port}"]


@pytest.mark.parametrize("inside", [".", "services/store"])
def test_in_a_git_repository_the_work_tree_is_run_and_the_history_is_offered(inside, kit, tmp_path):
    top = tmp_path / "repository"
    root = written(top / inside, store())
    subprocess.run(["git", "init", "-q", top], check=True)
    assert kit("new", tmp_path / "x", "--app", root).code == 0
    text = (tmp_path / "x" / "incident.yaml").read_text()
    assert load(tmp_path / "x").app.root == os.path.normpath(f"../repository/{inside}")
    assert "# repository: ../repository\n" in text and ("# subdir: services/store" in text) == (inside != ".")


def test_a_log_without_a_traceback_tells_the_error_that_it_logged(kit, tmp_path, small):
    root = written(tmp_path / "store-app", store())
    said = "Table 'usage_records' is already defined for this MetaData instance.  Specify 'extend_existing=True' to …"
    log = f"2026-01-31 INFO starting\n2026-01-31 ERROR store.plugins: usage left out: {said}\n2026-01-31 INFO up\n"
    done = kit("new", tmp_path / "x", "--app", root, "--log", "-", "--python", small, input=log)
    assert done.code == 0, done.err
    assert "(line 2 of the log, which holds no traceback)" in done.out and "not found: a traceback" not in done.out
    incident = load(tmp_path / "x")
    assert (incident.expect.error, incident.expect.table) == (
        "Table 'usage_records' is already defined",
        "usage_records",
    )
    assert incident.title == "Table 'usage_records' is already defined"


def test_a_variable_is_cited_where_it_is_set_and_the_next_commands_name_the_interpreter(kit, tmp_path, small):
    main = 'import os\nREGION, LEVEL = os.getenv("REGION", "-"), os.getenv("LEVEL", "-")\nZONE = os.getenv("ZONE")\n'
    files = store(main=main + textwrap.dedent(MAIN))
    files["Dockerfile"] = (
        "FROM python:3.12\nWORKDIR /app\nCOPY . .\n\nENV REGION=north \\\n    # how much is said\n    LEVEL=info\n"
        "ENV ZONE a\n\nCMD uvicorn store.main:app\n"
    )
    root = written(tmp_path / "store-app", files)
    done = kit("new", tmp_path / "x", "--app", root, "--python", small)
    assert done.code == 0, done.err
    for name, line in (("REGION", 5), ("LEVEL", 7), ("ZONE", 8)):
        assert re.search(rf"  {name}: \w+ \(set in Dockerfile:{line}\)", done.out), done.out
    assert f"\n  {os.path.relpath(sys.executable, PROJECT)} -m kit reproduce " in done.out


def test_paths_are_plain_a_metadata_is_told_once_and_an_error_is_a_whole_sentence(kit, tmp_path, small):
    files = store()
    files["store/db.py"] = """
        import os
        from sqlalchemy import MetaData, create_engine
        from sqlalchemy.orm import DeclarativeBase

        named = MetaData(naming_convention={})

        class Base(DeclarativeBase):
            metadata = named

        class Archive(DeclarativeBase):
            metadata = MetaData(schema="archive")

        lone = MetaData()
        engine = create_engine(os.environ["STORE_DATABASE_URL"])
    """
    root = written(tmp_path / "store-app", files)
    (tmp_path / "here").mkdir()
    log = (
        "Traceback (most recent call last):\n"
        '  File "/srv/store/legacy.py", line 4, in <module>\n    class OldParcel(Base):\n'
    )
    log += "sqlalchemy.exc.InvalidRequestError: Table 'parcels' is already defined for this MetaData instance.  "
    log += "Specify 'extend_existing=True' to redefine options and columns on an existing Table object.\n"
    words = ("../incidents/x", "--app", "../store-app", "--log", "-", "--python", small)
    done = kit("new", *words, cwd=tmp_path / "here", input=log)
    assert done.code == 0, done.err
    assert ".." not in done.out.replace("../incidents/x", "") and f"written from {root}\n" in done.out
    assert re.findall(r"metadata: (\w+) ", done.out) == ["Base", "Archive", "lone"]
    assert (
        "the error: sqlalchemy.exc.InvalidRequestError: Table 'parcels' is already defined for this MetaData instance. ("
        in done.out
    )
    again = kit("new", *words, cwd=tmp_path / "here", input=log)
    assert f"kit: {tmp_path}/incidents/x/incident.yaml: there is one already" in again.err


def test_a_url_that_is_none_is_explained_with_the_variable_to_look_at(kit, tmp_path, small):
    files = store()
    files["store/db.py"] = DB.replace("STORE_DATABASE_URL", "STORE_PLACE")
    root = written(tmp_path / "store-app", files)
    assert kit("new", tmp_path / "x", "--app", root, "--python", small, "--startup", "import store.main").code == 0
    file = tmp_path / "x" / "incident.yaml"
    text = file.read_text()
    assert load(file).database_env == "STORE_PLACE"
    line = next(one for one in text.splitlines() if one.startswith("database_env"))
    file.write_text(text.replace(line, "").replace("  root:", "  env: {STORE_PLACE: test}\n  root:"))
    said = kit("reproduce", file)
    assert "Could not parse SQLAlchemy URL" in said.out
    assert "one of these, of app.env? STORE_PLACE" in said.out and "'database_env'" in said.out
