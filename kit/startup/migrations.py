"""What Alembic knows of an application: its env.py's models, the database's tables, what revisions create.

And how the scratch database comes into the state that an incident begins from: a revision, a row a table, a file of statements.
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from ..base.errors import RunBroke, last_line
from ..incident.model import Incident
from ..incident.steps import Preparation
from ..trace.reader import read_trace
from ..trace.trace import Trace
from ..trace.values import Broke
from .process import Ran, run
from .workspace import Workspace

KINDS = ("upgrade", "rows", "sql")  # of preparations that bring the database into a state
_ALEMBIC, _STATE = (str(Path(__file__).parent / "child" / name) for name in ("ask_alembic.py", "database_state.py"))


@dataclass(frozen=True)
class Migrations:
    """One look at a database through the application's ``env.py``.

    :ivar problem: why Alembic could not compare, or None
    :ivar models: table key to column names, of what ``env.py`` hands over as ``target_metadata``
    :ivar handed: where each ``MetaData`` that it hands over was made, as ``trace`` has it; None where that is not known
    :ivar database: table to column names, as the startup left the database
    :ivar passed_over: tables of the database that no model names and that ``env.py`` has Alembic pass over, as it does any
        table that it does not know
    :ivar trace: what was imported and registered while ``env.py`` ran
    """

    problem: str | None
    current: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    models: dict[str, list[str]] | None = None
    database: dict[str, list[str]] | None = None
    trace: Trace | None = None
    passed_over: tuple[str, ...] = ()
    broke: Broke | None = None  # where that is why it could not compare
    handed: tuple[str, ...] | None = None


def find_config(incident: Incident, space: Workspace) -> str | None:
    """The ``alembic.ini`` that a check or a step names, else the one in the working folder or below the root."""
    named = next((check.migrations for check in incident.all_checks if check.migrations), None)
    if named is not None:
        return named
    by_step = []
    for words in _commands(incident):
        if "alembic" in words and (ini := _option(words, "-c", "--config")):
            by_step.append(space.workdir / ini)
        if "flask" in words and "db" in words and (folder := _option(words[words.index("db") :], "-d", "--directory")):
            by_step.append(space.workdir / folder / "alembic.ini")
    usual = [space.workdir / "alembic.ini", space.root / "alembic.ini", *sorted(space.root.glob("*/alembic.ini"))]
    deeper = [file for file in sorted(space.root.glob("*/*/alembic.ini")) if file.with_name("env.py").exists()]
    for path in (*by_step, *usual, *deeper):
        if path.is_file() and path.resolve().is_relative_to(space.root.resolve()):
            return str(path)
    return None


def _commands(incident: Incident) -> list[list[str]]:
    """The words of every command in the command lines of an incident; a line that no shell would read is left out."""
    texts = [step.text for step in (*incident.startup, *incident.prepare) if step.kind in ("command", "serve")]
    commands = []
    for text in [*texts, *(check.command for check in incident.all_checks if check.command)]:
        lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split, lexer.commenters = True, ""
        with suppress(ValueError):
            ends = groupby(lexer, lambda word: set(word) <= set("&|;"))
            commands += [list(words) for between, words in ends if not between]
    return commands


def _option(words: list[str], *names: str) -> str | None:
    for number, word in enumerate(words):
        name, is_there, value = word.partition("=")
        if name in names and (is_there or number + 1 < len(words)):
            return value if is_there else words[number + 1]
    return None


def flask_application(incident: Incident) -> tuple[str, str]:
    """The Flask application that the steps tell ``flask``, and the one that they tell a server; "" where there is none."""
    named = served = ""
    words_before = (word for words in _commands(incident) for word in words if word.startswith("FLASK_APP="))
    before = next((word.partition("=")[2] for word in words_before), "")
    for words in _commands(incident):
        if "flask" in words:
            named = named or _option(words, "--app", "-A") or before
        else:
            served = served or next((word for word in words[1:] if re.fullmatch(r"[\w.]+:[\w.]+(\(.*\))?", word)), "")
    return named, served


def alembic_words(incident: Incident, config: str) -> list[str]:
    """What the steps' command that names this configuration most fully gives ``alembic``, the last of several."""
    longest, following = 0, []
    for words in _commands(incident):
        names = [Path(word).name for word in words]
        ini = re.sub(r"^(\.\./)+", "", Path(_option(words, "-c", "--config") or "alembic.ini").as_posix())
        runs = "alembic" in names and names[0] not in ("pip", "pip3", "echo")
        if runs and f"/{config}".endswith(f"/{ini}") and len(ini) >= longest:
            longest, following = len(ini), words[names.index("alembic") + 1 :]
    return following


def _asked(incident: Incident, space: Workspace, config: str) -> list[str]:
    """What is handed on to the application's Alembic beside its configuration."""
    return [*flask_application(incident), json.dumps([*map(space.filled, alembic_words(incident, config))])]


def look(incident: Incident, space: Workspace, config: str, name: str) -> Migrations:
    """Compare models and database as ``alembic check`` does, in the application's interpreter, traced."""
    answer = space.folder / f"{name}.json"
    words = [space.python, _ALEMBIC, "look", config, str(answer), *_asked(incident, space, config)]
    ran = run(words, space, incident.limits, name, traced=True)
    trace = read_trace(incident, space, [ran.ended])
    if not answer.exists():
        problem = ran.why or last_line(ran.stderr) or f"exit code {ran.code}"
        return Migrations(f"Alembic could not compare: {problem}", trace=trace, broke=ran.why)
    content = json.loads(answer.read_text("utf-8"))
    lists = ("current", "heads", "differences", "differing", "passed_over")
    seen = {name: tuple(content[name]) for name in lists} | {name: content[name] for name in ("models", "database")}
    handed = [m for m in trace.metadata if m.number in content["handed"]]
    labels = tuple(m.label for m in handed if m.process == handed[0].process)
    return Migrations(None, trace=trace, handed=labels or None, **seen)


def build(incident: Incident, space: Workspace, config: str, name: str) -> tuple[dict[str, list[dict]], str | None]:
    """The tables that the revisions create on an empty database, without ``env.py``.

    :returns: table to columns, as the probe describes them; and what ended the build early, or None
    """
    answer = space.folder / f"{name}.json"
    with _emptied(incident, space) as empty:
        words = [space.python, _ALEMBIC, "build", config, str(answer), *_asked(incident, empty, config)]
        ran = run(words, empty, incident.limits, name)
    if not answer.exists():
        return {}, str(ran.why or last_line(ran.stderr) or f"exit code {ran.code}")
    built = json.loads(answer.read_text("utf-8"))
    return built["tables"], built["stopped"] or None


def bring(incident: Incident, space: Workspace, step: Preparation, name: str) -> Ran:
    """Run one preparation of the kinds in ``KINDS``, in a process of its own and under the startup's guards.

    :raises RunBroke: there is nothing to upgrade
    """
    if step.kind == "upgrade":
        config = find_config(incident, space)
        if config is None:
            raise RunBroke(
                f"{incident.file}: prepare: {step}: no alembic.ini is in the working folder nor in the first folders below "
                "the root. Name it in a check ('- migrations: path/alembic.ini'), or write the step as a command."
            )
        answer = str(space.folder / f"{name}.json")
        words = [space.python, _ALEMBIC, "upgrade", config, answer, *_asked(incident, space, config), step.text]
    elif step.kind == "rows":
        words = [space.python, _STATE, "rows", space.database_url, step.text]
    else:  # the kit's own interpreter: it has a driver, which the application's may lack
        words = [sys.executable, "-I", _STATE, "sql", space.database_url, str(incident.resolve(step.text))]
    return run(words, space, incident.limits, name)


@contextmanager
def _emptied(incident: Incident, space: Workspace) -> Iterator[Workspace]:
    """The workspace with another, empty scratch database; SQLite's is made in memory."""
    if space.postgresql is None:
        yield space
        return
    from .postgresql import give_extensions, scratch_database

    with scratch_database(incident) as other:
        give_extensions(other, space.root)
        yield replace(space, database_url=other.url(incident.database_driver), postgresql=other)
