"""What a notebook shows of a search over commits. Nothing is decided here."""

from ..history.commit_changes import Change
from ..history.search import Boundary, Build, History
from ..incident.copying import beside_git
from ..incident.model import Incident
from ..incident.repository import Commit
from .diff import patch
from .markup import (
    Part,
    Shown,
    absent,
    code,
    count,
    day,
    fold,
    items,
    join,
    judged,
    mark,
    para,
    preformatted,
    stack,
    strip,
    strong,
    table,
    top_line,
)

_MOST_IN_STRIP = 14
_MOST_BESIDE = 12  # files beside the commit that are named


def came_and_went(
    history: History | None,
    place: str | None = "verdict",
    *,
    incident: Incident | None = None,
    reproduced: bool = False,
) -> Shown:
    """The commits that introduced and fixed the incident, every judged commit as a strip, and what each claimed fix did.

    :param history: None where the application has none
    :param place: ``verdict`` puts it at the top of the page; None leaves it where it is
    :param incident, reproduced: with both, the view says if only the work tree reproduces the incident, and no commit does
    """
    if history is None:
        return absent("The application is a folder without a history: nothing was searched.")
    if history.reproduced is None:
        state = "could be run to tell" if history.untestable_only else "alone shows it"
        beside = [_beside_git(incident)] if incident is not None and reproduced else []
        notes = [items(history.notes)] if history.notes else []
        return Shown([stack(top_line(None, f"No commit {state}"), *beside), *_strip(history), *notes], place)
    facts = [_boundary("Introduced by ", "Introduced: not found; ", history.introduced, history.when_introduced)]
    facts.append(_boundary("Fixed by ", "Fixed: not found; ", history.fixed, history.when_fixed))
    for claim in history.claims:
        if claim.says:
            facts.append(join(strong("A commit that says it is the fix "), claim.verdict, ": ", named(claim.commit)))
    were = {1: "was"}.get
    kept = f"; {history.kept} more {were(history.kept, 'were')} run before" if history.kept else ""
    facts.append(f"{history.runs} of {count(history.commits, 'commit')} {were(history.runs, 'were')} run{kept}")
    facts += list(history.notes)
    return Shown([_headline(history), *_strip(history), items(facts)], place)


def _beside_git(incident: Incident) -> Part:
    """The files that only the work tree has, which may cause the incident."""
    root = incident.resolve(incident.app.root or incident.app.repository)
    names = beside_git(root)
    if not names:
        return para("The build that was run reproduces it: something outside the commits decides.")
    shown = join(*map(code, names[:_MOST_BESIDE]), between=", ")
    more = f" and {len(names) - _MOST_BESIDE} more" if len(names) > _MOST_BESIDE else ""
    return para("The build that was run reproduces it, with files that git does not hold: ", shown, more, ".")


def _headline(history: History) -> Part:
    known = history.introduced is not None, history.fixed is not None
    verdict = {
        (True, True): "Both commits are known: the one that introduced it, and the one that fixed it",
        (True, False): "The commit that introduced it is known; none fixed it",
        (False, True): "The commit that fixed it is known; the one that introduced it is not",
        (False, False): "Neither the commit that introduced it nor the one that fixed it is known",
    }[known]
    return top_line(True if all(known) else None, verdict)


def _boundary(text: str, nowhere: str, change: Change | None, boundary: Boundary) -> Part:
    if change is None:
        return join(strong(nowhere), boundary.because or "no build that was run shows the incident")
    return join(strong(text), named(change.commit), f" of {change.commit.date[:10]}: {boundary.because}")


def _strip(history: History) -> list[Part]:
    """Every judged commit from the oldest to the newest, with its mark."""
    if not history.builds:
        return []
    builds = list(reversed(history.builds))
    shown = [_in_strip(history, build) for build in builds[-_MOST_IN_STRIP:]]
    left_out = len(builds) - len(shown)
    more = f" {count(left_out, 'older one')} not shown." if left_out else ""
    caption = f"The judged commits, oldest first. ✗ it reproduces, ✓ it does not, ? it could not be run.{more}"
    return [strip(shown), para(caption, kind="kit-note")]


def _in_strip(history: History, build: Build) -> Part:
    ok, sign = {"reproduces": (False, "✗"), "does not reproduce": (True, "✓")}.get(build.verdict, (None, "?"))
    sha = build.commit.sha
    part_ = {history.when_introduced.first: "introduced", history.when_fixed.first: "fixed"}.get(sha)
    name = join(mark(ok, sign, build.verdict), " ", code(sha[:9]), " ", day(build.commit.date))
    label = join(strong(part_), " ", build.commit.subject) if part_ else build.commit.subject
    return stack(para(name), para(label, kind="kit-note"))


def searched(history: History | None) -> Shown:
    """Every build that was judged, newest first."""
    if history is None or not history.builds:
        return absent("No commit was run.")
    rows = []
    for build in history.builds:
        verdict = judged({"reproduces": False, "does not reproduce": True}.get(build.verdict), build.verdict)
        rows.append((*commit_row(build.commit), verdict, build.because, "known" if build.kept else "run"))
    wrong = [number for number, build in enumerate(history.builds) if build.verdict == "reproduces"]
    head = ("commit", "date", "subject", "verdict", "what was seen", "how")
    return Shown([table("The builds that were judged", head, rows, marked=wrong)])


def changes(history: History | None) -> Shown:
    """The changes of the introducing and the fixing commit, only the hunks on the import routes of the trace."""
    if history is None or not (history.introduced or history.fixed):
        return absent("Neither the introducing nor the fixing commit is known.")
    parts: list[Part] = []
    for title, change in (("Introduced by ", history.introduced), ("Fixed by ", history.fixed)):
        if change is None:
            continue
        inner: list[Part] = []
        for hunk in change.hunks:
            inner += [para(code(hunk.file)), patch(hunk.text)]
        if not change.hunks:
            inner.append(para("None of its changes is on an import route of the trace."))
        rest = f"{count(change.left_out, 'hunk')} left out; it changed {count(len(change.files), 'file')}"
        inner.append(fold(rest, preformatted("\n".join(change.files))))
        top = join(strong(title), named(change.commit), f", by {change.commit.author}: what it changed")
        parts.append(fold(top, *inner))
    return Shown(parts)


def claimed(history: History) -> Shown:
    """Commits that claim the fix, each with its parent's verdict and its own."""
    if not history.claims:
        return absent("No later commit says in its message that it fixes this error, table or class.")
    good = [claim.verdict == "fixed it" for claim in history.claims]
    rows = []
    for claim, held in zip(history.claims, good, strict=True):
        verdict = judged(None if claim.verdict == "undecided" else held, claim.verdict)
        rows.append((named(claim.commit), claim.because, claim.before, claim.after, verdict))
    wrong = [number for number, held in enumerate(good) if not held]
    head = ("commit", "why it counts as a claim", "before it", "with it", "so it")
    return Shown([table("Commits that claim the fix", head, rows, marked=wrong)])


def commit_row(commit: Commit) -> tuple:
    return (code(commit.sha[:9]), commit.date.replace("T", " ")[:16], commit.subject)


def named(commit: Commit) -> Part:
    return join(code(commit.sha[:9]), f" ({commit.subject})")
