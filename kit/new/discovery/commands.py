"""A deployment's command line as startup steps of the kit: what is dropped, what is changed, and why.

A server is told to listen on the run's own port, with one process and without reloading; what migrates before
it becomes a step of its own; wrappers that only wait, or choose an environment, go.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass
class Translated:
    """Steps as ``(kind, text)``, the variables that the command sets, and what was changed, in sentences."""

    steps: list[tuple[str, str]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Server:
    """How one server program is told: options that go (with how many values), that take the host, that take the port."""

    drop: Mapping[str, int]
    host: tuple[str, ...] = ("--host",)
    port: tuple[str, ...] = ("--port",)
    both: tuple[str, ...] = ()  # an option that takes host:port
    one: tuple[str, ...] = ()  # an option for the number of processes that must be one


_TLS = {
    "--ssl-keyfile": 1,
    "--ssl-certfile": 1,
    "--ssl-ca-certs": 1,
    "--keyfile": 1,
    "--certfile": 1,
    "--cert": 1,
    "--key": 1,
}
_RELOAD = {"--reload": 0, "--reload-dir": 1, "--reload-include": 1, "--reload-exclude": 1, "--reload-delay": 1}
_SERVERS = {
    "uvicorn": _Server({**_RELOAD, **_TLS, "--workers": 1, "--uds": 1, "--fd": 1}),
    "gunicorn": _Server(
        {**_TLS, "-D": 0, "--daemon": 0, "--reload": 0, "--pid": 1, "-p": 1, "-u": 1, "--user": 1, "-g": 1, "--group": 1},
        host=(),
        port=(),
        both=("--bind", "-b"),
        one=("--workers", "-w"),
    ),
    "hypercorn": _Server({**_TLS, "--reload": 0, "-D": 0, "--daemon": 0, "--workers": 1, "-w": 1}, (), (), ("--bind", "-b")),
    "flask": _Server({**_RELOAD, **_TLS, "--debug": 0, "--debugger": 0}, ("--host", "-h"), ("--port", "-p")),
    "fastapi": _Server({**_RELOAD, "--workers": 1}),
    "litestar": _Server({**_RELOAD, "-r": 0, "--debug": 0, "-d": 0, "--web-concurrency": 1, "--wc": 1, "-W": 1}, ("--host", "-H"), ("--port", "-p")),
    "quart": _Server({**_RELOAD, "--debug": 0}, ("--host", "-h"), ("--port", "-p")),
    "granian": _Server({**_RELOAD, **_TLS, "--workers": 1}),
    "daphne": _Server({"-u": 1, "-e": 1}, ("-b", "--bind"), ("-p", "--port")),
    "sanic": _Server({"--reload": 0, "-r": 0, "--dev": 0, "-d": 0, "--workers": 1, "-w": 1, "--fast": 0}, ("--host", "-H"), ("--port", "-p")),
    "waitress-serve": _Server({"--unix-socket": 1}, ("--host",), ("--port",), ()),
}  # fmt: skip
_NEEDS_RUN = {"flask", "litestar", "quart", "fastapi"}
# Programs that only prepare the way for another: to how many words of their own they take, None: up to "--".
_WRAPPERS = {
    "exec": 0, "time": 0, "dumb-init": 0, "tini": 0, "gosu": 1, "su-exec": 1, "ddtrace-run": 0, "nohup": 0, "setarch": 1,
    "opentelemetry-instrument": 0, "newrelic-admin": 1, "dotenv": 1, "doppler": 1, "infisical": 1, "chamber": 2, "env": 0,
    "sudo": 0, "nice": 0, "dockerize": None, "watchmedo": None, "wait-for-it.sh": None, "wait-for-it": None, "wait-for": None,
    "wait-for.sh": None, "direnv": 2, "honcho": 1, "command": 0,
}  # fmt: skip
_RUNNERS = {"poetry", "uv", "pdm", "pipenv", "hatch", "rye", "pixi", "conda", "micromamba"}
_SILENT = {"echo", "set", "sleep", "mkdir", "chmod", "chown", "source", ".", "true", "trap", "umask", "ulimit", "printf", "date", "ls",
           "cat", "touch", "rm", "cp", "ln", "pip", "test", "[", "[[", "nc", "curl", "pg_isready", "if", "then", "else", "elif", "fi", "while",
           "until", "for", "do", "done", "case", "esac", "return", "exit", "shift", "local", "declare", "unset", "npm", "yarn", "service",
           "nginx", "redis-server", "redis-cli", "docker", "docker-compose", "make", "git", "psql", "createdb", "!", "{", "}", ":"}  # fmt: skip
_PORT = re.compile(r"\$\{?(?:PORT|port)\b(?::?-[^}]*)?\}?|\$\(PORT\)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_ARGUMENTS = re.compile(r"\$(?:[@*]|\{[@*](?::1)?\})")  # all of a script's own
_BRANCHES = ("then", "else", "do", "{", "(", "!")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.S)


def translate(
    command: str | Sequence[str],
    *,
    values: Mapping[str, str] | None = None,
    program: Callable[[list[str]], Translated | None] = lambda words: None,
) -> Translated:
    """A command, as a shell or a Dockerfile's exec form has it, as steps.

    :param values: variables that the deployment sets, for ``$NAME`` in the command
    :param program: asked about commands that are no known server: the application's own scripts
    """
    done = Translated()
    if not isinstance(command, str):
        words = [str(one) for one in command]
        if (
            len(words) > 2
            and PurePosixPath(words[0]).name in ("sh", "bash", "ash")
            and words[1] in ("-c", "-lc", "-ec")
        ):
            command = words[2]
        else:
            _take([_expanded(word, values or {}, done) for word in words], done, program)
            return done
    for words in _commands(_expanded(command, values or {}, done)):
        _take(words, done, program)
    return done


def handed_on(script: str, arguments: str | Sequence[str]) -> str | list[str] | None:
    """The command that a shell script hands its arguments on to, with them in their place; None if it does that nowhere.

    :param arguments: as a Dockerfile has them, in shell form or exec form; what is returned is of the same form
    """
    commands = _commands(re.sub(r"\$(?:#|\{#\})", "$COUNT", script))  # or the rest of the line is a comment
    arguments = _set_anew(commands, arguments)
    for words in map(_without_branches, reversed(commands)):
        at = next((n for n, word in enumerate(words) if _ARGUMENTS.fullmatch(word)), None)
        if at is None or at and PurePosixPath(words[0]).name in _SILENT:
            continue
        if at and words[at - 1] == "-c":  # sh -c "$*"
            return arguments
        return _with_arguments(words, arguments)
    return None


def _without_branches(words: list[str]) -> list[str]:
    while words[:1] and words[0] in _BRANCHES:
        words = words[1:]
    return words


def _with_arguments(words: list[str], arguments: str | Sequence[str]) -> str | list[str]:
    """Words with a script's arguments in their place, or without them where they have none; in the arguments' own form."""
    at = next((n for n, word in enumerate(words) if _ARGUMENTS.fullmatch(word)), None)
    if at is None:
        return text_of(words) if isinstance(arguments, str) else words
    if isinstance(arguments, str):
        return " ".join([*words[:at], arguments, *words[at + 1 :]])
    return [*words[:at], *arguments, *words[at + 1 :]]


def _set_anew(commands: Sequence[list[str]], arguments: str | Sequence[str]) -> str | Sequence[str]:
    """A script's arguments after its ``set -- …``; one whose condition is not understood is passed over."""
    branches: list[bool | None] = []
    asked: list[str] = []  # [ … ] && set -- …
    for words in commands:
        if words[0] in ("if", "while", "until", "for", "case"):
            branches.append(_holds(words[1:], arguments) if words[0] == "if" else None)
        elif words[0] in ("elif", "else") and branches:
            before = branches[-1]
            branches[-1] = None if before is not False else words[0] == "else" or _holds(words[1:], arguments)
        elif words[0] in ("fi", "done", "esac") and branches:
            branches.pop()
        inner = _without_branches(words[1:] if words[0] == "else" else words)
        if inner[:2] == ["set", "--"] and all(branches) and (not asked or _holds(asked, arguments)):
            arguments = _with_arguments(inner[2:], arguments)
        asked = inner if inner[:1] in (["["], ["[["], ["test"]) else []
    return arguments


def _holds(condition: Sequence[str], arguments: str | Sequence[str]) -> bool | None:
    """Does a condition on a script's arguments hold? None: it is on something else."""
    given = arguments.split() if isinstance(arguments, str) else list(arguments)
    first = given[0] if given else ""
    asked = " ".join(word for word in condition if word not in ("[", "]", "[[", "]]", "test"))
    asked = re.sub(r"\$\{1(?::-)?\}", "$1", asked)
    if asked in ("${1#-} != $1", "${1:0:1} = -", "${1:0:1} == -", "$1 = -*", "$1 == -*"):
        return first.startswith("-")
    if asked in ("$COUNT -eq 0", "$COUNT = 0", "$COUNT == 0", "-z $1", "-z $*", "-z $@"):
        return not given
    if asked in ("$COUNT -gt 0", "$COUNT -ne 0", "-n $1", "-n $*", "-n $@"):
        return bool(given)
    compared = re.fullmatch(r"\$1 (=|==|!=) ([\w./-]+)", asked)
    return (first == compared[2]) is (compared[1] != "!=") if compared else None


def _expanded(text: str, values: Mapping[str, str], done: Translated) -> str:
    def value(found: re.Match) -> str:
        name = found[1] or found[3]
        if name in values:
            return values[name]
        if found[2] is not None:
            return found[2]
        return found[0]

    return _VARIABLE.sub(value, _PORT.sub("{port}", text))


def _commands(text: str) -> list[list[str]]:
    """A shell text's simple commands, each as its words; a comment's rest of the line is none."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        try:
            lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
            lexer.whitespace_split, lexer.commenters = True, "#"
            words = list(lexer)
        except ValueError:
            continue
        found.append([])
        heard = True  # what only reads another's output, or follows its failure, is no step
        for word in words:
            if set(word) <= set("&|;"):
                heard = word in ("&&", ";", "&", ";;")
                found.append([])
            elif heard:
                found[-1].append(word)
    return [one for one in found if one]


def _take(words: list[str], done: Translated, program) -> None:
    """Add what one simple command is to ``done``."""
    while words:
        name = PurePosixPath(words[0]).name
        assigned = _ASSIGNMENT.fullmatch(words[0])
        if assigned:
            if "{port}" in assigned[2]:
                break
            done.env[assigned[1]] = assigned[2]
            words = words[1:]
        elif name in ("sh", "bash", "ash") and len(words) > 2 and words[1] in ("-c", "-lc", "-ec", "-exc"):
            for inner in _commands(words[2]):
                _take(inner, done, program)
            return
        elif name == "export":
            for word in words[1:]:
                if (found := _ASSIGNMENT.fullmatch(word)) and "{port}" not in word:
                    done.env[found[1]] = found[2]
            return
        elif name in _RUNNERS and "run" in words[1:3]:
            words = _after_options(
                words[words.index("run") + 1 :], ("--with", "--extra", "--group", "-n", "--package", "-p", "--env-file")
            )
            words = words[1:] if words and re.fullmatch(r"\w+:\w+", words[0]) and name == "hatch" else words
        elif name == "uvx":
            words = words[1:]
        elif name in _WRAPPERS:
            words = _after_wrapper(name, words, done)
        else:
            break
    if not words:
        return
    name = PurePosixPath(words[0]).name
    if name == "cd" and len(words) > 1:
        done.workdir = words[1]
        return
    if name in _SILENT or any(_ARGUMENTS.fullmatch(word) for word in words):
        return
    python = re.fullmatch(r"python(3(\.\d+)?)?", name)
    if python:
        rest = [word for word in words[1:] if word not in ("-u", "-O", "-B", "-OO", "-I", "-s")]
        if len(rest) > 1 and rest[0] == "-m" and (rest[1] in _SERVERS or rest[1] in ("alembic", "celery")):
            words, name = rest[1:], rest[1]
        else:
            words, name = ["python", *rest], "python"
    else:
        words = [name, *words[1:]] if words[0].startswith("/") or "bin/" in words[0] else words
    if name in _SERVERS and (name not in _NEEDS_RUN or "run" in words or "dev" in words):
        done.steps.append(("serve", text_of(_served(name, words, done))))
    elif name == "celery":
        _celery(words, done)
    else:
        own = program(words)
        if own is not None:
            done.steps += own.steps
            done.notes += own.notes
            done.env.update(own.env)
        else:
            done.steps.append(("serve" if "{port}" in " ".join(words) else "command", text_of(words)))


def _after_options(words: list[str], with_value: tuple[str, ...]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in with_value else words[1:]
    return words


def _after_wrapper(name: str, words: list[str], done: Translated) -> list[str]:
    own = _WRAPPERS[name]
    if own is None:
        rest = words[words.index("--") + 1 :] if "--" in words else []
    else:
        rest = _after_options(words[1 + own :] if own else words[1:], ("-u", "-g", "-n", "-f"))
        rest = rest[1:] if rest[:1] == ["--"] else rest
    if name not in ("exec", "env", "time", "command"):
        done.notes.append(f"{name} in front of it is left out")
    return rest


def _served(name: str, words: list[str], done: Translated) -> list[str]:
    """A server's words with the run's port, on loopback, in one process."""
    server = _SERVERS[name]
    words = ["run" if name == "fastapi" and word == "dev" else word for word in words]
    kept, dropped, changed = [], [], set()
    at = 0
    while at < len(words):
        word = words[at]
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        short = word[:2] if re.match(r"-[A-Za-z][^-]", word) else ""
        if option in server.drop and (word.startswith("-") or equals):
            dropped.append(option)
            at += 1 if equals else 1 + server.drop[option]
            continue
        known = {**dict.fromkeys(server.host, "host"), **dict.fromkeys(server.port, "port")}
        known |= {**dict.fromkeys(server.both, "both"), **dict.fromkeys(server.one, "one")}
        kind = known.get(option) or (known.get(short) if short and at else None)
        if kind:
            spelled = option if option in known else short
            if kind not in changed:
                kept += [spelled, {"host": "127.0.0.1", "port": "{port}", "both": "127.0.0.1:{port}", "one": "1"}[kind]]
            if kind == "one":
                done.notes.append("one worker, not several")
            changed.add(kind)
            at += 1 if equals or (short and option not in known) else 2
            continue
        if name == "waitress-serve" and option == "--listen":
            kept.append("--listen=127.0.0.1:{port}")
            changed.add("port")
            at += 1 if equals else 2
            continue
        kept.append(word)
        at += 1
    if "port" not in changed and server.port:
        kept += [server.port[0], "{port}"]
    if "both" not in changed and server.both:
        kept += [server.both[0], "127.0.0.1:{port}"]
    if dropped:
        done.notes.append(f"without {', '.join(dict.fromkeys(dropped))}")
    return kept


def _celery(words: list[str], done: Translated) -> None:
    """A worker cannot run without its broker: what it does until then is to import its application."""
    for at, word in enumerate(words):
        found = re.match(r"(?:-A|--app)=?(.*)", word)
        if found:
            target = found[1] or (words[at + 1] if at + 1 < len(words) else "")
            module = re.split(r"[:]", target)[0]
            if re.fullmatch(r"\w+(\.\w+)*", module):
                done.steps.append(("import", module))
                done.notes.append(f"`{text_of(words)}` needs its broker: what it imports first is the step")
                return


def text_of(words: Sequence[str]) -> str:
    """Words as one command line; the kit's placeholders stay as they are."""
    marks = ("{port}", "{database_url}")

    def quoted(word: str) -> str:
        plain = word
        for mark in marks:
            plain = plain.replace(mark, "x")
        return word if shlex.quote(plain) == plain else shlex.quote(word)

    return " ".join(quoted(word) for word in words)
