"""A picture in a notebook and on the page: an image that stays, and a drawing that follows JupyterLab's theme."""

import base64
import re

from .markup import Content, Part, part

# What stands for each colour of a drawing on JupyterLab's dark theme; on the light one it is itself.
_DARK = {
    "1f2328": "e6edf3", "24292f": "e6edf3", "57606a": "a5aeb8", "8c959f": "8c959f", "d0d7de": "8c959f", "ffffff": "161b22", "f6f8fa": "22272e",
    "0550ae": "79b8ff", "ddf0ff": "0c2744", "a32400": "ffa38b", "ffe9e1": "3d1710", "6639ba": "c8a6ff",
}  # fmt: skip
_ON_LIGHT, _ON_DARK = (
    "".join(f"--k{light}:#{on[light]};" for light in _DARK) for on in (dict(zip(_DARK, _DARK, strict=True)), _DARK)
)
LIVE_STYLE = (
    f".kit-live{{{_ON_LIGHT}}}[data-jp-theme-light=false] .kit-live{{{_ON_DARK}}}"
    ".kit-live{display:block!important}.kit-live~figcaption{display:block}picture:has(+.kit-live){display:none}"
    ".kit-live svg{max-width:100%;height:auto}.kit-live .ground,.kit-live .graph>polygon{fill:none}"
)


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
    themed = re.sub(rf"#({'|'.join(_DARK)})\b", r"var(--k\1)", unlinked)
    drawn = themed.replace("<svg", f'<svg role="img" aria-label="{label.html}"', 1)
    live = f'<div class="kit-live" style="display:none"><style>{LIVE_STYLE}</style>{drawn}</div>'
    shown = f"<figure><picture>{second}{image}</picture>{live}<figcaption>{shown_caption.html}</figcaption></figure>"
    return Part(shown, f"[picture: {label.text}]\n{shown_caption.text}")


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
