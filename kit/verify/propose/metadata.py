"""Tables on a metadata that Alembic does not see, or that somebody reflected before."""

import ast
import re
from collections.abc import Iterator

from ...incident.source import parsed
from ...trace.values import Frame
from . import edits, edits_of_classes, edits_of_metadata
from .broken import Broken, Candidate
from .imports import env_of
from .statements import Module


def one_metadata(broken: Broken) -> Iterator[Candidate]:
    """Tables on a metadata that Alembic is not given: make them on that which it is given, or give it both."""
    env = env_of(broken.sources)
    registration = next(
        (r for r in broken.trace.registrations if broken.fault and r.table == broken.fault.table and r.application),
        None,
    )
    site = registration.metadata.site if registration is not None else None
    if env is None or site is None or not site.application:
        return
    name = _bound_at(broken.sources.get(site.file, ""), site.line)
    text = broken.sources[env]
    handed = edits_of_metadata.target_of(text)
    if not name or not handed:
        return
    module = broken.module_of(site.file)
    base = name.partition(".")[0]
    yield from _one_base(broken, env, handed, site, base)
    clash = re.search(rf"\b{base}\b", text) is not None
    bound = f"{base} as {module.rpartition('.')[0].rpartition('.')[2] or 'other'}_{base.lower()}" if clash else base
    second = bound.rpartition(" ")[2] + name[len(base) :]
    listed = handed[:-1] + f", {second}]" if handed.startswith("[") else f"[{handed}, {second}]"
    new = edits_of_metadata.with_target(text, listed)
    statement = f"from {module} import {bound}"
    new = new and edits.add_import(new, statement, after=lambda asked: asked.split(".")[0] == module.split(".")[0])
    if new:
        says = f"Give Alembic the metadata of {site} as well, in {env}: it then sees the tables on it."
        yield Candidate("both-metadata", says, {env: new})


def _one_base(broken: Broken, env: str, handed: str, site: Frame, base: str) -> Iterator[Candidate]:
    """A second base in place of the one that Alembic is given: import that one instead."""
    wanted = handed.partition(".")[0]
    tree = parsed(broken.sources[env])
    source = next(
        (
            n.module
            for n in ast.walk(tree)
            if isinstance(n, ast.ImportFrom) and wanted in {a.asname or a.name for a in n.names}
        ),
        None,
    )
    text = broken.sources.get(site.file, "")
    place = next(
        (statement for statement in Module(text).statements if statement.first <= site.line <= statement.last), None
    )
    of_application = broken.file_of(source) is not None
    simple = place is not None and place.movable and base in place.binds and not (place.uses & {"__tablename__"})
    if (
        not of_application
        or not simple
        or source == broken.module_of(site.file)
        or handed.partition(".")[2] != "metadata"
    ):
        return
    alias = wanted if wanted == base else f"{wanted} as {base}"
    new = edits_of_metadata.statement_instead(text, place.number, f"from {source} import {alias}  # noqa: F401")
    if new is not None:
        says = f"Take {wanted} of {source} in {site.file} in place of a base of its own: all tables are then on the metadata that Alembic is given."
        yield Candidate("one-base", says, {site.file: edits_of_classes.without_unused_imports(new, text)})


def reflect_apart(broken: Broken) -> Iterator[Candidate]:
    """Tables that are read from the database before the models are declared: read them into a metadata of their own."""
    first, second = broken.pair
    reflected = first if first.outcome == "reflected" else second
    for frame in reversed(reflected.chain):
        text = broken.sources.get(frame.file) if frame.application else None
        new = text and edits_of_metadata.reflect_apart(text, frame.line)
        if new:
            says = f"Read the tables in {frame} into a metadata of their own: those that the application declares are then not there before it does."
            yield Candidate("reflect-apart", says, {frame.file: new})
            return


def _bound_at(text: str, line: int) -> str | None:
    """What the statement at a line binds, as an expression for its metadata."""
    for node in parsed(text).body:
        if not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if isinstance(node, ast.ClassDef):
            return f"{node.name}.metadata"
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name):
            made = ast.unparse(node.value)
            return target.id if "MetaData(" in made else f"{target.id}.metadata"
    return None


def on_one_metadata(broken: Broken) -> Iterator[Candidate]:
    """A name that is looked up on one metadata and stands on another: have both tables on the one that is looked at."""
    places = [place for place in broken.sites("metadata") if place.file in broken.sources]
    if len(places) != 2:
        return
    asked, other = places
    text = broken.sources[other.file]
    expression, name = _bound_at(broken.sources[asked.file], asked.line), _bound_at(text, other.line)
    statement = Module(text).at(other.line)
    if not expression or not name or "." in name or statement is None or asked.file == other.file:
        return
    module, base = broken.module_of(asked.file), expression.partition(".")[0]
    new = edits_of_metadata.statement_instead(text, statement.number, f"{name} = {expression}")
    new = new and edits.add_import(new, f"from {module} import {base}")
    if new:
        says = f"Have {name} of {other} be {expression} of {asked}: names are looked up on that one, and its tables are then on it. Whether they were kept apart on purpose is for you to say."
        yield Candidate("one-metadata", says, {other.file: edits_of_classes.without_unused_imports(new, text)})
