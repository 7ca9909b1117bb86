"""The revision that the models ask for and nobody wrote: Alembic writes it, in a copy of the application."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ...incident.model import Incident
from ...startup.migrations import find_config
from ...startup.process import run
from ...startup.workspace import workspace
from .broken import Broken, Candidate
from .imports import imported_in_env

Writer = Callable[[dict], str]

_TABLES = re.compile(r"__tablename__\s*(?::[^=]+)?=\s*['\"](\w+)|\bTable\(\s*['\"](\w+)")
_EMPTY = re.compile(r"def upgrade\(\)[^:]*:\s*(?:\"\"\".*?\"\"\"\s*)?(?:#[^\n]*\s*)*pass\b", re.S)
_DROPS = re.compile(r"\bop\.drop_(?:table|column)\(|\.drop_column\(")
_DROPPED = re.compile(r"\bop\.drop_table\(\s*['\"](\w+)")


def missing_revision(incident: Incident, broken: Broken, patches: Sequence[str], write: Writer) -> Candidate | None:
    """A new revision by ``alembic revision --autogenerate``; None where Alembic writes none, or one that would drop what is there.

    Tables that ``env.py`` does not see would be dropped: their modules are imported in it first.

    :param broken: the build that it comes on top of, by ``patches``
    :param write: writes edits as one more patch, and gives its path
    """
    name, text = _written(incident, patches)
    edits: dict[str, str | None] = {}
    dropped = set(_DROPPED.findall(_upgrade(text)))
    if dropped:
        files = [
            file
            for file, source in broken.sources.items()
            if dropped & {name for tables in _TABLES.findall(source) for name in tables} and "versions" not in file
        ]
        changed = imported_in_env(broken, files)
        if changed is None:
            return None
        edits = {changed[0]: changed[1]}
        name, text = _written(incident, [*patches, write(edits)])
    if not text or _EMPTY.search(text) or _DROPS.search(_upgrade(text)):
        return None
    imported = " Import the models that env.py does not see." if edits else ""
    says = (
        f"Add the revision {name}, as Alembic writes it from the models: no revision creates what they name.{imported}"
    )
    return Candidate("write-missing-revision", says, {**edits, name: text})


def _upgrade(text: str) -> str:
    return text.partition("def upgrade")[2].partition("def downgrade")[0]


def _written(incident: Incident, patches: Sequence[str]) -> tuple[str, str]:
    """Path and text of the revision that Alembic writes for a build; "" twice where it writes none."""
    with workspace(incident, [Path(patch) for patch in patches]) as space:
        config = find_config(incident, space)
        if config is None:
            return "", ""
        before = set(space.root.rglob("versions/*.py"))
        alembic = [space.python, "-m", "alembic", "-c", config]
        upgraded = run([*alembic, "upgrade", "head"], space, incident.limits, "upgrade")
        if not upgraded.ok:
            return "", ""
        written = run(
            [*alembic, "revision", "--autogenerate", "-m", "what the models name"], space, incident.limits, "write"
        )
        new = set(space.root.rglob("versions/*.py")) - before
        if not written.ok or len(new) != 1:
            return "", ""
        file = new.pop()
        return file.relative_to(space.root).as_posix(), file.read_text("utf-8")
