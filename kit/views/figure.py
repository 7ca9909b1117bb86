"""A picture in a notebook and on the page: an image that stays, and a drawing that follows JupyterLab's theme."""

import base64
import re

from .markup import Content, Part, part

_LIGHT = "--kt:#1f2328;--ks:#57606a;--kl:#8c959f;--kb:#ffffff;--kr:#f6f8fa;--k1:#0550ae;--k1b:#ddf0ff;--k2:#a32400;--k2b:#ffe9e1;--kc:#6639ba"
_DARK = "--kt:#e6edf3;--ks:#a5aeb8;--kl:#8c959f;--kb:#161b22;--kr:#22272e;--k1:#79b8ff;--k1b:#0c2744;--k2:#ffa38b;--k2b:#3d1710;--kc:#c8a6ff"
# Class of a shape: its fill and its line. An arrow is an edge, a box a node; both are Graphviz's groups.
_SHAPES = """
.kit-live{display:block!important}.kit-live~figcaption{display:block}picture:has(+.kit-live){display:none}
.kit-live svg{max-width:100%;height:auto}
.kit-live .ground,.kit-live .graph>polygon{fill:none}
.kit-live text{fill:var(--kt)}.kit-live .axis{fill:var(--ks)}.kit-live text[paint-order]{stroke:none}
.kit-live .grid{stroke:var(--kl)}
.kit-live circle.first,.kit-live rect.first{fill:var(--k1)}.kit-live path.first{stroke:var(--k1)}.kit-live text.first{fill:var(--k1)}
.kit-live rect.second{fill:var(--k2)}.kit-live path.second{stroke:var(--k2);fill:none}.kit-live text.second{fill:var(--k2)}
.kit-live .node.root path{fill:var(--kt);stroke:var(--kt)}.kit-live .node.root text{fill:var(--kb)}
.kit-live .node.first path{fill:var(--k1b);stroke:var(--k1)}.kit-live .node.second path{fill:var(--k2b);stroke:var(--k2)}
.kit-live .node.both path{fill:var(--kb);stroke:var(--kt)}
.kit-live .node.group path{fill:var(--kr);stroke:var(--kl)}.kit-live .node.group text{fill:var(--ks)}
.kit-live .cluster path,.kit-live .cluster polygon{fill:none;stroke:var(--kc)}.kit-live .cluster text{fill:var(--kc)}
.kit-live .edge.cycle path,.kit-live .edge.cycle polygon{stroke:var(--kc)}
.kit-live .node.end polygon,.kit-live .node.end polyline{fill:var(--kb);stroke:var(--ks)}
.kit-live .edge.first path,.kit-live .edge.first polygon{stroke:var(--k1)}.kit-live .edge.first polygon{fill:var(--k1)}
.kit-live .edge.second path,.kit-live .edge.second polygon{stroke:var(--k2)}.kit-live .edge.second polygon{fill:var(--k2)}
.kit-live .edge.both path,.kit-live .edge.both polygon{stroke:var(--kt)}.kit-live .edge.both polygon{fill:var(--kt)}
.kit-live .edge path,.kit-live .edge.first path,.kit-live .edge.second path{fill:none}
"""
LIVE_STYLE = f".kit-live{{{_LIGHT}}}[data-jp-theme-light=false] .kit-live{{{_DARK}}}{_SHAPES}".replace("\n", "")


def figure(svg: str, alt: str, caption: Content, *, narrow: str | None = None) -> Part:
    """A picture with its text alternative; ``narrow`` is drawn instead on a small screen.

    The picture is included twice. In a trusted notebook JupyterLab shows the drawing, whose style sheet follows the
    theme; everywhere else only the image, which has its own background, is shown.
    """
    shown_caption, label = part(caption), part(alt)
    second = f'<source media="(max-width: 1000px)" srcset="{_data_uri(narrow)}">' if narrow else ""
    still = ' style="background-color:#ffffff;border-radius:6px;padding:6px;max-width:100%"'
    image = f'<img class="kit-picture" alt="{label.html}" src="{_data_uri(svg)}"{still}>'
    # JupyterLab rewrites every link, and cannot do so in a drawing.
    unlinked = re.sub(r"<a href=\"[^\"]*\">", "<g>", svg).replace("</a>", "</g>")
    drawn = unlinked.replace("<svg", f'<svg role="img" aria-label="{label.html}"', 1)
    live = f'<div class="kit-live" style="display:none"><style>{LIVE_STYLE}</style>{drawn}</div>'
    shown = f"<figure><picture>{second}{image}</picture>{live}<figcaption>{shown_caption.html}</figcaption></figure>"
    return Part(shown, f"[picture: {label.text}]\n{shown_caption.text}")


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
