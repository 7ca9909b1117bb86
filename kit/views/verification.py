"""What a notebook shows of a verification: each fix against each check, why it got its verdict, what it changes."""

from ..incident.model import Incident
from ..trace.end_state import CheckResult
from ..trace.trace import Trace
from ..verify.verification import FixResult, Verification
from .banner import cured_by
from .diff import patch_of, sides, text_of
from .markup import (
    Part,
    Shown,
    absent,
    code,
    count,
    fold,
    folded_table,
    grid,
    items,
    join,
    judged,
    mark,
    para,
    part,
    steady,
    strong,
    table,
    tag,
    with_code,
    word,
)

_MEANS = {
    "cures": "the error is gone, nothing new breaks, every check passes",
    "hides": "the error is gone, but the state is wrong",
    "does-not-cure": "the incident, or what was hidden behind it, is still there",
    "breaks": "something that worked no longer does",
    "undecided": "a limit or a person ended the run, or a check could not be asked: every other verdict is possible",
}
# What a check asks, where its name does not say it.
_ASKS = {
    "migrations": "at head, and the models agree with the database",
    "mappers": "every mapper configures, and one class is mapped per table",
    "clean_start": "every step succeeds, and no error is swallowed",
}
_GOOD = {"cures": True, "hides": False, "does-not-cure": False, "breaks": False, "undecided": None}


def judgement(verdict: str) -> Part:
    """A fix's verdict as a coloured word."""
    return judged(_GOOD[verdict], verdict)


def matrix(verification: Verification) -> Shown:
    """Fixes × checks as a grid of marks with a legend, the build without a fix in the first row."""
    if not verification.fixes and not verification.control.checks:
        return absent("Neither a fix nor a check was tried: there is nothing to compare.")
    before = _before(verification)
    if not verification.fixes:
        rows = [(check.check, passed(check), steady(check.seen)) for check in before.values()]
        return Shown([table("Checks of the build without a fix", ("check", "result", "seen"), rows)])
    heads: dict[str, str] = {}
    for checks in (*(fix.checks for fix in verification.fixes), before.values()):
        heads |= {check.check: _ASKS.get(check.kind, "") for check in checks if check.check not in heads}
    rows = [("no fix", part("as it was"), [_mark(before.get(name)) for name in heads])]
    for fix in verification.fixes:
        checks = {check.check: check for check in fix.checks}
        claim = tag("span", " ", with_code(fix.claim), kind="kit-claim") if fix.claim else None
        claimed = join(code(fix.name), claim)
        rows.append((claimed, judgement(fix.verdict), [_mark(checks.get(name)) for name in heads]))
    cured = [number for number, fix in enumerate(verification.fixes, 1) if fix.verdict == "cures"]
    claims = [fix.verdict for fix in verification.fixes if fix.claim]
    counted = f"{claims.count('cures')} of {count(len(claims), 'claim')} about a fix held when the fix was run."
    fix = join("fix", tag("span", ", and what was claimed for it", kind="kit-claim"))
    shown = grid("Fixes and checks", (fix, "verdict"), heads, rows, marked=cured)
    meanings = items(join(strong(name), f": {meaning}") for name, meaning in _MEANS.items())
    return Shown([*([para(counted)] if claims else []), shown, fold("What the verdicts mean", meanings)])


def _before(verification: Verification) -> dict[str, CheckResult]:
    """The checks of the build without a fix, with the check that is only asked of fixes."""
    checks = {check.check: check for check in verification.control.checks}
    gone = next((c for fix in verification.fixes for c in fix.checks if c.kind == "gone"), None)
    if gone is not None:
        seen = "the incident is there" if verification.reproduced else "the incident is not there"
        checks.setdefault(gone.check, CheckResult(gone.check, not verification.reproduced, seen))
    return checks


def _mark(check: CheckResult | None) -> Part:
    return mark(None, "–", "nothing to check") if check is None else mark(*_MARKS[check.ok])


_MARKS = {True: (True, "✓", "pass"), False: (False, "✗", "fail"), None: (None, "?", "undecided")}


def passed(check: CheckResult) -> Part:
    """A check's outcome as a coloured word."""
    return word(check.ok, "pass", "fail", "undecided")


def fixes(incident: Incident, verification: Verification) -> Shown:
    """Each fix, folded: why it got its verdict, what every check saw, its patches."""
    folded = [_fold(incident, fix) for fix in verification.fixes]
    if folded:
        return Shown([fold("Each fix: why it got its verdict, what every check saw, its patch", *folded)])
    if incident.fixes and not verification.reproduced:
        unshown = (
            "No fix was tried: the build without a fix does not show the incident, so a verdict would mean nothing."
        )
        return Shown([para(unshown)])
    return absent("There is no fix to try: the incident file names none.")


def _fold(incident: Incident, fix: FixResult) -> Part:
    rows = [(check.check, passed(check), steady(check.seen)) for check in fix.checks]
    wrong = [number for number, check in enumerate(fix.checks) if check.ok is False]
    body = [para("Claimed: ", with_code(fix.claim))] if fix.claim else []
    body += [para(steady(fix.because)), table(f"Checks of {fix.name}", ("check", "result", "seen"), rows, marked=wrong)]
    for path in incident.fixes[fix.name].patches:
        body += patch_of(incident, path, most=0)
    return fold(join(code(fix.name), ": ", judgement(fix.verdict)), *body, kind="kit-fix")


def before_and_after(verification: Verification, *, incident: Incident | None = None) -> Shown:
    """What the smallest fix that cures changes: what each check saw without and with it, and the changed lines.

    :param incident: with it, the fix's patches are shown side by side
    """
    fix = min(cured_by(verification), key=lambda fix: len(fix.patches), default=None)
    if fix is None:
        return absent("No fix is known to cure it, so there is nothing to compare.")
    rows = [*_counted(verification.control.trace, fix.trace), *_checked(verification, fix)]
    changed = [row for row in rows if part(row[1]).text != part(row[2]).text]
    same = [part(row[0]).text for row in rows if row not in changed]
    name = f"Before and after {fix.name}: {len(changed)} of {len(rows)} differ"
    parts = [folded_table(name, ("what", "before", "after"), changed)]
    if same:
        parts.append(para(f"The same before and after: {'; '.join(same)}.", kind="kit-note"))
    paths = incident.fixes[fix.name].patches if incident else ()
    named = {path: f"Patch {path.rpartition('/')[2]}, before and after" for path in paths}
    beside = [sides(title, text_of(incident, path)) for path, title in named.items()]
    if beside:
        parts.append(fold(join("The lines that ", code(fix.name), " changes, side by side"), *beside))
    return Shown(parts)


def _counted(before: Trace, after: Trace) -> list[tuple]:
    def counts(trace: Trace) -> tuple[str, ...]:
        succeeded = f"{sum(step.ok is True for step in trace.steps)} of {len(trace.steps)}"
        return str(len(trace.conflicts)), str(len(trace.swallowed)), succeeded, str(_tables(trace))

    names = ("tables rejected", "exceptions swallowed", "steps that succeeded", "tables on the application's metadata")
    return list(zip(names, counts(before), counts(after), strict=True))


def _checked(verification: Verification, fix: FixResult) -> list[tuple]:
    before = _before(verification)
    rows = []
    for check in fix.checks:
        old = before.get(check.check)
        was = join(passed(old), ": ", steady(old.seen)) if old else part("not asked")
        rows.append((check.check, was, join(passed(check), ": ", steady(check.seen))))
    return rows


def _tables(trace: Trace) -> int:
    """Distinct tables: a table that several processes define counts once."""
    registered = (r for r in trace.registrations if r.application and r.outcome == "registered" and not r.removed)
    return len({(registration.metadata.label, registration.table) for registration in registered})
