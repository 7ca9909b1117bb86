"""What a notebook shows of a log's triage: which builds could have made it, and what follows. Nothing is decided here."""

from ..triage.origin import Triage
from .history import commit_row, named
from .markup import Part, Shown, code, count, fold, items, join, para, strong, table, word

_MOST = 30  # rows that are not folded


def made_by(triage: Triage) -> Shown:
    """The banner: can the work tree have made the log, and how many commits can."""
    can = triage.worktree_matches
    if can is None:
        head = (
            "The log does not tell which build made it"
            if not triage.builds
            else f"{count(len(triage.builds), 'commit')} could have made the log"
        )
    elif can:
        head = "The work tree could have made the log"
    else:
        head = "The work tree is not what made the log"
    kind = {True: "kit-head kit-good", False: "kit-head kit-bad", None: "kit-head kit-open"}[can]
    facts: list = [join(strong("The log's error: "), str(triage.traceback.error))]
    if triage.commits:
        facts.append(f"{len(triage.builds)} of {triage.commits} commits have every line of it")
    facts += list(triage.notes)
    return Shown([para(strong(head), kind=kind), items(facts)], place="verdict")


def frames(triage: Triage) -> Shown:
    """Each frame of the application: whether the work tree has its line, and what stands there if not."""
    rows, wrong = [], []
    for frame in triage.frames:
        if frame.matches is False:
            wrong.append(len(rows))
        differs = frame.differs
        there = (
            ""
            if differs is None
            else join(code(differs.there) if differs.there is not None else "no such line or file")
        )
        at = ", ".join(map(str, differs.stands_at)) if differs else ""
        place = code(f"{frame.frame.file}:{frame.frame.line}")
        rows.append(
            (
                place,
                code(frame.frame.text or ""),
                word(frame.matches, "matches", "differs", "undecided"),
                there,
                at,
            )
        )
    head = ("frame", "in the log", "work tree", "the work tree's text there", "lines with the logged text")
    return Shown(
        [
            table("The application's frames, outermost first", head, rows, marked=wrong),
            para(f"{triage.libraries} frames of libraries are left out."),
        ]
    )


def builds(triage: Triage) -> Shown:
    """The commits that can have written the log, newest first, and what rules out their neighbours."""
    if not triage.commits:
        return Shown([para("There is no history to compare with: the incident names a folder alone.")])
    parts: list[Part] = []
    if triage.builds:
        shown = table(
            "Commits that could have made the log",
            ("commit", "date", "subject"),
            map(commit_row, triage.builds[:_MOST]),
        )
        parts.append(shown)
        if len(triage.builds) > _MOST:
            rest = table("The others", ("commit", "date", "subject"), map(commit_row, triage.builds[_MOST:]))
            parts.append(fold(f"{len(triage.builds) - _MOST} more", rest))
    else:
        parts.append(para("No commit could have made the log."))
    names = {"after": "later", "before": "earlier or elsewhere", "all": "all"}
    for neighbour in triage.excluded:
        top = join(
            strong(f"Could not have made it, {names[neighbour.side]}: "),
            f"{count(neighbour.count, 'commit')}, the nearest ",
            named(neighbour.nearest),
        )
        parts += [para(top), items(str(differ) for differ in neighbour.differs)]
    return Shown(parts)


def deductions(triage: Triage) -> Shown:
    """The deductions, each with its reason."""
    rows = [
        (deduction.says, word(deduction.decided or None, "follows", unknown="undecided"), deduction.because)
        for deduction in triage.deductions
    ]
    return Shown([table("What follows without running anything", ("sentence", "state", "because"), rows)])
