"""An executed notebook as one HTML file: readable offline, on a phone, printed, and safe to open.

The page has no script and loads nothing; its Content-Security-Policy forbids both. What the notebook's
outputs hold passes an allowlist (:mod:`kit.clean`). The same notebook gives the same bytes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from ..base.redact import safe
from .clean import Dresser, clean_output, clean_prose, with_anchors

TEMPLATE = Path(__file__).with_name("template")
_BROKEN_TAGS = ("papermill-error-cell-tag",)


@dataclass
class Cell:
    """What the template shows of one cell; everything in it is clean HTML."""

    kind: str  # prose or code
    html: str = ""
    label: str = ""
    outputs: list[str] = field(default_factory=list)


@dataclass
class Page:
    """What the template shows."""

    title: str
    kind: str = ""
    verdict: str = ""
    trouble: str = ""
    contents: list[tuple[str, str]] = field(default_factory=list)  # (id, text)
    cells: list[Cell] = field(default_factory=list)


def render(notebook: Any, *, title: str) -> str:
    """The page of an executed notebook (an ``nbformat`` node, version 4), as text."""
    return fill("index.html.j2", page=read_page(notebook, title=title))


def fill(template: str, **values: Any) -> str:
    """A template of ``kit/template`` with its values; text in them is escaped, but for what the template says is HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATE), autoescape=True, undefined=StrictUndefined)
    environment.keep_trailing_newline = True
    return environment.get_template(template).render(values)


def read_page(notebook: Any, *, title: str) -> Page:
    """What the page shows of a notebook: prose, folded code, outputs; the verdict taken to the top."""
    page = Page(title=safe(title))
    dress, taken = Dresser(), {"contents": 1}
    number = 0
    injected = any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)

    def heading(level: int, name: str, text: str) -> None:
        if level == 2:
            page.contents.append((name, text))

    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and not any(tag in tags for tag in _BROKEN_TAGS):
            source = cell.source
            first = re.match(r"\s*#\s+(.+)\n*", source)
            if first and not page.kind:
                page.kind, source = safe(first.group(1).strip()), source[first.end() :]
            page.cells.append(Cell("prose", with_anchors(dress(clean_prose(_markdown(source))), taken, heading)))
        elif cell.cell_type == "code":
            number += 1
            if injected and "parameters" in tags:
                continue  # another incident's, which this run replaced
            shown = Cell("code", _highlighted(cell.source), _label(tags, number))
            for output in cell.get("outputs", []):
                place = output.get("metadata", {}).get("kit")
                html = "" if place == "progress" else dress(_output(output, number))
                if place == "verdict" and not page.verdict:
                    page.verdict = html
                elif html:
                    shown.outputs.append(html)
            page.cells.append(shown)
    page.trouble = _trouble(notebook)
    return page


def _label(tags: list[str], number: int) -> str:
    if "injected-parameters" in tags:
        return f"Parameters of this run, cell {number}"
    return f"Parameters, cell {number}" if "parameters" in tags else f"Code of cell {number}"


def _trouble(notebook: Any) -> str:
    """What a reader must know of a notebook that did not come to its end."""
    number = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        number += 1
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"This notebook did not come to its end: cell {number} failed with {safe(output.ename)}. What follows is incomplete."
        if (
            cell.source.strip()
            and cell.get("execution_count") is None
            and cell.metadata.get("papermill", {}).get("status") != "completed"
        ):
            return f"This notebook was not run to its end: cell {number} has not been executed. What follows is incomplete."
    return ""


def _output(output: Any, number: int) -> str:
    """One output as clean HTML."""
    if output.output_type == "stream":
        name = "Printed" if output.name == "stdout" else "Printed to the error stream"
        return f'<p class="said">{name}:</p><pre>{escape(safe(output.text))}</pre>'
    if output.output_type == "error":
        trace = safe("\n".join(output.traceback))
        head = escape(safe(f"{output.ename}: {output.evalue}"))
        return (
            f'<p class="kit-head kit-bad"><strong>Error: {head}</strong></p>'
            f"<details><summary>Traceback of cell {number}</summary><pre>{escape(trace)}</pre></details>"
        )
    data = output.get("data", {})
    if "text/html" in data:
        return clean_output(_text(data["text/html"]))
    if "text/markdown" in data:
        return clean_output(_markdown(_text(data["text/markdown"])))
    for kind in ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp"):
        if kind in data:
            return clean_output(_image(kind, _text(data[kind]), number))
    if "text/plain" in data:
        return f"<pre>{escape(safe(_text(data['text/plain'])))}</pre>"
    return (
        f'<p class="said">An output of cell {number} that this page cannot show: {escape(", ".join(sorted(data)))}.</p>'
        if data
        else ""
    )


def _image(kind: str, content: str, number: int) -> str:
    from base64 import b64encode

    if kind == "image/svg+xml":
        content = b64encode(content.encode()).decode()
    return f'<figure><img alt="Picture of cell {number}" src="data:{kind};base64,{"".join(content.split())}"></figure>'


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def _markdown(source: str) -> str:
    return _reader_of_markdown()(source)


@cache
def _reader_of_markdown() -> Callable[[str], str]:
    from mistune import HTMLRenderer, create_markdown
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    class Renderer(HTMLRenderer):
        """As mistune writes it, with code in the colours of the language that its fence names."""

        def block_code(self, code: str, info: str | None = None) -> str:
            try:
                lexer = get_lexer_by_name(*((info or "").split()[:1] or ["text"]))
            except ClassNotFound:
                return super().block_code(code)
            return f"<pre><code>{_coloured(code, lexer)}</code></pre>\n"

    plugins = ["strikethrough", "table", "url", "task_lists", "def_list"]  # those that JupyterLab reads, too
    return create_markdown(renderer=Renderer(escape=False), plugins=plugins)


def _highlighted(source: str) -> str:
    from pygments.lexers import PythonLexer

    return _coloured(source, PythonLexer()).rstrip("\n")


def _coloured(code: str, lexer: Any) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    return highlight(code, lexer, HtmlFormatter(nowrap=True))
