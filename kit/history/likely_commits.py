"""Which commits to run first: those that brought the lines on the ways to an incident, or took one of them out.

A hint is only an order: whether a commit brought the incident in is decided by running it and its parent.
"""

import re
from collections.abc import Iterable, Mapping

from ..base.errors import RunBroke
from ..incident.repository import Commit, Repository

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
