"""A git repository, read and never changed: commits, the files in them, what a commit changed.

Nothing is checked out and no index is touched: objects are read by ``git cat-file``. Hooks, watchers,
external programs named in the repository's own configuration and fetching from elsewhere are off.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from ..base.errors import IncidentError, RunBroke

# What a repository's configuration could otherwise make git run, write or fetch while it only reads.
QUIET = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.splitIndex=false"),
    *("-c", "protocol.allow=never", "-c", "log.showSignature=false", "-c", "log.showRoot=true"),
    *("-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
)
_KEPT = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH")


@dataclass(frozen=True)
class Commit:
    """A commit; ``date`` is the author's, as ISO 8601 text."""

    sha: str
    parents: tuple[str, ...]
    tree: str
    date: str
    author: str
    subject: str

    def __str__(self) -> str:
        return f"{self.sha[:9]} ({self.subject})"


def git_environment(**more: str) -> dict[str, str]:
    """The caller's environment without variables that lead git to another repository or make it ask questions."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    fixed = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C.UTF-8"}
    return {**kept, **fixed, **more}


def run_git(
    *words: str,
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    before: Sequence[str] = (),
    **options,
) -> subprocess.CompletedProcess:
    """Run a git command in a folder, quiet; its output is text, unless ``options`` of :func:`subprocess.run` ask for bytes.

    :param environment: added to :func:`git_environment`
    :param before: the words of a program that runs it
    :raises RunBroke: there is no git
    """
    if options.setdefault("text", True):
        options["errors"] = "replace"
    command = [*before, "git", *QUIET, "-C", str(folder), *words]
    try:
        return subprocess.run(command, env=git_environment(**environment), capture_output=True, **options)
    except FileNotFoundError:
        raise RunBroke("there is no program 'git' on PATH; histories are read and patches applied with it") from None


def open_repository(folder: Path, *, subdir: str = ".", named: str = "the repository") -> "Repository":
    """The repository whose top, or whose git folder, ``folder`` is.

    :param named: its name in a message, as in "incident.yaml: app.repository"
    :raises IncidentError: it is no repository, or git refuses to read it
    """
    folder = Path(folder).resolve()
    # Without a ceiling git would take a repository that happens to lie above.
    alone = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    questions = ("rev-parse", "--is-bare-repository", "--is-shallow-repository")
    done = run_git(*questions, folder=folder, environment=alone)
    if done.returncode:
        errors = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise IncidentError(
            f"{named}: {folder} is no git repository: {errors[0].removeprefix('fatal: ')}. "
            "Give the folder that holds .git, or a bare repository."
        )
    bare, shallow = done.stdout.split()
    return Repository(folder, subdir.strip("/") or ".", bare == "true", shallow == "true")


@dataclass(frozen=True)
class Repository:
    """A repository's folder; ``subdir`` is the application's folder in it ("." for the top)."""

    folder: Path
    subdir: str = "."
    bare: bool = False
    shallow: bool = False

    def git(self, *words: str, input: bytes | None = None) -> bytes:
        """The output of one git command.

        :raises RunBroke: it fails
        """
        done = run_git(*words, folder=self.folder, input=input, text=False)
        if done.returncode:
            error = done.stderr.decode("utf-8", "replace").strip()
            raise RunBroke(f"git {words[0]} failed in {self.folder.name}: {error or f'exit code {done.returncode}'}")
        return done.stdout

    def resolve(self, revision: str) -> str:
        """The id of the commit that a name, tag or short id stands for.

        :raises IncidentError: there is none
        """
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        try:
            return self.git(*words).decode().strip()
        except RunBroke:
            hint = ". It is a shallow clone: older commits are not in it" if self.shallow else ""
            raise IncidentError(
                f"{self.folder}: there is no revision {revision!r} in this repository{hint}. "
                "Give a commit's id, a branch or a tag that `git log --all` shows."
            ) from None

    def commits(self, *words: str) -> tuple[Commit, ...]:
        """Commits as ``git log`` gives them, newest first; by default of every branch and tag, and HEAD."""
        words = words or self.everything
        if not words:
            return ()
        form = "--format=%H%x1f%P%x1f%T%x1f%aI%x1f%an%x1f%s"
        plain = ("--no-color", "--no-decorate", "--no-patch", "--encoding=UTF-8", "--date-order")
        out = self.git("log", "-z", *plain, form, *words).decode("utf-8", "replace")
        commits = []
        for record in filter(None, out.split("\0")):
            sha, parents, tree, date, author, subject = record.split("\x1f", 5)
            commits.append(Commit(sha, tuple(parents.split()), tree, date, author, subject))
        return tuple(commits)

    @cached_property
    def everything(self) -> tuple[str, ...]:
        """The arguments that name the whole history; none in a repository without a commit."""
        try:
            self.git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
            head = ("HEAD",)
        except RunBroke:
            head = ()
        others = self.git("for-each-ref", "--count=1", "refs/heads", "refs/remotes", "refs/tags")
        return (*head, "--branches", "--remotes", "--tags") if head or others else ()

    @cached_property
    def cut(self) -> frozenset[str]:
        """Commits of a shallow clone whose parents are not in it."""
        if not self.shallow:
            return frozenset()
        path = self.git("rev-parse", "--path-format=absolute", "--git-path", "shallow").decode().strip()
        return frozenset(Path(path).read_text().split())

    def order(self, *words: str) -> list[str]:
        """Ids as ``git rev-list`` gives them."""
        return [line.split()[0] for line in self.git("rev-list", *words).decode().splitlines()]

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Is ``commit`` the other commit, or an ancestor of it?"""
        return commit == of or not self.order("--max-count=1", commit, "--not", of)

    def paths_named(self, names: Iterable[str]) -> tuple[str, ...]:
        """Every path with one of these file names that any commit of the history had."""
        plain = (re.sub(r"[*?\[\]\\]", r"\\\g<0>", name) for name in sorted(set(names)))  # no pattern
        wanted = [f":(top,glob)**/{name}" for name in plain]
        if not wanted or not self.everything:
            return ()
        # Against each parent, without leaving out branches whose changes a merge dropped.
        how = ("--full-history", "-m", "--no-renames", "--diff-filter=A", "--name-only", "--format=", "-z")
        out = self.git("log", *how, *self.everything, "--", *wanted).decode("utf-8", "surrogateescape")
        return tuple(sorted({path.strip("\n") for path in out.split("\0")} - {""}))

    def objects(self, names: Sequence[str]) -> list[tuple[str, str, int] | None]:
        """``(id, kind, bytes)`` of each object that is named, as in ``<commit>:<path>``; None where there is none."""
        if not names:
            return []
        # Line ends separate requests, so a name with a line end cannot be asked for.
        lines = ("0" * 40 if "\n" in name else name for name in names)
        request = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        out = self.git("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", input=request)
        objects: list[tuple[str, str, int] | None] = []
        for line in out.decode("utf-8", "surrogateescape").splitlines():
            words = line.split(" ")
            good = len(words) == 3 and words[2].isdigit()
            objects.append((words[0], words[1], int(words[2])) if good else None)
        return objects

    def contents(self, ids: Iterable[str]) -> dict[str, bytes]:
        """The content of blobs by id, read by one process; a missing blob is left out."""
        unique = list(dict.fromkeys(ids))
        if not unique:
            return {}
        out = self.git("cat-file", "--batch", input="".join(f"{id_}\n" for id_ in unique).encode())
        contents, at = {}, 0
        while at < len(out):
            end = out.index(b"\n", at)
            words = out[at:end].split(b" ")
            at = end + 1
            if len(words) == 3 and words[2].isdigit():
                size = int(words[2])
                contents[words[0].decode()] = out[at : at + size]
                at += size + 1
        return contents

    def files(self, revision: str, suffix: str = ".py") -> dict[str, str]:
        """Path to blob id of a commit's files with this suffix; paths are relative to ``subdir``."""
        tree = revision if self.subdir == "." else f"{revision}:{self.subdir}"
        out = self.git("ls-tree", "-r", "-z", "--full-tree", tree).decode("utf-8", "surrogateescape")
        blobs = {}
        for record in filter(None, out.split("\0")):
            facts, path = record.split("\t", 1)
            mode, kind, sha = facts.split()
            if kind == "blob" and mode != "120000" and path.endswith(suffix):
                blobs[path] = sha
        return blobs

    def submodules(self, revision: str) -> tuple[str, ...]:
        """The paths in a commit that are submodules."""
        out = self.git("ls-tree", "-r", "-z", "--full-tree", revision).decode("utf-8", "surrogateescape")
        return tuple(record.split("\t", 1)[1] for record in out.split("\0") if record.startswith("160000 "))

    def tree_of(self, revision: str) -> str | None:
        """The id of the application's folder in a commit, the same for the same files; None where it is not there."""
        (tree,) = self.objects([f"{revision}^{{tree}}" if self.subdir == "." else f"{revision}:{self.subdir}"])
        return tree[0] if tree and tree[1] == "tree" else None

    def patch(self, commit: str, *, binary: bool = False) -> str:
        """The patch of a commit against its first parent, below ``subdir``, as ``git apply`` takes it."""
        (changed,) = self.commits("--max-count=1", commit)
        pair = [changed.parents[0], changed.sha] if changed.parents else ["--root", "--no-commit-id", changed.sha]
        words = ["--binary", "--full-index"] if binary else ["--find-renames"]
        words += [] if self.subdir == "." else [f"--relative={self.subdir}"]
        plain = ("--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
        patch = self.git("diff-tree", "-p", "-r", "-U3", *plain, *words, *pair)
        return patch.decode("utf-8", "surrogateescape")

    def messages(self, commits: Sequence[str]) -> dict[str, str]:
        """The whole message of each commit, by its id; one git reads them all."""
        words = ("-z", "--no-color", "--no-patch", "--encoding=UTF-8", "--format=%H %B", "--no-walk", "--stdin")
        out = self.git("log", *words, input="\n".join(commits).encode()) if commits else b""
        records = (record.partition(" ") for record in out.decode("utf-8", "replace").split("\0"))
        return {sha: text.strip() for sha, _, text in records if sha}

    def uncommitted(self) -> tuple[str, ...]:
        """Tracked files of the work tree that differ from HEAD; nothing for a bare repository."""
        if self.bare or "HEAD" not in self.everything:
            return ()
        words = ("--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=all")
        out = self.git("status", *words, "--", self.subdir).decode("utf-8", "surrogateescape")
        return tuple(record[3:] for record in out.split("\0") if record)
