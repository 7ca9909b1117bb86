"""What the surroundings give: URLs, variables, drivers, loggers, versions of libraries."""

import re
from collections.abc import Iterator

from . import edits, edits_of_loggers, edits_of_versions
from .broken import Broken, Candidate


def right_scheme(broken: Broken) -> Iterator[Candidate]:
    """A URL whose scheme or driver SQLAlchemy does not take here: the same URL with the one that it takes."""
    experiment = broken.fault.experiment
    old, new = _schemes(experiment.says) if experiment is not None else (None, None)
    if old is None:
        return
    env = broken.incident.app.env
    for name, value in env.items():
        if value.startswith(f"{old}://"):
            says = f"Give {name} the scheme {new} in place of {old}: the one that it has is not taken here."
            yield Candidate(f"scheme-{new}", says, env={name: new + value[len(old) :]})
    for place in broken.sites("engine"):
        text = broken.sources.get(place.file)
        changed = text and edits.wrap_url(text, place.line, f"{old}://", f"{new}://")
        if changed:
            says = (
                f"Take a URL of the scheme {old}:// as {new}:// in {place.file}:{place.line}, whoever hands it out so."
            )
            yield Candidate(f"accept-{old}", says, {place.file: changed})
    for file, text in broken.sources.items():
        changed = edits.replace_prefix(text, f"{old}://", f"{new}://") if file.endswith(".py") else None
        if changed:
            says = f"Write {new}:// in place of {old}:// in {file}."
            yield Candidate(f"scheme-{new}-in-{file.rpartition('/')[2].removesuffix('.py')}", says, {file: changed})


def _schemes(says: str) -> tuple[str | None, str | None]:
    """The old and the new scheme of an experiment with another URL."""
    match = re.search(r"the URL with (\S+):// in place of (\S+)://", says)
    return (match[2], match[1]) if match else (None, None)


def set_variable(broken: Broken) -> Iterator[Candidate]:
    """A setting that is missing: give it, with a stand-in."""
    names = {place.name for place in broken.sites() if place.name and re.fullmatch(r"[A-Z][A-Z0-9_]+", place.name)}
    text = " ".join(broken.finding.because)
    names |= set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", text))
    for name in sorted(names):
        value = "1" if re.search(r"PORT|COUNT|SECONDS|SIZE|TTL|MINUTES", name) else "stand-in"
        says = f"Set {name} where the application runs; here with a stand-in, since only you know its value."
        yield Candidate(f"set-{name.lower()}", says, env={name: value})


def keep_loggers(broken: Broken) -> Iterator[Candidate]:
    """Logging that is configured and disables what loggers there are: tell it not to."""
    for place in broken.sites():
        text = broken.sources.get(place.file, "")
        new = edits.add_argument(text, place.line, "fileConfig", "disable_existing_loggers", "False")
        new = new or edits_of_loggers.keep_in_dictionary(text, place.line)
        if new:
            says = f"Tell the configuration of logging at {place.file}:{place.line} to keep the loggers that are there."
            yield Candidate("keep-loggers", says, {place.file: new})


def new_spelling(broken: Broken) -> Iterator[Candidate]:
    """A call that the installed version no longer has: what its documentation gives in its place, where that is the same."""
    for place in broken.sites("call"):
        text = broken.sources.get(place.file)
        new = text and edits_of_versions.respell(text, place.line)
        if new:
            says = f"Write {place} as the installed version has it; both lines take it so."
            yield Candidate("new-spelling", says, {place.file: new})
