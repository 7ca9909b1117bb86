"""Writes a new incident file: from an application's folder and a log to an incident that was tried, each key with how it is known."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import IncidentError
from ..base.janitor import folder as temporary_folder
from ..base.progress import Hears, silent
from ..base.redact import redact, shows_secret
from ..base.scan import refuse_secrets
from ..incident import load
from ..incident.interpreters import Interpreter, interpreter_of
from ..incident.project import Project
from ..startup.run import reproduce
from ..triage.evidence import Evidence, evidence_of
from ..triage.log_text import text_of
from ..triage.logs import Log
from .candidates import Start
from .draft import Draft, because_of, not_found
from .first_setups import first_setups
from .next_setups import completed, lessons
from .trial import Search, Setup, Trial, search

_KINDS = ("import", "call", "code", "command", "serve")


@dataclass(frozen=True)
class Written:
    """What ``new`` wrote and how it came to it; ``reproduced`` is None where nothing was run."""

    file: Path
    root: Path
    reproduced: bool | None
    best: Trial | None
    tried: tuple[Trial, ...]
    because: tuple[tuple[str, str, str], ...]
    not_found: tuple[str, ...] = ()
    expected: str | None = None

    @property
    def code(self) -> int:
        return 0 if self.reproduced else 3


def new(
    folder: Path, *, app: str | None = None, startup: Sequence[str] = (), log: str | None = None, python: str | None = None,
    run: bool | None = None, progress: Hears = silent,
) -> Written:  # fmt: skip
    """Write ``incident.yaml`` into a folder, and the log beside it.

    :param app: the application's folder; where it is not given, the current one
    :param startup: steps as text, ``import app.main``
    :param log: a file, or "-" for standard input
    :param python: the application's interpreter, where it was named
    :param run: try startups; None: where the kernel's guards are in force
    :raises IncidentError: there is an incident already, the folder is no application, or the log is unreadable or another application's
    :raises SecretFound: a step or the log would show a secret; nothing is written
    """
    steps = [_step_of(text) for text in startup]
    root = _folder(app or ".")
    target = _plain_path(folder.expanduser())
    _free(target, root, log)
    text, read = text_of(log) if log else ("", Log((), 0))
    project = Project(root, progress)
    evidence = evidence_of(read, text, project) if log else Evidence()
    if evidence.foreign:
        raise IncidentError(
            f"--log {log}: it is the log of another application: it passes through {evidence.foreign}, and {root} has no such file. Give the folder of "
            "the application that wrote it by --app, or the log that this one wrote."
        )
    interpreter = interpreter_of(project, python, evidence.prefixes, evidence.version)
    with temporary_folder() as scratch:
        required = interpreter.other_than_asked(project)
        work = Search(project, evidence, str(interpreter.python), scratch, progress, interpreter.names, required)
        setups = first_setups(work, interpreter, steps)
        # What cannot be written down is no startup to try, but for the deployment's own.
        setups = [setup for setup in setups if not setup.start.tier or not shows_secret(str(setup.start))] or setups
        run = _guarded(work) if run is None else run
        best = completed(work, search(work, setups, lessons, progress=progress)) if run else None
        setup = best.setup if best is not None else setups[0]
        reproduced = None if not run else best is not None and best.shows_incident
        missing = not_found(work, interpreter, best, run, _lacking(project, interpreter, work))
        known = because_of(work, setup, interpreter)
        texts = {"incident.yaml": Draft(work, setup, best, interpreter, target, bool(log), missing).text()}
        texts |= {"log.txt": redact(text)} if log else {}
        texts |= {path.name: path.read_text("utf-8") for path in scratch.glob("*.sql")}
        _refuse(setup, texts)
        file = _write(target, texts)
    return Written(file, root, reproduced, best, tuple(work.trials), tuple(known), tuple(missing), evidence.expected)


def _write(target: Path, texts: dict[str, str]) -> Path:
    """Write the files into the folder, all of them or none."""
    file, written = target / "incident.yaml", []
    is_new = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            if name != file.name:
                written.append(target / name)
                (target / name).write_text(text, encoding="utf-8")
        draft = target / f".incident.yaml.{os.getpid()}"
        written.append(draft)
        draft.write_text(texts[file.name], encoding="utf-8")
        load(draft)  # what is written must be what can be read
        os.link(draft, file)  # never over one that somebody made meanwhile
        draft.unlink()
        return file
    except (OSError, IncidentError) as error:
        for path in written:
            path.unlink(missing_ok=True)
        if is_new and target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if isinstance(error, IncidentError):
            raise
        raise IncidentError(f"{file}: cannot be written: {error.strerror}") from None


def _refuse(setup: Setup, texts: dict[str, str]) -> None:
    """Refuse texts that hold secrets of the sources or the log: an incident file is passed on to others."""
    home = os.path.join(os.path.expanduser("~"), "")  # the paths in it are of this machine, as they have to be
    shown = {name: text.replace(home, "~/") for name, text in texts.items()}
    shown = {name: text.replace("{database_user}:{database_password}@", "") for name, text in shown.items()}
    refuse_secrets(
        shown,
        also=_steps_with_secrets(setup, texts),
        done="written",
        remedy="Take it out of the log; of a step, give the step by --startup with $NAME in its place, and NAME in app.env afterwards.",
    )


def _steps_with_secrets(setup: Setup, texts: dict[str, str]) -> list[str]:
    """The lines of the incident file that hold a step of which something is masked wherever it is shown."""
    lines = [(name, *numbered) for name, content in texts.items() for numbered in enumerate(content.splitlines(), 1)]
    steps = [text for _, text in setup.start.steps]
    secret = ((name, number) for name, number, line in lines for text in steps if text in line and shows_secret(text))
    return [f"{name}, line {number}: the value of startup" for name, number in secret]


# -- what is given


def _step_of(text: str) -> tuple[str, str]:
    kind, rest = re.fullmatch(r"(\w*)\s*:?\s*(.*)", text.strip(), re.S).groups()
    if kind not in _KINDS or not rest.strip():
        raise IncidentError(
            f"--startup {text!r}: begin with the kind of step, one of {', '.join(_KINDS)}, as in --startup 'import app.main'"
        )
    return kind, rest.strip()


def _folder(app: str) -> Path:
    path = Path(app).expanduser()
    if path.is_file():
        raise IncidentError(f"--app {app}: this is a file; name the folder, as in --app {path.parent}")
    if not path.is_dir():
        raise IncidentError(f"--app {app}: there is no such folder (looked up from {Path.cwd()})")
    plain = _plain_path(path)
    if plain == Path(__file__).parents[2]:
        raise IncidentError("which application? This is the kit's own folder: name it by --app, as in --app ../app")
    return plain


def _plain_path(path: Path) -> Path:
    """An absolute path without ``..``; links are kept where they lead to the same."""
    plain = Path(os.path.abspath(path))
    return plain if plain.resolve() == path.resolve() else path.resolve()


def _free(target: Path, root: Path, log: str | None) -> None:
    """Raise if no incident can be written into the folder."""
    if (target / "incident.yaml").exists():
        raise IncidentError(f"{target / 'incident.yaml'}: there is an incident already. Give another folder.")
    if target.exists() and not target.is_dir():
        raise IncidentError(f"{target}: this is no folder; a new one is made for each incident")
    inside = target.resolve()
    if inside == root.resolve() or inside.is_relative_to(root.resolve()):
        raise IncidentError(
            f"{target}: lies inside the application {root}, into which nothing is written. Give a folder beside it, as in {root.parent / 'incidents' / target.name}"
        )
    log_file = Path(log).expanduser().absolute() if log and log != "-" else None
    others = [entry for entry in sorted(target.iterdir()) if entry != log_file] if target.is_dir() else []
    if others:
        raise IncidentError(
            f"{target}: this folder holds {others[0].name}{' and more' * (len(others) > 1)} already. Give a new or empty one."
        )


def _guarded(work: Search) -> bool:
    """Are the kernel's guards in force here? A step that does nothing tells."""
    empty = work.folder / "nothing"
    empty.mkdir()
    (empty / "nothing.py").write_text("", encoding="utf-8")
    incident = work.incident(Setup(Start((("code", "pass"),), "", 0)))
    incident = incident.model_copy(update={"app": incident.app.model_copy(update={"root": str(empty)})})
    return not reproduce(incident).provenance["unguarded"]


def _lacking(project: Project, interpreter: Interpreter, work: Search) -> list[str]:
    """Libraries that a trial did not find or, if nothing was run, all that the interpreter lacks."""
    if not work.trials:
        return interpreter.lacks(project)
    modules = {module for trial in work.trials for module in trial.seen.missing_modules - work.evidence.missing_modules}
    shown = "\n".join(trial.shows for trial in work.trials)
    missing = {module.partition(".")[0] for module in modules} | set(re.findall(r"([\w.-]+): not found$", shown, re.M))
    others = {name for name in missing if name not in interpreter.names and not project.is_own(name)}
    return sorted(others | set(re.findall(r"No package metadata was found for ([\w.-]+)", shown)))
