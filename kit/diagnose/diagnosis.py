"""Why it happened: the mechanism with its evidence, the definitions, what stands behind, each hypothesis."""

import ast
import re
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..base.errors import IncidentError
from ..base.interrupt import interruptible, pool_of
from ..base.progress import Hears, Step, silent
from ..incident import steps
from ..incident.model import Incident
from ..incident.revisions import Operation, Revision
from ..incident.source import Named, Statement, assigned_name, nodes_at, parsed
from ..incident.variables import Reading
from ..startup import kept_runs, run
from ..startup.checks import Asker
from ..startup.migrations import Migrations
from ..trace.chains import catcher
from ..trace.end_state import CheckResult
from ..trace.expected import refusal_in, shows_incident
from ..trace.printed_errors import names_missing
from ..trace.saved import load, save
from ..trace.trace import TYPES, Trace
from ..trace.values import Behind, Conflict, Error, Registration, Site
from .decision import Decision, decide_mechanism, decided
from .definitions import Column, Definitions, compare
from .hypotheses import Tested, test_all
from .observation import RACES, TIMES, first_answer, look_until_shown, may_race, ran_of, signed, startup_of
from .smallest import Budget, Smallest, begin_tries, reduce_startup
from .two_registrations import Finding
from .unseen_tables import Unseen, unseen_models
from .values import Experiment, Fault, Looked, Outcome, Place, places_of

# A later step ends with them where the database lacks what the step that failed was to bring.
_OF_DATABASE = {"OperationalError", "ProgrammingError", "UndefinedTable"}


@dataclass(frozen=True)
class Diagnosis:
    """The mechanism of an incident, by what was run.

    :ivar table, first, second: what the mechanism is about; ``second`` is None where there is one definition
    :ivar pair: the two registrations, also where the second was not rejected but changed or shadowed the first
    :ivar sites: every line that it is about, with its part
    :ivar experiment: the run that decided it, with its outcome; None where what was run shows it already
    :ivar masked: what stands behind the first failure, from a second run that went on past it
    """

    reproduced: bool
    finding: Finding
    table: str | None
    first: Site | None
    second: Site | None
    conflict: Conflict | None
    looked: Looked
    beyond: Trace | None
    masked: tuple[Behind, ...]
    pair: tuple[Registration, Registration] | None
    definitions: Definitions | None
    smallest: Smallest | None
    hypotheses: tuple[Tested, ...]
    unseen: tuple[Unseen, ...]
    sites: tuple[Place, ...] = ()
    experiment: Outcome | None = None
    fault: Fault | None = None
    outcomes: tuple[Outcome, ...] = ()  # of every experiment that was run, those that refuted among them

    @property
    def trace(self) -> Trace:
        return self.looked.trace

    @property
    def meeting(self) -> Conflict | None:
        """The two definitions that the mechanism is about; also where the second raised nothing."""
        if self.conflict is not None or self.pair is None:
            return self.conflict
        first, second = self.pair
        met = {"extended": "the second definition changed the first", "kept": "the second definition was left out"}
        error = f"nothing was raised; {met.get(second.outcome, 'both definitions were kept')}"
        return Conflict(second.table, second.metadata, error, first, second)


@interruptible
def diagnose(
    incident: Incident, *, executor: Executor | None = None, progress: Hears = silent, full: bool = False
) -> Diagnosis:
    """Start the application once as it is and once going on past failures, and say why what went wrong did.

    :param executor: where the startups run; by default threads, one a core
    :param progress: hears what is done, and the first answer, both sites and the mechanism, as soon as the first startup ended
    :param full: search for the smallest reproduction to its end, however long that takes
    """
    with ThreadPoolExecutor(1) as thread, pool_of(executor) as pool:  # the thread only waits, and is left last
        progress(Step("starting the application, and a second time going on past failures", "diagnosis", 0, 3))
        heard = (progress,) if pool.threads else ()
        begun: dict[tuple, Future[int]] = {}  # the first tries of a smallest reproduction
        begin = {"ended": lambda trace: begun.update(begin_tries(incident, trace, pool))} if heard else {}
        seen = pool.submit(look_until_shown, incident, *heard, **begin)
        going_on = pool.submit(ran_of, incident, go_on=True)
        looked = seen.result()
        if not heard:
            progress(first_answer(looked.trace))
        decision = decide_mechanism(incident, looked, progress)
        beyond = going_on.result().trace
        progress(Step(f"{decision.finding.mechanism}; looking for the smallest reproduction", "diagnosis", 2, 3))
        smallest, mechanism, steps = None, decision.finding.mechanism, Future()
        about = incident, looked.trace, decision.about, steps
        testing = thread.submit(test_all, *about, mechanism=mechanism, executor=pool, progress=progress)
        try:
            if decision.same_table and mechanism in RACES:
                note = "a race shows in some runs only, so a run of a shorter list that does not fail decides nothing"
                smallest = Smallest(tuple(incident.startup), "", 0, note)
            elif decision.same_table:
                budget = Budget(runs=1000) if full else None
                how = {"read": looked.variables, "budget": budget, "begun": begun, "known": steps.set_result}
                both = {"executor": pool, "progress": progress}
                smallest = reduce_startup(incident, looked.trace, *decision.pair, **how, **both)
        finally:
            if not steps.done():
                steps.set_result(smallest.steps if smallest else ())
        hypotheses = testing.result()
    return _diagnosis(incident, looked, beyond, decision, smallest, hypotheses)


def judge_again(incident: Incident, kept: Diagnosis | Trace) -> Diagnosis:
    """The diagnosis of runs that were kept: nothing is run.

    Mechanism, sites and evidence are judged anew. What asks for further runs, an experiment, the hypotheses and the smallest
    reproduction, is as it was when it ran; what did not run is undecided.

    :param kept: a diagnosis, or a startup's trace alone: then what Alembic knows is not known
    """
    if isinstance(kept, Trace):
        looked = Looked(trace=kept)
        beyond, smallest, hypotheses, outcomes = None, None, (), ()
    else:
        looked, beyond, smallest, hypotheses = kept.looked, kept.beyond, kept.smallest, kept.hypotheses
        outcomes = kept.outcomes
    known = {outcome.says: outcome for outcome in outcomes}

    def remembered(experiment: Experiment) -> Outcome:
        return known.get(experiment.says) or Outcome(experiment.says, "undecided", "it was not run")

    decision = decided(incident, looked, remembered)
    return _diagnosis(incident, looked, beyond, decision, smallest, hypotheses)


def _diagnosis(
    incident: Incident,
    looked: Looked,
    beyond: Trace | None,
    decision: Decision,
    smallest: Smallest | None,
    hypotheses: tuple[Tested, ...],
) -> Diagnosis:
    finding, conflict, fault, outcomes = decision
    table, first, second = incident.expect.table, None, None
    if conflict is not None:
        table, first, second = conflict.table, conflict.first.site if conflict.first else None, conflict.second.site
    elif fault is not None:
        table, first, second = fault.table, fault.first, fault.second
    looked = signed(incident, looked, fault)
    behind = stands_behind(looked.trace, beyond) if beyond is not None and finding.mechanism != "none" else ()
    if finding.mechanism in RACES:  # another run of a race fails at the same line with other words
        same = {str(error.site) for error in looked.trace.errors}
        behind = tuple(error for error in behind if str(error.site) not in same)
    return Diagnosis(
        reproduced=shows_incident(incident, looked.trace),
        finding=finding,
        table=table,
        first=first,
        second=second,
        conflict=conflict,
        looked=looked,
        beyond=beyond,
        masked=behind,
        pair=decision.pair,
        definitions=compare(*decision.pair, looked.created, looked.stopped) if decision.same_table else None,
        smallest=smallest,
        hypotheses=hypotheses,
        unseen=unseen_models(incident, looked),
        sites=fault.places if fault is not None else finding.sites or places_of(first, second),
        experiment=decision.experiment,
        fault=fault and replace(fault, experiment=None),
        outcomes=outcomes,
    )


def stands_behind(trace: Trace, beyond: Trace) -> tuple[Behind, ...]:
    """Further collisions and errors that only the run past the first failure shows, each once, by site."""
    known = {(str(conflict.second.site), conflict.table) for conflict in trace.conflicts}
    known_errors = {mark for error in trace.errors for mark in _marks(error)}
    behind = []
    for conflict in beyond.conflicts:
        if (str(conflict.second.site), conflict.table) not in known:
            text = f"Table '{conflict.table}' is already defined for this MetaData instance."
            error, second = Error("sqlalchemy.exc.InvalidRequestError", text), conflict.second
            behind.append(Behind(error, second.frame._replace(line=second.site.line), second.chain, False))
    unbound = {name for skipped in beyond.behind for name in _not_made(skipped, beyond.sources)}
    first = next((step.number for step in trace.steps if step.ok is False), len(trace.steps))
    candidates = [skipped for skipped in beyond.behind if not _done_without(skipped, beyond.sources)]
    for error, step in ((step.exception, step) for step in beyond.steps if step.exception is not None):
        # A module or function that a step names and that is not there fails in the kit's own driver, and hides behind nothing.
        if step.kind not in ("import", "call") or not any(at.file.startswith("<step") for at in error.frames[-1:]):
            follows = step.number > first and error.type.rpartition(".")[2] in _OF_DATABASE
            candidates.append(Behind(error, error.site, error.frames, follows))
    new = (candidate for candidate in candidates if known_errors.isdisjoint(_marks(candidate.error)))
    new = (replace(it, follows=it.follows or bool(names_missing(it.error) & (unbound - {*it.unbound}))) for it in new)
    behind += [candidate for candidate in new if refusal_in(beyond, str(candidate.error)) is None]
    unique: dict[tuple, Behind] = {}
    for later in behind:
        unique.setdefault((str(later.site), str(later.error)), later)
    return tuple(unique.values())


def _done_without(skipped: Behind, sources: dict[str, str]) -> bool:
    """Does an import ask for a module that no file of the application is, and an importer go on without it?"""
    of_module = re.compile(rf"(?:.*/)?{re.escape((skipped.error.name or '').replace('.', '/'))}(?:/__init__)?\.py")
    absent = skipped.error.type == "ModuleNotFoundError" and not any(map(of_module.fullmatch, sources))
    handler = catcher(skipped.chain, sources, skipped.error) if absent else None
    if handler in (None, catcher(skipped.chain, sources, None)):
        return False
    kept = nodes_at(parsed(sources[handler.file]), handler.line, ast.ExceptHandler)[-1:]
    return not any(re.match(r"(?:sys\.|os\._)?(?:exit|quit)\(", ast.unparse(it.body[-1])) for it in kept)


def _not_made(skipped: Behind, sources: dict[str, str]) -> set[str]:
    """What a statement that failed would have bound, and a class's table as it says itself, or as frameworks take it from its name."""
    names, site = {*skipped.unbound}, skipped.site
    for class_ in nodes_at(parsed(sources.get(site.file, "")), site.line, ast.ClassDef)[-1:] if site else ():
        names |= {getattr(it.value, "value", None) for it in class_.body if assigned_name(it) == "__tablename__"}
        names |= {class_.name.lower(), re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_.name).lower()}
    return names


def _marks(error: Error) -> tuple[str, tuple]:
    """What an error is known by in another run: its text, or without the numbers that stand alone, as of a port, its place too."""
    return str(error), (re.sub(r"\b\d+\b", "", str(error)), error.site)


@interruptible
def reproduce(incident: Incident, *, progress: Hears = silent) -> Trace:
    """Start the application as it is and give what was seen, with every sign that ``expect`` asks for.

    :func:`kit.trace.expected.shows_incident` says of it whether the incident is there.

    :raises RunBroke: before anything could run
    """
    if incident.expect.error is not None:
        # What the start alone does not show, a request or a command of the checks may.
        asker = Asker(incident.model_copy(update={"checks": [it for it in incident.checks if it.http or it.command]}))
        asks = {"while_up": asker, "unless": partial(shows_incident, incident)} if asker.asked_while_up else {}
        shared = incident._kept_as is not None and kept_runs.keeps()
        for _ in range(TIMES):
            how = {**asks, "progress": progress}
            trace = startup_of(incident, **how) if shared else run.reproduce(incident, judge=True, **how)
            if shows_incident(incident, trace) or not may_race(trace):
                break
            progress("not reproduced, and several processes ran side by side: once more")
        return trace
    looked = look_until_shown(incident, progress)
    if shows_incident(incident, looked.trace) or incident.expect.check is not None:
        return looked.trace
    return signed(incident, looked, decide_mechanism(incident, looked, progress).fault).trace


KEPT_TYPES = (
    *(*TYPES, CheckResult, Column, Conflict, Definitions, Diagnosis, Fault, Finding, Looked, Migrations, Named),
    *(Operation, Outcome, Place, Reading, Revision, Smallest, Statement, steps.Step, Tested, Unseen),
)


def save_diagnosis(diagnosis: Diagnosis, file: str | Path) -> None:
    """Write a diagnosis with its runs, secrets masked; :meth:`kit.trace.Trace.load` reads the startup's trace out of it.

    :raises IncidentError: the file cannot be written
    """
    save(diagnosis, file)


def load_diagnosis(file: str | Path) -> Diagnosis | Trace:
    """What ``diagnose --trace`` wrote, or the trace alone that another command wrote.

    :raises IncidentError: it cannot be read, is not whole, is of a newer form, or holds neither
    """
    kept = load(file, KEPT_TYPES)
    if not isinstance(kept, (Diagnosis, Trace)):
        raise IncidentError(f"{file}: there is no trace in it")
    return kept
