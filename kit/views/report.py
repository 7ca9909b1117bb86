"""The kit's values as JSON, ``schema: 1``: keys that others rely on.

``site {file, line, module, name}`` · ``chain [{file, line, module}]``, application frames only, from the
startup step to the site, which comes last · ``registration {table, metadata, site, chain, outcome, link}``; ``link``: that by which the site's file was reached, or null.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..diagnose.diagnosis import Diagnosis
from ..diagnose.meaning import advice_on
from ..incident.model import Incident
from ..trace.trace import Trace
from ..trace.values import Frame, Registration, application_frames
from ..trace.why import Event
from ..verify.verification import Verification, met
from .proposals import proposals_report

if TYPE_CHECKING:
    from ..history.changes import Change
    from ..history.search import History
    from ..incident.repository import Commit
    from ..triage.frames import Differs
    from ..triage.origin import Triage
    from ..verify.propose import Proposals

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
            {
                "step": str(step),
                "ok": step.ok,
                "error": step.error,
                "seconds": None if step.seconds is None else round(step.seconds, 3),
            }
            for step in trace.steps
        ],
        "registrations": [registration(registered) for registered in trace.registrations if registered.application],
        "conflicts": [
            {
                "table": conflict.table,
                "metadata": conflict.metadata.label,
                "error": conflict.error,
                "first": registration(conflict.first) if conflict.first else None,
                "second": registration(conflict.second),
            }
            for conflict in trace.conflicts
        ],
        "swallowed": [
            {"error": str(error.error), "site": site(error.site), "chain": chain(error.chain)}
            for error in trace.swallowed
        ],
        "checks": [{"check": sign.text, "ok": False, "seen": sign.seen} for sign in trace.signs if sign.seen],
        "refused": list(trace.refused),
        "broke": trace.broke and str(trace.broke),
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
            "checks": _checks(control.checks),
            "broke": control.trace.broke and str(control.trace.broke),
        },
        "fixes": [
            {
                "name": fix.name,
                "claim": fix.claim,
                "patches": list(fix.patches),
                "verdict": fix.verdict,
                "because": fix.because,
                "checks": _checks(fix.checks),
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
    proposed = {} if proposals is None else {"proposals": proposals_report(proposals)["proposals"]}
    return {
        **diagnose_report(incident, diagnosis),
        "verify": verify_report(incident, verification),
        "missing": incident.postmortem.missing,
        **proposed,
    }


def diagnose_report(incident: Incident, diagnosis: Diagnosis) -> dict[str, Any]:
    """``reproduce``'s keys, and ``mechanism, sites, because, against, definitions, masked, hypotheses, smallest``.

    Beyond the contract: ``advice`` (what usually cures this mechanism, or null), ``table`` (what the mechanism is about),
    ``experiment`` (the run that decided it: ``says, outcome, seen``), ``agrees`` (which definition the migrations
    agree with), ``unseen`` (models that nobody imported).
    """
    definitions, smallest = diagnosis.definitions, diagnosis.smallest
    report = reproduce_report(incident, diagnosis.trace, diagnosis.reproduced)
    if not report["conflicts"] and diagnosis.pair is not None:
        first, second = diagnosis.pair  # a conflict that raised nothing
        label = first.metadata.label
        silent = {"error": None, "first": registration(first), "second": registration(second)}
        report["conflicts"] = [{"table": first.table, "metadata": label, **silent}]
    return {
        **report,
        "mechanism": diagnosis.finding.mechanism,
        "because": list(diagnosis.finding.because),
        "advice": advice_on(diagnosis.finding.mechanism),
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
        "unseen": [
            {**asdict(model.named), "by": model.by, "remedy": model.remedy, "consequence": model.consequence}
            for model in diagnosis.unseen
        ],
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
                "file": frame.frame.file,
                "line": frame.frame.line,
                "text": frame.frame.text or None,
                "matches": frame.matches,
                "function": frame.frame.function,
                "there": (frame.differs.there or None) if frame.differs else None,
                "stands_at": list(frame.differs.stands_at) if frame.differs else [],
            }
            for frame in triage.frames
        ],
        "worktree_matches": triage.worktree_matches,
        "builds": [build.sha for build in triage.builds],
        "commits": [_commit(build) for build in triage.builds],
        "excluded": [
            {
                "side": neighbour.side,
                "count": neighbour.count,
                "nearest": _commit(neighbour.nearest),
                "differs": [_differs(differ) for differ in neighbour.differs],
            }
            for neighbour in triage.excluded
        ],
        "deductions": [
            {"says": deduction.says, "because": deduction.because, "decided": deduction.decided}
            for deduction in triage.deductions
        ],
        "tracebacks": [
            {"error": str(traceback.error), "line": traceback.line, "times": traceback.times}
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
    changes = {"introduced": history.introduced, "fixed": history.fixed}
    boundaries = {"introduced": history.when_introduced, "fixed": history.when_fixed}
    return {
        "schema": SCHEMA,
        "incident": incident.title,
        "introduced": history.when_introduced.first,
        "fixed": history.when_fixed.first,
        "runs": history.runs,
        "kept": history.kept,
        "commits": [
            {**_commit(build.commit), "verdict": build.verdict, "because": build.because, "kept": build.kept}
            for build in history.builds
        ],
        "range": {"first": history.first, "last": history.last.sha, "commits": history.commits},
        "because": {name: boundary.because for name, boundary in boundaries.items()},
        "between": {name: list(boundary.between) for name, boundary in boundaries.items()},
        "searched": {name: {"runs": boundary.runs, "commits": boundary.size} for name, boundary in boundaries.items()},
        "changes": {name: _change(change) for name, change in changes.items()},
        "claims": [
            {
                **_commit(claim.commit),
                "verdict": claim.verdict,
                "because": claim.because,
                "message": claim.says,
                "before": claim.before,
                "after": claim.after,
            }
            for claim in history.claims
        ],
        "notes": list(history.notes),
    }


def _commit(commit: "Commit") -> dict[str, Any]:
    return {"sha": commit.sha, "subject": commit.subject, "date": commit.date}


def _differs(difference: "Differs") -> dict[str, Any]:
    text, there = difference.text, difference.there
    return {
        "file": difference.file,
        "line": difference.line,
        "text": text,
        "there": there,
        "stands_at": list(difference.stands_at),
    }


def _change(change: "Change | None") -> dict[str, Any] | None:
    if change is None:
        return None
    hunks = [{"file": hunk.file, "text": hunk.text} for hunk in change.hunks]
    return {**_commit(change.commit), "author": change.commit.author, "files": list(change.files), "hunks": hunks}


def registration(registered: Registration) -> dict[str, Any]:
    return {
        "table": registered.table,
        "metadata": registered.metadata.label,
        "site": registered.site._asdict(),
        "chain": chain(registered.chain),
        "outcome": registered.outcome,
        "link": registered.link,
    }


def chain(frames) -> list[dict[str, Any]]:
    return [{"file": f.file, "line": f.line, "module": f.module} for f in application_frames(frames)]


def site(frame: Frame | None) -> dict[str, Any] | None:
    return (
        None
        if frame is None
        else {"file": frame.file, "line": frame.line, "module": frame.module, "name": frame.function}
    )


def _checks(results) -> list[dict[str, Any]]:
    return [{"check": result.check, "ok": result.ok, "seen": result.seen} for result in results]


def why_report(name: str, events: Sequence[Event]) -> dict[str, Any]:
    """``{schema, name, events: [{what, name, step, chain, note}]}``, in order."""
    return {
        "schema": 1,
        "name": name,
        "events": [
            {
                "what": event.what,
                "name": event.name,
                "step": event.step,
                "chain": [{"file": f.file, "line": f.line, "module": f.module} for f in event.chain],
                "note": event.note,
            }
            for event in events
        ],
    }
