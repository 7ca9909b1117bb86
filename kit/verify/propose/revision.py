"""The revision that the models ask for and nobody wrote: Alembic writes it, in a copy of the application."""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from ...incident.model import Incident
from ...startup.migrations import find_config
from ...startup.process import run
from ...startup.workspace import workspace
from .failing_build import Broken, Candidate
from .imports import env_of, imported_in

Writer = Callable[[dict], str]

_TABLES = re.compile(r"__tablename__\s*(?::[^=]+)?=\s*['\"](\w+)|\bTable\(\s*['\"](\w+)")
_EMPTY = re.compile(r"def upgrade\(\)[^:]*:\s*(?:\"\"\".*?\"\"\"\s*)?(?:#[^\n]*\s*)*pass\b", re.S)
_DROPS = re.compile(r"\bop\.drop_(?:table|column)\(|\.drop_column\(")
_DROPPED = re.compile(r"\bop\.drop_table\(\s*['\"](\w+)")

_TEMPLATE = '''"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


def missing_revision(incident: Incident, broken: Broken, patches: Sequence[str], write: Writer) -> Candidate | None:
    """A new revision by ``alembic revision --autogenerate``; None where Alembic writes none, or one that would drop what is there.

    Tables that ``env.py`` does not see would be dropped: their modules are imported in it first.

    :param broken: the build that it comes on top of, by ``patches``
    :param write: writes edits as one more patch, and gives its path
    """
    name, text = _written(incident, patches)
    edits: dict[str, str] = {}
    dropped = set(_DROPPED.findall(_upgrade(text)))
    if dropped:
        models = ((file, text) for file, text in broken.sources.items() if "versions" not in file)
        tables = {file: {*chain(*_TABLES.findall(text))} for file, text in models}
        files = [file for file, names in tables.items() if names & dropped]
        env = env_of(broken.sources)
        changed = imported_in(broken, env, files) if env is not None else None
        if changed is None:
            return None
        edits = {env: changed}
        name, text = _written(incident, [*patches, write(edits)])
    if not text or _EMPTY.search(text) or _DROPS.search(_upgrade(text)):
        return None
    imported = " Import the models that env.py does not see." if edits else ""
    says = (
        f"Add the revision {name}, as Alembic writes it from the models: no revision creates what they name.{imported}"
    )
    return Candidate("write-missing-revision", says, {**edits, name: text})


def restored_revision(incident: Incident, broken: Broken) -> Candidate | None:
    """The revision that the database is at and nobody has, as Alembic writes it from the models; None where it writes none."""
    text = broken.fault.error.text if broken.fault is not None and broken.fault.error is not None else ""
    match = re.search(r"identified by ['\"](\w+)['\"]", text)
    name, written = _written(incident, [], "--rev-id", match[1]) if match else ("", "")
    if not written or _EMPTY.search(written) or _DROPS.search(_upgrade(written)):
        return None
    says = (
        f"Write the missing revision {match[1]} as Alembic makes it from the models: the database has run it already. "
        "Ask its author whether it did the same; nothing is run again on that database."
    )
    return Candidate(f"restore-{match[1]}", says, {name: written})


def _upgrade(text: str) -> str:
    return text.partition("def upgrade")[2].partition("def downgrade")[0]


def _written(incident: Incident, patches: Sequence[str], *more: str) -> tuple[str, str]:
    """Path and text of the revision that Alembic writes for a build; "" twice where it writes none."""
    with workspace(incident, [Path(patch) for patch in patches]) as space:
        config = find_config(incident, space)
        if config is None:
            return "", ""
        before = set(space.root.rglob("versions/*.py"))
        for env in space.root.rglob("env.py"):
            template = env.with_name("script.py.mako")
            if (env.parent / "versions").is_dir() and not template.exists():
                template.write_text(_TEMPLATE, "utf-8")  # in the copy alone: nobody writes revisions here by Alembic
        alembic = [space.python, "-m", "alembic", "-c", config]
        if not run([*alembic, "upgrade", "head"], space, incident.limits, "upgrade").ok:
            return "", ""
        revision = ["revision", "--autogenerate", "-m", "what the models name", *more]
        written = run([*alembic, *revision], space, incident.limits, "write")
        new = set(space.root.rglob("versions/*.py")) - before
        if not written.ok or len(new) != 1:
            return "", ""
        file = new.pop()
        return file.relative_to(space.root).as_posix(), file.read_text("utf-8")
