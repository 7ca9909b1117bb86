"""The kit's values as JSON, ``schema: 1``: keys that others rely on.

``site {file, line, module, name}`` · ``chain [{file, line, module}]``, application frames only, from the
startup step to the site, which comes last · ``registration {table, metadata, site, chain, outcome, link}``; ``link``: that by which the site's file was reached, or null.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..diagnose.diagnosis import Diagnosis
from ..incident.model import Incident
from ..trace.chains import application_frames
from ..trace.end_state import CheckResult
from ..trace.expected import broke_before
from ..trace.trace import Trace
from ..trace.values import Conflict, Error, Frame, Registration
from ..trace.why import Event
from ..verify.verification import Verification, met

if TYPE_CHECKING:
    from ..history.commit_changes import Change
    from ..history.search import History
    from ..incident.repository import Commit
    from ..triage.origin import Triage
    from ..verify.propose import Proposal, Proposals

SCHEMA = 1


def reproduce_report(incident: Incident, trace: Trace, reproduced: bool) -> dict[str, Any]:
    """``{schema, incident, reproduced, steps, registrations, conflicts, swallowed, refused, provenance}``.

    ``broke`` (why the run itself broke, or null) and ``lost`` (what could not be recorded) say how far to trust the report.
    """
    return {
        "schema": SCHEMA,
        "incident": incident.title,
        "reproduced": reproduced,
        "steps": [
            {"step": str(step), "ok": step.ok, "error": step.error, "causes": _causes(step.exception)}
            | {"seconds": step.seconds and round(step.seconds, 3)}
            for step in trace.steps
        ],
        "registrations": [registration(registered) for registered in trace.registrations if registered.application],
        "conflicts": [_conflict(conflict, conflict.error) for conflict in trace.conflicts],
        "swallowed": [
            {
                "error": str(error.error),
                "site": site(error.site),
                "chain": chain(error.chain),
                "how": error.how,
                "caught": site(trace.catcher(error)),
            }
            for error in trace.swallowed
        ],
        "checks": [{"check": sign.text, "ok": False, "seen": sign.seen} for sign in trace.signs if sign.seen],
        "refused": list(trace.refused),
        "broke": _text(broke_before(incident, trace)),
        "lost": list(trace.lost),
        "provenance": trace.provenance,
    }


def verify_report(incident: Incident, verification: Verification) -> dict[str, Any]:
    """``{schema, incident, control: {reproduced}, fixes: [{name, verdict, checks: [{check, ok, seen}]}], verified: [name]}``.

    Beyond the contract: ``because`` of a verdict, and ``met``, the errors that a fix's run met in place of the incident's, and
    ``rates`` where it is a race: ``{shown, starts, control_shown, control_starts, by_luck}``, else null.
    """
    control = verification.control
    return {
        "schema": SCHEMA,
        "incident": incident.title,
        "control": {
            "reproduced": verification.reproduced,
            "checks": checks(control.checks),
            "broke": _text(broke_before(incident, control.trace)),
        },
        "fixes": [
            {
                **_fields(fix, "name claim patches verdict because"),
                "checks": checks(fix.checks),
                "rates": fix.rates and {**asdict(fix.rates), "by_luck": fix.rates.by_luck},
                "met": [{"error": error, "site": site(frame)} for error, frame in met(fix, control)],
            }
            for fix in verification.fixes
        ],
        "verified": list(verification.verified),
        "provenance": control.trace.provenance,
    }


def postmortem_report(
    incident: Incident, verification: Verification, diagnosis: Diagnosis, proposals: "Proposals | None" = None
) -> dict[str, Any]:
    """What the postmortem proves: the keys of the diagnosis, those of the verification under ``verify``, and the proposals.

    ``proposals`` are those of ``propose``; it is there where the page shows them.
    """
    report = diagnose_report(incident, diagnosis) | {"verify": verify_report(incident, verification)}
    report["missing"] = incident.postmortem.missing
    return report if proposals is None else report | {"proposals": proposals_report(proposals)["proposals"]}


def diagnose_report(incident: Incident, diagnosis: Diagnosis) -> dict[str, Any]:
    """``reproduce``'s keys, and ``mechanism, sites, because, against, definitions, masked, hypotheses, smallest``.

    Beyond the contract: ``advice`` (what usually cures this mechanism, or null), ``table`` (what the mechanism is about),
    ``experiment`` (the run that decided it: ``says, outcome, seen``), ``agrees`` (which definition the migrations
    agree with), ``unseen`` (models that nobody imported).
    """
    definitions, smallest = diagnosis.definitions, diagnosis.smallest
    report = reproduce_report(incident, diagnosis.trace, diagnosis.reproduced)
    if not report["conflicts"] and diagnosis.meeting is not None:
        report["conflicts"] = [_conflict(diagnosis.meeting, None) | {"table": diagnosis.pair[0].table}]
    return {
        **report,
        "mechanism": diagnosis.finding.mechanism,
        "because": list(diagnosis.finding.because),
        "advice": diagnosis.finding.advice,
        "against": diagnosis.finding.against,
        "table": diagnosis.table,
        "sites": [place._asdict() for place in diagnosis.sites],
        "experiment": asdict(diagnosis.experiment) if diagnosis.experiment else None,
        "definitions": [asdict(column) for column in definitions.columns] if definitions else [],
        "agrees": definitions.agrees if definitions else None,
        "masked": [
            {"error": str(error.error), "site": site(error.site), "follows": error.follows}
            for error in diagnosis.masked
        ],
        "hypotheses": [asdict(hypothesis) for hypothesis in diagnosis.hypotheses],
        "smallest": [str(step) for step in smallest.steps] if smallest else [],
        "smallest_command": smallest.command if smallest else None,
        "unseen": [{**asdict(model.named), **_fields(model, "by remedy consequence")} for model in diagnosis.unseen],
    }


def triage_report(incident: Incident, triage: "Triage") -> dict[str, Any]:
    """``{schema, incident, error, frames, worktree_matches, builds: [sha, newest first], deductions}``.

    Beyond the contract: ``commits`` (the builds with subject and date), ``excluded`` (those that cannot have
    made the log, and what differs there), ``tracebacks`` (all that the log holds), ``notes``.
    """
    return {
        "schema": SCHEMA,
        "incident": incident.title,
        "error": str(triage.traceback.error),
        "frames": [
            {
                **_fields(result.frame, "file line function"),
                "text": result.frame.text or None,
                "matches": result.matches,
                "there": (result.differs.there or None) if result.differs else None,
                "stands_at": list(result.differs.stands_at) if result.differs else [],
            }
            for result in triage.frames
        ],
        "worktree_matches": triage.worktree_matches,
        "builds": [build.sha for build in triage.builds],
        "commits": [_commit(build) for build in triage.builds],
        "excluded": [
            {
                **_fields(neighbour, "side count"),
                "nearest": _commit(neighbour.nearest),
                "differs": [asdict(differ) for differ in neighbour.differs],
            }
            for neighbour in triage.excluded
        ],
        "deductions": [asdict(deduction) for deduction in triage.deductions],
        "tracebacks": [
            {"error": str(traceback.error), **_fields(traceback, "line times")}
            for traceback in sorted((triage.traceback, *triage.others), key=lambda traceback: traceback.line)
        ],
        "notes": list(triage.notes),
    }


def history_report(incident: Incident, history: "History") -> dict[str, Any]:
    """``{schema, incident, introduced: sha or null, fixed: sha or null, runs, commits: [{sha, verdict}]}``.

    Beyond the contract: ``changes`` (both commits, cut to the hunks that matter), ``because`` (how each is
    known, or why it is not), ``between`` (commits that an undecided boundary lies among), ``searched`` (builds
    asked for and commits searched, a boundary), ``kept`` (results that were there already), ``claims``.
    """
    boundaries = {"introduced": history.when_introduced, "fixed": history.when_fixed}
    return {
        "schema": SCHEMA,
        "incident": incident.title,
        **{name: boundary.first for name, boundary in boundaries.items()},
        **_fields(history, "runs kept"),
        "commits": [{**_commit(build.commit), **_fields(build, "verdict because kept")} for build in history.builds],
        "range": {"first": history.first, "last": history.last.sha, "commits": history.commits},
        "because": {name: boundary.because for name, boundary in boundaries.items()},
        "between": {name: list(boundary.between) for name, boundary in boundaries.items()},
        "searched": {name: {"runs": boundary.runs, "commits": boundary.size} for name, boundary in boundaries.items()},
        "changes": {"introduced": _change(history.introduced), "fixed": _change(history.fixed)},
        "claims": [
            {**_commit(claim.commit), **_fields(claim, "verdict because before after"), "message": claim.says}
            for claim in history.claims
        ],
        "notes": list(history.notes),
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _fields(value: object, names: str) -> dict[str, Any]:
    """The attributes of a value that are named one after the other."""
    return {name: getattr(value, name) for name in names.split()}


def _commit(commit: "Commit") -> dict[str, Any]:
    return _fields(commit, "sha subject date")


def _change(change: "Change | None") -> dict[str, Any] | None:
    if change is None:
        return None
    hunks = [_fields(hunk, "file text") for hunk in change.hunks]
    return {**_fields(change.commit, "sha subject date author"), "files": list(change.files), "hunks": hunks}


def _conflict(conflict: Conflict, error: str | None) -> dict[str, Any]:
    """:param error: None where nothing was raised"""
    first = registration(conflict.first) if conflict.first else None
    about = {"table": conflict.table, "metadata": conflict.metadata.label, "error": error}
    return {**about, "first": first, "second": registration(conflict.second)}


def registration(registered: Registration) -> dict[str, Any]:
    return {
        "table": registered.table,
        "metadata": registered.metadata.label,
        "site": registered.site._asdict(),
        "chain": chain(registered.chain),
        "outcome": registered.outcome,
        "link": registered.link,
    }


def _causes(error: Error | None) -> list[dict[str, Any]]:
    """``[{error, site, chain}]`` of what an exception came from, the nearest first, as far as another line raised it."""
    causes = error.chain[1:] if error is not None else ()
    return [{"error": str(cause), "site": site(cause.site), "chain": chain(cause.frames)} for cause in causes]


def chain(frames: Iterable[Frame]) -> list[dict[str, Any]]:
    return [_fields(frame, "file line module") for frame in application_frames(frames)]


def site(frame: Frame | None) -> dict[str, Any] | None:
    return frame and {**_fields(frame, "file line module"), "name": frame.function}


def checks(results: Iterable[CheckResult]) -> list[dict[str, Any]]:
    return [_fields(result, "check ok seen") for result in results]


def why_report(name: str, events: Sequence[Event]) -> dict[str, Any]:
    """``{schema, name, events: [{what, name, step, chain, note}]}``, in order."""
    listed = [
        {
            **_fields(event, "what name step note"),
            "chain": [_fields(frame, "file line module") for frame in event.chain],
        }
        for event in events
    ]
    return {"schema": SCHEMA, "name": name, "events": listed}


def proposals_report(proposals: "Proposals") -> dict[str, Any]:
    """``{schema, mechanism, proposals: [{name, says, patch, changes, verdict, because, checks}], verified, startups, note}``."""

    def listed(tried: "Iterable[Proposal]") -> list[dict[str, Any]]:
        names = "name says patch changes verdict"
        judged = ((proposal, proposal.result) for proposal in tried)
        return [{**_fields(p, names), "because": r.because, "checks": checks(r.checks)} for p, r in judged]

    return {
        "schema": SCHEMA,
        **_fields(proposals, "mechanism reproduced"),
        "proposals": listed(proposals.tried),
        "verified": list(proposals.verified),
        **_fields(proposals, "startups note"),
        "setup": [_fields(lesson, "settings because") for lesson in proposals.lessons],
        **({"maskers": listed(proposals.maskers)} if proposals.maskers else {}),
    }
