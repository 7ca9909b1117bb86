"""What a guard asks Alembic, where migrations are part of its incident; its text stands below that of ``guard_watch.py``."""

import atexit
import contextlib
import os

from .guard import AFTERWARDS, SECONDS
from .guard_watch import at_the_end, note

MIGRATIONS = "alembic.ini"
FLASK_APPLICATION = ("", "")
# ---- below this line is the text of every guard


def migrations_of(run):
    """Ask Alembic through the application's env.py, in an interpreter of its own; what is wrong, in sentences."""
    return [] if run.call("ask_alembic()", SECONDS) else ["Alembic could not compare: " + run.why]


AFTERWARDS.append(migrations_of)


def ask_alembic():
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    atexit.unregister(at_the_end)  # env.py need not load all of the application
    config, beside = Config(MIGRATIONS), os.path.dirname(os.path.abspath(MIGRATIONS))
    if not config.get_main_option("script_location") and os.path.exists(os.path.join(beside, "env.py")):
        config.set_main_option("script_location", beside.replace("%", "%%"))  # Flask-Migrate's file does not say it
    scripts = ScriptDirectory.from_config(config)

    def ask(revision, context):
        current, heads = sorted(context.get_current_heads()), sorted(scripts.get_heads())
        if current != heads:
            at = ", ".join(current) or "no revision"
            note(state="the database is at %s, head is %s" % (at, ", ".join(heads)))
        metadata = context.opts.get("target_metadata")
        for difference in [] if metadata is None else compare_metadata(context, metadata):
            for change in difference if isinstance(difference, list) else [difference]:
                parts = [part for part in change[1:4] if part is not None]
                names = [str(getattr(part, "key", None) or getattr(part, "name", None) or part) for part in parts]
                note(state="models and migrations do not agree: %s %s" % (change[0], " ".join(names)))
        return []

    environment = EnvironmentContext(config, scripts, fn=ask, as_sql=False, dont_mutate=True)
    with in_application(scripts.env_py_location), environment:
        scripts.run_env()


def in_application(env):
    """Where env.py asks for the current Flask application: in the one that `flask` itself would find."""
    with open(env, encoding="utf-8") as file:
        if "current_app" not in file.read():
            return contextlib.nullcontext()
    from flask.cli import ScriptInfo, load_dotenv

    if os.environ.get("FLASK_SKIP_DOTENV", "0") in ("0", "false", "no", ""):
        load_dotenv()
    usual = any(os.path.exists(name) for name in ("wsgi.py", "app.py"))
    named = FLASK_APPLICATION[0] or os.environ.get("FLASK_APP") or (None if usual else FLASK_APPLICATION[1] or None)
    return ScriptInfo(app_import_path=named).load_app().app_context()
