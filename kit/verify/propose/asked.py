"""What is read of the application, and what is asked of each build beside the checks of the incident file."""

import re
from contextlib import suppress
from dataclasses import replace

from ...incident.model import Check, Incident
from ...startup.migrations import find_config
from ...startup.workspace import workspace
from ..verification import Attempt

_READ = (".py", ".ini", ".toml", ".cfg", ".html", ".jinja", ".jinja2", ".j2")
_LARGEST = 1 << 20  # bytes of a file that is read
_SKIPPED = re.compile(r"/(\.|(node_modules|__pycache__)/)")


def sources_of(incident: Incident) -> tuple[dict[str, str], str | None]:
    """Every text of the application that a candidate may read or change, by path; and its ``alembic.ini``."""
    sources = {}
    with workspace(incident) as space:
        config = find_config(incident, space)
        for file in sorted(space.root.rglob("*")):
            name = file.relative_to(space.root).as_posix()
            read = file.suffix in _READ and file.is_file() and not file.is_symlink()
            if read and not _SKIPPED.search(f"/{name}") and file.stat().st_size <= _LARGEST:
                with suppress(OSError, UnicodeDecodeError):
                    sources[name] = file.read_bytes().decode("utf-8")
        return sources, config and config.removeprefix(str(space.root)).lstrip("/")


def with_checks(incident: Incident, config: str | None) -> Incident:
    """The incident with the checks that it lacks: mappers, a clean start, migrations, and the routes that a server answers."""
    kinds = {check.kind for check in incident.checks}
    usual = {"mappers": True, "clean_start": True, "migrations": config}
    more: list[dict] = [{kind: value} for kind, value in usual.items() if value is not None and kind not in kinds]
    if any(step.kind == "serve" for step in incident.startup):
        more += [{"routes": True}] if "routes" not in kinds else []
    return incident.model_copy(update={"checks": [*incident.checks, *map(Check.model_validate, more)]})


def without_what_did_not_answer(incident: Incident, asked: Incident, control: Attempt) -> tuple[Incident, Attempt]:
    """Of what was added, only what held before says anything about a fix; the others would be failures of nobody's."""
    own_checks = {str(check) for check in incident.checks}
    held = {check.check for check in control.checks if check.ok}
    state = ("mappers", "clean_start", "routes")
    answered = [answer.path for check in control.checks for answer in check.answers]
    kept = [check for check in asked.checks if str(check) in own_checks or str(check) in held or check.kind in state]
    names = {str(check) for check in kept}
    checks = tuple(check for check in control.checks if check.check in names or check.kind in state)
    if answered:  # the same question of each fix
        kept = [Check(routes=answered) if check.kind == "routes" else check for check in kept]
    return asked.model_copy(update={"checks": kept}), replace(control, checks=checks)
