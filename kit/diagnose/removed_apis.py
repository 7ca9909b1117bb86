"""Calls of what the installed version of a library does not have: by a list of what each line took out, by what libraries
themselves say, and by a requirement, or a fix's interpreter, of another version."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..incident.interpreters import pythons_near
from ..startup.installed_packages import installed
from ..trace.values import Error, Frame
from .experiments import error_texts, first_line, gone
from .values import Case, Experiment, Fault, Place, of_failures

_NAME = re.compile(r"cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'(?P<module>[\w.]+)'")
_MODULE = re.compile(r"No module named '([\w.]+)'")
_ATTRIBUTE = re.compile(r"'(\w+)' object has no attribute '(\w+)'|type object '(\w+)' has no attribute '(\w+)'")
_OF_MODULE = re.compile(r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'")
_LEAST = re.compile(r"(?:>=?|~=|===?|\^|~)\s*(\d[\d.]*)")
_SAYS_SO = re.compile(
    r"\b(?:is|was|has been|have been|are|were) (?:removed|moved to|renamed to)\b|\bno longer (?:supported|accepted|available)\b"
)

_QUOTED = re.compile(r"[`'\"]([A-Za-z_][\w.]*)[`'\"]")


class Removal(NamedTuple):
    """What is not there: of which library (distribution), and the line that took it out.

    ``line`` is "" where only the library says that it is gone, and None where what is installed may be too old: then ``asked``
    is the range that a file of requirements has, if it excludes what is installed.
    """

    library: str
    line: str | None
    what: str
    asked: str = ""


def api_removed_in_installed_version(case: Case, error: Error) -> Fault | None:
    site = error.site
    removal = _removal(case, error, site) if site is not None and not error.own_words else None
    if removal is None:
        return None
    version = installed(case.incident.python).version(removal.library)
    asker = error.frames[-1] if error.frames and not error.frames[-1].application else None
    asked_in = f", in {asker}" if asker is not None and site.file != asker.file else ""
    # What a function of a library asks for may be named by the application.
    asks = asker is not None and (removal.line is not None or asker.function == "<module>")
    between = library_of(case, asker) if asks and library_of(case, asker) != removal.library else None
    installed_now = f"; {version} is installed" if version else ""
    since = f"has not had since {removal.line}" if removal.line else "no longer has, as it says itself"
    since = "does not have" if removal.line is None else since
    because = (
        f"{user_of(case, error, site, removal.library)} uses {removal.what}, which {removal.library} {since}{installed_now}",
        f"seen as: {first_line(str(error))}{asked_in}",
        required(case, removal.library),
        *([f"{between}: {required(case, between)}"] if between else []),
    )
    experiment = _other_line(case, error, removal)
    if experiment is None and removal.line is None and not removal.asked and not between:
        return None
    if experiment is None:
        before = re.search(r"\d[\w.]*", removal.line or "")
        command = f"pip install '{removal.library}{f'<{before[0]}' if before else removal.asked}'"
        newer = between and removal.line is None and not removal.asked
        command = f"pip install --upgrade {between}" if newer else command
        because += (
            f"undecided by a run: no interpreter of the incident file, and none in or beside the application's folder, has another line; {command} in an "
            "environment of its own, named as python of a fix, would decide it",
        )
    named = ((library, *line) for library in (removal.library, between) for line in case.requirements.get(library, ()))
    needed = (Place("requirement", file, line, library) for library, file, line, _ in named)
    sites = (Place.of("call", site), *needed)
    against = {"module-not-on-path": f"{removal.library} is found, and lacks this one thing"}
    more = {"sites": sites, "against": against, "error": error, "experiment": experiment}
    return Fault("api-removed-in-installed-version", because, **more)


def _other_line(case: Case, error: Error, removal: Removal) -> Experiment | None:
    """The startup in an interpreter that has the library as it was before, or as it is asked for: one that a fix names, or one near."""
    incident, now = case.incident, installed(case.incident.python).version(removal.library)
    fixes = (fix.python for fix in incident.fixes.values() if fix.python)
    named = (str(incident.resolve(python)) if "/" in python else python for python in fixes)
    near = pythons_near(incident.resolve(incident.app.root)) if incident.app.root is not None else ()
    for python in (*named, *near):
        version = installed(python).version(removal.library)
        before = removal.line is not None and not _since(version, removal.line or now)
        if version is not None and (before or removal.line is None and version != now):
            app = incident.app.model_copy(update={"python": python})
            says = f"{removal.library} {version}, all else equal"
            incident = incident.model_copy(update={"app": app})
            return Experiment(says, incident, gone(first_line(error.text), elsewhere=True))
    return None


def required(case: Case, library: str) -> str:
    """Where requirements name a library, and which versions they let in, as a sentence."""
    requirements = case.requirements.get(library.replace("_", "-").lower(), ())
    required = ", ".join(f"{file}:{line} ({range_ or 'any version'})" for file, line, range_ in requirements)
    return f"required by {required}" if required else f"no file of requirements names {library} itself"


def library_of(case: Case, frame: Frame) -> str | None:
    """The installed library that a frame is of, as requirements name it; None where that is not known."""
    inside = re.split(r"(?:site|dist)-packages/", frame.file)[-1]  # which may be below the application's folder
    return installed(case.incident.python).distribution(inside.partition("/")[0].removesuffix(".py"))


def version_of(case: Case, library: str) -> str:
    """Which version of a library is installed and which ones are asked for, as a sentence."""
    return f"{library} {installed(case.incident.python).version(library)} is installed, {required(case, library)}"


def user_of(case: Case, error: Error, site: Frame, library: str) -> str:
    """The line that uses what is gone, which may be another library's, with the application's line that led there."""
    others = [frame for frame in error.frames if library_of(case, frame) != library]
    return str(site) if not others or others[-1].application else f"{others[-1]}, to which {site} leads,"


MECHANISMS = of_failures(api_removed_in_installed_version)


def _removal(case: Case, error: Error, site: Frame) -> Removal | None:
    """What a library took out that an error comes of; None where no list and no library says so."""
    texts = error_texts(error)
    for text in texts:
        removal = _listed(text) or _called(case, error, text)
        if removal is not None and _since(installed(case.incident.python).version(removal.library), removal.line):
            return removal
    last = error.frames[-1] if error.frames else site
    library, lacks = library_of(case, last), lacking(case, error)
    if last.application or library is None or lacks and lacks.library != library:
        return lacks  # which is another's than the one that asks, if a library does
    for text in texts:
        if _SAYS_SO.search(text):
            name = _QUOTED.search(text)
            return Removal(library, "", name[1] if name else "something")
    return None


def lacking(case: Case, error: Error) -> Removal | None:
    """A name or a module that an installed library does not have, with the range by which it is asked for where that excludes it."""
    for text in error_texts(error):
        match = _NAME.search(text) or _OF_MODULE.search(text) or _MODULE.search(text)
        module = match[1] if match and match.re is _MODULE else match and match["module"]
        top, there = (module or "").partition(".")[0], installed(case.incident.python)
        library = there.distribution(top) if top and "partially" not in text else None
        of_application = any(import_.application and import_.module == top for import_ in case.trace.imports)
        if library is None or of_application or match.re is _MODULE and module == top:
            continue
        named = f"the module {module}" if match.re is _MODULE else f"{match['name']} of {module}"
        ranges = (range_ for _, _, range_ in case.requirements.get(library, ()))
        version = there.version(library)
        at_least = (range_ for range_ in ranges if (least := _LEAST.search(range_)) and not _since(version, least[1]))
        return Removal(library, None, named, next(at_least, ""))
    return None


def _listed(text: str) -> Removal | None:
    """A name, module or attribute of the list that an error misses."""
    if match := _NAME.search(text) or _OF_MODULE.search(text):
        module, name = match["module"], match["name"]
        shown = f"{name} of {module}" if match.re is _NAME else f"{module}.{name}"
        wanted = [(module, name, shown), ("module", f"{module}.{name}", f"{module}.{name}")]
    elif match := _ATTRIBUTE.search(text):
        owner, name = match[1] or match[3], match[2] or match[4]
        wanted = [(f".{owner}", name, f"{owner}.{name}")]
    elif match := _MODULE.search(text):
        wanted = [("module", match[1], f"the module {match[1]}")]
    else:
        return None
    for where, name, named in wanted:
        for (library, line, place), names in _removals()[0].items():
            if place == where and name in names:
                return Removal(library, line, named)
    return None


def _called(case: Case, error: Error, text: str) -> Removal | None:
    """A call that a line no longer takes; where only Python complains, the library's own object has to stand in the statement."""
    for library, line, pattern, named in _removals()[1]:
        if pattern.search(text):
            package = library.replace("-", "_")
            inside = any(frame.file.startswith(f"{package}/") for frame in error.frames)
            names = text.startswith(("MetaData.", "SQLAlchemy.")) or inside
            loaded = any(import_.module == package for import_ in case.trace.imports)
            if names or (loaded and error.type == "TypeError" and "tuple indices" not in text):
                return Removal(library, line, named)
    return None


@cache
def _removals() -> tuple[dict[tuple[str, str, str], frozenset[str]], list[tuple[str, str, re.Pattern, str]]]:
    """``(library, line, module or .class)`` to what is gone there, modules under "module"; and the list's calls."""
    names, calls = {}, []
    for row in (Path(__file__).parent / "removed_apis.txt").read_text("utf-8").splitlines():
        head, _, listed = row.partition(": ")
        library, line, place = head.split(" ") if not row.startswith("#") else ("", "", "")
        if place == "calls":
            pattern, _, named = listed.partition(" => ")
            calls.append((library, line, re.compile(pattern), named))
        elif place:
            names[library, line, place] = frozenset(listed.split(" "))
    return names, calls


def _since(version: str | None, line: str | None) -> bool:
    """Is an installed version of this line or a later one?"""
    if version is None:
        return False
    numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
    return numbers >= [int(n) for n in re.findall(r"\d+", line or "")[:3]]
