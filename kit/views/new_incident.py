"""What ``new`` wrote, as JSON and in lines. Nothing is decided here."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from ..new.writing import Written


def new_report(written: Written) -> dict[str, Any]:
    """``{schema, incident, reproduced, tried, because, not_found}``; ``reproduced`` is null where nothing was run."""
    tried = [
        {"startup": str(trial.setup.start), "shows": trial.shows, "seconds": round(trial.seconds, 1)}
        for trial in written.tried
    ]
    because = [{"key": key, "value": value, "from": why} for key, value, why in written.because]
    report = {"schema": 1, "incident": str(written.file), "reproduced": written.reproduced}
    return {**report, "tried": tried, "because": because, "not_found": list(written.not_found)}


def new_lines(written: Written) -> list[str]:
    """The same in words, and what to do next."""
    lines = [f"{_shown(written.file)}: written from {written.root}"]
    lines += [f"  {key}: {value}" + (f"  ({why})" if why else "") for key, value, why in written.because]
    tried = ((trial.setup.start, trial.shows.removeprefix(f"{trial.setup.start}: ")) for trial in written.tried)
    lines += [f"  tried: {start}: {shows}" for start, shows in tried]
    if written.reproduced:
        lines.append(f"reproduced: {written.best.shows if written.best else ''}")
    elif written.reproduced is None:
        lines.append("nothing was run: the file comes from reading alone; --run tries it")
    elif written.expected:
        lines.append("not reproduced: no trial shows the log's error")
    elif written.best is not None and written.best.up:
        lines.append(f"not reproduced: it starts, {written.best.shows}")
    else:
        lines.append("not reproduced: in no trial did the application itself fail")
    lines += [
        f"  not found: {sentence}" if number == 0 else f"  {sentence}"
        for number, sentence in enumerate(written.not_found)
    ]
    shown, kit = shlex.quote(_shown(written.file.parent)), _started_by()
    lines += ["next:", f"  {kit} postmortem {shown}     # its page"]
    lines += [f"  {kit} reproduce {shown}      # once more, step by step"]
    return [re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]+", " ", line) for line in lines]


def _shown(path: Path) -> str:
    """A path as somebody would type it here: relative, but from the root where that is nearer."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith(os.path.join("..", "..", "")) else str(path)


def _started_by() -> str:
    """The kit as a shell in the current folder starts it."""
    if Path(sys.argv[0]).name == "incident-kit":
        return "incident-kit"
    python, here = Path(sys.executable), Path.cwd()
    return shlex.quote(str(python.relative_to(here) if python.is_relative_to(here) else python)) + " -m kit"
