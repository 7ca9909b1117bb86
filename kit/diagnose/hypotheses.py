"""What people believed, each put to an experiment that could refute it.

A kind is a question that an experiment answers; a claim of no kind that the kit knows stays undecided.
``look`` in an experiment's words means that the trace was asked; ``run`` that something was started for it.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from ..base.errors import IncidentError
from ..base.progress import Hears, Step, silent
from ..incident.model import Hypothesis, Incident
from ..incident.source import imported_names
from ..trace.graph import ImportGraph, import_graph
from ..trace.trace import Trace
from ..trace.values import Conflict, Import
from ..triage.origin import triage_incident
from .observation import only, ran_of


@dataclass(frozen=True)
class Tested:
    """A claim and what its experiment showed; ``verdict`` is refuted, confirmed or undecided."""

    claim: str
    kind: str | None
    verdict: str
    experiment: str
    evidence: str
    of: str  # people: from the incident file; kit: added because it fits the trace


@dataclass(frozen=True)
class Known:
    """What an experiment may ask."""

    incident: Incident
    trace: Trace
    conflict: Conflict
    steps: Future[Sequence]  # of the smallest reproduction, as soon as they are known
    claim: str
    pool: Executor


Answer = tuple[str, str, str]  # verdict, experiment, evidence


def several_metadata(known: Known) -> Answer:
    experiment = "look at which MetaData objects hold the table"
    table, trace = known.conflict.table, known.trace
    labels = sorted({r.metadata.label for r in trace.registrations if r.table == table and r.application})
    if len(labels) == 1:
        return "refuted", experiment, f"one MetaData, made at {labels[0]}, holds {table} in both registrations"
    return "confirmed", experiment, f"{table} came to {len(labels)} MetaData objects, made at {', '.join(labels)}"


def one_definition(known: Known) -> Answer:
    first, second = known.conflict.first, known.conflict.second
    experiment = "look at the two statements that registered the table"
    if (first.real, first.site.line) == (second.real, second.site.line):
        return "confirmed", experiment, f"both registrations come from one statement, {first.site}"
    two = " and ".join(f"{site} ({site.name})" if site.name else str(site) for site in (first.site, second.site))
    return "refuted", experiment, f"two statements define it: {two}"


def module_imported_twice(known: Known) -> Answer:
    experiment = "look how often the file that defines the table was executed"
    runs = _runs_of(known.trace, known.conflict.second.real, known.conflict.second.process)
    file = known.conflict.second.real
    if len(runs) > 1:
        shown = ", ".join(f"as {run.module} by {run.by or 'the step'}" for run in runs)
        return "confirmed", experiment, f"{file} was executed {len(runs)} times: {shown}"
    second = known.conflict.second
    here = (r for r in known.trace.registrations if (r.within, r.real) == (second.within, second.real))
    earlier = [r.table for r in here if r.at < second.at and r.outcome == "registered"]
    first = f"; its first table, {earlier[0]}, did not collide" if earlier else ""
    by = runs[0].by if runs else "the step"
    return "refuted", experiment, f"{file} was executed once, by {by}{first}"


def circular_import(known: Known) -> Answer:
    experiment = "look in the import graph of this run for a cycle of modules that holds a definition"
    graph = import_graph(known.trace, known.conflict)
    bodies = {known.conflict.first.real, known.conflict.second.real}
    held = [cycle for cycle in graph.cycles if any(graph.module_of(key).file in bodies for key in cycle)]
    if not held:
        count = len(graph.cycles)
        others = f"; {count} other group{'s' if count != 1 else ''} of modules import each other" if count else ""
        return "refuted", experiment, f"no cycle holds {' or '.join(sorted(map(str, bodies)))}{others}"
    holds = f"a cycle holds a definition ({_around(graph, held[0], bodies)})"
    runs = {real: _runs_of(known.trace, real, known.conflict.second.process) for real in bodies}
    failed = [run for real in bodies for run in runs[real] if run.error]
    if any("partially initialized module" in run.error.text for run in failed):
        return "confirmed", experiment, f"{holds}, and its first import failed for it: {failed[0].error}"
    twice = [real for real in bodies if len(runs[real]) > 1]
    if not twice:
        return "refuted", experiment, f"{holds}, but each file was executed once: it cannot have registered twice"
    before = [run for real in bodies for run in runs[real][:-1] if run.error]  # the last one has no successor
    if before:
        # A module that is not there is missing on any way; another error may have come of a module that was only half there.
        missing = all(run.error.type.rpartition(".")[2] == "ModuleNotFoundError" for run in before)
        evidence = f"{holds}; {before[0].module} was executed again because its first import failed: {before[0].error}"
        return "refuted" if missing else "undecided", experiment, evidence
    files = [frame.file for frame in known.conflict.second.chain]
    while files and files[-1] == known.conflict.second.site.file:
        files.pop()
    if known.conflict.second.real == known.conflict.first.real and known.conflict.second.site.file not in files:
        evidence = f"{holds}, but the execution that collided was begun outside of the file's first one, so no way around led to it"
        return "refuted", experiment, evidence
    return "undecided", experiment, f"{holds}, and {', '.join(twice)} was executed more than once"


def _around(graph: ImportGraph, cycle: tuple[int, ...], bodies: set[str | None], most: int = 6) -> str:
    """The shortest way from a definition's module back to it, and of how many modules it is one."""
    members = set(cycle)
    start = next(key for key in cycle if graph.module_of(key).file in bodies)
    paths: dict[int, tuple[int, ...]] = {}
    todo = [(start,)]
    for so_far in todo:  # what is appended is looked at too
        new = sorted(members.intersection(graph.lines.get(so_far[-1], ())) - set(paths))
        paths.update({key: (*so_far, key) for key in new})
        todo += [paths[key] for key in new]
    path = paths.get(start, (start,))
    names = [graph.module_of(key).module for key in path]
    if len(names) > most:
        names = [*names[: most - 1], f"… {len(names) - most} more …", names[-1]]
    rest = len(members) - len(set(path))
    return " → ".join(names) + (f"; {rest} more module{'s' * (rest != 1)} reach each other with it" if rest else "")


def double_import(known: Known) -> Answer:
    """A claim may name two modules, the importing and the imported one; else any second importer counts."""
    experiment = "look for an import of the second definition's module, as it ran and in the sources"
    graph = import_graph(known.trace, known.conflict)
    names = _modules_named(known)
    target = known.conflict.second.frame.module
    if len(names) >= 2:
        importer, target = names[0], names[1]
        ran = [e for e in graph.edges if (_name(graph, e.importer), _name(graph, e.imported)) == (importer, target)]
        if ran:
            return "confirmed", experiment, f"{importer} imports {target}, at {ran[0].file}:{ran[0].line}"
        file = next((import_.file for import_ in known.trace.imports if import_.module == importer), None)
        source = known.trace.sources.get(file or "")
        if source is None:
            return "refuted", experiment, f"{importer} did not import {target} in this startup"
        lines = [line for name, line, _, below in imported_names(source, importer) if target in (name, *below)]
        if lines:
            unrun = f"{importer} names {target} in line {lines[0]}, and that import did not run in this startup"
            return "undecided", experiment, unrun
        return "refuted", experiment, f"{importer} does not import {target}, neither in its source nor as it ran"
    importers = sorted({f"{e.file}:{e.line}" for e in graph.edges if _name(graph, e.imported) == target})
    runs = _runs_of(known.trace, known.conflict.second.real, known.conflict.second.process)
    if len(runs) > 1:
        at = ", ".join(importers) or "the step"
        return "undecided", experiment, f"{target} is imported at {at}, and its file was executed {len(runs)} times"
    if len(importers) > 1:
        again = "an import that is answered from sys.modules registers nothing"
        return "refuted", experiment, f"{target} is imported at {', '.join(importers)}, and executed once: {again}"
    until = "" if known.trace.whole else "up to the failure, "
    return "refuted", experiment, f"{until}only {importers[0] if importers else 'the step'} imports {target}"


def import_order(known: Known) -> Answer:
    experiment = "run the shortest reproduction with its imports in the other order"
    steps = known.steps.result()
    if len(set(map(str, steps))) < 2:
        return "undecided", experiment, "the shortest reproduction has no two steps that could change places"
    tried = only(known.incident, steps[::-1])
    order = " then ".join(step.text for step in reversed(steps))
    for go_on in (False, True):
        trace = known.pool.submit(ran_of, tried, go_on=go_on).result().trace
        again = [conflict for conflict in trace.conflicts if conflict.table == known.conflict.table]
        if again:
            where = f"{order} fails as well, now at {again[0].second.site}"
            return "refuted", experiment, f"{where}: the order only decides which definition comes second"
        if all(step.ok for step in trace.steps):
            return "confirmed", experiment, f"{order} starts"
        other = next((step.error for step in trace.steps if step.error), "another error")
        order += "" if go_on else f" (going on past {other})"
    return "undecided", experiment, f"{order} fails in another way: {other}"


def log_matches_source(known: Known) -> Answer:
    experiment = "look whether every frame of the log is in the newest build"
    if known.incident.log is None:
        return "undecided", experiment, "the incident file names no log"
    try:
        triaged = triage_incident(known.incident)
    except IncidentError as error:
        return "undecided", experiment, str(error)
    after = next((neighbour for neighbour in triaged.excluded if neighbour.side in ("after", "all")), None)
    if after is not None and after.differs:
        what = after.differs[0]
        builds = ", ".join(map(str, triaged.builds))
        origin = f"it can come from {builds}" if builds else "no build has all of its frames"
        where = f"{what.file}:{what.line} of the log is not in {after.nearest}, nor later"
        return "refuted", experiment, f"{where}; {origin}"
    if triaged.builds or triaged.worktree_matches:
        where = f"{triaged.builds[0]}, the newest build" if triaged.builds else "the application's folder"
        return "confirmed", experiment, f"every frame of the log is in {where}"
    return "undecided", experiment, "the log does not tell"


KINDS: dict[str, tuple[str, Callable[[Known], Answer]]] = {
    "several-metadata": ("There are several MetaData objects (several Base instances)", several_metadata),
    "one-definition": ("The table is defined in one place only", one_definition),
    "module-imported-twice": ("The module that defines the table was executed twice", module_imported_twice),
    "circular-import": ("A circular import registers the table twice", circular_import),
    "double-import": ("Another module imports the defining module too", double_import),
    "import-order": ("The order of the imports causes it", import_order),
    "log-matches-source": ("The log comes from the newest build", log_matches_source),
}
_WORDS = (
    ("circular-import", r"circular|cycle"),
    ("several-metadata", r"(several|multiple|two|second|more than one)\b.*\b(base|metadata)|base\b.*\btwice"),
    ("one-definition", r"\b(only )?one definition|defined (only )?once"),
    ("import-order", r"\border\b|before the migrations|imported before"),
    ("module-imported-twice", r"(imported|executed|registered|loaded|run) twice"),
    ("log-matches-source", r"\blog\b.*\b(source|build|version)"),
    ("double-import", r"double import|\balso imports\b|\bimports\b.*\btoo\b"),
)


def test_all(
    incident: Incident,
    trace: Trace,
    conflict: Conflict | None,
    steps: Future[Sequence],
    *,
    mechanism: str = "undecided",
    executor: Executor,
    progress: Hears = silent,
) -> tuple[Tested, ...]:
    """People's claims in their order, then the kinds that nobody claimed.

    :param mechanism: what was decided
    :param executor: where an experiment that starts something does so
    """
    claims = [(h, "people") for h in incident.hypotheses]
    if conflict is not None and conflict.first is not None:
        claimed = {kind_of(h) for h in incident.hypotheses}
        left = [kind for kind in KINDS if kind not in claimed and (kind != "log-matches-source" or incident.log)]
        claims += [(Hypothesis(claim=KINDS[kind][0], kind=kind), "kit") for kind in left]
    else:
        conflict = None
    tested = []
    for number, (hypothesis, of) in enumerate(claims, 1):
        says = f"hypothesis {number} of {len(claims)}: {hypothesis.claim}"
        progress(Step(says, "hypotheses", number - 1, len(claims)))
        known = conflict and Known(incident, trace, conflict, steps, hypothesis.claim, executor)
        answer = _without_table(kind_of(hypothesis), trace, mechanism) if known is None else None
        answer = answer or _test(hypothesis, known)
        tested.append(Tested(hypothesis.claim, hypothesis.kind or kind_of(hypothesis), *answer, of))
    return tuple(tested)


def kind_of(hypothesis: Hypothesis) -> str | None:
    """The kind that is given, or the one that the claim's words mean; None if there is none."""
    if hypothesis.kind is not None:
        return hypothesis.kind if hypothesis.kind in KINDS else None
    return next((kind for kind, words in _WORDS if re.search(words, hypothesis.claim, re.I)), None)


def _test(hypothesis: Hypothesis, known: Known | None) -> Answer:
    """:param known: None where no table was registered a second time"""
    kind = kind_of(hypothesis)
    if kind is None:
        word = "kind" if hypothesis.kind else "claim"
        return "undecided", "none", f"no experiment for this {word}; kinds with one: {', '.join(KINDS)}"
    if known is None:
        return "undecided", "none", "no table was registered a second time in this startup"
    return KINDS[kind][1](known)


def _without_table(kind: str | None, trace: Trace, mechanism: str) -> Answer | None:
    """What the executions say of a startup in which no table was registered a second time; None of a claim about tables."""
    if kind == "module-imported-twice":
        experiment = "look how often each file of the application was executed"
        runs: dict[tuple[int, str], list[Import]] = {}
        for import_ in trace.imports:
            if import_.application and import_.real:
                runs.setdefault((import_.process, import_.real), []).append(import_)
        twice = {file: bodies for (_, file), bodies in runs.items() if len(bodies) > 1}
        if not twice:
            return "refuted", experiment, "no process executed a file of the application twice"
        passed = [frame.file for step in trace.steps if step.exception for frame in reversed(step.exception.frames)]
        file = next((file for file in passed if file in twice), next(iter(twice)))
        shown = ", ".join(f"as {run.module} by {run.by or 'the step'}" for run in twice[file])
        return "confirmed", experiment, f"{file} was executed {len(twice[file])} times: {shown}"
    if kind == "circular-import":
        experiment = "look for modules that import each other, and whether the failure comes of it"
        graph = import_graph(trace)
        if mechanism == kind:
            return "confirmed", experiment, "the failure comes of it: see the mechanism and its experiment"
        if not graph.cycles:
            return "refuted", experiment, "no modules of the application import each other in this startup"
        names = ", ".join(graph.module_of(key).module for key in graph.cycles[0][:4])
        unseen = f"modules import each other ({names}), and that the failure comes of it was not seen"
        return "undecided", experiment, unseen
    return None


def _runs_of(trace: Trace, real: str | None, process: int) -> list[Import]:
    return [import_ for import_ in trace.imports if import_.real == real and import_.process == process]


def _modules_named(known: Known) -> list[str]:
    """Modules of the trace that the claim names, in the order of the claim; the full name or its last part."""
    names = {import_.module for import_ in known.trace.imports if import_.application}
    named: list[str] = []
    for word in re.findall(r"[A-Za-z_][\w.]*", known.claim):
        match = [n for n in names if n == word] or ([n for n in names if "_" in word and n.split(".")[-1] == word])
        if len(match) == 1 and match[0] not in named:
            named.append(match[0])
    return named


def _name(graph, key: int) -> str | None:
    module = graph.module_of(key)
    return module.module if module else None
