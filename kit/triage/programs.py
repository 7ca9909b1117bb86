"""Which program wrote a log: by what was typed, by the outermost frames, by what servers and tools print of themselves; with which subcommand."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..incident.deployments import KNOWN, program_of, split_lines, words_of
from ..incident.project import Project
from ..incident.starts import console_scripts, tasks_of
from .frames import Placed, is_console_script, is_library, names_in, place
from .logs import Log, LogFrame

LIBRARY = re.compile(
    r"(?P<prefix>.*?)[/\\][Ll]ib(?:64)?[/\\](?:python(?P<version>3\.\d+)[/\\])?(?:site|dist)-packages[/\\](?P<rest>.+)"
)
_BANNERS = (
    (r"Starting gunicorn|\[INFO\] Booting worker with pid", "gunicorn"),
    (r"Uvicorn running on|Started server process|Waiting for application startup|Application startup (?:complete|failed)", "uvicorn"),
    (r"Running on https?://\S+ \(CTRL \+ C to quit\)", "hypercorn"),
    (r"\* Serving Flask app|\* Running on http", "flask"),
    (r"celery@\S+ (?:v\d|ready)|\[tasks\]\s*$|-{5,} celery@", "celery"),
    (r"You can now view your Streamlit app|streamlit\.runtime|missing ScriptRunContext", "streamlit"),
    (r"=+ test session starts =+|=+ short test summary info|^(?:FAILED|ERROR) \S+\.py::", "pytest"),
    (r"Starting development server at|Watching for file changes with StatReloader", "django"),
    (r"^FAILED: |\[alembic\.(?:runtime\.migration|env)\]|\[SQL: \s*(?:ALTER|CREATE|DROP) ", "alembic"),
    (r"Cell In ?\[\d+\]|<ipython-input-|\bNotebookApp\b|CellExecutionError", "jupyter"),
)  # fmt: skip
_THERE = re.compile(r"(?:table|relation|type|index) [\"'`]?(\w+)[\"'`]? already exists")
# What runs a command inside a container or on a platform.
_INSIDE = re.compile(
    r"^(?:(?:docker[ -]compose|docker|podman)(?: -\S+)* (?:exec|run)(?: --?[\w=./:-]+)* [\w./:-]+|kubectl .*? --|heroku run(?: --?\S+)*) (?=\S)"
)
_RUNNERS = {"make", "just", "task", "poe", "invoke"}
# A prompt, whatever it shows before its last sign; what a shell that tells its commands, a container's build or a task runner puts there, and
# what one of these echoes without a sign.
_TYPED = re.compile(
    r"^(?:[^\n\"'=]{0,80}?(?:(?:[$#%❯✗»]|(?<!\.)>)[ \t]+|[A-Z]:\\[^>\n]*>)|[^\n]{0,40}[➜λ][ \t]+(?:\S+[ \t]+(?:git:\(\S+\)[ \t]+)?)?|\+{1,2}[ \t]+|[^\n]{0,30}\bRUN[ \t]+|[^\n]{0,40}##\[group\]Run[ \t]+|(?=(?:docker[ -]compose|podman) [^\n]*\b(?:exec|run) ))"
    r"(?:[✗$»][ \t]+)?(?P<line>(?:[A-Z_]+=\S+[ \t]+)*[\w./-]+(?:[ \t][^\n]*)?)$",
    re.M,
)


# Packages whose frames tell of a program: its name, "" where that is the package's.
_PROGRAMS = (
    ("_pytest|pluggy|pytest", "pytest"),
    ("IPython|ipykernel|nbclient|papermill", "jupyter"),
    ("fastapi_cli", "fastapi"),
    ("starlette|fastapi", "uvicorn"),
    ("werkzeug", "flask"),
    ("uvicorn|hypercorn|daphne|granian|streamlit|waitress|sanic|litestar|quart|arq|dramatiq|taskiq|faststream", ""),
)


@dataclass(frozen=True)
class Program:
    """A program that ran: ``name`` is a known tool, or module, script, console, import; ``what`` its module, file or subcommand."""

    name: str
    what: str
    because: str


def paths_of(project: Project, frames: Sequence[LogFrame]) -> set[str]:
    names = names_in(frames)
    return {file for file in project.python if file.rpartition("/")[2] in names}


def programs_of(log: Log, chosen, text: str, project: Project) -> Iterator[Program]:
    """Every program that a log tells of, the likeliest first."""
    seen: dict[tuple[str, str], Program] = {}

    def keep(program: Program | None) -> None:
        if program is not None:
            seen.setdefault((program.name, program.what), program)

    scripts, tasks = ({name for _, _, name, _ in of(project)} for of in (console_scripts, tasks_of))
    for match in _TYPED.finditer(text):
        at = f"typed in the log, line {text.count(chr(10), 0, match.start()) + 1}"
        typed = match["line"].replace("\\", "/") if re.match(r"[^>]*\b[A-Z]:\\[^>]*>", match[0]) else match["line"]
        for line in split_lines(_INSIDE.sub("", typed)):
            words = words_of(line)
            if words and (words[0] in tasks or words[0] in _RUNNERS and words[1:]):
                keep(Program("task", words[0] if words[0] in tasks else words[1], at))
            elif program_of(line) in KNOWN | scripts:
                keep(Program("line", line, at))
    for shown in sorted(log.tracebacks, key=lambda traceback: not chosen or traceback is not chosen[0]):
        for raised in shown.raised:
            keep(_of_frames(raised.frames, f"the outermost frames of the log's line {shown.line}", project))
    for pattern, name in _BANNERS:
        if match := re.search(pattern, text, re.M):
            keep(Program(name, _subcommand(name, text), f"line {text.count(chr(10), 0, match.start()) + 1} of the log"))
    if file := created_again(project, text):
        keep(Program("alembic", "upgrade head", f"{file} creates what the log says is there already"))
    named = {program.name for program in seen.values()}
    for candidate in seen.values():
        # A server says that it ran; a script that calls it is the program.
        by_banner = candidate.name in ("uvicorn", "hypercorn") and "frames" not in candidate.because
        of_cell = candidate.name == "script" and "jupyter" in named  # whose own frame is no file's
        if not (of_cell or by_banner and {"module", "script"} & named):
            yield candidate


def created_again(project: Project, text: str) -> str | None:
    """The file of the first revision that creates what a text says is there already."""
    there, revisions = _THERE.search(text), project.revisions.items()
    created = ((file, name) for file, revision in revisions for it in revision.operations for _, name in it.creates)
    return next((file for file, name in created if there and name == there[1]), None)


def _subcommand(name: str, text: str) -> str:
    if name == "alembic":
        compared = re.search(r"New upgrade operations detected|database is not up to date|Detected removed ", text)
        return "check" if compared else "upgrade head"
    return "sync" if name == "gunicorn" and "Using worker: sync" in text else ""


def _of_frames(frames: Sequence[LogFrame], because: str, project: Project) -> Program | None:
    """The program by the outermost frames of a stack."""
    by_runpy = imported = False
    for number, frame in enumerate(frames):
        file = frame.file.replace("\\", "/")
        library = LIBRARY.match(file)
        if "runpy" in file:
            by_runpy = True
        elif library:
            if program := _of_library(library["rest"], frames[number:], because):
                return program
        elif is_console_script(frame) and not project.has("/".join(file.split("/")[-2:])):
            name = file.rpartition("/")[2]
            if name not in ("alembic", "flask", "gunicorn", "uvicorn", "celery", "pytest", "streamlit", "hypercorn"):
                words = _migrating(frames)
                return Program("line", f"{name} {words}", because) if words else Program("console", name, because)
        elif is_library(frame.file):
            imported = imported or "importlib" in file
        elif frame.function == "<module>":
            placed = place(frames, paths_of(project, frames)).placed
            file_of_module = next((known.file for known in placed if known.logged == frame.file), None)
            if file_of_module is None:
                return None
            # A log may have lost the outermost frames: what only holds an application object is imported by a server.
            holds = file_of_module in {object_.file for object_ in project.objects}
            loaded = holds and not by_runpy and "__main__" not in project.text(file_of_module)
            if imported or loaded:
                return Program("import", file_of_module, because)
            by_name = by_runpy or file_of_module.endswith("/__main__.py")
            if not by_name and (words := _migrating(frames)):
                return Program("line", f"python {file_of_module} {words}", because)
            return Program("module" if by_name else "script", file_of_module, because)
        else:
            return None
    return None


def _of_library(rest: str, frames: Sequence[LogFrame], because: str) -> Program | None:
    """The known program that a frame's package belongs to; None if it belongs to none."""
    top = rest.partition("/")[0].removesuffix(".py")
    names = [frame.file.replace("\\", "/") for frame in frames]
    if top == "alembic" and ("alembic/config.py" in rest or "alembic/__main__.py" in rest):
        return Program("alembic", _alembic_command(frames), because)
    if top == "flask" and "cli.py" in rest:
        return Program("flask", _migrating(frames), because)
    if top == "celery" and re.search("bin/|__main__|apps/", rest):
        beats = any("celery/beat" in name or "bin/beat" in name for name in names)
        works = any(re.search("bin/worker|apps/worker|celery/worker", name) for name in names)
        return Program("celery", "beat" if beats else "worker" if works else "", because)
    if top == "django" and "core/management" in rest:
        command = next((it[1] for name in names if (it := re.search(r"management/commands/(\w+)\.py", name))), "")
        return Program("django", command, because)
    if top == "gunicorn":
        return Program("gunicorn", "sync" if any("gunicorn/workers/sync.py" in name for name in names) else "", because)
    name = next((name for packages, name in _PROGRAMS if re.fullmatch(packages, top)), None)
    return Program(name or top, "", because) if name is not None else None


def _migrating(frames: Sequence[LogFrame]) -> str:
    """The words for a command of Flask-Migrate that a stack passes; empty where it passes none."""
    functions = (frame.function for frame in frames if "flask_migrate/" in frame.file)
    return next((f"db {function}" for function in functions if function not in ("wrapped", None)), "")


def _alembic_command(frames: Sequence[LogFrame]) -> str:
    functions = (f.function for f in frames if f.file.replace("\\", "/").endswith("alembic/command.py"))
    name = next(functions, None) or "upgrade"
    rest = {"upgrade": " head", "revision": " --autogenerate -m incident", "downgrade": " base"}
    return name + rest.get(name, "")


_SERVES = re.compile(
    r"\b(?:uvicorn|hypercorn|waitress|granian)\.(?:run|serve)\(|\bserve_forever\(|\.run\([^)\n]*(?:port|host|debug)|\b(?:app|application|server)\.run\(\)|\bweb\.run_app\(|\bserve\(|\.run_server\("
)
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
    """The words that chose what ran, where the log passes a command of click, typer, Flask or argparse: ``['users', 'add']``."""
    words = (_words(project, frame.file, frame.function) or _parsed(project, frame) for frame in frames)
    return next(filter(None, words), [])


def _parsed(project: Project, frame: Placed) -> list[str]:
    """The word of argparse that leads to a function: of the parser whose ``set_defaults`` holds it, in that function's file."""
    text = project.text(frame.file)
    defaults = re.search(rf"\b(\w+)\.set_defaults\(\s*\w+=(?:\w+\.)*{re.escape(frame.function or '-')}\s*[,)]", text)
    made = rf"\b{defaults[1]}\s*=\s*[\w.]+\.add_parser\(\s*['\"]([\w-]+)" if defaults else ""
    return re.findall(made, text[: defaults.start()])[-1:] if made else []


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
    if task and (worker := re.search(r"\bcelery\b.*(?:-A|--app)[ =](\S+)", text)):
        return "code", _TO_A_WORKER.format(app=worker[1], task=task)
    if not words:
        return step
    if kind == "call":
        module, _, function = text.partition(":")
        listed = ", ".join(map(repr, words))
        return "code", f"import sys; sys.argv[1:] = [{listed}]; from {module} import {function}; {function}()"
    is_python = re.match(r"(?:[A-Z_]+=\S+ )*python ", text) and not set(words) & set(text.split())
    return (kind, f"{text} {' '.join(words)}") if is_python else step


def entered(project: Project, file: str | None, workdir: str) -> str | None:
    """The file of the imported function that a ``__main__.py`` calls last, else the file itself."""
    text, folder = project.text(file or ""), str(PurePosixPath(file or "").parent)
    imported = re.findall(r"^\s*from (\.?)([\w.]+) import (?:\w+ as )?(\w+)", text, re.M)
    files = {name: project.file_of(module, folder if dot else workdir) for dot, module, name in imported}
    names = (name for line in reversed(text.splitlines()) for name in re.findall(r"(?<![\w.])(\w+)\(", line))
    runs = (file or "").endswith("__main__.py") and not _SERVES.search(text)
    return next((files[name] for name in names if runs and files.get(name)), file)


def serves(project: Project, file: str, words: Sequence[str]) -> bool:
    """Does a file's program serve? Where that is one of its subcommands, by whether it is among the words."""
    text, tree = project.text(file), project.tree(file)
    lines = [text.count("\n", 0, match.start()) + 1 for match in _SERVES.finditer(text)]
    functions = [node for node in tree.body if lines and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    commands = [(node, called) for node in functions if (called := _words(project, file, node.name))]
    inside = [{called[-1] for node, called in commands if node.lineno <= line <= node.end_lineno} for line in lines]
    return any(not names or names & {*words} for names in inside)


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
