"""The reduced import graph as SVG text.

The name of a module or table is data: it gets into a picture only as escaped, shortened text, and
every picture passes an allowlist before it is shown.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from ..base.redact import redact
from .reduce import Node, Reduced

FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_SECONDS = 10  # for one picture; the largest that is drawn takes a tenth of one
LABEL = 60  # characters
SVG = "http://www.w3.org/2000/svg"

# fill and line of a box, text, and the line of an arrow
_COLOURS = {
    "root": ("#24292f", "#24292f", "#ffffff"),
    "first": ("#ddf0ff", "#0550ae", "#1f2328"),
    "second": ("#ffe9e1", "#a32400", "#1f2328"),
    "both": ("#ffffff", "#24292f", "#1f2328"),
    "group": ("#f6f8fa", "#8c959f", "#57606a"),
}
_ARROWS = {"first": "#0550ae", "second": "#a32400", "both": "#24292f", "context": "#8c959f", "cycle": "#6639ba"}


# ------------------------------------------------------------------------------------ the import graph


def import_picture(reduced: Reduced, *, upright: bool = False) -> str | None:
    """The reduced graph as SVG text; None if no program can draw it, or if the drawing lacks something.

    :param upright: from top to bottom, for a narrow screen, instead of from left to right
    """
    if not reduced.nodes:
        return None
    if upright:
        reduced = _ways_only(reduced)
    source = dot_source(reduced, upright=upright)
    asked = {
        "node": len(reduced.nodes) + (1 if reduced.end else 0),
        "edge": len(reduced.lines) + (len(reduced.end.rows) if reduced.end else 0),
        "cluster": len(reduced.drawn_cycles),
    }
    for program in engines():
        drawn = _drawn(program, source)
        # Some makes lose edges without a word: what is not whole is not shown.
        if drawn and all(len(re.findall(rf'<g [^>]*class="{what}', drawn)) == n for what, n in asked.items()):
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

    graph = graphviz.Digraph(
        "imports",
        graph_attr={
            "rankdir": "TB" if upright else "LR",
            "bgcolor": "#ffffff",
            "nodesep": "0.22",
            "ranksep": "0.45",
            "pad": "0.1",
        },
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fontname": "Courier",
            "fontsize": "11",
            "height": "0.3",
            "margin": "0.1,0.05",
        },
        edge_attr={"arrowsize": "0.7", "fontname": "Courier"},
    )
    for node in reduced.nodes:
        if node.cycle is None:
            _box(graph, node, upright)
    for number in reduced.drawn_cycles:
        with graph.subgraph(name=f"cluster_{number}") as cycle:
            cycle.attr(label="import each other", labeljust="l", fontname="Courier", fontsize="11", margin="10")
            cycle.attr(style="dotted", penwidth="2", color=_ARROWS["cycle"], fontcolor=_ARROWS["cycle"], tooltip=" ")
            for node in reduced.nodes:
                if node.cycle == number:
                    _box(cycle, node, upright)
    for line in reduced.lines:
        graph.edge(
            line.start, line.end, tooltip=_label(line.tooltip, 300) or " ", **_arrow(line.role, line.dashed, line.count)
        )
    if reduced.end:
        rows = [_record(reduced.end.title)]
        for port, (_, route, site, outcome) in enumerate(reduced.end.rows):
            word = {"first": "1st ", "second": "2nd "}.get(route, "")
            rows.append(f"<p{port}> {_record(word + site)}\\l{_record(outcome)}\\l")
        label = f"{rows[0]}\\l|" + "|".join(rows[1:])
        label = f"{{{label}}}" if upright else label
        graph.node(
            "end",
            label,
            shape="record",
            style="filled",
            fillcolor="#ffffff",
            color="#57606a",
            fontcolor="#1f2328",
            tooltip=" ",
            **{"class": "end"},
        )
        for port, (node, route, _, _) in enumerate(reduced.end.rows):
            role = "first" if route == "first" else "second"
            side = "e" if upright and port else "w"
            graph.edge(node, f"end:p{port}:{side}", tooltip=" ", **_arrow(role, False, 1))
    return graph.source


def _box(graph, node: Node, upright: bool) -> None:
    fill, line, text = _COLOURS[node.role]
    more = {"style": "rounded,filled,dashed"} if node.role == "group" else {"penwidth": "2"}
    label = f"{_label(node.title)}\\n{_label(node.detail)}"
    label = label.replace(", ", ",\\n") if upright else label
    tip = _label(node.tooltip, 300)
    more |= {"tooltip": tip, "class": node.role, "URL": f"#{node.link}"}
    graph.node(node.id, label, fillcolor=fill, color=line, fontcolor=text, **more)


def _arrow(role: str, dashed: bool, count: int) -> dict[str, str]:
    colour = _ARROWS[role]
    if role == "cycle":
        more = {"style": "dotted", "arrowhead": "empty", "constraint": "false"}
        return {"color": colour, "penwidth": "1.8", "class": role, **more}
    if role == "context":
        return {"color": colour, "penwidth": f"{min(1 + count / 12, 2):.1f}", "class": role}
    style = {"style": "dashed"} if dashed else {}
    if role == "second":  # two lines side by side: apart from the first way without its colour, too
        return {
            "color": f"{colour}:{colour}",
            "penwidth": "1.4",
            "weight": "20",
            "arrowsize": "0.8",
            "class": role,
            **style,
        }
    return {"color": colour, "penwidth": "2.4", "weight": "20", "arrowsize": "0.8", "class": role, **style}


def plain(text: object, most: int = LABEL) -> str:
    """Text of the application in one line: no control or direction characters, cut in the middle if long."""
    line = re.sub(
        r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff]",
        "�",
        redact(str(text)),
    )
    return line if len(line) <= most else f"{line[: most // 2]}…{line[1 - most + most // 2 :]}"


def _label(text: str, most: int = LABEL) -> str:
    import graphviz

    return graphviz.escape(plain(text, most))


def _record(text: str) -> str:
    return re.sub(r"([{}|<> ])", r"\\\1", _label(text))


@lru_cache(maxsize=1)
def engines() -> tuple[str, ...]:
    """The programs that draw, in the order in which they are tried: ``graphviz-pure`` beside this interpreter or on PATH, then ``dot``."""
    beside = shutil.which("graphviz-pure", path=str(Path(sys.executable).parent))
    programs = (beside or shutil.which("graphviz-pure"), shutil.which("dot"))
    return tuple(program for program in programs if program)


def _drawn(program: str, source: str) -> str | None:
    try:
        done = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


# ------------------------------------------------------------------------------------ the allowlist


def names(text: str) -> frozenset[str]:
    """Names that are written one after the other."""
    return frozenset(text.split())


_ELEMENTS = names("svg g a path polygon polyline rect circle ellipse line text tspan title desc")
_ATTRIBUTES = names(
    "class viewBox width height x y x1 y1 x2 y2 cx cy r rx ry d points transform fill stroke stroke-width "
    "stroke-dasharray paint-order stroke-linecap stroke-linejoin fill-opacity stroke-opacity opacity font-size font-weight "
    "text-anchor role"
)


def clean_svg(text: str) -> str | None:
    """An SVG that holds only shapes and text; None if it is not well-formed.

    No script, style, image, foreign content, event attribute or id passes, and no link but one to a place of
    the kit's own on the same page; a tooltip becomes a title.
    """
    text = re.sub(r"<!DOCTYPE\s+svg(\s+PUBLIC\s+\"[^\"<>\[\]]*\"\s+\"[^\"<>\[\]]*\")?\s*>", "", text, count=1)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return None
    if root.tag != f"{{{SVG}}}svg":
        return None
    parts: list[str] = []
    _write(root, parts, None)
    return "".join(parts).replace("<svg", f'<svg xmlns="{SVG}"', 1)


def _write(element, parts: list[str], tip: str | None) -> None:
    name = str(element.tag).rpartition("}")[2] if isinstance(element.tag, str) else ""
    link = None
    if name == "a":
        tip = element.get("{http://www.w3.org/1999/xlink}title")
        link = element.get("{http://www.w3.org/1999/xlink}href") or element.get("href") or ""
        link = link if re.fullmatch(r"#kit-[a-z0-9-]{1,60}", link) else None
        name = "a" if link else "g"
    if name not in _ELEMENTS or not str(element.tag).startswith(f"{{{SVG}}}"):
        return
    shown = [f' href="{link}"'] if link else []
    for key, value in element.attrib.items():
        if key in _ATTRIBUTES and not re.search(r"(?i)url\s*\(|javascript:|[<>]", value):
            shown.append(f' {key}="{escape(value, {chr(34): "&quot;"})}"')
    if name == "text":
        shown.append(f' font-family="{FONT}"')
    parts.append(f"<{name}{''.join(shown)}>")
    if tip and tip.strip():
        parts.append(f"<title>{escape(plain(tip, 400))}</title>")
    if name in ("text", "tspan", "title", "desc") and element.text:
        parts.append(escape(element.text))
    for child in element:
        # The drawing program's own titles are its node ids.
        if not (
            name == "g"
            and str(child.tag).endswith("}title")
            and re.fullmatch(r"n\d+|end|imports|cluster_\d+|.*->.*", child.text or "")
        ):
            _write(child, parts, None)
            if name == "text" and child.tail:
                parts.append(escape(child.tail))
    parts.append(f"</{name}>")
