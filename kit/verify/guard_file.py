"""The guard as a file: a header with the constants of its incident, and the texts of ``startup/child/`` below them."""

import ast
import pprint
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.redact import public_part, redact, safe
from ..base.scan import kinds_in, refuse_secrets
from ..diagnose.explanations import MEANINGS, Meaning
from ..diagnose.values import Looked
from ..incident.model import Incident
from ..incident.steps import Preparation
from ..startup import child
from ..startup.migrations import alembic_words, flask_application
from ..startup.workspace import workspace
from ..trace.chains import application_frames
from ..trace.trace import Trace
from ..trace.values import Conflict, Site

_CHILD = Path(child.__file__).parent
_BELOW = "# ---- below this line is the text of every guard\n"
_ABOVE = "# ---- above this line is the text of every guard\n"
_UNNAMED = Meaning("Something that the kit has no name for.", "Fix what is named there.")
_REMEDY = (
    "A guard goes into a repository. Of an error give a part in expect.error; in a step write $NAME in place of the value, "
    "and give NAME in app.env under a name that says so (as in API_TOKEN): the guard then takes it from the environment "
    "that it runs in."
)
_DOCUMENT = '''"""Guards against an incident: {title}

It fails when the incident comes back. It starts the application the way the incident did (STARTUP below), from a
copy of its folder, in fresh interpreters with a clean environment and a scratch SQLite database, and asks:

- does every step succeed, and is the incident's error neither raised, nor swallowed, nor printed?
- do the mappers configure, with one mapped class a table and one module name a file that defines tables?
{migrations}
What it meant: {meaning}
What to do when it fails: look at the two lines that it names. {remedy}

It needs nothing but Python 3.8 or later and what the application has, writes only into the temporary folder that
pytest gives it, and reaches no database but its own. It may lie anywhere below the application's root, the folder
that holds MARKER; from elsewhere, set INCIDENT_GUARD_ROOT. `python {file}` runs it without pytest.

Written by the incident kit, which ran it before: {tried}
"""
'''
_OF_MIGRATIONS = "- are the migrations at head, and do models and schema agree, by Alembic's own comparison?\n"
_OF_CHECK = "- does the check that failed with the incident pass?\n"
_CHECK_FAILS = "the check that failed with the incident fails"
_COMMENTS = {
    "ERROR": "  # the error as it was seen, or a part of it",
    "RECORDED": "  # the two lines, when this file was written",
    "MARKER": "  # a file of the application, from its root",
    "FROM_OUTSIDE": "  # they look like secrets: taken from the environment that the guard runs in",
    "PREPARE": "  # before the startup, on the same scratch database; must succeed",
    "FLASK_APPLICATION": "  # as the steps name it, and as they name it to a server",
    "ALEMBIC": "  # what the steps give alembic on its command line",
    "SECONDS": "  # for one step",
}


@dataclass(frozen=True)
class Content:
    """What a guard holds of its incident; ``constants`` are by their names in the file, the others those of their parts."""

    title: str
    meaning: str
    remedy: str
    constants: dict[str, Any]
    migrations: dict[str, Any]
    check: dict[str, Any]


def name_of(incident: Incident) -> str:
    """What the test is called: by the incident file's folder, or by the file."""
    stem = incident.folder.name if incident.file.name == "incident.yaml" else incident.file.stem
    return "incident_" + (re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower() or "unnamed")


def content_of(
    incident: Incident, looked: Looked, mechanism: str, pair: tuple[Site | None, Site | None], conflict: Conflict | None
) -> Content:
    """What the guard of an incident holds.

    :param pair: the two lines that the mechanism is about
    """
    trace, (first, second) = looked.trace, pair
    check = _check(incident)
    error = incident.expect.error or (_CHECK_FAILS if check else None) or (conflict.error if conflict else None)
    error = error or next((step.error.splitlines()[0] for step in trace.steps if step.error), None)
    if conflict and not incident.expect.error:
        error = f"Table '{conflict.table}' is already defined"
    sites = [(which, site) for which, site in (("first ", first), ("second", second)) if site]
    recorded = [f"{which} {site} {site.name or ''}".strip() for which, site in sites]
    settings = {name: f"{name}={value}" for name, value in incident.app.env.items()}
    secrets = [name for name, text in settings.items() if redact(text) != text or kinds_in(incident.app.env[name])]
    meaning, remedy = MEANINGS.get(mechanism, _UNNAMED)[:2]
    driver = incident.database_driver if incident.database == "sqlite" else None  # PostgreSQL's are none of SQLite's
    migrations = _migrations(incident, looked)
    title = _in_docstring(redact(incident.title))
    constants = {
        "INCIDENT": title,
        "ERROR": public_part(error) if error else None,
        "RECORDED": recorded,
        "MARKER": _marker(incident, trace, conflict),
        "WORKDIR": incident.app.workdir,
        "IMPORT_PATH": incident.app.path,
        "ENVIRONMENT": {name: value for name, value in incident.app.env.items() if name not in secrets},
        "FROM_OUTSIDE": secrets,
        "DATABASE_VARIABLE": incident.database_env,
        "SCRATCH": f"sqlite{f'+{driver}' if driver else ''}:///",
        "PREPARE": [_as_command(step, incident) for step in incident.prepare],
        "STARTUP": [(step.kind, step.text) for step in incident.startup],
        "SECONDS": incident.limits.seconds,
    }
    words = alembic_words(incident, migrations or "")
    of_steps = {"FLASK_APPLICATION": flask_application(incident), "ALEMBIC": words}
    of_migrations = {"MIGRATIONS": migrations, **of_steps} if migrations else {}
    meaning, remedy = _in_docstring(f"{mechanism}: {meaning}"), _in_docstring(remedy)
    return Content(title, meaning, remedy, constants, of_migrations, {"CHECK": check} if check else {})


def text_of(incident: Incident, content: Content, *, tried: str) -> str:
    """The guard's text.

    :param tried: what it was run on, in a sentence
    :raises SecretFound: it would hold a secret
    """
    name = name_of(incident)
    file = f"test_{name}.py"
    document = _DOCUMENT.format(
        title=content.title,
        meaning=content.meaning,
        remedy=content.remedy,
        file=file,
        tried=_in_docstring(tried),
        migrations=(_OF_MIGRATIONS if content.migrations else "") + (_OF_CHECK if content.check else ""),
    )
    parts = ["guard", "guard_watch", *(["ask_alembic", "guard_migrations"] if content.migrations else [])]
    parts += ["guard_check"] if content.check else []
    texts = ((_CHILD / f"{part}.py").read_text("utf-8").partition(_ABOVE)[0] for part in parts)
    modules = [text.partition(_BELOW) for text in texts]
    constants = {**content.constants, **content.migrations, **content.check}
    source = "\n\n".join(
        [
            f"{document}\n{_imports(header for header, _, _ in modules)}",
            "".join(
                f"{name} = {pprint.pformat(value, width=100, sort_dicts=False)}{_COMMENTS.get(name, '')}\n"
                for name, value in constants.items()
            ),
            f"def test_{name}(tmp_path):\n    __tracebackhide__ = True\n    passes(tmp_path)\n",
            *(body.strip("\n") + "\n" for _, _, body in modules),
            'if __name__ == "__main__":\n    main()\n',
        ]
    )
    refuse_secrets({file: source}, done="written", remedy=_REMEDY)
    return source


def _imports(headers) -> str:
    """What the parts of a guard import, but each other."""
    nodes = [node for header in headers for node in ast.parse(header).body]
    lines = {ast.unparse(node) for node in nodes if isinstance(node, ast.Import)}
    lines |= {ast.unparse(node) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return "".join(f"{line}\n" for line in sorted(lines, key=lambda line: (line.startswith("from"), line)))


def _in_docstring(text: str) -> str:
    """Text of others in one line that cannot end the docstring that it stands in."""
    return re.sub(r"\s+", " ", safe(text)).replace("\\", "/").replace('"', "'").strip()


def _as_command(step: Preparation, incident: Incident) -> tuple[str, str]:
    """A preparation as a step that a test can run."""
    if step.kind != "upgrade":
        return step.kind, step.text
    config = next((check.migrations for check in incident.all_checks if check.migrations), "alembic.ini")
    return "command", f"alembic -c {config} upgrade {step.text}"


def _check(incident: Incident) -> dict[str, Any]:
    """The check that the incident is, as far as a guard can ask it."""
    check = incident.expect.check
    if check is not None and check.command is not None:
        return {"command": check.command}
    http = check.http if check is not None else None
    if http is None:
        return {}
    request = {name: getattr(http, name) for name in ("method", "path", "status", "headers", "body", "contains")}
    return request | {"headers": {name: str(value) for name, value in http.headers.items()}}


def _marker(incident: Incident, trace: Trace, conflict: Conflict | None) -> str:
    """A file by which the application's root is known: where the startup enters it, if no step made that file."""
    frames = application_frames(conflict.second.chain) if conflict else ()
    with workspace(incident) as space:
        entered = [*(frame.file for frame in frames), *(i.file for i in trace.imports if i.application and i.file)]
        there = [file for file in entered if (space.root / file).is_file()]
        return there[0] if there else sorted(path.name for path in space.root.iterdir())[0]


def _migrations(incident: Incident, looked: Looked) -> str | None:
    """The configuration to ask Alembic with, where the incident file asks for it and the answer was part of the incident."""
    config = next((check.migrations for check in incident.checks if check.migrations), None)
    seen = looked.migrations
    wrong = seen is not None and (seen.problem or seen.current != seen.heads or seen.differences)
    return config if wrong else None
