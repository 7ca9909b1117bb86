"""Takes everything active out of HTML and markdown that an executed notebook carries.

An allowlist, not a list of what is bad: tags and attributes that are not named here do not pass. The
cleaning itself is that of ``nh3`` (ammonia), which parses as browsers do.
"""

import base64
import binascii
import re
from collections.abc import Callable
from html import escape, unescape

import nh3

from ..views.svg import clean_svg, names

_TAGS = names(
    "a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure hr i img "
    "ins kbd li mark ol p picture pre q s samp small source span strong sub summary sup table tbody td tfoot "
    "th thead tr u ul var wbr"
)
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_WITH_CONTENT = names(
    "script style iframe object embed applet template noscript noframes title textarea select svg math audio "
    "video canvas"
)
_ATTRIBUTES = {
    "*": {"class", "id"},
    "a": {"href"},
    "abbr": {"title"},
    "details": {"open", "name"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "source": {"media", "srcset"},
    "table": {"role"},
    "tbody": {"role"},
    "td": {"colspan", "rowspan", "role", "data-label"},
    "th": {"colspan", "rowspan", "scope", "role"},
    "thead": {"role"},
    "tr": {"role"},
}
_VALUES = {
    "href": r"#[A-Za-z0-9_-]{1,80}",
    "id": r"kit-[a-z0-9-]{1,60}",
    "src": r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+",
    "srcset": r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+",
    "media": r"\(max-width: \d{2,4}px\)",
    "name": r"kit-[a-z-]{1,40}",
    "open": r"(open)?",
    "role": r"table|rowgroup|row|columnheader|rowheader|cell",
    "data-label": r".{1,160}",
    "scope": r"row|col|rowgroup|colgroup",
    "start": r"\d{1,6}",
    "colspan": r"\d{1,3}",
    "rowspan": r"\d{1,4}",
}


_SMALLEST = 0.62  # of its own size a drawing's text can still be read
_ROOM = 1140  # pixels that the page has for a drawing on a screen of 1280


def _kept(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(re.findall(r"(?<!\S)(?:kit(?:-[a-z]+)*|dataframe)(?!\S)", value)) or None
    pattern = _VALUES.get(name)
    return value if pattern is None or re.fullmatch(pattern, value) else None


def _cleaner(tags: frozenset[str]) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(tags),
        attributes=_ATTRIBUTES,
        attribute_filter=_kept,
        clean_content_tags=set(_WITH_CONTENT),
        url_schemes={"data"},
        link_rel=None,
        strip_comments=True,
    )


_OUTPUT = _cleaner(_TAGS)
_PROSE = _cleaner(_TAGS | _HEADINGS)


def clean_prose(html: str) -> str:
    """HTML of a markdown cell: as :func:`clean_output`, with headings."""
    return _PROSE.clean(html)


def clean_output(html: str) -> str:
    """Clean HTML of an output: no script, style, frame, form or event attribute, no address outside the page, no id but the kit's.

    Headings become plain text: they belong to the page's own outline.
    """
    return _OUTPUT.clean(re.sub(r"<(/?)h[1-6]\b[^>]*>", r"<\1p>", html))


class Dresser:
    """Gives cleaned HTML what the page needs: scroll boxes with names of their own, and pictures in place.

    One object per page, so that no name occurs twice.
    """

    def __init__(self):
        self.names: dict[str, int] = {}

    def __call__(self, html: str) -> str:
        html = re.sub(r"<th([^>]*)>\s*</th>", "<td></td>", html)
        html = re.sub(r"<table[^>]*>(?:\s*<caption>(.*?)</caption>)?", self._table, html, flags=re.S)
        html = html.replace("</table>", "</table></div>")
        return re.sub(r"<picture>(.*?)</picture>", self._picture, html, flags=re.S)

    def _box(self, kind: str, label: str) -> str:
        label = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", label))).strip()[:100]
        count = self.names[label] = self.names.get(label, 0) + 1
        label += f", {count}" if count > 1 else ""
        return f'<div class="scroll {kind}" role="region" tabindex="0" aria-label="{escape(label)}">'

    def _table(self, match: re.Match) -> str:
        return self._box("table", f"Table: {match.group(1)}" if match.group(1) else "Table") + match.group(0)

    def _picture(self, match: re.Match) -> str:
        alt = re.search(r'\balt="([^"]*)"', match.group(1))
        wide = _drawing(r'\bsrc="([^"]*)"', match.group(1))
        narrow = _drawing(r'\bsrcset="([^"]*)"', match.group(1))
        if wide is None:
            return re.sub(r"<source[^>]*>", "", match.group(1))
        if narrow is not None and _width(wide) * _SMALLEST > _ROOM:
            wide, narrow = narrow, None  # its end would have to be scrolled to, and that is what the picture is about
        caption = alt.group(1) if alt else ""
        shown = ""
        for kind, drawing in (("wide" if narrow else "any", wide), ("narrow", narrow)):
            if drawing is not None:
                inline = drawing.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)
                role = "group" if " href=" in inline else "img"
                inline = inline.replace("<svg", f'<svg role="{role}" aria-label="{caption}"{_readable(inline)}', 1)
                shown += self._box(f"drawing {kind}", f"Picture: {caption.partition('.')[0]}") + inline + "</div>"
        return shown


def _readable(drawing: str) -> str:
    """The largest width of a drawing, and the smallest at which its text can be read."""
    wide = _width(drawing)
    return f' style="width:{wide:.0f}px;min-width:{wide * _SMALLEST:.0f}px"' if wide else ""


def _width(drawing: str) -> float:
    """The width of a drawing in pixels; 0 where it states none."""
    size = re.search(r'<svg[^>]*\swidth="(\d+)(?:\.\d+)?(pt)?"', drawing)
    return int(size[1]) * (4 / 3 if size[2] else 1) if size else 0


def _drawing(pattern: str, html: str) -> str | None:
    """The SVG of a data address, cleaned by its own allowlist."""
    address = re.search(pattern, html)
    head = "data:image/svg+xml;base64,"
    if address is None or not address.group(1).startswith(head):
        return None
    try:
        text = base64.b64decode(address.group(1)[len(head) :], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return clean_svg(text)


def with_anchors(html: str, taken: dict[str, int], seen: Callable[[int, str, str], None]) -> str:
    """Cleaned prose whose headings have an id and a link to themselves; ``seen(level, id, text)`` is called for each."""

    def anchored(heading: re.Match) -> str:
        level = max(2, int(heading.group(1)))
        text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", heading.group(2)))).strip()
        name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "section"
        taken[name] = taken.get(name, 0) + 1
        name += f"-{taken[name]}" if taken[name] > 1 else ""
        seen(level, name, text)
        link = f'<a class="permalink" href="#{name}" aria-label="Link to: {escape(text)}">#</a>'
        return f'<h{level} id="{name}">{heading.group(2)} {link}</h{level}>'

    return re.sub(r"<h([1-6])>(.*?)</h\1>", anchored, html, flags=re.S)
