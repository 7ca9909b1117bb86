"""Which endpoint answers a request, by the routes that the application registered."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .trace import Trace
from .values import Entry, Site

_INCLUDES = ("include", "mount")
_PARAMETER = re.compile(r"\{(?P<name>\w+)(?::(?P<type>\w+))?\}|<(?:(?P<kind>\w+)(?:\([^)]*\))?:)?(?P<variable>\w+)>")
# What a parameter of each type takes, and an example of it.
_TYPES = {
    "path": (".*", "some/thing"),
    "int": ("[0-9]+", "1"),
    "float": (r"[0-9]+(?:\.[0-9]+)?", "1.5"),
    "uuid": ("[0-9a-fA-F-]{36}", "00000000-0000-4000-8000-000000000000"),
}
_ANY = ("[^/]+", "some-thing")


class Route(NamedTuple):
    """A route as requests come to it.

    :ivar path: with the prefixes that it was included under
    :ivar methods: upper case; empty: every one
    :ivar entry: that registered it, on whichever router
    :ivar includes: the entries that brought its router in, outermost first
    """

    path: str
    methods: frozenset[str]
    entry: Entry
    includes: tuple[Entry, ...]

    def takes(self, method: str, path: str) -> bool:
        """Does a request fit?"""
        return bool(re.fullmatch(_pattern(self.path), path)) and (not self.methods or method.upper() in self.methods)

    @property
    def example(self) -> str:
        """A path that fits."""
        return _PARAMETER.sub(lambda part: _type_of(part)[1], self.path)

    @property
    def shape(self) -> str:
        """The path without the names of its parameters."""
        return _PARAMETER.sub(lambda part: f"<{part['type'] or part['kind'] or ''}>", self.path)


class Page(NamedTuple):
    """A route without a parameter; ``name``: that of a Flask endpoint, else its path."""

    path: str
    name: str


def routes_of(entries: Sequence[Entry]) -> list[list[Route]]:
    """The routes of each application, in the order in which they are asked; those of a router where that is included."""
    of: dict[tuple[int, int], list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.at):
        of.setdefault((entry.process, entry.registry), []).append(entry)
    included = {(entry.process, entry.object) for entry in entries if entry.kind in _INCLUDES}

    def below(router: tuple[int, int], prefix: str, includes: tuple[Entry, ...]) -> Iterator[Route]:
        above = {router, *((entry.process, entry.registry) for entry in includes)}
        for entry in of.get(router, ()):
            inner = (entry.process, entry.object)
            if entry.kind in _INCLUDES and inner not in above:
                yield from below(inner, prefix + entry.key, (*includes, entry))
            elif entry.kind == "route":
                yield Route(prefix + entry.key, _with_head(entry.more), entry, includes)
            elif entry.kind == "endpoint":
                methods = _with_head([word for word in entry.more if not word.startswith("/")])
                for rule in (word for word in entry.more if word.startswith("/")):
                    yield Route(prefix + rule, methods, entry, includes)

    applications = [list(below(router, "", ())) for router in of if router not in included]
    return [routes for routes in applications if routes]


def _with_head(methods: Iterable[str]) -> frozenset[str]:
    return frozenset(methods) | ({"HEAD"} if "GET" in methods else set())


def pages_of(entries: Sequence[Entry]) -> list[Page]:
    """The application's own routes that a GET without a parameter comes to, the shortest first."""
    routes = [route for routes in routes_of(entries) for route in routes if route.entry.frame.application]
    pages = [route for route in routes if route.example == route.path and route.path.startswith("/")]
    names = {page.path: page.entry.key for page in pages if not page.methods or "GET" in page.methods}
    return [Page(path, names[path]) for path in sorted(names, key=lambda path: (path.count("/"), path))]


def endpoint_of(trace: Trace, method: str, path: str) -> Site | None:
    """Where the function is defined that a request comes to; None where no route that was seen fits.

    Of Starlette's and FastAPI's routes the first that fits answers, of Flask's one without parameters before the others.
    """
    path = path.partition("?")[0]
    fitting = [route for routes in routes_of(trace.entries) for route in routes if route.takes(method, path)]
    exact = [route for route in fitting if route.entry.kind == "endpoint" and route.path == path]
    definitions = (route.entry.definition for route in [*exact, *fitting])
    return next((definition for definition in definitions if definition is not None), None)


def _type_of(part: re.Match) -> tuple[str, str]:
    """What a parameter takes, and an example of that."""
    return _TYPES.get(part["type"] or part["kind"] or "", _ANY)


def _pattern(rule: str) -> str:
    """A route's path as a regular expression; what is no parameter stands for itself."""
    parts, end = [], 0
    for part in _PARAMETER.finditer(rule):
        parts += [re.escape(rule[end : part.start()]), _type_of(part)[0]]
        end = part.end()
    return "".join([*parts, re.escape(rule[end:])])


def names_of(trace: Trace, site: Site) -> list[str]:
    """An endpoint as an incident file names it, ``module:function``: one for each name that its module ran under."""
    executed = [import_.module for import_ in trace.imports if import_.application and import_.file == site.file]
    return [f"{module}:{site.name}" for module in dict.fromkeys([site.module, *executed]) if module]
