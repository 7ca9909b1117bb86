"""Generated services: each a git repository of five builds, with an incident file for every build.

An incident comes with the second build, or the third, and stays until a later one takes it out; in some services a build
before that only hides it. Nothing is random: a number gives always the same service.
"""

import os
import subprocess
from pathlib import Path

import yaml

BUILDS = 5
_WORDS = ("orders", "invoices", "riders", "stations", "meters", "parcels", "refunds", "tickets")


def write_service(folder: Path, number: int) -> list[Path]:
    """Write a service and its incident files.

    :returns: the incident files, the oldest build's first
    """
    table, package = f"{_WORDS[number % 8]}_{number}", f"service_{number}"
    repository = folder / "repository"
    came, went = 1 + number % 2, 4 - number // 2 % 2  # the builds, counted from 0
    repository.mkdir(parents=True)
    _git(repository, "init", "--quiet", "--initial-branch=main")
    revisions = []
    for build in range(BUILDS):
        with_legacy = came <= build < went
        hidden = with_legacy and number % 3 == 0 and build == went - 1
        for name, text in _sources(package, table, build, with_legacy, hidden).items():
            path = repository / package / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        if not with_legacy:
            (repository / package / "legacy.py").unlink(missing_ok=True)
        _git(repository, "add", "--all")
        _git(repository, "commit", "--quiet", "-m", f"Build {build + 1}")
        revisions.append(_git(repository, "rev-parse", "HEAD"))
    fix = f"--- a/{package}/main.py\n+++ b/{package}/main.py\n@@ -1,2 +1 @@\n import {package}.models\n-import {package}.legacy\n"
    (folder / "without-legacy.patch").write_text(fix)
    files = []
    for build, revision in enumerate(revisions, 1):
        content = {
            "title": f"Table '{table}' is already defined",
            "app": {"repository": "repository", "revision": revision},
            "startup": [{"import": f"{package}.main"}],
            "expect": {"error": f"Table '{table}' is already defined", "table": table},
            "fixes": {"without-legacy": {"patches": "without-legacy.patch"}},
            "checks": [{"mappers": True}, {"clean_start": True}],
        }
        files.append(folder / f"build-{build}.yaml")
        files[-1].write_text(yaml.safe_dump(content, sort_keys=False))
    return files


def _sources(package: str, table: str, build: int, with_legacy: bool, hidden: bool) -> dict[str, str]:
    legacy = f"import {package}.legacy\n" if with_legacy else ""
    found = {
        "__init__.py": "",
        "base.py": "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n",
        "models.py": _model(package, "Current", table, extend=False),
        "main.py": f"import {package}.models\n{legacy}",
        "build.py": f"BUILD = {build + 1}\n",
    }
    if with_legacy:
        found["legacy.py"] = _model(package, "Legacy", table, extend=hidden)
    return found


def _model(package: str, name: str, table: str, *, extend: bool) -> str:
    lines = [
        "from sqlalchemy import String",
        "from sqlalchemy.orm import Mapped, mapped_column",
        f"\nfrom {package}.base import Base\n\n",
        f"class {name}(Base):",
        f'    __tablename__ = "{table}"',
        *(['    __table_args__ = {"extend_existing": True}'] if extend else []),
        "    id: Mapped[int] = mapped_column(primary_key=True)",
        f"    {name.lower()}_name: Mapped[str] = mapped_column(String(80))",
    ]
    return "\n".join(lines) + "\n"


def _git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(
        command, env={**os.environ, **who, **alone}, check=True, capture_output=True, text=True
    ).stdout.strip()


_WHO = {"NAME": "A", "EMAIL": "a@example.com", "DATE": "2025-11-26T12:00:00+0000"}
