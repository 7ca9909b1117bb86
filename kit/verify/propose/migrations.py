"""Revisions: heads to merge, tables that something beside them makes."""

import posixpath
import re
from collections.abc import Iterator

from . import edits, edits_of_classes
from .broken import Broken, Candidate


def merge_heads(broken: Broken) -> Iterator[Candidate]:
    """Several heads: a merge revision."""
    places = broken.sites("head")
    ids = [place.name for place in places if place.name]
    if len(ids) < 2:
        return
    folder = posixpath.dirname(places[0].file)
    merge_id = "merge_" + "_".join(re.sub(r"\W", "", id_)[:6] for id_ in ids)
    text = (
        f'"""Merge {" and ".join(ids)}."""\n\nrevision = "{merge_id[:32]}"\ndown_revision = ({", ".join(repr(id_) for id_ in ids)})\n'
        "branch_labels = None\ndepends_on = None\n\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
    )
    says = (
        f"Merge the heads {', '.join(ids)} in a new revision, as `alembic merge heads` does: there is one head again."
    )
    yield Candidate("merge-heads", says, {posixpath.join(folder, f"{merge_id}.py"): text})


def migrations_alone(broken: Broken) -> Iterator[Candidate]:
    """Something beside the migrations makes tables that a revision creates: leave that to the revision."""
    for place in broken.sites("creates it"):
        text = broken.sources.get(place.file)
        line = (text or "").splitlines()[place.line - 1] if text and place.line <= text.count("\n") + 1 else ""
        if "create" not in line:
            continue
        new = edits.remove_statement(text, place.line)
        new = new and edits_of_classes.without_unused_imports(new, text)
        if new:
            says = (
                f"Take {line.strip()} out of {place}: the revision makes the table. "
                "A database in which it is there already has to be told once, by `alembic stamp`."
            )
            yield Candidate("migrations-alone", says, {place.file: new})
