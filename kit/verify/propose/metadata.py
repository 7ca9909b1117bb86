"""What Alembic is given, and what it finds: tables on another metadata, or reflected before; revisions in its way."""

import ast
import posixpath
import re
from collections.abc import Iterator

from ...incident.source import assigned_name, nodes_at, parsed
from ...trace.values import Frame
from . import edits, edits_of_classes
from .failing_build import Broken, Candidate, first
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
    name, handed = broken.edited(site.file, _bound_at, site.line), edits_of_classes.target_of(broken.sources[env])
    if not name or not handed:
        return
    module, base = broken.module_of(site.file), name.partition(".")[0]
    yield from _one_base(broken, env, handed, site, base)
    clash = re.search(rf"\b{base}\b", broken.sources[env]) is not None
    bound = f"{base} as {module.rpartition('.')[0].rpartition('.')[2] or 'other'}_{base.lower()}" if clash else base
    second = bound.rpartition(" ")[2] + name[len(base) :]
    listed = handed[:-1] + f", {second}]" if handed.startswith("[") else f"[{handed}, {second}]"
    says = f"Give Alembic the metadata of {site} as well, in {env}: it then sees the tables on it."
    needed = [f"from {module} import {bound}"]
    yield from broken.change("both-metadata", says, env, edits_of_classes.with_target, listed, imports=needed)


def _one_base(broken: Broken, env: str, handed: str, site: Frame, base: str) -> Iterator[Candidate]:
    """A second base in place of the one that Alembic is given: import that one instead."""
    wanted, _, rest = handed.partition(".")
    asking = (node for node in ast.walk(parsed(broken.sources[env])) if isinstance(node, ast.ImportFrom))
    source = next((node.module for node in asking if wanted in {a.asname or a.name for a in node.names}), None)
    place = Module(broken.sources.get(site.file, "")).at(site.line)
    simple = place is not None and place.movable and base in place.binds and "__tablename__" not in place.uses
    if broken.file_of(source) is None or not simple or source == broken.module_of(site.file) or rest != "metadata":
        return
    alias = wanted if wanted == base else f"{wanted} as {base}"
    says = f"Use {wanted} of {source} in {site.file} in place of its own base: all tables are then on the metadata that Alembic is given."
    asking = f"from {source} import {alias}  # noqa: F401"
    yield from broken.change("one-base", says, site.file, edits.replace_at, site.line, asking)


def reflect_apart(broken: Broken) -> Iterator[Candidate]:
    """Tables that are read from the database before the models are declared: read them into a metadata of their own."""
    reflected = min(broken.both, key=lambda registration: registration.outcome != "reflected")
    says = "Reflect the tables in {} into a separate metadata: the tables of the application are then not defined before it declares them.".format
    frames = [frame for frame in reversed(reflected.chain) if frame.application]
    apart = edits_of_classes.reflect_apart
    yield from first(broken.change("reflect-apart", says(it), it.file, apart, it.line) for it in frames)


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
    expression, name = (_bound_at(broken.sources[place.file], place.line) for place in places)
    if not expression or not name or "." in name or asked.file == other.file:
        return
    says = f"Let {name} of {other} be {expression} of {asked}: names are looked up there, and its tables are then there too. Only you know whether they were kept apart on purpose."
    needed = [f"from {broken.module_of(asked.file)} import {expression.partition('.')[0]}"]
    bound = (edits.replace_at, other.line, f"{name} = {expression}")
    yield from broken.change("one-metadata", says, other.file, *bound, imports=needed)


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
    says = f"Merge the heads {', '.join(ids)} in a new revision, as `alembic merge heads` does: there is one head then."
    yield Candidate("merge-heads", says, {posixpath.join(posixpath.dirname(places[0].file), f"{merge_id}.py"): text})


def migrations_alone(broken: Broken) -> Iterator[Candidate]:
    """Something beside the migrations makes tables that a revision creates: leave that to the revision."""
    for place in broken.sites("creates it"):
        line = "".join(broken.sources.get(place.file, "").splitlines()[place.line - 1 : place.line]).strip()
        says = (
            f"Remove {line} from {place}: the revision creates the table. "
            "For a database that already has the table, run `alembic stamp` once."
        )
        if "create" in line:
            yield from broken.change("migrations-alone", says, place.file, edits.remove_statement, place.line)
