"""An application's own scripts and commands as startup steps: what they serve, on which port, by reading them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...incident.source import module_name
from .commands import Translated, text_of
from .interpreters import Interpreter
from .objects import WORKERS, WSGI, Made
from .project import Project, called, imports_of, join, naming, nodes_of

_RUNS = {"uvicorn.run", "waitress.serve", "aiohttp.web.run_app", "hypercorn.asyncio.serve", "werkzeug.serving.run_simple",
         "socketio.run", "eventlet.wsgi.server", "gevent.pywsgi.WSGIServer"}  # fmt: skip
_SERVING = ("serve", "server", "run", "runserver", "run-server", "web", "start", "api", "up")
_PORTS = ("--port", "-p", "--http-port", "--bind-port")
_DATABASES = ("--database", "--database-url", "--database-uri", "--db", "--db-url", "--db-uri", "--dsn")
_QUIET = ("--no-browser", "--no-open", "--no-open-browser")


@dataclass
class Programs:
    """Reads what an application's own programs do.

    :ivar path: the folders on ``PYTHONPATH``, relative to the project
    :ivar python: the interpreter, where one was found
    """

    project: Project
    service: str
    path: list[str]
    objects: list[Made]
    python: Interpreter | None

    @property
    def names(self) -> list[str]:
        """The folders from which modules are named."""
        return naming(self.project, self.path)

    # -------------------------------------------------------------------------- what is declared

    def scripts(self) -> dict[str, tuple[str, str]]:
        """Console scripts that the project declares: name to ``module:function`` and where that stands."""
        found = {}
        for folder in dict.fromkeys([self.service, "."]):
            file = join(folder, "pyproject.toml")
            content = self.project.toml(file)
            tables = [
                content.get("project", {}).get("scripts", {}),
                content.get("tool", {}).get("poetry", {}).get("scripts", {}),
            ]
            for table in tables:
                for name, target in table.items() if isinstance(table, dict) else ():
                    target = target.get("reference") or target.get("callable") if isinstance(target, dict) else target
                    if isinstance(target, str) and ":" in target:
                        found.setdefault(name, (target.partition("[")[0].strip(), self.project.at(file, f"{name} =")))
            for last in ("setup.cfg", "setup.py"):
                file = join(folder, last)
                section = re.search(r"console_scripts[^\n]*\n?(.*?)(?:\n\s*\n|\]|\Z)", self.project.text(file), re.S)
                for name, target in re.findall(r"([\w.-]+)\s*=\s*([\w.]+:[\w.]+)", section[0] if section else ""):
                    found.setdefault(name, (target, self.project.at(file, f"{name}")))
        return found

    def file_of(self, module: str) -> str | None:
        """The file of one of the application's own modules."""
        for folder in self.path:
            stem = join(folder, module.replace(".", "/"))
            for file in (f"{stem}.py", f"{stem}/__init__.py"):
                if self.project.has(file):
                    return file
        return None

    # -------------------------------------------------------------------------- commands

    def __call__(self, words: list[str], folder: str, *, written: bool = True) -> Translated | None:
        """A command that is no known server, as steps; None if it is not the application's own, or stays as it is.

        :param written: a deployment has it like this, so that no subcommand is added
        """
        if words[0] == "python" and len(words) > 1:
            if words[1] == "-m" and len(words) > 2:
                file = self.file_of(f"{words[2]}.__main__") or self.file_of(words[2])
            else:
                file = join(folder, words[1]) if not words[1].startswith("/") else None
                file = file if file and self.project.has(file) else self._by_name(words[1])
                if file is not None and words[1].startswith("/"):
                    words = ["python", file if folder == "." else str(PurePosixPath(file).relative_to(folder)) if file.startswith(f"{folder}/") else file, *words[2:]]  # fmt: skip
            given = words[3:] if words[1] == "-m" else words[2:]
            return self._serving(words, file, folder, given=given if written else None) if file else None
        scripts = self.scripts()
        if words[0] in scripts:
            return self.script(words[0], scripts[words[0]][0], words[1:])
        return None

    def _by_name(self, path: str) -> str | None:
        last = PurePosixPath(path).name
        near = sorted(
            (one for one in self.project.python if PurePosixPath(one).name == last), key=lambda one: one.count("/")
        )
        return near[0] if near else None

    def script(self, name: str, target: str, words: list[str] | None = None) -> Translated | None:
        """A console script as steps, by its function's module; None where it does not serve.

        :param words: what a deployment writes after its name; None: it is asked whether it can serve at all
        """
        module, _, function = target.partition(":")
        file = self.file_of(module)
        if file is None:
            return None
        if self.python is not None and self.python.has_program(name):
            called_by = [name]
        elif "__main__" in self.project.text(file):
            called_by = ["python", "-m", module]
        elif self.file_of(f"{module.partition('.')[0]}.__main__"):
            called_by = ["python", "-m", module.partition(".")[0]]
        else:
            called_by = ["python", "-c", f"import {module} as m; m.{function}()"]
        whole = [*called_by, *(words or [])]
        done = self._serving(whole, file, self.service, group=True, given=words)
        if done is None and words is not None and called_by != [name]:
            done = Translated([("command", text_of(whole))])
            done.notes.append(f"{name} is no program of the environment here: called as {text_of(called_by)}")
        return done

    def _serving(
        self, words: list[str], file: str, folder: str, group: bool = False, given: list[str] | None = None
    ) -> Translated | None:
        """What a program serves, by the source that it begins in; None where that is not known to serve.

        :param given: what a deployment writes after the program; None: the subcommand that serves is added
        """
        done = Translated()
        flags = [word for word in words if word.startswith("-")]
        tree = self.project.tree(file)
        if tree is None:
            return None
        first = next((word for word in given or () if not word.startswith("-")), None)
        if "runserver" in words:  # Django's spelling, and Flask-Script's
            kept = words[: words.index("runserver") + 1]
            done.steps.append(("serve", text_of([*kept, "-p", "{port}"])))
            return done
        if "FlaskGroup" in self.project.text(file) and (group or words[-1] == "run" or "run" in words):
            if given is not None and "run" not in words:
                return None
            kept = words[: words.index("run")] if "run" in words else words
            done.steps.append(("serve", text_of([*kept, "run", "--port", "{port}"])))
            return done
        options = _Options.of(tree)
        if given is not None and options.command and options.command not in given:
            return None  # the port is another subcommand's
        if first is not None and first != options.command and first not in _SERVING and first in _subcommands(tree):
            return None
        if options.port and not any(one in flags for one in options.port):
            more = [] if not options.command or options.command in words else [options.command]
            before = text_of([*words, *more, options.port[0], "{port}"])
            for option in options.database[:1]:
                before += f" {option} {{database_url}}"
                done.notes.append(f"{option} is an option of {file}")
            for option in options.quiet[:1]:
                before += f" {option}"
            done.steps.append(("serve", before))
            return done
        if options.port:
            at = next(n for n, word in enumerate(words) if word in options.port)
            done.steps.append(("serve", text_of([*words[: at + 1], "{port}", *words[at + 2 :]])))
            return done
        for found in _served_in(self.project, file, tree):
            return self._by_call(words, found, file, done)
        for elsewhere in self._called_elsewhere(file, tree) if group or words[:2] == ["python", "-m"] else ():
            for found in _served_in(self.project, elsewhere, self.project.tree(elsewhere)):
                return self._by_call(words, found, elsewhere, done)
        return None

    def _called_elsewhere(self, file: str, tree: ast.Module) -> Iterator[str]:
        """Own modules that a program's module imports: where it may leave the serving to."""
        package = (
            module_name(file, self.names).rpartition(".")[0]
            if not file.endswith("__init__.py")
            else module_name(file, self.names)
        )
        for name in imports_of(tree).values():
            full = f"{package}.{name.lstrip('.')}".strip(".") if name.startswith(".") else name
            for module in (full, full.rpartition(".")[0]):
                other = self.file_of(module) if module else None
                if other and other != file:
                    yield other

    def _by_call(self, words: list[str], found: "_Call", file: str, done: Translated) -> Translated | None:
        if found.variable:
            text = text_of(words) if found.variable == "PORT" else f"{found.variable}={{port}} {text_of(words)}"
            done.steps.append(("serve", text))
            return done
        made = self._object(found, file)
        if made is None:
            return None
        target = found.text if found.text else made.target(self.names)
        done.steps.append(("serve", serving(made, self.names, self.python, target) or ""))
        done.notes.append(f"`{text_of(words)}` has its port written in {found.at}, and the run needs one of its own")
        return done if done.steps[0][1] else None

    def _object(self, found: "_Call", file: str) -> Made | None:
        if found.text and ":" in found.text:
            module, _, name = found.text.partition(":")
            other = self.file_of(module)
            known = [one for one in self.objects if one.file == other and one.name == name]
            return known[0] if known else Made("ASGI", name, other or file, 1, found.factory)
        known = [one for one in self.objects if one.file == file and not one.factory]
        return next(iter(known or [one for one in self.objects if one.framework not in WORKERS]), None)


@dataclass(frozen=True)
class _Call:
    """A call that serves: ``text`` is the ``module:name`` that it names, ``variable`` the one that has the port."""

    text: str | None
    variable: str | None
    factory: bool
    at: str


def _served_in(project: Project, file: str, tree: ast.Module | None) -> Iterator[_Call]:
    if tree is None:
        return
    imports = imports_of(tree)
    for node in nodes_of(tree):
        callee = called(node, imports) if isinstance(node, ast.Call) else ""
        keywords = {one.arg: one.value for one in node.keywords} if callee else {}
        own = re.fullmatch(r"(.*\.)?(app|application|server|create_app\(.*\))\.(run|listen)", callee)
        if not callee or not (callee in _RUNS or own or (callee.endswith(".run") and {"port", "host"} & set(keywords))):
            continue
        first = node.args[0] if node.args else keywords.get("app")
        text = (
            first.value
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and ":" in first.value
            else None
        )
        port = keywords.get("port") or (node.args[0] if callee.endswith(".listen") and node.args else None)
        factory = isinstance(keywords.get("factory"), ast.Constant) and bool(keywords["factory"].value)
        yield _Call(text, _variable_of(port, tree), factory, f"{file}:{node.lineno}")


def _variable_of(port: ast.expr | None, tree: ast.Module) -> str | None:
    """The environment variable that a port is read from."""
    if isinstance(port, ast.Name):
        values = [n.value for n in nodes_of(tree) if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name) and t.id == port.id]  # fmt: skip
        port = values[-1] if values else port
    text = ast.unparse(port) if port is not None else ""
    found = re.search(r"(?:environ(?:\.get\(|\[)|getenv\()\s*['\"](\w+)['\"]", text)
    return found[1] if found else None


@dataclass(frozen=True)
class _Options:
    """A program's options for the port, the database and quietness, and the subcommand that has them."""

    port: tuple[str, ...] = ()
    database: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    command: str | None = None

    @classmethod
    def of(cls, tree: ast.Module) -> "_Options":
        parsers = _subparsers(tree)
        found: dict[str | None, set[str]] = {}
        commands: dict[str, set[str]] = {}
        for node in nodes_of(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                owner = parsers.get(ast.unparse(node.func.value))
                found.setdefault(owner, set()).update(_texts(node))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for one in node.decorator_list:
                    text = ast.unparse(one)
                    if re.search(r"\.command\b", text):
                        commands[_command_name(one, node.name)] = _function_options(node)
                        break
        for name, options in commands.items():
            found[
                name if len(commands) > 1 or "add_typer" in ast.unparse(tree) or ".group" in ast.unparse(tree) else None
            ] = options
        ranked = sorted(
            (name for name, options in found.items() if options & set(_PORTS[:1]) | options & set(_PORTS[2:])),
            key=lambda name: (name is not None and name not in _SERVING, name is not None, name or ""),
        )
        if not ranked or (ranked[0] is not None and ranked[0] not in _SERVING):
            return cls()
        name = ranked[0]
        options = found[name] | found.get(None, set())

        def those(wanted: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(one for one in wanted if one in options)

        return cls(those(_PORTS), those(_DATABASES), those(_QUIET), name)


def _subparsers(tree: ast.Module) -> dict[str, str]:
    found = {}
    for node in nodes_of(tree):
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "add_parser":
            for text in sorted(_texts(value))[:1]:
                found[ast.unparse(node.targets[0])] = text
    return found


def _subcommands(tree: ast.Module) -> set[str]:
    """Words by which a program chooses what it does: declared subcommands, and what ``sys.argv`` is compared with."""
    found, by_hand = set(), False
    compared: set[str] = set()
    for node in nodes_of(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("add_parser", "add_command"):
                found |= _texts(node)
            if node.func.attr in ("add_command", "add_typer"):
                found |= {
                    one.value.value
                    for one in node.keywords
                    if one.arg == "name" and isinstance(one.value, ast.Constant)
                }
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {
                _command_name(one, node.name)
                for one in node.decorator_list
                if re.search(r"\.(command|group)\b", ast.unparse(one))
            }
        elif isinstance(node, ast.Attribute | ast.Name):
            by_hand = by_hand or "argv" in (node.attr if isinstance(node, ast.Attribute) else node.id)
        elif isinstance(node, ast.Compare | ast.MatchValue):
            compared |= {
                one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            }
    return found | (compared if by_hand else set())


def _texts(node: ast.Call) -> set[str]:
    return {one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def _command_name(decorator: ast.expr, function: str) -> str:
    if isinstance(decorator, ast.Call):
        named = [one.value for one in decorator.keywords if one.arg == "name"] + list(decorator.args)
        for one in named:
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                return one.value
    return function.replace("_", "-")


def _function_options(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            found |= {part for part in one.value.split("/") if re.fullmatch(r"--?[a-z][\w-]*", part)}
    defaults = node.args.args[len(node.args.args) - len(node.args.defaults) :] + node.args.kwonlyargs
    return found | {f"--{one.arg.replace('_', '-')}" for one in defaults}


def serving(made: Made, path: list[str], python: Interpreter | None, target: str | None = None) -> str | None:
    """The command that serves an application object with what its environment has; None if that has no server."""
    target = target or made.target(path)

    def there(name: str) -> bool:
        return python is None or python.has_program(name)

    if made.framework in WORKERS:
        return None
    if made.framework in WSGI:
        version = python.version_of("flask") if python else None
        old = version is not None and tuple(int(n) for n in re.findall(r"\d+", version)[:2]) < (2, 2)
        if there("flask"):
            return (
                f"FLASK_APP={target} flask run --port {{port}}" if old else f"flask --app {target} run --port {{port}}"
            )
        return f"gunicorn {target} -w 1 --bind 127.0.0.1:{{port}}" if there("gunicorn") else None
    if made.framework == "Sanic" and there("sanic"):
        return f"sanic {target} --single-process --port {{port}}"
    if there("uvicorn"):
        return f"uvicorn {target}{' --factory' if made.factory else ''} --port {{port}}"
    if there("hypercorn") and not made.factory:
        return f"hypercorn {target} --bind 127.0.0.1:{{port}}"
    if there("granian"):
        return f"granian --interface asgi {target}{' --factory' if made.factory else ''} --port {{port}}"
    return None
