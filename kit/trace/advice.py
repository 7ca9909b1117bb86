"""What the commonest first failures of a startup usually mean: a variable, a database or a package is not there.

And what the kit itself kept the startup from, which may be why it failed.
"""

import re
from collections.abc import Sequence

from ..incident.model import DATABASE_SERVER, Incident
from .values import Error

_VARIABLE = re.compile(r"KeyError: '([A-Z][A-Z0-9_]+)'")
_NO_URL = re.compile("Could not parse (?:SQLAlchemy|rfc1738) URL")
_NOT_INSTALLED = re.compile(
    r"extension \"([\w-]+)\" is not available|could not open extension control file \"[^\"]*?([\w-]+)\.control\""
)
_NOT_ALLOWED = re.compile(r"permission denied to create extension \"([\w-]+)\"")


def of_set_up(error: Error | None) -> bool:
    """Does an error say that a variable is not given, that one given is no URL, or that the scratch database's server lacks
    an extension: how the startup is run, and no fault of it?

    A ``KeyError`` is of a variable where ``os`` itself raised it; any other mapping may lack a key too.
    """
    if error is None or error.own_words:
        return False
    by_os = bool(error.frames) and re.search(r"(?:^|/)os\.py$|^<frozen os>$", error.frames[-1].file)
    lacks = _NOT_INSTALLED.search(error.text) or _NOT_ALLOWED.search(error.text)
    return bool(error.type == "KeyError" and by_os or _NO_URL.search(error.text) or lacks)


def advice(incident: Incident, error: str | None) -> list[str]:
    """What to change in the incident file for a step's error; nothing where that says no more than the error."""
    error = error or ""
    name = _VARIABLE.match(error)
    if name:
        return [
            f"The environment starts empty: give {name[1]} in app.env, or, if it is the database's URL, "
            f"'database_env: {name[1]}'."
        ]
    module = re.match(r"ModuleNotFoundError: No module named '([\w.]+)'", error)
    if module:
        return [
            f"If {module[1]} is the application's own, put the folder that holds it on app.path; if it is a library, "
            "name the interpreter of the application's environment in app.python."
        ]
    if extension := _NOT_INSTALLED.search(error):
        return [
            f"The PostgreSQL server of the scratch database has no extension {extension[1] or extension[2]}. Install it for that server "
            f"by its package manager, or set {incident.database_server or DATABASE_SERVER} to the URL of a server that has it."
        ]
    if extension := _NOT_ALLOWED.search(error):
        return [
            f"Only a superuser may create the extension {extension[1]}, and the scratch database's role is none. Create it once in "
            f"template1 of a server of yours, set {incident.database_server or DATABASE_SERVER} to that server's URL, and have the "
            "application say CREATE EXTENSION IF NOT EXISTS: each scratch database is made with what template1 holds."
        ]
    if _NO_URL.search(error):
        env = incident.app.env.items()
        names = [variable for variable, value in env if "{database" not in value and "://" not in value]
        of = f" (one of these, of app.env? {', '.join(names[:6])})" if names else ""
        return [
            "The application took a text that is no URL for the URL of its database. The scratch database's URL is in "
            f"{incident.database_env}: name in 'database_env' the variable that the application reads{of}, or give that one as "
            '"{database_url}" in app.env.'
        ]
    return []


def refusals(refused: Sequence[dict], most: int = 5) -> str | None:
    """What the guards refused (``Trace.refused``), as a sentence with the place of each attempt; None: nothing was."""
    attempts = list(dict.fromkeys(f"{attempt['what']}{_place(attempt)}" for attempt in refused))
    if not attempts:
        return None
    more = f", and {len(attempts) - most} more (all are in the JSON, under 'refused')" if len(attempts) > most else ""
    variable = " If it is the application's database, name the variable that it reads in 'database_env'."
    advised = variable if any("://" in attempt["what"] for attempt in refused) else ""
    return (
        f"The kit refused {', '.join(attempts[:most])}{more}: a reproduction reaches its scratch database and what it opens "
        f"itself, nothing else.{advised}"
    )


def _place(attempt: dict) -> str:
    if attempt["site"]:
        return f" at {attempt['site']['file']}:{attempt['site']['line']}"
    return f" by {attempt['by']}" if attempt.get("by") else ""
