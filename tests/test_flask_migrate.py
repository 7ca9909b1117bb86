"""Migrations that only run inside a Flask application: Flask-Migrate's ``alembic.ini`` does not say where they lie."""

import difflib
import shutil
import subprocess
from pathlib import Path

import pytest
from test_new import FLASK, REVISION, small, written  # noqa: F401 (a fixture)

from kit.diagnose.decision import decide_mechanism
from kit.diagnose.definitions import compare
from kit.diagnose.diagnosis import diagnose
from kit.diagnose.observation import look_at
from kit.incident.load import load
from kit.views import diagnosis as reasons


def changed(root: Path, name: str, old: str, new: str) -> str:
    """A patch that changes one text of a file."""
    text = (root / name).read_text()
    assert old in text
    lines = (one.splitlines(keepends=True) for one in (text, text.replace(old, new)))
    return "".join(difflib.unified_diff(*lines, f"a/{name}", f"b/{name}"))


@pytest.fixture(scope="module")
def service(once, tmp_path_factory, small):  # noqa: F811
    """An application with the folder of migrations that ``flask db init`` makes, and an incident about it."""
    return once("flask-migrate", lambda: made(tmp_path_factory.mktemp("flask-migrate"), small))


def made(folder: Path, python: str) -> Path:
    files = {name: text for name, text in FLASK.items() if not name.startswith("migrations")}
    old = files["shop/legacy.py"].replace("primary_key=True)", "primary_key=True); weight = db.Column(db.Integer)")
    root = written(folder / "app", {**files, "shop/legacy.py": old})
    healthy = written(folder / "healthy", {**files, "shop/legacy.py": ""})
    flask = [Path(python).with_name("flask"), "--app", "shop:create_app", "db", "init", "-d", root / "migrations"]
    environment = {"FLASK_SQLALCHEMY_DATABASE_URI": "sqlite://", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(flask, cwd=healthy, env=environment, check=True, capture_output=True)
    assert "script_location" not in (root / "migrations" / "alembic.ini").read_text()
    written(root, {"migrations/versions/a1.py": REVISION})
    column = "id = db.Column(db.Integer, primary_key=True)"
    drifting = changed(root, "shop/models.py", column, f"{column}; weight = db.Column(db.Integer)")
    (folder / "changed.patch").write_text(changed(root, "shop/__init__.py", "models, legacy", "models"))
    (folder / "drifting.patch").write_text((folder / "changed.patch").read_text() + drifting)
    (folder / "incident.yaml").write_text(
        f"""\
title: Table 'parcels' is already defined
app: {{root: app, python: "{python}"}}
database_env: FLASK_SQLALCHEMY_DATABASE_URI
startup:
  - command: flask --app shop:create_app db upgrade
expect: {{table: parcels}}
fixes:
  changed: {{patches: [changed.patch]}}
  drifting: {{patches: [drifting.patch]}}
checks:
  - migrations: migrations/alembic.ini
"""
    )
    return folder


def test_its_migrations_are_compared_with_the_definitions(service):
    incident = load(service)
    looked = look_at(incident)
    pair = decide_mechanism(incident, looked).pair
    assert compare(*pair, looked.created, looked.stopped).agrees == "the first"


def test_the_check_compares_within_the_application(kit, service):
    fixes = {one["name"]: one for one in kit("verify", service, "--json").json["fixes"]}
    seen = {name: next(c["seen"] for c in one["checks"] if "migrations" in c["check"]) for name, one in fixes.items()}
    assert seen["changed"] == "at head a1; models and schema agree" and fixes["changed"]["verdict"] == "cures"
    assert "no migration creates column parcels.weight" in seen["drifting"] and fixes["drifting"]["verdict"] == "hides"


@pytest.mark.slow
def test_its_guard_asks_within_the_application_too(kit, service):
    said = kit("guard", service, "--fix", "changed")
    assert said.code == 0, said.out + said.err
    assert "FLASK_APPLICATION = ('shop:create_app', '')" in said.out
    drifting = kit("guard", service, "--fix", "drifting")
    assert drifting.code == 1 and "no migration creates column parcels.weight" in drifting.out


@pytest.mark.slow
def test_why_the_revisions_do_not_run_is_one_sentence(service, tmp_path):
    """Alembic's own sentence ends with a full stop."""
    file = tmp_path / "incident.yaml"
    text = (service / "incident.yaml").read_text().replace("root: app", f"root: {tmp_path}/app").partition("fixes:")[0]
    file.write_text(text)
    written(tmp_path / "app", {name: text for name, text in FLASK.items() if not name.startswith("migrations")})
    written(tmp_path / "app", {"migrations/alembic.ini": "[alembic]\n"})
    shown = repr(reasons.definitions(diagnose(load(file))))
    assert "could not be run by themselves: " in shown and "key found in configuration." in shown and ".." not in shown


def test_a_class_whose_module_nobody_imports_is_named_by_the_table_that_is_to_be_removed(service, tmp_path):
    """Flask-SQLAlchemy makes the table's name of the class's."""
    label = "from shop.models import db\n\n\nclass PriceLabel(db.Model):\n    id = db.Column(db.Integer, primary_key=True)\n"
    files = {name: text for name, text in FLASK.items() if not name.startswith("migrations")}
    files |= {"shop/legacy.py": "", "shop/labels.py": label, "migrations/versions/a1.py": REVISION}
    makes = "        op.create_table('price_label', sa.Column('id', sa.Integer, primary_key=True))\n"
    files["migrations/versions/a1.py"] = REVISION.rstrip(" ") + makes
    root = written(tmp_path / "app", files)
    shutil.copytree(
        service / "app" / "migrations", root / "migrations", ignore=lambda *_: ["versions"], dirs_exist_ok=True
    )
    steps = "[{command: flask --app shop:create_app db upgrade}, {command: flask --app shop:create_app db check}]"
    text = (service / "incident.yaml").read_text().partition("startup:")[0] + f"startup: {steps}\n"
    (tmp_path / "incident.yaml").write_text(text + "expect: {error: New upgrade operations detected}\n")
    incident = load(tmp_path)
    decision = decide_mechanism(incident, look_at(incident))
    assert decision.finding.mechanism == "model-module-not-imported-by-env"
    assert [str(place) for place in decision.fault.places] == ["shop/labels.py:4"]
