"""What the command line prints of a result, as lines. Nothing is decided here."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..diagnose.explanations import MEANINGS
from ..incident.model import Incident
from ..trace.chains import application_frames
from ..trace.end_state import where_caught
from ..trace.expected import advice, refusals, why_not
from ..trace.trace import Trace
from ..trace.values import Conflict
from .wording import listed

if TYPE_CHECKING:
    from ..diagnose.diagnosis import Diagnosis
    from ..diagnose.unseen_tables import Unseen
    from ..verify.verification import Verification

_MOST = 10  # lines of one kind on a terminal
_STEP = {True: "succeeded", False: "failed", None: "not run"}
_CHECK = {True: "pass", False: "fail", None: "undecided"}


def startup_lines(incident: Incident, trace: Trace, reproduced: bool) -> list[str]:
    """What ``reproduce`` says: each step, each table that was rejected, each error that was swallowed."""
    lines = [f"{incident.title} — {'reproduced' if reproduced else 'not reproduced'}"]
    for step in trace.steps:
        lines.append(f"  step {step.number}  {_STEP[step.ok]}  {step}")
        if step.error:
            broke = "the run broke: " if step.broke and step.broke == trace.broke else ""
            lines += [f"      {line}" for line in (f"{broke}{_in_line(step.error)}", *advice(incident, step.error))]
            for error in step.exception.chain if step.exception else ():
                frames, caused = application_frames(error.frames), error is not step.exception
                if frames and not any(conflict.second.site.file == frames[-1].file for conflict in trace.conflicts):
                    came_of = f"{error.as_cause}, " if caused else ""
                    lines.append(f"      {came_of}raised at {' → '.join(map(str, frames))}")
    lines += [f"  {line}" for line in [refusals(trace.refused)] if line]
    for conflict in trace.conflicts:
        lines += _conflict(conflict)
    lines += [f"  swallowed at {where_caught(trace, caught)}: {_in_line(caught.error)}" for caught in trace.swallowed]
    lines += [
        f"  {'a mechanism that raises nothing' if sign.kind == 'mechanism' else 'fails'}: {sign.text}{f': {_in_line(sign.seen)}' if sign.seen else ''}"
        for sign in trace.signs
    ]
    errors = [judged.error for judged in trace.judged if judged.error is not None and trace.whole and not trace.signs]
    lines += [f"  the mappers do not configure: {_in_line(error)}" for error in errors[:1]]
    lines += [] if reproduced else [f"  {reason}" for reason in why_not(incident, trace, with_failures=True)]
    if trace.broke and not any(step.broke for step in trace.steps):
        lines.append(f"  the run broke: {trace.broke}")
    return lines + [f"  not recorded: {text}" for text in trace.lost]


def _in_line(text: object) -> str:
    """A text without line ends: an error of a database holds its whole statement."""
    return " ".join(str(text).split())


def _conflict(conflict: Conflict) -> Iterable[str]:
    yield f"  {conflict.tables}, on the metadata made at {conflict.metadata.label}"
    first, second = conflict.first, conflict.second
    two_names = first is not None and first.site.file == second.site.file and first.site.module != second.site.module
    for which, registration in (("first ", first), ("second", second)):
        if registration is not None:
            route = " → ".join(str(frame) for frame in application_frames(registration.chain)[:-1])
            site = registration.site
            named = f" of module {site.module}" if two_names else ""
            yield f"    {which} {site} {site.name or ''}{named}{registration.through} by {route or 'the step itself'}"


def diagnosis_lines(incident: Incident, diagnosis: "Diagnosis") -> list[str]:
    """What ``diagnose`` says beyond ``reproduce``: the mechanism, why, what to do, what is hidden behind it."""
    finding, smallest, tried = diagnosis.finding, diagnosis.smallest, diagnosis.experiment
    lines = [*startup_lines(incident, diagnosis.trace, diagnosis.reproduced), f"mechanism: {finding.mechanism}"]
    meaning = MEANINGS.get(finding.mechanism)
    lines += [f"  {meaning.happened}"] if meaning else []
    shown = diagnosis.conflict is not None and diagnosis.conflict in diagnosis.trace.conflicts  # both lines stand above
    because = finding.because[1 if shown and len(finding.because) > 1 else 0 :]
    lines += [f"  because {_in_line(sentence)}" for sentence in because[:_MOST]] + _more(len(because), "  because")
    lines += [] if shown else [f"  {place.role} {place} {place.name or ''}".rstrip() for place in diagnosis.sites]
    lines += [f"  tried: {tried.says}; {tried.outcome}: {tried.seen}"] if tried else []
    lines += [f"  what to do: {advised}" for advised in [finding.advice] if advised]
    lines += [f"migrations agree with: {diagnosis.definitions.agrees}"] if diagnosis.definitions else []
    hidden = [error for error in diagnosis.masked if not error.follows]
    for error in hidden[:_MOST]:
        at = f" at {error.site}" if error.site else ""
        lines.append(f"hidden behind it: {_in_line(error.error)}{at}")
    lines += _more(len(hidden), "hidden behind it")
    lines += [f"{tested.verdict}: {tested.claim}\n    {tested.evidence}" for tested in diagnosis.hypotheses]
    lines += [f"smallest reproduction: {smallest.command or smallest.note}"] if smallest else []
    return lines + _unseen(diagnosis.unseen)


def _unseen(unseen: "Sequence[Unseen]") -> list[str]:
    """Tables that nothing saw, one line for what is to be done about several."""
    by_remedy: dict[tuple[str, str], list[str]] = {}
    for model in unseen:
        table = f"{model.named.table} ({model.named.file}:{model.named.line})"
        by_remedy.setdefault((model.by, model.remedy), []).append(table)
    lines = []
    for (by, remedy), tables in list(by_remedy.items())[:_MOST]:
        named = listed(tables, _MOST)
        lines.append(f"not seen by {by}: {'tables' if len(tables) > 1 else 'table'} {named}; {remedy}")
    return lines + _more(len(by_remedy), "modules with tables that were not seen")


def _more(number: int, what: str) -> list[str]:
    return [f"{what}: {number - _MOST} more (the JSON has all)"] if number > _MOST else []


def verification_lines(incident: Incident, verification: "Verification") -> list[str]:
    """What ``verify`` says: the build without a fix, and each fix with its checks."""
    trace = verification.control.trace
    lines = [f"without a fix: {'reproduces' if verification.reproduced else 'does not reproduce'}"]
    lines += [] if verification.reproduced else [f"    {reason}" for reason in why_not(incident, trace)]
    lines += [f"    {line}" for line in [refusals(trace.refused)] if line]
    for fix in verification.fixes:
        lines.append(f"{fix.name}: {fix.verdict}: {_in_line(fix.because)}")
        lines += [f"    {_CHECK[check.ok]}  {check.check}: {_in_line(check.seen)}" for check in fix.checks]
    return [*lines, f"verified: {', '.join(verification.verified) or 'no fix'}"]


def postmortem_lines(page: object, verdict: str, report: dict[str, Any]) -> list[str]:
    """What ``postmortem`` says: where the page is, the verdict, what to do, what is still to be written."""
    lines = [f"page: {page}", f"verdict: {verdict}", f"mechanism: {report['mechanism']}"]
    lines += [f"what to do: {report['advice']}"] if report.get("advice") else []
    lines += [line for line in [refusals(report["refused"])] if line]
    missing = ", ".join(name.replace("_", " ") for name in report["missing"])
    return lines + ([f"still to be written, under postmortem: {missing}"] if missing else [])
