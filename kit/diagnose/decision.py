"""Which mechanism a startup shows: the first that fits and that its experiment does not refute."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from ..base.progress import Hears, silent
from ..incident.model import Incident
from ..trace.end_state import judge_mappers, where_caught
from ..trace.expected import expected_error, holds, shows_incident
from ..trace.trace import Trace
from ..trace.values import Conflict, Error, Registration, Sign
from . import (
    drivers,
    imports,
    mapping,
    migrations,
    names,
    race,
    redefinitions,
    registries,
    removed_apis,
    settings,
    unseen_tables,
)
from .experiments import decide
from .observation import RACES
from .registered_twice import Finding, Pair, judge
from .undecided import undecided
from .values import Case, Experiment, Fault, Looked, Mechanism, Outcome, pair_of

# In order of precedence: what asks for more special evidence comes first.
_FAMILIES = (redefinitions, unseen_tables, race, migrations, mapping, drivers, settings, removed_apis, names, imports)
MECHANISMS: list[Mechanism] = [mechanism for family in (*_FAMILIES, registries) for mechanism in family.MECHANISMS]
MECHANISMS += settings.OF_LOGGERS


def decide_mechanism(incident: Incident, looked: Looked, progress: Hears = silent) -> "Decision":
    """The mechanism of a startup that was looked at; an experiment that decides it is run."""
    return decided(incident, looked, lambda experiment: decide(experiment, Case.of(incident, looked).sources), progress)


class Decision(NamedTuple):
    """The mechanism, what it was found in, and the experiments that were run on the way to it."""

    finding: Finding
    conflict: Conflict | None
    fault: Fault | None
    outcomes: tuple[Outcome, ...]

    @property
    def pair(self) -> tuple[Registration, Registration] | None:
        return pair_of(self.conflict, self.fault)

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
        has_experiment = self.fault is not None and self.fault.experiment is not None
        return last if has_experiment and last is not None and last.outcome != "refuted" else None


def decided(
    incident: Incident, looked: Looked, ask: Callable[[Experiment], Outcome], progress: Hears = silent
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
        if outcome.outcome == "confirmed" or outcome.outcome == "undecided" and not fault.experiment.needed:
            return Decision(finding, conflict, fault, tuple(outcomes))
        refuted[fault.mechanism] = f"{outcome.outcome}: {outcome.says}: {outcome.seen}"


def find_mechanism(
    incident: Incident, looked: Looked, refuted: Mapping[str, str] = MappingProxyType({})
) -> tuple[Finding, Conflict | None, Fault | None]:
    """The mechanism that the trace shows; ``undecided`` where something is wrong and none fits, else ``none``.

    :param refuted: mechanisms that their experiment refuted, each with what it saw
    """
    trace = looked.trace
    faults = [fault for fault in faults_of(Case.of(incident, looked)) if fault.mechanism not in refuted]
    fault = faults[0] if faults else None
    conflicts = [conflict for conflict in trace.conflicts if conflict.first is not None]
    conflicts.sort(key=lambda conflict: (conflict.table != incident.expect.table, conflict.second.at))
    expected = incident.expect.error
    if conflicts and (fault is None or expected is None or "already defined" in expected):
        conflict = conflicts[0]
        return judge(Pair(trace, conflict.first, conflict.second)), conflict, None
    if fault is not None:
        against = {"second-class-same-table-other-file": "no table was rejected: " + _count(trace), **fault.against}
        # What failed beside a mechanism that raises nothing: no run tells whether the one is why of the other.
        failed = [step for step in trace.steps if fault.error is None and step.ok is False and step.error]
        why = "whether it is why step {0.number} ({0}) fails was not tested: {1}"
        beside = (why.format(step, step.error.splitlines()[0]) for step in failed)
        return Finding(fault.mechanism, (*fault.because, *beside), {**against, **refuted}), None, fault
    if trace.conflicts:
        conflict = trace.conflicts[0]
        known = f"table {conflict.table} was rejected at {conflict.second.site}; its first registration was not seen"
        return Finding("undecided", (known,), {}), None, None
    if trace.provenance.get("sqlalchemy") is None and trace.provenance.get("untraced"):
        known = f"not traced: {', '.join(trace.provenance['untraced'])} (python -I, -E or -S, env -i, or no Python)"
        return Finding("undecided", (known,), {}), None, None
    wrong = _what_is_wrong(incident, trace)
    if wrong:
        return undecided(Case.of(incident, looked), wrong, dict(refuted)), None, None
    nothing = "swallowed at {}, and nothing failed for it: {}"
    swallowed = (nothing.format(where_caught(trace, error), error.error) for error in trace.swallowed)
    because = (_count(trace), f"every step succeeded; {judge_mappers(trace).seen}", *swallowed)
    return Finding("none", because, dict(refuted)), None, None


def mechanisms_there(incident: Incident, looked: Looked) -> tuple[tuple[Sign, ...], frozenset[str]]:
    """Every mechanism that is there and raises nothing, and the slugs of those that raise the error that ``expect`` names.

    No experiment was run to refute one.
    """
    faults = faults_of(case := Case.of(incident, looked))
    quiet = (Sign("mechanism", fault.mechanism, fault.table) for fault in faults if fault.error is None)
    expected = incident.expect.error
    raising = [fault for fault in faults if fault.error and expected]
    raising = [it.mechanism for it in raising if any(holds(str(error), expected) for error in _come_of(case, it.error))]
    return tuple(dict.fromkeys(quiet)), frozenset(raising)


def _come_of(case: Case, error: Error) -> list[Error]:
    """An error, and those that were raised from it or while it was handled."""
    return [error, *(later for later in case.errors if later.comes_from(error))]


def is_race(incident: Incident, looked: Looked) -> bool:
    """Is a race among the mechanisms that the startup may show? What one start shows, the next may not."""
    conflicts = [conflict for conflict in looked.trace.conflicts if conflict.first is not None]
    mechanisms = {judge(Pair(looked.trace, conflict.first, conflict.second)).mechanism for conflict in conflicts}
    mechanisms |= {fault.mechanism for fault in faults_of(Case.of(incident, looked))}
    return bool(mechanisms & RACES)


def _what_is_wrong(incident: Incident, trace: Trace) -> list[str]:
    failed = [step for step in trace.steps if step.ok is False]
    wrong = [f"step {step.number} ({step}): {step.error}" for step in failed if not step.broke]
    raised = [step.exception for step in failed if step.exception is not None]
    judged = (replace(it, error=None) if _quotes(it.error, raised) else it for it in trace.judged)
    tables = [incident.expect.table] if incident.expect.table else []
    mappers = judge_mappers(replace(trace, judged=tuple(judged)), tables)
    if mappers.ok is False:
        wrong.append(mappers.seen)
    expected = incident.expect.error or incident.expect.table
    if not wrong and expected and shows_incident(incident, trace):
        wrong.append(f"the startup shows what the incident names: {expected}")
    if not wrong:
        wrong += [f"{sign.text} fails" for sign in trace.signs if sign.kind != "mechanism"]
    return wrong + ([str(trace.broke)] if trace.broke else [])


def _quotes(judged: Error | None, raised: list[Error]) -> bool:
    """Is what configuring the mappers gives one of these, or SQLAlchemy's word that one of them came before?"""
    text = judged.text if judged else ""
    return any(text == it.text or text.endswith(f"Original exception was: {it.text}") for it in raised if it.text)


def _count(trace: Trace) -> str:
    registrations = [r for r in trace.registrations if r.application and r.outcome != "rejected"]
    labels = sorted({r.metadata.label for r in registrations})
    if not registrations:
        return "no table was registered"
    count = len({(r.metadata.label, r.table) for r in registrations})
    return f"{count} table{'s' if count > 1 else ''} on the metadata made at {' and '.join(labels)}"


def faults_of(case: Case) -> list[Fault]:
    """Every mechanism that the trace shows, the one that explains the incident first.

    What explains the error that the incident names comes before what explains another step's failure, that before
    what raises nothing, and what explains an error that the incident does not name comes last.
    """
    faults = [fault for look_for in MECHANISMS if (fault := look_for(case)) is not None]
    return sorted(faults, key=lambda fault: _rank(case, fault))


def _rank(case: Case, fault: Fault) -> int:
    expected = expected_error(case.incident)
    if fault.error is None:
        return 2
    errors = _come_of(case, fault.error)
    texts = [text for error in errors for text in (str(error), *(text for _, _, text in error.links))]
    if expected is not None:
        return 0 if any(expected in text for text in texts) else 3
    failed = [step.exception for step in case.trace.steps if step.ok is False and step.exception is not None]
    return 1 if any(error.comes_from(fault.error) or fault.error.comes_from(error) for error in failed) else 2
