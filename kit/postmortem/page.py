"""An executed notebook as one HTML file: readable offline, on a phone, printed, and safe to open.

The page has no script and loads nothing; its Content-Security-Policy forbids both. What the notebook's
outputs hold passes an allowlist (:mod:`kit.postmortem.clean`). The same notebook gives the same bytes.
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
_BROKEN_TAG = "papermill-error-cell-tag"


_HEADING = re.compile(r"(?m)^(?=#{2,3} )")
_LEFT_OUT = ("progress", "absent", "lab")  # places of outputs that are for the notebook alone


@dataclass
class Section:
    """The content below one heading; everything in it is clean HTML."""

    html: list[str] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)  # (level, id, text)
    shows: bool = False  # an output that the page shows
    empty: bool = False  # an output that it does not

    @property
    def kept(self) -> bool:
        """Is the section shown? One whose outputs are all absent is not."""
        return self.shows or not self.empty


@dataclass
class Page:
    """What the template shows."""

    title: str
    kind: str = ""
    verdict: str = ""
    trouble: str = ""
    contents: list[tuple[str, str]] = field(default_factory=list)  # (id, text)
    sections: list[list[str]] = field(default_factory=list)
    code: list[tuple[str, str]] = field(default_factory=list)  # (label, HTML), of every code cell


def render(notebook: Any, *, title: str) -> str:
    """The page of an executed notebook (an ``nbformat`` node, version 4), as text."""
    return fill("index.html.j2", page=read_page(notebook, title=title))


def fill(template: str, **values: Any) -> str:
    """A template of ``kit/template``, filled with values; text in them is escaped, except where the template marks HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATE), autoescape=True, undefined=StrictUndefined)
    environment.keep_trailing_newline = True
    return environment.get_template(template).render(values)


def read_page(notebook: Any, *, title: str) -> Page:
    """What the page shows of a notebook: prose and outputs by section, the verdict taken to the top, the code to the end."""
    page = Page(title=safe(title))
    reading = _Reading(page)
    injected = any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and _BROKEN_TAG not in tags:
            reading.prose(cell.source, shown="lab" not in tags)
        elif cell.cell_type == "code":
            # Another incident's parameters, which this run replaced, are not shown.
            reading.code(cell, tags, shown=not (injected and "parameters" in tags))
    kept = [section for section in reading.sections if section.kept]
    page.sections = [section.html for section in kept]
    page.contents = _contents(kept)
    page.trouble = _trouble(notebook)
    return page


def _contents(sections: list[Section]) -> list[tuple[str, str]]:
    """The table of contents: every heading that has no other heading below it."""
    headings = [heading for section in sections for heading in section.headings]
    below = [*headings[1:], (2, "", "")]
    pairs = ((heading, following[0]) for heading, following in zip(headings, below, strict=False))
    return [(name, text) for (level, name, text), then in pairs if level <= 3 and not (level == 2 and then == 3)]


class _Reading:
    """Takes the cells of a notebook one after the other, and fills the sections of its page."""

    def __init__(self, page: Page):
        self.page = page
        self.sections = [Section()]
        self.dress, self.taken = Dresser(), {"contents": 1}
        self.number = 0

    def prose(self, source: str, *, shown: bool) -> None:
        """A markdown cell; the first heading of the notebook says what kind of page it is."""
        first = re.match(r"\s*#\s+(.+)\n*", source)
        if first and not self.page.kind:
            self.page.kind, source = safe(first.group(1).strip()), source[first.end() :]
        if not shown:
            return
        for number, piece in enumerate(_HEADING.split(source)):
            if number or _HEADING.match(piece):
                self.sections.append(Section())
            section = self.sections[-1]
            cleaned = self.dress(clean_prose(_reader_of_markdown()(piece)))
            html = with_anchors(cleaned, self.taken, lambda *heading: self.sections[-1].headings.append(heading))
            if html.strip():
                section.html.append(f'<div class="prose">\n{html}</div>')

    def code(self, cell: Any, tags: list[str], *, shown: bool) -> None:
        """A code cell: its outputs go into the section, and its code goes to the end of the page."""
        self.number += 1
        section = self.sections[-1]
        for output in cell.get("outputs", []):
            place = output.get("metadata", {}).get("kit")
            html = "" if place in _LEFT_OUT else self.dress(_output(output, self.number))
            if place == "verdict" and not self.page.verdict:
                self.page.verdict, html = html, ""
            if html:
                section.html.append(f'<div class="output">{html}</div>')
            section.shows, section.empty = section.shows or bool(html), section.empty or not html
        if shown and cell.source.strip():
            of_run = " of this run" if "injected-parameters" in tags else ""
            label = f"Cell {self.number}" + (f", parameters{of_run}" if of_run or "parameters" in tags else "")
            self.page.code.append((label, _highlighted(cell.source)))


def _trouble(notebook: Any) -> str:
    """The note on a notebook that did not run to its end."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, 1):
        status = cell.metadata.get("papermill", {}).get("status")
        error = next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)
        if error or status == "failed":
            why = f"failed with {safe(error.ename)}" if error else "was running when its kernel ended"
            return f"This notebook did not finish: cell {number} {why}. What follows is incomplete."
        if cell.source.strip() and cell.get("execution_count") is None and status != "completed":
            return f"This notebook did not finish: cell {number} has not been executed. What follows is incomplete."
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
    if "text/plain" in data:
        return f"<pre>{escape(safe(_text(data['text/plain'])))}</pre>"
    kinds = escape(", ".join(sorted(data)))
    return f'<p class="said">An output of cell {number} that this page cannot show: {kinds}.</p>' if data else ""


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


@cache
def _reader_of_markdown() -> Callable[[str], str]:
    from mistune import create_markdown

    # Those that JupyterLab reads, too; what is active in a text is taken out by the cleaning.
    return create_markdown(escape=False, plugins=["strikethrough", "table", "url", "task_lists", "def_list"])


def _highlighted(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")
