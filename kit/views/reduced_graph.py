"""The part of an import graph that its picture shows: only what lies between the startup and the two sites.

The graph of a whole application answers nothing; the two routes do. Other modules between them are
condensed by package, and the rest is counted.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..trace.graph import ImportGraph, ImportRoute, Module, Stop
from ..trace.values import Frame

_LONGEST_WAY = 13  # stops that are drawn of one way; the middle of a longer one is counted
_MOST_GROUPS = 8
_MOST_LISTED = 40  # modules that are named of one group
_TOP = "top level"  # modules that are in no package
_REST = "*"  # no package has this name


@dataclass(frozen=True)
class Node:
    """What the picture draws as one box; ``role`` is root, first, second, both or group.

    ``link`` is the place on the page that the box leads to, ``cycle`` the number of the group of modules
    importing each other that it is in, and ``members`` what a group stands for.
    """

    id: str
    role: str
    title: str
    detail: str
    tooltip: str
    link: str
    cycle: int | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """What the picture draws as one arrow; ``role`` is first, second, both, context or cycle."""

    start: str
    end: str
    role: str
    dashed: bool  # not an import statement
    count: int
    tooltip: str


@dataclass(frozen=True)
class End:
    """The box at the end: the table and what came of each definition, or the error."""

    title: str
    rows: tuple[tuple[str, str, str, str], ...]  # (node id, way, site, outcome)


@dataclass(frozen=True)
class Reduced:
    """What lies between the startup and the sites; everything else is counted by package."""

    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    end: End | None
    left_out: tuple[tuple[str, int], ...]  # package, modules
    cycles: tuple[tuple[str, ...], ...]
    modules: int  # of the application, in all

    @property
    def drawn_cycles(self) -> tuple[int, ...]:
        """The groups of modules importing each other that are drawn, by number."""
        return tuple(sorted({node.cycle for node in self.nodes if node.cycle is not None}))


def place_of(route: ImportRoute, stop: int) -> str:
    """The id on the page where the source of a route's stop stands; stops count from 0."""
    return f"kit-way-{route.name}-{stop + 1}"


GROUPS = "kit-groups"  # the place on the page that names what the picture condenses


def reduce(graph: ImportGraph, *, most: int = 40) -> Reduced:
    """The part of the graph with the routes to the two definitions, in at most ``most`` nodes."""
    short = _Shortener(graph)
    routes = [(route, _drawn(route)) for route in graph.routes]
    names: dict[tuple, set[str]] = {}
    for route, stops in routes:
        for identity, _ in stops:
            names.setdefault(identity, set()).add(route.name)
    ids: dict[tuple, str] = {}
    nodes: list[Node] = []
    lines: dict[tuple[str, str], Line] = {}
    rows = []
    in_cycle = {key: number for number, keys in enumerate(graph.cycles) for key in keys}
    for route, stops in routes:
        before = None
        for identity, stop in stops:
            role = "both" if len(names[identity]) > 1 else "first" if route.name == "first" else "second"
            if identity not in ids:
                ids[identity] = f"n{len(nodes)}"
                cycle = in_cycle.get(identity[1]) if identity[0] == "module" else None
                nodes.append(replace(_node(graph, short, ids[identity], role, route, stop), cycle=cycle))
            if before is not None and (before, ids[identity]) not in lines:
                left_out_stops = not isinstance(stop, Stop)
                dashed = not left_out_stops and stop.kind in ("call", "exec")
                tip = "" if left_out_stops else f"{stop.by} {stop.kind}"
                lines[before, ids[identity]] = Line(before, ids[identity], role, dashed, 1, tip)
            before = ids[identity]
        if before is not None:
            rows.append((before, route.name, f"{posixpath.basename(route.site.file)}:{route.site.line}", route.outcome))
    left_out = _add_groups(graph, ids, nodes, lines, most, short)
    modules = {m.key: m.module for m in graph.modules}
    end = End(graph.tables or "error", tuple(rows)) if rows else None
    groups = tuple(tuple(modules[key] for key in cycle) for cycle in graph.cycles)
    return Reduced(tuple(nodes), tuple(lines.values()), end, left_out, groups, len(graph.modules))


def _node(
    graph: ImportGraph, short: "_Shortener", node: str, role: str, route: ImportRoute, stop: Stop | tuple
) -> Node:
    if not isinstance(stop, Stop):
        where = place_of(route, (_LONGEST_WAY - 1) // 2)
        return Node(node, role, f"{len(stop)} more stops", "see the list", ", ".join(map(str, stop[:20])), where)
    kind = "root" if stop.kind == "start" else role
    return Node(
        node,
        kind,
        short(graph.module_of(stop.key), stop.frame),
        stop.how,
        f"{stop.frame.module or stop.frame.file}: {stop.how}",
        place_of(route, route.stops.index(stop)),
    )


def _drawn(route: ImportRoute) -> list[tuple[tuple, Stop | tuple[Frame, ...]]]:
    """The stops, each with its identity; the middle of a long route is one stop."""
    stops: list[tuple[tuple, Stop | tuple[Frame, ...]]] = []
    before: tuple = ()
    for stop in route.stops:
        # A body is executed once; a function may be called by each way, and is then two stops.
        call = ("call", stop.frame.file, stop.frame.function, stop.by, before)
        before = ("module", stop.key) if stop.key else call
        stops.append((before, stop))
    if len(stops) > _LONGEST_WAY:
        half = (_LONGEST_WAY - 1) // 2
        between = tuple(stop.frame for stop in route.stops[half:-half])
        stops[half:-half] = [(("between", route.name), between)]
    return stops


def _add_groups(graph: ImportGraph, ids, nodes: list[Node], lines, most: int, short) -> tuple[tuple[str, int], ...]:
    """Draw the packages whose modules lie between the startup and a site; count the others."""
    home = _homes(graph, ids)
    roots = {node.id for node in nodes if node.role == "root"}
    # What imports each other is one group, whatever its packages; all else is condensed by package.
    in_cycle = {key: number for number, keys in enumerate(graph.cycles) for key in keys}
    on_drawn = {in_cycle.get(key) for key in home} - {None}
    between, outside = _between(graph, home, roots, in_cycle, on_drawn)
    room = max(1, min(most - len(nodes) - 1, _MOST_GROUPS))
    chosen = sorted(between, key=lambda name: (name not in on_drawn, -len(between[name]), str(name)))
    title_of_rest = ""
    if len(chosen) > room:  # the smallest are one group together
        rest = [module for name in chosen[room - 1 :] for module in between[name]]
        between[_REST] = sorted(rest, key=lambda module: module.number)
        title_of_rest = f"{len(chosen) - room + 1} more packages ({len(rest)} modules)"
        chosen = [*chosen[: room - 1], _REST]
    for name in sorted(chosen, key=lambda name: between[name][0].number):
        members = between[name]
        cycle = name if isinstance(name, int) else None
        if name == _REST:
            title = title_of_rest
        elif len(members) == 1:
            title = short(members[0], None)
        elif cycle is None:
            title = f"{short.package(name)} ({len(members)} more)"
        else:
            title = f"{len(members)}{' more' if cycle in on_drawn else ''} importing each other"
        node = _group(f"n{len(nodes)}", title, members, cycle)
        home.update({member.key: node.id for member in members})
        nodes.append(node)
    _add_context(graph, home, roots, nodes, lines)
    return tuple(sorted(outside.items()))


def _homes(graph: ImportGraph, ids) -> dict[int, str]:
    """The modules that are drawn already, by key, to the node that each is in."""
    home = {identity[1]: node for identity, node in ids.items() if identity[0] == "module"}
    for route in graph.routes:  # a function that was called stands for the module that it is in
        for identity, stop in _drawn(route):
            if isinstance(stop, Stop) and stop.key is None:
                for module in graph.modules:
                    if (module.file, module.module) == (stop.frame.file, stop.frame.module):
                        home.setdefault(module.key, ids[identity])
    return home


def _between(graph: ImportGraph, home: Mapping[int, str], roots: set[str], in_cycle, on_drawn):
    """Modules between the startup and a site, by cycle or package; the others, counted by package."""
    importers: dict[int, list[int]] = {key: [] for key in graph.lines}
    for importer, here in graph.lines.items():
        for imported in here:
            importers[imported].append(importer)
    down = _reached([key for key, node in home.items() if node in roots], graph.lines)
    up = _reached([key for key, node in home.items() if node not in roots], importers)
    between: dict[str | int, list[Module]] = {}
    outside: Counter[str] = Counter()
    for module in graph.modules:
        if module.key not in home:
            cycle = in_cycle.get(module.key)
            if (module.key in down and module.key in up) or cycle in on_drawn:
                between.setdefault(_package(module) if cycle is None else cycle, []).append(module)
            else:
                outside[_package(module)] += 1
    return between, outside


def _group(id: str, title: str, members: list[Module], cycle: int | None) -> Node:
    first, last = members[0].number, members[-1].number
    span = f"imports {first} to {last}" if len(members) > 1 else f"import {first}"
    listed = tuple(f"{member.module} (import {member.number})" for member in members[:_MOST_LISTED])
    listed += (f"and {len(members) - _MOST_LISTED} more",) if len(members) > _MOST_LISTED else ()
    return Node(id, "group", title, span, ", ".join(listed), GROUPS, cycle, listed)


def _add_context(graph: ImportGraph, home: Mapping[int, str], roots: set[str], nodes: list[Node], lines) -> None:
    """Draw the import statements between nodes that are not part of a route."""
    on_way = {stop.key for route in graph.routes for stop in route.stops}
    cycle_of = {node.id: node.cycle for node in nodes if node.cycle is not None}
    counted: Counter[tuple[str, str]] = Counter()
    for importer, start in home.items():
        ends = Counter(map(home.get, graph.lines[importer]))
        for imported in on_way.intersection(graph.lines[importer]):
            if graph.module_of(imported).importer == importer:
                ends[home.get(imported)] -= 1  # that is a line of a way already
        for end, count in ends.items():
            if count and end and end != start and end not in roots and (start, end) not in lines:
                counted[start, end] += count
    for (start, end), count in sorted(counted.items(), key=lambda item: (int(item[0][0][1:]), int(item[0][1][1:]))):
        tip = f"{count} import statement" + ("s" if count > 1 else "")
        same = start in cycle_of and cycle_of[start] == cycle_of.get(end)
        lines[start, end] = Line(start, end, "cycle" if same else "context", False, count, tip)


def _package(module: Module) -> str:
    return module.module.rpartition(".")[0] or _TOP


def _reached(start: Iterable[int], following: Mapping[int, Iterable[int]]) -> set[int]:
    new = seen = set(start)
    while new:
        new = set().union(*(following.get(key, ()) for key in new)) - seen
        seen = seen | new
    return seen


class _Shortener:
    """Module names as the picture shows them, without the package that all modules share."""

    def __init__(self, graph: ImportGraph):
        tops = {m.module.partition(".")[0] for m in graph.modules if "." in m.module}
        plain = {m.module for m in graph.modules if "." not in m.module and _named_by_file(m)}
        self.cut = f"{next(iter(tops))}." if len(tops) == 1 and not plain - tops else ""

    def __call__(self, module: Module | None, frame: Frame | None) -> str:
        if module is None:
            return frame.file if frame.function == "<module>" else f"{frame.function}()"
        if not _named_by_file(module):
            file = module.file or module.module
            return f"{file} (__main__)" if module.module == "__main__" else file
        return module.module.removeprefix(self.cut)

    def package(self, name: str) -> str:
        return _TOP if name == _TOP else f"{name.removeprefix(self.cut)}.*"


def _named_by_file(module: Module) -> bool:
    stem = re.sub(r"(/__init__)?\.py$", "", module.file or "").replace("/", ".")
    return stem == module.module or stem.endswith("." + module.module)
