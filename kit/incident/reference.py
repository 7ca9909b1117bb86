"""The reference of the incident file, from the model: ``python -m kit.incident.reference > notebooks/incident-file.md``."""

import typing
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from .model import Incident
from .steps import Step

_WORDS = {
    "title": "one line",
    "app.root": "the application's folder; it is copied, and never written to. This, or `repository`",
    "app.repository": "a git repository; a commit of it is run",
    "app.revision": "the commit, of `repository`",
    "app.subdir": "the application's folder inside the repository",
    "app.workdir": "where commands run, inside the root",
    "app.path": "folders that are put on `PYTHONPATH`, relative to the root",
    "app.python": "the interpreter that has the application's packages: a name on `PATH`, or a path; Python 3.8 or later. Left out: the kit's own",
    "app.env": "variables, added to an empty environment; `{database_url}` stands for the scratch database, on PostgreSQL also `{database_host}`, `{database_port}`, `{database_name}`, `{database_user}`, `{database_password}`",
    "database": "`sqlite` or `postgresql`: what the scratch database is made on",
    "database_env": "the variable that gets the scratch database's URL",
    "database_driver": "what stands after the `+` in that URL, as `asyncpg`, `psycopg` or `aiosqlite`",
    "database_server": "for `postgresql`: the variable of the kit's own process that holds the server's URL. Left out: `KIT_POSTGRES_URL`; not set: a server of the kit's own",
    "prepare": "steps before the startup, on the same database, that are not judged: those of `startup`, and `upgrade: REVISION`, `rows: N` (made-up rows in each table), `sql: FILE`",
    "startup": 'what the service does until it is up, in order: `import: module`, `call: module:function`, `code: "…"`, `command: …`, `serve: … {port}`; consecutive `import`, `call` and `code` steps share one interpreter',
    "expect.error": "a part of the error's text. All of `expect` left out: whatever goes wrong counts",
    "expect.table": "the table that is defined twice; with `error`, both must hold",
    "expect.check": "in place of the two: a check, as below, that fails when the incident is there",
    "log": "the log as it was reported, for `triage`",
    "history": "a folder of patches (`git format-patch --root`): the builds of an `app.root` that is no repository",
    "hypotheses[].claim": "what somebody believed",
    "hypotheses[].kind": "the experiment that tests it: {kinds}. Left out: found from the claim's words, else it is undecided",
    "fixes.NAME.patches": "files for `git apply` in the root, in order (`git diff --relative > fix.patch` in the application's folder)",
    "fixes.NAME.commits": "commits of the history, in place of `patches`",
    "fixes.NAME.env": "variables that are set otherwise; null takes one away",
    "fixes.NAME.path": "in place of `app.path`",
    "fixes.NAME.python": "in place of `app.python`",
    "fixes.NAME.startup": "in place of `startup`",
    "fixes.NAME.prepare": "in place of `prepare`",
    "fixes.NAME.claim": "what was said of it",
    "checks[].migrations": "an Alembic configuration: the database is at head, and models and schema agree by Alembic's own comparison",
    "checks[].mappers": "`true`: every mapper configures, and one class is mapped per table",
    "checks[].clean_start": "`true`: every step succeeds, and nothing is swallowed",
    "checks[].command": "a command that ends with 0; `{port}` is the served one",
    "checks[].http": "a request to the served application, and the answer that must come",
    "checks[].http.method": "the method",
    "checks[].http.path": "the path, with a query if need be",
    "checks[].http.status": "the status of the answer",
    "checks[].http.headers": "headers of the request",
    "checks[].http.body": "the body of the request",
    "checks[].http.contains": "a text in the body of the answer",
    "checks[].http.served_by": "the endpoint that answers, as `module:function`",
    "postmortem.summary": "what happened, for everybody",
    "postmortem.impact": "who was hit, and how; its first sentence is in the status line",
    "postmortem.detection": "how it was noticed",
    "postmortem.timeline[].at": "when; ISO dates are drawn",
    "postmortem.timeline[].what": "what happened then",
    "postmortem.actions[].what": "what is to be done",
    "postmortem.actions[].owner": "by whom",
    "postmortem.actions[].due": "until when",
    "postmortem.went_well": "what went well",
    "postmortem.went_wrong": "what went wrong",
    "postmortem.lucky": "where you were lucky",
    "postmortem.surprised": "what surprised you",
    "postmortem.severity": "optional, for the status line",
    "postmortem.detected": "optional, for the status line: when it was noticed",
    "postmortem.resolved": "optional, for the status line: when it was over",
    "postmortem.authors": "optional, for the status line: who wrote this",
    "limits.seconds": "time of one step",
    "limits.memory_mb": "memory of one step",
    "limits.disk_mb": "files that one step writes, and its database on PostgreSQL",
    "limits.output_mb": "what one step prints",
    "limits.processes": "processes of one step",
    "limits.copy_mb": "data that git does not hold, of one folder or file, up to which it is copied",
}
_HEAD = """# Every key of the incident file

YAML, one file an incident. Relative paths begin at the file's folder. A key that is not known, a wrong type or a missing path
is an error that names the key and the line. This page is generated from the model.

| key | meaning | default |
|---|---|---|
"""


def reference(kinds: typing.Iterable[str]) -> str:
    """The reference as Markdown.

    :param kinds: the hypotheses' kinds that have an experiment
    :raises KeyError: a key has no words here
    """
    shown = ", ".join(f"`{kind}`" for kind in kinds)
    rows = [f"| `{key}` | {_WORDS[key].replace('{kinds}', shown)} | {default} |" for key, default in keys()]
    return _HEAD + "\n".join(rows) + "\n"


def words() -> set[str]:
    """The keys that have words here; as many as :func:`keys` gives."""
    return set(_WORDS)


def keys(model: type[BaseModel] = Incident, at: str = "") -> Iterator[tuple[str, str]]:
    """``(key, default)`` of every key of the file, in its order."""
    for name, field in model.model_fields.items():
        if name == "file" and model is Incident:
            continue
        inner, path = _inner(field.annotation, f"{at}{name}")
        if inner is not None and name != "check":
            if name == "http":
                yield path, _default(field)
            yield from keys(inner, f"{path}.")
        else:
            yield f"{at}{name}", _default(field)


def _inner(annotation: typing.Any, path: str) -> tuple[type[BaseModel] | None, str]:
    """The model of a key's value, and how the path to its own keys is written; steps are texts."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (None, path) if issubclass(annotation, Step) else (annotation, path)
    if origin is list:
        return _inner(arguments[0], f"{path}[]")
    if origin is dict:
        return _inner(arguments[1], f"{path}.NAME")
    for argument in arguments:
        model, where = _inner(argument, path)
        if model is not None:
            return model, where
    return None, path


def _default(field: typing.Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    value = field.default
    if value is None or value == [] or value == {}:
        return ""
    return f"`{', '.join(value) if isinstance(value, list) else value}`"


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference(sys.argv[1:]))
