"""Calls of what a library once had: known by a list of what each line took out, and by what libraries themselves say."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..startup.installed import installed
from ..trace.values import Error, Frame
from .case import Case, Fault, Place, innermost
from .experiments import error_texts, first_line

_NAME = re.compile(r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'")
_MODULE = re.compile(r"No module named '([\w.]+)'")
_ATTRIBUTE = re.compile(r"'(\w+)' object has no attribute '(\w+)'|type object '(\w+)' has no attribute '(\w+)'")
_OF_MODULE = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
_SAYS_SO = re.compile(
    r"\b(?:is|was|has been|have been|are|were) (?:removed|moved to|renamed to)\b|\bno longer (?:supported|accepted|available)\b"
)

# What a line no longer takes, where the error is one of arguments: library, line, what the error says, what was meant.
_CALLS: tuple[tuple[str, str, re.Pattern, str], ...] = tuple(
    (library, line, re.compile(text), what)
    for library, line, text, what in (
        ("sqlalchemy", "2.0", r"got 'autoload'", "Table(autoload=True); autoload_with=engine stands in its place"),
        ("sqlalchemy", "2.0", r"Did you mean to say select\(", "select([…]); the columns are given one by one"),
        ("sqlalchemy", "2.0", r"^Not an executable object: ", "executing plain text; text(…) stands around it"),
        (
            "sqlalchemy",
            "2.0",
            r"should be explicitly declared as text\(",
            "plain text as SQL; text(…) stands around it",
        ),
        (
            "sqlalchemy",
            "2.0",
            r"MetaData.*unexpected keyword argument 'bind'",
            "MetaData(bind=…); the engine is given where it is used",
        ),
        (
            "sqlalchemy",
            "2.0",
            r"create_all\(\) missing 1 required positional argument: 'bind'",
            "create_all() without an engine",
        ),
        (
            "sqlalchemy",
            "2.0",
            r"drop_all\(\) missing 1 required positional argument: 'bind'",
            "drop_all() without an engine",
        ),
        (
            "sqlalchemy",
            "2.0",
            r"reflect\(\) missing 1 required positional argument: 'bind'",
            "reflect() without an engine",
        ),
        ("sqlalchemy", "2.0", r"autocommit=True is no longer supported", "Session(autocommit=True)"),
        (
            "sqlalchemy",
            "2.0",
            r"Invalid argument\(s\) .*'(?:strategy|convert_unicode|encoding|case_sensitive|empty_in_strategy|use_threadlocal)'"
            r".* sent to create_engine\(\)",
            "an argument of create_engine()",
        ),
        (
            "sqlalchemy",
            "2.0",
            r"can't be correctly interpreted for Annotated Declarative",
            "an annotation without Mapped[…] on a mapped class",
        ),
        (
            "sqlalchemy",
            "2.0",
            r"tuple indices must be integers or slices, not str",
            "row['name']; row.name or row._mapping['name']",
        ),
        (
            "flask-sqlalchemy",
            "3.0",
            r"unexpected keyword argument 'use_native_unicode'",
            "SQLAlchemy(use_native_unicode=…)",
        ),
        (
            "marshmallow",
            "4",
            r"unexpected keyword argument '(?:missing|default|strict)'",
            "an argument of fields or schemas",
        ),
        ("pydantic", "2", r"A non-annotated attribute was detected", "a field without an annotation"),
    )
)
_DISTRIBUTIONS = {"flask_sqlalchemy": "flask-sqlalchemy"}


class Removal(NamedTuple):
    """What is gone: the library (distribution), the line that took it out, and what it was."""

    library: str
    line: str
    what: str


def api_removed_in_installed_version(case: Case) -> Fault | None:
    for error in case.failures:
        site = innermost(error)
        removal = _removal(case, error, site) if site is not None and not error.own_words else None
        if removal is None:
            continue
        version = _version(case, removal.library)
        asker = error.frames[-1] if error.frames and not error.frames[-1].application else None
        required = [
            f"{file}:{line} ({range_ or 'any version'})"
            for file, line, range_ in case.requirements.get(removal.library, ())
        ]
        because = (
            f"{site} uses {removal.what}, which {removal.library} has not had since {removal.line}"
            + (f"; {version} is installed" if version else ""),
            f"seen as: {first_line(str(error))}"
            + (f", in {asker}" if asker is not None and site.file != asker.file else ""),
            f"required by {', '.join(required)}"
            if required
            else f"no file of requirements names {removal.library}: any version is let in",
            "not tried with an earlier line of it: the application's interpreter has this one alone",
        )
        sites = (
            Place.of("call", site),
            *(
                Place("requirement", file, line, removal.library)
                for file, line, _ in case.requirements.get(removal.library, ())
            ),
        )
        against = {"module-not-on-path": f"{removal.library} is found, and lacks this one thing"}
        return Fault("api-removed-in-installed-version", because, sites=sites, against=against, error=error)
    return None


MECHANISMS = (api_removed_in_installed_version,)


def _removal(case: Case, error: Error, site: Frame) -> Removal | None:
    """What a library took out that an error comes of; None where no list and no library says so."""
    texts = error_texts(error)
    for text in texts:
        removal = _listed(text) or _called(case, error, text)
        if removal is not None and _since(_version(case, removal.library), removal.line):
            return removal
    last = error.frames[-1] if error.frames else site
    if last.application:
        return None
    library = last.file.partition("/")[0].removesuffix(".py")
    for text in texts:
        if _SAYS_SO.search(text) and (version := _version(case, library)):
            return Removal(library.replace("_", "-"), f"a line before {version}", first_line(text))
    return None


def _listed(text: str) -> Removal | None:
    """A name, module or attribute of the list that an error misses."""
    if match := _NAME.search(text):
        wanted = [
            (match[2], match[1], f"{match[1]} of {match[2]}"),
            ("module", f"{match[2]}.{match[1]}", f"{match[2]}.{match[1]}"),
        ]
    elif match := _OF_MODULE.search(text):
        wanted = [
            (match[1], match[2], f"{match[1]}.{match[2]}"),
            ("module", f"{match[1]}.{match[2]}", f"{match[1]}.{match[2]}"),
        ]
    elif match := _ATTRIBUTE.search(text):
        owner, name = match[1] or match[3], match[2] or match[4]
        wanted = [(f".{owner}", name, f"{owner}.{name}")]
    elif match := _MODULE.search(text):
        wanted = [("module", match[1], f"the module {match[1]}")]
    else:
        return None
    for where, name, what in wanted:
        for key in _removals():
            library, line, place = key
            if place == where and name in _removals()[key]:
                return Removal(_DISTRIBUTIONS.get(library, library), line, what)
    return None


def _called(case: Case, error: Error, text: str) -> Removal | None:
    """A call that a line no longer takes; where only Python complains, the library's own object has to stand in the statement."""
    for library, line, pattern, what in _CALLS:
        if pattern.search(text):
            package = library.replace("-", "_")
            inside = any(frame.file.startswith(f"{package}/") for frame in error.frames)
            names = text.startswith(("MetaData.", "SQLAlchemy.")) or inside
            loaded = any(import_.module == package for import_ in case.trace.imports)
            if names or (loaded and error.type == "TypeError" and "tuple indices" not in text):
                return Removal(library, line, what)
    return None


@cache
def _removals() -> dict[tuple[str, str, str], frozenset[str]]:
    """``(library, line, module or .class)`` to what is gone there; modules under "module"."""
    removals = {}
    for row in (Path(__file__).parent / "removed.txt").read_text("utf-8").splitlines():
        if not row.startswith("#"):
            head, _, names = row.partition(": ")
            library, line, place = head.split(" ")
            removals[library, line, place] = frozenset(names.split(" "))
    return removals


def _version(case: Case, library: str) -> str | None:
    return installed(case.incident.python).version(library)


def _since(version: str | None, line: str) -> bool:
    """Is an installed version of this line or a later one?"""
    if version is None:
        return False
    numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
    return numbers >= [int(n) for n in re.findall(r"\d+", line)]
