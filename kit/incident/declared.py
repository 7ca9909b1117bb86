"""Starts that configuration files give: each command line in a YAML, TOML, JSON or INI file, with the folder and the variables beside it.

Kubernetes, Helm, systemd, supervisord, fly, render, Heroku, Taskfile, tox, devcontainers and CI services write a command as a text, as
words or as lines, under keys of their own. What tells a command is the program that it runs; no file's own layout is known here.
"""

import json
import re
import tomllib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from posixpath import normpath

import yaml

from .deployments import KNOWN, Command, exec_form, of_files, program_of, relative, split_lines, words_of
from .project import Project
from .scripts import folder_of_image

_READ_ELSEWHERE = re.compile(
    r"(^|/)((docker-)?compose[\w.-]*\.ya?ml|pyproject\.toml|Cargo\.toml|mkdocs\.ya?ml|.*lock[\w.]*|alembic\.ini)$"
)
_OF_TESTS = re.compile(
    r"(^|/)(\.(?!platform|ebextensions)\w|tox\.ini$|noxfile|Taskfile|setup\.cfg$|package\.json$)|(^|/)azure-pipelines"
)
_LARGEST = 100_000  # bytes of a file that is looked at
_NO_COMMAND = re.compile(
    r"^(?:name|description|title|summary|help|label|labels|image|key|keywords|version|id|deps|dependencies|packages|tags|classifiers|env\w*|"
    r"variables|setenv|\w*probe|healthcheck|test)$", re.I
)  # fmt: skip
_FOLDER = re.compile(r"^(?:working[-_]?dir(?:ectory)?|directory|workdir|cwd|ch(?:ange)?dir|dir|rootDir)$", re.I)
_VARIABLES = re.compile(r"^(?:env|environment|envVars|setenv|variables|containerEnv|remoteEnv|env_variables)$", re.I)
_PAIR = re.compile(
    r"""(?<![\w=])(?:"([A-Za-z_]\w*)\s*=([^"]*)"|'([A-Za-z_]\w*)\s*=([^']*)'|([A-Za-z_]\w*)\s*=\s*("[^"]*"|'[^']*'|[^\s,"']*))"""
)
_SCRIPT = re.compile(r"[\w.-]+\.(?:sh|py)\b")  # the bare name of one
_OF_A_HOME = re.compile(r"(?:^|/)(?:Dockerfile|pyproject\.toml|setup\.py|requirements[\w-]*\.txt|Pipfile)$")
_NAMED = re.compile(r"[:=_]|\w\.\w|/")
_MODULE = re.compile(r"(?<=-[mA] )[\w.]+|(?<![\w./-])[\w.]+(?=:\w)")
_SUBCOMMANDS = {"run", "dev", "serve", "start", "upgrade", "check", "current", "worker", "beat", "db", "runserver"}


def declared(project: Project, programs: Collection[str]) -> Iterator[Command]:
    """Every command of the application's configuration files; ``programs``: its own console scripts."""
    mark = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted({*KNOWN, *programs})))})(?![\w-])")
    homes = {str(PurePosixPath(file).parent) for file in project.files if _OF_A_HOME.search(file)}
    homes &= {str(folder) for file in project.python for folder in PurePosixPath(file).parents}
    for file in project.files:
        reader = _READERS.get(PurePosixPath(file).suffix)
        if reader is None or _READ_ELSEWHERE.search(file) or not (text := project.text(file)) or len(text) > _LARGEST:
            continue
        documents = []
        with suppress(yaml.YAMLError, ValueError, RecursionError):  # it cannot be read
            documents = reader(text) if mark.search(text) else []
        folder = PurePosixPath(file).parent
        deployed = not _OF_TESTS.search(file)
        home = str(folder) if str(folder) in homes else "."
        base = Command((), file, 18 if deployed else 10, home, deployed=deployed)
        for document in documents:
            yield from _below(project, document, base, programs)


def _starts(project: Project, line: str, workdir: str, own: Collection[str]) -> bool:
    """Is a text a command line that starts something of the application, and no sentence or name that holds a program's?"""
    words = [word for word in words_of(line) if not re.match(r"[A-Za-z_]\w*=", word)]
    program = program_of(line)
    if not words or "{" in line or ("/" in words[0] and "bin/" not in words[0]):
        return False
    files = [project.has(normpath(PurePosixPath(folder, word))) for word in words[1:] for folder in (workdir, ".")]
    if program in ("python", "sh", "bash"):
        return any(files) or ("-m" in words[:-1] and project.is_own(words[words.index("-m") + 1]))
    chosen = any(word in _SUBCOMMANDS or word.startswith("-") for word in words[1:])
    if program in own:
        return chosen
    named = chosen or any(_NAMED.search(word) for word in words[1:])
    return program in KNOWN - {"jupyter"} and (named or program == "pytest")


def _below(project: Project, node, base: Command, programs: Collection[str]) -> Iterator[Command]:
    """The commands in a value of a configuration file and in what it holds; variables and folders hold for what is below them."""
    if isinstance(node, list):
        for item in node:
            yield from _below(project, item, base, programs)
    if not isinstance(node, dict):
        return
    env, workdir, home = dict(base.env), base.workdir, base.workdir
    for key, value in node.items():
        if _VARIABLES.match(str(key)):
            env |= {name: (text, base.at.partition(" (")[0]) for name, text in _pairs(value)}
        elif re.fullmatch(r"env_?files?|EnvironmentFile", str(key), re.I):
            env |= of_files(project, value, str(PurePosixPath(base.at.partition(" (")[0]).parent))
        elif _FOLDER.match(str(key)) and isinstance(value, str):
            workdir = folder_of_image(project, value, base.workdir)
    base = replace(base, workdir=workdir, env=env)
    name = node.get("name")
    for key, value in node.items():
        of_a_job = key == "test" and isinstance(value, dict)  # of a CI service, and no check of a container's health
        if _NO_COMMAND.match(str(key)) and not of_a_job or (key == "args" and "command" in node):
            continue
        value = _with_arguments(value, node.get("args")) if key == "command" else value
        lines = [line if _SCRIPT.match(line) else relative(project, line, workdir, "") for line in _lines(value)]
        lines = [line for line in lines if _starts(project, line, workdir, programs)]
        at = f"{base.at.partition(' (')[0]} ({name if isinstance(name, str) else key})"
        if lines:
            # A folder of another machine may be called as a package in it: it is the one that holds what is started.
            modules = _MODULE.findall(lines[-1])
            holds = [any(project.file_of(module, folder) for module in modules) for folder in (home, workdir)]
            yield replace(base, lines=tuple(lines), at=at, workdir=home if holds == [True, False] else workdir)
        else:
            yield from _below(project, value, replace(base, at=at), programs)


def _with_arguments(command, arguments):
    """A container's command with its arguments, each a text or words."""
    if arguments is None:
        return command
    parts = [part if isinstance(part, list) else [part] for part in (command, arguments)]
    return [str(word) for part in parts for word in part]


def _lines(value) -> list[str]:
    """The command lines of a text, of words, or of a list of lines."""
    if isinstance(value, list) and value and all(isinstance(word, str | int | float) for word in value):
        words = [str(word) for word in value]
        if not any(" " in word.strip() for word in words[:1]):
            return list(exec_form(json.dumps(words)))
        value = "\n".join(words)
    if not isinstance(value, str):
        return []
    text = re.sub(r"\{posargs[^{}]*\}", "", re.sub(r"\\\n\s*", " ", value))
    return [part.lstrip("-@+!") for line in text.splitlines() for part in split_lines(line)]


def _pairs(value) -> Iterator[tuple[str, str]]:
    """The variables that a block sets: a mapping, a list of names and values, or text of ``NAME=value``; not what only a run knows."""
    if isinstance(value, dict):
        pairs = [(name, text.get("value") if isinstance(text, dict) else text) for name, text in value.items()]
    else:
        items = value if isinstance(value, list) else [value]
        pairs = [(item.get("name", item.get("key")), item.get("value")) for item in items if isinstance(item, dict)]
        texts = [part for item in items if isinstance(item, str) for part in item.splitlines()]
        groups = [list(filter(None, groups)) for part in texts for groups in _PAIR.findall(part)]
        pairs += [(group[0], group[1].strip("\"'")) for group in groups if len(group) == 2]
    for name, text in pairs:
        text = str(text).lower() if isinstance(text, bool) else str(text if isinstance(text, str | int | float) else "")
        if text and re.fullmatch(r"[A-Za-z_]\w*", str(name)) and not re.search(r"\$|%\(|\{", text):
            yield str(name), text


# -- readers: a text as its documents


def _yaml(text: str) -> list:
    """A YAML file's documents; of a template of Helm, what stands there without its directives."""
    text = re.sub(r"^\s*\{\{-?(?:(?!\}\}).)*\}\}\s*$", "", text, flags=re.M)
    text = re.sub(r"\$?\{\{.*?\}\}", "", text)
    return list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _ini(text: str) -> list:
    """Sections of ``key = value``; a line that is indented goes on, a key that comes again has a list."""
    sections: dict[str, dict] = {"": {}}
    section, key = sections[""], ""
    for line in text.splitlines():
        header, pair = re.match(r"\[(.+)\]\s*$", line), re.match(r"([\w.-]+)\s*[=:]\s*(.*)$", line)
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        if header:
            section, key = sections.setdefault(header[1], {}), ""
        elif line[0].isspace() and key:
            section[key][-1] += f"\n{line.strip()}"
        elif pair:
            key = pair[1]
            section.setdefault(key, []).append(re.sub(r"\s;.*", "", pair[2]).strip())
    return [{name: {k: v if len(v) > 1 else v[0] for k, v in keys.items()} for name, keys in sections.items()}]


_READERS = {
    **dict.fromkeys((".yml", ".yaml"), _yaml),
    ".toml": lambda text: [tomllib.loads(text)],
    ".json": lambda text: [json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))],
    **dict.fromkeys((".ini", ".conf", ".service", ".cfg"), _ini),
}
