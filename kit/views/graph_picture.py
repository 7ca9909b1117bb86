"""The reduced import graph as SVG text, drawn by Graphviz; every picture passes an allowlist before it is shown."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from .reduced_graph import Node, Reduced
from .svg import LABEL, clean_svg, plain

_SECONDS = 10  # for one picture; the largest that is drawn takes a tenth of one
# fill and line of a box, text, and the line of an arrow
_COLOURS = {
    "root": ("#24292f", "#24292f", "#ffffff"),
    "first": ("#ddf0ff", "#0550ae", "#1f2328"),
    "second": ("#ffe9e1", "#a32400", "#1f2328"),
    "both": ("#ffffff", "#24292f", "#1f2328"),
    "group": ("#f6f8fa", "#8c959f", "#57606a"),
}
_ARROWS = {"first": "#0550ae", "second": "#a32400", "both": "#24292f", "context": "#8c959f", "cycle": "#6639ba"}
_GRAPH = {"bgcolor": "#ffffff", "nodesep": "0.22", "ranksep": "0.45", "pad": "0.1"}
_FONT = {"fontname": "Courier", "fontsize": "11"}
_NODE = {"shape": "box", "style": "rounded,filled", **_FONT, "height": "0.3", "margin": "0.1,0.05"}


def import_picture(reduced: Reduced, *, upright: bool = False) -> str | None:
    """The reduced graph as SVG text; None if no program can draw it, or if the drawing lacks something.

    :param upright: from top to bottom, for a narrow screen, instead of from left to right
    """
    if not reduced.nodes:
        return None
    if upright:
        reduced = _ways_only(reduced)
    source = dot_source(reduced, upright=upright)
    wanted = {
        "node": len(reduced.nodes) + (1 if reduced.end else 0),
        "edge": len(reduced.lines) + (len(reduced.end.rows) if reduced.end else 0),
        "cluster": len(reduced.drawn_cycles),
    }
    for program in engines():
        drawn = _drawn(program, source)
        # Some makes lose edges without a word: what is not whole is not shown.
        if drawn and all(len(re.findall(rf'<g [^>]*class="{kind}', drawn)) == n for kind, n in wanted.items()):
            return clean_svg(drawn)
    return None


def _ways_only(reduced: Reduced) -> Reduced:
    """The graph without the modules beside the routes: a narrow screen has no room for them."""
    nodes = tuple(node for node in reduced.nodes if node.role != "group" or node.cycle is not None)
    kept = {node.id for node in nodes}
    lines = tuple(line for line in reduced.lines if line.role != "context" and {line.start, line.end} <= kept)
    return replace(reduced, nodes=nodes, lines=lines)


def dot_source(reduced: Reduced, *, upright: bool = False) -> str:
    """The reduced graph in Graphviz's language, in the subset that all its implementations draw alike."""
    import graphviz

    about = {"rankdir": "TB" if upright else "LR", **_GRAPH}
    graph = graphviz.Digraph(
        "imports", graph_attr=about, node_attr=_NODE, edge_attr={"arrowsize": "0.7", "fontname": "Courier"}
    )
    for node in reduced.nodes:
        if node.cycle is None:
            _box(graph, node, upright)
    for number in reduced.drawn_cycles:
        with graph.subgraph(name=f"cluster_{number}") as cycle:
            cycle.attr(label="import each other", labeljust="l", margin="10", **_FONT)
            cycle.attr(style="dotted", penwidth="2", color=_ARROWS["cycle"], fontcolor=_ARROWS["cycle"], tooltip=" ")
            for node in reduced.nodes:
                if node.cycle == number:
                    _box(cycle, node, upright)
    for line in reduced.lines:
        tip = _label(line.tooltip, 300) or " "
        graph.edge(line.start, line.end, tooltip=tip, **_arrow(line.role, line.dashed, line.count))
    if reduced.end:
        rows = [f"{_record(reduced.end.title)}\\l"]
        for port, (_, route, site, outcome) in enumerate(reduced.end.rows):
            word = {"first": "1st ", "second": "2nd "}.get(route, "")
            rows.append(f"<p{port}> {_record(word + site)}\\l{_record(outcome)}\\l")
        label = f"{{{'|'.join(rows)}}}" if upright else "|".join(rows)
        look = {"fillcolor": "#ffffff", "color": "#57606a", "fontcolor": "#1f2328", "tooltip": " ", "class": "end"}
        graph.node("end", label, shape="record", style="filled", **look)
        for port, (node, route, _, _) in enumerate(reduced.end.rows):
            side = "e" if upright and port else "w"
            role = "first" if route == "first" else "second"
            graph.edge(node, f"end:p{port}:{side}", tooltip=" ", **_arrow(role, False, 1))
    return graph.source


def _box(graph, node: Node, upright: bool) -> None:
    fill, line, text = _COLOURS[node.role]
    more = {"style": "rounded,filled,dashed"} if node.role == "group" else {"penwidth": "2"}
    label = f"{_label(node.title)}\\n{_label(node.detail)}"
    label = label.replace(", ", ",\\n") if upright else label
    more |= {"tooltip": _label(node.tooltip, 300), "class": node.role, "URL": f"#{node.link}"}
    graph.node(node.id, label, fillcolor=fill, color=line, fontcolor=text, **more)


def _arrow(role: str, dashed: bool, count: int) -> dict[str, str]:
    look = {"color": _ARROWS[role], "class": role}
    if role == "cycle":
        return {**look, "penwidth": "1.8", "style": "dotted", "arrowhead": "empty", "constraint": "false"}
    if role == "context":
        return {**look, "penwidth": f"{min(1 + count / 12, 2):.1f}"}
    look |= {"penwidth": "2.4", "weight": "20", "arrowsize": "0.8"}
    if role == "second":  # two lines side by side: apart from the first way without its colour, too
        look |= {"color": f"{_ARROWS[role]}:{_ARROWS[role]}", "penwidth": "1.4"}
    return look | ({"style": "dashed"} if dashed else {})


def _label(text: str, most: int = LABEL) -> str:
    import graphviz

    return graphviz.escape(plain(text, most))


def _record(text: str) -> str:
    return re.sub(r"([{}|<> ])", r"\\\1", _label(text))


@lru_cache(maxsize=1)
def engines() -> tuple[str, ...]:
    """The programs that draw, in the order in which they are tried: ``graphviz-pure`` beside this interpreter or on PATH, then ``dot``."""
    beside = shutil.which("graphviz-pure", path=str(Path(sys.executable).parent))
    return tuple(filter(None, (beside or shutil.which("graphviz-pure"), shutil.which("dot"))))


def _drawn(program: str, source: str) -> str | None:
    try:
        done = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
