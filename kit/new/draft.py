"""The text of a new incident file: keys in the order of the README, each with how it is known."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from ..base.redact import redact
from ..diagnose.explanations import meaning_of_error
from ..incident.deployments import program_of
from ..incident.environment import left_out
from ..incident.interpreters import Interpreter, how_to_make
from ..incident.project import Project
from ..incident.repository import run_git
from ..triage.evidence import Evidence
from .trial import Search, Setup, Trial, checks_of, expect_of

_COLUMN = 46  # where a comment begins, if the line leaves room


def because_of(work: Search, setup: Setup, interpreter: Interpreter) -> list[tuple[str, str, str]]:
    """Every key with its value and how it is known."""
    content, known, start = setup.content(work.python), setup.known, setup.start
    reasons = [
        ("startup", str(start), known.get("startup", start.because)),
        ("app.python", work.python, interpreter.because),
        ("app.workdir", start.workdir, known.get("workdir", start.because)),
        ("app.path", ", ".join(setup.path) or "empty", known.get("path", "only the folders that Python adds itself")),
    ]
    because = "a trial asked for it"
    reasons += [(f"app.env.{name}", value, known.get(f"env.{name}", because)) for name, value in setup.env.items()]
    keys = ("database", "database_driver", "database_env", "prepare")
    reasons += [(key, str(content[key]), known.get(key, "")) for key in keys if content.get(key)]
    if work.evidence.expected:
        reasons.append(("expect.error", work.evidence.expected, work.evidence.at))
    return reasons


@dataclass
class Draft:
    """An incident file's text: keys in the order of the README, each with how it is known."""

    work: Search
    setup: Setup
    best: Trial | None
    interpreter: Interpreter
    target: Path
    with_log: bool
    missing: Sequence[str]

    def text(self) -> str:
        setup, evidence, known = self.setup, self.work.evidence, self.setup.known
        title = _value(redact(title_of(evidence, setup, self.work.project, self.best)))
        lines = [f"title: {title}", "app:", *self._source(), *self._how_it_runs(), *self._database()]
        if setup.prepare:
            lines.append(_commented("prepare:", f"before the startup, not judged: {known.get('prepare', '')}"))
            lines += [f"  - {kind}: {_value(int(text) if kind == 'rows' else text)}" for kind, text in setup.prepare]
        lines.append(_commented("startup:", known.get("startup", setup.start.because)))
        lines += [f"  - {kind}: {_value(text)}" for kind, text in setup.start.steps]
        lines += self._expect()
        log = _commented("log: log.txt", "as it was given, without secrets")
        lines.append(log if self.with_log else "# log: log.txt")
        lines += [f"# Not found: {_plain(sentence)}" for sentence in self.missing]
        lines += [
            "hypotheses: []                               # what people believed; each with a kind is tested",
            "# remove-legacy: {patches: [fixes/remove-legacy.patch], claim: nobody uses the old class}",
            "fixes: {}",
            "checks:                                      # what must be true after a fix",
            *[f"  - {_value(check)[1:-1]}" for check in checks_of(self.work.project, setup)],
            "postmortem: {}                               # what only people know: the README names its keys",
        ]
        return "\n".join(lines) + "\n"

    def _how_it_runs(self) -> list[str]:
        """The working folder, the path, the interpreter and the variables."""
        setup, known, lines = self.setup, self.setup.known, []
        if setup.start.workdir != ".":
            because = known.get("workdir", "where commands run")
            lines.append(_commented(f"  workdir: {_value(setup.start.workdir)}", because))
        usual = "as the deployment says" if setup.path else "only the folders that Python adds itself"
        lines.append(_commented(f"  path: {_value(list(setup.path))}", known.get("path", usual)))
        python = os.path.relpath(self.interpreter.python, self.target.resolve())
        python = python if not python.startswith("../../../../..") else str(self.interpreter.python)
        if self.interpreter.of_project or self.interpreter.python != Path(sys.executable):
            lines.append(_commented(f"  python: {_value(python)}", self.interpreter.because))
        lines += ["  env:                                       # the environment starts empty"] * bool(setup.env)
        lines += [_commented(f"    {it}: {_value(text)}", known.get(f"env.{it}", "")) for it, text in setup.env.items()]
        secret = left_out(setup.start.env, self.work.variables, self.work.evidence.missing_variables)
        left = ((name, at) for name, at in secret.items() if name not in setup.env)
        return lines + [f"  # {name}: {_plain(at)} sets it to a secret, so it is left out" for name, at in left]

    def _database(self) -> list[str]:
        setup, at = self.setup, self.work.evidence.database_at
        usual = {"database": "nothing names another one", "database_driver": at}
        values = {"database": setup.database, "database_driver": setup.driver, "database_env": setup.database_env}
        because = {key: setup.known.get(key, usual.get(key, "")) for key in values}
        return [_commented(f"{key}: {value}", because[key]) for key, value in values.items() if value]

    def _source(self) -> list[str]:
        root = self.work.project.root.resolve()
        top = self.work.project.git_top
        where = os.path.relpath(root, self.target.resolve())
        plain = [_commented(f"  root: {_value(where)}", "the work tree as it is; it is copied, never written to")]
        head = _committed(top.resolve(), root) if top is not None else None
        if top is None or top.resolve() == root:
            return plain
        if head is None:
            return [
                *plain,
                "  # it has uncommitted changes; for its history replace root by repository, revision and subdir",
            ]
        repository = _value(os.path.relpath(top.resolve(), self.target.resolve()))
        because = "the folder is part of it, without uncommitted changes"
        lines = [_commented(f"  repository: {repository}", because)]
        return [*lines, f"  revision: {head}", f"  subdir: {_value(root.relative_to(top.resolve()).as_posix())}"]

    def _expect(self) -> list[str]:
        best, evidence = self.best, self.work.evidence
        error = (best.expected if best is not None and best.shows_incident else None) or evidence.expected
        # Of how it is started; left out, it would count as the incident.
        if not error and best is not None and not best.shows_incident and not best.healthy:
            unknown = "  error: 'not known yet: which error does the incident show?'"
            return [_commented("expect:", "what the incident looks like is not known"), unknown]
        expect = expect_of(evidence, self.setup, error, best.trace if best is not None else None)
        if not expect:
            return [_commented("# expect:", "what the incident looks like; without it, any failure counts")]
        lines = [_commented("expect:", f"what the incident looks like; {evidence.at}".rstrip("; "))]
        if "check" in expect and error:
            lines.append(f"  # the request that must fail, as the log's did with {_plain(error)}")
        return lines + [f"  {key}: {_value(value)}" for key, value in expect.items()]


def _committed(top: Path, root: Path) -> str | None:
    """The commit that a folder is at, where all of it is in that commit; else None."""
    below = root.relative_to(top).as_posix()
    asked = ("status", "--porcelain", "--ignored", "--", below), ("ls-files", "--", below), ("rev-parse", "HEAD")
    changed, files, head = (run_git(*words, folder=top) for words in asked)
    known = not (changed.returncode or changed.stdout.strip() or head.returncode) and files.stdout.strip()
    return head.stdout.strip() if known else None


def _plain(text: str) -> str:
    """Text of the application as a comment may hold it: in one line, printable, without secrets."""
    return redact(re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]+|\s+", " ", text))


def _commented(line: str, comment: str) -> str:
    """A line with a comment, on its right where there is room and else above it."""
    comment = _plain(comment)
    if not comment:
        return line
    if len(line) < _COLUMN - 1 and len(comment) < 76:
        return f"{line.ljust(_COLUMN - 1)}# {comment}"
    if len(line) + len(comment) < 118:
        return f"{line}    # {comment}"
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}# {comment}\n{line}"


def _value(value) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def title_of(evidence: Evidence, setup: Setup, project: Project, best: Trial | None = None) -> str:
    """A sentence: what was started, and what happened; of several steps the one that failed in the best trial."""
    ran = best.trace.steps if best is not None and best.shows_incident and best.trace is not None else ()
    failed = next((number for number, step in enumerate(ran) if step.ok is False), -1)
    subject = _subject(setup, project, failed if failed < len(setup.start.steps) else -1)
    if evidence.table:
        return f"{subject} fails: table {evidence.table} is already defined"
    if evidence.request and not evidence.expected:
        return f"{subject} does not serve {' '.join(evidence.request)}"
    expected = evidence.expected
    if not expected and failed >= 0 and not ran[failed].error.startswith("exit code"):
        expected = re.sub(r"^[\w.]+: ", "", ran[failed].error).partition(". ")[0]
    if not expected:
        if best is not None and best.healthy:
            return f"{subject} starts; what goes wrong is not known yet"
        return f"{subject} starts, but not all of it works" if evidence.programs else f"{subject} does not start"
    error = re.sub(r"\s+", " ", expected).rstrip(".")
    error = error if len(error) <= 100 else error[:100].rpartition(" ")[0]
    return f"{subject} warns: {error}" if evidence.type.endswith("Warning") else f"{subject} fails: {error}"


def _subject(setup: Setup, project: Project, number: int) -> str:
    kind, last = setup.start.steps[number]
    program = program_of(last)
    if kind in ("import", "call"):
        return last
    called = re.search(r"(?:argv\[1:\] = \[([^]]*)\]; )?from (\S+) import (\w+); \3\(\)", last)
    if called:  # as an installer's script does
        return " ".join([f"{called[2]}:{called[3]}", *re.findall(r"'(.*?)'", called[1] or "")])
    if program == "python":
        return re.sub(r"^.*?python (?:-m )?", "", last).split(" ")[0]
    if program in ("alembic", "flask", "celery"):
        typed = (re.search(rf"(?<!\S){program} .*", last) or [last])[0]  # without the variables that stand before it
        return " ".join(typed.split()[:3]) if program == "alembic" else typed.partition(" --port")[0]
    if program in ("sh", "bash"):
        return next((word for word in last.split() if word.endswith(".sh")), last)
    target = next(iter(re.findall(r"(?<![^\s'\"])[A-Za-z_][\w.]*:\w+(?:\(\))?(?![^\s'\"])", last)), "")
    return f"{target.partition(':')[0]} under {program}" if target else program or PurePosixPath(project.root).name


def not_found(
    work: Search, interpreter: Interpreter, best: Trial | None, run: bool, lacking: Sequence[str]
) -> list[str]:
    """What was not found; if no trial shows the incident, also the nearest trial and the two most useful questions."""
    evidence, shown = work.evidence, best is not None and best.shows_incident
    sentences = [f"{at}: this YAML cannot be read, and is ignored" for at in work.project.unreadable.values()]
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
        asked = f" and answers {' '.join(evidence.request)}" if evidence.request and best.setup.start.serves else ""
        later = f"it comes up{asked}; the log's error comes later, or from something that this setup lacks"
        shows = later if best.up else best.shows.removeprefix(f"{best.setup.start}: ")
        meaning = meaning_of_error(evidence.text)
        means = f". Such an error usually means: {meaning.happened} {meaning.advice}" if meaning else ""
        sentences.append(f"a startup {wanted}; the nearest was {best.setup.start}, which shows: {shows}{means}")
    return sentences + _questions(work, best)[:2]


def _variable_of(work: Search, setup: Setup, service: str) -> str:
    """The variable, with its place, that a service's address is read from: by its value, or by the line that reads it."""
    host, _, number = service.rpartition(":")
    port = re.compile(rf"{re.escape(service)}(?!\d)|:{number}\b")
    names = [it for it in setup.env if service in setup.env[it] or setup.env[it] == host and re.search("HOST|ADDR", it)]
    named = (f"{name} ({setup.known.get(f'env.{name}')})" for name in names)
    places = ((variable, *variable.at.rpartition(":")[::2]) for variable in work.variables)
    lines = ((it, work.project.text(file).splitlines()[int(line) - 1 :]) for it, file, line in places)
    read = (f"{it.name} (read at {it.at})" for it, those in lines if port.search("".join(those[:1])))
    return next(iter([*named, *read]), "")


def _questions(work: Search, best: Trial | None) -> list[str]:
    evidence, questions, refused = work.evidence, [], []
    missing = best.seen.missing_variables - evidence.missing_variables if best is not None else ()
    if missing:
        questions.append(f"which value did {', '.join(sorted(missing))} have where it failed? Give it in app.env")
    if best is not None and best.trace is not None:
        refused = [attempt["what"] for attempt in best.trace.refused]
    databases = [target for target in refused if re.search(r"sql|:5432\b|:3306\b", target)]
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
    typed = any(program.name == "line" for program in evidence.programs)
    if not started and not typed and (not evidence.programs or best is None or best.level == 0):
        how = "Give it as it was typed, as in --startup 'command: python -m app.main'"
        questions.append(f"which command was run, and in which folder? {how}")
    if evidence.frames and any(frame.file in work.project.revisions for frame in evidence.frames):
        how = "Give it under prepare, as in {upgrade: a1b2}, {rows: 1}"
        questions.append(f"which revision was the database at, and did its tables have rows? {how}")
    if not evidence.expected:
        how = "Give it in expect, as in error: …, or check: {http: {path: /, status: 200}}"
        questions.append(f"what showed that something was wrong? {how}")
    return [*questions, "which variables were set where it failed? Give them in app.env, without secrets"]
