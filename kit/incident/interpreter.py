"""The interpreter that runs the application: the one that the incident file names, or the kit's own."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ..base.errors import RunBroke


def interpreter(named: str | None, resolve: Callable[[str], Path], where: Callable[[], str]) -> str:
    """The interpreter of a name or path as an absolute path; the kit's own where none is named.

    :param resolve: makes a path of the incident file absolute
    :param where: the key's place in the incident file, for messages
    :raises RunBroke: there is no such program, or it is no Python
    """
    if named is None:
        return sys.executable
    if "/" in named:
        path = resolve(named)
        program = str(path) if shutil.which(str(path)) else None
    else:
        program = shutil.which(named)
    if program is None:
        raise RunBroke(
            f"{where()}: there is no interpreter {named!r}. "
            "It is looked up on PATH, or, with a slash in it, from the incident file's folder. "
            "Name the python of the application's own environment, as in '.venv/bin/python'."
        )
    python, problem = _behind(program)
    if python is None:
        raise RunBroke(f"{where()}: {program} {problem}")
    return python


@cache
def _behind(program: str) -> tuple[str | None, str]:
    """The interpreter that a program is, or what is wrong with it: version managers put scripts in its place."""
    try:
        asked = [program, "-c", "import sys; print(sys.executable); sys.exit(sys.version_info < (3, 8))"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"does not run: {error}"
    if not done.returncode and done.stdout.strip():
        return done.stdout.strip(), ""
    error_text = " ".join(done.stderr.partition("\nNote:")[0].split()) or f"exit code {done.returncode}"
    problem = f"is not a Python 3.8 or later that runs: {error_text[:400]}"
    if Path(program).parent.name == "shims":  # pyenv's and asdf's
        held = re.search(r"in these Python versions:\s+(\S+)", done.stderr)
        real = Path(program).parents[1] / "versions" / (held[1] if held else "3.…") / "bin" / "python"
        problem += f". It only stands in for an interpreter: name that itself, as in {real}"
    return None, problem
