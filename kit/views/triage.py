"""What a notebook shows of a log's triage: which builds could have made it, and what follows. Nothing is decided here."""

from ..triage.origin import Triage
from .history import commit_row, named
from .markup import Part, Shown, code, count, fold, items, join, para, strong, table, top_line, word

_MOST = 30  # rows that are not folded


def made_by(triage: Triage) -> Shown:
    """The banner: can the work tree have made the log, and how many commits can."""
    can, builds = triage.worktree_matches, count(len(triage.builds), "commit")
    unknown = f"{builds} could have made the log" if triage.builds else "The log does not tell which build made it"
    known = {True: "The work tree could have made the log", False: "The work tree is not what made the log"}
    facts: list = [join(strong("The log's error: "), str(triage.traceback.error))]
    if triage.commits:
        facts.append(f"{len(triage.builds)} of {triage.commits} commits have every line of it")
    facts += list(triage.notes)
    return Shown([top_line(can, known.get(can, unknown)), items(facts)], place="verdict")


def frames(triage: Triage) -> Shown:
    """Each frame of the application: whether the work tree has its line, and what stands there if not."""
    rows = []
    for result in triage.frames:
        differs, frame, there = result.differs, result.frame, ""
        if differs is not None:
            there = code(differs.there) if differs.there is not None else "no such line or file"
        at = ", ".join(map(str, differs.stands_at)) if differs else ""
        stands = word(result.matches, "matches", "differs", "undecided")
        rows.append((code(f"{frame.file}:{frame.line}"), code(frame.text or ""), stands, there, at))
    wrong = [number for number, result in enumerate(triage.frames) if result.matches is False]
    head = ("frame", "in the log", "work tree", "the work tree's text there", "lines with the logged text")
    shown = table("The application's frames, outermost first", head, rows, marked=wrong)
    return Shown([shown, para(f"{triage.libraries} frames of libraries are left out.")])


def builds(triage: Triage) -> Shown:
    """The commits that can have written the log, newest first, and what rules out their neighbours."""
    if not triage.commits:
        return Shown([para("There is no history to compare with: the incident names a folder alone.")])
    parts: list[Part] = []
    first, rest = triage.builds[:_MOST], triage.builds[_MOST:]
    head = ("commit", "date", "subject")
    if first:
        parts.append(table("Commits that could have made the log", head, map(commit_row, first)))
    else:
        parts.append(para("No commit could have made the log."))
    if rest:
        parts.append(fold(f"{len(rest)} more", table("The others", head, map(commit_row, rest))))
    names = {"after": "later", "before": "earlier or elsewhere", "all": "all"}
    for neighbour in triage.excluded:
        top = strong(f"Could not have made it, {names[neighbour.side]}: ")
        parts.append(para(top, f"{count(neighbour.count, 'commit')}, the nearest ", named(neighbour.nearest)))
        parts.append(items(str(differ) for differ in neighbour.differs))
    return Shown(parts)


def deductions(triage: Triage) -> Shown:
    """The deductions, each with its reason."""
    rows = [
        (deduction.says, word(deduction.decided or None, "follows", unknown="undecided"), deduction.because)
        for deduction in triage.deductions
    ]
    return Shown([table("What follows without running anything", ("sentence", "state", "because"), rows)])
