"""What the commonest first failures of a startup usually mean: a variable, a database or a package is not there.

And what the kit itself kept the startup from, which may be why it failed.
"""

import re
from collections.abc import Sequence

from .incident import Incident


def advice(incident: Incident, error: str | None) -> list[str]:
    """What to change in the incident file for a step's error; nothing where that says no more than the error."""
    error = error or ""
    name = re.match(r"KeyError: '([A-Z][A-Z0-9_]+)'", error)
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
    if "Could not parse SQLAlchemy URL" in error or "Could not parse rfc1738 URL" in error:
        given = [one for one, value in incident.app.env.items() if "{database" not in value and "://" not in value]
        of = f" (of app.env it may be {', '.join(given[:6])})" if given else ""
        return [
            "What the application takes for its database's URL is none. The scratch database's is in "
            f"{incident.database_env}: name the variable that the application reads{of} in 'database_env', or give it as "
            '"{database_url}" in app.env.'
        ]
    return []


def told_refused(refused: Sequence[dict], most: int = 5) -> str | None:
    """What the guards refused (``Trace.refused``), as a sentence with the place of each attempt; None: nothing was."""
    told = list(dict.fromkeys(f"{one['what']}{_place(one)}" for one in refused))
    if not told:
        return None
    more = f", and {len(told) - most} more (all are in the JSON, under 'refused')" if len(told) > most else ""
    database = any("://" in one["what"] for one in refused)
    advised = (
        " If it is the application's database, name the variable that it reads in 'database_env'." if database else ""
    )
    return (
        f"The kit refused {', '.join(told[:most])}{more}: a reproduction reaches its scratch database and what it opens "
        f"itself, nothing else.{advised}"
    )


def _place(one: dict) -> str:
    if one["site"]:
        return f" at {one['site']['file']}:{one['site']['line']}"
    return f" by {one['by']}" if one.get("by") else ""
