"""What people do to be rid of the message: run on request, to show what it hides, and never proposed."""

import ast
from collections.abc import Iterator

from ...incident.source import parsed
from ...trace.values import application_frames
from . import edits, edits_of_classes
from .broken import Broken, Candidate
from .statements import Module


def maskers(broken: Broken) -> list[Candidate]:
    """The known ones that can be written for this build: each changes the second definition, or what leads to it."""
    if broken.pair is None:
        return []
    return [candidate for writer in (_extend, _clear, _own_base, _caught) for candidate in writer(broken)]


def _extend(broken: Broken) -> Iterator[Candidate]:
    site, class_ = broken.pair[1].site, broken.pair[1].class_
    text = broken.sources.get(site.file)
    if text is None:
        return
    new = (
        edits_of_classes.with_flag(text, site.line, "extend_existing")
        if class_
        else edits.add_argument(text, site.line, "Table", "extend_existing", "True")
    )
    if new is not None:
        says = f"extend_existing=True at {site}, as the message advises: the second definition changes the table of the first."
        yield Candidate("extend-existing", says, {site.file: new})


def _clear(broken: Broken) -> Iterator[Candidate]:
    site, class_ = broken.pair[1].site, broken.pair[1].class_
    text = broken.sources.get(site.file)
    base = text and edits_of_classes.base_of(text, site.line) if class_ else None
    new = base and edits_of_classes.before_class(text, site.line, f"{base}.metadata.clear()")
    if new:
        says = f"{base}.metadata.clear() before {site}: the metadata forgets every table that was defined until then."
        yield Candidate("clear-metadata", says, {site.file: new})


def _own_base(broken: Broken) -> Iterator[Candidate]:
    site, class_ = broken.pair[1].site, broken.pair[1].class_
    text = broken.sources.get(site.file)
    base = text and edits_of_classes.base_of(text, site.line) if class_ else None
    if not base or not base.isidentifier():
        return
    new = edits_of_classes.with_base(text, site.line, "OwnBase")
    place = new and Module(text).at(site.line)
    if place:
        new = edits_of_classes.before_statement(new, place.number, "OwnBase = declarative_base()")
        new = edits_of_classes.with_name_of(new, "sqlalchemy.orm", "declarative_base")
        says = f"A base of its own for the class at {site}: its table is on a metadata that nothing else knows."
        yield Candidate("second-base", says, {site.file: new})


def _caught(broken: Broken) -> Iterator[Candidate]:
    """``try`` about the import that leads to the second definition."""
    frames = [f for f in application_frames(broken.pair[1].chain) if f.function == "<module>"]
    for frame in frames[-2::-1]:
        text = broken.sources.get(frame.file)
        nodes = [
            n for n in parsed(text or "").body if isinstance(n, ast.Import | ast.ImportFrom) and n.lineno == frame.line
        ]
        if not nodes:
            continue
        lines = text.splitlines(keepends=True)
        end = nodes[0].end_lineno or nodes[0].lineno
        inner = "".join("    " + line for line in lines[nodes[0].lineno - 1 : end])
        new = (
            "".join(lines[: nodes[0].lineno - 1]) + f"try:\n{inner}except Exception:\n    pass\n" + "".join(lines[end:])
        )
        says = f"try … except about the import at {frame}: the error is not seen any more, nor what the module would have brought."
        yield Candidate("caught", says, {frame.file: new})
        return
