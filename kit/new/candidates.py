"""Possible startups of the incident, each with its evidence, ordered by how well they explain the log."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from posixpath import normpath

from ..incident.deployments import KNOWN, SERVERS, Command, file_of, program_of, without_options, words_of
from ..incident.project import AppObject, Project
from ..incident.starts import console_scripts
from ..triage.evidence import Evidence
from ..triage.programs import Program, as_logged, entered, servers, serves, subcommand_of

_SET_BY_US = {  # options that name where a server listens, or make it start anew: whether they take a value
    "uvicorn": {"--host": 1, "--port": 1, "--reload": 0, "--uds": 1, "--ssl-keyfile": 1, "--ssl-certfile": 1, "--reload-dir": 1},
    "gunicorn": {"-b": 1, "--bind": 1, "--reload": 0, "-D": 0, "--daemon": 0, "--certfile": 1, "--keyfile": 1, "-p": 1, "--pid": 1},
    "hypercorn": {"-b": 1, "--bind": 1, "--reload": 0},
    "flask": {"-p": 1, "--port": 1, "-h": 1, "--host": 1, "--reload": 0, "--debug": 0},
    "streamlit": {"--server.port": 1, "--server.address": 1, "--server.headless": 1},
    "daphne": {"-p": 1, "--port": 1, "-b": 1, "--bind": 1},
    "granian": {"--host": 1, "--port": 1, "--reload": 0, "--pid-file": 1, "--metrics": 0, "--metrics-port": 1, "--metrics-address": 1}, "fastapi": {"--host": 1, "--port": 1, "--reload": 0},
    "sanic": {"--host": 1, "--port": 1, "-H": 1, "-p": 1, "--dev": 0}, "litestar": {"--host": 1, "--port": 1, "-H": 1, "-p": 1, "--reload": 0},
    "waitress-serve": {"--port": 1, "--listen": 1, "--host": 1}, "aiohttp.web": {"-H": 1, "-P": 1, "--hostname": 1, "--port": 1}, "pserve": {"--reload": 0, "-b": 0, "--browser": 0},
}  # fmt: skip
_WHERE = {
    "uvicorn": "--port {port}", "gunicorn": "--bind 127.0.0.1:{port}", "hypercorn": "--bind 127.0.0.1:{port}", "flask": "--port {port}", "daphne": "--port {port}",
    "streamlit": "--server.port {port} --server.headless true", "granian": "--port {port}", "fastapi": "--port {port}", "sanic": "--port {port}", "litestar": "--port {port}",
    "waitress-serve": "--port={port}", "aiohttp.web": "-H 127.0.0.1 -P {port}", "pserve": "http_port={port}",
}  # fmt: skip
_SERVING = {"flask": {"run"}, "fastapi": {"run", "dev"}, "litestar": {"run"}}  # of those that do more than that
_POINTS = (60, 48, 36, 24, *[20] * 96)  # for what the programs of the log say, the first of them most
_ASIDE = re.compile(
    r"(?:^|/)(?:examples?|docs?|samples?|demos?|tests?|testing|benchmarks?|ci|pkg|packaging|debian|\.circleci|\.devcontainer|\.github)/"
)


@dataclass(frozen=True)
class Start:
    """Steps of a startup with where they run; ``because`` says what they are known by, ``tier`` how sure it is the application's own."""

    steps: tuple[tuple[str, str], ...]
    because: str
    score: float
    workdir: str = "."
    path: tuple[str, ...] = ()
    env: dict[str, tuple[str, str]] = field(default_factory=dict)
    tier: int = 0  # 0: as it is deployed, 1: an object or a script that serves it, 2: what else can be run, 3: of examples and tests

    @property
    def serves(self) -> bool:
        return bool(self.steps) and self.steps[-1][0] == "serve"

    @property
    def entry(self) -> str:
        """The module that it enters the application by, as far as its last step names one."""
        text = self.steps[-1][1]
        named = re.search(r"-m ([\w.]+)|([\w./]+)\.py\b|([\w.]+):\w", text)
        return next(filter(None, named.groups())).replace("/", ".") if named else text

    def ends(self, other: "Start") -> bool:
        """Is it only the last steps of another?"""
        return len(self.steps) < len(other.steps) and other.steps[-len(self.steps) :] == self.steps

    def __str__(self) -> str:
        return "; ".join(f"{kind}: {text}" for kind, text in self.steps)


def candidates_of(project: Project, evidence: Evidence, commands: Sequence[Command]) -> list[Start]:
    """Every startup with some evidence, the one that explains the log best first."""
    starts = [_of_command(project, evidence, command) for command in commands]
    env = next((command.env for command in commands if command.env), {})
    for points, program in zip(_POINTS, evidence.programs, strict=False):
        starts += list(_of_program(project, evidence, program, points, env))
    starts += list(_of_objects(project, evidence, env)) + list(_of_scripts(project, evidence))
    starts += list(_of_servers(project, evidence))
    words = subcommand_of(project, evidence.frames)
    scripted = [_shown(words_of(it)) for c in commands for line in c.lines for it in _inner(project, line, c.workdir)]
    logged = [(start, as_logged(start.steps[-1], words, evidence.task)) for start in starts if start.steps]
    for number, (start, last) in enumerate(logged):
        if words and last[0] == "command" and last != start.steps[-1]:
            own = file_of(project, words_of(last[1]), start.workdir)  # whose words these are, and say whether it serves
            last = (own and step_of(last[1], project, start.workdir)) or start.steps[-1]
        starts[number] = replace(start, steps=(*start.steps[:-1], last))
        # With the words that a file gives a program of which the log tells only that it ran.
        bare = f"{last[1]} " if last[1].startswith("python ") and last[1] not in scripted else "-"
        longer = [it for line in scripted if line.startswith(bare) and (it := step_of(line, project, start.workdir))]
        starts += [replace(start, steps=(*start.steps[:-1], step), score=start.score + 1) for step in longer[:2]]
    if not evidence.programs:
        # Where no log says what ran, what serves tells more than a script or a function of the same fault.
        starts = [replace(start, score=start.score + 8 * start.serves) for start in starts]
    best: dict[tuple, Start] = {}
    for start in sorted(starts, key=lambda start: -start.score):
        best.setdefault((start.steps, start.workdir), start)
    return list(best.values())


# -- deployments


def _of_command(project: Project, evidence: Evidence, command: Command) -> Start:
    steps = tuple(step for line in command.lines for step in [step_of(line, project, command.workdir)] if step)
    matched, because = 0.0, command.at
    for points, program in zip(_POINTS, evidence.programs, strict=False):
        inner = [part for line in command.lines for part in _inner(project, line, command.workdir)]
        places = [at for at, line in enumerate(inner) if _matches(project, program, line, command)]
        if places:
            # What the log ran is the last thing there, best of all: what comes after it never came.
            points -= (inner[places[-1]] != inner[-1]) + 2 * (len(inner) > len(command.lines))
            if points > matched:
                matched, because = points, f"{command.at}; {program.name} is what ran, by {program.because}"
    service = re.search(r"\(service (.+)\)$", command.at)
    matched += 12 * bool(matched and service and service[1] in evidence.services)
    matched += 12 * any(_names(project, frame.file, line) for frame in evidence.frames for line in command.lines)
    score = matched + command.weight if matched or not evidence.programs else command.weight / 2
    serves_ = bool(steps) and steps[-1][0] == "serve"
    score += 3 * (serves_ and not matched)  # what is deployed first of all is the server
    tier = 0 if command.deployed else 1 if serves_ or command.weight >= 15 else 2
    tier = 3 if _ASIDE.search(command.at) else 2 if program_of(command.lines[-1]) == "pytest" else tier
    return Start(steps, because, score, command.workdir, command.path, command.env, tier)


def _inner(project: Project, line: str, workdir: str) -> list[str]:
    """The command line itself, or the lines of the script that it runs."""
    words = words_of(line)
    script = next((word for word in words[1:] if word.endswith(".sh")), "")
    if not script or program_of(line) not in ("sh", "bash"):
        return [line]
    text = re.sub(r"\\\n\s*", " ", project.text(str(PurePosixPath(workdir, script))))
    lines = [splitline.strip() for splitline in text.splitlines()]
    return [line for line in lines if program_of(line)] + ([" ".join(words[2:])] if words[2:] else [])


def _names(project: Project, file: str, line: str) -> bool:
    """Does a command line name this file, or its module?"""
    module, name = re.escape(project.module(file)), re.escape(PurePosixPath(file).name)
    return bool(re.search(rf"(?<![\w.]){module}(?![\w.])|(?<![\w/]){name}\b", line))


def _matches(project: Project, program: Program, line: str, command: Command) -> bool:
    """Is a command line this program of the log?"""
    program_name, words = program_of(line), words_of(line)
    if program.name in ("module", "script"):
        return program_name == "python" and _names(project, program.what, line)
    if program.name == "console":
        return f"(script {program.what})" in command.at or program_name == program.what
    if program.name == "task":
        return command.at.endswith((f"(task {program.what})", f"(target {program.what})"))
    if program.name == "import":
        return program_name in SERVERS and _names(project, program.what, line)
    if program.name == "django":
        return "manage.py" in line and program.what in words
    if program.name == "line":
        return words == words_of(program.what)
    if program.name in ("alembic", "flask"):
        asked = program.what.split()[: 2 if program.name == "flask" else 1]
        return program_name == program.name and all(word in words for word in asked)
    if program.name == "celery":
        return program_name == "celery" and program.what in (*words, "")
    return program_name == program.name


def step_of(line: str, project: Project, workdir: str = ".") -> tuple[str, str] | None:
    """A command line as a step: a server on the port that the kit gives, a function that is called, or a command."""
    if line.startswith(("call ", "import ", "code ")):
        return tuple(line.split(" ", 1))
    words = words_of(line)
    if not words:
        return None
    program_name = program_of(line)
    text = " ".join(line.split()) if program_name in ("sh", "bash") else _shown(words)
    text = re.sub(r"\$\{?PORT(?::?-\d+)?\}?", "{port}", text)
    if program_name in _WHERE and _SERVING.get(program_name, {words[-1]}) & set(words):
        where, rest = _WHERE[program_name], without_options(text, _SET_BY_US[program_name])
        # What stands behind its application, waitress takes for another one.
        return "serve", rest.replace(" ", f" {where} ", 1) if program_name == "waitress-serve" else f"{rest} {where}"
    if "manage.py" in line and "runserver" in words:
        return "serve", f"{text[: text.index('runserver')]}runserver 127.0.0.1:{{port}} --noreload"
    if program_name == "celery" and "worker" in words and "--pool" not in text and " -P" not in text:
        return "command", f"{text} --pool solo"
    inner = _inner(project, line, workdir) if program_name in ("sh", "bash") else []
    if "{port}" in text or any(program_of(started) in SERVERS or "flask run" in started for started in inner):
        return "serve", text.replace("sh {port}", "sh $PORT")
    file = entered(project, file_of(project, words, workdir), workdir) if program_name == "python" else None
    if file and serves(project, file, words):
        source = project.text(file)
        variable = re.search(r"(?:environ\.get|getenv|environ)\W+((?:\w+_)?PORT)\b", source)
        if not variable and re.search(r"add_argument\([^)]*[\"']--port[\"']|option\([^)]*[\"']--port[\"']", source):
            return "serve", text if "{port}" in text else f"{without_options(text, {'--port': 1})} --port {{port}}"
        return "serve", f"{variable[1]}={{port}} {text}" if variable and variable[1] != "PORT" else text
    listens = re.search(r" --(?:port|host[= ](?:[\d.]+|localhost|\$\w+))\b", text)
    if listens and program_name in {name for _, _, name, _ in console_scripts(project)}:
        return "serve", f"{without_options(text, {'--port': 1})} --port {{port}}"
    return "command", text


def _shown(words: Sequence[str]) -> str:
    text = shlex.join(words)
    text = re.sub(r"'(\$\{?\w+(?::?-\w+)?\}?|[^'\s]*\$\{?PORT(?::?-\d+)?\}?)'", r"\1", text)
    text = re.sub(r"^(?:\S*/)?python[\d.]*(?= )", "python", text)
    # A program by its place on another machine is the one of the interpreter here.
    return re.sub(rf"^/\S*/(?={program_of(text)} )", "", text) if program_of(text) in KNOWN else text


# -- programs of the log


def _of_program(project: Project, evidence: Evidence, program: Program, points: float, env: dict) -> Iterator[Start]:
    """Startups for a program of the log, made from the application's sources."""
    words = subcommand_of(project, evidence.frames) if program.name == "flask" and not program.what else []
    argument = program.what or " ".join(words)
    command = f"{program.name} {argument}".strip()
    for line, folder, more, at in _lines(project, evidence, program.name, argument):
        because = f"{command}: {program.because}" + (f"; {at}" if at else "")
        if step := step_of(line, project, folder):
            yield Start((step,), because, points + more, folder, env=env)


def _lines(project: Project, evidence: Evidence, name: str, what: str) -> Iterator[tuple[str, str, float, str]]:
    """Command lines for a program, each with its folder, points and the place in the sources that it is made of."""
    if name == "line":
        yield from ((what, it, 15 - place, "") for place, it in enumerate(_folders(project, evidence, what)))
    elif name == "module":
        folder = project.import_root(what)
        yield f"python -m {project.module(what, folder).removesuffix('.__main__')}", folder, 12, ""
    elif name == "script":
        yield f"python {what}", ".", 12, ""
        if "/" in what:
            yield f"python {PurePosixPath(what).name}", str(PurePosixPath(what).parent), 6, ""
    elif name == "alembic" and not project.alembic and (inis := project.named("alembic.ini")):
        # Flask-Migrate's: it gives the folder of the revisions itself, and runs where the application is.
        words = what.split()[:1] or ["upgrade"]
        yield f"flask db {words[0]}", str(PurePosixPath(inis[0]).parent.parent), 10, inis[0]
    elif name in ("alembic", "pytest"):
        line = f"alembic {what or 'upgrade head'}" if name == "alembic" else "pytest"
        others = [ini for ini in project.alembic[:1] if name == "alembic" and not ini.endswith("alembic.ini")]
        yield from ((line.replace(" ", f" -c {shlex.quote(ini)} ", 1), ".", 11, ini) for ini in others)
        for place, folder in enumerate(_folders(project, evidence, line)):
            yield line, folder, 10 - 4 * place, ""
    elif name == "streamlit":
        yield from ((f"streamlit run {frame.file}", ".", 5, "") for frame in evidence.frames[:1])
        # Nothing of it runs before a browser comes, and again at each click: as its own testing does both.
        again = "from streamlit.testing.v1 import AppTest; page = AppTest.from_file({!r}, default_timeout=60); page.run(); page.run()"
        yield from ((f"code {again.format(frame.file)}", ".", 4, "") for frame in evidence.frames[:1])
    elif name == "django":
        for file in project.named("manage.py")[:1]:
            yield f"python manage.py {what or 'check'}", str(PurePosixPath(file).parent), 10, file
    elif name == "jupyter":
        for file in [file for file in project.files if file.endswith(".ipynb")][:2]:
            yield f"jupyter nbconvert --to notebook --execute --stdout {shlex.quote(file)}", ".", 0, file
    elif name in _WHERE or name in ("import", "celery"):
        yield from _served(project, evidence, name, what)
    if name == "import":
        yield f"import {project.module(what)}", project.import_root(what), -5, ""


def _served(project: Project, evidence: Evidence, name: str, what: str) -> Iterator[tuple[str, str, float, str]]:
    """Command lines that give an application object to a server, or a Celery application to a worker."""
    objects = [object_ for object_ in _objects(project, evidence) if (object_.kind == "celery") == (name == "celery")]
    for number, object_ in enumerate([object_ for object_ in objects if name != "flask" or object_.kind == "wsgi"][:4]):
        folder = project.import_root(object_.file)
        target = f"{project.module(object_.file, folder)}:{object_.name}"
        at = f"{object_.file}:{object_.line}"
        server = name if name not in ("import", "fastapi") else "uvicorn" if object_.kind == "asgi" else "gunicorn"
        workers = f" --workers {evidence.workers}" if (evidence.workers or 1) > 1 else ""
        if server == "celery":
            yield f"celery -A {target} {what or 'worker'}", folder, 8 - 2 * number, at
            yield f"import {target.partition(':')[0]}", folder, -15, at
        elif server in ("flask", "litestar", "quart"):
            yield f"{server} --app {target} {what or 'run'}", folder, 8 - 2 * number, at
        elif server == "gunicorn":
            bare = object_.kind == "wsgi" or what == "sync"  # the log's own worker, whatever it was given
            kind = "" if bare else " --worker-class uvicorn.workers.UvicornWorker"
            target = shlex.quote(target + "()") if object_.factory else target
            yield f"gunicorn{kind}{workers} {target}", folder, 8 - 2 * number, at
        else:
            yield f"{server} {target}{' --factory' if object_.factory else ''}{workers}", folder, 8 - 2 * number, at


def _objects(project: Project, evidence: Evidence) -> list[AppObject]:
    """Application objects; those whose module the log passes through come first."""
    files = [frame.file for frame in evidence.frames]
    return sorted(project.objects, key=lambda object_: [*files, object_.file].index(object_.file))


def _folders(project: Project, evidence: Evidence, line: str) -> list[str]:
    """The folders where a command of Alembic or pytest may run, the likeliest first."""
    if program_of(line) == "alembic":
        marks = [file for file in project.alembic if file not in line]
        passed = [frame.file for frame in evidence.frames]
        marks.sort(key=lambda ini: bool(passed) and not any(_script_folder(project, ini) in f"{at}/" for at in passed))
        return list(dict.fromkeys(str(PurePosixPath(file).parent) for file in marks)) or ["."]
    if program_of(line) == "pytest":
        frames = [frame for frame in evidence.frames if not frame.logged.startswith(("/", ".."))]
        alike = (frame for frame in frames if frame.file.endswith(frame.logged))
        ends = [frame.file[: -len(frame.logged)].strip("/") or "." for frame in alike]
        marks = project.named("pytest.ini", "conftest.py", "pyproject.toml", "setup.cfg", "tox.ini")
        above = (PurePosixPath(file).parent for file in marks)
        folders = [str(folder) for folder in above if folder.name not in ("tests", "test")]
        return list(dict.fromkeys([*ends[:1], *folders, "."]))[:3]
    # The folder from which the module that a server was given has the name that was typed.
    target = re.search(r"(?<![\w./-])([\w.]+):\w+", line)
    file = f"/{target[1].replace('.', '/')}.py" if target else None
    ends = [f"/{frame.file}" for frame in evidence.frames if file and f"/{frame.file}".endswith(file)]
    folders = [end[: -len(file)].strip("/") or "." for end in ends[:1]]  # or where its project is, or what it is given
    folders += [folder for _, folder, name, _ in console_scripts(project) if name == program_of(line)]
    words = words_of(line)[1:]
    fits = {it: any(project.has(normpath(f"{it}/{word}")) for word in words) for it in (*folders, ".")}
    return sorted(fits, key=fits.get, reverse=True)


def _script_folder(project: Project, ini: str) -> str:
    location = re.search(r"^\s*script_location\s*=\s*(\S+)", project.text(ini), re.M)
    folder = PurePosixPath(ini).parent
    place = location[1].replace("%(here)s", ".").replace(":", "/") if location else "."
    return f"{PurePosixPath(folder, place)}/"


# -- what nothing but the sources speaks for


def _of_objects(project: Project, evidence: Evidence, env: dict) -> Iterator[Start]:
    served = [object_ for object_ in _objects(project, evidence) if object_.kind != "celery"][:3]
    for number, object_ in enumerate(served):
        folder = project.import_root(object_.file)
        target = f"{project.module(object_.file, folder)}:{object_.name}"
        factory = " --factory" if object_.factory else ""
        line = f"uvicorn {target}{factory}" if object_.kind == "asgi" else f"flask --app {target} run"
        score = 9 + 8 * any(frame.file == object_.file for frame in evidence.frames)
        if step := step_of(line, project, folder):
            because = f"an application object at {object_.file}:{object_.line}"
            yield Start((step,), because, score - number, folder, env=env, tier=1)


def _of_servers(project: Project, evidence: Evidence) -> Iterator[Start]:
    """Console scripts that serve."""
    named = {program.what for program in evidence.programs if program.name == "console"}
    for line, folder, at in servers(project):
        score = 50 if line.split()[0] in named else 14
        # The folder is on the path: it is this code that runs, and not what was installed before.
        yield Start((("serve", line),), at, score, path=(folder,), tier=1)


def _of_scripts(project: Project, evidence: Evidence) -> Iterator[Start]:
    """Modules that run as programs: those that the log passes through, and those that name a module that it passes through."""
    files = [frame.file for frame in evidence.frames]
    for file in project.sources:
        text = project.text(file)
        program = "__name__" in text and re.search(r"if\s+__name__\s*==", text)
        calls = r"^(?!def |class |import |from |if |@|#|\s|\w+\s*=|\"|')\w+[\w.]*\("
        loose = "/" not in file and not project.objects and re.search(calls, text, re.M)
        imports = rf"\b(?:import|from)\s+(?:{'|'.join(re.escape(project.module(file)) for file in files)})\b"
        named = files and (any(PurePosixPath(file).name in text for file in files) or re.search(imports, text))
        if not program and not (named and (loose or re.search(r"^\w[\w.]*\(|^for |^while |^with ", text, re.M))):
            continue
        score = 4 + 10 * (file in files) + 6 * bool(named) - file.count("/")
        folder = project.import_root(file)
        module = project.module(file, folder)
        lines = [f"python -m {module}", f"python {file}"] if "." in module else [f"python {file}"]
        for number, line in enumerate(lines):
            workdir = folder if "-m" in line else "."
            if step := step_of(line, project, workdir):
                tier = 1 if step[0] == "serve" else 2
                yield Start((step,), f"{file} is run as a program", score - number, workdir, tier=tier)
