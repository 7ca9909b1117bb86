"""Import edges: which statement ran where. There may be a million, so they are read and kept by column."""

import ast
import re
from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from operator import le
from typing import Any, NamedTuple

_NONE = type(None)


class Place(NamedTuple):
    """The code that import statements stand in: a module's body, or a function; in ``package``, unless one says otherwise."""

    process: int
    importer: str | None
    file: str
    function: str
    package: str | None = None


class Wanted(NamedTuple):
    """What an import statement asks for.

    ``imported`` is as written: with its dots, and without the ``names`` after ``from ... import``.
    """

    imported: str
    package: str | None
    names: tuple[str, ...]


class Edge(NamedTuple):
    """An import statement of the application that ran, or ``import_module`` by it; the first time of each."""

    place: Place
    line: int
    wanted: Wanted
    by_call: bool
    at: int


class AsWritten(NamedTuple):
    """What edges of several places may have in common; ``package`` is ``...`` where it is the place's."""

    imported: str
    package: Any
    names: tuple[str, ...]
    by_call: bool

    def wanted(self, place: Place) -> Wanted:
        """What it asks for where it stands at ``place``."""
        return Wanted(self.imported, place.package if self.package is ... else self.package, self.names)


class Edges(Sequence):
    """Edges in order of time, made when they are asked for.

    :ivar places: and ``statements``: each once
    :ivar columns: ``(place, statement, line, at)``, each an array with an item for each edge, of 64 bits; the first two are numbers of the above
    """

    def __init__(
        self,
        places: Sequence[Place] = (),
        statements: Sequence[AsWritten] = (),
        columns: Sequence[Iterable[int]] = ((), (), (), ()),
    ) -> None:
        """:param columns: as above, in any order of time"""
        self.places, self.statements = tuple(places), tuple(statements)
        columns = [array("q", column) for column in columns]
        at = columns[3]
        if not all(map(le, at, at[1:])):  # those of one process are in order, as nearly always
            order = sorted(range(len(at)), key=at.__getitem__)
            columns = [array("q", map(column.__getitem__, order)) for column in columns]
        self.columns = tuple(columns)

    def __len__(self) -> int:
        return len(self.columns[3])

    def __getitem__(self, number):
        if isinstance(number, slice):
            return tuple(self[index] for index in range(*number.indices(len(self))))
        place, statement, line, at = (column[number] for column in self.columns)
        place, statement = self.places[place], self.statements[statement]
        return Edge(place, line, statement.wanted(place), statement.by_call, at)


class FileEdges:
    """The edges that one process wrote, by column, while they are read: what its numbers of places mean may come later.

    :ivar lost: was any of them not in order?
    """

    def __init__(self) -> None:
        self.columns = [array("q") for _ in range(4)]  # place, statement, line, at
        self.statements = _Numbers(self._number_of)  # of the fields of an AsWritten, with its names in one text
        self.lost = False

    def add(self, events: Sequence[dict]) -> None:
        """By column: a look at each field of each edge is nearly all of a large trace."""
        try:
            # An array takes whole numbers of 64 bits and nothing else.
            place, line, at = (array("q", [event[name] for event in events]) for name in ("c", "l", "t"))
            number = self.statements.__getitem__
            statement = [
                number((event["to"], event.get("p", ...), event.get("names"), bool(event.get("dyn"))))
                for event in events
            ]
        except (LookupError, TypeError, OverflowError):  # the others, one by one
            self.lost = True
            for event in events if len(events) > 1 else ():
                self.add([event])
            return
        for column, new in zip(self.columns, (place, array("q", statement), line, at), strict=True):
            column.extend(new)

    def _number_of(self, statement: tuple) -> int:
        """:raises TypeError: it is no statement"""
        to, package, names, _ = statement
        if type(to) is not str or type(names) not in (str, _NONE) or type(package) not in (str, _NONE, type(...)):
            raise TypeError("a statement that asks for no module")
        return len(self.statements)

    def tell(self, source_of: Callable[[int, int], bytes]) -> None:
        """An edge whose line is negative is that number of the import statements that its place's source begins with.

        :param source_of: a place's number, and when the first of them was executed
        """
        place, statement, line, at = self.columns
        marks = [(number, place[number], -written) for number, written in enumerate(line) if written < 0]
        most: dict[int, int] = {}
        for _, where, count in marks:
            most[where] = max(count, most.get(where, 0))
        first = {where: at[number] for number, where, _ in reversed(marks)}
        known = {where: straight_imports(source_of(where, first[where]), count) for where, count in most.items()}
        unknown = {number for number, where, count in marks if count > len(known[where])}
        for number, where, count in marks:
            if number not in unknown:
                line[number], to, names = known[where][count - 1]
                statement[number] = self.statements[to, ..., names, False]
        if unknown:
            self.lost = True
            kept = [number not in unknown for number in range(len(line))]
            self.columns = [array("q", compress(column, kept)) for column in self.columns]

    def leave_out(self, places: Container[int], until: float) -> None:
        """Without the edges after ``until``, and those of a place that nothing tells of."""
        place, _, _, at = self.columns
        unknown = {number for number in set(place) if number not in places}
        if unknown or max(at, default=0) > until:
            in_time = [when <= until for when in at]
            self.lost = self.lost or not unknown.isdisjoint(compress(place, in_time))
            kept = [early and number not in unknown for number, early in zip(place, in_time, strict=True)]
            self.columns = [array("q", compress(column, kept)) for column in self.columns]


# Where a statement begins that holds others: a source is seldom read beyond that.
_HOLDS_OTHERS = re.compile(rb"^(?:async|class|def|for|if|match|try|while|with|@)", re.M)


def straight_imports(source: bytes, wanted: int) -> Sequence[tuple[int, str, str | None]]:
    """Line, module and names of the import statements that a module begins with, before all that holds other statements.

    :param wanted: how many, where there are as many: what an older grammar than the application's does not read comes later
    """
    holds = _HOLDS_OTHERS.search(source)
    first = [*_straight(_read(source[: holds.start()]))] if holds else ()
    return first if holds and len(first) >= wanted else [*_straight(_read(source))]


def _read(text: bytes) -> Sequence[ast.stmt]:
    """The statements of a text, up to the line that this grammar does not read."""
    while True:
        try:
            return ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError) as error:
            lines = text.splitlines(keepends=True)
            text = b"".join(lines[: max(min(getattr(error, "lineno", None) or 1, len(lines)) - 1, 0)])


def _straight(body: Sequence[ast.stmt]) -> Iterator[tuple[int, str, str | None]]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or ""), ",".join(alias.name for alias in node.names)
        elif isinstance(node, ast.If) and (taken := _known(node.test)) is not None:  # the compiler keeps what it takes
            yield from _straight(node.body if taken else node.orelse)


def _known(test: ast.expr) -> bool | None:
    """What the compiler takes a condition for; None where that is known when it runs."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        taken = _known(test.operand)
        return None if taken is None else not taken
    if isinstance(test, ast.Name) and test.id == "__debug__":
        return True
    return bool(test.value) if isinstance(test, ast.Constant) else None


class _Numbers(dict):
    """The number of each key, made when it is first asked for."""

    def __init__(self, number_of: Callable[[tuple], int]) -> None:
        self.number_of = number_of

    def __missing__(self, key: tuple) -> int:
        number = self[key] = self.number_of(key)
        return number


def together(written: Iterable[tuple[FileEdges, Mapping[int, Place]]]) -> Edges:
    """The edges of all processes, each with its places by number."""
    places: list[Place] = []
    statements: dict[AsWritten, int] = {}
    columns = [array("q") for _ in range(4)]
    for edges, here in written:
        place_numbers = dict(zip(here, range(len(places), len(places) + len(here)), strict=True))
        numbers = []
        for to, package, names, by_call in edges.statements:
            written_statement = AsWritten(to, package, tuple(names.split(",")) if names else (), by_call)
            numbers.append(statements.setdefault(written_statement, len(statements)))
        places += here.values()
        place, statement, line, at = edges.columns
        columns[0].extend(map(place_numbers.__getitem__, place))
        columns[1].extend(map(numbers.__getitem__, statement))
        columns[2].extend(line)
        columns[3].extend(at)
    return Edges(places, list(statements), columns)
