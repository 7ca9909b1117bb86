"""What the parts of the benchmark share: a row of the table, and ways to measure one command against another."""

import os
import re
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Row:
    """One figure of the table.

    :ivar what: what is measured, in words
    :ivar values: what each pair (or run) gave
    :ivar unit: ``ratio``, ``s``, ``MB`` or ``instructions``; a ratio is traced over plain, or the kit's over the other's
    :ivar limit: the most it may be; None where nothing is promised, as for other tools
    """

    what: str
    values: Sequence[float]
    unit: str = "ratio"
    limit: float | None = None

    def as_json(self) -> dict:
        """``{what, unit, median, min, max, pairs, limit, met}``; ``met`` is null without a limit."""
        median = statistics.median(self.values)
        return {
            "what": self.what,
            "unit": self.unit,
            "median": round(median, 4),
            "min": round(min(self.values), 4),
            "max": round(max(self.values), 4),
            "pairs": len(self.values),
            "limit": self.limit,
            "met": None if self.limit is None else median <= self.limit,
        }


class Used(NamedTuple):
    """What a command took: seconds of processor and of wall, and its peak memory in MB, children included."""

    cpu: float
    wall: float
    peak: float


def used(argv: Sequence[str], environment: Mapping[str, str], folder: Path, codes: Sequence[int] = (0,)) -> Used:
    """Run a command, which must end with one of these codes."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(argv, env=dict(environment), cwd=folder, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        output.seek(0)
        assert process.returncode in codes, output.read().decode("utf-8", "replace")[-2000:]
    return Used(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def as_a_person() -> dict[str, str]:
    """The environment, but for what has each process compile the kit anew, as some containers set it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def own_cpu() -> float:
    """Seconds of processor that this process and its ended children took until now."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def in_pairs(one: Callable[[], float], other: Callable[[], float], pairs: int) -> list[float]:
    """``one`` over ``other``, each time run one right after the other, in turns first."""
    ratios = []
    for number in range(pairs):
        if number % 2:
            above, below = one(), other()
        else:
            below, above = other(), one()
        ratios.append(above / below)
    return ratios


def instructions(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Instructions that a command and its children execute in user space, by cachegrind without a cache: callgrind's, in half the time.

    :raises FileNotFoundError: there is no ``valgrind`` on this machine
    """
    with tempfile.TemporaryDirectory() as kept:
        tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes"]
        tool += ["--cachegrind-out-file=/dev/null", f"--log-file={kept}/%p"]
        done = subprocess.run(
            [*tool, *argv], env=dict(environment), cwd=folder, capture_output=True, text=True, errors="replace"
        )
        assert done.returncode == 0, done.stderr[-2000:]
        logs = [path.read_text("utf-8", "replace") for path in Path(kept).iterdir()]
        totals = [int(count.replace(",", "")) for log in logs for count in re.findall(r"I\s+refs:\s+([\d,]+)", log)]
        assert totals, logs
        return sum(totals)
