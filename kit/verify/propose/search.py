"""Tries candidates as fixes are tried, and lets one grow over the errors that stand behind the first until it cures."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from ...base.interrupt import interruptible, pool_of
from ...base.progress import Step as Progress
from ...diagnose.decision import Decision, decide_mechanism
from ...diagnose.definitions import compare
from ...diagnose.diagnosis import judge_again
from ...diagnose.experiments import patch_of
from ...diagnose.looked import Looked, look_at, signed
from ...incident.model import Check, Fix, Incident, Step
from ...startup.migrations import find_config
from ...startup.workspace import workspace
from ...trace.expected import shows_incident
from ..verification import Attempt, FixResult, attempt, judge_fix
from .candidates import UNSAFE, Broken, Candidate, candidates_for
from .revision import missing_revision

MOST_STARTUPS = 12
_MOST_STEPS = 4  # errors behind one another that one proposal mends
_AT_ONCE = 4  # candidates of one round
_LARGEST = 1 << 20  # bytes of a file that is read
_USUAL = ("/", "/health", "/openapi.json")  # asked of a server that comes up: what answered before has to answer after


@dataclass(frozen=True)
class Proposal:
    """A fix that the kit wrote and tried.

    :ivar patch: for ``git apply`` at the application's root; "" where only settings change
    :ivar changes: ``env``, ``path``, ``startup``: what is set otherwise
    """

    name: str
    says: str
    patch: str
    changes: dict
    result: FixResult

    @property
    def verdict(self) -> str:
        return self.result.verdict


@dataclass(frozen=True)
class Proposals:
    """What was proposed and tried, verified ones first, the smallest patch first.

    :ivar mechanism: that of the build as it is
    :ivar note: why there is none, or why the search ended
    """

    mechanism: str
    reproduced: bool
    tried: tuple[Proposal, ...]
    startups: int
    note: str = ""

    @property
    def verified(self) -> tuple[str, ...]:
        return tuple(proposal.name for proposal in self.tried if proposal.verdict == "cures")


@interruptible
def propose(
    incident: Incident,
    *,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Proposals:
    """Write fixes for the mechanism of an incident, and try each: at most 12 startups, some side by side.

    :param executor: where the startups run; by default threads, one a core
    :raises RunBroke: the build as it is could not begin
    """
    with pool_of(executor) as pool, tempfile.TemporaryDirectory(prefix="kit-propose-") as folder:
        progress(Progress("starting the application as it is", "proposals", 0, MOST_STARTUPS))
        sources, config = _sources(incident)
        asked = _with_checks(incident, config)
        seen, first = pool.submit(look_at, incident), pool.submit(attempt, asked)
        looked, control = seen.result(), first.result()
        asked, control = _without_what_did_not_answer(incident, asked, control)
        decision = decide_mechanism(incident, looked, progress)
        trace = looked.trace if incident.expect.error else signed(incident, looked, decision.fault).trace
        if not shows_incident(incident, trace):
            return Proposals(
                decision.finding.mechanism, False, (), 2, "it does not reproduce, so nothing shows what would cure it"
            )
        search = _Search(asked, control, sources, Path(folder), pool, progress)
        search.run(_broken(incident, decision, looked, sources, control))
    mechanism = decision.finding.mechanism
    order = sorted(search.tried, key=lambda proposal: (proposal.verdict != "cures", len(proposal.patch.splitlines())))
    return Proposals(mechanism, True, tuple(order), search.startups, _note(mechanism, search, order))


def _note(mechanism: str, search: "_Search", tried: list[Proposal]) -> str:
    if any(proposal.verdict == "cures" for proposal in tried):
        return ""
    if not tried:
        return UNSAFE.get(mechanism, f"for {mechanism} the kit knows no change that it could make safely here")
    if search.startups >= MOST_STARTUPS:
        return f"the search ended at {MOST_STARTUPS} startups"
    return "none of the changes that were tried holds"


class _Search:
    """One search: which candidates were tried, and what each showed."""

    def __init__(self, incident: Incident, control: Attempt, sources: Mapping[str, str], folder: Path, pool, progress):
        self.incident, self.control, self.sources, self.folder = incident, control, sources, folder
        self.pool, self.progress = pool, progress
        self.startups = 2
        self.tried: list[Proposal] = []

    def run(self, broken: Broken) -> None:
        """Round by round: what does not cure yet, and shows another error, is gone on with."""
        candidates = candidates_for(broken)[:_AT_ONCE]
        for _ in range(_MOST_STEPS):
            candidates = candidates[: MOST_STARTUPS - self.startups]
            if not candidates:
                return
            shown = self.try_all(candidates)
            if any(result.verdict == "cures" for _, result in shown):
                return
            candidates = [more for candidate, result in shown for more in self.behind(broken, candidate, result)]

    def try_all(self, candidates: list[Candidate]) -> list[tuple[Candidate, FixResult]]:
        """Start each side by side, in the order in which they end."""
        fixes = {candidate.name: self.fix(candidate) for candidate in candidates}
        incident = self.incident.model_copy(update={"fixes": fixes})
        futures = {self.pool.submit(attempt, incident, candidate.name): candidate for candidate in candidates}
        self.startups += len(candidates)
        shown = []
        for future in as_completed(futures):
            candidate = futures[future]
            result = judge_fix(incident, candidate.name, future.result(), self.control)
            self.progress(
                Progress(
                    f"{candidate.name}: {result.verdict}: {result.because[:160]}",
                    "proposals",
                    self.startups,
                    MOST_STARTUPS,
                )
            )
            changes = {"env": candidate.env, "path": candidate.path, "startup": candidate.startup}
            kept = {key: value for key, value in changes.items() if value}
            patch = patch_of({file: text or "" for file, text in candidate.edits.items()}, self.sources)
            self.tried.append(Proposal(candidate.name, candidate.says, patch, kept, result))
            shown.append((candidate, result))
        return shown

    def fix(self, candidate: Candidate) -> Fix:
        patches = []
        if candidate.edits:
            file = self.folder / f"{len(self.tried)}-{candidate.name}.patch".replace("/", "-")
            file.write_text(
                patch_of({name: text or "" for name, text in candidate.edits.items()}, self.sources), "utf-8"
            )
            patches = [str(file)]
        startup = [Step.model_validate(step) for step in candidate.startup] if candidate.startup else None
        return Fix(patches=patches, env=candidate.env, path=candidate.path, startup=startup)

    def write(self, edited: Mapping[str, str | None], sources: Mapping[str, str]) -> str:
        """Edits as a patch file against ``sources``; its path."""
        file = self.folder / f"{len(list(self.folder.iterdir()))}.patch"
        file.write_text(patch_of({name: text or "" for name, text in edited.items()}, dict(sources)), "utf-8")
        return str(file)

    def behind(self, broken: Broken, candidate: Candidate, result: FixResult) -> Iterator[Candidate]:
        """What would mend the error that stands behind the first, on top of a candidate that took the first away."""
        gone = next((check for check in result.checks if check.kind == "gone"), None)
        if gone is None or gone.ok is not True:
            return
        empty = self.incident.model_copy(update={"expect": type(self.incident.expect)()})
        diagnosis = judge_again(empty, result.trace)
        sources = {**self.sources, **{file: text for file, text in candidate.edits.items() if text is not None}}
        if diagnosis.finding.mechanism == broken.finding.mechanism and diagnosis.pair is None:
            return
        next_ = replace(
            broken,
            trace=result.trace,
            finding=diagnosis.finding,
            conflict=diagnosis.conflict,
            fault=diagnosis.fault,
            sources=sources,
            failing=_failing(self.incident, result.checks),
        )
        for more in candidates_for(next_)[:_AT_ONCE]:
            yield more.after(candidate)
        failed = [check for check in result.checks if check.ok is False]
        if any(check.kind == "migrations" for check in failed) and all(
            check.kind in ("migrations", "http") for check in failed
        ):
            missing = missing_revision(
                self.incident, next_, self.fix(candidate).patches, lambda edited: self.write(edited, sources)
            )
            if missing is not None:
                yield missing.after(candidate)


def _broken(
    incident: Incident, decision: Decision, looked: Looked, sources: Mapping[str, str], control: Attempt
) -> Broken:
    agrees = None
    if decision.same_table:
        definitions = compare(*decision.pair, looked.created, looked.stopped)
        agrees = {"the first": "first", "the second": "second"}.get(definitions.agrees)
    return Broken(
        incident,
        looked.trace,
        decision.finding,
        decision.conflict,
        decision.fault,
        sources,
        agrees,
        _failing(incident, control.checks),
    )


def _failing(incident: Incident, checks) -> tuple[str, ...]:
    """The paths of HTTP checks that fail, without their queries."""
    failed = {check.check for check in checks if check.ok is False and check.kind == "http"}
    return tuple(check.http.path.partition("?")[0] for check in incident.checks if check.http and str(check) in failed)


def _sources(incident: Incident) -> tuple[dict[str, str], str | None]:
    """Every text of the application that a candidate may read or change, by path; and its ``alembic.ini``."""
    sources = {}
    with workspace(incident) as space:
        config = find_config(incident, space)
        for file in sorted(space.root.rglob("*")):
            name = file.relative_to(space.root).as_posix()
            parts = name.split("/")
            skipped = any(part.startswith(".") or part in ("node_modules", "__pycache__") for part in parts)
            if (
                skipped
                or file.suffix not in (".py", ".ini", ".toml", ".cfg")
                or not file.is_file()
                or file.is_symlink()
            ):
                continue
            if file.stat().st_size <= _LARGEST:
                try:
                    sources[name] = file.read_bytes().decode("utf-8")
                except (OSError, UnicodeDecodeError):
                    continue
        root = str(space.root)
    return sources, config and config.removeprefix(root).lstrip("/")


def _with_checks(incident: Incident, config: str | None) -> Incident:
    """The incident with the checks that it lacks: mappers, a clean start, migrations, and what a server usually answers."""
    kinds = {check.kind for check in incident.checks}
    more: list[dict] = []
    if "mappers" not in kinds:
        more.append({"mappers": True})
    if "clean_start" not in kinds:
        more.append({"clean_start": True})
    if "migrations" not in kinds and config is not None:
        more.append({"migrations": config})
    if any(step.kind == "serve" for step in incident.startup):
        asked = {check.http.path for check in incident.checks if check.http}
        more += [{"http": {"path": path, "status": 200}} for path in _USUAL if path not in asked]
    return incident.model_copy(update={"checks": [*incident.checks, *map(Check.model_validate, more)]})


def _without_what_did_not_answer(incident: Incident, asked: Incident, control: Attempt) -> tuple[Incident, Attempt]:
    """Of what was added, only what held before says anything about a fix; the others would be failures of nobody's."""
    own = {str(check) for check in incident.checks}
    held = {check.check for check in control.checks if check.ok}
    state = ("mappers", "clean_start")
    kept = [check for check in asked.checks if str(check) in own or str(check) in held or check.kind in state]
    names = {str(check) for check in kept}
    checks = tuple(check for check in control.checks if check.check in names or check.kind in state)
    return asked.model_copy(update={"checks": kept}), replace(control, checks=checks)
