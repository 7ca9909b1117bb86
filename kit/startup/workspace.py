"""A copy of the application at one build with one fix applied, its scratch database and its environment.

Nothing of the user's is run in place: what a startup writes, it writes here, and it is gone afterwards.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import IncidentError, RunBroke
from ..base.janitor import folder as temporary_folder
from ..base.janitor import mark, remove
from ..incident.copying import copy_tree
from ..incident.model import Incident
from ..incident.repository import run_git
from ..trace.processes import Asked
from .probe import SYSTEM_PATH, put_probe

if TYPE_CHECKING:
    from .postgresql import Scratch

_MOST_PATCHED = 1 << 30  # bytes of one file that a patch writes


@dataclass(frozen=True)
class Workspace:
    """Where one startup runs.

    :ivar folder: holds everything below; removed at the end
    :ivar root: the copy of the application's root
    :ivar environment: the whole environment of the startup's processes
    :ivar database_url: the scratch database
    :ivar postgresql: the same, where it lies on a PostgreSQL server
    :ivar left: what was not copied, relative to the application's root, each with the reason
    """

    folder: Path
    root: Path
    workdir: Path
    python: str
    environment: dict[str, str]
    database_url: str
    left: tuple[str, ...] = ()
    postgresql: "Scratch | None" = None
    changed: tuple[str, ...] = ()  # files that the patches change or add, relative to the root
    up: list[Any] = field(default_factory=list)  # the processes of this run that serve
    asked: dict[Path, Asked] = field(default_factory=dict)  # a process's folder: from when on it only answered the kit

    @property
    def patched(self) -> tuple[str, ...]:
        """The Python files among those that the patches change or add."""
        return tuple(name for name in self.changed if name.endswith(".py"))

    @property
    def before(self) -> Path:
        """Where those of them that were there lie as they were."""
        return self.folder / "before"

    def filled(self, text: str) -> str:
        """Text of the incident file, with the scratch database in place of ``{database_url}`` and its parts."""
        return _filled(text, self.database_url, self.postgresql)


@contextmanager
def workspace(incident: Incident, patches: Sequence[Path | str] = ()) -> Iterator[Workspace]:
    """Copy the application, apply ``patches`` in order, make the scratch database; remove all of it at the end.

    :param patches: files; a text names a commit of the application's history, whose change is applied
    :raises IncidentError: a patch does not apply
    :raises RunBroke: the interpreter is missing, or the application cannot be copied
    """
    with ExitStack() as ending:
        try:
            folder = ending.enter_context(temporary_folder())
            if incident.database == "postgresql":
                # Its driver is only loaded where it is needed.
                from .postgresql import give_extensions, scratch_database

                postgresql = ending.enter_context(scratch_database(incident))
            else:
                postgresql = None
            space = _made(incident, patches, folder, postgresql)
            if postgresql:
                give_extensions(postgresql, space.root)
        except OSError as error:
            raise RunBroke(f"the workspace could not be made: {error}") from None
        yield space


def _made(incident: Incident, patches: Sequence[Path | str], folder: Path, postgresql: "Scratch | None") -> Workspace:
    root = folder / "app"
    left = _copy(incident, root)
    changed: dict[str, None] = {}
    for patch in _as_files(incident, patches, folder):
        for name in changed_by(patch, root):
            inside = ".." not in Path(name).parts and not Path(name).is_absolute()
            if name not in changed and inside:
                changed[name] = None
                _keep(root / name, folder / "before" / name)
        apply(patch, root)
    for name in ("home", "tmp", "probe", "scratch"):
        (folder / name).mkdir()
    driver = incident.database_driver
    file = folder / "scratch" / "scratch.db"
    url = postgresql.url(driver) if postgresql else f"sqlite{f'+{driver}' if driver else ''}:///{file}"
    workdir = root / incident.app.workdir
    if not workdir.is_dir() or not workdir.resolve().is_relative_to(root):
        raise IncidentError(
            f"{incident.file}: app.workdir: there is no folder {incident.app.workdir!r} in the application"
        )
    python = incident.python
    put_probe(folder / "probe", python)
    environment = _environment(incident, folder, root, python)
    environment |= {name: _filled(value, url, postgresql) for name, value in incident.app.env.items()}
    environment.setdefault(incident.database_env, url)  # what is written there holds the scratch database itself
    left = (*(incident._packed or ()), *left)
    return Workspace(folder, root, workdir, python, environment, url, left, postgresql, tuple(changed))


def _copy(incident: Incident, root: Path) -> list[str]:
    """The application as the incident file says, without any fix; what was left behind."""
    if incident.app.repository:
        return _check_out(incident, root)
    # What was packed is what is needed: nothing more stays behind.
    most = incident.limits.copy_mb << 20 if incident._packed is None else sys.maxsize
    return copy_tree(incident.resolve(incident.app.root), root, most)


def refuse_patches(incident: Incident, fixes: Iterable[str]) -> None:
    """Does every fix apply to this build? Asked of one copy, before anything is started.

    :raises IncidentError: with each fix that does not, its line and the reason
    :raises RunBroke: the application cannot be copied
    """
    problems = []
    with temporary_folder() as folder:
        root = folder / "app"
        try:
            for fix in fixes:
                if not root.exists():
                    _copy(incident, root)
                try:
                    patches = _as_files(incident, incident.changes_of(fix), folder)
                    if not _apply_together(patches, root):
                        for patch in patches:
                            apply(patch, root)
                        remove(root)
                except IncidentError as error:
                    message = str(error).replace(f"{incident.folder}{os.sep}", "")
                    problems.append(f"{incident.place('fixes', fix)}: fix {fix}: {message}")
                    remove(root)
        except OSError as error:
            raise RunBroke(f"the patches could not be tried: {error}") from None
    if problems:
        raise IncidentError("\n".join(problems))


def _apply_together(patches: Sequence[Path], root: Path) -> bool:
    """Would these, one after the other, apply? Nothing is changed; False also where git cannot tell so."""
    try:
        text = b"\n".join(patch.read_bytes() for patch in patches)
    except OSError:
        return False
    return _git_apply(root, "--check", "-", input=text, text=False).returncode == 0


def _git_apply(root: Path, *words: str, **options) -> subprocess.CompletedProcess:
    # Without a ceiling git would take a repository that happens to lie above, and skip every file.
    alone = {"GIT_CEILING_DIRECTORIES": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    return run_git("apply", "--whitespace=nowarn", "-p1", *words, folder=root, environment=alone, **options)


def _filled(text: str, url: str, postgresql: "Scratch | None") -> str:
    text = text.replace("{database_url}", url)
    for name, value in postgresql.parts.items() if postgresql else ():
        text = text.replace(f"{{database_{name}}}", value)
    return text


def changed_by(patch: Path, root: Path) -> list[str]:
    """The files that a patch names, relative to ``root``; none where git cannot read it."""
    done = _git_apply(root, "--numstat", "-z", str(patch))
    return [entry.rpartition("\t")[2] for entry in done.stdout.split("\0") if entry]


def _keep(file: Path, target: Path) -> None:
    """A copy of a file as it is before a patch; what leads out of the application is not followed."""
    if file.is_file() and not file.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def apply(patch: Path, root: Path) -> None:
    """``git apply`` one patch inside ``root``; git itself refuses paths that lead out of it.

    :raises IncidentError: with what git says
    """
    # A few bytes of a binary patch may stand for any number of them.
    limited = ("/bin/sh", "-c", f'ulimit -f {_MOST_PATCHED >> 9}; exec "$@"', "sh")
    done = _git_apply(root, str(patch), before=limited)
    if done.returncode:
        errors = "; ".join(line.removeprefix("error: ") for line in done.stderr.strip().splitlines())
        errors = errors or f"no reason given; a file may not be larger than {_MOST_PATCHED >> 20} MB"
        raise IncidentError(
            f"{patch}: the patch does not apply to this build: {errors}. Paths in it count from the application's root; "
            "patches of one fix are applied in the order in which they are listed."
        )


def _as_files(incident: Incident, changes: Iterable[Path | str], folder: Path) -> list[Path]:
    return [_written(incident, change, folder) if isinstance(change, str) else change for change in changes]


def _written(incident: Incident, commit: str, folder: Path) -> Path:
    """A commit's change as a patch file, its paths counted from the application's root.

    :raises IncidentError: the application has no history, or no such commit
    """
    from ..incident.builds import builds_of

    repository = builds_of(incident)
    if repository is None:
        raise IncidentError(
            f"{incident.file}: fixes: commit {commit}: {incident.app.root} is a folder without a history. "
            "Give app.repository, history (a folder of patches), or the fix as patches."
        )
    sha = repository.resolve(commit)
    path = folder / f"commit {sha[:12]}.patch"
    path.write_text(repository.patch(sha, binary=True), encoding="utf-8", errors="surrogateescape", newline="")
    return path


def _environment(incident: Incident, folder: Path, root: Path, python: str) -> dict[str, str]:
    """A clean environment: nothing of the caller's own."""
    app = incident.app
    path = [str(folder / "probe")] + [str((root / entry).absolute()) for entry in app.path]
    return {
        "PATH": f"{Path(python).parent}:{SYSTEM_PATH}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",  # nothing is written into the application's environment
        "PYTHONUNBUFFERED": "1",  # what was printed is there, however the process ends
        "PYTHONHASHSEED": "0",  # two runs of one build walk sets in the same order
        "INCIDENT_ROOT": str(root),
        "INCIDENT_SOURCE": os.path.realpath(incident.resolve(app.root or os.path.join(app.repository, app.subdir))),
    }


def _check_out(incident: Incident, target: Path) -> list[str]:
    """The files of one commit, written through an index of our own: the repository stays as it is."""
    app = incident.app
    repository = incident.resolve(app.repository)
    index = target.with_name("index")
    environment = {"GIT_INDEX_FILE": str(index), **mark(target.parent)}

    def git(*words: str) -> None:
        plain = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.required=false")
        done = run_git(*plain, *words, folder=repository, environment=environment)
        if done.returncode:
            raise IncidentError(
                f"{incident.file}: app: cannot take {app.revision}:{app.subdir} out of {app.repository}: {done.stderr.strip()}"
            )

    tree = f"{app.revision}^{{commit}}" if app.subdir == "." else f"{app.revision}:{app.subdir}"
    target.mkdir()
    git("read-tree", tree)
    git("--work-tree", str(target), "checkout-index", "--all", "--force", f"--prefix={target}/")
    return _without_links_out(target)


def _without_links_out(root: Path) -> list[str]:
    """Take out links of a commit that lead out of it: something would be written through them."""
    left = []
    for parent, folders, files in os.walk(root):
        for path in (Path(parent, name) for name in [*folders, *files]):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                path.unlink()
                shown = os.fsencode(path.relative_to(root)).decode("utf-8", "replace")
                left.append(f"{shown} (a link out of the application)")
    return sorted(left)
