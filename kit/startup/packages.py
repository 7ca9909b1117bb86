"""What an interpreter is, and every package that it would import: as a text that changes with any of them."""

import hashlib
import json
import os
import subprocess
from functools import lru_cache
from pathlib import Path

_MOST = 200_000  # files; beyond, it is no environment
_KIT = os.path.realpath(Path(__file__).parents[2])  # a checkout of the kit; what it holds is no package of anybody's
_ASK = "import json, site, sys; print(json.dumps([sys.version, sys.executable, sys.prefix, site.getsitepackages()]))"


@lru_cache(maxsize=16)
def packages_of(python: str) -> str | None:
    """The hash of an interpreter, and of names, sizes and times of its packages' files; None where it cannot be told.

    It is read once a process. A package that is installed as a link to a folder elsewhere (``pip install -e``) counts as that folder,
    but for the kit's own checkout; one whose folder only a finder of its own knows cannot be told.
    """
    try:
        ran = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, text=True, timeout=60)
        version, executable, prefix, folders = json.loads(ran.stdout)
        digest = hashlib.sha256(f"{version}\0{executable}\0{prefix}".encode())
        digest.update(str(os.stat(os.path.realpath(executable)).st_mtime_ns).encode())
        seen: set[str] = set()
        for folder in folders:
            for part in _parts(folder, seen):
                digest.update(part)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return digest.hexdigest()


def _parts(folder: str, seen: set[str]):
    """A line for each file below a folder, links followed, each folder once.

    :raises ValueError: there is more than can be told
    """
    real = os.path.realpath(folder)
    if real in seen or not os.path.isdir(real):
        return
    seen.add(real)
    if len(seen) > _MOST:
        raise ValueError(folder)
    for entry in sorted(os.scandir(real), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield f"{folder}/{entry.name}/\0".encode("utf-8", "surrogateescape")
                yield from _parts(entry.path, seen)
            continue
        if entry.name.startswith("__editable__") and entry.name.endswith("_finder.py"):
            raise ValueError(entry.name)
        try:
            about = entry.stat()
        except FileNotFoundError:  # a link to nothing
            continue
        yield f"{folder}/{entry.name}\0{about.st_size}\0{about.st_mtime_ns}\0".encode("utf-8", "surrogateescape")
        if entry.name.endswith(".pth"):
            for line in Path(entry.path).read_text("utf-8", "replace").splitlines():
                if line and not line.startswith(("#", "import ", "import\t")):
                    elsewhere = os.path.join(real, line.strip())
                    if os.path.realpath(elsewhere) != _KIT:
                        yield from _parts(elsewhere, seen)
