"""How an application's own files say that it is started: Procfile, Dockerfile, compose, scripts, pyproject, Makefile, README."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from posixpath import normpath, relpath

from .project import Project
from .scripts import is_script

SERVERS = {"uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "waitress-serve", "fastapi", "sanic", "litestar", "streamlit", "uwsgi", "aiohttp.web", "pserve"}  # fmt: skip
_WORKERS = {"arq", "dramatiq", "taskiq", "rq", "huey_consumer", "faststream"}
KNOWN = SERVERS | {*_WORKERS, "hupper", "flask", "celery", "alembic", "pytest", "django-admin", "quart", "jupyter", "python", "python3", "sh", "bash"}  # fmt: skip
_BEFORE = {
    "exec": 0, "poetry": 1, "uv": 1, "pipenv": 1, "pdm": 1, "rye": 1, "hatch": 1, "ddtrace-run": 0, "newrelic-admin": 1,
    "opentelemetry-instrument": 0, "dumb-init": 0, "tini": 0, "env": 0, "sudo": 0, "nohup": 0, "time": 0, "xvfb-run": 0, "watchmedo": 1, "timeout": 1, "&": 0,
}  # fmt: skip
_IN_SHELL = re.compile(r"[|<>;`\n]|\$\(|&(?!&)")


@dataclass(frozen=True)
class Command:
    """One start that a file of the application gives, as steps of command lines.

    :ivar lines: command lines in order; the last is the program itself
    :ivar workdir: relative to the root
    :ivar path: folders of ``PYTHONPATH``, relative to the root
    :ivar weight: how much such a file says of what is deployed
    :ivar deployed: whether that file is there to start the application, and not to build, test or describe it
    """

    lines: tuple[str, ...]
    at: str
    weight: int
    workdir: str = "."
    path: tuple[str, ...] = ()
    env: dict[str, tuple[str, str]] = field(default_factory=dict)  # name to value and place
    deployed: bool = True
    home: str = ""  # of an image: the folder that the application's files are copied to,
    of_home: str = "."  # and the application's folder that is copied there


def words_of(line: str) -> list[str]:
    """A command line's words without what only wraps the program; variables set before it are kept at the head."""
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    head = []
    while words:
        first = PurePosixPath(words[0]).name
        if re.fullmatch(r"[A-Za-z_]\w*=.*", words[0], re.S):
            head.append(words.pop(0))
        elif first in _BEFORE and len(words) > _BEFORE[first] + 1:
            words = words[1 + _BEFORE[first] :]
            while words and words[0].startswith("-"):
                words.pop(0)
        else:
            break
    by_python = len(words) > 1 and re.fullmatch(r"(?:\S*/)?python[\w.-]*", words[0])
    if by_python and re.fullmatch(r"/\S*/bin/[\w.-]+", words[1]):
        words = words[1:]  # a program of an environment by its script there
    elif by_python and words[1:3] == ["-m", "debugpy"] and "-m" in words[3:]:
        words = [words[0], *words[words.index("-m", 3) :]]  # a debugger waits for somebody
    return head + words


def program_of(line: str) -> str:
    """A command line's program by its plain name: ``uvicorn`` also of ``python -m uvicorn``; ``python`` of a script or module of one's own."""
    words = [word for word in words_of(line) if not re.match(r"[A-Za-z_]\w*=", word)]
    if not words:
        return ""
    name = PurePosixPath(words[0]).name
    if re.fullmatch(r"python[\d.]*", name):
        module = words[words.index("-m") + 1].removeprefix("pyramid.scripts.") if "-m" in words[:-1] else ""
        return module if module in KNOWN else "python"
    return name


def without_options(text: str, options: dict[str, int]) -> str:
    """A command line without some options; for each, whether it takes a value."""
    words, kept = text.split(" "), []
    while words:
        word = words.pop(0)
        name = word.partition("=")[0]
        if name in options:
            if options[name] and "=" not in word and words:
                words.pop(0)
        else:
            kept.append(word)
    return " ".join(kept)


def file_of(project: Project, words: Sequence[str], workdir: str) -> str | None:
    """The application's file that ``python …`` or ``sh …`` runs."""
    if "-m" in words[:-1]:
        module = words[words.index("-m") + 1]
        if file := project.file_of(f"{module}.__main__", workdir) or project.file_of(module, workdir):
            return file
    name = next((word for word in words[1:] if word.endswith((".py", ".sh", ".ini"))), None)
    file = str(PurePosixPath(workdir, name)) if name else None
    return file if file and project.has(file) else None


def stays_up(line: str) -> bool:
    """Is a command line a worker's, that waits for its tasks and answers on no port?"""
    program = program_of(line)
    return program in _WORKERS or program == "celery" and bool({"worker", "beat"} & set(words_of(line)))


def split_lines(line: str) -> tuple[str, ...]:
    """A command line as those that run one after another; as one where it needs a shell."""
    inner = re.fullmatch(r"\s*(?:/bin/)?(?:ba|da)?sh\s+-[a-z]*c\s+(.+)", line, re.S)
    if inner:
        try:
            line = shlex.split(inner[1])[0]
        except (ValueError, IndexError):
            return ()
    line = re.sub(r"\\\n\s*", " ", line).strip()
    parts = [part.strip() for part in re.split(r"&&|\n|;(?!;)", line) if part.strip()]
    if any(_IN_SHELL.search(part) for part in parts) or re.search(r"\b(if|for|while|case)\b", line):
        return (line,) if "\n" not in line else ()
    idle = re.compile(r"^(sleep|echo|set|cd|mkdir|chmod|export|wait\S*|\S*wait[-_]for\S*|pip|apt\S*|cp|rm|source|\.)\b")
    return tuple(part for part in parts if not idle.search(part))


def _path_in(value: str, workdir: str, home: str) -> tuple[str, ...]:
    """Folders of a ``PYTHONPATH`` in an image, relative to the root."""
    paths = []
    for part in value.split(":"):
        part = part.strip().strip("'\"")
        inside = re.sub(r"\$\{?PWD\}?", workdir, part)
        if inside.startswith("/") and home and (inside == home or inside.startswith(home + "/")):
            inside = inside[len(home) :].strip("/") or "."
        if inside and not inside.startswith(("/", "$", "..")):
            paths.append(str(PurePosixPath(inside)))
    return tuple(paths)


def procfiles(project: Project) -> Iterator[Command]:
    for file in project.named("Procfile"):
        folder = str(PurePosixPath(file).parent)
        lines = {}
        for number, text in enumerate(project.text(file).splitlines(), 1):
            match = re.match(r"\s*([\w-]+)\s*:\s*(\S.*)", text)
            if match:
                lines[match[1]] = (split_lines(match[2]), f"{file}:{number}")
        release, at = lines.pop("release", ((), ""))
        env = _dotenv(project, folder)
        for name, (commands, place) in lines.items():
            weight = 30 if name == "web" else 22
            yield Command((*release, *commands) if name == "web" else commands, place, weight, folder, (), env)
            if release and name == "web":  # a release is a process of its own, on a machine of its own
                yield Command(commands, place, weight - 1, folder, (), env)
        if release:
            yield Command(release, at, 24, folder, (), env)


def _dotenv(project: Project, folder: str) -> dict[str, tuple[str, str]]:
    """What ``.env`` beside a start sets, each with its place; the tools that read such a start read it."""
    file = str(PurePosixPath(folder, ".env"))
    return {name: (value, f"{file}:{line}") for name, (value, line) in project.dotenv(file).items()}


# -- images


def image_of(project: Project, file: str, context: str = "", instead: tuple = ((), ()), mounts: str = "") -> Command:
    """A Dockerfile's last stage: its command, working folder, path and variables; ``context``: the folder that it is built of.

    :param instead: entry point and command that take the place of its own; an entry point that of its command, too
    :param mounts: orders that copy what a service mounts
    """
    folder = str(PurePosixPath(file).parent)
    stage, stages, values, copied, env = "", {"": ((), (), "")}, {}, [], {}
    text = re.sub(r"^\s*#.*\n", "", project.text(file), flags=re.M) + mounts
    for match in re.finditer(r"^\s*([A-Za-z]+)\s+((?:.*\\\n)*.*)$", text, re.M):
        order, rest = match[1].upper(), re.sub(r"\\\n\s*", " ", match[2]).strip()
        entry, command, workdir = stages[stage]
        if order == "FROM":
            base, _, name = re.sub(r"--platform=\S+\s+", "", rest).replace(" as ", " AS ").partition(" AS ")
            base = _filled(base, values).strip()
            stage = name.strip() or f"stage {len(stages)}"
            stages[stage] = entry, command, workdir = stages.get(base, ((), (), ""))
        elif order == "ARG":
            values[rest.partition("=")[0]] = rest.partition("=")[2].strip("'\"")
        elif order == "WORKDIR":
            workdir = rest.strip("'\"") if rest.startswith("/") else f"{workdir.rstrip('/')}/{rest}"
        elif order in ("COPY", "ADD") and "--from" not in rest:
            *parts, target = [part for part in rest.split() if not part.startswith("--")] or [""]
            target = normpath(target if target.startswith("/") else f"{workdir}/{target}")
            copied += [(target, str(PurePosixPath(part.lstrip("/") or "."))) for part in parts]
        elif order == "ENV":
            env |= {name: (value, file) for name, value in _env_of(_filled(rest, values))}
        elif order in ("ENTRYPOINT", "CMD"):
            lines = exec_form(rest)
            entry, command = (lines, ()) if order == "ENTRYPOINT" else (entry, lines)
        stages[stage] = entry, command, workdir
    # What is built on top to test or to develop is not what is deployed.
    deployed = [name for name in stages if not re.search(r"(?:^|[_-])(?:tests?|dev\w*|debug|lint|ci)(?:$|[_-])", name)]
    entry, command, workdir = stages[deployed[-1]] if any(stages[deployed[-1]][:2]) else stages[stage]
    entry, command = instead if instead[0] else (entry, instead[1] or command)
    folder = context or folder
    copied = [(at, source) for at, source in copied if not normpath(f"{folder}/{source}").startswith("..")]
    homes = {in_image: folder for in_image, source in copied if source in (".", folder)}
    # Of what is copied below the working folder: the folder that it is copied from; of one that is copied alone, itself.
    work = normpath(workdir or "/")
    inner = [(f"./{source}", at[len(work) :]) for at, source in copied if f"{at}/".startswith(f"{work}/")]
    code = [source for source, _ in inner if PurePosixPath(source).suffix in ("", ".py", ".ini", ".sh")]
    for source, rest in inner:
        if (rest or {*code} == {source}) and source.endswith(rest) and (project.root / folder / source).is_dir():
            homes.setdefault(work, normpath(f"{folder}/{source.removesuffix(rest)}"))
    home = max(homes, key=len, default=workdir)
    at = file if homes.get(home, folder) == folder else f"{file}, whose {home} is what {homes[home]} holds"
    folder = homes.get(home, folder)
    inside = workdir[len(home) :].strip("/") if home and workdir.startswith(home) else ""
    below = str(PurePosixPath(folder, inside if (project.root / folder / inside).is_dir() else "."))
    lines = _joined(project, entry, command, below, home)
    path = _path_in(env.pop("PYTHONPATH", ("", ""))[0], workdir, home)
    path = tuple(str(PurePosixPath(folder, part)) for part in path)
    return Command(lines, at, 28 if file == "Dockerfile" else 24, below, path, env, home=home, of_home=folder)


def _filled(text: str, values: dict[str, str]) -> str:
    """A line of a Dockerfile with the defaults of its ``ARG``s."""
    return re.sub(r"\$\{(\w+)(?::-[^}]*)?\}|\$(\w+)", lambda named: values.get(named[1] or named[2], named[0]), text)


def of_files(project: Project, value, folder: str) -> dict[str, tuple[str, str]]:
    """What files of variables set, each with its place, where the application has them."""
    env = {}
    for item in value if isinstance(value, list) else [value]:
        path = str(item.get("path", "") if isinstance(item, dict) else item or "").lstrip("-")
        for file in (normpath(PurePosixPath(folder, path)), PurePosixPath(path).name) if path else ():
            env |= {name: (text, f"{file}:{line}") for name, (text, line) in project.dotenv(file).items()}
    return env


def _env_of(rest: str) -> Iterator[tuple[str, str]]:
    if re.match(r"[A-Za-z_]\w*\s+[^=\s]", rest) and "=" not in rest.split()[0]:
        name, _, value = rest.partition(" ")
        yield name, value.strip().strip("'\"")
        return
    for name, double, single, bare in re.findall(r"([A-Za-z_]\w*)=(?:\"([^\"]*)\"|'([^']*)'|(\S*))", rest):
        yield name, double or single or bare


def exec_form(rest: str) -> tuple[str, ...]:
    if rest.startswith("["):
        try:
            words = [str(load) for load in json.loads(rest)]
        except ValueError:
            return ()
        if len(words) == 3 and words[1] in ("-c", "-lc", "-ec"):
            return split_lines(words[2])
        return (shlex.join(words),) if words else ()
    return split_lines(rest)


def _joined(project: Project, entry, command, below: str, home: str) -> tuple[str, ...]:
    """Entry point and command as the lines that run; a script is run as the script that it is."""
    lines = [relative(project, line, below, home) for line in (*entry, *command)]
    if len(entry) != 1 or not command:
        return tuple(lines)
    first, words = lines[0], words_of(lines[0])
    whole = lines[1] if len(command) == 1 else f"sh -c {shlex.quote(' && '.join(lines[1:]))}"
    if not words or first.split()[0] in _BEFORE:
        return tuple(lines[1:])  # it only wraps what it is given
    if program_of(first) in ("sh", "bash"):
        # `exec "$@"` of an entry script runs the command.
        text = project.text(str(PurePosixPath(below, words[-1])))
        return (f"{first} {whole}",) if '"$@"' in text or "exec $@" in text else (first,)
    return (f"{first} {whole}",) if program_of(first) == "python" or len(words) == 1 else tuple(lines)


def relative(project: Project, line: str, below: str, home: str) -> str:
    """A command line with paths of the image as paths from the working folder; ``./start.sh`` as ``sh start.sh``."""

    def put(match: re.Match) -> str:
        in_home = home and match[0].startswith(home + "/")
        path = match[0][len(home) :].strip("/") if in_home else match[0].rpartition("/")[2]
        for candidate in (path, path.rpartition("/")[2]):
            if project.has(candidate if below == "." else f"{below}/{candidate}"):
                return candidate
        place = next(iter(project.named(path.rpartition("/")[2])), None)
        inside = place and (below == "." or place.startswith(f"{below}/"))
        return (place if below == "." else place[len(below) + 1 :]) if inside else match[0]

    programs = re.match(r"(?:/\w+)*/bin/(?=[\w-]+(?:\s|$))", line)
    if programs and not programs[0].startswith(f"{home or '/app'}/"):
        line = line[programs.end() :]
    line = re.sub(r"(?<![\w.:=/-])/[\w./-]+\.(?:sh|py|ini|toml|cfg|conf)\b", put, line)
    if re.match(r"(?:\./)?[\w./-]+(?=\s|$)", line):
        name = line.split()[0].removeprefix("./")
        inside = name[len(home) :].strip("/") if home and name.startswith(f"{home}/") else name
        text = "" if inside.startswith("/") else project.text(inside if below == "." else f"{below}/{inside}")
        if name.endswith(".sh") or is_script(text):
            return f"{'bash' if 'bash' in text.partition(chr(10))[0] else 'sh'} {inside}{line.removeprefix('./')[len(name) :]}"
    return line


def images(project: Project) -> Iterator[Command]:
    for file in project.files:
        name = PurePosixPath(file).name
        if name in ("Dockerfile", "Containerfile") or name.startswith("Dockerfile.") or name.endswith(".Dockerfile"):
            folder = str(PurePosixPath(file).parent)
            aside = re.search(r"(?:^|/)\.?(?:docker|deploy\w*|build|containers?|images?|infra)(?:/|$)", folder)
            bare = aside and not any(python.startswith(f"{folder}/") for python in project.python)
            # A folder of its own for what is built of the root.
            yield from _entered(project, image_of(project, file, "." if bare else ""))


def _entered(project: Project, command: Command) -> Iterator[Command]:
    """A command, with the copy's files where variables name the image's, and what its entry script is given, which may need the image."""
    env, home = dict(command.env), command.home.rstrip("/") or "/"
    for name, (value, at) in env.items():
        place = normpath(f"{command.of_home}/{value[len(home) :]}") if f"{value}/".startswith(f"{home}/") else None
        if place and (project.root / place).exists():
            env[name] = relpath(place, command.workdir), at
    yield (command := replace(command, env=env))
    entered = re.fullmatch(r"(?:ba)?sh \S+ (\S.*)", command.lines[0], re.S) if len(command.lines) == 1 else None
    if entered and program_of(entered[1]) in KNOWN:
        yield replace(command, lines=split_lines(entered[1]), weight=command.weight - 7)


def composes(project: Project) -> Iterator[Command]:
    for file in project.files:
        if not re.fullmatch(r"(docker-)?compose[\w.-]*\.ya?ml", PurePosixPath(file).name):
            continue
        folder = PurePosixPath(file).parent
        services = project.yaml(file).get("services")
        for name, service in services.items() if isinstance(services, dict) else ():
            if not isinstance(service, dict) or not ("build" in service or "command" in service):
                continue
            build = service.get("build")
            context = build.get("context", ".") if isinstance(build, dict) else build or "."
            below = normpath(PurePosixPath(folder, str(context)))
            bare = not any(file.startswith(f"{below}/") for file in project.python)
            below = "." if below.startswith("..") or bare else below
            dockerfile = build.get("dockerfile", "Dockerfile") if isinstance(build, dict) else "Dockerfile"
            image = normpath(PurePosixPath(below, str(dockerfile)))
            asked = (service.get(key) or "" for key in ("entrypoint", "command"))  # each a text, or words
            instead = tuple(exec_form(json.dumps([*map(str, it)]) if isinstance(it, list) else str(it)) for it in asked)
            workdir = below if (project.root / below).is_dir() else "."
            lines = tuple(relative(project, line, workdir, "") for line in (*instead[0], *instead[1]))
            base = Command(lines, file, 0, workdir)
            volumes = service.get("volumes") if isinstance(service.get("volumes"), list) else ()
            volumes = re.findall(r"(?<!\S)(\.[\w./-]*):(/[\w./-]+)", " ".join(map(str, volumes)))
            mounts = (f"\nCOPY {relpath(normpath(PurePosixPath(folder, here)), below)} {at}" for here, at in volumes)
            base = image_of(project, image, below, instead, "".join(mounts)) if project.has(image) else base
            env = base.env | _dotenv(project, str(folder)) | of_files(project, service.get("env_file"), str(folder))
            env |= _compose_env(service.get("environment"), file, project.text(file), name)
            path = base.path or _path_in(env.pop("PYTHONPATH", ("", ""))[0], base.home, base.home)
            yield from _entered(project, replace(base, at=f"{file} (service {name})", weight=26, env=env, path=path))


def _compose_env(value, file: str, text: str, service: str) -> dict[str, tuple[str, str]]:
    """What a service's block sets: name to value and place."""
    pairs = value.items() if isinstance(value, dict) else (str(pair).partition("=")[::2] for pair in value or ())
    block = re.search(rf"^[ \t]+[\"']?{re.escape(str(service))}[\"']?:", text, re.M)
    begin, values = block.start() if block else 0, {}
    for name, setting in pairs:
        if setting is not None and "$" not in str(setting):
            line = re.compile(rf"^[ \t-]+[\"']?{re.escape(str(name))}\b", re.M).search(text, begin)
            at = f"{file}:{text.count(chr(10), 0, line.start()) + 1}" if line else file
            values[str(name)] = (str(setting), at)
    return values
