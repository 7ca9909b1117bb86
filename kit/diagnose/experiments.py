"""Runs the experiment that decides a mechanism, and keeps its outcome as a value."""

import difflib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..base.errors import KitError
from ..startup.run import reproduce
from .case import Experiment, Outcome

_WORDS = {True: "confirmed", False: "refuted", None: "undecided"}


def decide(experiment: Experiment, sources: dict[str, str]) -> Outcome:
    """Run an experiment, each run in a copy of its own.

    :param sources: the text of the files that the experiment edits
    """
    with tempfile.TemporaryDirectory(prefix="kit-experiment-") as folder:
        patches = []
        if experiment.edits:
            patches.append(Path(folder) / "experiment.patch")
            patches[0].write_text(patch_of(experiment.edits, sources), encoding="utf-8")
        try:
            seen = [
                reproduce(incident, patches=patches, judge=True)
                for incident in (experiment.incident, *experiment.beside)
            ]
        except KitError as error:
            return Outcome(experiment.says, "undecided", f"it could not be run: {error}")
    broke = next((trace.broke for trace in seen if trace.cut), None)
    if broke is not None:
        return Outcome(experiment.says, "undecided", f"the run broke: {broke}")
    holds, observed = experiment.judge(*seen)
    return Outcome(experiment.says, _WORDS[holds], observed)


def patch_of(edits: Mapping[str, str], sources: Mapping[str, str]) -> str:
    """The edits as a patch for ``git apply``."""
    text = []
    for file, new in edits.items():
        before, after = (_lines(source) for source in (sources.get(file, ""), new))
        text += difflib.unified_diff(before, after, f"a/{file}" if file in sources else "/dev/null", f"b/{file}")
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in text)


def _lines(text: str) -> list[str]:
    """Lines as git sees them; a form feed ends none."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
