"""What decides between faults of migrations: upgrades with a revision more, from elsewhere, on other rows; and the history."""

import ast
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ..base.errors import KitError
from ..incident.builds import builds_of
from ..incident.model import Incident
from ..incident.repository import Commit, Repository
from ..incident.revisions import Operation, Revision, heads_of, past_of
from ..incident.source import nodes_at, parsed
from ..incident.steps import Preparation, Step
from ..trace.trace import Trace
from ..trace.values import Error, Frame
from .experiments import error_texts, failure, first_line, gone, with_keyword, with_replaced, with_steps
from .values import Case, Experiment

_UPGRADE = re.compile(r"(?P<before>(?:\bFLASK_APP=\S+\s+)?)(?P<command>\b(?:alembic|flask)\b[^;&|\n]*?\bupgrade)\b")
_OF_ROWS = re.compile(r"IntegrityError|DataError|Violation\b")  # what only rows make a database say
_EMPTY = "revision = {!r}\ndown_revision = {!r}\n\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
_MOST_MERGES = 500  # that are looked at, the newest


def _upgrade_to(case: Case, target: str) -> Step:
    """The incident's own command line that upgrades, to another revision; Alembic's where there is none."""
    line, named = _how_upgraded(case)
    line = line or f"alembic {'' if named in (None, 'alembic.ini') else f'-c {named} '}upgrade"
    return Step.model_validate({"command": f"{line} {target}"})


def _how_upgraded(case: Case) -> tuple[str | None, str | None]:
    """The incident's own command line that upgrades, and the configuration that its checks name."""
    steps = (step for step in (*case.incident.startup, *case.incident.prepare) if step.kind in ("command", "serve"))
    match = next(filter(None, (_UPGRADE.search(step.text) for step in steps)), None)
    named = next((check.migrations for check in case.incident.checks if check.migrations), None)
    return match and f"{match['before'] or ''}{match['command']}", named


def merged(case: Case, revisions: Sequence[Revision], heads: Sequence[Revision]) -> Experiment | None:
    """A merge revision, upgraded to from nothing and after each head."""
    file = f"{heads[0].folder}/incident_merge.py"
    text = _EMPTY.format("incident_merge", tuple(head.id for head in heads))
    up = _upgrade_to(case, "head")
    first, *others = [with_steps(case.incident, [_upgrade_to(case, head.id), up], []) for head in heads]

    def judge(*traces: Trace) -> tuple[bool | None, str]:
        wrong = [failure(trace) for trace in traces]
        orders = f"after {' and after '.join(head.id for head in heads)}"
        resolved = "with it 'head' is one revision, and the upgrade"
        if not any(wrong):
            return True, f"{resolved} passes {orders}"
        reason = next(reason for reason in wrong if reason)
        if all(why is None or _in_a_revision(trace, heads[0]) for why, trace in zip(wrong, traces, strict=True)):
            return True, f"{resolved} comes as far as a revision that fails: {reason}"
        return False if all("heads" in (why or "") for why in wrong) else None, reason

    says = "a merge revision that follows all heads, upgraded to in each order"
    return Experiment(says, first, judge, {file: text}, tuple(others))


def _in_a_revision(trace: Trace, beside: Revision) -> bool:
    """Is what failed in a run raised by a revision? Then Alembic had resolved which ones to run."""
    failed = next((step for step in trace.steps if step.ok is False), None)
    frames = failed.exception.frames if failed is not None and failed.exception is not None else ()
    return any(frame.file.startswith(f"{beside.folder}/") for frame in frames)


def with_its_own_id(case: Case, second: Revision, revisions: Sequence[Revision], error: Error) -> Experiment:
    """The second file of one id with an id of its own, after all others."""
    id, file = f"{second.id}_of_its_own", os.path.relpath(second.file, case.incident.app.workdir)
    down = tuple(head.id for head in heads_of([revision for revision in revisions if revision is not second]))
    lines = (f"s/^({name}\\b[^=]*=).*/\\1 {value!r}/" for name, value in (("revision", id), ("down_revision", down)))
    step = Preparation.model_validate({"command": f"sed -i -E {shlex.quote('; '.join(lines))} {shlex.quote(file)}"})
    incident = case.incident.model_copy(update={"prepare": [step, *case.incident.prepare]})
    says = f"{second.file} with an id of its own, {id}, after {' and '.join(down)}"
    return Experiment(says, incident, gone(first_line(error_texts(error)[0])))


def restored(case: Case, id: str, revisions: Sequence[Revision], seen: "Seen | None") -> Experiment | None:
    """The missing revision put back: from the history, else an empty one in its place."""
    if not revisions:
        return None
    if seen is not None and seen.text:
        file, text, sentence = seen.file, seen.text, f"the file that git last saw ({seen.file}) is put back"
    else:
        file, sentence = (
            f"{revisions[0].folder}/incident_restored.py",
            f"an empty revision {id} in the place of the missing one",
        )
        later = {revision.id for revision in revisions if id in past_of(revisions, revision.id)}
        down = [head.id for head in heads_of([revision for revision in revisions if revision.id not in later])]
        text = _EMPTY.format(id, tuple(down) or None)
    judge = gone("Can't locate revision identified by", f"KeyError: '{id}'")
    return Experiment(sentence, case.incident, judge, {file: text})


def from_base_and_after(case: Case, first: Revision, name: str) -> Experiment | None:
    """Base to head in one run, against a run that begins after the first of the two; None where only the application itself can upgrade."""
    if not any(_how_upgraded(case)):
        return None
    head = _upgrade_to(case, "head")
    whole = with_steps(case.incident, [head], [])
    after = with_steps(case.incident, [_upgrade_to(case, first.id), head], [])

    def judge(base: Trace, later: Trace) -> tuple[bool | None, str]:
        words = [f"{how} {'fails: ' + wrong if (wrong := failure(trace)) else 'passes'}"
                 for how, trace in (("from base to head in one run", base), (f"after {first.id}", later))]  # fmt: skip
        wrong = failure(base), failure(later)
        still = any(why is not None and name in why for why in wrong)
        return True if still else None if any(wrong) else False, "; ".join(words)

    says = f"an empty database upgraded to head in one run, and one that was at {first.id} before"
    return Experiment(says, whole, judge, beside=(after,))


def ran_before(case: Case, error: Error) -> list[str]:
    """What ran before the step that failed with an error: preparations and steps."""
    prepared = [f"prepare {number} ({step})" for number, step in enumerate(case.incident.prepare, 1)]
    failed = next((step.number for step in case.trace.steps if step.ok is False), 1)
    return prepared + [f"step {step.number} ({step})" for step in case.trace.steps if step.number < failed]


def without_maker(case: Case, maker: tuple[dict, Frame] | None, error: Error) -> Experiment | None:
    """The startup without what creates the object beside the migrations."""
    incident = case.incident
    fragment = next(text for text in error_texts(error) if text)
    if maker is not None and maker[0].step.startswith("step"):
        event, site = maker
        edits = _without_statement(case.trace.sources.get(site.file, ""), site.line)
        if edits is not None:
            says = f"without the statement at {site} the migrations create it alone"
            return Experiment(says, incident, gone(fragment), {site.file: edits})
    failed = next((step.number for step in case.trace.steps if step.ok is False), None)
    if failed is not None and (incident.prepare or failed > 1):
        says = f"step {failed} alone, on an empty database"
        return Experiment(says, with_steps(incident, [incident.startup[failed - 1]], []), gone(fragment))
    return None


def _without_statement(text: str, line: int) -> str | None:
    """A source with ``None`` in place of the call that is a statement at a line."""
    holding = nodes_at(parsed(text), line, ast.Expr, ast.Assign)
    return with_replaced(text, max(holding, key=lambda statement: statement.lineno).value, "None") if holding else None


def made_once(
    case: Case, revision: Revision, others: Sequence[Operation], kind: str, name: str, error: Error
) -> Experiment | None:
    """The revision with one statement alone that creates an object: is it there before that all the same?"""
    text: str | None = case.sources.get(revision.file)
    for operation in sorted(others, key=lambda operation: operation.line, reverse=True):
        text = _without_creation(text, operation, kind, name) if text is not None else None
    if text is None:
        return None
    lines = " and ".join(f"{revision.file}:{operation.line}" for operation in others)
    says = f"revision {revision.id} without what creates {name} at {lines}"
    return Experiment(says, case.incident, gone(first_line(error_texts(error)[0])), {revision.file: text})


def _without_creation(text: str, operation: Operation, kind: str, name: str) -> str | None:
    """A source without an operation, or where that creates more, without the column or the index in it."""
    if {"create_table": "table", "add_column": "column"}.get(operation.call, kind) == kind:
        return _without_statement(text, operation.line)
    for call in (node for node in ast.walk(parsed(text)) if isinstance(node, ast.Call) and node.args):
        first = getattr(call.args[0], "value", None) if operation.line <= call.lineno <= operation.last else None
        if kind == "column" and first == name:
            return with_replaced(text, call, "*()")
        if kind == "index" and isinstance(first, str) and name.endswith(f"_{first}"):
            return with_keyword(text, call, "index", False)
    return None


def empty_against_a_row(case: Case, revision: Revision, error: Error) -> Experiment | None:
    """The failing revision on the tables that the revision before leaves: empty, and with a made-up row in each."""
    before = [{"upgrade": down} for down in revision.down]
    steps = [_upgrade_to(case, revision.id)]
    empty = with_steps(case.incident, steps, before)
    filled = with_steps(case.incident, steps, [*before, {"rows": 1}])

    def judge(without: Trace, row: Trace) -> tuple[bool | None, str]:
        on_empty, on_row = failure(without), failure(row)
        if on_empty:
            same = first_line(error_texts(error)[0]) in on_empty
            return False if same else None, f"it fails on empty tables as well: {on_empty}"
        if on_row:
            return True, f"on empty tables it passes; with a made-up row in each table {on_row}"
        return True, "on empty tables it passes, and with one made-up row, too: it needs the rows that are there"

    says = f"revision {revision.id} after {' and '.join(revision.down) or 'nothing'}: on empty tables, and with a made-up row in each"
    return Experiment(says, empty, judge, beside=(filled,), needed=not any(map(_OF_ROWS.search, map(str, error.chain))))


@dataclass(frozen=True)
class Seen:
    """A file of the history: the commit that last had it, who took it out if anybody did, and its text."""

    file: str
    commit: str
    subject: str
    removed: bool
    text: str
    now: str = ""  # what it was moved to, where that is there

    @property
    def sentence(self) -> str:
        how = "was taken out by" if self.removed else "is on another branch, last in"
        how = f"was moved to {self.now} by" if self.now else how
        return f"{self.file} {how} commit {self.commit[:9]} ({self.subject})"


def _history_of(incident: Incident) -> tuple[Repository, str, str]:
    """The application's repository, the revision of its build, and the folder in it, as a prefix; an error where there is none."""
    if (repository := builds_of(incident)) is None:
        raise KitError("no repository")
    revision = incident.app.revision if incident.app.repository is not None else "HEAD"
    return repository, revision, "" if repository.subdir == "." else f"{repository.subdir}/"


def last_seen(incident: Incident, revision: str) -> Seen | None:
    """The file that says ``revision = "<id>"``, as the newest commit of any branch that has to do with it left or found it."""
    try:
        repository, _, below = _history_of(incident)
        if not re.fullmatch(r"[\w.-]+", revision):
            return None
        named = rf"^revision[^=]*=[ ]*['\"]{re.escape(revision)}['\"]"
        how = ("--all", "--no-renames", "-1", "--format=%H%x09%s", "--name-status", f"-G{named}")
        logged = repository.git("log", *how, "--", "*.py")
        lines = logged.decode("utf-8", "replace").splitlines()
        if not lines:
            return None
        commit, _, subject = lines[0].partition("\t")
        for line in lines[1:]:
            status, _, file = line.partition("\t")
            at = f"{commit}^" if status == "D" else commit
            text = repository.git("show", f"{at}:{file}").decode("utf-8", "replace") if file else ""
            if re.search(named, text, re.M):
                return Seen(file.removeprefix(below), commit, subject, status == "D", text)
    except KitError:
        pass
    return None


def last_there(incident: Incident, *files: str) -> Seen | None:
    """The first of some files that the build's own history had once: the commit that took it out, and where that put it."""
    try:
        repository, revision, below = _history_of(incident)
        how = ("--no-renames", "--diff-filter=D", "-1", "--format=%H%x09%s", "--name-only", revision)
        lines = repository.git("log", *how, "--", *(below + it for it in files)).decode("utf-8", "replace").split("\n")
        if len(lines) < 3:
            return None
        (commit, _, subject), file = lines[0].partition("\t"), lines[2]
        moved = repository.git("show", "-M", "--diff-filter=R", "--name-status", "--format=", commit).decode(
            "utf-8", "replace"
        )
        renamed = [line.split("\t")[2] for line in moved.splitlines() if line.split("\t")[1:2] == [file]]
        now = [new for new in renamed if None not in repository.objects([f"{revision}:{new}"])]
        text = repository.git("show", f"{commit}^:{file}").decode("utf-8", "replace")
        return Seen(file.removeprefix(below), commit, subject, True, text, "".join(now[:1]).removeprefix(below))
    except KitError:
        return None


def merge_of(incident: Incident, files: Sequence[str]) -> Commit | None:
    """The oldest merge that has all of these files, none of whose parents has them all; None where one line brought them."""
    try:
        repository, revision, below = _history_of(incident)

        def holds(commit: str) -> bool:
            return None not in repository.objects([f"{commit}:{below}{file}" for file in files])

        merges = repository.commits("--merges", "--reverse", f"--max-count={_MOST_MERGES}", revision)
        return next((merge for merge in merges if holds(merge.sha) and not any(map(holds, merge.parents))), None)
    except KitError:
        return None
