"""The builds of an application as commits: its own repository, or one made from a series of patches; and which one it is.

A repository from patches is made once by ``git am``, with the patches' authors and dates and nothing of
the user's configuration, so that the same patches always give the same commit ids.
"""

import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from ..base.errors import IncidentError, KitError, RunBroke
from ..base.janitor import folder as temporary_folder
from .model import Incident
from .repository import Repository, open_repository, run_git
from .sources import files_below

_COMMITTER = {"GIT_COMMITTER_NAME": "incident history", "GIT_COMMITTER_EMAIL": "history@incident.invalid"}
_VERSION = "1"  # of how a repository is made
_MOST = 20_000  # files that are hashed
_SHOWN = 9  # characters of a commit or hash


def cache_folder(named: str | Path | None = None) -> Path:
    """The folder for what can be made again: the named one, else one in the user's cache folder.

    :raises IncidentError: the named folder cannot be written
    """
    if named is not None:
        folder = Path(named).expanduser().absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IncidentError(f"{folder}: cannot be a cache folder: {error.strerror}") from None
        return folder
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base and os.path.isabs(base) else Path.home() / ".cache") / "incident-kit"
    with suppress(OSError, RuntimeError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    # Only the same user's: what is read back from it decides verdicts.
    folder = Path(tempfile.gettempdir()) / f"incident-kit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RunBroke(f"{folder} belongs to somebody else; name a cache folder of your own with --cache")
    return folder


def builds_of(incident: Incident, cache: str | Path | None = None) -> Repository | None:
    """The history of an incident's application, or None if it is only a folder.

    It is ``app.repository``, the repository made from the patches under ``history``, or ``app.root``
    where that is itself the top of a repository.

    :raises IncidentError: what is named is no repository, or a patch does not apply
    """
    app = incident.app
    if app.repository is not None:
        named = f"{incident.file}: app.repository"
        return open_repository(incident.resolve(app.repository), subdir=app.subdir, named=named)
    if incident.history is not None:
        return repository_of_patches(incident.resolve(incident.history), cache_folder(cache))
    root = incident.resolve(app.root)
    return open_repository(root, named=f"{incident.file}: app.root") if (root / ".git").exists() else None


def work_tree_of(incident: Incident, repository: Repository | None) -> Path | None:
    """The application's files as they stand now: its folder, or the repository's checkout."""
    if incident.app.root is not None:
        return incident.resolve(incident.app.root)
    if repository is None or repository.bare:
        return None
    return repository.folder / repository.subdir


def default_range(incident: Incident, repository: Repository) -> tuple[str, str | None]:
    """The newest commit to search, and the commit that reproduces by the incident file; None where it names none.

    A repository is searched up to its HEAD if the incident's revision is part of that line, else up to the revision.
    """
    if incident.app.repository is None:
        return repository.resolve("HEAD"), None
    revision = repository.resolve(incident.app.revision)
    head = repository.resolve("HEAD") if "HEAD" in repository.everything else revision
    return (head if repository.is_ancestor(revision, head) else revision), revision


def identity(incident: Incident) -> str:
    """``commit 27f7a9bba``, or ``sources 3f2a91c04`` for a folder: the same files give the same text.

    The hash is over the paths and bytes of every ``.py`` file below ``app.root``, environments and hidden folders left out;
    it is ``unknown`` where one cannot be read.
    """
    app = incident.app
    if app.repository is not None:
        try:
            sha = open_repository(incident.resolve(app.repository), named="app.repository").resolve(app.revision)
        except KitError:
            return f"revision {app.revision}"
        return f"commit {sha[:_SHOWN]}"
    digest, root = hashlib.sha256(), incident.resolve(app.root)
    paths = sorted(root / name for name in files_below(root) if name.endswith(".py") and (root / name).is_file())
    try:
        for path in paths[:_MOST]:
            digest.update(str(path.relative_to(root)).encode("utf-8", "surrogateescape"))
            digest.update(b"\0" + hashlib.sha256(path.read_bytes()).digest())
    except OSError:
        return "sources unknown"
    return f"sources {digest.hexdigest()[:_SHOWN]}"


def repository_of_patches(folder: Path, cache: Path) -> Repository:
    """The repository of a series of patches, ``*.patch`` in the order of their names; it is made if it does not exist.

    :raises IncidentError: there is no patch, or one does not apply
    """
    patches = sorted(folder.glob("*.patch"))
    if not patches:
        raise IncidentError(f"{folder}: there is no *.patch in this folder; `git format-patch --root` writes a series")
    digest = hashlib.sha256(_VERSION.encode())
    for patch in patches:
        digest.update(f"\0{patch.name}\0".encode() + patch.read_bytes())
    target = cache / "builds" / f"{digest.hexdigest()[:24]}.git"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(target.parent) as draft:
            try:
                _apply_all(patches, draft)
                os.rename(draft / ".git", target)  # whole or not at all
            except OSError:
                if not target.exists():  # else somebody else was faster
                    raise
    return open_repository(target, named=str(folder))


def _apply_all(patches: list[Path], draft: Path) -> None:
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_DEFAULT_HASH": "sha1"}

    def git(*words: str) -> subprocess.CompletedProcess:
        return run_git("-c", "core.autocrlf=false", *words, folder=draft, environment={**alone, **_COMMITTER})

    git("init", "--quiet", "--template=", "--initial-branch=main").check_returncode()
    # A patch file whose own lines end in CRLF was converted; in any other a CR belongs to the content.
    keep = [] if patches[0].read_bytes().partition(b"\n")[0].endswith(b"\r") else ["--keep-cr"]
    how = ["--quiet", "--committer-date-is-author-date", "--no-gpg-sign", *keep]
    done = git("am", *how, *(str(patch.absolute()) for patch in patches))
    if done.returncode:
        applied = git("rev-list", "--count", "HEAD")
        number = int(applied.stdout) if applied.returncode == 0 else 0
        lines = done.stderr.splitlines()
        errors = [line.removeprefix("error: ") for line in lines if line.startswith(("error:", "fatal:"))]
        raise IncidentError(
            f"{patches[min(number, len(patches) - 1)]}: does not apply after the {number} patches before it: "
            f"{'; '.join(errors) or 'git am gives no reason'}. The series must begin with the patch that makes the first files."
        )
    # The work tree is thrown away: a repository that is only read needs none.
    git("config", "core.bare", "true").check_returncode()
    (draft / ".git" / "index").unlink(missing_ok=True)
