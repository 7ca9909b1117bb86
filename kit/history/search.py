"""Which commit brought an incident in and which took it out, by running the startup at the fewest builds.

A boundary is found by halving: ``git rev-list --bisect-all`` names the commit that splits what is left
best, with merges taken into account; a commit that changed the ways to the incident comes before it, as long as
no more builds are run for it. A build that cannot run for another reason is passed over, as
``git bisect skip`` does. Nothing of the repository is checked out or changed.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import IncidentError
from ..base.interrupt import interruptible, pool_of
from ..base.progress import Hears, silent
from ..incident.builds import builds_of, cache_folder, default_range
from ..incident.model import Incident
from ..incident.repository import Commit, Repository
from ..triage.origin import triage
from .commit_changes import Change, Claim, brought, change_of, claiming, took_out
from .runs import HEALTHY, REPRODUCES, UNTESTABLE, Kept, Runner, Seen, judge, run_build

_MOST_CLAIMS = 6  # commits that claim the fix and are run


@dataclass(frozen=True)
class Build:
    """A commit that was started (or whose files were started before) and the verdict on it."""

    commit: Commit
    verdict: str
    because: str
    kept: bool  # the result is an earlier one of the same files


@dataclass(frozen=True)
class Boundary:
    """Where a verdict changes: the first commit of the new one, or None with the commits it lies between.

    :ivar runs: how many builds the search asked for, kept results included
    :ivar size: how many commits it lay among
    """

    first: str | None
    because: str
    between: tuple[str, ...] = ()
    runs: int = 0
    size: int = 0


@dataclass(frozen=True)
class History:
    """What a search over commits found.

    :ivar reproduced: a commit in which the incident reproduces, None if there is none among those run
    :ivar introduced: the change that brought it in; ``when_introduced`` says how that is known
    :ivar fixed: the change that took it out, likewise
    :ivar builds: every commit that was judged, newest first
    :ivar runs: how many startups this search cost; ``kept`` how many results were there already
    """

    first: str | None
    last: Commit
    commits: int
    reproduced: Commit | None
    introduced: Change | None
    fixed: Change | None
    when_introduced: Boundary
    when_fixed: Boundary
    builds: tuple[Build, ...]
    claims: tuple[Claim, ...]
    runs: int
    kept: int
    notes: tuple[str, ...]

    @property
    def untestable_only(self) -> bool:
        """Did nothing that was run come far enough to tell?"""
        return bool(self.builds) and all(build.verdict == UNTESTABLE for build in self.builds)


@interruptible
def history(
    incident: Incident,
    repository: Repository,
    *,
    last: str = "HEAD",
    first: str | None = None,
    around: str | None = None,
    seeds: Sequence[str] = (),
    cache: Path | None = None,
    executor: Executor | None = None,
    run: Callable[[Incident], Seen] = run_build,
    progress: Hears = silent,
) -> History:
    """Search the history of ``last``.

    :param first: where to begin: it and what came before it are not searched
    :param around: a commit that is said to reproduce: where it does, the incident came with it or before, and went after it
    :param seeds: commits that could have made the log, newest first: where to look first without such a commit
    :param cache: folder in which results are kept by tree
    :param executor: where builds are started; by default threads, one a core
    :param run: starts the build that an incident's ``app.revision`` names; called in the executor
    :raises IncidentError: there is no such revision
    :raises RunBroke: the interpreter is missing
    """
    kept = Kept(cache, incident) if cache is not None else None
    incident.python  # noqa: B018 - a missing interpreter is said once, not of every build
    tip = repository.resolve(last)
    begin = repository.resolve(first) if first is not None else None
    # The threads of the two searches only wait for the pool, and are left last.
    with ThreadPoolExecutor(2) as threads, pool_of(executor) as pool:
        shown = repository.resolve(around) if around is not None else None
        runner = Runner(incident, repository, tip, begin, kept, pool, run, progress, shown or tip)
        return _search(runner, seeds, shown, threads)


@interruptible
def search_if_any(incident: Incident, *, executor: Executor | None = None, progress: Hears = silent) -> History | None:
    """As :func:`history_of`; None for an application without a history."""
    return None if builds_of(incident) is None else history_of(incident, executor=executor, progress=progress)


@interruptible
def history_of(
    incident: Incident,
    *,
    first: str | None = None,
    last: str | None = None,
    cache: str | Path | None = None,
    anew: bool = False,
    executor: Executor | None = None,
    progress: Hears = silent,
) -> History:
    """Search an incident's own history, beginning with the builds that could have made its log.

    :param cache: where results and the repository of an incident's patches are kept; by default the user's cache
    :param anew: run every build, and keep no result
    :raises IncidentError: the application has no history, or no such revision
    """
    repository = builds_of(incident, cache)
    if repository is None:
        raise IncidentError(
            f"{incident.file}: app: {incident.app.root} is a folder without a history. Give app.repository (a git "
            "repository), or history (a folder of patches, as `git format-patch --root` writes them)."
        )
    seeds: list[str] = []
    if incident.log is not None:
        try:
            triaged = triage(incident.resolve(incident.log), repository, error=incident.expect.error)
            seeds = [build.sha for build in triaged.builds]
        except IncidentError as error:
            progress(f"the log gives no hint: {error}")
    newest, around = default_range(incident, repository)
    return history(
        incident,
        repository,
        last=last or newest,
        first=first or None,
        around=around,
        seeds=seeds,
        cache=None if anew else cache_folder(cache),
        executor=executor,
        progress=progress,
    )


def _search(runner: Runner, seeds: Sequence[str], around: str | None, threads: Executor) -> History:
    repository, tip, begin = runner.repository, runner.tip, runner.begin
    seeds = [sha for sha in seeds if sha in runner.commits and (begin is None or sha != begin)]
    notes = []
    if repository.shallow:
        notes.append("The repository is a shallow clone: what came before its oldest commits is not known.")
    around = around if around in runner.commits else None
    runner.ask([around or (seeds[-1] if seeds else tip), tip, *([begin] if begin else [])])  # side by side
    bad, good = _find_bad(runner, seeds, around)
    if bad is None:
        because = "none of the builds that were run shows the incident"
        nowhere = Boundary(None, because)
        return _history(runner, None, nowhere, nowhere, (), notes)
    runner.reference = runner.seen[bad]
    searches = threads.submit(_introduced, runner, bad, seeds), threads.submit(_fixed, runner, bad, good, seeds)
    introduced, fixed = (search.result() for search in searches)
    claims = _claims(runner, introduced, bad)
    return _history(runner, bad, introduced, fixed, claims, notes)


def _find_bad(runner: Runner, seeds: Sequence[str], around: str | None) -> tuple[str | None, str | None]:
    """A commit that reproduces, and one after it that is known not to.

    The one said to reproduce comes first, then the log's builds, then the newest; then doubling steps back
    from there along first parents.
    """
    tip, repository = runner.tip, runner.repository
    good = tip if runner.verdict(tip) == HEALTHY else None
    for sha in dict.fromkeys([*([around] if around else []), *seeds[-1:], *seeds[:1], tip]):
        if runner.verdict(sha) == REPRODUCES:
            return sha, good
    line = repository.order("--first-parent", around or tip, *(["--not", runner.begin] if runner.begin else []))
    step = 1
    while line and step // 2 < len(line) - 1:
        sha = line[min(step, len(line) - 1)]
        verdict = runner.verdict(sha)
        if verdict == REPRODUCES:
            return sha, good
        good = sha if verdict == HEALTHY else good
        step *= 2
    return None, good


def _first_of(runner: Runner, wanted: str, new: str, old: list[str], hints: Sequence[str], *, path, spent) -> Boundary:
    """The first commit with the verdict ``wanted``, among the ancestors of ``new``, which has it.

    :param old: commits known not to have it; their ancestors are taken not to have it either
    :param hints: commits to try first, as long as the bound on the number of builds holds
    :param path: only descendants of ``old``: what never had the incident says nothing of its end
    :param spent: builds that were started for this boundary before
    """
    skipped: set[str] = set()
    limit = size = None
    misses = 0
    how = ["--bisect-all", *(["--ancestry-path"] if path else [])]
    while True:
        left = runner.repository.order(*how, new, *(["--not", *old] if old else []))
        if limit is None:
            size = len(left)
            limit = _halvings(size) + 2
        others = [sha for sha in left if sha != new]
        if not others:
            return Boundary(new, "", (), spent, size)
        able = [sha for sha in others if sha not in skipped]
        # Builds that fail of their surroundings, as of a server that is not there, tell nothing however many are run.
        if not able or misses > limit or len(skipped) > 2 * limit:
            tried = [sha for sha in others if sha in skipped]
            names = ", ".join(sha[:9] for sha in tried[:5])
            because = f"{len(tried)} builds between cannot be run for another reason ({names})"
            why = judge(runner.seen[tried[0]], runner.reference)[1]
            untried = f", and the others of these {len(others)} were not tried: {why}"
            because += untried if able else "; it came with one of them or with the next"
            return Boundary(None, because, (*others, new), spent, size)
        hint = next((sha for sha in hints if sha in able), None)
        if hint is not None and spent + 1 + _halvings(len(left) - 1) <= limit:
            sha = hint
        else:
            # Away from what cannot run: its neighbours often cannot either.
            sha = able[min(len(able) - 1, len(able) - (len(able) >> misses))]
        spent += 1
        verdict = runner.verdict(sha)
        if verdict == UNTESTABLE:
            skipped.add(sha)
            misses += 1
        elif verdict == wanted:
            new, misses = sha, 0
        else:
            old, misses = [*old, sha], 0


def _halvings(count: int) -> int:
    return max(0, count - 1).bit_length()


def _introduced(runner: Runner, bad: str, seeds: Sequence[str]) -> Boundary:
    begin, repository = runner.begin, runner.repository
    spent = 1
    if begin is not None:
        spent += 1
        verdict = runner.verdict(begin)
        if verdict != HEALTHY:
            says = "already reproduces" if verdict == REPRODUCES else "cannot be run"
            return Boundary(None, f"the range begins with {begin[:9]}, which {says}: begin earlier", (), spent)
    hints = list(runner.commits[seeds[-1]].parents) if seeds and bad in seeds else []
    hints += brought(repository, runner.commits, bad, runner.seen[bad].path)
    old = [begin] if begin is not None else []
    boundary = _first_of(runner, REPRODUCES, bad, old, hints, path=False, spent=spent)
    if boundary.first is None:
        return boundary
    parents = runner.commits[boundary.first].parents
    if boundary.first in repository.cut:
        because = f"{boundary.first[:9]} reproduces, and it is where the shallow clone ends: fetch more of the history"
        return Boundary(None, because, (boundary.first,), boundary.runs, boundary.size)
    because = "it reproduces and its parents do not" if len(parents) > 1 else "it reproduces and its parent does not"
    because = because if parents else "it is the first commit of all, and reproduces"
    return Boundary(boundary.first, because, (), boundary.runs, boundary.size)


def _fixed(runner: Runner, bad: str, good: str | None, seeds: Sequence[str]) -> Boundary:
    repository, tip = runner.repository, runner.tip
    spent = 1
    if good is None:
        if runner.judged(tip) == REPRODUCES:
            return Boundary(None, f"it still reproduces in {tip[:9]}, the newest of the range", (), spent)
        # The newest cannot be run: one that can, between those that cannot and the last that reproduces.
        line = repository.order("--first-parent", "--ancestry-path", tip, "--not", bad)
        newer, older, step = 0, len(line), 1
        while older - newer > 1:
            middle = newer + step if newer + step < older else (newer + older) // 2
            verdict = runner.verdict(line[middle])
            spent, step = spent + 1, step * 2
            if verdict == HEALTHY:
                good = line[middle]
                break
            newer, older = (middle, older) if verdict == UNTESTABLE else (newer, middle)
        if good is None:
            because = f"{tip[:9]}, the newest of the range, cannot be run for another reason"
            return Boundary(None, because, (), spent)
    if not repository.is_ancestor(bad, good):
        because = f"{good[:9]} was not made from {bad[:9]}, which reproduces: on that line it never was there"
        return Boundary(None, because, (), spent)
    hints = []
    if seeds and bad in seeds:
        # Those made from the newest that could have made the log, then that one: in this order both fit the bound.
        hints = [*(sha for sha, commit in runner.commits.items() if seeds[0] in commit.parents), seeds[0]]
    hints += took_out(repository, runner.commits, bad, good, runner.seen[bad].path)
    boundary = _first_of(runner, HEALTHY, good, [bad], hints, path=True, spent=spent)
    because = "it no longer reproduces, and its parent does" if boundary.first else boundary.because
    return Boundary(boundary.first, because, boundary.between, boundary.runs, boundary.size)


def _claims(runner: Runner, introduced: Boundary, bad: str) -> tuple[Claim, ...]:
    """Commits after the introducing one that claim the fix, each run with its parent."""
    start = introduced.first or bad
    later = runner.repository.commits(runner.tip, "--not", start)
    names = runner.reference.names if runner.reference else ()
    claiming_commits = claiming(runner.repository, runner.incident, later, names)[:_MOST_CLAIMS]
    runner.ask([sha for commit, _, _ in claiming_commits for sha in (commit.sha, *commit.parents[:1])])
    claims = []
    for commit, because, says in claiming_commits:
        before = runner.judged(commit.parents[0]) if commit.parents else UNTESTABLE
        after = runner.judged(commit.sha)
        verdict = {
            (REPRODUCES, HEALTHY): "fixed it",
            (HEALTHY, HEALTHY): "changed nothing",
            (REPRODUCES, REPRODUCES): "did not fix it",
            (HEALTHY, REPRODUCES): "brought it back",
        }.get((before, after), "undecided")
        claims.append(Claim(commit, because, says, before, after, verdict))
    return tuple(claims)


def _history(runner: Runner, bad: str | None, introduced: Boundary, fixed: Boundary, claims, notes) -> History:
    repository, commits = runner.repository, runner.commits

    def change(boundary: Boundary, side: str) -> Change | None:
        if boundary.first is None:
            return None
        commit = commits[boundary.first]
        # The ways as they were where it reproduces: with the introducing commit, before the fixing one.
        where = [commit.sha] if side == "after" else list(commit.parents)
        shown = [runner.seen[sha] for sha in where if sha in runner.seen and runner.seen[sha].shown]
        seen = shown[0] if shown else runner.reference
        return change_of(repository, commit, seen.path if seen else (), side=side)

    builds = []
    for sha, commit in commits.items():
        if sha in runner.seen:
            verdict, because = judge(runner.seen[sha], runner.reference)
            builds.append(Build(commit, verdict, because, sha in runner.from_kept))
    return History(
        first=runner.begin,
        last=commits[runner.tip],
        commits=len(commits),
        reproduced=commits[bad] if bad else None,
        introduced=change(introduced, "after"),
        fixed=change(fixed, "before"),
        when_introduced=introduced,
        when_fixed=fixed,
        builds=tuple(builds),
        claims=claims,
        runs=runner.runs,
        kept=len(runner.from_kept),
        notes=tuple(notes),
    )
