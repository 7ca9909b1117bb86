"""A drawing as SVG text, made shape by shape; and the allowlist that a drawing of another program passes before it is shown.

The name of a module or table is data: it gets into a picture only as escaped, shortened text.
"""

import re
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from ..base.redact import redact

FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
LABEL = 60  # characters
SVG = "http://www.w3.org/2000/svg"
INK, GREY, FAINT, BLUE, RED = "#1f2328", "#57606a", "#d0d7de", "#0550ae", "#a32400"


class Sheet:
    """A drawing while it is made. ``kind`` is the class by which a theme colours a shape, ``size`` that of its letters."""

    def __init__(self, wide: int, high: int, size: int = 12) -> None:
        self.wide, self.high, self.size = wide, high, size
        self.parts = [f'<svg xmlns="{SVG}" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">']
        self.parts.append('<rect class="ground" width="100%" height="100%" fill="#ffffff"></rect>')

    def shape(self, name: str, kind: str, **attributes: object) -> None:
        self.parts.append(f'<{name} class="{kind}"{_written(attributes)}></{name}>')

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = FAINT, **more: object) -> None:
        self.shape("line", "grid", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **more)

    def write(
        self, x: float, y: float, text: str, kind: str = "label", anchor: str = "start", colour: str = INK, **more
    ) -> None:
        look = {"x": x, "y": y, "font_size": self.size, "text_anchor": anchor, "fill": colour, **more}
        self.parts.append(f'<text class="{kind}"{_written(look | {"font_family": FONT})}>{escape(text)}</text>')

    def __str__(self) -> str:
        return "".join([*self.parts, "</svg>"])


def _written(attributes: dict[str, object]) -> str:
    shown = ((name, f"{value:.1f}" if isinstance(value, float) else value) for name, value in attributes.items())
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in shown)


def plain(text: object, most: int = LABEL) -> str:
    """Text of the application in one line: no control or direction characters, cut in the middle if long."""
    odd = r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff]"
    line = re.sub(odd, "�", redact(str(text)))
    return line if len(line) <= most else f"{line[: most // 2]}…{line[1 - most + most // 2 :]}"


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
    _write(root, parts)
    return "".join(parts).replace("<svg", f'<svg xmlns="{SVG}"', 1)


def _write(element: ElementTree.Element, parts: list[str]) -> None:
    space, _, name = str(element.tag).rpartition("}")
    link = tip = None
    if name == "a":
        tip = element.get("{http://www.w3.org/1999/xlink}title")
        link = element.get("{http://www.w3.org/1999/xlink}href") or element.get("href") or ""
        link = link if re.fullmatch(r"#kit-[a-z0-9-]{1,60}", link) else None
        name = "a" if link else "g"
    if name not in _ELEMENTS or space != f"{{{SVG}":
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
        own_id = name == "g" and str(child.tag).endswith("}title")
        if own_id and re.fullmatch(r"n\d+|end|imports|cluster_\d+|.*->.*", child.text or ""):
            continue
        _write(child, parts)
        if name == "text" and child.tail:
            parts.append(escape(child.tail))
    parts.append(f"</{name}>")
