"""What a notebook shows of a log's triage and of a search over commits. Nothing is decided here."""

from ..base.redact import redact
from ..history.changes import Hunk
from ..history.search import Boundary, History
from ..incident.repository import Commit
from ..triage.origin import Triage
from .markup import Part, Shown, code, count, fold, items, join, para, patch, preformatted, strong, table, word

__all__ = ["builds", "came_and_went", "changes", "claims", "deductions", "frames", "made_by", "searched"]

_MOST = 30  # rows that are not folded
_NEAR = 8  # lines of a long hunk on each side of one that matters


def made_by(triage: Triage) -> Shown:
    """The banner: can the work tree have made the log, and how many commits can."""
    can = triage.worktree_matches
    if can is None:
        head = (
            "The log does not tell which build made it"
            if not triage.builds
            else f"{count(len(triage.builds), 'commit')} can have made the log"
        )
    elif can:
        head = "The work tree can have made the log"
    else:
        head = "The work tree is not what made the log"
    kind = {True: "kit-head kit-good", False: "kit-head kit-bad", None: "kit-head kit-open"}[can]
    facts: list = [join(strong("The log's error: "), redact(str(triage.traceback.error)))]
    if triage.commits:
        facts.append(f"{len(triage.builds)} of {triage.commits} commits have every line of it")
    facts += list(triage.notes)
    return Shown([para(strong(head), kind=kind), items(facts)], place="verdict")


def frames(triage: Triage) -> Shown:
    """Each frame of the application: does its line stand in the work tree, and what is there if not."""
    rows, wrong = [], []
    for one in triage.frames:
        if one.matches is False:
            wrong.append(len(rows))
        differs = one.differs
        there = (
            ""
            if differs is None
            else join(code(redact(differs.there)) if differs.there is not None else "no such line or file")
        )
        at = ", ".join(map(str, differs.stands_at)) if differs else ""
        place = code(f"{one.frame.file}:{one.frame.line}")
        rows.append(
            (place, code(redact(one.frame.text or "")), word(one.matches, "stands", "differs", "undecided"), there, at)
        )
    head = ("frame", "in the log", "work tree", "what it reads there", "the text is in line")
    return Shown(
        [
            table("The application's frames, outermost first", head, rows, marked=wrong),
            para(f"{triage.libraries} frames of libraries are left out."),
        ]
    )


def builds(triage: Triage) -> Shown:
    """The commits that can have made the log, newest first, and what keeps their neighbours from it."""
    if not triage.commits:
        return Shown([para("There is no history to compare with: the incident names a folder alone.")])
    parts: list[Part] = []
    if triage.builds:
        shown = table(
            "Commits that can have made the log", ("commit", "date", "subject"), map(_row, triage.builds[:_MOST])
        )
        parts.append(shown)
        if len(triage.builds) > _MOST:
            rest = table("The others", ("commit", "date", "subject"), map(_row, triage.builds[_MOST:]))
            parts.append(fold(f"{len(triage.builds) - _MOST} more", rest))
    else:
        parts.append(para("No commit can have made the log."))
    names = {"after": "later", "before": "earlier or elsewhere", "all": "all"}
    for one in triage.excluded:
        top = join(
            strong(f"Cannot have made it, {names[one.side]}: "),
            f"{one.count} commits, the nearest ",
            _named(one.nearest),
        )
        parts += [para(top), items(redact(str(each)) for each in one.differs)]
    return Shown(parts)


def deductions(triage: Triage) -> Shown:
    """What follows, each sentence with its reason."""
    rows = [
        (one.says, word(one.decided or None, "follows", unknown="undecided"), redact(one.because))
        for one in triage.deductions
    ]
    return Shown([table("What follows without running anything", ("sentence", "state", "because"), rows)])


# ------------------------------------------------------------------------------------ history


def came_and_went(history: History | None, place: str | None = "verdict") -> Shown:
    """The commit that brought it in, the one that took it out, and what the claimed fix did.

    :param history: None where the application has none
    :param place: ``verdict`` puts it at the top of the page; None leaves it where it is
    """
    if history is None:
        return Shown([para("The application is a folder without a history: nothing was searched.")])
    if history.reproduced is None:
        state = "could be run to tell" if history.untestable_only else "that was run shows it"
        return Shown([para(strong(f"No build {state}"), kind="kit-head kit-open")], place=place)
    both = history.introduced is not None and history.fixed is not None
    kind = "kit-head kit-good" if both else "kit-head kit-open"
    head = (
        "Both commits are known: the one that brought it in, and the one that took it out"
        if both
        else "The commit that brought it in is known, and none that took it out"
        if history.introduced
        else "The commit that took it out is known, and not which one brought it in"
        if history.fixed
        else "Neither commit is known, the one that brought it in or the one that took it out"
    )
    facts = [_boundary("It came with ", history.introduced, history.when_introduced)]
    facts.append(_boundary("It went with ", history.fixed, history.when_fixed))
    for one in history.claims:
        if one.says:
            facts.append(join(strong("A commit that says it is the fix "), one.verdict, ": ", _named(one.commit)))
    ran = f"{count(history.runs, 'build')} of {count(history.commits, 'commit')}"
    facts.append(f"Run: {ran}; known from before: {history.kept}")
    facts += list(history.notes)
    return Shown([para(strong(head), kind=kind), items(facts)], place=place)


def _boundary(text: str, change, boundary: Boundary) -> Part:
    if change is None:
        return join(strong(f"{text}no commit that is known: "), boundary.because)
    return join(strong(text), _named(change.commit), f" of {change.commit.date[:10]}: {boundary.because}")


def searched(history: History) -> Shown:
    """Every build that was judged, newest first."""
    rows, wrong = [], []
    for one in history.builds:
        if one.verdict == "reproduces":
            wrong.append(len(rows))
        good = {"reproduces": False, "does not reproduce": True}.get(one.verdict)
        verdict = word(good, one.verdict, one.verdict, one.verdict)
        rows.append((*_row(one.commit), verdict, one.because, "known" if one.kept else "run"))
    head = ("commit", "date", "subject", "verdict", "what was seen", "how")
    return Shown([table("The builds that were judged", head, rows, marked=wrong)])


def changes(history: History) -> Shown:
    """The introducing and the fixing change, cut to the hunks on the ways that the trace shows."""
    parts: list[Part] = []
    for title, change in (("It came with ", history.introduced), ("It went with ", history.fixed)):
        if change is None:
            continue
        parts.append(para(strong(title), _named(change.commit), f", by {change.commit.author}"))
        for hunk in change.hunks:
            shown = _cut(hunk)
            whole = [fold("The whole hunk", patch(redact(hunk.text)))] if shown != hunk.text else []
            parts += [para(code(hunk.file)), patch(redact(shown)), *whole]
        if not change.hunks:
            parts.append(para("None of its changes is on the ways that the trace shows."))
        listed = preformatted("\n".join(change.files))
        parts.append(fold(f"{change.left_out} hunks are left out; it changed {len(change.files)} files", listed))
    return Shown(parts or [para("Neither commit is known.")])


def _cut(hunk: Hunk) -> str:
    """A hunk; of a long one the lines about those that matter, or its beginning."""
    lines = hunk.text.split("\n")
    if len(lines) <= 4 * _NEAR:
        return hunk.text
    about = [range(one - _NEAR, one + _NEAR + 1) for one in hunk.telling] or [range(3 * _NEAR)]
    kept, last = [lines[0]], 0
    for number in sorted({one for each in about for one in each if 0 < one < len(lines)}):
        if number > last + 1:
            kept.append(f" … {number - last - 1} lines …")
        kept.append(lines[number])
        last = number
    if last < len(lines) - 1:
        kept.append(f" … {len(lines) - 1 - last} lines …")
    return "\n".join(kept)


def claims(history: History) -> Shown:
    """Commits that claim the fix, each with its parent's verdict and its own."""
    if not history.claims:
        return Shown([para("No commit after the one that brought it in claims to be the fix.")])
    rows, wrong = [], []
    for one in history.claims:
        good = one.verdict == "fixed it"
        if not good:
            wrong.append(len(rows))
        verdict = word(None if one.verdict == "undecided" else good, one.verdict, one.verdict, one.verdict)
        rows.append((_named(one.commit), one.because, one.before, one.after, verdict))
    head = ("commit", "why it counts as a claim", "before it", "with it", "so it")
    return Shown([table("Commits that claim the fix", head, rows, marked=wrong)])


def _row(commit: Commit) -> tuple:
    return (code(commit.sha[:9]), commit.date.replace("T", " "), commit.subject)


def _named(commit: Commit) -> Part:
    return join(code(commit.sha[:9]), f" ({commit.subject})")
