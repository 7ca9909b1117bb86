"""A copy of the application at one build with one fix applied, its scratch database and its environment.

Nothing of the user's is run in place: what a startup writes, it writes here, and it is gone afterwards.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import IncidentError, RunBroke
from .incident import Incident
from .janitor import folder as temporary_folder
from .repository import QUIET, git_environment

if TYPE_CHECKING:
    from .postgresql import Scratch

# Never needed to start an application, often large: version control, caches, other environments.
_LEFT_BEHIND = {
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "node_modules",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


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
                from .postgresql import scratch_database  # its driver is only loaded where it is needed

                postgresql = ending.enter_context(scratch_database(incident))
            else:
                postgresql = None
            space = _made(incident, patches, folder, postgresql)
        except OSError as error:
            raise RunBroke(f"the workspace could not be made: {error}") from None
        yield space


def _made(incident: Incident, patches: Sequence[Path | str], folder: Path, postgresql: "Scratch | None") -> Workspace:
    root = folder / "app"
    left = _check_out(incident, root) if incident.app.repository else _copy(incident.resolve(incident.app.root), root)
    for patch in patches:
        apply(_written(incident, patch, folder) if isinstance(patch, str) else patch, root)
    for name in ("home", "tmp", "probe", "scratch"):
        (folder / name).mkdir()
    shutil.copyfile(Path(__file__).with_name("probe.py"), folder / "probe" / "sitecustomize.py")
    driver = incident.database_driver
    file = folder / "scratch" / "scratch.db"
    url = postgresql.url(driver) if postgresql else f"sqlite{f'+{driver}' if driver else ''}:///{file}"
    workdir = root / incident.app.workdir
    if not workdir.is_dir():
        raise IncidentError(
            f"{incident.file}: app.workdir: there is no folder {incident.app.workdir!r} in the application"
        )
    python = incident.python
    environment = _environment(incident, folder, root, python)
    environment |= {name: _filled(value, url, postgresql) for name, value in incident.app.env.items()}
    environment[incident.database_env] = url
    return Workspace(folder, root, workdir, python, environment, url, tuple(left), postgresql)


def _filled(text: str, url: str, postgresql: "Scratch | None") -> str:
    text = text.replace("{database_url}", url)
    for name, value in postgresql.parts.items() if postgresql else ():
        text = text.replace(f"{{database_{name}}}", value)
    return text


def apply(patch: Path, root: Path) -> None:
    """``git apply`` one patch inside ``root``; git itself refuses paths that lead out of it.

    :raises IncidentError: with what git says
    """
    # Without a ceiling git would take a repository that happens to lie above, and skip every file.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-p1", str(patch)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = "; ".join(line.removeprefix("error: ") for line in done.stderr.strip().splitlines()) or "no reason given"
        raise IncidentError(
            f"{patch}: the patch does not apply to this build: {said}. Paths in it count from the application's root; "
            "patches of one fix are applied in the order in which they are listed."
        )


def _written(incident: Incident, commit: str, folder: Path) -> Path:
    """A commit's change as a patch file, its paths counted from the application's root.

    :raises IncidentError: the application has no history, or no such commit
    """
    from .builds import builds_of

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
    path = [str(folder / "probe")] + [str((root / entry).absolute()) for entry in incident.app.path]
    return {
        "PATH": f"{Path(python).parent}:{_SYSTEM_PATH}",
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
    }


def _copy(source: Path, target: Path) -> list[str]:
    """Copy a work tree; links never lead back into the original.

    :returns: what was left behind, each ``path (reason)``
    """
    left: list[str] = []
    source = source.resolve()

    def copy_folder(folder: Path, to: Path, above: frozenset) -> None:
        to.mkdir(parents=True, exist_ok=True)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except PermissionError:
            left.append(f"{folder.relative_to(source) if folder.is_relative_to(source) else folder.name} (unreadable)")
            return
        for entry in entries:
            path, goal = Path(entry.path), to / entry.name
            shown = str(path.relative_to(source)) if path.is_relative_to(source) else entry.name
            if entry.name in _LEFT_BEHIND:
                left.append(f"{shown} (not needed to start)")
                continue
            try:
                copy_entry(path, goal, shown, above)
            except PermissionError:
                left.append(f"{shown} (unreadable)")

    def copy_entry(path: Path, goal: Path, shown: str, above: frozenset) -> None:
        if path.is_symlink():
            real = path.resolve()
            if not real.exists():
                left.append(f"{shown} (a link to nothing)")
                return
            if real.is_relative_to(source):  # within the tree: the same link within the copy
                goal.symlink_to(os.path.relpath(real, path.parent.resolve()))
                return
            path = real  # out of the tree: what it leads to, so that nothing is written through it
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            if path in above:
                left.append(f"{shown} (a link in a circle)")
            elif (path / "pyvenv.cfg").exists():
                left.append(f"{shown} (a virtual environment)")
            else:
                copy_folder(path, goal, above | {path})
        elif stat.S_ISREG(mode):
            shutil.copy2(path, goal)
        else:
            left.append(f"{shown} (neither file nor folder)")

    copy_folder(source, target, frozenset({source}))
    return left


def _check_out(incident: Incident, target: Path) -> list[str]:
    """The files of one commit, written through an index of our own: the repository stays as it is."""
    app = incident.app
    repository = incident.resolve(app.repository)
    index = target.with_name("index")
    environment = git_environment(GIT_INDEX_FILE=str(index))

    def git(*words: str) -> None:
        plain = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.required=false")
        command = ["git", *QUIET, *plain, "-C", str(repository), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise IncidentError(
                f"{incident.file}: app: cannot take {app.revision}:{app.subdir} out of {app.repository}: {done.stderr.strip()}"
            )

    tree = f"{app.revision}^{{commit}}" if app.subdir == "." else f"{app.revision}:{app.subdir}"
    target.mkdir()
    git("read-tree", tree)
    git("--work-tree", str(target), "checkout-index", "--all", "--force", f"--prefix={target}/")
    return []
