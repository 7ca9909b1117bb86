"""Finds the builds that can have written a log, and what follows from it, without running anything.

The frames of a traceback are looked up in the work tree and in every commit: a build whose files do not
have those lines could not have made the log. What else the log and the source say is in ``deductions.py``.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..base.errors import IncidentError
from ..incident.builds import builds_of, work_tree_of
from ..incident.model import Incident
from ..incident.repository import Commit, Repository
from .deductions import Deduction, deduce
from .frames import Differs, Lines, Match, Placed, Placement, match_commits, match_folder, names_in, paths_below, place
from .logs import Log, Traceback, read_log


@dataclass(frozen=True)
class FrameResult:
    """A frame of the application, and whether the work tree has its line; ``matches`` None: the log does not tell."""

    frame: Placed
    matches: bool | None
    differs: Differs | None


@dataclass(frozen=True)
class Excluded:
    """Commits that cannot have written the log: how many, the nearest to those that can, and what differs there.

    :ivar side: ``after`` those that can, ``before`` them, or ``all`` where none can
    """

    side: str
    count: int
    nearest: Commit
    differs: tuple[Differs, ...]


@dataclass(frozen=True)
class Triage:
    """The result of triage.

    :ivar traceback: the one that is triaged; ``others`` were in the log too
    :ivar worktree_matches: could the work tree have made it? None: there is none, or the log does not tell
    :ivar builds: the commits that could have made it, newest first
    :ivar commits: how many were looked at
    """

    traceback: Traceback
    others: tuple[Traceback, ...]
    frames: tuple[FrameResult, ...]
    libraries: int
    worktree_matches: bool | None
    builds: tuple[Commit, ...]
    commits: int
    excluded: tuple[Excluded, ...]
    deductions: tuple[Deduction, ...]
    notes: tuple[str, ...]


def triage(
    log: Path | str | BinaryIO,
    repository: Repository | None = None,
    *,
    work_tree: Path | None = None,
    error: str | None = None,
    named: str | None = None,
) -> Triage:
    """Say which builds could have made a log.

    :param log: a file's path, an open binary stream, or the text itself
    :param repository: the application's history; without one only the work tree is compared
    :param work_tree: the application's root as it stands now
    :param error: which traceback of several: the last one whose exception holds this text
    :param named: what to call the log in a message
    :raises IncidentError: there is no traceback in it, or it cannot be read
    """
    named = named or (log.name if isinstance(log, Path) else "the log")
    read = _with_tracebacks(log, named)
    lines = Lines()
    base = _base(repository, work_tree)
    chosen, placement = _choose(read, repository, base, error)
    placed = placement.placed
    results, worktree_matches = _against_folder(placement, base, lines)
    notes = _notes(read, chosen, placement, repository, work_tree)
    commits, builds, excluded = (), (), ()
    if repository is not None:
        commits = repository.commits()
        compared, foreign = _without_submodules(placed, placement.starts, repository, commits)
        if foreign:
            notes.append(f"Compared with the work tree only, since they are in a submodule: {', '.join(foreign)}.")
        matches = match_commits(compared, placement.starts, repository, commits, lines) if compared else []
        builds = tuple(commit for commit, match_ in zip(commits, matches, strict=False) if match_.all)
        excluded = _excluded(compared, commits, matches, lines)
        notes += _of_repository(repository, work_tree, commits, results)
    where = {"repository": repository, "work_tree": work_tree}
    deductions = deduce(chosen, results, worktree_matches, builds, excluded, len(commits), **where)
    others = tuple(traceback for traceback in read.tracebacks if traceback is not chosen)
    libraries, count, noted = placement.libraries, len(commits), tuple(notes)
    return Triage(chosen, others, results, libraries, worktree_matches, builds, count, excluded, deductions, noted)


def _with_tracebacks(log: Path | str | BinaryIO, named: str) -> Log:
    try:
        read = read_log(log)
    except OSError as problem:
        raise IncidentError(f"{named}: cannot be read: {problem.strerror}") from None
    if not read.tracebacks:
        raise IncidentError(
            f"{named}: there is no Python traceback in its {read.lines} lines. Triage needs one with its frames, from "
            "'(most recent call last):' to the exception; a log shortened to one line a record has lost them."
        )
    return read


def triage_incident(incident: Incident, log: str | None = None, *, cache: str | Path | None = None) -> Triage:
    """Triage an incident's own log, or another one, against its builds.

    :param log: a file's path, or "-" for standard input; by default the incident's
    :param cache: where the repository of an incident's patches is kept
    :raises IncidentError: there is no log, no traceback in it, or what is named as the history is none
    """
    if not log and incident.log is None:
        raise IncidentError(f"{incident.file}: log: there is none to triage. Name it there, or give one by --log FILE.")
    named = log or str(incident.resolve(incident.log))
    repository = builds_of(incident, cache)
    return triage(
        sys.stdin.buffer if named == "-" else Path(named).expanduser(),
        repository,
        work_tree=work_tree_of(incident, repository),
        error=incident.expect.error,
        named="standard input" if named == "-" else named,
    )


def _base(repository: Repository | None, work_tree: Path | None) -> Path | None:
    """The folder that the work tree's paths are relative to: the repository's top, if the tree is its checkout."""
    if repository is not None and work_tree is not None and work_tree.resolve().is_relative_to(repository.folder):
        return repository.folder
    return work_tree


def _choose(read: Log, repository: Repository | None, base: Path | None, error: str | None):
    """The traceback that is about the incident, else the last one that passes through the application."""
    names = {name for traceback in read.tracebacks for name in names_in(traceback.frames)}
    paths = set(repository.paths_named(names)) if repository is not None else set()
    paths |= paths_below(base, names) if base is not None else set()
    subdir = repository.subdir if repository is not None else "."
    placements: list[tuple[Traceback, Placement]] = [
        (traceback, place(traceback.frames, paths, subdir=subdir)) for traceback in read.tracebacks
    ]
    about = [pair for pair in placements if error and any(error in str(raised) for raised in pair[0].raised)]
    through = [pair for pair in about or placements if pair[1].starts]
    return (through or about or placements)[-1]


def _against_folder(placement: Placement, base: Path | None, lines: Lines):
    if base is None:
        return tuple(FrameResult(frame, None, None) for frame in placement.frames), None
    placed = placement.placed
    match_: Match = match_folder(placed, placement.starts, base, lines)
    stands = dict(zip(placed, zip(match_.stands, match_.keys, strict=True), strict=True))
    results = []
    for frame in placement.frames:
        good, key = stands.get(frame, (None, None))
        results.append(FrameResult(frame, good, lines.differs(key, frame) if good is False else None))
    return tuple(results), match_.all


def _without_submodules(placed: Sequence[Placed], starts: Sequence[str], repository: Repository, commits):
    """Frames that commits can be asked for, and the files of those that lie in another repository."""
    if not commits or not any(repository.objects([f"{commits[0].sha}:.gitmodules"])):
        return placed, []
    inner = tuple(f"{path}/" for path in repository.submodules(commits[0].sha))

    def foreign(frame: Placed) -> bool:
        return any(path.startswith(inner) for path in frame.paths(starts[:1] or [""]))

    return [frame for frame in placed if not foreign(frame)], [frame.file for frame in placed if foreign(frame)]


def _excluded(frames, commits: Sequence[Commit], matches: Sequence[Match], lines: Lines) -> tuple[Excluded, ...]:
    if not matches or all(match_.all for match_ in matches):
        return ()
    by_sha = {commit.sha: match_ for commit, match_ in zip(commits, matches, strict=True)}

    def one_side(side: str, members: list[Commit], nearest: Commit) -> Excluded:
        match_ = by_sha[nearest.sha]
        compared = zip(frames, match_.stands, match_.keys, strict=True)
        differs = tuple(lines.differs(key, frame) for frame, stands, key in compared if stands is False)
        return Excluded(side, len(members), nearest, differs)

    if not any(match_.all for match_ in matches):
        if any(match_.all is None for match_ in matches):
            return ()  # those could have made it, as far as line numbers tell
        # The commit that comes closest tells most.
        nearest = min(commits, key=lambda commit: by_sha[commit.sha].stands.count(False))
        return (one_side("all", list(commits), nearest),)
    later: set[str] = set()
    for commit in reversed(commits):
        if any(parent in later or (parent in by_sha and by_sha[parent].all) for parent in commit.parents):
            later.add(commit.sha)
    after = [commit for commit in commits if commit.sha in later and by_sha[commit.sha].all is False]
    before = [commit for commit in commits if commit.sha not in later and by_sha[commit.sha].all is False]
    sides = []
    if after:
        first = [commit for commit in after if any(p in by_sha and by_sha[p].all for p in commit.parents)]
        sides.append(one_side("after", after, (first or after)[-1]))
    if before:
        parents = {p for commit in commits if by_sha[commit.sha].all for p in commit.parents}
        last = [commit for commit in before if commit.sha in parents]
        sides.append(one_side("before", before, (last or before)[0]))
    return tuple(sides)


def _notes(
    read: Log, chosen: Traceback, placement: Placement, repository: Repository | None, work_tree: Path | None
) -> list[str]:
    notes = []
    if len(read.tracebacks) > 1:
        notes.append(f"The log holds {len(read.tracebacks)} different tracebacks; this is that of line {chosen.line}.")
    if read.left_out:
        notes.append(f"{read.left_out} more tracebacks were counted and not kept.")
    unplaced = [frame.logged for frame in placement.frames if frame not in placement.placed]
    if unplaced and (repository is not None or work_tree is not None):
        where = "the repository" if repository is not None else "the application's folder"
        notes.append(f"Undecided, since {where} has no file like it: {', '.join(sorted(set(unplaced)))}.")
    silent = [f"{frame.file}:{frame.line}" for frame in placement.placed if frame.text is None]
    if silent:
        notes.append(f"The log has no source line for {', '.join(silent)}: only their line numbers were compared.")
    return notes


def _of_repository(repository: Repository, work_tree: Path | None, commits: Sequence[Commit], results) -> list[str]:
    notes = []
    if not commits:
        notes.append("The repository has no commit yet.")
    if repository.shallow:
        notes.append(
            f"The repository is a shallow clone of {len(commits)} commits: older ones could have made the log too. "
            "`git fetch --unshallow` brings them."
        )
    if work_tree is not None and _base(repository, work_tree) == repository.folder:
        changed = repository.uncommitted()
        if changed:
            frames = {result.frame.file for result in results}
            touched = sorted(path for path in changed if any(path.endswith(file) for file in frames))
            where = f", of the log's own files {', '.join(touched)}" if touched else ", none of them in the log"
            files = "1 file" if len(changed) == 1 else f"{len(changed)} files"
            notes.append(f"The work tree has {files} with changes that are in no commit{where}.")
    return notes
