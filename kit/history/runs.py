"""Builds of a history, started side by side: what each showed, the verdict on it, what is kept for the next search."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from threading import Lock

from ..base.errors import IncidentError, RunBroke
from ..base.progress import Step
from ..diagnose.diagnosis import reproduce
from ..incident.model import Incident
from ..incident.repository import Commit, Repository
from ..startup.installed_packages import packages_of
from ..startup.kept_runs import content_of, package_digest
from ..trace.chains import application_frames
from ..trace.expected import expected_error, incident_tables, shows_incident
from ..trace.saved import load, save
from ..trace.trace import Trace
from ..trace.values import Conflict

REPRODUCES, HEALTHY, UNTESTABLE = "reproduces", "does not reproduce", "untestable"


@dataclass(frozen=True)
class Seen:
    """What one build showed: enough for every verdict, and small enough to be kept.

    :ivar shown: it showed the incident
    :ivar says: how, in a sentence
    :ivar blocked: why its startup did not come to its end
    :ivar transient: another run of the same build may end otherwise
    :ivar swallowed: errors that were caught, each with the application's files that they passed
    :ivar path: the application's lines on the ways to the incident: ``(file, line)``
    :ivar names: classes that the incident is about
    :ivar second: the file of the definition that was rejected; ``first``: that of the one before it
    :ivar defined: files whose definition of the incident's tables was taken
    :ivar stopped: the number of the first step that did not succeed
    :ivar completed: the application's files that were imported to their end
    """

    shown: bool
    says: str | None
    blocked: str | None
    transient: bool = False
    swallowed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    path: tuple[tuple[str, int], ...] = ()
    names: tuple[str, ...] = ()
    second: str | None = None
    first: str | None = None
    defined: tuple[str, ...] = ()
    stopped: int | None = None
    completed: tuple[str, ...] = ()


def at_build(incident: Incident, repository: Repository, sha: str, *, shared: bool = False) -> Incident:
    """The incident with one commit of a repository as its application, and without what a startup does not need.

    :param shared: others ask for its startup as well, as it is the incident's own build
    """
    where = {"root": None, "repository": str(repository.folder), "revision": sha, "subdir": repository.subdir}
    app = incident.app.model_copy(update=where)
    build = incident.model_copy(update={"app": app, "history": None, "log": None, "fixes": {}})
    build._kept_as = incident.limits if shared else None
    return build


def run_build(incident: Incident) -> Seen:
    """Start one commit of a repository, in a workspace of its own; whatever fails there is a finding."""
    try:
        trace = reproduce(incident)
    except IncidentError as error:
        return Seen(False, None, shorten(str(error), 400, placeholder=" …"))
    except RunBroke as error:
        return Seen(False, None, shorten(str(error), 400, placeholder=" …"), transient=True)
    return observe(incident, trace)


def observe(incident: Incident, trace: Trace) -> Seen:
    """What a trace says of the incident."""
    shown = shows_incident(incident, trace)
    tables = incident_tables(incident, trace)
    wanted = incident.expect.table
    conflicts = [conflict for conflict in trace.conflicts if wanted in (None, conflict.table)]
    failed = [f"step {step.number} ({step}): {step.error or 'never ran'}" for step in trace.steps if not step.ok]
    blocked = str(trace.broke or "") or (failed[0] if failed else None)
    passed = ((str(it.error), [frame.file for frame in application_frames(it.chain)]) for it in trace.swallowed)
    swallowed = tuple((text, tuple(dict.fromkeys(files))) for text, files in passed)
    taken = [r for r in trace.registrations if r.table in tables and r.outcome in ("registered", "extended", "kept")]
    ended = {it.file for it in trace.imports if it.application and it.ended is not None and it.error is None}
    met = [definition for conflict in conflicts for definition in (conflict.first, conflict.second) if definition]
    return Seen(
        shown=shown,
        says=_says(incident, trace, conflicts) if shown else None,
        blocked=blocked,
        transient=bool(trace.broke),
        swallowed=swallowed,
        path=_path(incident, trace, conflicts) if shown else (),
        names=tuple(sorted({definition.class_ for definition in met if definition.class_})),
        second=conflicts[0].second.site.file if conflicts else None,
        first=conflicts[0].first.site.file if conflicts and conflicts[0].first else None,
        defined=tuple(sorted({registration.site.file for registration in taken})),
        stopped=next((step.number for step in trace.steps if not step.ok), None),
        completed=tuple(sorted(ended)),
    )


def _says(incident: Incident, trace: Trace, conflicts: Sequence[Conflict]) -> str:
    if conflicts:
        first, second = conflicts[0].first, conflicts[0].second
        before = f"; the first one is at {first.site}" if first else ""
        return f"{conflicts[0].error.splitlines()[0]} at {second.site}{before}"
    wanted = expected_error(incident) or ""
    errors = [str(error) for error in trace.errors if wanted in str(error)]
    return (errors or [wanted or "something went wrong"])[0].splitlines()[0]


def _path(incident: Incident, trace: Trace, conflicts: Sequence[Conflict]) -> tuple[tuple[str, int], ...]:
    """Lines of the sites and chains of the incident; without a conflict, those that its error passed."""
    both = (registration for conflict in conflicts for registration in (conflict.first, conflict.second))
    chains = [registration.chain for registration in both if registration is not None]
    if not chains:
        wanted = expected_error(incident) or ""
        chains = [error.frames for error in trace.errors if wanted in str(error)][:3]
    lines = dict.fromkeys((frame.file, frame.line) for chain in chains for frame in application_frames(chain))
    return tuple(lines)


def judge(seen: Seen, reference: Seen | None) -> tuple[str, str]:
    """The verdict on a build and its reason.

    :param reference: what a build showed that does reproduce: only with it can be told whether another
        error kept a startup from coming to the place of the incident
    """
    if seen.shown:
        return REPRODUCES, seen.says or "it shows what the incident file expects"
    if seen.blocked is not None and reference is not None and _came_past(seen, reference):
        return HEALTHY, f"its error is gone, and the next one was hidden behind it: {seen.blocked}"
    if seen.blocked is not None:
        return UNTESTABLE, f"it does not start for another reason: {seen.blocked}"
    if reference is not None and not (reference.second and reference.second in seen.defined):
        known = {text for text, _ in reference.swallowed}
        # The first file is where every startup begins; those after it lead to the incident.
        places = {file for file, _ in reference.path[1:]} - {file for file, _ in reference.path[:1]}
        for text, files in seen.swallowed:
            if text not in known and places.intersection(files):
                return UNTESTABLE, f"another error ends the same way before it gets there: {text}"
    return HEALTHY, "its startup finished without it"


def _came_past(seen: Seen, reference: Seen) -> bool:
    """Did a startup that ended early come past the place of the incident: its step, or the import of both definitions?"""
    if seen.transient:
        return False
    if None not in (seen.stopped, reference.stopped) and seen.stopped > reference.stopped:
        return True
    both = {reference.first, reference.second} - {None}
    return bool(both) and both.issubset(seen.completed)


class Kept:
    """Results of builds by the application's tree, in a folder; a result of another startup is never taken.

    What may end otherwise the next time (a time limit, a missing program) is not kept.
    """

    def __init__(self, folder: Path, incident: Incident):
        self.folder, self.key = folder / "runs", _key_of(incident)

    def get(self, tree: str) -> Seen | None:
        with suppress(IncidentError):  # not there, or not whole: it is run again
            return load(self._path(tree), (Seen,))
        return None

    def put(self, tree: str, seen: Seen) -> None:
        if not seen.transient:
            with suppress(IncidentError):  # a full disk costs the next search time, and nothing else
                save(seen, self._path(tree))

    def _path(self, tree: str) -> Path:
        return self.folder / f"{hashlib.sha256(f'{self.key}:{tree}'.encode()).hexdigest()[:32]}.json"


def _key_of(incident: Incident) -> str:
    """Everything but the application's files that a startup depends on."""
    content = content_of(incident)
    content |= incident.model_dump(mode="json", include={"checks", "expect"})
    python = Path(incident.python)
    known = packages_of(str(python))
    content["python"] = [known or str(python), python.stat().st_mtime_ns]
    if known is None:  # a folder's time changes when a package comes or goes
        folders = sorted((python.parent.parent / "lib").glob("python3*/site-packages"))
        content["python"] += [folder.stat().st_mtime_ns for folder in folders]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    digest.update(package_digest().encode())
    return digest.hexdigest()


class Runner:
    """Starts builds side by side, each tree once, and says what each showed; several searches may ask at once."""

    def __init__(self, incident, repository: Repository, tip: str, begin: str | None, kept, pool, run, progress, build):
        self.incident, self.repository, self.tip, self.begin = incident, repository, tip, begin
        self.kept, self.pool, self.run, self.progress, self.build = kept, pool, run, progress, build
        commits = [*repository.commits(*([tip] if begin is None else [tip, "--not", begin]))]
        for edge in filter(None, (begin, tip)):
            commits += repository.commits("--max-count=1", edge)
        self.commits: dict[str, Commit] = {commit.sha: commit for commit in commits}
        self.seen: dict[str, Seen] = {}
        self.from_kept: set[str] = set()
        self.reference: Seen | None = None
        self.runs = 0
        self._trees: dict[str, str] = {}  # commit to tree
        self._by_tree: dict[str, Future] = {}
        self._noting = Lock()

    def judged(self, sha: str) -> str:
        """The verdict on a build that was asked for."""
        return judge(self.seen[sha], self.reference)[0]

    def verdict(self, sha: str) -> str:
        self.ask([sha])
        return self.judged(sha)

    def ask(self, shas: Sequence[str]) -> None:
        """Have these builds seen, side by side."""
        with self._noting:
            futures = {sha: self._begin(sha) for sha in dict.fromkeys(shas) if sha not in self.seen}
        for sha, future in futures.items():
            seen = future.result()
            with self._noting:
                if sha not in self.seen:
                    self._note(sha, seen)

    def _begin(self, sha: str) -> Future:
        tree = self.repository.tree_of(sha) or f"none of {sha}"
        if tree in self._by_tree:
            self.from_kept.update([sha] if sha not in self._trees else [])  # else another search waits for it too
            self._trees[sha] = tree
            return self._by_tree[tree]
        self._trees[sha] = tree
        known = self.kept.get(tree) if self.kept else None
        self.from_kept.update([sha] if known is not None else [])
        if known is None and self.repository.tree_of(sha) is None:  # git says so, without a run
            known = Seen(False, None, f"the folder {self.repository.subdir} is not in this commit", transient=True)
        if known is not None:
            future: Future = Future()
            future.set_result(known)
        else:
            self.runs += 1
            build = at_build(self.incident, self.repository, sha, shared=sha == self.build)
            future = self.pool.submit(self.run, build)
        self._by_tree[tree] = future
        return future

    def _note(self, sha: str, seen: Seen) -> None:
        self.seen[sha] = seen
        if self.kept and sha not in self.from_kept:
            self.kept.put(self._trees[sha], seen)
        verdict, _ = judge(seen, self.reference)
        # The subject last: one that ends in `token` and a colon after it would look like a secret.
        subject = self.commits[sha].subject if sha in self.commits else ""
        says = f"build {len(self.seen)}: {verdict}, {sha[:9]} {subject}".rstrip()
        likely = 2 * max(1, len(self.commits).bit_length())  # each of the two boundaries takes some halvings
        self.progress(Step(says, "builds", len(self.seen), max(likely, len(self.seen) + 1)))
