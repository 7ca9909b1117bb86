"""Faults of migrations: heads, revisions that are not there, objects that are created twice, data that a revision does not expect."""

import re
from collections.abc import Sequence

from ..incident.revisions import Operation, Revision, heads_of, past_of
from ..trace.chains import application_frames
from ..trace.values import Creation, Error, Frame
from . import migration_runs as runs
from .experiments import error_texts, first_line
from .migration_runs import last_seen, merge_of, ran_before
from .values import Case, Fault, Place, of_failures

_HEADS = re.compile(r"Multiple head(?: revision)?s (?:are )?present")
_UNKNOWN = re.compile(r"Can't locate revision identified by '([^']+)'|No such revision or branch '([^']+)'")
_NAME = r"[\"'`\[]?(?:\w+\.)?(\w+)[\"'`\]]?"
_EXISTS = re.compile(
    rf"(?:(table|index|relation|type|view|schema|sequence|constraint|column)\s+)?{_NAME}\s+"
    rf"(?:(?:of|for|on)\s+(?:relation|table)\s+{_NAME}\s+)?already exists"
    rf"|(duplicate column name):?\s*{_NAME}|(Duplicate key name)\s*{_NAME}",
    re.I,
)
_OF_NO_ROW = {"ArgumentError", "CompileError", "ImportError", "ModuleNotFoundError", "NameError", "NotImplementedError"}
_ALIKE = {"relation": ("table", "index", "view", "sequence"), "": None}  # what PostgreSQL calls a table, too


def several_heads(case: Case, error: Error) -> Fault | None:
    if not any(_HEADS.search(text) for text in error_texts(error)):
        return None
    revisions = _environment(case, error)
    heads = heads_of(revisions)
    if len({head.id for head in heads}) < 2:
        return _one_id_twice(case, revisions, error)
    forks = _forks(revisions, heads)
    because = (
        f"no revision follows {_listed(heads)}, and 'head' can only be one of them: {error}",
        *(
            f"{_listed(beside)} each follow {down or 'nothing'}"
            + ("" if down else ": the second of them should follow the first")
            for down, beside in forks.items()
        ),
    )
    merge = merge_of(case.incident, [head.file for head in heads])
    because += (f"the merge that brought them together: {merge}",) if merge is not None else ()
    shown = dict.fromkeys([*(revision for beside in forks.values() for revision in beside), *heads])
    roles = (("head" if revision in heads else "branches off", revision) for revision in shown)
    sites = tuple(Place.of(role, _line(revision), revision.id) for role, revision in roles)
    against = {"unknown-revision": "every revision that another one follows is there"}
    experiment = runs.merged(case, revisions, heads)
    return Fault("several-heads", because, sites=sites, against=against, error=error, experiment=experiment)


def _one_id_twice(case: Case, revisions: Sequence[Revision], error: Error) -> Fault | None:
    """Two files give themselves one id: Alembic keeps one of them, and counts what only the other explains as a head."""
    for id in dict.fromkeys(revision.id for revision in revisions):
        both = [revision for revision in revisions if revision.id == id]
        if len(both) > 1:
            because = (f"{_listed(both)} have one revision id, and Alembic can keep only one file for it: {error}",)
            sites = tuple(Place.of("head", _line(revision), revision.id) for revision in both)
            against = {"unknown-revision": "every revision that another one follows is there"}
            run = runs.with_its_own_id(case, both[1], revisions, error)
            return Fault("several-heads", because, sites=sites, against=against, error=error, experiment=run)
    return None


def unknown_revision(case: Case, error: Error) -> Fault | None:
    id = _unknown_id(error)
    revisions = _environment(case, error)
    if id is None or error.own_words or any(revision.id.startswith(id) for revision in revisions):
        return None
    elsewhere = [revision for revision in case.revisions if revision.id.startswith(id)]
    naming = [revision for revision in revisions if id in revision.down]
    asks = next((step for step in case.trace.steps if re.search(rf"\b{re.escape(id)}\b", step.text)), None)
    at_database = case.migrations is not None and id in case.migrations.current
    heads = heads_of([revision for revision in revisions if revision not in naming])
    if naming:
        sentence = f"{_listed(naming)} follows {id}"
    elif asks is not None and not at_database:
        sentence = f"step {asks.number} asks for {id}"
    else:
        sentence = f"the database is at {id}"
    seen = None if elsewhere else last_seen(case.incident, id)
    origin = f"where {id} came from is not known: the application's history names it nowhere"
    if not naming and asks is None:
        origin += "; a newer build, or another branch's, may have upgraded this database: it is the one to deploy, since a stamp leaves in the schema what it did"
    if elsewhere:
        origin = f"{_listed(elsewhere)} is another environment's: each needs a version_table of its own, or version_locations with both"
    ids = [revision.id for revision in revisions]
    because = (
        f"{sentence}, and no file {'of this environment ' * bool(elsewhere)}has that revision: {error}",
        f"revisions that are there: {'… ' * (len(ids) > 8)}{', '.join(ids[-8:]) or 'none'}; the last of {len(ids)} is {_listed(heads)}",
        seen.sentence if seen else origin,
    )
    sites = tuple(Place.of("follows it", _line(revision), revision.id) for revision in naming)
    sites = sites or tuple(Place.of("last that is there", _line(head), head.id) for head in heads)
    sites += tuple(Place.of("of another environment", _line(revision), revision.id) for revision in elsewhere)
    against = {"several-heads": "only one revision has no successor"} if len(heads) == 1 else {}
    run = runs.restored(case, id, revisions, seen)
    return Fault("unknown-revision", because, sites=sites, against=against, error=error, experiment=run)


def created_by_two_revisions(case: Case) -> Fault | None:
    for error, revision, operation, kind, name in _already_there(case):
        beside = [other for other in case.revisions if other.folder == revision.folder]
        made = operation.creates if operation and kind == "column" else ()
        columns = [text for made_kind, text in made if made_kind == "column"]
        # Of that table, and of no other.
        full = next((text for text in columns if text.rpartition(".")[2] == name), name)
        creating = [(other, op) for other in beside for op in other.operations if _creates(op, kind, full)]
        others = [pair for pair in creating if (pair[0].id, pair[1]) != (revision.id, operation)]
        earlier = {revision.id, *past_of(case.revisions, revision.id)}
        others = [pair for pair in others if pair[0].id in earlier] or others
        if not others or operation is None:
            continue
        other, first = others[0]
        here = sorted([first, operation], key=lambda made: made.line) if other.id == revision.id else ()
        first, operation = here or (first, operation)
        named = f"{kind or 'object'} {name}"
        because = (
            f"{other.file}:{first.line} (revision {other.id}) and {revision.file}:{operation.line} (revision {revision.id}) "
            f"both create {named}",
            f"seen as: {error}",
        )
        against = {"created-outside-migrations": f"a revision creates {named} before the one that fails"}
        sites = (
            Place("first", other.file, first.line, other.id),
            Place("second", revision.file, operation.line, revision.id),
        )
        beside = (
            [op for op in revision.operations if op != operation and _creates(op, kind, full)] if here else [operation]
        )
        run = None if here else runs.from_base_and_after(case, other, name)
        run = run or runs.made_once(case, revision, beside, kind, name, error)
        return Fault("created-by-two-revisions", because, sites=sites, against=against, error=error, experiment=run)
    return None


def created_outside_migrations(case: Case) -> Fault | None:
    for error, revision, operation, kind, name in _already_there(case):
        others = [op for other in case.revisions if other.id != revision.id for op in other.operations]
        if any(_creates(op, kind, name) for op in others):
            continue
        frame = _frame_in(error, revision)
        at = operation.line if operation is not None else frame.line if frame else revision.line
        named = f"{kind or 'object'} {name}"
        # What belongs to a table, create_all makes with it.
        of_tables = () if operation is None or kind in ("table", "view") else operation.texts
        makers, earlier = _makers(case, {name, *of_tables}), ran_before(case, error)
        if makers:
            event, site = makers[0]
            by = f"in {event.step}, by create_all() or create()"
            sentence = f"{site} creates it {by}, and no revision has to do with it"
        elif earlier:
            sentence = f"it is there before this step, and no revision makes it: {', '.join(earlier)} ran before"
        else:
            continue
        because = (
            f"revision {revision.id} creates {named} at {revision.file}:{at}, and it is there: {error}",
            sentence,
        )
        sites = (
            *(Place.of("creates it", site) for _, site in makers[:1]),
            Place("revision", revision.file, at, revision.id),
        )
        against = {"created-by-two-revisions": f"no other revision creates {named}"}
        run = runs.without_maker(case, makers[0] if makers else None, error)
        more = {"sites": sites, "against": against, "error": error, "experiment": run}
        return Fault("created-outside-migrations", because, name, **more)
    return None


def migration_fails_on_data(case: Case, error: Error) -> Fault | None:
    revision = _revision_of(case, error)
    if revision is None or _existing(error) or error.type.rpartition(".")[2] in _OF_NO_ROW:
        return None
    frame = _frame_in(error, revision)
    operation = revision.operation_at(frame.line, " ".join(error_texts(error)))
    line = operation.line if operation is not None else frame.line
    because = (
        f"revision {revision.id} fails at {revision.file}:{line} on the rows that are there: {first_line(error.text)}",
        *([f"it follows {', '.join(revision.down)}"] if revision.down else []),
    )
    sites = (Place("operation", revision.file, line, revision.id),)
    against = {
        "created-by-two-revisions": "nothing is there already that it creates",
        "created-outside-migrations": "nothing is there already that it creates",
    }
    run = runs.empty_against_a_row(case, revision, error)
    return Fault("migration-fails-on-data", because, sites=sites, against=against, error=error, experiment=run)


MECHANISMS = of_failures(several_heads, unknown_revision) + [created_by_two_revisions, created_outside_migrations]
MECHANISMS += of_failures(migration_fails_on_data)


def _line(revision: Revision) -> Frame:
    """The line on which a revision says what it follows, as a frame."""
    return Frame(revision.file, revision.line, "<module>", None, True)


def _listed(revisions: Sequence[Revision]) -> str:
    return " and ".join(f"{revision.id} ({revision.file}:{revision.line})" for revision in revisions) or "none"


def _environment(case: Case, error: Error) -> list[Revision]:
    """The revisions of the migration environment that an error is about: that of a frame, of what Alembic was asked, or the largest."""
    folders: dict[str, list[Revision]] = {}
    for revision in case.revisions:
        folders.setdefault(revision.folder.partition("/versions")[0], []).append(revision)
    touched = {frame.file for frame in error.frames if frame.application}
    heads = set(case.migrations.heads) if case.migrations is not None else set()

    def fits(item: tuple[str, list[Revision]]) -> tuple:
        folder, revisions = item
        return (
            any(file.startswith(f"{folder}/") for file in touched),
            len(heads & {revision.id for revision in revisions}),
            len(revisions),
        )

    return max(folders.items(), key=fits)[1] if folders else []


def _forks(revisions: Sequence[Revision], heads: Sequence[Revision]) -> dict[str, list[Revision]]:
    """What several revisions follow that lead to different heads, to these revisions; "" where they follow nothing."""
    beside: dict[str, list[Revision]] = {}
    pasts = {head.id: past_of(revisions, head.id) for head in heads}
    for revision in revisions:
        for down in revision.down or ("",):
            beside.setdefault(down, []).append(revision)
    forks = {}
    for down, those in beside.items():
        leads = [frozenset(head for head, past in pasts.items() if leaf.id in past) for leaf in those]
        if len(set(leads)) > 1:
            forks[down] = those
    return forks or {"": list(heads)}


def _unknown_id(error: Error) -> str | None:
    for text in error_texts(error):
        match = _UNKNOWN.search(text)
        if match:
            return match[1] or match[2]
    ended_in_alembic = bool(error.frames) and error.frames[-1].file.startswith("alembic/script/")
    return error.text.strip("'\"") if error.type == "KeyError" and ended_in_alembic else None


def _existing(error: Error) -> tuple[str, str] | None:
    """Kind ("" where it is not said) and name of what is there already."""
    for text in error_texts(error):
        match = _EXISTS.search(text)
        if match:
            kind, name, _, column, column_name, key, key_name = match.groups()
            if column or key:
                return ("column", column_name) if column else ("index", key_name)
            return (kind or "").lower(), name
    return None


def _revision_of(case: Case, error: Error) -> Revision | None:
    """The revision in which an error was raised: that of the innermost frame in a file of revisions."""
    by_file = {revision.file: revision for revision in case.revisions}
    frames = (frame for frame in reversed(error.frames) if frame.application)
    return next((by_file[frame.file] for frame in frames if frame.file in by_file), None)


def _frame_in(error: Error, revision: Revision) -> Frame | None:
    """The frame of a revision's own function, of which helpers in other files may be below."""
    return next((frame for frame in reversed(error.frames) if frame.file == revision.file), None)


def _already_there(case: Case):
    """``(error, revision, its operation or None, kind, name)`` of each error of a revision that something exists already."""
    for error in case.failures:
        existing, revision = _existing(error), _revision_of(case, error)
        if existing is None or revision is None:
            continue
        kind, name = existing
        frame = _frame_in(error, revision)
        operations = revision.operations if frame else ()
        at = [op for op in operations if op.line <= frame.line <= op.last or op.within == frame.line]
        creating = [operation for operation in at if _creates(operation, kind, name)]
        anywhere = [operation for operation in revision.operations if _creates(operation, kind, name)]
        operation = next(iter(creating or at or anywhere), None)
        made = [created for operation in (creating or anywhere) for created in operation.creates]
        kinds = [kind_ for kind_, made_name in made if made_name.rpartition(".")[2] == name]
        yield error, revision, operation, kinds[0] if kinds else kind, name


def _creates(operation: Operation, kind: str, name: str) -> bool:
    kinds = _ALIKE.get(kind, (kind,))
    alike = (text for created_kind, text in operation.creates if kinds is None or created_kind in kinds)
    return any(name in (text, text.rpartition(".")[2]) for text in alike)


def _makers(case: Case, names: set[str]) -> list[tuple[Creation, Frame]]:
    """Who created one of some tables outside of every revision: the event and the application's line, the first one first."""
    files = {revision.file for revision in case.revisions}
    held = {}
    for registration in case.trace.registrations:
        held.setdefault(registration.metadata.label, set()).add(registration.table.rpartition(".")[2])
    makers = []
    for event in (*case.trace.before, *case.trace.created):
        table = (event.table or "").rpartition(".")[2]
        frames = application_frames(event.chain)
        whole = event.table is None and names & held.get(event.metadata, names)
        if frames and (whole or table in names) and not any(frame.file in files for frame in frames):
            makers.append((event, frames[-1]))
    return makers
