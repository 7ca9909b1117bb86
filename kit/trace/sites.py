"""Where the sources say that something is defined: the class statement or call that a registration's line is part of."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ..incident.source import hands_on, statement_at
from .processes import Paths
from .reader_state import Collected
from .values import Error, Registration

_MOST = 2_000_000  # bytes of a file that is read


def texts_of(root: Path, collected: Collected, ended: Iterable[Error | None] = ()) -> dict[str, str]:
    """The text of the application's files that hold a site, a link of a chain or an error, and of modules that an error names.

    :param ended: how the steps failed
    """
    wanted = {name for event in collected.registrations for name in (event.frame.file, event.real) if name}
    errors = [import_.error for import_ in collected.imports]
    errors += [stepped.error for stepped in collected.stepped.values()]
    errors += [*collected.uncaught.values(), *(judged.error for judged in collected.judged)]
    errors += [record.error for record in collected.records] + [error for error, _ in collected.handled] + list(ended)
    wanted |= {entry.definition.file for entry in collected.entries if entry.definition}
    happened = [*collected.entries, *collected.records, *collected.silenced, *collected.registrations]
    happened += [*collected.engines, *collected.created, *collected.behind]
    happened += [event for event in collected.imports if event.error]
    errors = [link for error in errors if error for link in (error, *error.causes)]
    for chain in (*(event.chain for event in happened), *(error.frames for error in errors)):
        wanted.update(frame.file for frame in chain if frame.application)
    named = {name for error in errors for name in re.findall(r"'(\w+)", error.text)}
    wanted |= {i.file for i in collected.imports if i.application and i.file and i.module in named}
    labels = Counter(entry.key for entry in collected.entries if entry.kind == "app")
    if any(count > 1 for count in labels.values()):  # one file or more lists Django's applications, by whatever name
        wanted |= {import_.file for import_ in collected.imports if import_.application and import_.file}
    texts = {}
    for name in sorted(wanted):
        path = root / name
        try:
            if path.is_file() and path.stat().st_size < _MOST:
                texts[name] = path.read_text("utf-8", "replace")
        except OSError:
            continue
    return texts


def named(registration: Registration, sources: dict[str, str], paths: Paths) -> Registration:
    """With the site's class or variable, and its line that of the ``class`` statement or the call."""
    registration = _by_its_caller(registration, sources, paths)
    site, real = registration.site, registration.real
    text = sources.get(site.file)
    if text is None:
        return registration
    line, name, in_class = statement_at(text, site.line, registration.class_)
    link = None
    if registration.frame.application and real and real != site.file and not real.startswith(("/", "~", "<")):
        below = [*reversed(PurePosixPath(site.file).parents[:-1]), PurePosixPath(site.file)]
        link = next((str(path) for path in below if (paths.space.root / path).is_symlink()), None)
        site = site._replace(file=real)  # reached through a link: the file that is really there
    return replace(registration, site=site._replace(line=line, name=name or site.name), in_class=in_class, link=link)


def _by_its_caller(registration: Registration, sources: dict[str, str], paths: Paths) -> Registration:
    """A function that stands in for ``Table``, a library's too, defines nothing: whoever of the application calls it does."""
    while True:
        frame = registration.frame
        if registration.class_ is not None:
            return registration
        library = None if frame.application else paths.whole.get(registration.real or "")
        text = sources.get(frame.file, "") if frame.application else _library_text(library)
        if not hands_on(text, frame.line):
            return registration
        chain = registration.chain[:-1]
        while chain and not chain[-1].application:
            chain = chain[:-1]
        if not chain:
            return registration
        caller = chain[-1]
        site = registration.site._replace(file=caller.file, line=caller.line, module=caller.module)
        real = paths.real(str(paths.space.root / caller.file))
        registration = replace(registration, chain=chain, frame=caller, site=site, real=real)


@lru_cache(maxsize=64)
def _library_text(path: str | None) -> str:
    try:
        return Path(path).read_text("utf-8", "replace") if path and os.path.getsize(path) < _MOST else ""
    except OSError:
        return ""
