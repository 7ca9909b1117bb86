"""The identity of an incident's application: its commit, or a hash of its sources."""

import hashlib
import os
from pathlib import Path

from ..base.errors import KitError
from .model import Incident
from .repository import open_repository

_NOT_OF_IT = {".git", ".hg", ".svn", "__pycache__", "node_modules", ".tox", ".nox", ".venv", "venv"}
_MOST = 20_000  # files that are hashed
_SHOWN = 9  # characters of a commit or hash


def identity(incident: Incident) -> str:
    """``commit 27f7a9bba``, or ``sources 3f2a91c04`` for a folder: the same files give the same text.

    The hash is over the paths and bytes of every ``.py`` file below ``app.root``; it is ``unknown`` where nothing can be read.
    """
    app = incident.app
    if app.repository is not None:
        try:
            sha = open_repository(incident.resolve(app.repository), named="app.repository").resolve(app.revision)
        except KitError:
            return f"revision {app.revision}"
        return f"commit {sha[:_SHOWN]}"
    digest = hashlib.sha256()
    try:
        for path in _sources(incident.resolve(app.root)):
            digest.update(str(path.relative_to(incident.resolve(app.root))).encode("utf-8", "surrogateescape"))
            digest.update(b"\0" + hashlib.sha256(path.read_bytes()).digest())
    except OSError:
        return "sources unknown"
    return f"sources {digest.hexdigest()[:_SHOWN]}"


def _sources(root: Path) -> list[Path]:
    """The ``.py`` files below a folder, sorted; links are not followed, environments and caches are left out."""
    paths: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in _NOT_OF_IT and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        paths += (Path(folder) / name for name in files if name.endswith(".py"))
        if len(paths) >= _MOST:
            break
    return sorted(path for path in paths[:_MOST] if path.is_file())
