"""What a notebook shows of a verification and of the postmortem: verdicts, claims, fixes, people's part, provenance."""

import datetime
import os
import platform
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnose.definitions import one_place
from ..diagnose.hypotheses import Tested
from ..incident.model import Incident
from ..trace.advice import advice, told_refused
from ..trace.expected import shows_incident, why_not
from ..trace.graph import import_graph
from ..trace.judged import CheckResult
from ..trace.values import Trace
from ..verify.verification import FixResult, Verification
from .import_times import import_timeline
from .markup import (
    Part,
    Shown,
    code,
    count,
    fold,
    items,
    join,
    line_of_times,
    missing,
    on_narrow,
    para,
    part,
    patch,
    sides,
    steady,
    strong,
    table,
    with_places,
    word,
)

if TYPE_CHECKING:
    from ..diagnose.diagnosis import Diagnosis

_VERDICTS = {
    "cures": "the error is gone, nothing new breaks, every check holds",
    "hides": "the error is gone, but the state is wrong",
    "does-not-cure": "the incident, or what stood behind it, is still there",
    "breaks": "something that worked no longer does",
    "undecided": "its run was ended by a limit or from outside, or a check could not be asked: it may be any of the others",
}
_DOES = {
    "hides": "Only hide it",
    "does-not-cure": "Do not cure it",
    "breaks": "Break something else",
}
_ORDER = {"cures": True, "hides": False, "does-not-cure": False, "breaks": False, "undecided": None}


class Progress:
    """Says in one line of the notebook what is being run; call it with a text, and at the end ``done``.

    The line is replaced, not added to, and the page leaves it out.
    """

    def __init__(self):
        self.seconds = 0.0
        self._began = time.monotonic()
        self.handle: Any | None = None

    def __call__(self, text: str) -> None:
        self._show(part(text))

    def done(self) -> None:
        """Everything has run; ``seconds`` says how long that took."""
        self.seconds = time.monotonic() - self._began
        self._show(part(f"Done, after {self.seconds:.0f} seconds."))

    def _show(self, line: Part) -> None:
        from IPython.display import display

        shown = Shown([para(line, kind="kit-note")], place="progress")
        if self.handle is None:
            self.handle = display(shown, display_id=True)
        else:
            self.handle.update(shown)


# ------------------------------------------------------------------------------------ the verdict


def verdict(
    incident: Incident, trace: Trace, verification: Verification | None = None, diagnosis: "Diagnosis | None" = None
) -> Shown:
    """The banner: does it reproduce, is a fix verified, where the two definitions are and, with a diagnosis, why."""
    reproduced = diagnosis.reproduced if diagnosis else shows_incident(incident, trace)
    asked = incident.expect.error or incident.expect.table
    if trace.broke and not reproduced:
        head, good = "The run broke before it could tell", None
    elif not reproduced and not asked:
        head, good = "It does not reproduce: every step succeeded, and nothing was swallowed", None
    elif not reproduced:
        head, good = "It does not reproduce", False
    elif verification is None:
        head, good = "It reproduces", True
    elif not verification.reproduced:
        head, good = "It reproduces in the diagnosis and not in the verification: no fix was tried", None
    elif not verification.fixes:
        head, good = "It reproduces, and there is no fix to try yet", None
    elif verification.verified:
        names = _listed(verification.verified)
        cure = "cures" if len(verification.verified) == 1 else "cure"
        tried = len(verification.fixes)
        of = f"{len(verification.verified)} of {tried} fixes {cure}" if tried > 1 else "the fix cures"
        head, good = f"It reproduces, and {of} it: {names}", True
    elif verification.broke:
        open_ = [one.name for one in verification.fixes if one.verdict == "undecided"]
        head, good = f"It reproduces, and whether a fix cures it is undecided: {_listed(open_)}", None
    else:
        tried = len(verification.fixes)
        head, good = (
            "It reproduces, and " + (f"none of {tried} fixes cures it" if tried > 1 else "its fix does not cure it"),
            False,
        )
    facts: list[Part] = []
    if trace.broke:
        facts.append(join("The run broke: ", trace.broke))
    if not reproduced and asked and not trace.broke:
        facts += [part(said) for said in why_not(incident, trace)]
    if not reproduced and (refused := told_refused(trace.refused)):
        facts.append(part(refused))
    conflict = diagnosis.meeting if diagnosis else trace.conflicts[0] if trace.conflicts else None
    if conflict is not None:
        facts.append(join("Table ", code(conflict.table), ": ", conflict.error))
        two_names = "two names" in (one_place(conflict.first, conflict.second) or "")
        for way in import_graph(trace, conflict).ways:
            of = conflict.first if way.name == "first" else conflict.second
            facts.append(
                join(
                    strong(f"{way.name.capitalize()} definition: "),
                    code(way.site),
                    join(" as ", code(of.site.module)) if two_names else None,
                    " by ",
                    code(" → ".join(str(stop.frame) for stop in way.stops[:-1]) or "the step itself"),
                )
            )
    if not trace.conflicts:
        failed = [step for step in trace.steps if step.ok is False and step.error != trace.broke]
        for step in failed[:3]:
            facts.append(join(f"Step {step.number} (", code(step), f") failed: {step.error or 'without a word'}"))
            facts += [part(said) for said in advice(incident, step.error)]
    if trace.swallowed:
        facts.append(_passed_over(trace, conflict.error if conflict is not None else None))
    if diagnosis is not None:
        facts += _why(diagnosis)
    if verification is not None:
        facts += [join(strong(f"{one.name} cures"), ": ", one.claim) for one in _cures(verification)[:3] if one.claim]
        for name in ("hides", "does-not-cure", "breaks"):
            of = [one.name for one in verification.fixes if one.verdict == name]
            if of:
                facts.append(join(strong(_DOES[name]), f" ({len(of)}): {_listed(of)}"))
        open_for: dict[str, list[str]] = {}
        for one in [one for one in verification.fixes if one.verdict == "undecided"]:
            open_for.setdefault(_shortly(steady(one.because), 280), []).append(one.name)
        for because, names in list(open_for.items())[:6]:
            are = "is" if len(names) == 1 else "are"
            facts.append(join(strong(f"{_listed(names)} {are} undecided"), ": ", because))
    top = para(
        strong(head), kind={True: "kit-head kit-good", False: "kit-head kit-bad", None: "kit-head kit-open"}[good]
    )
    return Shown([top, items(facts)] if facts else [top], place="verdict")


def _passed_over(trace: Trace, said: str | None) -> Part:
    first = trace.swallowed[0]
    more = f", and {len(trace.swallowed) - 1} more" if len(trace.swallowed) > 1 else ""
    at = join(" at ", code(first.site)) if first.site else None
    return join(
        strong("Swallowed: "), "that error" if str(first.error) == said else _shortly(str(first.error)), at, more
    )


def _shortly(text: str, most: int = 140) -> str:
    return text if len(text) <= most else text[:most].rpartition(" ")[0] + " …"


def _why(diagnosis: "Diagnosis") -> list[Part]:
    finding = diagnosis.finding
    if finding.mechanism == "none":
        return [part(said) for said in finding.because[:3]]
    said = [
        join(
            strong("Mechanism: "),
            finding.mechanism,
            ": " if finding.because else None,
            with_places(_shortly(finding.because[-1], 280)) if finding.because else None,
        )
    ]
    own = [one for one in diagnosis.masked if not one.follows]
    if own:
        at = join(" at ", code(own[0].site)) if own[0].site else None
        more = f", and {len(own) - 1} more" if len(own) > 1 else ""
        said.append(join(strong("Behind it: "), _shortly(str(own[0].error).rstrip(".")), at, more))
    return said


def _cures(verification: Verification) -> list[FixResult]:
    return [one for one in verification.fixes if one.verdict == "cures"]


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# ------------------------------------------------------------------------------------ claims and fixes


def claims(incident: Incident, verification: Verification, tested: Sequence[Tested] = ()) -> Shown:
    """What was written or believed, against what running it showed.

    :param tested: the hypotheses with their verdicts, from a diagnosis; without them each is undecided
    """
    rows: list[tuple] = []
    for one in verification.fixes:
        if one.claim:
            rows.append(
                (
                    one.claim,
                    join("fix ", code(one.name)),
                    word(_ORDER[one.verdict], *[one.verdict] * 3),
                    _shortened(steady(one.because)),
                )
            )
    people = [one for one in tested if one.of == "people"]
    for one in people:
        held = {"confirmed": True, "refuted": False, "undecided": None}[one.verdict]
        rows.append(
            (one.claim, "hypothesis", word(held, one.verdict, one.verdict, one.verdict), _shortened(one.evidence))
        )
    for belief in incident.hypotheses if not people else ():
        rows.append((belief.claim, "hypothesis", word(None, unknown="undecided"), "no experiment for it was run here"))
    if not rows:
        return Shown([para("The incident file holds no claim: neither a hypothesis nor a fix with one.")])
    held = sum(1 for one in verification.fixes if one.claim and one.verdict == "cures")
    counted = sum(1 for one in verification.fixes if one.claim)
    said = [para(f"{held} of {count(counted, 'claim')} about a fix held when it was run.")] if counted else []
    return Shown(
        [*said, table("Claims against what running them showed", ("claim", "about", "verdict", "what was seen"), rows)]
    )


def _shortened(text: str, most: int = 170) -> Part:
    """A sentence; of a long one the beginning, which opens to the whole."""
    if len(text) <= most:
        return part(text)
    return fold(text[:most].rpartition(" ")[0] + " …", para(text))


def matrix(verification: Verification) -> Shown:
    """Fixes × checks, with the build as it was in the first row."""
    if not verification.fixes and not verification.control.checks:
        return Shown([para("Neither a fix nor a check was tried: there is nothing to compare.")])
    before = _before(verification)
    heads: list[str] = []
    for checks in (*(one.checks for one in verification.fixes), before.values()):
        heads += [one.check for one in checks if one.check not in heads]
    rows: list[list] = [["as it was", word(None, unknown="control"), *(_cell(before.get(name)) for name in heads)]]
    for one in verification.fixes:
        checks = {check.check: check for check in one.checks}
        rows.append(
            [
                one.name,
                word(_ORDER[one.verdict], *[one.verdict] * 3),
                *(_cell(checks.get(name)) for name in heads),
            ]
        )
    cured = [number for number, one in enumerate(verification.fixes, 1) if one.verdict == "cures"]
    said = ["The first row is the build as it was."]
    said += (
        ["A dash: that check had nothing to ask there."]
        if any(part(c).text == "–" for row in rows for c in row)
        else []
    )
    return Shown(
        [
            table("Fixes and checks", ["fix", "verdict", *heads], rows, marked=cured, kind="kit-cards kit-matrix"),
            on_narrow("On a narrow screen only what does not hold is listed."),
            para(" ".join(said)),
            _meanings(),
        ]
    )


def _before(verification: Verification) -> dict[str, CheckResult]:
    """The checks of the build as it was, with the one that only fixes are asked."""
    found = {one.check: one for one in verification.control.checks}
    gone = next((c for one in verification.fixes for c in one.checks if c.kind == "gone"), None)
    if gone is not None:
        seen = "the incident is there" if verification.reproduced else "the incident is not there"
        found.setdefault(gone.check, CheckResult(gone.check, not verification.reproduced, seen))
    return found


def _cell(check: CheckResult | None) -> Part:
    return part("–") if check is None else word(check.ok, "holds", "fails", "undecided")


def _meanings() -> Part:
    return fold(
        "What the verdicts mean", items(join(strong(name), f": {meaning}") for name, meaning in _VERDICTS.items())
    )


def fixes(incident: Incident, verification: Verification) -> Shown:
    """Each fix: its verdict, why, what every check saw, and its patches."""
    parts = []
    first = verification.verified[0] if verification.verified else None
    for one in verification.fixes:
        top = join(code(one.name), ": ", word(_ORDER[one.verdict], *[one.verdict] * 3))
        rows = [
            (check.check, word(check.ok, "holds", "fails", "undecided"), steady(check.seen)) for check in one.checks
        ]
        wrong = [number for number, check in enumerate(one.checks) if check.ok is False]
        body = [para(steady(one.because)), para("Claimed: ", one.claim) if one.claim else None]
        body.append(table(f"Checks of {one.name}", ("check", "state", "seen"), rows, marked=wrong))
        body += [
            fold(join("Patch ", code(path.rpartition("/")[2])), patch(_text_of(incident, path)))
            for path in incident.fixes[one.name].patches
        ]
        parts.append(fold(top, *body, kind="kit-fix", open=one.name == first))
    none = "There is no fix to try: the incident file names none."
    if incident.fixes and not verification.reproduced:
        none = "No fix was tried: the build as it was does not show the incident, so no verdict would mean anything."
    return Shown(parts or [para(none)])


def _text_of(incident: Incident, path: str) -> str:
    try:
        return incident.resolve(path).read_text("utf-8", "replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def before_and_after(verification: Verification, name: str | None = None, *, incident: Incident | None = None) -> Shown:
    """What each check saw in the build as it was and with a fix, and the changed lines side by side.

    :param name: the fix; by default the smallest that cures
    :param incident: with it, the fix's patches are shown
    """
    wanted = name or (
        min(verification.verified, key=lambda n: len(_fix(verification, n).patches)) if verification.verified else None
    )
    if wanted is None:
        return Shown([para("No fix is known to cure it: there is no after to show.")])
    fix, control = _fix(verification, wanted), verification.control
    before = _before(verification)
    rows = [
        ("tables rejected", str(len(control.trace.conflicts)), str(len(fix.trace.conflicts))),
        ("exceptions swallowed", str(len(control.trace.swallowed)), str(len(fix.trace.swallowed))),
        (
            "steps that succeeded",
            *(f"{sum(s.ok is True for s in t.steps)} of {len(t.steps)}" for t in (control.trace, fix.trace)),
        ),
        ("tables on the application's metadata", *(str(_tables(t)) for t in (control.trace, fix.trace))),
    ]
    for one in fix.checks:
        old = before.get(one.check)
        was = join(word(old.ok, "holds", "fails", "undecided"), ": ", steady(old.seen)) if old else part("not asked")
        rows.append((one.check, was, join(word(one.ok, "holds", "fails", "undecided"), ": ", steady(one.seen))))
    rows = [(*row, "same" if part(row[1]).text == part(row[2]).text else strong("changed")) for row in rows]
    marked = [number for number, row in enumerate(rows) if row[3] != "same"]
    said = para("With ", code(fix.name), f" ({', '.join(fix.patches)}): ", steady(fix.because))
    head = ("what", "before", "after", "compared")
    patches = incident.fixes[wanted].patches if incident else ()
    parts = [said, table(f"Before and after {fix.name}", head, rows, marked=marked)]
    for path in patches:
        name = path.rpartition("/")[2]
        parts.append(
            fold(
                join("The lines that ", code(name), " changes, side by side"),
                sides(f"Patch {name}, before and after", _text_of(incident, path)),
                open=len(patches) == 1,
            )
        )
    return Shown(parts)


def _fix(verification: Verification, name: str):
    return next(one for one in verification.fixes if one.name == name)


def _tables(trace: Trace) -> int:
    """Distinct tables: one that several processes define is one."""
    return len(
        {
            (r.metadata.label, r.table)
            for r in trace.registrations
            if r.application and r.outcome == "registered" and not r.removed
        }
    )


# ------------------------------------------------------------------------------------ people's part


def impact(incident: Incident) -> Shown:
    """Summary, impact and detection, as people wrote them; what is missing is named."""
    told = incident.postmortem
    parts = []
    for name in ("summary", "impact", "detection"):
        parts.append(para(strong(f"{name.capitalize()}: "), getattr(told, name) or missing(f"postmortem.{name}")))
    return Shown(parts)


def timeline(incident: Incident) -> Shown:
    """The timeline, in the order of the incident file."""
    if not incident.postmortem.timeline:
        return Shown([para(missing("postmortem.timeline"))])
    rows = [(one.at, one.what) for one in incident.postmortem.timeline]
    return Shown([table("Timeline", ("when", "what happened"), rows, kind="kit-cards kit-timeline")])


def actions(incident: Incident) -> Shown:
    """What is to be done, by whom, until when; a missing owner or date is named."""
    if not incident.postmortem.actions:
        return Shown([para(missing("postmortem.actions"))])
    rows = [(one.what, one.owner or missing("owner"), one.due or missing("due")) for one in incident.postmortem.actions]
    return Shown([table("Actions", ("action", "owner", "due"), rows)])


def people(incident: Incident) -> Shown:
    """What went well, what went wrong, where luck helped, what surprised; and the list of what nobody wrote yet."""
    told = incident.postmortem
    parts = []
    names = {
        "went_well": "What went well",
        "went_wrong": "What went wrong",
        "lucky": "Where we were lucky",
        "surprised": "What surprised us",
    }
    for name, title in names.items():
        said = getattr(told, name)
        parts += (
            [para(strong(title)), items(said)] if said else [para(strong(f"{title}: "), missing(f"postmortem.{name}"))]
        )
    if told.missing:
        parts.append(
            para(
                f"Only people can add what is missing in {incident.file.name}: postmortem.",
                ", postmortem.".join(told.missing),
                kind="kit-note",
            )
        )
    return Shown(parts)


# ------------------------------------------------------------------------------------ provenance


def provenance(
    incident: Incident,
    trace: Trace,
    parameters: Mapping[str, Any] | None = None,
    *,
    took: float | None = None,
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
) -> Shown:
    """With what this was run, and how to run it again.

    :param took: seconds of the whole run. Every time stands in the last line, that of the imports in a picture
        there, so that two runs of the same incident give the same page but for that line.
    """
    seen = trace.provenance
    app = incident.app
    build = f"{app.repository} at {app.revision}" if app.repository else f"folder {app.root}"
    rows: list[tuple] = [
        ("application", build),
        ("application's Python", f"{seen.get('implementation') or ''} {seen.get('python') or 'unknown'}".strip()),
    ]
    rows += [("SQLAlchemy", seen.get("sqlalchemy") or "not loaded"), ("database", str(seen.get("database")))]
    known = ("python", "implementation", "sqlalchemy", "database")
    for name in sorted(set(seen) - set(known)):
        if seen[name]:
            rows.append(
                (
                    name.replace("_", " "),
                    ", ".join(map(str, seen[name])) if isinstance(seen[name], list) else str(seen[name]),
                )
            )
    rows.append(("notebook's Python", platform.python_version()))
    rows += [(name, _version(name)) for name in ("papermill", "pandas", "graphviz-pure")]
    rows += [(f"parameter {name}", code(repr(_short(value)))) for name, value in sorted((parameters or {}).items())]
    rows.append(
        ("run it again, in the kit's folder", code(f"make postmortem INCIDENT={shlex.quote(_from_here(incident))}"))
    )
    times = [f"step {step.number} {step.seconds:.2f} s" for step in trace.steps if step.seconds is not None]
    line = (
        f"Run at {now():%Y-%m-%d %H:%M} UTC"
        + (f", {took:.1f} s in all" if took is not None else "")
        + "".join(f", {one}" for one in times)
        + "."
    )
    return Shown([table("Provenance", ("what", "value"), rows), line_of_times(para(line), *import_timeline(trace))])


def _from_here(incident: Incident) -> str:
    """The incident file as it is named in the kit's folder: what it says of this machine is no more than the way there."""
    home = os.path.join(os.path.expanduser("~"), "")
    if str(incident.file).startswith(home) and not _root().startswith(home):
        return f"~/{str(incident.file).removeprefix(home)}"
    return os.path.relpath(incident.file, _root())


def _short(value: Any) -> Any:
    """A path without the part that says where this machine keeps things."""
    return "/".join(value.split(os.sep)[-2:]) if isinstance(value, str) and os.path.isabs(value) else value


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _root() -> str:
    return str(Path(__file__).resolve().parents[2])
