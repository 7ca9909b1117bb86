"""Faults of migrations: heads, revisions that are not there, objects that are created twice, data that a revision does not expect."""

import ast
import re
from collections.abc import Sequence

from ..incident.revisions import Operation, Revision, heads_of, past_of
from ..incident.steps import Step
from ..trace.values import Error, Frame, Trace, application_frames
from .case import Case, Experiment, Fault, Place
from .last_seen import Seen, last_seen, merge_of
from .variants import failure, first_line, gone, said, with_steps

_HEADS = re.compile(r"Multiple head(?: revision)?s (?:are )?present")
_UNKNOWN = re.compile(r"Can't locate revision identified by '([^']+)'|No such revision or branch '([^']+)'")
_NAME = r"[\"'`\[]?(?:\w+\.)?(\w+)[\"'`\]]?"
_EXISTS = re.compile(
    rf"(?:(table|index|relation|type|view|schema|sequence|constraint|column)\s+)?{_NAME}\s+"
    rf"(?:(?:of|for|on)\s+(?:relation|table)\s+{_NAME}\s+)?already exists"
    rf"|(duplicate column name):?\s*{_NAME}|(Duplicate key name)\s*{_NAME}",
    re.I,
)
_UPGRADE = re.compile(
    r"(?P<environment>(?:\bFLASK_APP=\S+\s+)?)(?P<command>\b(?:alembic|flask)\b[^;&|\n]*?\bupgrade)\b"
)
_ALIKE = {"relation": ("table", "index", "view", "sequence"), "": None}  # what PostgreSQL calls a table, too


def several_heads(case: Case) -> Fault | None:
    for error in case.failures:
        if not any(_HEADS.search(text) for text in said(error)):
            continue
        revisions = _environment(case, error)
        heads = heads_of(revisions)
        if len(heads) < 2:
            return None
        forks = _forks(revisions, heads)
        because = (
            f"{len(heads)} revisions are followed by none: {_listed(heads)}; 'head' names one: {error}",
            *(
                f"{_listed(beside)} each follow {down or 'nothing'}"
                + ("" if down else ": the second of them should follow the first")
                for down, beside in forks.items()
            ),
        )
        merge = merge_of(case.incident, [head.file for head in heads])
        because += (f"the merge that brought them together: {merge}",) if merge is not None else ()
        sites = tuple(Place.of("head", _line(one), one.id) for beside in forks.values() for one in beside)
        against = {"unknown-revision": "every revision that another one follows is there"}
        experiment = _merged(case, revisions, heads)
        return Fault("several-heads", because, sites=sites, against=against, error=error, experiment=experiment)
    return None


def unknown_revision(case: Case) -> Fault | None:
    for error in case.failures:
        id = _unknown_id(error)
        if id is None or error.own_words or any(revision.id.startswith(id) for revision in case.revisions):
            continue
        revisions = _environment(case, error)
        naming = [revision for revision in revisions if id in revision.down]
        asks = next((step for step in case.trace.steps if re.search(rf"\b{re.escape(id)}\b", step.text)), None)
        at_database = case.migrations is not None and id in case.migrations.current
        heads = heads_of([revision for revision in revisions if revision not in naming])
        if naming:
            who = f"{_listed(naming)} follows {id}, and no file has that revision"
        elif asks is not None and not at_database:
            who = f"step {asks.number} asks for {id}, and no file has that revision"
        else:
            who = f"the database is at {id}, and no file has that revision"
        seen = last_seen(case.incident, id)
        because = (
            f"{who}: {error}",
            f"revisions that are there: {', '.join(revision.id for revision in revisions) or 'none'}; the last is {_listed(heads)}",
            seen.sentence if seen else f"where {id} came from is not known: the application's history names it nowhere",
        )
        sites = tuple(Place.of("follows it", _line(one), one.id) for one in naming)
        sites = sites or tuple(Place.of("last that is there", _line(head), head.id) for head in heads)
        against = {"several-heads": f"{len(heads)} revision is followed by none"} if len(heads) == 1 else {}
        experiment = None if asks is not None and not at_database else _restored(case, id, revisions, seen)
        return Fault("unknown-revision", because, sites=sites, against=against, error=error, experiment=experiment)
    return None


def created_by_two_revisions(case: Case) -> Fault | None:
    for error, revision, operation, kind, name in _already_there(case):
        others = [
            (other, one)
            for other in case.revisions
            if other.folder == revision.folder
            for one in other.operations
            if _creates(one, kind, name) and (other.id, one) != (revision.id, operation)
        ]
        earlier = past_of(case.revisions, revision.id)
        others = [(other, one) for other, one in others if other.id in earlier or other.id == revision.id] or others
        if not others or operation is None:
            continue
        other, first = others[0]
        what = f"{kind or 'object'} {name}"
        because = (
            f"{other.file}:{first.line} (revision {other.id}) and {revision.file}:{operation.line} (revision {revision.id}) "
            f"both create {what}",
            f"seen as: {error}",
        )
        against = {"created-outside-migrations": f"a revision creates {what} before the one that fails"}
        sites = (
            Place("first", other.file, first.line, other.id),
            Place("second", revision.file, operation.line, revision.id),
        )
        experiment = _from_base_and_after(case, other, name) if other.id != revision.id else None
        slug = "created-by-two-revisions"
        return Fault(slug, because, sites=sites, against=against, error=error, experiment=experiment)
    return None


def created_outside_migrations(case: Case) -> Fault | None:
    for error, revision, operation, kind, name in _already_there(case):
        if any(
            _creates(operation, kind, name) and other.id != revision.id
            for other in case.revisions
            for operation in other.operations
        ):
            continue
        frame = _frame_in(error, revision)
        at = operation.line if operation is not None else frame.line if frame else revision.line
        what = f"{kind or 'object'} {name}"
        makers, earlier = _makers(case, name), _earlier(case, error)
        if makers:
            event, site = makers[0]
            who = (
                f"{site} creates it in {event['step']}, by create_all() or create(), and no revision has to do with it"
            )
        elif earlier:
            who = f"it is there before this step, and no revision makes it: {', '.join(earlier)} ran before"
        else:
            continue
        because = (f"revision {revision.id} creates {what} at {revision.file}:{at}, and it is there: {error}", who)
        sites = (
            *(Place.of("creates it", site) for _, site in makers[:1]),
            Place("revision", revision.file, at, revision.id),
        )
        against = {"created-by-two-revisions": f"no other revision creates {what}"}
        experiment = _without_maker(case, makers[0] if makers else None, error)
        slug = "created-outside-migrations"
        return Fault(slug, because, name, sites=sites, against=against, error=error, experiment=experiment)
    return None


def migration_fails_on_data(case: Case) -> Fault | None:
    for error in case.failures:
        revision = _revision_of(case, error)
        if revision is None or _existing(error):
            continue
        frame = _frame_in(error, revision)
        operation = revision.operation_at(frame.line, " ".join(said(error)))
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
        experiment = _empty_against_a_row(case, revision, error)
        if experiment is None:
            continue  # whether it is the data cannot be told apart from a revision that never works
        slug = "migration-fails-on-data"
        return Fault(slug, because, sites=sites, against=against, error=error, experiment=experiment)
    return None


MECHANISMS = (
    several_heads,
    unknown_revision,
    created_by_two_revisions,
    created_outside_migrations,
    migration_fails_on_data,
)


# ---------------------------------------------------------------- what the errors and sources say


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
    found = {}
    for down, those in beside.items():
        leads = [frozenset(head for head, past in pasts.items() if one.id in past) for one in those]
        if len(set(leads)) > 1:
            found[down] = those
    return found or {"": list(heads)}


def _unknown_id(error: Error) -> str | None:
    for text in said(error):
        match = _UNKNOWN.search(text)
        if match:
            return match[1] or match[2]
    ended_in_alembic = bool(error.frames) and error.frames[-1].file.startswith("alembic/script/")
    if error.type == "KeyError" and ended_in_alembic:
        return error.text.strip("'\"")
    return None


def _existing(error: Error) -> tuple[str, str] | None:
    """Kind ("" where it is not said) and name of what is there already."""
    for text in said(error):
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
        at = [
            operation
            for operation in revision.operations
            if frame and operation.line <= frame.line <= operation.last or operation.within == frame.line
        ]
        creating = [one for one in at if _creates(one, kind, name)]
        anywhere = [operation for operation in revision.operations if _creates(operation, kind, name)]
        operation = next(iter(creating or at or anywhere), None)
        kinds = [k for one in (creating or anywhere) for k, n in one.creates if n.rpartition(".")[2] == name]
        yield error, revision, operation, kinds[0] if kinds else kind, name


def _creates(operation: Operation, kind: str, name: str) -> bool:
    kinds = _ALIKE.get(kind, (kind,))
    return any((kinds is None or one in kinds) and text.rpartition(".")[2] == name for one, text in operation.creates)


def _makers(case: Case, name: str) -> list[tuple[dict, Frame]]:
    """Who created a table outside of every revision: the event and the application's line, the first one first."""
    files = {revision.file for revision in case.revisions}
    held = {}
    for registration in case.trace.registrations:
        held.setdefault(registration.metadata.label, set()).add(registration.table.rpartition(".")[2])
    found = []
    for event in (*case.trace.before, *case.trace.created):
        table = (event["table"] or "").rpartition(".")[2]
        frames = application_frames(event["chain"])
        whole = event["table"] is None and name in held.get(event["metadata"], {name})
        if frames and (whole or table == name) and not any(frame.file in files for frame in frames):
            found.append((event, frames[-1]))
    return found


# ---------------------------------------------------------------- the runs that decide


def upgrade_to(case: Case, target: str) -> Step:
    """The incident's own command line that upgrades, to another revision; Alembic's where there is none."""
    for step in (*case.incident.startup, *case.incident.prepare):
        match = _UPGRADE.search(step.text) if step.kind in ("command", "serve") else None
        if match:
            return Step.model_validate({"command": f"{match['environment'] or ''}{match['command']} {target}"})
    named = next((check.migrations for check in case.incident.checks if check.migrations), "alembic.ini")
    config = "" if named == "alembic.ini" else f"-c {named} "
    return Step.model_validate({"command": f"alembic {config}upgrade {target}"})


def _merged(case: Case, revisions: Sequence[Revision], heads: Sequence[Revision]) -> Experiment | None:
    """A merge revision, upgraded to from nothing and after each head."""
    if case.incident is None:
        return None
    file = f"{heads[0].folder}/incident_merge.py"
    downs = ", ".join(repr(head.id) for head in heads)
    text = f'revision = "incident_merge"\ndown_revision = ({downs})\n\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n'
    up = upgrade_to(case, "head")
    first, *others = [with_steps(case.incident, [upgrade_to(case, head.id), up], []) for head in heads]

    def judge(*traces: Trace) -> tuple[bool | None, str]:
        wrong = [failure(trace) for trace in traces]
        orders = f"after {' and after '.join(head.id for head in heads)}"
        if not any(wrong):
            return True, f"with it 'head' is one revision, and the upgrade passes {orders}"
        return (False if all(wrong) else None), next(one for one in wrong if one)

    return Experiment(
        "a merge revision that follows all heads, upgraded to in each order", first, judge, {file: text}, tuple(others)
    )


def _restored(case: Case, id: str, revisions: Sequence[Revision], seen: Seen | None) -> Experiment | None:
    """The missing revision put back: from the history, else an empty one in its place."""
    if case.incident is None or not revisions:
        return None
    if seen is not None and seen.text:
        file, text, what = seen.file, seen.text, f"the file that git last saw ({seen.file}) is put back"
    else:
        file, what = (
            f"{revisions[0].folder}/incident_restored.py",
            f"an empty revision {id} in the place of the missing one",
        )
        later = {revision.id for revision in revisions if id in past_of(revisions, revision.id)}
        down = [one.id for one in heads_of([revision for revision in revisions if revision.id not in later])]
        value = "None" if not down else repr(down[0]) if len(down) == 1 else repr(tuple(down))
        text = f'revision = "{id}"\ndown_revision = {value}\n\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n'
    judge = gone("Can't locate revision identified by", f"KeyError: '{id}'")
    return Experiment(what, case.incident, judge, {file: text})


def _from_base_and_after(case: Case, first: Revision, name: str) -> Experiment | None:
    """Base to head in one run, against a run that begins after the first of the two."""
    if case.incident is None:
        return None
    head = upgrade_to(case, "head")
    whole = with_steps(case.incident, [head], [])
    after = with_steps(case.incident, [upgrade_to(case, first.id), head], [])

    def judge(base: Trace, later: Trace) -> tuple[bool | None, str]:
        words = [f"{what} {'fails: ' + wrong if (wrong := failure(trace)) else 'passes'}"
                 for what, trace in (("from base to head in one run", base), (f"after {first.id}", later))]  # fmt: skip
        still = any(wrong is not None and name in wrong for wrong in (failure(base), failure(later)))
        return still, "; ".join(words)

    says = f"an empty database upgraded to head in one run, and one that was at {first.id} before"
    return Experiment(says, whole, judge, beside=(after,))


def _earlier(case: Case, error: Error) -> list[str]:
    """What ran before the step that failed with an error: preparations and steps."""
    prepared = (
        [f"prepare {number} ({step})" for number, step in enumerate(case.incident.prepare, 1)] if case.incident else []
    )
    failed = next((step.number for step in case.trace.steps if step.ok is False), 1)
    return prepared + [f"step {step.number} ({step})" for step in case.trace.steps if step.number < failed]


def _without_maker(case: Case, maker: tuple[dict, Frame] | None, error: Error) -> Experiment | None:
    """The startup without what creates the object beside the migrations."""
    incident = case.incident
    if incident is None:
        return None
    fragment = next(text for text in said(error) if text)
    if maker is not None and maker[0]["step"].startswith("step"):
        event, site = maker
        edits = _without_statement(case.trace.sources.get(site.file, ""), site.line)
        if edits is not None:
            says = f"without the statement at {site} the migrations create it alone"
            return Experiment(says, incident, gone(fragment), {site.file: edits})
    failed = next((step.number for step in case.trace.steps if step.ok is False), None)
    if failed is not None and (incident.prepare or failed > 1):
        says = f"step {failed} alone, on an empty database"
        return Experiment(says, with_steps(incident, [incident.startup[failed - 1]], []), gone(fragment))
    return None


def _without_statement(text: str, line: int) -> str | None:
    """A source with the simple statement at a line replaced by ``pass``."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    holding = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and n.lineno <= line <= (n.end_lineno or n.lineno)]
    if not holding:
        return None
    node = max(holding, key=lambda one: one.lineno)
    lines = text.split("\n")
    indent = lines[node.lineno - 1][: node.col_offset]
    return "\n".join([*lines[: node.lineno - 1], f"{indent}pass", *lines[node.end_lineno :]])


def _empty_against_a_row(case: Case, revision: Revision, error: Error) -> Experiment | None:
    """The failing revision on the tables that the revision before leaves: empty, and with a made-up row in each."""
    if case.incident is None:
        return None
    before = [{"upgrade": down} for down in revision.down]
    steps = [upgrade_to(case, revision.id)]
    empty = with_steps(case.incident, steps, before)
    filled = with_steps(case.incident, steps, [*before, {"rows": 1}])

    def judge(without: Trace, row: Trace) -> tuple[bool | None, str]:
        on_empty, on_row = failure(without), failure(row)
        if on_empty:
            return False, f"it fails on empty tables as well: {on_empty}"
        if on_row:
            return True, f"on empty tables it passes; with a made-up row in each table {on_row}"
        return True, "on empty tables it passes, and with one made-up row, too: it needs the rows that are there"

    says = f"revision {revision.id} after {' and '.join(revision.down) or 'nothing'}: on empty tables, and with a made-up row in each"
    return Experiment(says, empty, judge, beside=(filled,))
