"""Fixes × checks, with the control: which fix cures, which only hides."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

from ..base.errors import IncidentError, RunBroke
from ..base.interrupt import interruptible, pool_of
from ..base.progress import Hears, Step, silent
from ..diagnose.decision import decide_mechanism, is_race, mechanisms_there
from ..diagnose.observation import INSTALLS, TIMES, look_at, look_until_shown, signed
from ..diagnose.race import FORCED, in_words, raced_for
from ..diagnose.values import Looked
from ..incident.model import Incident
from ..startup.checks import Asker, answer_checks
from ..startup.run import HELD
from ..startup.workspace import refuse_patches
from ..trace.chains import application_frames
from ..trace.end_state import CheckResult, judge_start
from ..trace.expected import expected_error, incident_tables, refused_step, shows_incident
from ..trace.trace import Trace
from ..trace.values import Frame
from .attempts import (
    MOST,
    Attempt,
    Rates,
    compared,
    errors_of,
    errors_of_incident,
    never_handed,
    of_runs,
    shared,
    still_there,
)

VERDICTS = ("cures", "hides", "does-not-cure", "breaks", "undecided")
# Checks of the state that a startup leaves: in the control it may hold only because nothing got that far.
_STATE = ("mappers", "migrations", "definitions")


@dataclass(frozen=True)
class FixResult:
    """A fix and what running it showed; ``because`` is the reason for the verdict in a sentence."""

    name: str
    claim: str | None
    patches: tuple[str, ...]
    verdict: str
    because: str
    checks: tuple[CheckResult, ...]
    trace: Trace
    rates: Rates | None = None  # where the incident is a race


@dataclass(frozen=True)
class Verification:
    """The control, which must reproduce, and every fix; ``fixes`` is empty where the control does not."""

    control: Attempt
    reproduced: bool
    fixes: tuple[FixResult, ...]
    verified: tuple[str, ...]

    @property
    def broke(self) -> bool:
        """Is no fix verified, and at least one undecided?"""
        return not self.verified and any(fix.verdict == "undecided" for fix in self.fixes)


@interruptible
def verify(
    incident: Incident, *, only: Sequence[str] | None = None, executor: Executor | None = None, progress: Hears = silent
) -> Verification:
    """Start the build as it is and with each fix, side by side, and judge each by what was seen.

    :param only: names of fixes to try; all of them by default
    :param executor: where the startups run; by default threads, one a core
    :raises IncidentError: a patch does not apply
    :raises RunBroke: the build as it was could not begin
    """
    names = list(incident.fixes) if only is None else list(only)
    stale = None
    try:
        refuse_patches(incident, names)  # now, and not when others have been waited for
    except IncidentError as error:
        if any(incident.fixes[name].commits for name in names):
            raise  # a commit that is not there is wrong whatever the build
        stale = error  # of a build that is mended nobody asks for more
    results: dict[str, FixResult] = {}
    with pool_of(executor) as pool:
        progress(Step("control: starting the build as it is", "fixes", 0, len(names) + 1))
        first = pool.submit(attempt, incident, None)
        # In a pool of our own fixes begin beside the control, so that no core waits for it. Without an incident
        # they are taken back; in somebody else's pool that would be others' time.
        beside = executor is None and stale is None
        futures = {pool.submit(attempt, incident, name): name for name in (names if beside else ())}
        control = first.result()
        outcome = "the incident reproduces" if control.reproduced else "the incident does not reproduce"
        trying = f"; trying {len(names)} fix{'es' if len(names) > 1 else ''}" if control.reproduced and names else ""
        progress(Step(f"control: {outcome}{trying}", "fixes", 1, len(names) + 1 if control.reproduced else 1))
        if not control.reproduced:
            pool.cancel()
            return Verification(control, False, (), ())
        if stale is not None:
            raise stale
        if not beside:
            futures = {pool.submit(attempt, incident, name): name for name in names}
        runs = _Runs(incident, control, pool, names) if control.races and names else None
        for number, future in enumerate(as_completed(futures), 1):
            name, tried = futures[future], _of_fix(incident, futures[future], future)
            result = judge_fix(incident, name, tried, control) if runs is None else runs.judge(name, tried)
            results[name] = result
            held = f"{sum(c.ok is True for c in result.checks)} of {len(result.checks)} checks pass"
            why = "" if result.verdict == "cures" else f": {shorten(result.because, 200, placeholder=' …')}"
            says = f"fix {number} of {len(names)}, {result.name}: {held}, {result.verdict}{why}"
            progress(Step(says, "fixes", number + 1, len(names) + 1))
    fixes = tuple(results[name] for name in names)
    return Verification(control, True, fixes, tuple(fix.name for fix in fixes if fix.verdict == "cures"))


def attempt(incident: Incident, fix: str | None = None, once: bool = False, hold: str | None = None) -> Attempt:
    """Start one build, the broken one or one with a fix, ask every check, and look for what raises nothing."""
    return attempt_of(incident, fix, look_at_build(incident, fix, once, hold))


def look_at_build(incident: Incident, fix: str | None = None, once: bool = False, hold: str | None = None) -> Looked:
    """Start one build and ask every check.

    :param once: also where the incident may be a race, and did not show
    :param hold: the statement before which its processes wait for each other
    """
    if fix is not None:
        return signed(incident, look_at(incident, fix=fix, checks=True, hold=hold), None)
    looked = look_until_shown(incident, checks=True, times=1 if once else TIMES, hold=hold)
    needs_mechanism = incident.expect.error is None and incident.expect.check is None
    if needs_mechanism and not shows_incident(incident, looked.trace):
        looked = signed(incident, looked, decide_mechanism(incident, looked).fault)
    return looked


def attempt_of(incident: Incident, fix: str | None, looked: Looked) -> Attempt:
    """What a build showed that was looked at, also what raises nothing."""
    changes = [] if fix is None else incident.changes_of(fix)
    names = tuple(change.name if isinstance(change, Path) else f"commit {change}" for change in changes)
    names += incident.fixes[fix].settings_shown if fix is not None else ()
    seen = looked.migrations
    quiet, raising = mechanisms_there(incident, looked)
    compared = seen is not None and not seen.problem and seen.models is not None
    return Attempt(
        fix or "control",
        names,
        looked.trace,
        looked.checks,
        shows_incident(incident, looked.trace),
        looked.uncompiled,
        quiet,
        seen.passed_over if seen is not None else (),
        raising,
        frozenset(seen.models) if compared else None,
        fix is None and is_race(incident, looked),
        looked.unrun,
    )


class _Runs:
    """Further starts of each build, where the incident is a race: forced where it can be, else counted."""

    def __init__(self, incident: Incident, control: Attempt, pool, names: Sequence[str]):
        self.incident, self.control, self.pool, self.names = incident, control, pool, names
        self.held = raced_for(control.trace)
        self.of_control: list[Future[Attempt]] = []
        forced = self.held and pool.submit(attempt, incident, None, True, self.held).result()
        self.forced = bool(forced) and forced.reproduced
        times = range(FORCED) if self.forced else range(TIMES - 1)
        hold = self.held if self.forced else None
        if not self.forced:
            self.of_control = [pool.submit(attempt, incident, None, True) for _ in times]
        self.of_fixes = {name: [pool.submit(attempt, incident, name, True, hold) for _ in times] for name in names}

    def judge(self, name: str, first: Attempt) -> FixResult:
        """The verdict by the run that counts. Where the race is not forced, what does not show it is started :data:`MOST` times.

        A fix can make a race rarer and leave it, so that the control's rate says nothing of what is left.
        """
        tried = [first, *(_of_fix(self.incident, name, future) for future in self.of_fixes[name])]
        worst, shown = self._worst(tried)
        result = judge_fix(self.incident, name, worst, self.control)
        if self.forced:
            _, shown = self._worst(tried[1:])
            how = f"each process waited before {in_words(self.held)} until another had come as far, or for {HELD} s"
            says = f"{result.because}; the race was forced: {how}; without the fix the incident showed in such a start, with it in {shown} of {FORCED}"
            return replace(result, because=f"{says} such starts")
        while result.verdict == "cures" and len(tried) < MOST:
            more = [self.pool.submit(attempt, self.incident, name) for _ in range(min(4, MOST - len(tried)))]
            tried += [_of_fix(self.incident, name, future) for future in more]
            worst, shown = self._worst(tried)
            result = judge_fix(self.incident, name, worst, self.control)
        controls = [future.result() for future in self.of_control]  # the first one was chosen for showing it
        rates = Rates(shown, len(tried), sum(control.reproduced for control in controls), len(controls))
        return replace(result, because=f"{result.because}; it is a race: {rates}", rates=rates)

    def _worst(self, tried: Sequence[Attempt]) -> tuple[Attempt, int]:
        return of_runs(tried, lambda run: still_there(self.incident, run.trace, self.control.trace))


def _of_fix(incident: Incident, name: str, future: "Future[Attempt]") -> Attempt:
    """The attempt of a fix; one that could not begin is undecided, and takes nothing from the others."""
    try:
        return future.result()
    except RunBroke as error:
        why = str(error).splitlines()[0].removeprefix(f"{incident.file}: ")
        trace = Trace.not_begun([(step.kind, step.text) for step in incident.startup], why)
        patches = tuple(str(change).rpartition("/")[2] for change in incident.changes_of(name))
        return Attempt(name, patches, trace, answer_checks(incident, trace, Asker(incident), ()), False)


def judge_fix(incident: Incident, name: str, tried: Attempt, control: Attempt) -> FixResult:
    """The verdict on a fix that was started, beside the control."""
    # Whether a mechanism that raises nothing is the incident, only the build as it is was asked.
    left = [sign for sign in control.trace.signs if sign.kind == "mechanism" and sign in tried.quiet]
    trace = replace(tried.trace, signs=tuple(dict.fromkeys((*tried.trace.signs, *left))))
    tried = replace(tried, trace=trace, reproduced=still_there(incident, trace, control.trace))
    checks = (_gone(incident, tried, control.trace), *compared(incident, tried, control))
    tables = incident_tables(incident, control.trace)
    verdict, because = _judge(tried, control, checks, tables)
    if verdict == "cures" and (unseen := never_handed(incident, tried, control, tables)):
        because += f"; as without it, env.py imports no model of {', '.join(unseen)}, so that Alembic does not see it"
    if tried.unrun:
        installs = any(map(INSTALLS.match, tried.unrun))
        verdict = "undecided" if installs and verdict == "does-not-cure" else verdict
        how = (
            "install it, and name that interpreter in the fix's python"
            if installs
            else "name it in a step, or give the fix a startup of its own"
        )
        because += f"; {', '.join(tried.unrun)} is changed, and the startup does not run it: what changes there was not tried. {how.capitalize()}"
    return FixResult(name, incident.fixes[name].claim, tried.patches, verdict, because, checks, tried.trace)


def met(fix: FixResult, control: Attempt) -> tuple[tuple[str, Frame | None], ...]:
    """What the run of a fix met in place of the incident: each error that the build as it was did not end with, and where.

    One that it had caught counts where it now fails a step.
    """
    if any(check.kind == "gone" and check.ok is False for check in fix.checks):
        return ()
    failed = {step.error for step in control.trace.steps}
    passed = {str(error.error) for error in control.trace.swallowed}
    errors: dict[str, Frame | None] = {}
    for step in fix.trace.steps:
        from_outside = step.broke is not None and step.broke.from_outside
        if step.ok is False and step.error and step.error not in failed and not from_outside:
            errors.setdefault(step.error, step.exception.site if step.exception is not None else None)
    for error in fix.trace.swallowed:
        if str(error.error) not in passed:
            errors.setdefault(str(error.error), error.site)
    for judged in fix.trace.judged if not errors else ():
        if judged.error is not None:
            errors.setdefault(f"configure_mappers(): {judged.error}", None)
    return tuple(errors.items())


def _gone(incident: Incident, tried: Attempt, control: Trace) -> CheckResult:
    there = sorted(errors_of_incident(control)) or [sign.text for sign in control.signs]
    shown = expected_error(incident) or shorten(next(iter(there), "the incident"), 200, placeholder=" …")
    where = [f"{conflict.error} at {conflict.second.site}" for conflict in tried.trace.conflicts]
    seen = (where[0] if where else f"still there: {shown}") if tried.reproduced else f"no longer seen: {shown}"
    unseen = tried.uncompiled or (tried.trace.broke if tried.trace.cut else None)
    gone = not tried.reproduced
    if unseen and gone:
        gone, seen = None, f"not seen, before the startup ended: {unseen}"
    return CheckResult("original error no longer occurs", gone, seen, kind="gone")


def _judge(tried: Attempt, control: Attempt, checks: Sequence[CheckResult], tables: Sequence[str]) -> tuple[str, str]:
    """The verdict and its reason.

    ``does-not-cure``: the error is still there, or the next one stands behind it. ``breaks``: something
    that worked no longer does. ``hides``: the error is gone and the state is wrong. ``cures``: the error
    is gone and every check holds. ``undecided``: the run was ended from outside, or a check could not be asked,
    and nothing else tells.
    """
    trace = tried.trace
    if tried.reproduced:
        return "does-not-cure", _what_is_left(trace, control)
    if tried.uncompiled:
        return "breaks", f"the patch writes what Python cannot compile: {tried.uncompiled}"
    if trace.cut:
        return "undecided", f"the run broke before it could tell: {trace.broke}"
    if trace.broke and not control.trace.broke:
        return "breaks", f"the run broke: {trace.broke}"
    broken = _broken(trace, control, checks)
    if broken:
        return "breaks", "what worked no longer does: " + broken[0]
    failed = [check for check in checks if check.ok is False and not shared(check, control.checks)]
    told_apart = [check for check in checks if check.ok is False and check not in failed]
    unasked = [check for check in checks if check.ok is None]
    if not failed and not unasked:
        as_before = f"every check passes but what fails as it did before, for a reason of its own: {''.join(map(_in_short, told_apart[:1]))}"
        held = as_before if told_apart else f"all {len(checks)} checks pass"
        return "cures", f"the error is gone, and {held}"
    if not failed:
        open_questions = "; ".join(_in_short(check) for check in unasked[:2])
        return "undecided", f"the error is gone, and what else must hold could not be decided: {open_questions}"
    start = judge_start(trace)
    hidden = [check.seen for check in failed if check.kind == "hidden"]
    if hidden and all(step.ok for step in trace.steps):
        return "hides", "the error is gone, but " + "; ".join(hidden[:2])
    wrong = [_in_short(c) for c in failed if c.kind in _STATE and set(c.tables) & set(tables)]
    if wrong and all(step.ok for step in trace.steps):
        return "hides", "the error is gone, but the state is wrong: " + "; ".join(wrong[:2])
    if (refused := refused_step(trace)) is not None:
        says = f"the error is gone, but then the kit itself refused what the application asked for: {refused}"
        return "undecided", says
    if not start.ok and any(check.kind == "clean_start" for check in failed):
        return "does-not-cure", f"the error is gone, and the next one was hidden behind it: {start.seen}"
    wrong = "; ".join(f"{check.check}: {check.seen}" for check in failed[:2])
    return "hides", f"the error is gone and the start is clean, but {wrong}"


def _what_is_left(trace: Trace, control: Attempt) -> str:
    """What of the incident is there in a build with a fix, and by which way."""
    if trace.conflicts:
        second = trace.conflicts[0].second
        way = " → ".join(str(frame) for frame in application_frames(second.chain)[:-1])
        return f"the same error is raised{_caught(trace)}, at {second.site} by {way}"
    errors = errors_of(trace)
    if not errors:
        left = ", ".join(sign.text for sign in trace.signs) or "what is wrong"
        logged = (f"; logged at {r.site}: {r.error}" for r in trace.records if r.error is not None and not r.lost)
        return f"nothing is raised, and still there is {left}{next(logged, '')}"
    same = min(errors & errors_of_incident(control.trace), default=None)
    named = f": {shorten(same, 200, placeholder=' …')}" if same else ""
    return f"the same error is raised{_caught(trace)}{named}"


def _broken(trace: Trace, control: Attempt, checks: Sequence[CheckResult]) -> list[str]:
    """What worked in the build as it is and does not any more: checks, then steps."""
    before = {check.check: check.ok or bool(check.answers) for check in control.checks}
    broken = [_in_short(c) for c in checks if c.ok is False and before.get(c.check) and c.kind not in _STATE]
    worked = {step.number for step in control.trace.steps if step.ok}
    fails = [step for step in trace.steps if step.number in worked and not step.ok]
    return broken + [f"step {step.number} ({step}): {step.error}" for step in fails]


def _caught(trace: Trace) -> str:
    """Told where nothing fails for the incident any more, and it is there all the same: it was not gone, to be hidden."""
    swallowed = {str(error.error) for error in trace.swallowed}
    quiet = swallowed and all(step.ok for step in trace.steps)
    return ", but it is swallowed" if quiet and all(conflict.error in swallowed for conflict in trace.conflicts) else ""


def _in_short(check: CheckResult) -> str:
    """A failed check in one sentence; the rest of what was seen is in the check itself."""
    first, _, rest = check.seen.partition("; ")
    return f"{check.check}: {first}" + (" (and more)" if rest else "")
