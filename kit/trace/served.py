"""Which endpoint answers a request, by the routes that the application registered."""

import re
from collections.abc import Iterator

from .trace import Trace
from .values import Entry, Site

_INCLUDES = ("include", "mount")
_PART = re.compile(r"\{(\w+)(:\w+)?\}|<(?:(\w+)(?:\([^)]*\))?:)?\w+>")


def endpoint_of(trace: Trace, method: str, path: str) -> Site | None:
    """Where the function is defined that a request comes to; None where no route that was seen fits.

    Of Starlette's and FastAPI's routes the first that fits answers, of Flask's one without parameters before the others.
    """
    path = path.partition("?")[0]
    fitting = list(_fitting(trace, method, path))
    exact = [entry for entry in fitting if entry.kind == "endpoint" and path in entry.more]
    return next((entry.definition for entry in [*exact, *fitting] if entry.definition is not None), None)


def _fitting(trace: Trace, method: str, path: str) -> Iterator[Entry]:
    """The routes that fit, in the order in which they are asked; those of a router where that is included."""
    of: dict[tuple[int, int], list[Entry]] = {}
    for entry in sorted(trace.entries, key=lambda entry: entry.at):
        of.setdefault((entry.process, entry.registry), []).append(entry)
    included = {(entry.process, entry.object) for entry in trace.entries if entry.kind in _INCLUDES}

    def below(router: tuple[int, int], prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
        for entry in of.get(router, ()):
            inner = (entry.process, entry.object)
            if entry.kind in _INCLUDES and inner not in above:
                yield from below(inner, prefix + entry.key, (*above, inner))
            elif _fits(entry, prefix, method, path):
                yield entry

    for router in of:
        if router not in included:
            yield from below(router, "", (router,))


def _fits(entry: Entry, prefix: str, method: str, path: str) -> bool:
    if entry.kind == "route":
        allowed = {*entry.more, "HEAD"} if "GET" in entry.more else set(entry.more)
        return bool(re.fullmatch(_pattern(prefix + entry.key), path)) and (not allowed or method.upper() in allowed)
    return entry.kind == "endpoint" and any(re.fullmatch(_pattern(rule), path) for rule in entry.more)


def _pattern(rule: str) -> str:
    """A route's path as a regular expression; what is no parameter stands for itself."""
    parts, end = [], 0
    for part in _PART.finditer(rule):
        whole = part[2] == ":path" or part[3] == "path"
        parts += [re.escape(rule[end : part.start()]), ".*" if whole else "[^/]+"]
        end = part.end()
    return "".join([*parts, re.escape(rule[end:])])


def names_of(trace: Trace, site: Site) -> list[str]:
    """An endpoint as an incident file names it, ``module:function``: one for each name that its module ran under."""
    modules = [
        site.module,
        *(import_.module for import_ in trace.imports if import_.application and import_.file == site.file),
    ]
    return [f"{module}:{site.name}" for module in dict.fromkeys(modules) if module]
