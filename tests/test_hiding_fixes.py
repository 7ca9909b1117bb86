"""A fix that takes the error away and leaves what made it: it hides, whatever the checks of the incident file ask for."""

import difflib
import textwrap

from test_incident_keys import SHELF

from kit.incident.load import load
from kit.verify.verification import verify

STORE = {
    "service/__init__.py": "",
    "service/main.py": """
        import os
        from sqlalchemy import create_engine

        engine = create_engine(os.environ["SHOP_URL"])
        with engine.connect():
            pass
    """,
}


def verdicts(incident) -> dict[str, tuple[str, str]]:
    return {one.name: (one.verdict, one.because) for one in verify(incident).fixes}


def patch_of(folder, name: str, files: dict[str, str], file: str, old: str, new: str) -> dict:
    """A fix that puts a text in place of another one."""
    folder.mkdir(exist_ok=True)
    before = textwrap.dedent(files[file])
    assert old in before
    lines = (text.splitlines(keepends=True) for text in (before, before.replace(old, new)))
    (folder / f"{name}.patch").write_text("".join(difflib.unified_diff(*lines, f"a/{file}", f"b/{file}")))
    return {"patches": [f"{name}.patch"]}


def test_a_build_that_leaves_the_scratch_database_is_not_cured(write_incident, tmp_path):
    old = 'engine = create_engine(os.environ["SHOP_URL"])'
    new = f"try:\n    {old}\nexcept Exception:\n    engine = create_engine('sqlite://')"
    fixes = {
        "fallback": patch_of(tmp_path / "case", "fallback", STORE, "service/main.py", old, new),
        "scheme": {"env": {"SHOP_URL": "{database_url}"}},
    }
    app = {"env": {"SHOP_URL": "nosuch+{database_url}"}}
    incident = load(write_incident(STORE, app=app, fixes=fixes, expect={"error": "Can't load plugin"}))
    found = verdicts(incident)
    assert found["scheme"][0] == "cures", found
    assert found["fallback"][0] == "hides" and "makes an engine for sqlite" in found["fallback"][1], found


def test_a_database_that_the_application_always_chose_itself_is_held_against_no_fix(write_incident, tmp_path):
    source = """
        import nosuch
        from sqlalchemy import create_engine

        with create_engine("sqlite://").connect():
            pass
    """
    files = {"service/__init__.py": "", "service/main.py": source}
    fix = patch_of(tmp_path / "case", "gone", files, "service/main.py", "import nosuch\n", "")
    incident = load(write_incident(files, fixes={"gone": fix}, expect={"error": "No module named 'nosuch'"}))
    assert verdicts(incident)["gone"][0] == "cures"


def test_an_env_py_that_passes_over_every_unknown_table_hides(write_incident, tmp_path):
    b2 = """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = "b2", "a1"

        def upgrade():
            op.add_column("plugins", sa.Column("version", sa.String(20), nullable=False, server_default=""))
    """
    models = SHELF["service/models.py"].partition("        class Call")[0]
    files = {**SHELF, "service/models.py": models, "migrations/versions/b2.py": b2}
    old = "render_as_batch=True)"
    filters = {
        "all": "lambda o, name, kind, reflected, other: not (kind == 'table' and reflected and other is None)",
        "one": "lambda o, name, *rest: name != 'calls'",
    }
    fixes = {
        name: patch_of(tmp_path / "case", name, files, "migrations/env.py", old, f"{old[:-1]}, include_object={text})")
        for name, text in filters.items()
    }
    startup = [{"command": "alembic upgrade head"}, {"command": "alembic check"}]
    incident = load(write_incident(files, startup=startup, fixes=fixes, expect={"error": "remove_table"}))
    found = verdicts(incident)
    assert found["one"][0] == "cures", found
    assert found["all"][0] == "hides" and "env.py has Alembic pass over every table" in found["all"][1], found


def test_a_patch_of_a_script_that_the_startup_does_not_run_is_told_so(write_incident, tmp_path):
    files = {**STORE, "start.sh": "#!/bin/sh\npython -m service.main\n"}
    fixes = {
        "script": patch_of(tmp_path / "case", "script", files, "start.sh", "python -m", "SHOP_URL=sqlite:// python -m")
    }
    app = {"env": {"SHOP_URL": "nosuch+{database_url}"}}
    more = {"app": app, "fixes": fixes, "expect": {"error": "Can't load plugin"}}
    copied = load(write_incident(files, startup=[{"command": "python -m service.main"}], **more))
    verdict, because = verdicts(copied)["script"]
    assert verdict == "does-not-cure" and "start.sh is changed, and the startup does not run it" in because
    named = load(write_incident(files, startup=[{"command": "sh start.sh"}], **more))
    assert "does not run it" not in verdicts(named)["script"][1]


def test_a_patch_of_what_is_installed_is_undecided_where_the_interpreter_stays_as_it_is(write_incident, tmp_path):
    files = {**STORE, "requirements.txt": "sqlalchemy\n"}
    fixes = {
        "driver": patch_of(tmp_path / "case", "driver", files, "requirements.txt", "sqlalchemy", "sqlalchemy-nosuch")
    }
    more = {
        "app": {"env": {"SHOP_URL": "nosuch+{database_url}"}},
        "fixes": fixes,
        "expect": {"error": "Can't load plugin"},
    }
    verdict, because = verdicts(load(write_incident(files, startup=[{"command": "python -m service.main"}], **more)))[
        "driver"
    ]
    assert (
        verdict == "undecided" and "requirements.txt is changed" in because and because.endswith("in the fix's python")
    )


def test_a_model_that_env_py_never_imported_is_held_against_no_fix_that_left_it_so(write_incident, tmp_path):
    base = """
        from sqlalchemy.orm import declarative_base

        Base = declarative_base()
    """
    model = """
        from sqlalchemy import Column, Integer
        from service.base import Base

        class Plugin(Base):
            __tablename__ = "plugins"
            id = Column(Integer, primary_key=True)
    """
    files = {
        **SHELF,
        "service/base.py": base,
        "service/models.py": model,
        "service/legacy.py": model,
        "service/main.py": "import service.models\nimport service.legacy\n",
        "migrations/env.py": SHELF["migrations/env.py"].replace("service.models", "service.base"),
    }
    del files["migrations/versions/b2.py"]
    imported = {**files, "migrations/env.py": SHELF["migrations/env.py"].replace("import Base", "import Base, Plugin")}
    gone = ("import service.legacy\n", "")
    one = patch_of(tmp_path / "case", "one", files, "service/main.py", *gone)
    expect = {"error": "Table 'plugins' is already defined", "table": "plugins"}
    never = load(write_incident(files, fixes={"one": one}, expect=expect))
    verdict, because = verdicts(never)["one"]
    assert verdict == "cures" and "as without it, env.py imports no model of plugins" in because, because
    # A fix that takes the import out of env.py is not one that left it as it was.
    lost = patch_of(
        tmp_path / "case", "lost", imported, "migrations/env.py", "models import Base, Plugin", "base import Base"
    )
    both = {"patches": [*one["patches"], *lost["patches"]]}
    dropped = load(write_incident(imported, fixes={"both": both, "one": one}, expect=expect))
    found = verdicts(dropped)
    assert found["one"][0] == "cures" and found["both"][0] == "hides", found
