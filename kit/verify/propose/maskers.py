"""What people do to be rid of the message: run on request, to show what it hides, and never proposed."""

import ast
from collections.abc import Iterator

from ...incident.source import parsed
from ...trace.chains import application_frames
from . import edits, edits_of_classes, edits_of_imports
from .failing_build import Broken, Candidate
from .statements import Module


def maskers(broken: Broken) -> list[Candidate]:
    """The known ones that can be written for this build: each changes the second definition, or what leads to it."""
    return [*_of_definition(broken), *_caught(broken)] if broken.pair is not None else []


def _of_definition(broken: Broken) -> Iterator[Candidate]:
    site, class_ = broken.pair[1].site, broken.pair[1].class_
    if class_:
        new = broken.edited(site.file, edits_of_classes.with_flag, site.line, "extend_existing")
    else:
        new = broken.edited(site.file, edits.add_argument, site.line, "Table", "extend_existing", "True")
    if new is not None:
        says = f"extend_existing=True at {site}, as the message advises: the second definition changes the table of the first."
        yield Candidate("extend-existing", says, {site.file: new})
    base = broken.edited(site.file, edits_of_classes.base_of, site.line) if class_ else None
    cleared = f"{base}.metadata.clear()"
    new = base and broken.edited(site.file, edits_of_classes.before_class, site.line, cleared)
    if new:
        says = f"{cleared} before {site}: the metadata forgets every table that was defined until then."
        yield Candidate("clear-metadata", says, {site.file: new})
    bare = base is not None and base.isidentifier()
    new = broken.edited(site.file, edits_of_classes.with_base, site.line, "OwnBase") if bare else None
    place = new and Module(new).at(site.line)
    if place:
        new = Module(new).inserted(place.number, "OwnBase = declarative_base()")
        new = edits_of_imports.add_import(new, "from sqlalchemy.orm import declarative_base")
        says = f"A base of its own for the class at {site}: its table is on a metadata that nothing else knows."
        yield Candidate("second-base", says, {site.file: new})


def _caught(broken: Broken) -> Iterator[Candidate]:
    """``try`` about the import that leads to the second definition."""
    frames = [f for f in application_frames(broken.pair[1].chain) if f.function == "<module>"]
    for frame in frames[-2::-1]:
        text = broken.sources.get(frame.file, "")
        imports = (node for node in parsed(text).body if isinstance(node, ast.Import | ast.ImportFrom))
        node = next((node for node in imports if node.lineno == frame.line), None)
        if node is None:
            continue
        lines = text.splitlines(keepends=True)
        begin, end = node.lineno - 1, node.end_lineno or node.lineno
        inner = "".join("    " + line for line in lines[begin:end])
        new = "".join([*lines[:begin], f"try:\n{inner}except Exception:\n    pass\n", *lines[end:]])
        says = f"try … except around the import at {frame}: the error is no longer seen, and what the module would have brought is missing."
        yield Candidate("caught", says, {frame.file: new})
        return
