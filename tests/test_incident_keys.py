"""What an incident file may say of the database's state, of fixes that are no patch, and of variables."""

import pytest

from kit.base.errors import IncidentError
from kit.incident.load import load
from kit.incident.steps import Http
from kit.startup.run import reproduce
from kit.verify.verification import verify

# A service whose second revision wants a column that no row has.
SHELF = {
    "alembic.ini": "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n",
    "service/__init__.py": "",
    "service/models.py": """
        from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, String
        from sqlalchemy.orm import declarative_base

        Base = declarative_base()

        class Plugin(Base):
            __tablename__ = "plugins"
            id = Column(Integer, primary_key=True)
            name = Column(String(50), nullable=False)
            kind = Column(String(9), CheckConstraint("kind IN ('ocr', 'pdf')"), nullable=False)
            version = Column(String(20), nullable=False)

        class Call(Base):
            __tablename__ = "calls"
            id = Column(Integer, primary_key=True)
            plugin_id = Column(Integer, ForeignKey("plugins.id"), nullable=False)
    """,
    "migrations/env.py": """
        import os
        from alembic import context
        from sqlalchemy import create_engine
        from service.models import Base

        with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
            context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
            with context.begin_transaction():
                context.run_migrations()
    """,
    "migrations/versions/a1.py": """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = "a1", None

        def upgrade():
            op.create_table("plugins", sa.Column("id", sa.Integer, primary_key=True),
                            sa.Column("name", sa.String(50), nullable=False),
                            sa.Column("kind", sa.String(9), sa.CheckConstraint("kind IN ('ocr', 'pdf')"), nullable=False))
            op.create_table("calls", sa.Column("id", sa.Integer, primary_key=True),
                            sa.Column("plugin_id", sa.Integer, sa.ForeignKey("plugins.id"), nullable=False))
    """,
    "migrations/versions/b2.py": """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = "b2", "a1"

        def upgrade():
            with op.batch_alter_table("plugins", recreate="always") as batch:
                batch.add_column(sa.Column("version", sa.String(20), nullable=False))
    """,
    "service/main.py": "import service.models",
}
UPGRADE = [{"command": "alembic upgrade head"}]
FAILS = {"error": "NOT NULL constraint failed"}


@pytest.fixture
def shelf(write_incident):
    def write(**incident):
        return load(write_incident(SHELF, startup=UPGRADE, **incident))

    return write


def error_of(incident) -> str:
    return reproduce(incident).steps[0].error or ""


def test_a_migration_that_fails_on_rows_fails_from_an_earlier_revision_with_a_row_a_table(shelf):
    assert FAILS["error"] in error_of(shelf(prepare=[{"upgrade": "a1"}, {"rows": 1}]))


def test_without_rows_the_same_migration_passes(shelf):
    assert not error_of(shelf(prepare=[{"upgrade": "a1"}]))


def test_made_up_rows_hold_to_checks_and_foreign_keys(shelf):
    look = (
        "import os, sqlite3; c = sqlite3.connect(os.environ['DATABASE_URL'].partition('///')[2]);"
        "print([c.execute(f'select * from {t}').fetchall() for t in ('plugins', 'calls')])"
    )
    steps = [{"upgrade": "a1"}, {"rows": 2}]
    trace = reproduce(shelf(prepare=steps).model_copy(update={"startup": load_steps(look)}))
    assert "[[(1, 'row 1', 'ocr'), (2, 'row 2', 'ocr')], [(1, 1), (2, 2)]]" in trace.steps[0].output


def load_steps(code: str):
    from kit.incident.steps import Step

    return [Step.model_validate({"code": code})]


def test_a_file_of_statements_brings_the_database_into_its_state(shelf, tmp_path):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "state.sql").write_text("insert into plugins (name, kind) values ('x; y', 'ocr');\n")
    assert FAILS["error"] in error_of(shelf(prepare=[{"upgrade": "a1"}, {"sql": "state.sql"}]))


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        ([{"rows": 0}], "rows takes how many made-up rows"),
        ([{"rows": "many"}], "rows takes how many made-up rows"),
        ([{"upgrade": "a 1; rm"}], "upgrade takes a revision"),
        ([{"sql": "nowhere.sql"}], "prepare.0.sql: there is no file"),
        ([{"grow": 1}], "a step is one of import, call, code, command, serve, upgrade, rows, sql"),
    ],
)
def test_a_preparation_that_cannot_be_is_refused_with_key_and_line(shelf, prepare, says):
    with pytest.raises(IncidentError, match=r"incident.yaml:\d+: prepare"):
        shelf(prepare=prepare)
    with pytest.raises(IncidentError) as error:
        shelf(prepare=prepare)
    assert says in str(error.value)


def test_a_startup_step_takes_no_state(write_incident):
    with pytest.raises(IncidentError, match="a step is one of import, call, code, command, serve"):
        load(write_incident(SHELF, startup=[{"rows": 1}]))


FIXES = {
    "service/__init__.py": "",
    "service/main.py": """
        import os
        import extra
        assert os.environ["MODE"] == "safe", "unsafe mode"
    """,
    "lib/extra.py": "",
    "service/other.py": "",
}


def test_fixes_that_are_settings_are_tried_as_patches_are(write_incident):
    fixes = {
        "mode": {"env": {"MODE": "safe"}},
        "other": {"env": {"MODE": "other"}},
        "start": {"startup": [{"import": "service.other"}]},
        "prepared": {"prepare": [{"code": "open('MODE', 'w')"}]},
        "python": {"python": "python3", "env": {"MODE": "safe"}},
        "path": {"path": ["."], "env": {"MODE": "safe"}},
    }
    app = {"path": [".", "lib"], "env": {"MODE": "fast"}}
    incident = load(write_incident(FIXES, app=app, fixes=fixes, expect={"error": "unsafe mode"}))
    verdicts = {one.name: one.verdict for one in verify(incident).fixes}
    assert verdicts == {
        "mode": "cures",
        "other": "does-not-cure",
        "start": "cures",
        "prepared": "does-not-cure",
        "python": "cures",
        "path": "does-not-cure",
    }


def test_a_variable_is_taken_away_by_null(write_incident):
    incident = load(
        write_incident(FIXES, app={"env": {"MODE": "fast", "X": "y"}}, fixes={"without": {"env": {"X": None}}})
    )
    assert incident.with_fix("without").app.env == {"MODE": "fast"}


def test_a_fix_that_changes_nothing_is_refused(write_incident):
    with pytest.raises(IncidentError, match="a fix is given by patches or commits, or by one of env, path, python"):
        load(write_incident(FIXES, fixes={"none": {"claim": "it will pass"}}))


def test_a_variable_that_gives_the_scratch_database_is_filled_in_as_it_is_written(write_incident):
    files = {"service/__init__.py": "", "service/main.py": "import os; print(os.environ['DATABASE_URL'])"}
    incident = load(write_incident(files, app={"env": {"DATABASE_URL": "{database_url}?timeout=5"}}))
    assert "scratch.db?timeout=5" in reproduce(incident).steps[0].output


@pytest.mark.parametrize("where", ["app", "fixes"])
def test_a_variable_that_gives_the_scratch_database_takes_no_other(write_incident, where):
    env = {"DATABASE_URL": "postgresql://db/prod"}
    given = {"app": {"env": env}} if where == "app" else {"fixes": {"there": {"env": env}}}
    with pytest.raises(IncidentError, match=r"incident.yaml:\d+: .*env.DATABASE_URL: this variable gives the scratch"):
        load(write_incident(FIXES, **given))


def test_expect_takes_a_check_in_place_of_an_error(write_incident):
    with pytest.raises(IncidentError, match="check .* is given in place of error and table"):
        load(write_incident(FIXES, expect={"error": "x", "check": {"mappers": True}}))


@pytest.mark.parametrize(
    ("status", "held", "failed"),
    [
        (302, {302}, {200}),
        ("below 500", {200, 404, 499}, {500}),
        ("below 400", {399}, {400}),
        ("below 500, not 404", {403}, {404, 500}),
    ],
)
def test_a_status_is_a_number_or_every_answer_that_is_no_failure(status, held, failed):
    statuses = Http(path="/", status=status).statuses
    assert held <= statuses and not failed & statuses


def test_another_form_of_a_status_is_refused(write_incident):
    with pytest.raises(IncidentError, match="status"):
        load(write_incident(FIXES, checks=[{"http": {"path": "/", "status": "below 300"}}]))


SHOP = {
    "shop/__init__.py": "",
    "shop/health.py": """
        def health():
            return {"status": "up"}
    """,
    "shop/items.py": """
        from fastapi import APIRouter

        router = APIRouter(prefix="/items")

        @router.get("/{item}")
        def item(item: str):
            return {"item": item}

        @router.get("/newest")
        def newest():
            return {"item": "newest"}
    """,
    "shop/main.py": """
        from fastapi import FastAPI
        from shop.health import health
        from shop.items import router

        app = FastAPI()
        app.get("/health")(health)
        app.include_router(router)
    """,
}


def test_an_answer_is_asked_for_a_text_and_for_the_endpoint_that_gives_it(write_incident):
    def http(path, **more):
        return {"http": {"path": path, **more}}

    checks = [
        http("/health", contains='"up"', served_by="shop.health:health"),
        http("/health", contains="down"),
        http("/items/newest", served_by="shop.items:newest"),
        http("/items/newest", served_by="shop.items:item"),
    ]
    serve = [{"serve": "uvicorn shop.main:app --port {port}"}]
    incident = load(write_incident(SHOP, startup=serve, checks=checks, expect={"check": checks[2]}))
    control = verify(incident).control
    assert control.reproduced
    assert [check.ok for check in control.checks] == [True, False, False, True]
    assert "by shop.items:item at shop/items.py:" in control.checks[2].seen


def test_a_fix_that_is_a_setting_is_shown_as_what_it_sets(write_incident):
    fix = {"env": {"MODE": "safe"}, "path": [".", "lib"]}
    incident = load(
        write_incident(
            FIXES,
            app={"env": {"MODE": "fast"}, "path": [".", "lib"]},
            fixes={"mode": fix},
            expect={"error": "unsafe mode"},
        )
    )
    assert verify(incident).fixes[0].patches == ("env: MODE=safe", "path: ., lib")


def test_a_commit_that_is_not_there_is_said_before_anything_is_started(write_incident):
    incident = load(
        write_incident(FIXES, fixes={"gone": {"commits": ["abc1234"]}}, expect={"error": "nothing of the kind"})
    )
    with pytest.raises(IncidentError, match="commit abc1234"):
        verify(incident)
