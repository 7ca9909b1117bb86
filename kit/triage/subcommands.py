"""An application's own command line: the subcommand that a log passes through, and how a program of it serves."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ..incident.project import Project
from ..incident.starts import console_scripts
from .frames import Placed

_PORTS = ("--port", "--http-port", "-p")
_DATABASES = ("--database", "--database-url", "--database-uri", "--db", "--db-url", "--db-uri", "--dsn")
_QUIET = ("--no-browser", "--no-open", "--no-open-browser")
_LIBRARIES = ("click", "asyncclick", "rich_click", "typer")
# A worker as Celery's own tests start one, in one process with the sender of the task: no broker is needed.
_TO_A_WORKER = (
    "import os; os.environ.update(CELERY_BROKER_URL='memory://', CELERY_RESULT_BACKEND='cache+memory://'); from celery.app.utils import find_app; "
    "from celery.contrib.testing.worker import start_worker; app = find_app({app!r}); worker = start_worker(app, perform_ping_check=False); "
    "worker.__enter__(); app.send_task({task!r}).get(timeout=15)"
)
_COMMAND = re.compile(r"^(?P<owner>\w+(?:\.cli)?)\.(?P<sort>command|group)(?:\((?P<arguments>.*)\))?$")


def subcommand_of(project: Project, frames: Sequence[Placed]) -> list[str]:
    """The words that chose what ran, where the log passes a command of click, typer or Flask: ``['users', 'add']``."""
    for frame in frames:
        words = _words(project, frame.file, frame.function)
        if words:
            return words
    return []


def _words(project: Project, file: str, function: str | None, depth: int = 0) -> list[str]:
    """A command's name after those of its groups; empty where a function is none, or is the whole program."""
    text = project.text(file)
    for decorator in project.decorators(file, function) if depth < 4 else ():
        command = _COMMAND.match(decorator)
        if not command or command["owner"] in _LIBRARIES:
            continue
        owner = command["owner"].partition(".")[0]
        if not depth and "typer" in text and len(re.findall(rf"@{owner}\.command\b", text)) == 1:
            return _group(project, text, owner)  # a Typer application of one command takes no word for it
        named = re.match(r"(?:name=)?'([\w-]+)'", command["arguments"] or "")
        name = named[1] if named else str(function).lower().replace("_", "-")
        return [*(_words(project, file, owner, depth + 1) or _group(project, text, owner)), name]
    return []


def _group(project: Project, text: str, owner: str) -> list[str]:
    """The word for a group that is an object: an AppGroup of Flask, a Typer application that another one holds."""
    named = re.search(rf"^{owner}\s*=\s*(?:\w+\.)?AppGroup\(\s*['\"]([\w-]+)", text, re.M)
    held = rf"\badd_typer\(\s*(?:\w+\.)*{owner}\s*,[^)\n]*\bname\s*=\s*['\"]([\w-]+)"
    texts = (other for file in project.sources if "add_typer" in (other := project.text(file)))
    group = named or next((match for other in texts if (match := re.search(held, other))), None)
    return [group[1]] if group else []


def as_logged(step: tuple[str, str], words: Sequence[str], task: str | None) -> tuple[str, str]:
    """A step that runs a program of the application, with the words that choose what it does; a worker, with the task that it got."""
    kind, text = step
    worker = re.search(r"\bcelery\b.*(?:-A|--app)[ =](\S+)", text) if task else None
    if worker:
        return "code", _TO_A_WORKER.format(app=worker[1], task=task)
    if not words:
        return step
    if kind == "call":
        module, _, function = text.partition(":")
        listed = ", ".join(map(repr, words))
        return "code", f"import sys; sys.argv[1:] = [{listed}]; from {module} import {function}; {function}()"
    is_python = re.match(r"(?:[A-Z_]+=\S+ )*python ", text) and not set(words) & set(text.split())
    return (kind, f"{text} {' '.join(words)}") if is_python else step


def servers(project: Project) -> Iterator[tuple[str, str, str]]:
    """Console scripts that listen on a port that can be named: the command line, the folder that holds its module, and its place."""
    for file, folder, name, target in console_scripts(project):
        module = target.partition(":")[0]
        folders = (folder, str(PurePosixPath(folder, "src")))
        below = next((place for place in folders if project.file_of(module, place)), folder)
        source = project.file_of(module, below)
        options = _options(project.tree(source)) if source else set()
        port = next((option for option in _PORTS if option in options), None)
        if port:
            database = next((f" {option} {{database_url}}" for option in _DATABASES if option in options), "")
            quiet = next((f" {option}" for option in _QUIET if option in options), "")
            yield f"{name} {port} {{port}}{database}{quiet}", below, f"{file} (script {name})"


def _options(tree: ast.Module | None) -> set[str]:
    """The options that a program takes without a subcommand."""
    nodes = list(ast.walk(tree)) if tree is not None else []
    parts = re.compile(r"\.(add_parser|add_subparsers)\(")
    assigned = (node for node in nodes if isinstance(node, ast.Assign) and parts.search(ast.unparse(node.value)))
    below = {f"{ast.unparse(node.targets[0])}.add_argument" for node in assigned}
    calls = (node for node in nodes if isinstance(node, ast.Call))
    on_top = [c for c in calls if (name := ast.unparse(c.func)).endswith(".add_argument") and name not in below]
    return {argument.value for call in on_top for argument in call.args if isinstance(argument, ast.Constant)}
