"""Small git repositories for tests, and the proof that nobody changed one."""

import os
import subprocess
from pathlib import Path

ALONE = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def git(folder: Path, *words: str, input: str | None = None, date: int | None = None) -> str:
    dates = {} if date is None else {"GIT_AUTHOR_DATE": f"{date} +0000", "GIT_COMMITTER_DATE": f"{date} +0000"}
    plain = ["-c", "protocol.file.allow=always", "-c", "core.autocrlf=false"]
    done = subprocess.run(
        ["git", *plain, *words], cwd=folder, env={**ALONE, **dates}, input=input, capture_output=True, text=True
    )
    assert done.returncode == 0, f"git {words}: {done.stderr}"
    return done.stdout.strip()


class History:
    """A repository that grows commit by commit, an hour apart."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
        self.time = 1_700_000_000

    def commit(self, files: dict[str, str | bytes | None], message: str) -> str:
        """Write files (None removes one) and commit them; the commit's id."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        git(self.folder, "add", "--all")
        return self._commit("commit", "--quiet", "--allow-empty", "-m", message)

    def merge(self, branch: str, message: str) -> str:
        return self._commit("merge", "--quiet", "--no-ff", "-m", message, branch)

    def switch(self, branch: str, start: str | None = None) -> None:
        git(self.folder, "checkout", "--quiet", *(["-b", branch, start] if start else [branch]))

    def _commit(self, *words: str) -> str:
        self.time += 3600
        git(self.folder, *words, date=self.time)
        return git(self.folder, "rev-parse", "HEAD")


def state(folder: Path) -> dict[str, object]:
    """All that must stay as it is: every file of the repository and of its work tree, status, refs."""
    kept: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            kept[str(path.relative_to(folder))] = (path.read_bytes(), path.stat().st_mtime_ns)
    # Asked after the files were read, and without writing the index anew.
    kept["status"] = git(folder, "--no-optional-locks", "status", "--porcelain=v2", "--branch")
    kept["refs"] = git(folder, "for-each-ref")
    return kept
