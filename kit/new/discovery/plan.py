"""Chooses the startup's steps: what was given, what the log says failed, what a deployment file says, what the sources make."""

import re
from pathlib import PurePosixPath

from ...base.errors import IncidentError
from ...incident.source import module_name
from ...triage.frames import is_library, parts_of
from ...triage.logs import Traceback
from .commands import translate
from .deployments import Start
from .found import Discovery, Planned
from .objects import WORKERS, Made
from .programs import Programs, serving
from .project import Project, join


def plan(found: Discovery, project, programs: Programs, starts: list[Start], objects, traceback, files, given) -> None:
    """Choose the startup: what was given, what the log says failed, what a deployment file says, what the sources make."""
    steps: list[Planned] = []
    if given:
        found.startup = list(given)
        found.others = starts[:3]
        return
    program, wanted = _program_of(traceback) if traceback else (None, None)
    chosen = next((one for one in starts if one.serves), None) or next(iter(starts), None)
    if program == "celery":
        chosen = next((one for one in starts if any(kind == "import" for kind, _ in one.steps)), None)
    if chosen is not None:
        steps = _with_programs(found, programs, [Planned(kind, text, chosen.why) for kind, text in chosen.steps])
    if chosen is not None and steps:
        found.workdir = chosen.workdir if chosen.workdir and project.below(chosen.workdir) else found.workdir
        found.notes += [f"{chosen.why}: {note}" for note in chosen.notes]
        found.others = [one for one in starts if one.steps != chosen.steps]
    else:
        steps, why = _from_sources(project, programs, objects, files, program)
        found.notes += why
    if program == "pytest":
        test = next((one for one in files if re.search(r"(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$", one)), "")
        steps = [Planned("command", f"python -m pytest -x {test}".strip(), "the log is pytest's")]
    migrates = any(re.search(r"\balembic\b|\bdb upgrade\b", one.text) for one in steps)
    if program == "alembic" and found.alembic and not migrates:
        command = found.alembic.upgrade.replace("upgrade head", wanted) if wanted else found.alembic.upgrade
        steps = [Planned("command", command, "the log is Alembic's"), *steps]
    elif found.alembic and not migrates and program != "pytest":
        if found.alembic.in_process:
            found.notes.append(f"no step migrates: {found.alembic.in_process} does it in the application itself")
        elif any(one.kind in ("serve", "command") for one in steps) or not steps:
            before = "the server" if any(one.kind == "serve" for one in steps) or not steps else "the command"
            why = f"{found.alembic.why}; no deployment file says when it runs: before {before}, as is usual"
            steps = [Planned("command", found.alembic.upgrade, why), *steps]
    steps = _with_programs(found, programs, steps)
    if not steps:
        own = [one for one in (*files, *project.with_database, *project.python) if PurePosixPath(one).name != "env.py"]
        file = next((one for one in own if one.endswith(".py")), project.python[0])
        steps = [Planned("import", module_name(file, programs.names), f"{file}: no entry point was found")]
        found.wanting.append(
            "the entry point: no Procfile, Dockerfile, script or application object was found. "
            "Write under startup what the server does until it is up, or give it by --startup"
        )
    found.startup = steps


def _from_sources(
    project: Project, programs: Programs, objects: list[Made], files, program
) -> tuple[list[Planned], list[str]]:
    """The startup by what the sources make: an application object, a console script, a module that is run."""
    inside = [one for one in objects if one.file in files]
    if program == "celery":
        inside = [one for one in inside or objects if one.framework in WORKERS]
    ranked = [*inside, *(one for one in objects if one not in inside)]
    flask = _flask_app(project, programs.service)
    if flask:
        return [Planned("serve", "flask run --port {port}", flask)], []
    for one in ranked:
        text = serving(one, programs.names, programs.python)
        if text and (one.framework not in WORKERS):
            made = f"{one.framework}, {'made by a function' if one.factory else 'made'} at {one.at}"
            return [Planned("serve", text, made)], []
        if one.framework in WORKERS:
            break
    scripts = programs.scripts()
    for name, (target, why) in scripts.items():
        done = programs.script(name, target)
        if done and done.steps:
            return [Planned(kind, text, why) for kind, text in done.steps], done.notes
    for file in project.python:
        run = PurePosixPath(file).name in (
            "__main__.py",
            "main.py",
            "app.py",
            "run.py",
            "server.py",
            "manage.py",
            "wsgi.py",
        )
        if run and file in project.below(programs.service) and "__main__" in project.text(file) + file:
            relative = str(PurePosixPath(file).relative_to(programs.service)) if programs.service != "." else file
            package = module_name(file, programs.names).removesuffix(".__main__")
            words = ["python", "-m", package] if file.endswith("__main__.py") else ["python", relative]
            done = programs(words, programs.service, written=False)
            if done and done.steps:
                return [Planned(kind, text, f"{file}, which is run") for kind, text in done.steps], done.notes
    for one in ranked:
        module = one.target(programs.names).partition(":")[0]
        note = (
            []
            if one.framework in WORKERS
            else [f"no server for {one.framework} is in the environment: its module is imported"]
        )
        steps = [Planned("import", module, f"{one.framework} at {one.at}")]
        if one.factory:
            steps.append(
                Planned("call", one.target(programs.names), f"{one.framework}, made by a function at {one.at}")
            )
            steps = steps[1:]
        return steps, note
    for _, (target, why) in scripts.items():
        return [Planned("import", target.partition(":")[0], f"{why}, a console script")], []
    return [], []


def _flask_app(project: Project, service: str) -> str | None:
    """Where a ``.flaskenv`` names the application: ``flask run`` reads it by itself."""
    file = join(service, ".flaskenv")
    return project.at(file, "FLASK_APP") if "FLASK_APP" in project.text(file) else None


def _with_programs(found: Discovery, programs: Programs, steps: list[Planned]) -> list[Planned]:
    """Steps whose program the application's environment has; a server that it lacks becomes an import."""
    kept = []
    for one in steps:
        words = [word for word in one.text.split() if "=" not in word]
        name = words[0] if words and one.kind in ("serve", "command") else ""
        python = programs.python
        if not name or python is None or name in ("python", "cd") or "/" in name or python.has_program(name):
            kept.append(one)
            continue
        target = next((word for word in words[1:] if re.fullmatch(r"[\w.]+:[\w.]+(\(\))?", word)), None)
        made = next(
            (made for made in programs.objects if target and made.target(programs.names) == target.rstrip("()")), None
        )
        instead = serving(made, programs.names, python) if made and one.kind == "serve" else None
        if instead:
            kept.append(Planned("serve", instead, one.why))
            found.notes.append(
                f"{one.why}: {name} is not in the application's environment here; served by {instead.split()[0]}"
            )
        elif target and one.kind == "serve":
            kept.append(Planned("import", target.partition(":")[0], one.why))
            found.wanting.append(
                f"a server: {name} ({one.why}) is not in the application's environment; its module is imported instead"
            )
        elif one.kind == "command" and re.match(r"alembic|flask", name):
            found.wanting.append(f"{name} ({one.why}): it is not in the application's environment, so no step migrates")
        elif one.kind == "command":
            found.notes.append(
                f"{one.why}: `{one.text}` is left out: {name} is no program of the application's environment"
            )
        else:
            kept.append(one)
    return kept


def _program_of(traceback: Traceback) -> tuple[str | None, str | None]:
    """The tool that a traceback begins in, and for Alembic what it was told."""
    known = r"alembic|uvicorn|gunicorn|hypercorn|flask|celery|_pytest|pytest|granian|waitress"
    tool = None
    for frame in traceback.frames:
        path = "/".join(parts_of(frame.file))
        found = re.search(rf"(?:^|/)({known})(?:/|$)|(?:site|dist)-packages/({known})\.py$", path)
        inside = is_library(frame.file) or "/bin/" in f"/{path}"
        if found and inside and tool is None:
            tool = (found[1] or found[2]).lstrip("_")
        if not inside:
            break
    wanted = None
    if tool == "alembic":
        calls = [one.function for one in traceback.frames if one.file.replace("\\", "/").endswith("alembic/command.py")]
        wanted = {
            "revision": "revision --autogenerate -m incident",
            "check": "check",
            "current": "current",
            "history": "history",
        }.get(calls[0] if calls else "")
    return tool, wanted


def given_step(text: str, project: Project | None = None) -> Planned:
    """A step as it is given on the command line: ``import app.main``, or ``serve: uvicorn app.main:app``.

    :raises IncidentError: it does not begin with a kind of step
    """
    found = re.match(r"(import|call|code|command|serve)\s*(?::\s*|\s+)(\S.*)$", text.strip(), re.S)
    if not found:
        raise IncidentError(
            f"--startup {text!r}: begin with the kind of step, one of import, call, code, command, serve, as in 'import app.main' "
            "or 'serve uvicorn app.main:app --port {port}'"
        )
    kind, rest = found[1], found[2].strip()
    if kind == "serve" and "{port}" not in rest:
        done = translate(rest)
        rest = next((line for one, line in done.steps if one == "serve"), rest)
    return Planned(kind, rest, "given by --startup")
