"""The text of a new incident file: keys in the order of the README, each with how it is known."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..base.redact import redact
from ..incident.environment import left_out
from ..incident.interpreters import Interpreter
from ..incident.repository import run_git
from .questions import title_of
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
    asked = "a trial asked for it"
    reasons += [(f"app.env.{name}", value, known.get(f"env.{name}", asked)) for name, value in setup.env.items()]
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
        with_log = "log: log.txt                                 # as it was given, without secrets"
        lines.append(with_log if self.with_log else "# log: log.txt")
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
        if setup.env:
            lines.append("  env:                                       # the environment starts empty")
        for name, text in setup.env.items():
            lines.append(_commented(f"    {name}: {_value(text)}", known.get(f"env.{name}", "")))
        secret = left_out(setup.start.env, self.work.variables, self.work.evidence.missing_variables)
        return lines + [
            f"  # {name}: {_plain(at)} sets it to a secret, so it is left out"
            for name, at in secret.items()
            if name not in setup.env
        ]

    def _database(self) -> list[str]:
        setup, known = self.setup, self.setup.known
        lines = [_commented(f"database: {setup.database}", known.get("database", "nothing names another one"))]
        if setup.driver:
            because = known.get("database_driver", self.work.evidence.database_at)
            lines.append(_commented(f"database_driver: {setup.driver}", because))
        if setup.database_env:
            lines.append(_commented(f"database_env: {setup.database_env}", known.get("database_env", "")))
        return lines

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
                "  # it has uncommitted changes; to search its history, replace root by repository, revision and subdir",
            ]
        lines = [
            _commented(
                f"  repository: {_value(os.path.relpath(top.resolve(), self.target.resolve()))}",
                "the folder is part of it, without uncommitted changes",
            )
        ]
        return [*lines, f"  revision: {head}", f"  subdir: {_value(root.relative_to(top.resolve()).as_posix())}"]

    def _expect(self) -> list[str]:
        best, evidence = self.best, self.work.evidence
        error = (best.expected if best is not None and best.shows_incident else None) or evidence.expected
        unknown = "  error: 'not known yet: which error does the incident show?'"
        if (
            not error and best is not None and not best.shows_incident and not best.healthy
        ):  # of how it is started; left out, it would count as the incident
            return [_commented("expect:", "what the incident looks like is not known"), unknown]
        expect = expect_of(evidence, self.setup, error)
        if not expect:
            return [
                "# expect:                                    # what the incident looks like; without it, any failure counts"
            ]
        lines = [_commented("expect:", f"what the incident looks like; {evidence.at}".rstrip("; "))]
        if "check" in expect and error:
            lines.append(f"  # the request that must fail, as the log's did with {_plain(error)}")
        return lines + [f"  {key}: {_value(value)}" for key, value in expect.items()]


def _committed(top: Path, root: Path) -> str | None:
    """The commit that a folder is at, where all of it is in that commit; else None."""

    def git(*words: str) -> str | None:
        done = run_git(*words, folder=top)
        return done.stdout.strip() if not done.returncode else None

    below = root.relative_to(top).as_posix()
    if git("status", "--porcelain", "--ignored", "--", below) != "" or not git("ls-files", "--", below):
        return None
    return git("rev-parse", "HEAD")


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
