"""What deployment files say of how an application is started: Procfile, compose file, Dockerfile, units, Makefile."""

import configparser
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import yaml

from .commands import Translated, handed_on, translate
from .project import Project, join

_FIRST = ("web", "api", "app", "backend", "server", "service")
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_TARGETS = ("run", "serve", "server", "start", "dev", "up", "runserver", "web", "api")


@dataclass(frozen=True)
class Start:
    """One way in which the application is started.

    :ivar steps: ``(kind, text)``, in order
    :ivar why: ``file:line`` of what says so
    :ivar workdir: where it runs, relative to the project; None: the service's folder
    :ivar path: what the deployment puts on ``PYTHONPATH``, relative to the project
    """

    steps: tuple[tuple[str, str], ...]
    why: str
    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    path: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""
    places: dict[str, str] = field(
        default_factory=dict
    )  # of a variable, ``file:line`` of what sets it; else it is ``why``

    @property
    def serves(self) -> bool:
        return any(kind == "serve" for kind, _ in self.steps)


Program = Callable[[list[str], str], Translated | None]  # words and the folder they run in


def starts_of(project: Project, service: str, program: Program) -> list[Start]:
    """Every start that a deployment file names for a service, the likeliest first."""
    reader = _Reader(project, service, program)
    found = [
        *reader.procfile(),
        *reader.compose(),
        *reader.dockerfiles(),
        *reader.units(),
        *reader.makefile(),
    ]
    return [one for one in found if one.steps]


class _Reader:
    def __init__(self, project: Project, service: str, program: Program):
        self.project, self.service, self.program = project, service, program
        self.folders = list(dict.fromkeys([service, "."]))

    def _start(self, command, why: str, *, folder=None, values=None, env=None, before=(), path=(), name="") -> Start:
        folder = folder if folder is not None else self.service
        done = translate(command, values=values, program=lambda words: self._own(words, folder, values))
        steps = _until_served([*before, *done.steps])
        workdir = join(folder, done.workdir) if done.workdir and not done.workdir.startswith("/") else folder
        given = {**(env or {}), **done.env}
        path = list(path) + [
            join(workdir, one)
            for one in given.pop("PYTHONPATH", "").split(":")
            if one and not one.startswith(("/", "$"))
        ]
        return Start(
            tuple(steps), why, given, workdir, tuple(dict.fromkeys(path)), tuple(dict.fromkeys(done.notes)), name
        )

    def _own(self, words: list[str], folder: str, values) -> Translated | None:
        """A shell script of the application is read; other words are asked of ``program``."""
        at = 1 if words[0] in ("sh", "bash", "ash") and len(words) > 1 else 0
        file = self._script(words[at], folder)
        if file is None:
            return self.program(words, folder)

        def own(inner: list[str]) -> Translated | None:
            return self._own(inner, folder, values) if inner != words else None

        done = translate(self.project.text(file), values=values, program=own)
        last = translate(handed_on(self.project.text(file), words[at + 1 :]) or [], values=values, program=own)
        done.steps += last.steps
        done.env |= last.env
        done.notes += last.notes
        done.notes.append(f"as in {file}")
        return done

    def _script(self, name: str, folder: str) -> str | None:
        """A shell script by the path that a command has for it, be it the container's."""
        last = PurePosixPath(name).name
        near = [join(folder, name), join(self.service, name)] if not name.startswith("/") else []
        near += [one for one in self.project.files if one.endswith(f"/{last}") or one == last]
        for file in near:
            if self.project.has(file) and re.match(r"#!.*\b(ba|da|a)?sh\b", self.project.text(file)):
                return file
        return None

    # -------------------------------------------------------------------------- Procfile

    def procfile(self) -> Iterator[Start]:
        for folder in self.folders:
            file = join(folder, "Procfile")
            found: dict[str, tuple[str, str]] = {}
            for number, line in enumerate(self.project.text(file).splitlines(), 1):
                if entry := re.match(r"(\w[\w-]*):\s*(.+)", line):
                    found[entry[1]] = (entry[2], f"{file}:{number}")
            release, env = [], {}
            if "release" in found:
                command, why = found.pop("release")
                first = self._start(command, why, folder=folder)
                release, env = list(first.steps), first.env
            for name in sorted(found, key=_preferred):
                command, why = found[name]
                yield self._start(command, why, folder=folder, before=release, env=env, name=name)

    # -------------------------------------------------------------------------- containers

    def compose(self) -> Iterator[Start]:
        for folder in self.folders:
            for name in _COMPOSE:
                file = join(folder, name)
                content = _yaml(self.project.text(file))
                services = content.get("services") if isinstance(content, dict) else None
                if not isinstance(services, dict):
                    continue
                own = {key: one for key, one in services.items() if isinstance(one, dict) and "build" in one}
                ranked = sorted(own, key=lambda key: (not own[key].get("ports"), _preferred(str(key))))
                for key in ranked:
                    start = self._of_compose(str(key), own[key], folder, file)
                    if start is not None:
                        yield start

    def _of_compose(self, key: str, one: dict, folder: str, file: str) -> Start | None:
        build = one["build"] if isinstance(one["build"], dict) else {"context": one["build"]}
        context = join(folder, str(build.get("context") or "."))
        if context not in (self.service, ".", folder) or not (one.get("command") or one.get("entrypoint")):
            return None
        docker = join(context, str(build.get("dockerfile") or "Dockerfile"))
        image = _image(self.project, docker, context, str(build.get("target") or ""))
        env = _plain_environment(one.get("environment"))
        return self._of_image(
            image,
            context,
            self.project.at(file, "command:" if one.get("command") else "entrypoint:"),
            command=one.get("command") or image.command,
            entrypoint=one.get("entrypoint") or image.entrypoint,
            env=env,
            name=key,
            places={one: _place_in_service(self.project, file, key, one) for one in env},
        )

    def dockerfiles(self) -> Iterator[Start]:
        def order(file: str) -> tuple:
            dev = bool(re.search(r"dev|test|local|debug", PurePosixPath(file).name, re.I))
            return (dev, file.count("/"), file)

        named = [
            one
            for one in self.project.files
            if re.fullmatch(r"(.*\.)?(Docker|Container)file(\..*)?", PurePosixPath(one).name)
        ]
        for file in sorted(named, key=order):
            parent = str(PurePosixPath(file).parent)
            context = self.service if parent == self.service or not _is_context(self.project, parent) else "."
            if (
                parent in (self.service, ".", join(self.service, "docker"), "docker", join(self.service, ".docker"))
                or "docker" in parent
            ):
                image = _image(self.project, file, context, "")
                if image.command or image.entrypoint:
                    yield self._of_image(
                        image, context, image.why, command=image.command, entrypoint=image.entrypoint, env={}, name=""
                    )

    def _of_image(
        self, image: "_Image", context: str, why: str, *, command, entrypoint, env, name, places=None
    ) -> Start:
        values = {**image.env, **env}
        places = {**image.places, **(places or {})}
        before: list[tuple[str, str]] = []
        first = _words(entrypoint)
        script = self._script(_script_of(first), context) if first else None
        if script is not None:
            given = first[first.index(_script_of(first)) + 1 :]
            if given:
                command = [*given, *_words(command)]
            handed = handed_on(self.project.text(script), command or [])
            inner = self._start(self.project.text(script), script, folder=context, values=values)
            before = list(inner.steps)
            env = {**env, **inner.env}
            places |= dict.fromkeys(inner.env, script)
            used = re.search(r"\$[@*]", self.project.text(script))  # in a way that is not followed
            command = handed if handed is not None else command if used or not before else None
            why = f"{script}, called by {why}"
        elif first:
            command = [*first, *_words(command)] if not isinstance(command, str) else f"{' '.join(first)} {command}"
        folder = image.to_project(image.workdir) or context
        start = self._start(
            command or [], why, folder=folder, values=values, env={**image.env, **env}, before=before, name=name
        )
        path = [image.to_project(one) for one in values.get("PYTHONPATH", "").split(":") if one]
        kept = {
            key: value
            for key, value in start.env.items()
            if not re.match(r"(PYTHON|PIP_|POETRY_|UV_|PATH$|LANG|LC_|DEBIAN)", key)
        }
        path = [one for one in [*path, *start.path] if one]
        # What the command itself sets is set where it stands.
        places = {key: at for key, at in places.items() if kept.get(key) == {**image.env, **env}.get(key)}
        return Start(start.steps, why, kept, start.workdir, tuple(dict.fromkeys(path)), start.notes, name, places)

    # -------------------------------------------------------------------------- units, Makefile

    def units(self) -> Iterator[Start]:
        for file in self.project.files:
            last = PurePosixPath(file).name
            if last.endswith(".service"):
                found = re.search(r"^ExecStart=-?(.+(?:\\\n.+)*)", self.project.text(file), re.M)
                if found:
                    yield self._start(found[1].replace("\\\n", " "), self.project.at(file, "ExecStart="))
            elif re.fullmatch(r"supervisor\w*\.conf|.*\.supervisor", last):
                parser = configparser.RawConfigParser(strict=False)
                try:
                    parser.read_string(self.project.text(file))
                except configparser.Error:
                    continue
                for section in sorted(parser.sections(), key=lambda one: _preferred(one.partition(":")[2])):
                    if section.startswith("program:") and parser.has_option(section, "command"):
                        command = parser.get(section, "command")
                        yield self._start(
                            command, self.project.at(file, command.split()[0]), name=section.partition(":")[2]
                        )

    def makefile(self) -> Iterator[Start]:
        for folder in self.folders:
            for last in ("Makefile", "justfile", "Justfile"):
                file = join(folder, last)
                for target in _TARGETS:
                    found = re.search(
                        rf"^{target}\b[^\n=]*:(?!=)[^\n]*\n((?:[ \t]+[^\n]*\n?)+)", self.project.text(file), re.M
                    )
                    if found:
                        lines = [line.strip().lstrip("@-") for line in found[1].splitlines()]
                        text = "\n".join(lines).replace("$(PORT)", "$PORT").replace("$$", "$")
                        yield self._start(
                            re.sub(r"\$[({]\w+[)}]/?", "", text), self.project.at(file, f"{target}:"), folder=folder
                        )


def _until_served(steps: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Up to the first server: what stands after it is another way to start, or never reached."""
    found: list[tuple[str, str]] = []
    for step in steps:
        if step not in found:
            found.append(step)
        if step[0] == "serve":
            break
    return found


def _preferred(name: str) -> tuple:
    return (
        _FIRST.index(name) if name in _FIRST else len(_FIRST),
        bool(re.search("worker|beat|cron|flower|test", name)),
        name,
    )


def _is_context(project: Project, folder: str) -> bool:
    return any(not one.endswith(".sh") for one in project.below(folder) if one.endswith((".py", ".toml", ".txt")))


def _yaml(text: str):
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return None


def _plain_environment(value) -> dict[str, str]:
    if isinstance(value, list):
        value = dict(str(one).partition("=")[::2] for one in value)
    if not isinstance(value, dict):
        return {}
    return {str(key): str(one) for key, one in value.items() if one is not None and "$" not in str(one)}


def _place_in_service(project: Project, file: str, service: str, name: str) -> str:
    """``file:line`` where a compose file sets a variable of a service; the file alone where that is not seen."""
    inside = False
    for number, line in enumerate(project.text(file).splitlines(), 1):
        inside = inside or bool(re.match(rf"\s+[\"']?{re.escape(service)}[\"']?\s*:", line))
        if inside and re.match(rf"\s+(?:-\s*)?[\"']?{re.escape(name)}[\"']?\s*[:=]", line):
            return f"{file}:{number}"
    return file


def _words(value) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(one) for one in value or ()]


def _script_of(words: list[str]) -> str:
    return next(
        (word for word in words if not re.fullmatch(r"(.*/)?(ba|a)?sh|-\w+|--|(.*/)?(tini|dumb-init)", word)), ""
    )


@dataclass
class _Image:
    """A Dockerfile's last stage, as far as a start needs it."""

    context: str
    project: Project
    workdir: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    command: str | list[str] | None = None
    entrypoint: str | list[str] | None = None
    copies: list[tuple[str, str]] = field(default_factory=list)
    why: str = ""
    places: dict[str, str] = field(default_factory=dict)  # of a variable: ``file:line`` of its ENV

    def to_project(self, path: str) -> str | None:
        """A path of the image as one of the project, by what was copied where."""
        full = path if path.startswith("/") else join(self.workdir, path)
        for source, target in sorted(self.copies, key=lambda one: -len(one[1])):
            if full == target or full.startswith(target.rstrip("/") + "/"):
                found = join(source, full[len(target) :].strip("/") or ".")
                if found == "." or self.project.below(found):
                    return found
        return None


def _image(project: Project, file: str, context: str, target: str) -> _Image:
    stages: dict[str, _Image] = {}
    now = _Image(context, project)
    # Continued lines become one, in which a NUL stands for each line end that is gone.
    text = re.sub(
        r"\\[ \t]*\n(?:[ \t]*#[^\n]*\n)*",
        lambda cut: " " + "\0" * cut[0].count("\n"),
        project.text(file).replace("\0", ""),
    )
    following = 1
    for whole in text.split("\n"):
        number, following = following, following + 1 + whole.count("\0")
        line = whole.replace("\0", "")
        found = re.match(r"\s*([A-Za-z]+)\s+(.*\S)", line)
        if not found:
            continue
        word, rest = found[1].upper(), found[2]
        if word == "FROM":
            parts = rest.split()
            parts = [one for one in parts if not one.startswith("--")]
            if target and target in stages and not (len(parts) > 2 and parts[2] == target):
                continue
            base = stages.get(parts[0])
            now = _Image(context, project)
            if base is not None:
                now = _Image(
                    context,
                    project,
                    base.workdir,
                    dict(base.env),
                    base.command,
                    base.entrypoint,
                    list(base.copies),
                    base.why,
                    dict(base.places),
                )
            if len(parts) > 2 and parts[1].upper() == "AS":
                stages[parts[2]] = now
        elif word == "WORKDIR":
            now.workdir = rest if rest.startswith("/") else join(now.workdir, rest)
        elif word == "ENV":
            pairs = re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S*)", rest) or [tuple(rest.split(None, 1))]
            for pair in pairs:
                if len(pair) == 2:
                    value = pair[1].strip("\"'")
                    now.env[pair[0]] = re.sub(r"\$\{?(\w+)\}?", lambda f, env=now.env: env.get(f[1], ""), value)
                    before = re.split(rf"(?<![\w${{]){pair[0]}(?=[=\s])", whole, maxsplit=1)[0]
                    now.places[pair[0]] = f"{file}:{number + before.count(chr(0))}"
        elif word in ("COPY", "ADD"):
            parts = [one.strip("\"',[]") for one in rest.split() if not one.startswith("--")]
            if "--from" not in rest and len(parts) >= 2:
                goal = parts[-1] if parts[-1].startswith("/") else join(now.workdir, parts[-1])
                for source in parts[:-1]:
                    place = join(context, source.rstrip("/"))
                    if place == "." or project.below(place):
                        now.copies.append((place, goal))
        elif word in ("CMD", "ENTRYPOINT"):
            value: str | list[str] = rest
            if rest.startswith("["):
                try:
                    value = [str(one) for one in json.loads(rest)]
                except ValueError:
                    value = rest
            setattr(now, "command" if word == "CMD" else "entrypoint", value)
            if word == "CMD" or not now.why:
                now.why = (
                    project.at(file, line.strip()[:40])
                    if line.strip()[:40] in project.text(file)
                    else f"{file}, {word}"
                )
    chosen = stages.get(target, now)
    chosen.why = chosen.why or file
    return chosen
