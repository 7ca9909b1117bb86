"""Why it happened: the mechanism with its evidence, the definitions, what stands behind, each hypothesis."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from ..base.interrupt import interruptible, pool_of
from ..base.progress import Step
from ..incident.model import Incident
from ..incident.requirements import requirements_of
from ..incident.revisions import Revision, revisions_of
from ..incident.source import Named, Statement, import_statements, module_name, named_tables, variables_named
from ..incident.variables import Reading, deployments_of, readings_of
from ..startup.checks import Asker, answer_checks, answer_expected
from ..startup.migrations import Migrations, build, find_config, look
from ..startup.run import reproduce, run_startup
from ..startup.workspace import Workspace, workspace
from ..trace.expected import incident_tables, shows_incident
from ..trace.judged import CheckResult, judge_mappers
from ..trace.values import Behind, Conflict, Error, Registration, Sign, Site, Trace
from .case import Case, Experiment, Fault, Outcome, Place
from .definitions import Definitions, compare
from .experiments import decide
from .families import faults_of
from .hypotheses import Tested, test_all
from .mechanisms import Finding, Pair, judge
from .signs import may_race, with_signs
from .smallest import Budget, Smallest, reduce_startup

TIMES = 5  # how often a startup of several processes is tried before its incident counts as not reproduced


@dataclass(frozen=True)
class Looked:
    """One startup, with what Alembic says of it and what its revisions create."""

    trace: Trace
    migrations: Migrations | None
    created: dict[str, list[dict[str, Any]]]  # table to columns, by the revisions alone
    stopped: str | None  # what ended the revisions early
    named: tuple[Named, ...]  # tables that the sources name
    unread: tuple[str, ...]  # sources that could not be read
    statements: tuple[Statement, ...]  # the import statements of the sources
    variables: tuple[str, ...] = ()  # of those that the incident file sets, the ones that the application's files name
    revisions: tuple[Revision, ...] = ()
    readings: tuple[Reading, ...] = ()  # of variables, by the sources
    deployments: dict[str, dict[str, int]] = field(default_factory=dict)  # file to variables, with their lines
    requirements: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)  # library to (file, line, range)
    scripts: dict[str, str] = field(default_factory=dict)  # text of the files that the steps run
    checks: tuple[CheckResult, ...] = ()  # as far as they were asked
    expected: CheckResult | None = None  # of the check that the incident is
    uncompiled: str | None = None  # what a patch wrote that is no Python


@dataclass(frozen=True)
class Unseen:
    """A table that the sources name and that a startup or ``env.py`` did not see.

    :ivar by: startup, env.py, or both
    :ivar remedy: the import that would bring it in
    :ivar consequence: what autogenerate would do because of it, or None
    """

    named: Named
    by: str
    remedy: str
    consequence: str | None


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
        met = {"extended": "changed the first", "kept": "was left out"}.get(second.outcome, "was taken as well")
        return Conflict(
            second.table, second.metadata, f"nothing was raised; the second definition {met}", first, second
        )


@interruptible
def diagnose(
    incident: Incident,
    *,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda text: None,
    full: bool = False,
) -> Diagnosis:
    """Start the application once as it is and once going on past failures, and say why what went wrong did.

    :param executor: where the startups run; by default threads, one a core
    :param progress: hears what is done, and the first answer, both sites and the mechanism, as soon as the first startup ended
    :param full: search for the smallest reproduction to its end, however long that takes
    """
    with pool_of(executor) as pool:
        progress(Step("starting the application, and a second time going on past failures", "diagnosis", 0, 3))
        heard = (progress,) if executor is None else ()  # nobody can be called from another process
        seen = pool.submit(look_until_shown, incident, *heard)
        going_on = pool.submit(reproduce, incident, go_on=True)
        looked = seen.result()
        decision = decide_mechanism(incident, looked, progress)
        beyond = going_on.result()
        progress(Step(f"{decision.finding.mechanism}; looking for the smallest reproduction", "diagnosis", 2, 3))
        smallest = None
        if decision.same_table:
            budget = Budget(runs=1000) if full else None
            smallest = reduce_startup(
                incident,
                looked.trace,
                *decision.pair,
                read=looked.variables,
                budget=budget,
                executor=pool,
                progress=progress,
            )
        asked = decision.about
        hypotheses = test_all(incident, looked.trace, asked, smallest, executor=pool, progress=progress)
    return _diagnosis(incident, looked, beyond, decision, smallest, hypotheses)


def decide_mechanism(
    incident: Incident, looked: Looked, progress: Callable[[str], None] = lambda text: None
) -> "Decision":
    """The mechanism of a startup that was looked at; an experiment that decides it is run."""
    return _decided(incident, looked, lambda experiment: decide(experiment, _case(incident, looked).sources), progress)


def judge_again(incident: Incident, kept: Diagnosis | Trace) -> Diagnosis:
    """The diagnosis of runs that were kept: nothing is run.

    Mechanism, sites and evidence are judged anew. What asks for further runs, an experiment, the hypotheses and the smallest
    reproduction, is as it was when it ran; what did not run is undecided.

    :param kept: a diagnosis, or a startup's trace alone: then what Alembic knows is not known
    """
    if isinstance(kept, Trace):
        looked = Looked(kept, None, {}, None, (), (), ())
        beyond, smallest, hypotheses, outcomes = None, None, (), ()
    else:
        looked, beyond, smallest, hypotheses = kept.looked, kept.beyond, kept.smallest, kept.hypotheses
        outcomes = kept.outcomes
    known = {outcome.says: outcome for outcome in outcomes}

    def remembered(experiment: Experiment) -> Outcome:
        return known.get(experiment.says) or Outcome(experiment.says, "undecided", "it was not run")

    decision = _decided(incident, looked, remembered)
    return _diagnosis(incident, looked, beyond, decision, smallest, hypotheses)


class Decision(NamedTuple):
    """The mechanism, what it was found in, and the experiments that were run on the way to it."""

    finding: Finding
    conflict: Conflict | None
    fault: Fault | None
    outcomes: tuple[Outcome, ...]

    @property
    def pair(self) -> tuple[Registration, Registration] | None:
        if self.conflict is not None and self.conflict.first is not None:
            return self.conflict.first, self.conflict.second
        return self.fault.pair if self.fault is not None else None

    @property
    def same_table(self) -> bool:
        return self.pair is not None and self.pair[0].table == self.pair[1].table

    @property
    def about(self) -> Conflict | None:
        """The conflict that hypotheses are about; also where the metadata was cleared between the two."""
        if self.conflict is None and self.same_table and self.pair[1].outcome == "registered":
            return Conflict(self.pair[1].table, self.pair[1].metadata, "", *self.pair)
        return self.conflict

    @property
    def experiment(self) -> Outcome | None:
        """The one that decided: the last, unless that was refuted."""
        last = self.outcomes[-1] if self.outcomes else None
        asked = self.fault is not None and self.fault.experiment is not None
        return last if asked and last is not None and last.outcome != "refuted" else None


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
    looked = signed(incident, looked, decision)
    behind = stands_behind(looked.trace, beyond) if beyond is not None and finding.mechanism != "none" else ()
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
        sites=fault.places if fault is not None else _places(first, second),
        experiment=decision.experiment,
        fault=fault and replace(fault, experiment=None),
        outcomes=outcomes,
    )


def _decided(
    incident: Incident,
    looked: Looked,
    ask: Callable[[Experiment], Outcome],
    progress: Callable[[str], None] = lambda text: None,
) -> Decision:
    """The mechanism, after its experiment: one that its experiment refutes gives way to the next."""
    refuted: dict[str, str] = {}
    outcomes: list[Outcome] = []
    while True:
        finding, conflict, fault = find_mechanism(incident, looked, refuted)
        if fault is None or fault.experiment is None:
            return Decision(finding, conflict, fault, tuple(outcomes))
        progress(f"{fault.mechanism}? {fault.experiment.says}")
        outcomes.append(ask(fault.experiment))
        outcome = outcomes[-1]
        if outcome.outcome != "refuted":
            return Decision(finding, conflict, fault, tuple(outcomes))
        refuted[fault.mechanism] = f"refuted: {outcome.says}: {outcome.seen}"


def _places(first: Site | None, second: Site | None) -> tuple[Place, ...]:
    sites = (("first", first), ("second", second))
    return tuple(Place.of(role, site) for role, site in sites if site is not None)


def look_until_shown(
    incident: Incident,
    progress: Callable[[str], None] = lambda text: None,
    *,
    checks: bool | None = None,
    times: int = TIMES,
) -> Looked:
    """As :func:`look_at`, of the build as it is; where several processes ran side by side, once more until the incident shows."""
    for _ in range(times):
        looked = signed(incident, look_at(incident, progress, checks=checks), None)
        if shows_incident(incident, looked.trace) or not may_race(looked.trace):
            break
    return looked


def signed(incident: Incident, looked: Looked, decision: Decision | None) -> Looked:
    """The startup with the signs that ``expect`` asks for."""
    fault = decision.fault if decision is not None else None
    return replace(looked, trace=with_signs(incident, looked.trace, looked.checks, looked.expected, fault))


def look_at(
    incident: Incident,
    progress: Callable[[str], None] = lambda text: None,
    *,
    fix: str | None = None,
    checks: bool | None = None,
) -> Looked:
    """Start the application once; when it has ended, and the first answer is given, read its sources and ask Alembic.

    :param fix: the build with this fix, in place of the one as it is
    :param checks: ask every check while it is up; by default where ``expect`` says nothing
    """
    changes = [] if fix is None else incident.changes_of(fix)
    incident = incident.with_fix(fix)
    asker = Asker(incident, all=incident.expect.empty if checks is None else checks)
    with workspace(incident, changes) as space:
        trace = run_startup(incident, space, judge=True, while_up=asker, progress=progress)
        progress(first_answer(trace))
        config = find_config(incident, space)
        migrations, created, stopped = asker.migrated, {}, None
        if config is not None:
            migrations = migrations or look(incident, space, config, "alembic")
            if fix is None:
                created, stopped = build(incident, space, config, "revisions")
        named, unread = named_tables(space.root)
        variables = variables_named(space.root, (incident.database_env, *incident.app.env))
        statements = import_statements(space.root, incident.app.path)
        revisions, readings = revisions_of(space.root), readings_of(space.root)
        deployments, requirements = deployments_of(space.root), requirements_of(space.root)
        scripts = _scripts(incident, space)
    return Looked(
        trace,
        migrations,
        created,
        stopped,
        tuple(named),
        tuple(unread),
        statements,
        tuple(variables),
        revisions,
        readings,
        deployments,
        requirements,
        scripts,
        answer_checks(incident, trace, asker, incident_tables(incident, trace)),
        answer_expected(incident, trace, asker, incident_tables(incident, trace)),
        asker.uncompiled,
    )


def _scripts(incident: Incident, space: Workspace) -> dict[str, str]:
    """The files of the application that the steps' command lines name, as text."""
    found = {}
    for word in {word for step in incident.startup for word in step.text.split() if step.kind in ("command", "serve")}:
        path = (space.workdir / word).resolve()
        inside = path.is_relative_to(space.root.resolve()) and "\0" not in word
        if inside and path.is_file() and path.stat().st_size <= 1 << 18:
            found[path.relative_to(space.root.resolve()).as_posix()] = path.read_text("utf-8", "replace")
    return found


def first_answer(trace: Trace) -> str:
    """What one startup shows before anything else is run: the mechanism with both sites, or the first failure with its place."""
    conflict = next((conflict for conflict in trace.conflicts if conflict.first is not None), None)
    if conflict is not None:
        mechanism = judge(Pair(trace, conflict.first, conflict.second)).mechanism
        return f"table {conflict.table}: {mechanism}; first {conflict.first.site}, second {conflict.second.site}"
    failed = next((step for step in trace.steps if step.ok is False), None)
    if failed is not None:
        frames = failed.exception.frames if failed.exception is not None else ()
        site = next((f" at {frame}" for frame in reversed(frames) if frame.application), "")
        return f"step {failed.number} fails{site}: {failed.error}"
    if trace.swallowed:
        return f"swallowed at {trace.swallowed[0].site}: {trace.swallowed[0].error}"
    return "every step of the startup succeeds"


def unseen_models(incident: Incident, looked: Looked) -> tuple[Unseen, ...]:
    """Tables that the sources name and that no step imported, or that ``env.py`` does not see."""
    registered = {
        registration.table.split(".")[-1] for registration in looked.trace.registrations if registration.application
    }
    seen = looked.migrations
    asked = seen is not None and not seen.problem and seen.models is not None
    handed = {key.split(".")[-1] for key in seen.models} if asked else set()
    found = []
    for named in looked.named:
        lacking = [
            who
            for who, there in (("startup", registered), ("env.py", handed if asked else None))
            if there is not None and named.table not in there
        ]
        if lacking:
            drops = (
                next((d for d in seen.differences if f"table {named.table}," in d and "drop" in d), None)
                if asked
                else None
            )
            remedy = f"import {module_name(named.file, incident.app.path)}"
            failed = next((i for i in looked.trace.imports if i.file == named.file and i.error is not None), None)
            if failed is not None:
                remedy = f"{failed.module} was imported and failed before it: mend that first"
            found.append(Unseen(named, " and ".join(lacking), remedy, drops))
    return tuple(found)


def find_mechanism(
    incident: Incident, looked: Looked, refuted: Mapping[str, str] = MappingProxyType({})
) -> tuple[Finding, Conflict | None, Fault | None]:
    """The mechanism that the trace shows; ``undecided`` where something is wrong and none fits, else ``none``.

    :param refuted: mechanisms that their experiment refuted, each with what it saw
    """
    trace = looked.trace
    faults = [fault for fault in faults_of(_case(incident, looked)) if fault.mechanism not in refuted]
    fault = faults[0] if faults else None
    conflicts = [conflict for conflict in trace.conflicts if conflict.first is not None]
    conflicts.sort(key=lambda conflict: (conflict.table != incident.expect.table, conflict.second.at))
    if conflicts and not (fault is not None and _is_about_another_error(incident)):
        conflict = conflicts[0]
        return judge(Pair(trace, conflict.first, conflict.second)), conflict, None
    if fault is not None:
        against = {"second-class-same-table-other-file": "no table was rejected: " + _count(trace), **fault.against}
        return Finding(fault.mechanism, fault.because, {**against, **refuted}), None, fault
    if trace.conflicts:
        conflict = trace.conflicts[0]
        known = f"table {conflict.table} was rejected at {conflict.second.site}; its first registration was not seen"
        return Finding("undecided", (known,), {}), None, None
    if trace.provenance.get("sqlalchemy") is None and trace.provenance.get("untraced"):
        known = f"not traced: {', '.join(trace.provenance['untraced'])} (python -I, -E or -S, env -i, or no Python)"
        return Finding("undecided", (known,), {}), None, None
    wrong = _what_is_wrong(incident, trace)
    if wrong:
        known = (*wrong, "no table was rejected, and no mechanism that the kit knows fits")
        return Finding("undecided", known, dict(refuted)), None, None
    swallowed = [f"swallowed at {error.site}, and nothing failed for it: {error.error}" for error in trace.swallowed]
    return (
        Finding("none", (_count(trace), "every step succeeded and every mapper configures", *swallowed), dict(refuted)),
        None,
        None,
    )


def quiet_mechanisms(incident: Incident, looked: Looked) -> tuple[Sign, ...]:
    """Every mechanism that is there and raises nothing, without the experiments that could refute one."""
    faults = [fault for fault in faults_of(_case(incident, looked)) if fault.error is None]
    return tuple(dict.fromkeys(Sign("mechanism", fault.mechanism, fault.table) for fault in faults))


def is_race(incident: Incident, looked: Looked) -> bool:
    """Is a race among the mechanisms that the startup may show? What one start shows, the next may not."""
    conflicts = [conflict for conflict in looked.trace.conflicts if conflict.first is not None]
    found = {judge(Pair(looked.trace, conflict.first, conflict.second)).mechanism for conflict in conflicts}
    found |= {fault.mechanism for fault in faults_of(_case(incident, looked))}
    return bool(found & {"startup-race", "race-in-lazy-definition"})


def _case(incident: Incident, looked: Looked) -> Case:
    return Case(
        looked.trace,
        looked.migrations,
        incident.expect.table,
        incident,
        looked.named,
        looked.statements,
        looked.created,
        looked.stopped,
        looked.revisions,
        looked.readings,
        looked.deployments,
        looked.requirements,
        looked.scripts,
    )


def _is_about_another_error(incident: Incident) -> bool:
    """Does the incident name an error that is not a table's second registration?"""
    return incident.expect.error is not None and "already defined" not in incident.expect.error


def _what_is_wrong(incident: Incident, trace: Trace) -> list[str]:
    failed = [step for step in trace.steps if step.ok is False]
    wrong = [f"step {one.number} ({one}): {one.error}" for one in failed if not one.broke]
    mappers = judge_mappers(trace, [incident.expect.table] if incident.expect.table else [])
    if mappers.ok is False:
        wrong.append(mappers.seen)
    expected = incident.expect.error or incident.expect.table
    if not wrong and expected and shows_incident(incident, trace):
        wrong.append(f"the startup shows what the incident names: {expected}")
    if not wrong:
        wrong += [f"{sign.text} fails" for sign in trace.signs if sign.kind != "mechanism"]
    return wrong + ([str(trace.broke)] if trace.broke else [])


def _count(trace: Trace) -> str:
    own = [
        registration
        for registration in trace.registrations
        if registration.application and registration.outcome != "rejected"
    ]
    labels = sorted({one.metadata.label for one in own})
    if not own:
        return "no table was registered"
    return f"{len({(r.metadata.label, r.table) for r in own})} tables on the metadata made at {', '.join(labels)}"


def stands_behind(trace: Trace, beyond: Trace) -> tuple[Behind, ...]:
    """Further collisions and errors that only the run past the first failure shows, each once, by site."""
    known = {(str(conflict.second.site), conflict.table) for conflict in trace.conflicts}
    said = {str(error) for error in trace.errors}
    found = []
    for conflict in beyond.conflicts:
        if (str(conflict.second.site), conflict.table) not in known:
            text = f"Table '{conflict.table}' is already defined for this MetaData instance."
            error = Error("sqlalchemy.exc.InvalidRequestError", text)
            found.append(
                Behind(
                    error, conflict.second.frame._replace(line=conflict.second.site.line), conflict.second.chain, False
                )
            )
    failed = [step.exception for step in beyond.steps if step.exception is not None]
    candidates = [*beyond.behind, *(_of_step(error) for error in failed)]
    found += [candidate for candidate in candidates if str(candidate.error) not in said]
    unique: dict[tuple, Behind] = {}
    for one in found:
        unique.setdefault((str(one.site), str(one.error)), one)
    return tuple(unique.values())


def _of_step(error) -> Behind:
    site = next((frame for frame in reversed(error.frames) if frame.application), None)
    return Behind(error, site, error.frames, False)
