"""Processes that do the same at once."""

import re
from collections.abc import Iterator

from . import edits_of_functions, edits_of_imports
from .broken import Broken, Candidate


def preload(broken: Broken) -> Iterator[Candidate]:
    """Workers that do the same at once: load the application once, before they are forked."""
    steps = [{step.kind: step.text} for step in broken.incident.startup]
    for step in steps:
        for kind, text in step.items():
            if "gunicorn" in text and "--preload" not in text:
                step[kind] = re.sub(r"\bgunicorn\b", "gunicorn --preload", text, count=1)
                says = "Load the application once, before the workers are forked (gunicorn --preload): one process does what they raced for. No connection may be open at the fork: engine.dispose() closes them."
                yield Candidate("preload", says, startup=steps, last=True)
                return


def one_process_at_a_time(broken: Broken) -> Iterator[Candidate]:
    """Processes that make the tables at once: let one at a time do it, the others then find them."""
    for place in broken.sites("statement"):
        text = broken.sources.get(place.file)
        if not text or re.search(r"^import fcntl$", text, re.M):
            continue
        name = broken.module_of(place.file).partition(".")[0]
        new = edits_of_functions.lock_file(text, place.line, f"{name}-startup.lock")
        for module in ("fcntl", "os", "tempfile") if new else ():
            new = new and edits_of_imports.import_plainly(new, module)
        if new:
            says = (
                f"Let one process of this machine at a time execute {place}: the others wait, and then find what it made. "
                "Across machines, do it once before they start."
            )
            yield Candidate("lock-file", says, {place.file: new})
