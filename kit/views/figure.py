"""A picture in a notebook and on the page: an image that stays, and a drawing that follows JupyterLab's theme."""

import base64
import re

from .live_style import LIVE_STYLE
from .markup import Content, Part, part


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
