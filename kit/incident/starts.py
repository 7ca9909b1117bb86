"""Every start that an application's files give: deployments, what their scripts start, console scripts, Makefile, README."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from posixpath import normpath

from .declared import declared
from .deployments import (
    KNOWN,
    SERVERS,
    Command,
    composes,
    images,
    procfiles,
    program_of,
    relative,
    split_lines,
    words_of,
)
from .project import Project
from .scripts import folder_of_image, lines_of

_SERVES = re.compile(r"\bflask\b.*\srun\b|\brunserver\b")
_COMMANDS = ("cmd", "shell", "composite", "chain", "sequence")  # of a task, as those tools call what it runs
_TASKS = (("pdm", "scripts"), ("rye", "scripts"), ("poe", "tasks"), ("taskipy", "tasks"))


def commands_of(project: Project) -> list[Command]:
    """Every start that the application's files give, by weight."""
    own = {name for _, _, name, _ in console_scripts(project)}
    commands = [*procfiles(project), *images(project), *composes(project), *_scripts(project), *_consoles(project)]
    commands += [
        *_flask(project),
        *_handlers(project),
        *declared(project, own),
        *_makefiles(project),
        *_readme(project),
    ]
    commands = [other for command in commands for other in _unrolled(project, command)]
    typed = _typed(project)
    revisions = {revision.id for revision in project.revisions.values()}  # of starts that differ by one only, the first
    seen, kept = set(), []
    for command in sorted(commands, key=lambda command: -command.weight):
        words = (tuple(word for word in line.split() if word not in revisions) for line in command.lines)
        key = (tuple(words), command.workdir)
        last = command.lines[-1] if command.lines else ""
        known = program_of(last) in KNOWN | own or last.startswith(("call ", "import "))
        if known and key not in seen:
            seen.add(key)
            kept.append(command if command.env or command.deployed else replace(command, env=typed))
    return kept


def _unrolled(project: Project, command: Command) -> Iterator[Command]:
    """A command that runs a script as it is, and what that script starts, first where the script cannot run outside of its image."""
    words = words_of(command.lines[-1]) if command.lines else []
    file = str(PurePosixPath(command.workdir, words[1])) if len(words) > 1 else ""
    if not words or program_of(command.lines[-1]) not in ("sh", "bash") or not project.has(file):
        yield command
        return
    arguments = shlex.join(words[2:])
    lines = [line for line in lines_of(project, file, command.workdir, arguments) if program_of(line.text) in KNOWN]
    lines = [line for line in lines if len(words_of(line.text)) > 1]
    servers = [line for line in lines if program_of(line.text) in SERVERS or _SERVES.search(line.text)]
    in_image = re.search(r"(?<![\w.])/(?:app|usr)/", project.text(file)) is not None
    bound = in_image or any("PORT" not in line.text for line in servers)
    at = f"{command.at}, as {file} starts it"
    straight = [line for line in lines if not line.decided and not line.behind]
    last = next((number for number, line in enumerate(straight) if line in servers), None)
    if last is None and straight and program_of(straight[-1].text) == "python":
        last = len(straight) - 1  # a program of its own that serves, and that the script ends with
    whole = straight[: last + 1] if last is not None else []
    if not (bound and whole):
        yield replace(command, weight=command.weight - 4 * bound)
    # A branch that ends with `exec` is a program of its own: a worker, a migration.
    chosen = [line for line in lines if line.decided and line.text.startswith("exec ") and line not in servers]
    chosen = [line for line in chosen if not any(line.text.startswith(f"{other.text} ") for other in chosen)]
    alone = [*(line for line in servers if line not in whole), *(line for line in lines if line.behind), *chosen]
    for group in [whole, *([line] for line in alone)]:
        if group:
            texts = tuple(relative(project, line.text.removeprefix("exec "), line.workdir, "") for line in group)
            weight = command.weight - (group is not whole) - 4 * (not bound)
            yield replace(command, lines=(*command.lines[:-1], *texts), workdir=group[-1].workdir, at=at, weight=weight)


def _scripts(project: Project) -> Iterator[Command]:
    """Shell scripts that start something of the application, run as they are."""
    for file in project.files:
        if file.endswith(".sh") and file.count("/") <= 3:
            text = project.text(file)
            if any(program_of(line.strip()) in KNOWN - {"sh", "bash"} for line in text.splitlines() if line.strip()):
                shell = "bash" if "bash" in text.partition("\n")[0] else "sh"
                yield Command((f"{shell} {file}",), file, 16, deployed=False)


def _consoles(project: Project) -> Iterator[Command]:
    """Console scripts: the function is called, as what an installer writes does."""
    for file, folder, name, target in console_scripts(project):
        main_script = project.toml(file).get("project", {}).get("name") if file.endswith(".toml") else folder
        weight, at = 15 + (name == main_script), f"{file} (script {name})"
        yield Command((f"call {target}",), at, weight, folder, deployed=False)
    for file, folder, name, line in tasks_of(project):
        lines = split_lines(line)
        yield Command(lines, f"{file} (task {name})", 10 + (len(lines) > 1), folder, deployed=False)


def console_scripts(project: Project) -> Iterator[tuple[str, str, str, str]]:
    """The commands that an installation makes: the file that says so, its folder, the name, and ``module:function``."""
    for file in [*project.named("pyproject.toml"), *project.named("setup.cfg"), *project.named("setup.py")]:
        folder = str(PurePosixPath(file).parent)
        tool = project.toml(file) if file.endswith(".toml") else {}
        by_poetry = tool.get("tool", {}).get("poetry", {}).get("scripts", {})
        scripts = by_poetry | tool.get("project", {}).get("scripts", {})
        if not file.endswith(".toml"):
            listed = re.compile(r"console_scripts['\"]?\s*[:=]\s*\[?(.*?)(?:\]|\n\s*\n|\n\[|\Z)", re.S)
            block = listed.search(project.text(file))
            scripts = dict(re.findall(r"([\w.-]+)\s*=\s*([\w.]+:[\w.]+)", block[1])) if block else {}
        for name, target in scripts.items():
            if isinstance(target, str) and re.fullmatch(r"[\w.]+:[\w.]+", target):
                yield file, folder, name, target


def tasks_of(project: Project) -> Iterator[tuple[str, str, str, str]]:
    """Commands that a project gives a name, as pdm, rye, hatch, poe, taskipy and pipenv do: the file, its folder, the name, and the command."""
    for file in project.named("pyproject.toml", "Pipfile"):
        content = project.toml(file)
        tool = content.get("tool", {})
        tables = [tool.get(name, {}).get(key) for name, key in _TASKS]
        tables += [environment.get("scripts") for environment in tool.get("hatch", {}).get("envs", {}).values()]
        lines: dict[str, list[str]] = {}
        for name, task in [item for table in (*tables, content.get("scripts")) for item in (table or {}).items()]:
            line = next((task[key] for key in _COMMANDS if key in task), []) if isinstance(task, dict) else task
            lines[name] = [str(part) for part in line] if isinstance(line, list) else [str(line)]
        for name, parts in lines.items():  # of which some may be the names of others
            line = " && ".join(command for part in parts for command in lines.get(part, [part]))
            yield from [(file, str(PurePosixPath(file).parent), name, line)] if line else []


def _flask(project: Project) -> Iterator[Command]:
    """Flask's own command, where a file gives it the application."""
    for file in project.named(".flaskenv"):
        pairs = project.dotenv(file).items()
        app = {name: (value, f"{file}:{at}") for name, (value, at) in pairs if name == "FLASK_APP"}
        if app:
            yield Command(("flask run",), app["FLASK_APP"][1], 15, str(PurePosixPath(file).parent), env=app)


def _handlers(project: Project) -> Iterator[Command]:
    """What a serverless platform imports before it calls the function that a template names."""
    for file in (file for file in project.files if re.search(r"(?:^|/)(?:template|serverless)[\w.-]*\.ya?ml$", file)):
        text, parent = project.text(file), PurePosixPath(file).parent
        folders = [normpath(PurePosixPath(parent, code)) for code in re.findall(r"\bCodeUri: *['\"]?([\w./-]+)", text)]
        for handler in re.finditer(r"^ *[Hh]andler: *['\"]?([\w./-]+)\.\w+", text, re.M):
            module, at = handler[1].replace("/", "."), text.count("\n", 0, handler.start(1)) + 1
            for folder in [place for place in (*folders, str(parent)) if project.file_of(module, place)][:1]:
                yield Command((f"import {module}",), f"{file}:{at}", 18, folder)


def _makefiles(project: Project) -> Iterator[Command]:
    """Targets of a Makefile: weak evidence, since many a target is a sample."""
    for file in project.named("Makefile", "makefile", "justfile"):
        folder = str(PurePosixPath(file).parent)
        recipes: dict[str, tuple[list[str], list[str]]] = {}
        text = re.sub(r"\\\n\s*", " ", project.text(file))
        values = dict(re.findall(r"^(\w+)[ \t]*[:?]*=[ \t]*([^\n]*?)[ \t]*$", text, re.M))
        used = re.compile(r"\$\((\w+)\)|\{\{ *(\w+) *\}\}")
        for _ in range(3):  # a variable may hold others
            text = used.sub(lambda it, values=values: values.get(it[1] or it[2], it[0]), text)
        for block in re.finditer(r"^([\w.-]+)\s*:(?!=)([^\n=]*)\n((?:[\t ]+.*\n?)+)", text + "\n", re.M):
            lines = [line.strip().lstrip("@-") for line in block[3].splitlines()]
            recipes[block[1]] = (block[2].split(), [line for line in lines if program_of(_moved(line)[1]) in KNOWN])
        for name, (needed, commands) in recipes.items():
            before = [line for target in needed for line in recipes.get(target, ((), ()))[1]]
            lines = tuple(part for line in (*before, *commands) for part in split_lines(_moved(line)[1]))
            if commands and not any("$(" in line or "{{" in line for line in lines):
                workdir = folder_of_image(project, _moved(commands[-1])[0], folder)
                yield Command(lines, f"{file} (target {name})", 8, workdir, deployed=False)


def _moved(line: str) -> tuple[str, str]:
    """The folder that a command line goes to first, and what runs there."""
    match = re.match(r"\(?\s*cd\s+([\w./-]+)\s*(?:&&|;)\s*(.*?)\)?$", line)
    return (match[1], match[2]) if match else (".", line)


def _typed(project: Project) -> dict[str, tuple[str, str]]:
    """The variables that a README types before its commands, each with its value and place."""
    heads = ((at, re.match(r"((?:[A-Z]\w*=[\w./-]+ +)+)[\w./-]+(?: |$)", line)) for at, _, line in _of_readme(project))
    return {name: (value, at) for at, head in heads if head for name, value in re.findall(r"(\w+)=(\S+)", head[1])}


def _readme(project: Project) -> Iterator[Command]:
    for at, folder, line in _of_readme(project):
        typed = " " in line and not re.search(r"[<>…]|\.\s|\bpip\b|-m venv", line)
        if typed and program_of(line) in KNOWN - {"sh", "bash"}:
            yield Command(split_lines(line), at, 5, folder, deployed=False)


def _of_readme(project: Project) -> Iterator[tuple[str, str, str]]:
    """Every line of a README as it may be typed: its place, the folder, and the line."""
    for file in project.named("README.md", "README.rst", "README")[:2]:
        for number, text in enumerate(project.text(file).splitlines(), 1):
            line = re.sub(r"^\s*`+([^`]+).*", r"\1", text).strip().removeprefix("$ ").strip()
            yield f"{file}:{number}", str(PurePosixPath(file).parent), line
