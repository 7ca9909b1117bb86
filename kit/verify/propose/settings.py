"""What the surroundings give: URLs, variables, loggers, versions of libraries, processes that do the same at once."""

import re
from collections.abc import Iterator

from . import edits, edits_of_calls, edits_of_functions
from .failing_build import Broken, Candidate


def right_scheme(broken: Broken) -> Iterator[Candidate]:
    """A URL whose scheme or driver SQLAlchemy does not take here: the same URL with the one that it takes."""
    if broken.fault.schemes is None:
        return
    old, new = broken.fault.schemes
    for name, value in broken.incident.app.env.items():
        if value.startswith(f"{old}://"):
            says = f"Give {name} the scheme {new} in place of {old}, which is not accepted here."
            yield Candidate(f"scheme-{new}", says, env={name: new + value[len(old) :]})
    schemes = f"{old}://", f"{new}://"
    for place in broken.sites("engine"):
        says = f"Replace the scheme {old}:// by {new}:// in {place}, wherever the old one is still given."
        yield from broken.change(f"accept-{old}", says, place.file, edits.wrap_url, place.line, *schemes)
    for file, _ in broken.python:
        name = f"scheme-{new}-in-{file.rpartition('/')[2].removesuffix('.py')}"
        says = f"Write {new}:// in place of {old}:// in {file}."
        yield from broken.change(name, says, file, edits.replace_prefix, *schemes)


def set_variable(broken: Broken) -> Iterator[Candidate]:
    """Settings that are missing: give them, with the stand-ins of the run that decided the mechanism."""
    experiment, environment = broken.fault.experiment, broken.incident.app.env
    values = experiment.incident.app.env.items() if experiment is not None else ()
    missing = {name: value for name, value in values if environment.get(name) != value}
    if missing:
        names = sorted(missing)
        says = f"Set {', '.join(names)} where the application runs; here with a stand-in: only you know the value."
        yield Candidate(f"{'-'.join(names).lower()}-is-set", says, env=missing)


def keep_loggers(broken: Broken) -> Iterator[Candidate]:
    """Logging that is configured and disables what loggers there are: tell it not to."""
    for place in broken.sites():
        says = f"Let the logging configuration at {place} keep the existing loggers."
        keep = ("fileConfig", "disable_existing_loggers", "False")
        yield from broken.change("keep-loggers", says, place.file, edits.add_argument, place.line, *keep)
        yield from broken.change("keep-loggers", says, place.file, edits_of_calls.keep_in_dictionary, place.line)


def new_spelling(broken: Broken) -> Iterator[Candidate]:
    """A call that the installed version no longer has: what its documentation gives in its place, where that is the same."""
    for place in broken.sites("call"):
        says = f"Write {place} as the installed version expects it; the older version accepts it too."
        yield from broken.change("new-spelling", says, place.file, edits_of_calls.respell, place.line)


# ------------------------------------------------------------------------------------ processes that do the same at once


def one_process_at_a_time(broken: Broken) -> Iterator[Candidate]:
    """Processes that make the tables at once: let one at a time do it, the others then find them."""
    needed = ("import fcntl", "import os", "import tempfile")
    for place in broken.sites("statement"):
        if re.search(r"^import fcntl$", broken.sources.get(place.file, ""), re.M):
            continue
        lock = f"{broken.module_of(place.file).partition('.')[0]}-startup.lock"
        says = (
            f"Let one process of this machine at a time execute {place}: the others wait, and then find what it made. "
            "Across machines, do it once before they start."
        )
        lock_file = edits_of_functions.lock_file
        yield from broken.change("lock-file", says, place.file, lock_file, place.line, lock, imports=needed)


def preload(broken: Broken) -> Iterator[Candidate]:
    """Workers that do the same at once: load the application once, before they are forked."""
    steps = [{step.kind: step.text} for step in broken.incident.startup]
    for step in steps:
        for kind, text in step.items():
            if "gunicorn" in text and "--preload" not in text:
                step[kind] = re.sub(r"\bgunicorn\b", "gunicorn --preload", text, count=1)
                says = (
                    "Load the application once, before the workers are forked (gunicorn --preload): one process does what they "
                    "raced for. No connection may be open at the fork: engine.dispose() closes them."
                )
                yield Candidate("preload", says, startup=steps, last=True)
                return
