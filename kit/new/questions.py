"""The texts for a person: an incident's title and, if no trial shows it, what is missing and what to answer."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from ..incident.deployments import program_of
from ..incident.interpreters import Interpreter, how_to_make
from ..incident.project import Project
from ..triage.evidence import Evidence
from .trial import Search, Setup, Trial


def title_of(evidence: Evidence, setup: Setup, project: Project, best: Trial | None = None) -> str:
    """A sentence: what was started, and what happened; of several steps the one that failed in the best trial."""
    ran = best.trace.steps if best is not None and best.shows_incident and best.trace is not None else ()
    failed = next((number for number, step in enumerate(ran) if step.ok is False), -1)
    what = _subject(setup, project, failed if failed < len(setup.start.steps) else -1)
    if evidence.table:
        return f"{what} fails: table {evidence.table} is already defined"
    if evidence.request and not evidence.expected:
        return f"{what} does not serve {' '.join(evidence.request)}"
    expected = evidence.expected
    if not expected and failed >= 0 and not ran[failed].error.startswith("exit code"):
        expected = re.sub(r"^[\w.]+: ", "", ran[failed].error).partition(". ")[0]
    if not expected:
        if best is not None and best.healthy:
            return f"{what} starts; what goes wrong is not known yet"
        return f"{what} starts, but not all of it works" if evidence.programs else f"{what} does not start"
    error = re.sub(r"\s+", " ", expected).rstrip(".")
    error = error if len(error) <= 100 else error[:100].rpartition(" ")[0]
    return f"{what} warns: {error}" if evidence.type.endswith("Warning") else f"{what} fails: {error}"


def _subject(setup: Setup, project: Project, number: int) -> str:
    kind, last = setup.start.steps[number]
    program = program_of(last)
    if kind in ("import", "call"):
        return last
    if program == "python":
        return re.sub(r"^.*?python (?:-m )?", "", last).split(" ")[0]
    if program in ("alembic", "flask", "celery"):
        return " ".join(last.split()[:3]) if program == "alembic" else last.partition(" --port")[0]
    if program in ("sh", "bash"):
        return next((word for word in last.split() if word.endswith(".sh")), last)
    target = next((word for word in last.split() if re.fullmatch(r"[\w.]+:\w+(?:\(\))?", word)), "")
    return f"{target.partition(':')[0]} under {program}" if target else program or PurePosixPath(project.root).name


def not_found(
    work: Search, interpreter: Interpreter, best: Trial | None, run: bool, lacking: Sequence[str]
) -> list[str]:
    """What was not found; if no trial shows the incident, also the nearest trial and the two most useful questions."""
    evidence, shown = work.evidence, best is not None and best.shows_incident
    unread = work.project.unreadable.values()
    sentences = [f"{at}: this YAML cannot be read, and is ignored" for at in unread]
    if lacking and not shown:
        how = how_to_make(work.project, lacking, evidence.version)
        sentences.append(f"packages: {interpreter.python} lacks {', '.join(lacking[:8])}. {how}")
    if work.asked_python and not shown:
        sentences.append(f"{work.asked_python}: {interpreter.python} is {interpreter.version}")
    if evidence.database == "mysql":
        sentences.append("a MySQL database, which the log names: the kit can make only SQLite and PostgreSQL databases")
    if not run or shown:
        return sentences
    if best is not None and best.up and not evidence.expected:
        sentences.append(f"a failure: {best.setup.start} comes up, and no swallowed error was seen")
    elif best is not None:
        wanted = "that shows the log's error" if evidence.expected else "that fails by itself, or that comes up"
        shows = best.shows.removeprefix(f"{best.setup.start}: ")
        sentences.append(f"a startup {wanted}; the nearest was {best.setup.start}, which shows: {shows}")
    return sentences + _questions(work, best)[:2]


def _variable_of(work: Search, setup: Setup, service: str) -> str:
    """The variable, with its place, that a service's address is read from: by its value, or by the line that reads it."""
    port = re.compile(rf"{re.escape(service)}(?!\d)|:{service.rpartition(':')[2]}\b")
    named = (f"{name} ({setup.known.get(f'env.{name}')})" for name, value in setup.env.items() if service in value)
    places = ((variable, *variable.at.rpartition(":")[::2]) for variable in work.variables)
    texts = ((variable, work.project.text(file).splitlines(), int(line)) for variable, file, line in places)
    lines = ((variable, text[line - 1 : line]) for variable, text, line in texts)
    read = (f"{variable.name} (read at {variable.at})" for variable, line in lines if port.search("".join(line)))
    return next(iter([*named, *read]), "")


def _questions(work: Search, best: Trial | None) -> list[str]:
    evidence, questions, refused = work.evidence, [], []
    missing = best.seen.missing_variables - evidence.missing_variables if best is not None else ()
    if missing:
        questions.append(f"which value did {', '.join(sorted(missing))} have where it failed? Give it in app.env")
    if best is not None and best.trace is not None:
        refused = [attempt["what"] for attempt in best.trace.refused]
    databases = [what for what in refused if re.search(r"sql|:5432\b|:3306\b", what)]
    if databases:
        only = "The kit provides only its own database: name the variable in database_env or app.env"
        questions.append(f"which variable names {databases[0]}? {only}")
    elif refused and not best.up:
        service = refused[0].partition(" (")[0]
        name = _variable_of(work, best.setup, service)
        named = f", which {name} names" if name else ""
        only = "A reproduction reaches its scratch database and nothing else: switch that off by a variable in app.env, or by a step under prepare"
        questions.append(f"can it start without {service}{named}? {only}")
    started = best is not None and best.up and not evidence.expected
    if not started and (not evidence.programs or best is None or best.level == 0):
        how = "Give it as it was typed, as in --startup 'command: python -m app.main'"
        questions.append(f"which command was run, and in which folder? {how}")
    if evidence.frames and any(frame.file in work.project.revisions for frame in evidence.frames):
        how = "Give it under prepare, as in {upgrade: a1b2}, {rows: 1}"
        questions.append(f"which revision was the database at, and did its tables have rows? {how}")
    if not evidence.expected:
        how = "Give it in expect, as in error: …, or check: {http: {path: /, status: 200}}"
        questions.append(f"what showed that something was wrong? {how}")
    return [*questions, "which variables were set where it failed? Give them in app.env, without secrets"]
