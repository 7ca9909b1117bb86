"""What a notebook shows of the import graph: the two routes, as a drawing and as lists with their source."""

import posixpath

from ..trace.graph import ImportGraph, ImportRoute, Stop, import_graph
from ..trace.trace import Trace
from ..trace.values import Conflict
from .figure import figure
from .graph_picture import engines, import_picture
from .markup import Part, Shown, absent, code, count, fold, items, join, para, part, source, stack, strong
from .reduced_graph import GROUPS, Reduced, place_of, reduce
from .wording import listed

_MOST_STOPS = 40  # of one way
_WAYS = {"first": "First path", "second": "Second path", "only": "The path to the error"}


def imports(trace: Trace, conflict: Conflict | None = None) -> Shown:
    """The import graph, reduced to the two routes, and the same routes as ordered lists with their source."""
    graph = import_graph(trace, conflict)
    reduced = reduce(graph)
    if not graph.routes:
        executed = count(len(graph.modules), "module")
        return absent(f"No table was defined twice, and no line of the application raised an error. {executed} ran.")
    drawn = import_picture(reduced)
    parts = []
    if drawn:
        narrow = import_picture(reduced, upright=True)
        parts.append(figure(drawn, _alternative(graph), _legend(graph, reduced), narrow=narrow))
    elif engines():
        parts.append(para("The drawn graph was incomplete, so it is not shown. The ways as lists:", kind="kit-note"))
    else:
        no_program = "No program that draws graphs is installed (graphviz-pure or dot). The ways as lists:"
        parts.append(para(no_program, kind="kit-note"))
    for route in graph.routes:
        top = join(strong(f"{_WAYS[route.name]}: "), code(route.text), f", {route.outcome}")
        parts.append(fold(top, _way_list(trace, route)))
    groups = [join(strong(node.title), ": ", ", ".join(node.members)) for node in reduced.nodes if node.role == "group"]
    if groups:
        parts.append(fold("What the grey boxes stand for", items(groups), place=GROUPS))
    if reduced.cycles:
        shown = items(listed(names, 12, " ↔ ") for names in reduced.cycles[:20])
        several = f"{len(reduced.cycles)} groups of modules import"
        are = "One group of modules imports" if len(reduced.cycles) == 1 else several
        parts.append(fold(f"{are} each other", shown))
    return Shown(parts)


def _way_list(trace: Trace, route: ImportRoute) -> Part:
    """The stops of a route, each with the source line that leads to the next; of a very long route both ends."""
    shown, places = [], []
    for number, stop in enumerate(route.stops):
        if _MOST_STOPS // 2 <= number < len(route.stops) - _MOST_STOPS // 2:
            if number == _MOST_STOPS // 2:
                shown.append(part(f"{len(route.stops) - _MOST_STOPS} more stops"))
                places.append(place_of(route, number))
            continue
        lines = [line for line in trace.excerpt(stop.frame, around=1) if line[1].strip()]
        shown.append(stack(_stop(stop), source(lines, marked=[stop.frame.line], most=120) if lines else None))
        places.append(place_of(route, number))
    return items(shown, ordered=True, places=places)


def _stop(stop: Stop) -> Part:
    function = f" in {stop.frame.function}()" if stop.frame.function not in ("<module>", "?") else ""
    at = f"{posixpath.basename(stop.by.file)}:{stop.by.line}" if stop.by else "?"
    how = {"call": f"called at {at}", "exec": f"run by {stop.through}, asked at {at}"}.get(stop.kind, stop.how)
    return join(code(stop.frame), f"{function}: {how}")


def _alternative(graph: ImportGraph) -> str:
    texts = [f"{_WAYS[route.name].lower()}: {route.text}, {route.outcome}" for route in graph.routes]
    return f"Import graph. {'; '.join(texts)[:2000]}. The lists below say the same."


def _legend(graph: ImportGraph, reduced: Reduced) -> Part:
    roles = {line.role for line in reduced.lines}
    if len(graph.routes) > 1:
        sentences = [join(strong("Single blue line"), ": the path to the first definition.")]
        sentences.append(join(strong("Double red line"), ": the path to the second."))
    else:
        sentences = [join(strong("Double red line"), ": the path to the error.")]
    if any(line.dashed for line in reduced.lines):
        sentences.append(join(strong("Dashed"), ": a call, or a library that runs a file; no import statement."))
    if any(node.role == "group" for node in reduced.nodes):
        sentences.append(join(strong("Grey boxes"), ": other modules that lie between, by package."))
    if "cycle" in roles:
        sentences.append(join(strong("Dotted purple"), ": modules that import each other."))
    sentences.append(part(f"Numbers count the {count(reduced.modules, 'executed module')} of the application."))
    if reduced.left_out:
        packages = listed([f"{package} {number}" for package, number in reduced.left_out], 12)
        packages += " packages" if len(reduced.left_out) > 12 else ""
        modules = count(sum(number for _, number in reduced.left_out), "module")
        sentences.append(part(f"Not drawn, because no path leads through them: {modules} ({packages})."))
    return join(*sentences, between=" ")
