"""What a reader sees first: does it reproduce, why, at which lines, what to change, who was hit, what is to be done."""

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .. import __version__
from ..diagnose.definitions import one_place
from ..diagnose.explanations import MEANINGS
from ..diagnose.values import Place
from ..incident.builds import identity
from ..incident.model import Incident
from ..trace.end_state import looked_at
from ..trace.expected import advice, refusals, shows_incident, why_not
from ..trace.graph import import_graph
from ..trace.trace import Trace
from ..verify.verification import FixResult, Verification
from .by_people import still_to_be_written
from .diff import patch_of, patch_text
from .markup import (
    Part,
    Shown,
    beside,
    code,
    count,
    day,
    items,
    join,
    judged,
    line_of_times,
    missing,
    para,
    part,
    stack,
    strong,
    top_line,
    with_code,
    with_places,
)
from .ran_with import applied_by
from .wording import first_sentence, listed, sentence, shortly

if TYPE_CHECKING:
    from ..diagnose.diagnosis import Diagnosis
    from ..history.search import History
    from ..verify.propose import Proposals

_NEXT = (
    "To try a fix: write the change as a patch (",
    code("git diff --relative > fix.patch"),
    " in the application's folder), name it under ",
    code("fixes"),
    " in the incident file, and run this again.",
)
_MOST_LINES = 20  # of a patch that are shown at once
# Mechanisms that the incident file itself can bring in: it starts the application with too little.
_BY_THE_FILE = {"setting-missing", "module-not-on-path", "driver-not-installed", "unknown-url-scheme"}


class Headline(NamedTuple):
    """The verdict in a sentence; ``good`` is None where no fix cures yet, or where the runs decide nothing."""

    text: str
    good: bool | None
    status: str  # the same in a word or two


def _reproduced(incident: Incident, trace: Trace, diagnosis: "Diagnosis | None") -> bool:
    return diagnosis.reproduced if diagnosis else shows_incident(incident, trace)


def headline(
    incident: Incident, trace: Trace, verification: Verification | None = None, diagnosis: "Diagnosis | None" = None
) -> Headline:
    """The verdict. It is good only if a fix cures: an incident that reproduces is not good news."""
    reproduced = _reproduced(incident, trace, diagnosis)
    wanted = incident.expect.error or incident.expect.table
    if trace.broke and not reproduced:
        return Headline("The run broke before it could tell", None, "the run broke")
    if not reproduced and not wanted:
        says = f"It does not reproduce: every step succeeded, and no error was swallowed {looked_at(trace)}"
        return Headline(says, None, "nothing found")
    if not reproduced:
        return Headline("It does not reproduce", False, "does not reproduce")
    if verification is None:
        return Headline("It reproduces", None, "reproduces")
    if not verification.reproduced:
        says = "It reproduces in the diagnosis and not in the verification: no fix was tried"
        return Headline(says, None, "reproduces")
    return _of_fixes(verification)


def _of_fixes(verification: Verification) -> Headline:
    tried, verified = len(verification.fixes), verification.verified
    if not tried:
        return Headline("It reproduces, and there is no fix to try yet", None, "reproduces, no fix yet")
    if verified:
        cure = "cures" if len(verified) == 1 else "cure"
        of = f"{len(verified)} of {tried} fixes {cure}" if tried > 1 else "the fix cures"
        return Headline(f"It reproduces, and {of} it: {listed(verified)}", True, "fix verified")
    if verification.broke:
        open_ = listed([fix.name for fix in verification.fixes if fix.verdict == "undecided"])
        return Headline(f"It reproduces, and whether a fix cures it is undecided: {open_}", None, "fix undecided")
    none = f"none of {tried} fixes cures it" if tried > 1 else "its fix does not cure it"
    return Headline(f"It reproduces, and {none}", False, "no fix verified")


def verdict(
    incident: Incident,
    trace: Trace,
    verification: Verification | None = None,
    diagnosis: "Diagnosis | None" = None,
    *,
    place: str | None = "verdict",
) -> Shown:
    """The banner: does it reproduce, is a fix verified, at which lines and, with a diagnosis, why."""
    head = headline(incident, trace, verification, diagnosis)
    facts = [
        *_what_broke(incident, trace, _reproduced(incident, trace, diagnosis)),
        *_sites(trace, diagnosis),
        *_failed(incident, trace, diagnosis),
    ]
    if trace.swallowed:
        conflict = _conflict(trace, diagnosis)
        facts.append(_swallowed(trace, conflict.error if conflict is not None else None))
    facts += _why(diagnosis) if diagnosis is not None else []
    top = top_line(head.good, head.text)
    return Shown([top, items(facts)] if facts else [top], place=place)


def overview(
    incident: Incident,
    verification: Verification,
    diagnosis: "Diagnosis",
    history: "History | None" = None,
    proposals: "Proposals | None" = None,
) -> Shown:
    """The first screen: a status line, the cause, the lines, what to change, who was hit, what is to be done."""
    trace, postmortem = diagnosis.trace, incident.postmortem
    head = headline(incident, trace, verification, diagnosis)
    if verification.reproduced and not verification.verified and proposals is not None and proposals.verified:
        says = f"It reproduces, and a change that the kit proposes cures it: {proposals.tried[0].name}"
        head = Headline(says, None, "reproduces, fix proposed")
    line = para(_status(incident, head, history), kind="kit-status")
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    run = line_of_times(para(f"Run {today} with incident-kit {__version__} on {identity(incident)}."))
    facts = _what_broke(incident, trace, _reproduced(incident, trace, diagnosis)) + _failed(incident, trace, diagnosis)
    if trace.swallowed and _conflict(trace, diagnosis) is None:
        facts.append(_swallowed(trace, None))
    left = [para(strong("Cause. "), *_cause(trace, diagnosis))]
    left += [items(sites)] if (sites := _sites(trace, diagnosis, with_error=False)) else []
    left += [items(facts)] if facts else []
    if behind := _behind(diagnosis):
        left.append(para(behind))
    left += [para(strong("Who was hit. "), with_code(postmortem.impact))] if postmortem.impact else []
    left += [para(strong("Actions")), _actions(incident)] if postmortem.actions else []
    right = [para(strong("What to change")), *_change(incident, verification, diagnosis, proposals)]
    parts = [line, run, top_line(head.good, head.text), beside(stack(*left), stack(*right))]
    healthy = not diagnosis.reproduced and diagnosis.finding.mechanism == "none"  # then there is nothing to write about
    parts += [box] if not healthy and (box := still_to_be_written(incident)) else []
    return Shown(parts, place="verdict")


def _status(incident: Incident, head: Headline, history: "History | None") -> Part:
    """One line: status, severity, the commits that introduced and fixed it, the exposure, the impact."""
    postmortem = incident.postmortem
    facts = [judged(head.good, head.status)]
    facts += [f"severity {postmortem.severity}"] if postmortem.severity else []
    if history is not None:
        came, went = history.introduced, history.fixed
        for event, change in (("introduced", came), ("fixed", went)):
            commit = change.commit if change is not None else None
            known = commit and join(f"{event} ", code(commit.sha[:9]), " ", day(commit.date))
            facts.append(known or f"{event}: not found")
        if came and went and (exposed := exposure(came.commit.date, went.commit.date)):
            facts.append(f"exposed for {exposed}")
    facts += [f"detected {postmortem.detected}"] if postmortem.detected else []
    facts += [f"resolved {postmortem.resolved}"] if postmortem.resolved else []
    facts += [first_sentence(postmortem.impact)] if postmortem.impact else []
    facts += [f"by {', '.join(postmortem.authors)}"] if postmortem.authors else []
    return join(*facts, between=" · ")


def exposure(came: str, went: str) -> str | None:
    """The time between two ISO dates, in words: ``18 h 7 min``, ``3 days``; None where one cannot be read."""
    try:
        begin, end = (datetime.datetime.fromisoformat(date) for date in (came, went))
        minutes = int((end - begin).total_seconds()) // 60
    except (ValueError, TypeError):
        return None
    if minutes < 0:
        return None
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return count(hours // 24, "day")
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _cause(trace: Trace, diagnosis: "Diagnosis") -> Iterable[Part]:
    """The cause in two sentences: what the mechanism means, and what it did in this startup."""
    finding, conflict = diagnosis.finding, _conflict(trace, diagnosis)
    meaning = MEANINGS.get(finding.mechanism)
    happened = meaning.happened if meaning else "Undecided."
    yield part("No fault was found. " if finding.mechanism == "none" else f"{happened} ")
    if meaning is None or conflict is None:
        because = finding.because[-1 if finding.mechanism == "undecided" else 0] if finding.because else ""
        # The failed steps are named below, with their errors.
        for error in [*(step.error for step in trace.steps if step.error), *map(str, trace.errors)]:
            because = because.replace(f": {error}", "")
        yield with_places(sentence(shortly(because, 300)))
        return
    failed = next((f", and step {it.number} of the startup fails{{}}." for it in trace.steps if it.ok is False), ".")
    if conflict.second.outcome != "rejected":
        outcomes = {"extended": "it changed the first one", "kept": "it was left out"}
        quiet = outcomes.get(conflict.second.outcome, "both were kept")
        yield part(f"Nothing was raised at the second definition: {quiet}{failed.format(' later')}")
        return
    caught = ", and the startup catches that error and goes on, without what the failed code should have done."
    swallowed = any(str(caught.error) == conflict.error for caught in trace.swallowed)
    yield part(f"SQLAlchemy rejects the second definition{caught if swallowed else failed.format('')}")


def _change(
    incident: Incident, verification: Verification, diagnosis: "Diagnosis", proposals: "Proposals | None"
) -> list[Part]:
    """What to change: the smallest fix that cures, as a diff; else a proposal that cures; else the advice on the mechanism."""
    cures = sorted(cured_by(verification), key=lambda fix: len(fix.patches))
    advised = diagnosis.finding.advice
    parts = [para(advised)] if advised else []
    if not cures:
        if diagnosis.finding.mechanism == "none":
            return [para("Nothing.")]
        none = "No fix that was tried cures it." if verification.fixes else "The incident file has no fix yet."
        return [*parts, para(none), *_proposed(incident, proposals), para(*_NEXT, kind="kit-note")]
    fix = cures[0]
    parts.append(para("Verified: ", code(fix.name), f": {fix.claim}" if fix.claim else None))
    for path in incident.fixes[fix.name].patches:
        parts += patch_of(incident, path, most=_MOST_LINES if len(parts) < 3 else 0)
    if len(cures) > 1:
        parts.append(para(f"So {'does' if len(cures) == 2 else 'do'} {listed([cure.name for cure in cures[1:]])}."))
    return parts


def _proposed(incident: Incident, proposals: "Proposals | None") -> list[Part]:
    """The first proposal of the kit that was tried and cures."""
    if proposals is None or not proposals.verified:
        tried = len(proposals.tried) if proposals is not None else 0
        return [para(f"The kit wrote and tried {count(tried, 'change')}; none cures it.")] if tried else []
    proposal = proposals.tried[0]
    parts = [para(strong("Proposed by the kit, tried, and it cures: "), code(proposal.name), f": {proposal.says}")]
    parts += [para("Set ", code(f"{key}: {value}")) for key, value in proposal.changes.items()]
    if not proposal.patch:
        return parts
    return [*parts, *patch_text(proposal.patch, "the proposal", most=_MOST_LINES), applied_by(incident, proposal.name)]


def _actions(incident: Incident) -> Part:
    shown = []
    for action in incident.postmortem.actions:
        due = day(action.due) if action.due else missing("due")
        shown.append(join(with_code(action.what), " (", action.owner or missing("owner"), ", ", due, ")"))
    return items(shown)


def _conflict(trace: Trace, diagnosis: "Diagnosis | None"):
    return diagnosis.meeting if diagnosis else trace.conflicts[0] if trace.conflicts else None


def _what_broke(incident: Incident, trace: Trace, reproduced: bool) -> list[Part]:
    facts: list[Part] = []
    if trace.broke:
        facts.append(join("The run broke: ", str(trace.broke)))
    if not reproduced and (incident.expect.error or incident.expect.table) and not trace.broke:
        facts += [part(reason) for reason in why_not(incident, trace)]
    if not reproduced and (refused := refusals(trace.refused)):
        facts.append(part(refused))
    return facts


def _sites(trace: Trace, diagnosis: "Diagnosis | None", *, with_error: bool = True) -> list[Part]:
    """The lines that the mechanism is about, each with the import route to it where that is known."""
    conflict = _conflict(trace, diagnosis)
    if conflict is not None:
        pair = (conflict.first, conflict.second)
        two_names = one_place(*pair) and len({side.site.module for side in pair} - {None}) == 2
        name, _, named = conflict.tables.partition(" ")
        facts = [join(name.capitalize(), " ", code(named), ": ", shortly(conflict.error, 200))] if with_error else []
        for route in import_graph(trace, conflict).routes:
            of = conflict.first if route.name == "first" else conflict.second
            as_module = join(" as ", code(of.site.module), of.through) if two_names else None
            by = code(" → ".join(str(stop.frame) for stop in route.stops[:-1]) or "the step itself")
            facts.append(
                join(strong(f"{route.name.capitalize()} definition: "), code(route.site), as_module, " reached by ", by)
            )
        return facts
    return [place_line(place) for place in diagnosis.sites] if diagnosis is not None else []


def place_line(place: Place) -> Part:
    """A line that a mechanism is about, with its part in it."""
    role = f"{place.role} definition" if place.role in ("first", "second") else place.role
    return join(strong(f"{role[:1].upper()}{role[1:]}: "), code(place), f", {place.name}" if place.name else None)


def _failed(incident: Incident, trace: Trace, diagnosis: "Diagnosis | None") -> list[Part]:
    """The steps that failed, where no table collided, and what their errors usually mean where that is still open."""
    facts: list[Part] = []
    if trace.conflicts:
        return facts
    mechanism = diagnosis.finding.mechanism if diagnosis else "undecided"
    expected = incident.expect.error is not None and shows_incident(incident, trace)  # and not brought in by the file
    named = {str(place) for place in diagnosis.sites} if diagnosis else set()
    for step in [step for step in trace.steps if step.ok is False and not step.broke][:3]:
        error = shortly(step.error or "without a message", 200)
        site = step.exception.site if step.exception is not None else None
        at = join(", at ", code(site)) if site is not None and str(site) not in named else None
        facts.append(join(f"Step {step.number} (", code(step), f") failed: {error.rstrip('. ') if at else error}", at))
        for cause in step.exception.chain[1:] if step.exception is not None else ():
            facts.append(join(f"{sentence(shortly(cause.as_cause, 200)).rstrip('. ')}, at ", code(cause.site)))
        if mechanism not in MEANINGS or mechanism in _BY_THE_FILE and not expected:
            facts += [part(meaning) for meaning in advice(incident, step.error)]
    return facts


def _swallowed(trace: Trace, error_shown: str | None) -> Part:
    first = trace.swallowed[0]
    more = f", and {len(trace.swallowed) - 1} more" if len(trace.swallowed) > 1 else ""
    at = join(" at ", code(first.site)) if first.site else None
    catcher = trace.catcher(first)
    at = join(at, ", caught at ", code(catcher)) if at and catcher else at
    named = "that error" if str(first.error) == error_shown else shortly(str(first.error))
    return join(strong("Swallowed: "), named, at, more)


def _why(diagnosis: "Diagnosis") -> list[Part]:
    finding = diagnosis.finding
    if finding.mechanism == "none":
        return [part(reason) for reason in finding.because[:3]]
    because = with_places(shortly(finding.because[-1], 280)) if finding.because else None
    facts = [join(strong("Mechanism: "), finding.mechanism, ": " if because else None, because)]
    if advised := finding.advice:
        facts.append(join(strong("What to do: "), advised))
    behind = _behind(diagnosis)
    return [*facts, behind] if behind else facts


def _behind(diagnosis: "Diagnosis") -> Part | None:
    independent = [error for error in diagnosis.masked if not error.follows]
    if not independent:
        return None
    at = join(" at ", code(independent[0].site)) if independent[0].site else None
    more = f", and {len(independent) - 1} more" if len(independent) > 1 else ""
    return join(strong("Behind it: "), shortly(str(independent[0].error).rstrip(".")), at, more)


def cured_by(verification: Verification) -> list[FixResult]:
    """The fixes that cure, in the order of the incident file."""
    return [fix for fix in verification.fixes if fix.verdict == "cures"]
