"""What a commit changed, cut to the hunks that a trace says matter; which commits claim a fix, and which to run first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unidiff import PatchSet, UnidiffParseError

from ..base.errors import RunBroke
from ..incident.model import Incident
from ..incident.repository import Commit, Repository

_FIX = re.compile(
    r"\b(fix(e[sd]|ing)?|resolv(e[sd]?|ing)|repair\w*|hotfix|bugfix|solve[sd]?|workaround|cure[sd]?)\b", re.I
)
_MOST = 200  # commits whose whole messages are read


@dataclass(frozen=True)
class Hunk:
    """A piece of a patch: ``before`` and ``after`` are line ranges ``(first, count)``; ``text`` begins with @@."""

    file: str
    old_file: str
    before: tuple[int, int]
    after: tuple[int, int]
    text: str


@dataclass(frozen=True)
class Change:
    """A commit and what of it matters.

    :ivar files: every file that it changed
    :ivar hunks: those on the ways that the trace shows
    :ivar left_out: how many hunks are not shown
    """

    commit: Commit
    files: tuple[str, ...]
    hunks: tuple[Hunk, ...]
    left_out: int


@dataclass(frozen=True)
class Claim:
    """A commit that says it is the fix, or carries a recorded one, and what running it showed.

    :ivar says: its message claims it
    :ivar before: its first parent's verdict
    :ivar after: its own
    :ivar verdict: fixed it, changed nothing, did not fix it, brought it back, or undecided
    """

    commit: Commit
    because: str
    says: bool
    before: str
    after: str
    verdict: str


def parse(patch: str) -> tuple[list[str], list[Hunk]]:
    """The files and hunks of a patch as git writes it; none where it has another form."""
    try:
        files = PatchSet(patch)
    except UnidiffParseError:
        return [], []
    hunks = []
    for file in files:
        old = file.path if file.source_file == "/dev/null" else file.source_file.removeprefix("a/")
        for hunk in file:
            before, after = (hunk.source_start, hunk.source_length), (hunk.target_start, hunk.target_length)
            hunks.append(Hunk(file.path, old, before, after, str(hunk).removesuffix("\n")))
    return [file.path for file in files], hunks


def change_of(repository: Repository, commit: Commit, path: Iterable[tuple[str, int]], *, side: str) -> Change:
    """What of a commit lies on the ways that a trace shows.

    :param path: ``(file, line)`` of sites and chains, in the build after the commit or in the one before it
    :param side: which of them, ``after`` or ``before``
    """
    files, hunks = parse(repository.patch(commit.sha))
    path = list(path)

    def telling(hunk: Hunk) -> bool:
        """Is a line of a hunk on the way, counted on the side that the way is of?"""
        file, (first, count) = (hunk.file, hunk.after) if side == "after" else (hunk.old_file, hunk.before)
        return any(name == file and first <= number < first + count for name, number in path)

    named = {file for file, _ in path}
    on_files = [hunk for hunk in hunks if hunk.file in named or hunk.old_file in named]
    shown = [hunk for hunk in on_files if telling(hunk)] or on_files
    return Change(commit, tuple(dict.fromkeys(files)), tuple(shown), len(hunks) - len(shown))


def claiming(
    repository: Repository, incident: Incident, commits: Sequence[Commit], names: Iterable[str]
) -> list[tuple[Commit, str, bool]]:
    """Commits that claim to be the fix, each with what makes it one, and whether that is its message.

    Else it is a recorded fix.

    :param names: tables and classes that the incident is about; a message that says "fix" must name one
    """
    about = terms(incident, names)
    recorded = {name: {*map(repository.resolve, fix.commits)} for name, fix in incident.fixes.items()}
    claims, messages = [], repository.messages([commit.sha for commit in commits[:_MOST]])
    for commit in commits:
        claim = says_fix(messages.get(commit.sha, commit.subject), about)
        reasons = [f"its message says {claim!r} and names what the incident is about"] if claim else []
        reasons += [f"it is the recorded fix {name!r}" for name, shas in recorded.items() if commit.sha in shas]
        claims += [(commit, "; ".join(reasons), bool(claim))] if reasons else []
    return claims


def terms(incident: Incident, names: Iterable[str]) -> set[str]:
    """What a message about the incident names: its error, what that quotes, its table, its classes."""
    error = incident.expect.error or ""
    quoted = re.findall(r"'([^']+)'", error)
    return {term for term in map(_letters, [*names, *quoted, error, incident.expect.table or ""]) if len(term) > 3}


def says_fix(message: str, about: set[str]) -> str | None:
    """The word by which a message claims to fix what it is about, None if it does not."""
    word = _FIX.search(message)
    return word[0] if word and any(term in _letters(message) for term in about) else None


def _letters(text: str) -> str:
    """Text without case, spaces and underscores: a class, its table and a sentence about them look alike."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


_PLAIN = ("-c", "blame.ignoreRevsFile=", "blame", "--porcelain", "--no-progress")
_HEADER = re.compile(rb"[0-9a-f]{40,64} \d+ \d+")


def brought(
    repository: Repository, commits: Mapping[str, Commit], bad: str, path: Iterable[tuple[str, int]]
) -> list[str]:
    """The newest commit that brought a line of the path to the incident, as it is in ``bad``: before it the path was not whole.

    :param commits: those searched, newest first
    :param path: ``(file, line)`` of ``bad``, files relative to the repository's ``subdir``
    :returns: that commit and its parents
    """
    blamed = _blamed(repository, path, bad)
    newest = next((commit for commit in commits.values() if commit.sha in blamed), None)
    return [] if newest is None else [newest.sha, *newest.parents]


def took_out(
    repository: Repository, commits: Mapping[str, Commit], bad: str, good: str, path: Iterable[tuple[str, int]]
) -> list[str]:
    """The oldest commit after ``bad``, up to ``good``, that took out a line of that path; and its parents."""
    last = _blamed(repository, path, "--reverse", f"{bad}..{good}") - {good}
    after = set(repository.order("--ancestry-path", good, "--not", bad))
    oldest = next(
        (commit for commit in reversed(commits.values()) if commit.sha in after and last.intersection(commit.parents)),
        None,
    )
    return [] if oldest is None else [oldest.sha, *oldest.parents]


def _blamed(repository: Repository, path: Iterable[tuple[str, int]], *revisions: str) -> set[str]:
    """The commits to which git ascribes these lines; a file that it cannot read says nothing."""
    lines: dict[str, set[int]] = {}
    for file, line in path:
        lines.setdefault(file, set()).add(line)
    prefix = "" if repository.subdir == "." else f"{repository.subdir}/"
    shas = set()
    for file, numbers in sorted(lines.items()):
        ranges = [f"-L{number},{number}" for number in sorted(numbers)]
        try:
            out = repository.git(*_PLAIN, *ranges, *revisions, "--", f"{prefix}{file}")
        except RunBroke:
            continue
        shas.update(line.split(b" ", 1)[0].decode() for line in out.splitlines() if _HEADER.match(line))
    return shas
