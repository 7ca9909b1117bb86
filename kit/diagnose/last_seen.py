"""Where an application's history last saw something that is not there any more."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..base.errors import KitError
from ..incident.builds import builds_of
from ..incident.model import Incident
from ..incident.repository import Commit, Repository

_MOST_MERGES = 500  # that are looked at, the newest


@dataclass(frozen=True)
class Seen:
    """A file of the history: the commit that last had it, who took it out if anybody did, and its text."""

    file: str
    commit: str
    subject: str
    removed: bool
    text: str

    @property
    def sentence(self) -> str:
        how = "was taken out by" if self.removed else "is on another branch, last in"
        return f"{self.file} {how} commit {self.commit[:9]} ({self.subject})"


def last_seen(incident: Incident, revision: str) -> Seen | None:
    """The file that says ``revision = "<id>"``, as the newest commit of any branch that has to do with it left or found it."""
    try:
        repository = builds_of(incident)
        if repository is None or not re.fullmatch(r"[\w.-]+", revision):
            return None
        named = rf"^revision[^=]*=[ ]*['\"]{re.escape(revision)}['\"]"
        logged = repository.git(
            *("log", "--all", "--no-renames", "-1", "--format=%H%x09%s", "--name-status", f"-G{named}", "--", "*.py")
        )
        lines = logged.decode("utf-8", "replace").splitlines()
        if not lines:
            return None
        commit, _, subject = lines[0].partition("\t")
        for line in lines[1:]:
            status, _, file = line.partition("\t")
            at = f"{commit}^" if status == "D" else commit
            text = repository.git("show", f"{at}:{file}").decode("utf-8", "replace") if file else ""
            if re.search(named, text, re.M):
                return Seen(_below(file, repository), commit, subject, status == "D", text)
    except KitError:
        pass
    return None


def merge_of(incident: Incident, files: Sequence[str]) -> Commit | None:
    """The oldest merge that has all of these files, none of whose parents has them all; None where one line brought them."""
    try:
        repository = builds_of(incident)
        if repository is None:
            return None
        revision = incident.app.revision if incident.app.repository is not None else "HEAD"
        below = "" if repository.subdir == "." else f"{repository.subdir}/"

        def holds(commit: str) -> bool:
            return all(
                object_ is not None for object_ in repository.objects([f"{commit}:{below}{file}" for file in files])
            )

        merges = repository.commits("--merges", "--reverse", f"--max-count={_MOST_MERGES}", revision)
        return next((merge for merge in merges if holds(merge.sha) and not any(map(holds, merge.parents))), None)
    except KitError:
        return None


def _below(file: str, repository: Repository) -> str:
    """A file of the repository as the application counts its files."""
    return file if repository.subdir == "." else file.removeprefix(f"{repository.subdir}/")
