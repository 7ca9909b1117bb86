"""The kit's values as JSON, ``schema: 1``: keys that others rely on.

``site {file, line, module, name}`` · ``chain [{file, line, module}]``, application frames only, from the
startup step to the site, which comes last · ``registration {table, metadata, site, chain, outcome}``.
"""

from typing import Any

from .incident import Incident
from .trace import Frame, Registration, Trace, application_frames
from .verify import Verification

SCHEMA = 1


def reproduce_report(incident: Incident, trace: Trace, reproduced: bool) -> dict[str, Any]:
    """``{schema, incident, reproduced, steps, registrations, conflicts, swallowed, refused, provenance}``.

    ``broke`` (why the run itself broke, or null) and ``lost`` (what could not be recorded) say how far to trust it.
    """
    return {
        "schema": SCHEMA,
        "incident": incident.title,
        "reproduced": reproduced,
        "steps": [
            {
                "step": str(one),
                "ok": one.ok,
                "error": one.error,
                "seconds": None if one.seconds is None else round(one.seconds, 3),
            }
            for one in trace.steps
        ],
        "registrations": [registration(one) for one in trace.registrations if one.application],
        "conflicts": [
            {
                "table": one.table,
                "metadata": one.metadata.label,
                "error": one.error,
                "first": registration(one.first) if one.first else None,
                "second": registration(one.second),
            }
            for one in trace.conflicts
        ],
        "swallowed": [
            {"error": str(one.error), "site": site(one.site), "chain": chain(one.chain)} for one in trace.swallowed
        ],
        "refused": list(trace.refused),
        "broke": trace.broke,
        "lost": list(trace.lost),
        "provenance": trace.provenance,
    }


def verify_report(incident: Incident, verification: Verification) -> dict[str, Any]:
    """``{schema, incident, control: {reproduced}, fixes: [{name, verdict, checks: [{check, ok, seen}]}], verified: [name]}``."""
    control = verification.control
    return {
        "schema": SCHEMA,
        "incident": incident.title,
        "control": {
            "reproduced": verification.reproduced,
            "checks": _checks(control.checks),
            "broke": control.trace.broke,
        },
        "fixes": [
            {
                "name": one.name,
                "claim": one.claim,
                "patches": list(one.patches),
                "verdict": one.verdict,
                "because": one.because,
                "checks": _checks(one.checks),
            }
            for one in verification.fixes
        ],
        "verified": list(verification.verified),
        "provenance": control.trace.provenance,
    }


def postmortem_report(incident: Incident, trace: Trace, reproduced: bool, verification: Verification) -> dict[str, Any]:
    """What the postmortem proves: the reproduction's keys, and those of the verification under ``verify``."""
    return {
        **reproduce_report(incident, trace, reproduced),
        "verify": verify_report(incident, verification),
        "missing": incident.postmortem.missing,
    }


def registration(one: Registration) -> dict[str, Any]:
    return {
        "table": one.table,
        "metadata": one.metadata.label,
        "site": one.site._asdict(),
        "chain": chain(one.chain),
        "outcome": one.outcome,
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
    return [{"check": one.check, "ok": one.ok, "seen": one.seen} for one in results]
