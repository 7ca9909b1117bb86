"""The search over 1,000 commits, against ``git bisect run`` with the same startup."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import PROJECT  # noqa: F401 - puts the project on the path
from generated import write_application
from measuring import Row

from kit.history.search import History, history
from kit.incident.model import App, Expect, Incident
from kit.incident.repository import Repository, open_repository
from kit.incident.steps import Step

COMMITS, CAME, WENT = 1000, 317, 803
MODULES = 60
PAIRS = 3
_TABLE = "thing_0"
_SECOND = f"from gen.base import Base\nfrom sqlalchemy import Column, Integer\n\n\nclass Other(Base):\n    __tablename__ = '{_TABLE}'\n    id = Column(Integer, primary_key=True)\n"


def measure() -> dict[str, Row]:
    rows = {}
    for key, what, direct in (
        ("history_ratio", "both commits changed a line on the ways", True),
        ("history_ratio_elsewhere", "neither did: a setting elsewhere decides", False),
    ):
        with tempfile.TemporaryDirectory() as folder:
            repository = write_history(Path(folder) / "service", direct=direct)
            values = []
            for number in range(PAIRS):
                if number % 2:
                    kit, git = kit_wall(repository), bisect_wall(repository, Path(folder) / f"clone-{number}")
                else:
                    git, kit = bisect_wall(repository, Path(folder) / f"clone-{number}"), kit_wall(repository)
                values.append(kit / git)
        said = f"wall of the search for both commits among {COMMITS}, over two `git bisect run`; {what}"
        rows[key] = Row(said, values, limit=0.5 if direct else None)
    return rows


def write_history(folder: Path, *, direct: bool) -> Repository:
    """A line of commits, each of which changes one module; with one of them the second definition comes, with one it goes.

    :param direct: the import of the second definition comes and goes; else it is there all the time, and settings say
        whether it is used
    """
    write_application(folder, MODULES, MODULES // 2, MODULES * 3)
    main = (folder / "gen" / "main.py").read_text()
    asked = "import gen.second\n" if direct else "import gen.settings\nif gen.settings.SECOND:\n    import gen.second\n"
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.py"))}
    files["gen/second.py"] = _SECOND
    stream = []
    for number in range(COMMITS):
        there = CAME <= number < WENT
        changed = dict(files) if number == 0 else {}
        name = f"gen/p{number % MODULES // 50}/m{number % MODULES}.py"
        changed[name] = f"{files[name]}\n\nCHANGED = {number}\n"
        if number in (0, CAME, WENT):
            changed["gen/settings.py"] = f"SECOND = {there}\n"
            changed["gen/main.py"] = main + (asked if there or not direct else "")
        stream.append(
            f"commit refs/heads/main\ncommitter A <a@example.com> {1_700_000_000 + number} +0000\ndata 1\nx\n"
        )
        for path, text in changed.items():
            stream.append(f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    git(folder, "fast-import", "--quiet", input="".join(stream))
    git(folder, "reset", "--hard", "--quiet", "main")
    return open_repository(folder)


def git(folder: Path, *words: str, input: str | None = None) -> str:
    command = ["git", "-C", str(folder), "-c", "advice.detachedHead=false", *words]
    return subprocess.run(command, input=input, check=True, capture_output=True, text=True).stdout.strip()


def places(repository: Repository) -> tuple[list[str], str]:
    """Every commit, the oldest first, and one of which people know that it shows the incident."""
    ids = [one.sha for one in reversed(repository.commits("main"))]
    return ids, ids[(CAME + WENT) // 2]


def kit_wall(repository: Repository) -> float:
    """A search for both commits, with no result kept from before."""
    ids, known = places(repository)
    incident = Incident(
        title="bench",
        app=App(repository=str(repository.folder)),
        startup=[Step.model_validate({"import": "gen.main"})],
        expect=Expect(error=f"Table '{_TABLE}' is already defined", table=_TABLE),
    )
    began = time.monotonic()
    found: History = history(incident, repository, last="main", around=known)
    wall = time.monotonic() - began
    assert (found.introduced.commit.sha, found.fixed.commit.sha) == (ids[CAME], ids[WENT])
    print(f"    kit: {found.runs} builds, {wall:.1f} s", file=sys.stderr)
    return wall


def bisect_wall(repository: Repository, clone: Path) -> float:
    """``git bisect run`` in a clone of its own, once for each commit; who does it knows the same build that shows it."""
    subprocess.run(["git", "clone", "--quiet", str(repository.folder), str(clone)], check=True)
    ids, known = places(repository)
    script = clone.with_suffix(".sh")
    script.write_text(_SCRIPT.format(python=sys.executable, clone=clone))
    environment = {"PATH": os.environ["PATH"], "HOME": str(clone.parent), "PYTHONPATH": str(clone)}
    wall = 0.0
    for new, first, begin in (("new", ids[CAME], ids[0]), ("old", ids[WENT], known)):
        end = known if begin != known else ids[-1]
        git(clone, "bisect", "start", end, begin)
        began = time.monotonic()
        done = subprocess.run(
            ["git", "bisect", "run", "sh", str(script), new], cwd=clone, env=environment, capture_output=True, text=True
        )
        wall += time.monotonic() - began
        assert f"{first} is the first bad commit" in done.stdout, done.stdout + done.stderr
        git(clone, "bisect", "reset")
    print(f"    git bisect run: {wall:.1f} s", file=sys.stderr)
    return wall


# 0 is what the range began with, 1 what it ended with, 125 what cannot be told.
_SCRIPT = """said=$({python} -c 'import gen.main' 2>&1)
case "$?:$said" in
    0:*) shows=old ;;
    *"is already defined"*) shows=new ;;
    *) exit 125 ;;
esac
[ "$1" = "$shows" ] && exit 1
exit 0
"""
