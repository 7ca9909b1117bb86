"""Experiments: the incident with one thing set otherwise, run, and what the run says of it."""

import ast
import difflib
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..base.errors import KitError
from ..incident.model import Incident
from ..incident.source import nodes_at, parsed
from ..incident.steps import Preparation, Step
from ..startup.run import reproduce
from ..trace.chains import application_frames
from ..trace.expected import refused_step
from ..trace.trace import Trace
from ..trace.values import Error, Frame, Registration
from .observation import ran_of
from .values import Case, Experiment, Outcome

Judge = Callable[[Trace], tuple[bool | None, str]]
_OF_FILES = {"cp", "echo", "ln", "mkdir", "mv", "printf", "sed", "touch"}  # they bring no database into a state
_WORDS = {True: "confirmed", False: "refuted", None: "undecided"}


def decide(experiment: Experiment, sources: dict[str, str]) -> Outcome:
    """Run an experiment, each run in a copy of its own.

    :param sources: the text of the files that the experiment edits
    """
    with tempfile.TemporaryDirectory(prefix="kit-experiment-") as folder:
        patches = []
        if experiment.edits:
            patches.append(Path(folder) / "experiment.patch")
            patches[0].write_text(patch_of(experiment.edits, sources), encoding="utf-8")
        try:
            how, hold = {"patches": patches, "judge": True}, experiment.hold
            ran = ran_of(experiment.incident, **how, compare=experiment.compares)
            beside = (reproduce(it, hold=hold, **how) if hold else ran_of(it, **how).trace for it in experiment.beside)
            seen = [ran.trace, *beside]
        except KitError as error:
            return Outcome(experiment.says, "undecided", f"it could not be run: {error}")
    broke = next((trace.broke for trace in seen if trace.cut), None)
    if broke is not None:
        return Outcome(experiment.says, "undecided", f"the run broke: {broke}")
    refused = next(filter(None, map(refused_step, seen)), None)
    ended = (i.file for i in seen[0].imports if i.application and i.ended is not None and i.error is None)
    if refused is not None and experiment.past not in ended:
        return Outcome(experiment.says, "undecided", f"the kit itself refused what the run asked for: {refused}")
    holds, observed = experiment.judge(ran.migrations) if experiment.compares else experiment.judge(*seen)
    return Outcome(experiment.says, _WORDS[holds], observed)


def patch_of(edits: Mapping[str, str], sources: Mapping[str, str]) -> str:
    """The edits as a patch for ``git apply``."""
    text = []
    for file, new in edits.items():
        # Lines as git sees them: a form feed ends none.
        before, after = (re.findall(r"[^\n]*\n|[^\n]+", source) for source in (sources.get(file, ""), new))
        text += difflib.unified_diff(before, after, f"a/{file}" if file in sources else "/dev/null", f"b/{file}")
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in text)


def with_environment(incident: Incident, values: dict[str, str]) -> Incident:
    """With variables set beside those of ``app.env``, or in place of theirs."""
    app = incident.app.model_copy(update={"env": {**incident.app.env, **values}})
    return incident.model_copy(update={"app": app})


def with_steps(incident: Incident, startup: Sequence[Step], prepare: Sequence[dict] | None = None) -> Incident:
    """With another startup and, where they are given, other preparations, after those of files, which run nothing of the application."""
    kept = [it for it in incident.prepare if "{database_url}" in it.text or _OF_FILES & set(it.text.split()[:1])]
    others = {} if prepare is None else {"prepare": [*kept, *(Preparation.model_validate(step) for step in prepare)]}
    return incident.model_copy(update={"startup": list(startup), **others})


def with_scheme(incident: Incident, old: str, new: str) -> Incident | None:
    """With the scheme of a database's URL replaced, all else of it equal; None where no variable of the file has it."""
    env = incident.app.env.items()
    values = {name: new + value.removeprefix(old) for name, value in env if value.startswith(f"{old}://")}
    changed = with_environment(incident, values) if values else None
    backend, _, driver = new.partition("+")
    if old == scratch_scheme(incident) and backend == incident.database:
        changed = (changed or incident).model_copy(update={"database_driver": driver or None})
    return changed


def scratch_scheme(incident: Incident) -> str:
    """The scheme of the scratch database's URL."""
    return incident.database + (f"+{incident.database_driver}" if incident.database_driver else "")


def literal_edits(sources: dict[str, str], old: str, new: str) -> dict[str, str]:
    """Sources and settings that write a URL of this scheme down, with the other one in its place."""
    url = scheme_in(old)
    return {file: url.sub(new, text) for file, text in sources.items() if url.search(text)}


def scheme_in(scheme: str) -> re.Pattern:
    """What finds the scheme of a URL where a source or a file of settings writes it down."""
    return re.compile(rf"(?<=['\"=\s]){re.escape(scheme)}(?=://)")


_ONCE = """import sys as _sys
_ran = vars(_sys).setdefault("_incident_ran", {{}})
if {0!r} in _ran:
    globals().update({{name: it for name, it in _ran[{0!r}].items() if not name.startswith("__")}})
else:
    _ran[{0!r}] = globals()
    exec(compile({1!r}, globals().get("__file__", {0!r}), "exec"))
"""


def executed_once(case: Case, file: str, judge: Judge) -> Experiment | None:
    """The startup in which a file is executed once in a process: under its other name, or once more, it has what it has already."""
    edits = {file: _ONCE.format(file, case.sources[file])} if file in case.sources else {}
    says = f"{file} executed once in a process, whatever its name"
    return Experiment(says, case.incident, judge, edits) if edits else None


_CALLED = "(lambda ran: ran[{0!r}] if {0!r} in ran else ran.setdefault({0!r}, {1}))(vars(__import__('sys')).setdefault('_incident_ran', {{}}))"


def called_once(case: Case, site: Frame, judge: Judge) -> Experiment | None:
    """The startup in which the statement at a line makes its call once in a process, and has what that gave from then on."""
    statements = [it for it in nodes_at(case.tree(site.file), site.line, ast.stmt)[-1:] if not hasattr(it, "body")]
    calls = [call for statement in statements for call in nodes_at(statement, site.line, ast.Call)]
    if not calls:
        return None
    once = _CALLED.format(str(site), ast.unparse(calls[0]))
    edits = {site.file: with_replaced(case.sources[site.file], calls[0], once)}
    return Experiment(f"the call at {site} made once in a process", case.incident, judge, edits)


def object_of(definition: Registration) -> str | None:
    """What a module calls a class or table, as an expression that imports it; None where it has no name there."""
    module, variable = definition.frame.module, definition.class_ or definition.site.name
    there = module and re.fullmatch(r"\w+(\.\w+)*", module) and not module.startswith("__")
    return f"__import__({module!r}, fromlist=['x']).{variable}" if there and (variable or "").isidentifier() else None


def with_replaced(text: str, node: ast.expr, new: str) -> str:
    """A source with an expression of it replaced."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    return (before + new.encode() + after).decode()


def with_keyword(text: str, call: ast.Call, name: str, value: str | bool) -> str:
    """A source in which a call has this keyword."""
    others = [keyword for keyword in call.keywords if keyword.arg != name]
    keyword = ast.keyword(name, ast.Constant(value))
    return with_replaced(text, call, ast.unparse(ast.Call(call.func, call.args, [*others, keyword])))


def with_line_before(text: str, line: int, new: str) -> str | None:
    """A source with a statement before the one that a line is part of; None where no Python of ours reads it."""
    statements = (node for node in ast.walk(parsed(text)) if isinstance(node, ast.stmt))
    around = [statement for statement in statements if _begins(statement) <= line <= statement.end_lineno]
    if not around:
        return None
    statement = max(around, key=lambda node: (_begins(node), node.col_offset))
    lines = text.splitlines(keepends=True)
    indent = lines[statement.lineno - 1][: statement.col_offset]
    if indent.strip():
        return None  # behind a colon or a semicolon
    lines.insert(_begins(statement) - 1, f"{indent}{new}\n")
    return "".join(lines)


def with_class_renamed(text: str, line: int, new: str) -> str | None:
    """A source in which the class whose statement is at a line has another name, and its module calls it as before."""
    classes = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.ClassDef)]
    class_ = next((node for node in classes if _begins(node) <= line <= node.lineno), None)
    if class_ is None:
        return None
    lines = text.splitlines(keepends=True)
    indent = lines[class_.lineno - 1][: class_.col_offset]
    lines[class_.lineno - 1] = re.sub(rf"\b{class_.name}\b", new, lines[class_.lineno - 1], count=1)
    lines[class_.end_lineno - 1] = f"{lines[class_.end_lineno - 1].rstrip()}\n{indent}{class_.name} = {new}\n"
    return "".join(lines)


def with_swapped(text: str, line: int, other: int) -> str | None:
    """A source with two statements of one block in each other's place; None where the lines are not in two such."""
    blocks = [getattr(node, part, None) for node in ast.walk(parsed(text)) for part in ("body", "orelse", "finalbody")]
    for block in (block for block in blocks if isinstance(block, list)):
        spans = [(_begins(statement), statement.end_lineno) for statement in block]
        met = [next((span for span in spans if span[0] <= at <= span[1]), None) for at in sorted((line, other))]
        if None not in met and met[0] != met[1]:
            lines = text.splitlines(keepends=True)
            (a, b), (c, d) = met
            return "".join([*lines[: a - 1], *lines[c - 1 : d], *lines[b : c - 1], *lines[a - 1 : b], *lines[d:]])
    return None


def _begins(statement: ast.stmt) -> int:
    return min([statement.lineno, *(decorator.lineno for decorator in getattr(statement, "decorator_list", ()))])


def texts_of(trace: Trace) -> list[str]:
    """Every text that tells of an error: exceptions with what they came from, how steps failed, what was printed."""
    errors = [*trace.errors, *(judged.error for judged in trace.judged if judged.error is not None)]
    texts = [text for error in errors for text in (str(error), *(text for _, _, text in error.links))]
    return [*texts, *(step.error or "" for step in trace.steps), *(step.output for step in trace.steps)]


def gone(*fragments: str, name: str = "", elsewhere: bool = False) -> Judge:
    """Judges a run in which an error is expected to be gone: it is so where none of these texts shows any more, of that name.

    :param elsewhere: in another environment, which tells nothing where it lacks a module
    """

    def judge(trace: Trace) -> tuple[bool | None, str]:
        texts = [text for text in texts_of(trace) if name in text]
        shown = next((fragment for fragment in fragments if any(fragment in text for text in texts)), None)
        if shown is not None:
            return False, f"the same error shows: {shown}"
        failed = failure(trace)
        if elsewhere and any("ModuleNotFoundError: " in text for text in texts):
            return None, failed or "it lacks a module"
        return True, f"that error is gone; then {failed}" if failed else "that error is gone, and every step succeeds"

    return judge


def gone_with(begins: str, *fragments: str) -> Judge:
    """As :func:`gone`, of a run that prints lines which begin so where it set something otherwise; without them it decides nothing."""

    def judge(trace: Trace) -> tuple[bool | None, str]:
        lines = dict.fromkeys(line for text in texts_of(trace) for line in text.splitlines() if line.startswith(begins))
        holds, seen = gone(*fragments)(trace)
        return (holds, f"with {' and '.join(lines)}: {seen}") if lines else (None, f"nothing was set otherwise: {seen}")

    return judge


def run_before(case: Case, definition: Registration, code: str) -> dict[str, str]:
    """Sources in which code runs before the statement that makes a definition; none where that is not at hand."""
    places = (definition.site, *application_frames(definition.chain)[::-1])
    place = next((place for place in places if place.file in case.sources), None)
    edited = with_line_before(case.sources[place.file], place.line, f"exec({code!r}, {{}})") if place else None
    return {place.file: edited} if edited else {}


def failure(trace: Trace) -> str | None:
    """The first thing that went wrong in a run, in words; None where nothing did."""
    failed = next((step for step in trace.steps if step.ok is False), None)
    if failed is not None:
        return f"step {failed.number} ({failed}) fails: {first_line(failed.error or '')}"
    swallowed = next(iter(trace.swallowed), None)
    return f"{first_line(str(swallowed.error))} at {swallowed.site}" if swallowed is not None else None


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def said_by(error: Error, pattern: re.Pattern) -> re.Match | None:
    """Where an error, or one that it came from, says something."""
    return next((match for text in error_texts(error) if (match := pattern.search(text))), None)


def error_texts(error: Error) -> list[str]:
    """The texts of an error and of what it came from, without the statement and parameters that SQLAlchemy adds."""
    return [text.partition("\n[SQL:")[0] for text in (error.text, *(text for _, _, text in error.links))]
