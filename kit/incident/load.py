"""Reads and validates an incident file; each error names the key and the line.

The file is YAML (see ``README.md`` for every key). Relative paths start at its folder. A key that is
not known, a wrong type or a missing path is an :class:`~kit.base.errors.IncidentError`.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ..base.errors import IncidentError
from ..base.known_secrets import remember_all, says_secret
from . import yaml_file
from .model import Action, App, Event, Expect, Fix, Hypothesis, Incident, Limits, Postmortem
from .steps import PLACEHOLDERS, Check, Http
from .yaml_file import line_of

_MOST_BYTES = 4 << 20


def load(path: str | Path) -> Incident:
    """Read and validate an incident file.

    :param path: the file, or a folder that holds ``incident.yaml``
    :raises IncidentError: with the key and the line of everything that is wrong
    """
    file, text = _read(path)
    data, node = yaml_file.read(text, file)
    if not isinstance(data, dict):
        raise IncidentError(f"{file}:1: an incident file is a mapping with title, app and startup")
    remember_all(data, "")  # from here on no message, page or report holds them
    if "file" in data:
        raise IncidentError(f"{file}:{line_of(node, ('file',))}: file: unknown key")
    try:
        incident = Incident.model_validate({**data, "file": file.absolute()})
    except ValidationError as error:
        problems = sorted(_problem(detail, node, file) for detail in error.errors())
        raise IncidentError("\n".join(text for _, text in dict.fromkeys(problems))) from None
    _check_paths(incident, node)
    _check_variables(incident, node)
    return incident


def _read(path: str | Path) -> tuple[Path, str]:
    """The incident file that a path names, and its text."""
    try:
        file = Path(path).expanduser()
        file = file / "incident.yaml" if file.is_dir() else file
        if not file.exists():
            raise IncidentError(
                f"{file}: there is no such incident file. Give the path of an incident.yaml, or of its folder."
            )
        if not file.is_file():
            raise IncidentError(f"{file}: is no file; an incident file lies beside what it names")
        if file.stat().st_size > _MOST_BYTES:
            raise IncidentError(f"{file}: is larger than {_MOST_BYTES >> 20} MB, and no incident file")
        return file, file.read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise IncidentError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def _problem(detail, node, file) -> tuple[int, str]:
    where, kind = detail["loc"], detail["type"]
    name = ".".join(map(str, where))[:200] or "the file"
    line = line_of(node, where)
    if kind == "extra_forbidden":
        known = _known_keys(where)
        near = difflib.get_close_matches(str(where[-1]), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        text = f"unknown key; {hint}"
    elif kind == "missing":
        text = "required, but not there"
    elif kind == "value_error":
        text = str(detail["ctx"]["error"])
    else:
        secret = any(says_secret(str(part)) for part in where)
        shown = type(detail["input"]).__name__ if secret else repr(detail["input"])
        shown = shown if len(shown) < 80 else type(detail["input"]).__name__
        text = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, not {shown}"
        name += " (its value)" if secret else ""  # or what follows would be taken for it, and masked
    return line, f"{file}:{line}: {name}: {text}"


def _known_keys(where) -> list[str]:
    parts = {"app": App, "expect": Expect, "check": Check, "postmortem": Postmortem, "limits": Limits}
    lists = {"hypotheses": Hypothesis, "fixes": Fix, "checks": Check, "timeline": Event, "actions": Action}
    model = Incident
    for part in where[:-1]:
        model = parts.get(part) or lists.get(part) or (Http if part == "http" else model)
    return [name for name in model.model_fields if name != "file"]


def _check_paths(incident: Incident, node) -> None:
    missing = [(where, kind, path) for where, kind, path in _paths(incident) if not _is_there(kind, path)]
    problems = (
        f"{incident.file}:{line_of(node, where)}: {'.'.join(map(str, where))}: there is no {kind} {path}"
        for where, kind, path in missing
    )
    if missing:
        raise IncidentError("\n".join(problems))


def _is_there(kind: str, path: Path) -> bool:
    try:
        return path.is_dir() if kind == "folder" else path.is_file()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False


def _paths(incident: Incident) -> Iterator[tuple[tuple, str, Path]]:
    """Every folder and file that the incident file names, with its key."""
    app, resolve = incident.app, incident.resolve
    named = [(("app", "root"), "folder", app.root), (("app", "repository"), "folder", app.repository)]
    named += [(("log",), "file", incident.log), (("history",), "folder", incident.history)]
    preparations = [(("prepare",), incident.prepare)]
    for name, fix in incident.fixes.items():
        named += [(("fixes", name, "patches", number), "file", patch) for number, patch in enumerate(fix.patches)]
        preparations.append((("fixes", name, "prepare"), fix.prepare or []))
    for where, steps in preparations:
        named += [((*where, n, "sql"), "file", step.text) for n, step in enumerate(steps) if step.kind == "sql"]
    yield from ((where, kind, resolve(path)) for where, kind, path in named if path is not None)
    if app.root is not None and _is_there("folder", resolve(app.root)):
        workdir = resolve(app.root) / app.workdir
        yield ("app", "workdir"), "folder", workdir
        checks = [(("checks", number), check) for number, check in enumerate(incident.checks)]
        for where, check in [*checks, (("expect", "check"), incident.expect.check)]:
            if check is not None and check.migrations is not None:
                yield (*where, "migrations"), "file", workdir / check.migrations


def _check_variables(incident: Incident, node) -> None:
    """Refuse a database URL that is written out: it would be the application's own database, or be set twice."""
    named = [(("app", "env"), incident.app.env)]
    named += [(("fixes", name, "env"), fix.env) for name, fix in incident.fixes.items()]
    for where, variables in named:
        text = variables.get(incident.database_env)
        if text is not None and not any(f"{{{placeholder}}}" in text for placeholder in PLACEHOLDERS):
            key = ".".join((*where, incident.database_env))
            raise IncidentError(
                f"{incident.file}:{line_of(node, (*where, incident.database_env))}: {key}: this variable gives the scratch "
                "database (database_env), and what is written here names another one. Write {database_url} or its parts "
                "into it, or name in database_env the variable that the application reads its database from."
            )
