"""Tries candidates as fixes are tried, and lets one grow over the errors that stand behind the first until it cures."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...base.errors import IncidentError, RunBroke
from ...base.interrupt import interruptible, pool_of
from ...base.progress import Hears, silent
from ...base.progress import Step as Progress
from ...diagnose.decision import Decision, decide_mechanism
from ...diagnose.definitions import compare
from ...diagnose.diagnosis import judge_again
from ...diagnose.experiments import patch_of
from ...diagnose.observation import look_at, signed
from ...diagnose.race import raced_for
from ...diagnose.values import Looked
from ...incident.model import Fix, Incident, Step
from ...trace.end_state import Answer
from ...trace.expected import shows_incident
from ..attempts import beside
from ..verification import Attempt, FixResult, attempt, judge_fix, met
from .asked import sources_of, with_checks, without_what_did_not_answer
from .candidates import candidates_for, maskers, why_unsafe
from .failing_build import Broken, Candidate
from .kept import answers_of, endpoints_kept, nothing_lost, settled, touched
from .lessons import Lesson, Teach, errors_of, nothing, stands_behind
from .proposals import Proposal, Proposals
from .revision import missing_revision, restored_revision

MOST_STARTUPS = 12
_MOST_STEPS = 4  # errors behind one another that one proposal mends
_RACE_TIMES = 3  # starts of each candidate where the incident shows in some starts only
_AT_ONCE = 4  # candidates of one round


@interruptible
def propose(
    incident: Incident,
    *,
    show_maskers: bool = False,
    teach: Teach = nothing,
    executor: Executor | None = None,
    progress: Hears = silent,
    verified: Callable[[Proposal], None] = lambda proposal: None,
) -> Proposals:
    """Write fixes for the mechanism of an incident, and try each: at most 12 startups, some side by side.

    :param show_maskers: run also what only hides, at most four startups more
    :param teach: what a setup lacks, by a run of it; what it gives is put into both builds
    :param executor: where the startups run; by default threads, one a core
    :param verified: is given the first proposal that holds, as soon as it does
    :raises RunBroke: the build as it is could not begin
    """
    with pool_of(executor) as pool, tempfile.TemporaryDirectory(prefix="kit-propose-") as folder:
        progress(Progress("starting the application as it is", "proposals", 0, MOST_STARTUPS))
        sources, config = sources_of(incident)
        checked = with_checks(incident, config)
        seen, first = pool.submit(look_at, incident), pool.submit(attempt, checked)
        looked, control = seen.result(), first.result()
        checked, control = without_what_did_not_answer(incident, checked, control)
        decision = decide_mechanism(incident, looked, progress)
        trace = looked.trace if incident.expect.error else signed(incident, looked, decision.fault).trace
        mechanism = decision.finding.mechanism
        if not shows_incident(incident, trace):
            unseen = "it does not reproduce, so nothing shows what would cure it"
            return Proposals(mechanism, False, (), 2, trace, unseen)
        search = _Search(incident, checked, control, sources, Path(folder), pool, progress, verified, teach)
        broken = _broken(incident, decision, looked, sources, control)
        search.run(broken)
        hidden = search.of_maskers(broken) if show_maskers else ()

    def rank(proposal: Proposal) -> tuple:
        """Verified ones first, of those the smallest patch first."""
        return proposal.verdict != "cures", len(proposal.patch.splitlines()), search.order.index(proposal.name)

    order = sorted(search.tried, key=rank)
    note, lessons = _note(broken, search, order), tuple(search.lessons)
    return Proposals(mechanism, True, tuple(order), search.startups, trace, note, hidden, lessons)


def _note(broken: Broken, search: "_Search", tried: list[Proposal]) -> str:
    if any(proposal.verdict == "cures" for proposal in tried):
        return ""
    if not tried:
        mechanism = broken.finding.mechanism
        nothing = {
            "undecided": "the cause is undecided, so there is no change to try",
            "none": "no mechanism was found, so there is no change to try",
        }
        known = f"for {mechanism} the kit knows no change that it could make safely here"
        return why_unsafe(broken) or nothing.get(mechanism, known)
    if search.startups >= MOST_STARTUPS:
        return f"the search ended at {MOST_STARTUPS} startups"
    reason = why_unsafe(broken)
    return "none of the changes that were tried cures it" + (f"; {reason}" if reason else "")


@dataclass
class _Search:
    """One search: which candidates were tried, and what each showed.

    :ivar written: the incident as its file has it; ``incident`` is asked more
    :ivar order: the names of what was tried, the likeliest first
    :ivar answers: by candidate what its routes answered; ``hidden`` is the one that only hides the error
    """

    written: Incident
    incident: Incident
    control: Attempt
    sources: Mapping[str, str]
    folder: Path
    pool: Executor
    progress: Hears
    verified: Callable[[Proposal], None]
    teach: Teach
    lessons: list[Lesson] = field(default_factory=list)
    startups: int = 2
    order: list[str] = field(default_factory=list)
    tried: list[Proposal] = field(default_factory=list)
    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    hidden: str | None = None

    @property
    def own_checks(self) -> set[str]:
        return {str(check) for check in self.written.checks}

    @property
    def served(self) -> bool:
        """Did the build as it is answer anything?"""
        return any(check.answers for check in self.control.checks)

    def run(self, broken: Broken) -> None:
        """Round by round, until one cures: what does not cure yet, and shows another error, is gone on with."""
        waiting = candidates_for(broken)
        if broken.finding.mechanism == "unknown-revision":
            waiting += filter(None, [restored_revision(self.incident, broken)])
        while waiting:
            several = _RACE_TIMES if self.control.races else 1
            most = min(_AT_ONCE, (MOST_STARTUPS - self.startups) // several)
            batch = ([candidate for candidate in waiting if not candidate.last] or waiting)[:most]
            if not batch:
                return
            known = len(self.lessons)
            results = [self.learn(broken, *tried, known) for tried in self.try_all(broken, batch)]
            if any(result.verdict == "cures" for _, result in results):
                return
            grown = [more for candidate, result in results for more in self.behind(broken, candidate, result)]
            waiting = grown + [candidate for candidate in waiting if candidate not in batch]

    def of_maskers(self, broken: Broken) -> tuple[Proposal, ...]:
        """What only hides, each run once; what was tried before stays what is proposed."""
        proposed, self.tried = self.tried, []
        self.verified = lambda masker: None
        self.try_all(broken, maskers(broken))
        shown, self.tried = tuple(self.tried), proposed
        return shown

    def try_all(self, broken: Broken, candidates: list[Candidate]) -> list[tuple[Candidate, FixResult]]:
        """Start each side by side, and judge them in the order in which they end; a race several times, of which the worst counts."""
        incident = self.incident.model_copy(update={"fixes": {c.name: self.fix(c) for c in candidates}})
        times = _RACE_TIMES if self.control.races else 1
        holds = [None, *[raced_for(self.control.trace)] * (times - 1)]  # the race is forced in all but the first
        futures = {self.pool.submit(attempt, incident, c.name, True, hold): c for c in candidates for hold in holds}
        self.order += [candidate.name for candidate in candidates]
        results: dict[str, list[FixResult]] = {}
        shown = []
        for future in as_completed(futures):
            candidate = futures[future]
            try:
                started = future.result()
                self.startups += 1
            except (IncidentError, RunBroke) as error:
                self.progress(f"{candidate.name} cannot be tried: {error}")
                continue
            runs = results.setdefault(candidate.name, [])
            runs.append(self.kept(incident, candidate, started))
            if len(runs) == times:
                result = next((run for run in runs if run.verdict != "cures"), runs[0])
                self.answers[candidate.name] = answers_of(result)
                shown.append((candidate, result))
                if not self.is_open(result):
                    self.tell(candidate, result)
        for index, (candidate, result) in enumerate(shown):
            if self.is_open(result):
                shown[index] = candidate, self.settle(broken, candidate, result)
                self.tell(*shown[index])
        return sorted(shown, key=lambda result: self.order.index(result[0].name))

    def learn(self, broken: Broken, candidate: Candidate, result: FixResult, known: int) -> tuple[Candidate, FixResult]:
        """Put into both builds what the setup lacks, as long as a candidate shows that it does once the incident is gone.

        The build as it is has to show the incident with it too, else it is not kept. What is not learnt leaves the candidate open.

        :param known: how many lessons the build had that showed the result
        """
        before, incident, taught, useless, lacking = result, self.incident, [], set(), []
        started = self.again(candidate, incident) if known < len(self.lessons) and stands_behind(result) else None
        result = self.kept(incident, candidate, started) if started is not None else result
        while stands_behind(result):
            lacking = [lack for lack in self.teach(incident, result.trace) if str(lack.settings) not in useless]
            lesson = next((lack for lack in lacking if lack.incident is not None), None)
            if lesson is None or self.startups + 2 > MOST_STARTUPS or self.control.races:
                break
            self.progress(Progress(f"{candidate.name}: {lesson.because}", "proposals", self.startups, MOST_STARTUPS))
            tried = self.again(candidate, lesson.incident)
            shown = self.kept(lesson.incident, candidate, tried) if tried is not None else result
            if stands_behind(shown) and errors_of(result, self.control) <= errors_of(shown, self.control):
                useless.add(str(lesson.settings))
                continue
            incident, started, result = lesson.incident, tried, shown
            taught.append(lesson)
        if taught:
            self.startups += 1
            control = self.pool.submit(attempt, incident, None, True).result()
            if control.reproduced:
                self.incident, self.control, self.lessons = incident, control, [*self.lessons, *taught]
                result = self.kept(incident, candidate, started)
            else:
                because = f"the error is gone, but the setup lacks something ({taught[0].because}), with which the build as it is does not show the incident either"
                result = replace(before, verdict="undecided", because=because)
        if lacking and stands_behind(result):
            next_ = next((error for error, _ in met(result, self.control)), "")
            because = f"the error is gone, and what stands behind it is the setup's: {lacking[0].because}: {next_}"
            result = replace(result, verdict="undecided", because=because)
        result = self.settle(broken, candidate, result) if self.is_open(result) else result
        if result is not before:
            self.answers[candidate.name] = answers_of(result)
            self.tell(candidate, result)
        return candidate, result

    def again(self, candidate: Candidate, incident: Incident) -> Attempt | None:
        """Start a candidate in another setup; None where it cannot be started so, which is none of the startups."""
        trying = incident.model_copy(update={"fixes": {candidate.name: self.fix(candidate)}})
        with suppress(IncidentError, RunBroke):
            started = self.pool.submit(attempt, trying, candidate.name, True).result()
            self.startups += 1
            return started
        return None

    def kept(self, incident: Incident, candidate: Candidate, started: Attempt) -> FixResult:
        """The verdict on a candidate that was started, and on what it has to leave as it was."""
        incident = incident.model_copy(update={"fixes": {candidate.name: self.fix(candidate)}})
        judged = endpoints_kept(self.judged(incident, candidate.name, started), candidate.edits, self.sources)
        return nothing_lost(judged, self.control.trace)

    def is_open(self, result: FixResult) -> bool:
        """Does it cure, but for a route that fails, where the build as it is served nothing to compare that with?"""
        failing = any(answer.fails for answer in answers_of(result).values())
        return result.verdict == "cures" and failing and not self.served

    def settle(self, broken: Broken, candidate: Candidate, result: FixResult) -> FixResult:
        """Judge a route that fails by what it answers in other builds; where only that can tell, in one that hides the error."""
        change = patch_of(candidate.edits, self.sources) or str(candidate.env or candidate.path or candidate.startup)

        def by_others() -> FixResult | None:
            others = {name: answers for name, answers in self.answers.items() if name != candidate.name}
            return settled(result, change, others, self.hidden)

        if (known := by_others()) is not None:
            return known
        for masker in maskers(broken):
            if self.hidden or self.startups >= MOST_STARTUPS:
                break
            hiding = self.incident.model_copy(update={"fixes": {masker.name: self.fix(masker)}})
            with suppress(IncidentError, RunBroke):  # then it tells nothing
                started = self.pool.submit(attempt, hiding, masker.name, True).result()
                self.startups += 1
                if answers := {answer.path: answer for check in started.checks for answer in check.answers}:
                    self.answers[masker.name], self.hidden = answers, masker.name
        failing = [answer for answer in answers_of(result).values() if answer.fails]
        unknown = f"the error is gone, and {touched(failing, change, result.trace)[0]}: the build as it is answered nothing, so that it is open whether the change breaks it"
        return by_others() or replace(result, verdict="undecided", because=unknown)

    def judged(self, incident: Incident, name: str, started: Attempt) -> FixResult:
        """The verdict; what the incident file does not ask and this build cannot answer leaves it open no more."""
        added = [extra for extra in started.checks if extra.kind == "routes" and extra.check not in self.own_checks]
        routes = [] if self.served else added
        started = replace(started, checks=tuple(check for check in started.checks if check not in routes))
        result = judge_fix(incident, name, started, self.control)
        unasked = {check.check for check in started.checks if check.ok is None and check.kind != "routes"}
        if result.verdict == "undecided" and (open_ := unasked - self.own_checks) and not started.trace.cut:
            left = [check for check in incident.checks if str(check) not in open_]
            checks = tuple(check for check in started.checks if check.check not in open_)
            reduced = incident.model_copy(update={"checks": left})
            result = judge_fix(reduced, name, replace(started, checks=checks), self.control)
        return replace(result, checks=(*result.checks, *(beside(check, None) for check in routes)))

    def tell(self, candidate: Candidate, result: FixResult) -> None:
        """Keep what a candidate showed, and say it; the first that cures is handed on at once."""
        says = f"{candidate.name}: {result.verdict}: {result.because[:160]}"
        self.progress(Progress(says, "proposals", self.startups, MOST_STARTUPS))
        changes = {"env": candidate.env, "path": candidate.path, "startup": candidate.startup}
        kept = {key: value for key, value in changes.items() if value}
        proposal = Proposal(candidate.name, candidate.says, patch_of(candidate.edits, self.sources), kept, result)
        if proposal.verdict == "cures" and not any(earlier.verdict == "cures" for earlier in self.tried):
            self.verified(proposal)
        self.tried = [*(earlier for earlier in self.tried if earlier.name != candidate.name), proposal]

    def fix(self, candidate: Candidate) -> Fix:
        patches = [self.write(candidate.edits, self.sources)] if candidate.edits else []
        startup = [Step.model_validate(step) for step in candidate.startup] if candidate.startup else None
        return Fix(patches=patches, env=candidate.env, path=candidate.path, startup=startup)

    def write(self, edited: Mapping[str, str], sources: Mapping[str, str]) -> str:
        """Edits as a patch file against ``sources``; its path."""
        file = self.folder / f"{len(list(self.folder.iterdir()))}.patch"
        file.write_text(patch_of(edited, sources), "utf-8")
        return str(file)

    def behind(self, broken: Broken, candidate: Candidate, result: FixResult) -> Iterator[Candidate]:
        """What would mend the error that stands behind the first, on top of a candidate that took the first away."""
        gone = next((check for check in result.checks if check.kind == "gone"), None)
        if gone is None or gone.ok is not True or candidate.steps >= _MOST_STEPS:
            return
        empty = self.incident.model_copy(update={"expect": type(self.incident.expect)()})
        diagnosis = judge_again(empty, result.trace)
        sources = {**self.sources, **candidate.edits}
        if diagnosis.finding.mechanism == broken.finding.mechanism and diagnosis.pair is None:
            return
        judged = {"finding": diagnosis.finding, "conflict": diagnosis.conflict, "fault": diagnosis.fault}
        failing = _failing(self.incident, result.checks)
        app = self.incident.app
        app = app.model_copy(update={"path": candidate.path or app.path, "env": app.env | candidate.env})
        changed = self.incident.model_copy(update={"app": app})
        next_ = replace(broken, incident=changed, trace=result.trace, sources=sources, failing=failing, **judged)
        for more in candidates_for(next_)[:_AT_ONCE]:
            yield more.after(candidate)
        failed = {check.kind for check in result.checks if check.ok is False}
        if "migrations" in failed and failed <= {"migrations", "http", "clean_start"}:
            patches = self.fix(candidate).patches
            missing = missing_revision(self.incident, next_, patches, lambda edited: self.write(edited, sources))
            if missing is not None:
                yield missing.after(candidate)


def _broken(
    incident: Incident, decision: Decision, looked: Looked, sources: Mapping[str, str], control: Attempt
) -> Broken:
    agrees = compare(*decision.pair, looked.created, looked.stopped).agrees if decision.same_table else None
    agrees = {"the first": "first", "the second": "second"}.get(agrees)
    finding, conflict, fault, _ = decision
    failing = _failing(incident, control.checks)
    return Broken(incident, looked.trace, finding, conflict, fault, sources, agrees, failing, looked.created)


def _failing(incident: Incident, checks) -> tuple[str, ...]:
    """The paths of HTTP checks that fail, without their queries."""
    failed = {check.check for check in checks if check.ok is False and check.kind == "http"}
    return tuple(check.http.path.partition("?")[0] for check in incident.checks if check.http and str(check) in failed)
