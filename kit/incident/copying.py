"""Copies a work tree so that a startup can run in the copy: links never lead out of it, and data stays behind.

What git holds is copied. Of what it does not hold (ignored, untracked, or a tree without git) everything is
copied too, since an application may need it to start: ``.env``, a generated ``_version.py``, a seed database.
Only where such data is large, more than the limit in one folder or file, it stays behind; the folder itself,
and sources and settings in it, come along.
"""

import os
import shutil
import stat
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..base.errors import RunBroke
from .repository import run_git

# Never needed to start an application, often large: version control, caches, other environments.
_LEFT_BEHIND = {
    ".git", ".hg", ".svn", "__pycache__", "node_modules", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache",
}  # fmt: skip
# What is copied out of large folders too: code, and settings where they are small.
_CODE = (".py", ".pyi", ".pyx", ".so", ".pth")
_SETTINGS = (
    ".toml", ".ini", ".cfg", ".conf", ".env", ".yaml", ".yml", ".json", ".sql", ".mako", ".html", ".txt", ".pem",
)  # fmt: skip
_SMALL = 1 << 20  # bytes; a larger .json or .sql is data
_NO_FILES = ("/proc", "/sys", "/dev")
_MANY = 200_000  # files of one folder that is reached through a link; beyond, it is no part of an application


def copy_tree(source: Path, target: Path, most: int) -> list[str]:
    """Copy a work tree.

    :param most: bytes of data that git does not hold, in one folder or file, up to which it is copied
    :returns: what was left behind, each ``path (reason)``
    :raises OSError: there is no room, or the tree cannot be read at all
    """
    source = source.resolve()
    copy = _Copy(source, target, most, not_held(source))
    copy.folder(source, target, frozenset({source}), held=True)
    same = Counter(reason for _, reason in copy.left if reason.startswith("not needed"))
    shown = [f"{path} ({reason})" for path, reason in copy.left if same[reason] == 1 or reason not in same]
    return sorted(shown + [f"{count} folders {reason}" for reason, count in same.items() if count > 1])


def not_held(source: Path) -> frozenset[str] | None:
    """Files and folders that git does not hold, relative to ``source``; None: it holds nothing of it."""
    try:
        done = run_git("ls-files", "--others", "--directory", "-z", folder=source, text=False, timeout=60)
    except (OSError, RunBroke, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None  # no repository, or one that git refuses to read
    names = {os.fsdecode(name).rstrip("/") for name in done.stdout.split(b"\0") if name}
    return None if "." in names else frozenset(names)


def beside_git(source: Path) -> tuple[str, ...]:
    """What the copy of a work tree has and a fresh clone has not, relative to ``source``; empty where there is no git."""
    names = not_held(source) or ()
    kept = [name for name in names if not _LEFT_BEHIND.intersection(Path(name).parts) and not name.endswith(".pyc")]
    return tuple(sorted(name for name in kept if not (source / name / "pyvenv.cfg").exists()))


@dataclass
class _Folder:
    """The sizes and counts of a folder that git does not hold."""

    data: int = 0  # bytes below it that are neither sources nor settings
    direct: int = 0  # the same, of its own files
    files: int = 0
    python: bool = False


@dataclass
class _Copy:
    source: Path
    target: Path
    most: int
    not_held: frozenset[str] | None
    left: list[tuple[str, str]] = field(default_factory=list)
    known: dict[str, _Folder] = field(default_factory=dict)

    def folder(self, folder: Path, to: Path, above: frozenset[Path], *, held: bool, only_needed: bool = False) -> None:
        """Copy a folder's content; with ``only_needed`` only sources and settings, since the rest is noted already."""
        to.mkdir(parents=True, exist_ok=True)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if folder == self.source:
                raise
            self.leave(to, _why(error))
            return
        direct = only_needed
        if not held and not only_needed:
            direct = self.judge(folder, to)
            only_needed = direct and not self.measure(folder).python
        for entry in entries:
            path = Path(entry.path)
            if entry.name in _LEFT_BEHIND:
                self.leave(to / entry.name, f"not needed to start: {entry.name}")
                continue
            here = held and self.not_held is not None and str(path.relative_to(self.source)) not in self.not_held
            try:
                self.entry(path, to / entry.name, above, held=here, skip_data=direct, only_needed=only_needed)
            except (PermissionError, FileNotFoundError) as error:
                self.leave(to / entry.name, _why(error))

    def judge(self, folder: Path, to: Path) -> bool:
        """Is this folder's data too large to be copied? Then the folder is noted, once."""
        sizes = self.measure(folder)
        size = sizes.direct if sizes.python else sizes.data
        if size <= self.most:
            return False
        self.leave(to, f"{_human(size)} of data that git does not hold; limits.copy_mb is {self.most >> 20}")
        return True

    def entry(
        self, path: Path, goal: Path, above: frozenset[Path], *, held: bool, skip_data: bool, only_needed: bool
    ) -> None:
        if path.is_symlink():
            real = Path(os.path.realpath(path))
            if not real.exists():
                self.leave(goal, "a link to nothing")
                return
            if real.is_relative_to(self.source):  # within the tree: the same link within the copy
                goal.symlink_to(os.path.relpath(real, path.parent.resolve()))
                return
            if self.source.is_relative_to(real) or str(real).startswith(_NO_FILES):
                self.leave(goal, "a link to a folder that is no part of an application")
                return
            path, held = real, False  # out of the tree: what it leads to, so that nothing is written through it
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            if path in above:
                self.leave(goal, "a link in a circle")
            elif (path / "pyvenv.cfg").exists():
                self.leave(goal, "a virtual environment")
            elif not held and self.measure(path).files > _MANY:
                self.leave(goal, f"more than {_MANY} files that git does not hold")
            else:
                self.folder(path, goal, above | {path}, held=held, only_needed=only_needed)
        elif not stat.S_ISREG(state.st_mode):
            self.leave(goal, "neither file nor folder")
        elif not held and _data(path.name, state.st_size) and (skip_data or state.st_size > self.most):
            if not skip_data:
                self.leave(goal, f"{_human(state.st_size)} that git does not hold; limits.copy_mb is {self.most >> 20}")
        else:
            shutil.copy2(path, goal)

    def measure(self, folder: Path) -> _Folder:
        """The sizes and counts below a folder, links not followed; counted once."""
        known = self.known.get(str(folder))
        if known is not None:
            return known
        counted = self.known[str(folder)] = _Folder()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return counted
        for entry in entries:
            try:
                if entry.is_symlink() or entry.name in _LEFT_BEHIND:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    inner = self.measure(Path(entry.path))
                    counted.data += inner.data
                    counted.files += inner.files
                    counted.python = counted.python or inner.python
                elif entry.is_file(follow_symlinks=False):
                    counted.files += 1
                    counted.python = counted.python or entry.name.endswith(".py")
                    size = entry.stat(follow_symlinks=False).st_size
                    if _data(entry.name, size):
                        counted.data += size
                        counted.direct += size
            except OSError:
                continue
            if counted.files > _MANY:
                break
        return counted

    def leave(self, goal: Path, reason: str) -> None:
        """``goal`` is where it would have been in the copy."""
        shown = os.fsencode(goal.relative_to(self.target)).decode("utf-8", "replace")
        self.left.append((shown, reason))


def _data(name: str, size: int) -> bool:
    """Is a file neither code nor settings?"""
    settings = name.endswith(_SETTINGS) or name.startswith(".env") or "." not in name
    return not name.endswith(_CODE) and not (settings and size <= _SMALL)


def _why(error: OSError) -> str:
    return "unreadable" if isinstance(error, PermissionError) else f"cannot be read: {error.strerror}"


def _human(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size >> 20} MB"
