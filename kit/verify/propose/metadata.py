"""What Alembic is given, and what it finds: tables on another metadata, or reflected before; revisions in its way."""

import ast
import posixpath
import re
from collections.abc import Iterator

from ...incident.source import assigned_name, nodes_at, parsed
from ...trace.values import Frame
from . import edits, edits_of_classes, edits_of_imports
from .failing_build import Broken, Candidate
from .imports import env_of
from .statements import Module


def one_metadata(broken: Broken) -> Iterator[Candidate]:
    """Tables on a metadata that Alembic is not given: make them on that which it is given, or give it both."""
    env = env_of(broken.sources)
    table = broken.fault.table if broken.fault else None
    registered = (r for r in broken.trace.registrations if broken.fault and r.table == table and r.application)
    site = next((registration.metadata.site for registration in registered), None)
    if env is None or site is None or not site.application:
        return
    text = broken.sources[env]
    name, handed = broken.edited(site.file, _bound_at, site.line), edits_of_classes.target_of(text)
    if not name or not handed:
        return
    module, base = broken.module_of(site.file), name.partition(".")[0]
    yield from _one_base(broken, env, handed, site, base)
    clash = re.search(rf"\b{base}\b", text) is not None
    bound = f"{base} as {module.rpartition('.')[0].rpartition('.')[2] or 'other'}_{base.lower()}" if clash else base
    second = bound.rpartition(" ")[2] + name[len(base) :]
    listed = handed[:-1] + f", {second}]" if handed.startswith("[") else f"[{handed}, {second}]"
    new = edits_of_classes.with_target(text, listed)
    new = new and edits_of_imports.add_import(new, f"from {module} import {bound}")
    if new:
        says = f"Give Alembic the metadata of {site} as well, in {env}: it then sees the tables on it."
        yield Candidate("both-metadata", says, {env: new})


def _one_base(broken: Broken, env: str, handed: str, site: Frame, base: str) -> Iterator[Candidate]:
    """A second base in place of the one that Alembic is given: import that one instead."""
    wanted, _, rest = handed.partition(".")
    asking = (node for node in ast.walk(parsed(broken.sources[env])) if isinstance(node, ast.ImportFrom))
    source = next((node.module for node in asking if wanted in {a.asname or a.name for a in node.names}), None)
    text = broken.sources.get(site.file, "")
    module = Module(text)
    place = module.at(site.line)
    simple = place is not None and place.movable and base in place.binds and "__tablename__" not in place.uses
    if broken.file_of(source) is None or not simple or source == broken.module_of(site.file) or rest != "metadata":
        return
    alias = wanted if wanted == base else f"{wanted} as {base}"
    new = module.replaced(place.number, f"from {source} import {alias}  # noqa: F401")
    says = f"Use {wanted} of {source} in {site.file} in place of its own base: all tables are then on the metadata that Alembic is given."
    yield Candidate("one-base", says, {site.file: edits_of_imports.without_unused_imports(new, text)})


def reflect_apart(broken: Broken) -> Iterator[Candidate]:
    """Tables that are read from the database before the models are declared: read them into a metadata of their own."""
    first, second = broken.pair
    reflected = first if first.outcome == "reflected" else second
    for frame in [frame for frame in reversed(reflected.chain) if frame.application]:
        new = broken.edited(frame.file, edits_of_classes.reflect_apart, frame.line)
        if new:
            says = f"Reflect the tables in {frame} into a separate metadata: the tables of the application are then not defined before it declares them."
            yield Candidate("reflect-apart", says, {frame.file: new})
            return


def _bound_at(text: str, line: int) -> str | None:
    """What the statement at a line binds, as an expression for its metadata."""
    node = next(iter(nodes_at(parsed(text), line, ast.stmt)), None)
    if isinstance(node, ast.ClassDef):
        return f"{node.name}.metadata"
    name = assigned_name(node)
    return name and (name if "MetaData(" in ast.unparse(node.value) else f"{name}.metadata")


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
    new = Module(text).replaced(statement.number, f"{name} = {expression}")
    base = expression.partition(".")[0]
    new = edits_of_imports.add_import(new, f"from {broken.module_of(asked.file)} import {base}")
    if new:
        says = f"Let {name} of {other} be {expression} of {asked}: names are looked up there, and its tables are then there too. Only you know whether they were kept apart on purpose."
        yield Candidate("one-metadata", says, {other.file: edits_of_imports.without_unused_imports(new, text)})


# ------------------------------------------------------------------------------------ revisions


def merge_heads(broken: Broken) -> Iterator[Candidate]:
    """Several heads: a merge revision."""
    places = [place for place in broken.sites("head") if place.name]
    ids = [place.name for place in places]
    if len(ids) < 2:
        return
    merge_id = "merge_" + "_".join(re.sub(r"\W", "", id_)[:6] for id_ in ids)
    text = (
        f'"""Merge {" and ".join(ids)}."""\n\nrevision = "{merge_id[:32]}"\ndown_revision = ({", ".join(map(repr, ids))})\n'
        "branch_labels = None\ndepends_on = None\n\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
    )
    says = (
        f"Merge the heads {', '.join(ids)} in a new revision, as `alembic merge heads` does: there is one head again."
    )
    yield Candidate("merge-heads", says, {posixpath.join(posixpath.dirname(places[0].file), f"{merge_id}.py"): text})


def migrations_alone(broken: Broken) -> Iterator[Candidate]:
    """Something beside the migrations makes tables that a revision creates: leave that to the revision."""
    for place in broken.sites("creates it"):
        text = broken.sources.get(place.file, "")
        line = "".join(text.splitlines()[place.line - 1 : place.line]).strip()
        new = edits.remove_statement(text, place.line) if "create" in line else None
        if new:
            says = (
                f"Remove {line} from {place}: the revision creates the table. "
                "For a database that already has the table, run `alembic stamp` once."
            )
            yield Candidate("migrations-alone", says, {place.file: edits_of_imports.without_unused_imports(new, text)})
