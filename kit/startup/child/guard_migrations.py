"""What a guard asks Alembic, where migrations are part of its incident; its text stands below that of ``guard_watch.py``."""

import atexit
import os

from .ask_alembic import compared
from .guard import AFTERWARDS, DATABASE_VARIABLE, SECONDS
from .guard_watch import at_the_end, note

MIGRATIONS = "alembic.ini"
FLASK_APPLICATION = ("", "")
ALEMBIC = []
# ---- below this line is the text of every guard


def migrations_of(run):
    """Ask Alembic through the application's env.py, in an interpreter of its own; what is wrong, in sentences."""
    return [] if run.call("ask_alembic()", SECONDS) else ["Alembic could not compare: " + run.why]


AFTERWARDS.append(migrations_of)


def ask_alembic():
    atexit.unregister(at_the_end)  # env.py need not load all of the application
    words = [word.replace("{database_url}", os.environ[DATABASE_VARIABLE]) for word in ALEMBIC]
    seen = compared(MIGRATIONS, *FLASK_APPLICATION, words)
    if seen["current"] != seen["heads"]:
        at = ", ".join(seen["current"]) or "no revision"
        note(state="the database is at %s, head is %s" % (at, ", ".join(seen["heads"])))
    for difference in seen["differences"]:
        note(state=difference)
