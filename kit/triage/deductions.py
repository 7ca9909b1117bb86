"""Deductions from a log and a source, each with its reason.

Nothing is run. A question that the evidence does not decide is reported as undecided.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..incident.repository import Commit, Repository
from ..incident.source import decoded
from ..incident.source_tables import Definition, Tables, read_tables
from ..incident.sources import files_below
from .logs import Traceback

_DEFINED = re.compile(r"Table '(?P<table>[^']+)' is already defined for this MetaData")
_CLASS = re.compile(r"class (?P<name>\w+)\b")
_MOST = 5  # named in one sentence
_LARGEST = 4 << 20  # bytes of a source file


@dataclass(frozen=True)
class Deduction:
    """A sentence and its reason; ``decided`` is False if the sentence says that a question stays open."""

    says: str
    because: str
    decided: bool = True


def deduce(
    traceback: Traceback,
    frames: Sequence,
    worktree_matches: bool | None,
    builds: Sequence[Commit],
    excluded: Sequence,
    commits: int,
    *,
    repository: Repository | None,
    work_tree: Path | None,
) -> tuple[Deduction, ...]:
    """Every deduction, from which build it was to which definition must be the other one.

    :param frames: ``FrameResult`` values, of the work tree
    :param excluded: ``Excluded`` values
    """
    deductions = [*_of_work_tree(frames, worktree_matches, work_tree)]
    if repository is not None and commits:
        deductions += _of_builds(builds, excluded, commits, repository)
    deductions += _missing_classes(frames, work_tree)
    table, site = _collision(traceback, frames)
    if table is not None:
        run = _earlier_run(traceback, frames, site) if site is not None else None
        deductions += _of_tables(table, site, run, builds, worktree_matches, repository, work_tree)
    return tuple(deductions)


def _of_work_tree(frames, matches: bool | None, work_tree: Path | None) -> list[Deduction]:
    if work_tree is None:
        return []
    compared = [frame for frame in frames if frame.matches is not None]
    if matches is None:
        says = "Undecided whether the work tree made the log"
        return [Deduction(says, "no frame of the log has a file of the application with a source line", False)]
    if matches:
        places = ", ".join(f"{frame.frame.file}:{frame.frame.line}" for frame in compared)
        return [Deduction("The work tree could have made the log", f"each of its lines is there: {places}")]
    wrong = [str(frame.differs) for frame in frames if frame.differs]
    return [Deduction("The work tree is not what made the log", "; ".join(wrong[:_MOST]))]


def _of_builds(builds, excluded, commits: int, repository: Repository) -> list[Deduction]:
    deductions = []
    if builds:
        which = f"Only {len(builds)} of" if len(builds) < commits else "All"
        names = ", ".join(map(str, builds[:_MOST])) + (f" and {len(builds) - _MOST} more" if builds[_MOST:] else "")
        says = f"{which} {commits} commits could have made the log: {names}"
        deductions.append(Deduction(says, "every line is in them"))
    elif not excluded:
        says = "Undecided which commit made the log"
        deductions.append(Deduction(says, "no frame of it has a source line that commits can be asked for", False))
    for neighbour in excluded:
        differs = "; ".join(str(differ) for differ in neighbour.differs[:_MOST])
        if neighbour.side == "all":
            hint = ", or older than this shallow clone" if repository.shallow else ""
            says = f"None of the {commits} commits made the log: it comes from a build that is not in this repository{hint}"
            deductions.append(Deduction(says, f"the one that comes nearest is {neighbour.nearest}: {differs}"))
        else:
            side = "later" if neighbour.side == "after" else "earlier, or on other branches,"
            those = f"{neighbour.nearest} and {side} could not have made the log"
            which = those if neighbour.count > 1 else f"{neighbour.nearest} could not have made it"
            count = f"{neighbour.count} commit{'s' if neighbour.count > 1 else ''}"
            deductions.append(Deduction(f"{which} ({count})", differs))
    return deductions


def _missing_classes(frames, work_tree: Path | None) -> list[Deduction]:
    """Frames inside a class statement whose file no longer has that class."""
    deductions = []
    for frame in frames:
        named = _CLASS.match(frame.frame.text or "")
        file = work_tree / frame.frame.file if work_tree is not None else None
        if not named or frame.matches is not False or file is None or not file.is_file():
            continue
        if not re.search(rf"^\s*class {named['name']}\b", decoded(file.read_bytes()), re.MULTILINE):
            says = f"{frame.frame.file} of the work tree is not the file that ran"
            because = f"the log has it at line {frame.frame.line} in class {named['name']}, and it holds no such class"
            deductions.append(Deduction(says, because))
    return deductions


def _collision(traceback: Traceback, frames):
    """The table that was defined a second time, and the frame of the application that defined it."""
    for raised in reversed(traceback.raised):
        named = _DEFINED.search(raised.text or "")
        if named:
            passed = {(frame.file, frame.line) for frame in raised.frames}
            of_application = [result.frame for result in frames if (result.frame.logged, result.frame.line) in passed]
            # A schema's name stands before a dot, and elsewhere in the source.
            return named["table"].rpartition(".")[2], of_application[-1] if of_application else None
    return None, None


@dataclass(frozen=True)
class _EarlierRun:
    """A module's run that an exception ended before the module ran again: its last line, the error, the line that ran it again."""

    line: int
    error: str
    again: str


def _earlier_run(traceback: Traceback, frames, site) -> _EarlierRun | None:
    """The earlier run of ``site``'s module that an exception of the same chain ended; None if the log shows none.

    A traceback begins where its exception was caught: what it passed through below that had ended. Frames that a later
    exception has below the same place were begun after that.
    """
    for earlier, later in zip(traceback.raised, traceback.raised[1:], strict=False):
        if later.link not in ("context", "cause") or not earlier.frames:
            continue
        caught = (earlier.frames[0].file, earlier.frames[0].function)
        at = next((n for n, frame in enumerate(later.frames) if (frame.file, frame.function) == caught), None)
        ended = [frame for frame in earlier.frames[1:] if (frame.file, frame.function) == (site.logged, "<module>")]
        if at is None or not ended:
            continue
        for before, following in zip(later.frames[at:], later.frames[at + 1 :], strict=False):
            if (following.file, following.line, following.function) == (site.logged, site.line, "<module>"):
                shown = {(frame.frame.logged, frame.frame.line): frame.frame.file for frame in frames}
                between = later.frames[at : later.frames.index(following)]
                by = next((f for f in reversed(between) if (f.file, f.line) in shown), before)
                again = f"{shown.get((by.file, by.line), by.file)}:{by.line}"
                return _EarlierRun(ended[-1].line, str(earlier).splitlines()[0], again)
    return None


def _of_tables(table, site, run, builds, worktree_matches, repository, work_tree) -> list[Deduction]:
    sources, where = _sources(builds, worktree_matches, repository, work_tree)
    if sources is None:
        says = f"Undecided where {table} is defined"
        return [Deduction(says, "no source that is at hand could have made the log", False)]
    tables = read_tables(sources, table)
    here = _definition_at(site, tables) if site is not None else None
    if run is not None:
        twice = Deduction(
            f"{site.file} ran twice: its first run failed at line {run.line}",
            f"there {run.error} ended it, and while that was handled {run.again} had it run again, to line {site.line}",
        )
        if here is not None and here.always and not here.again and here.line < run.line:
            other = Deduction(
                f"The other definition must be the same one, {here}, in the first run",
                f"that run had passed line {here.line} when it failed at line {run.line}, and its table stayed",
            )
            return [twice, _count(table, tables, where), other]
    elif here is not None:
        # Every table of that file matters, not only the one that was rejected.
        whole = read_tables({here.file: sources[here.file]}).in_file(here.file)
        twice = _ran_twice(table, here, whole)
    else:
        unseen = f"the log's last line of the application is no definition of {table} that the text alone shows"
        twice = Deduction(f"Undecided whether the module that defines {table} ran twice", unseen, False)
    return [twice, _count(table, tables, where), _other(table, here, twice.decided and run is None, tables, where)]


def _sources(builds, worktree_matches, repository: Repository | None, work_tree: Path | None):
    """The Python files of the newest build that can have written the log, else of the work tree if it can have."""
    if builds and repository is not None:
        files = repository.files(builds[0].sha)
        objects = repository.objects(list(files.values()))
        small = {object_[0] for object_ in objects if object_ and object_[2] <= _LARGEST}
        contents = repository.contents(small)
        return {path: contents[sha] for path, sha in files.items() if sha in contents}, f"in {builds[0]}"
    if worktree_matches and work_tree is not None:
        return dict(_python_files(work_tree)), "in the work tree"
    return None, ""


def _python_files(root: Path):
    for path in sorted(path for path in files_below(root) if path.endswith(".py")):
        file = root / path
        try:
            if file.stat().st_size <= _LARGEST:
                yield path, file.read_bytes()
        except OSError:
            continue


def _definition_at(site, tables: Tables) -> Definition | None:
    # A class with decorators is reported at one of them by some versions of Python.
    below = 0 if _CLASS.match(site.text or "") else 5
    here = [definition for definition in tables.in_file(site.file) if 0 <= definition.line - site.line <= below]
    return next((definition for definition in here if definition.line == site.line), next(iter(here), None))


def _ran_twice(table: str, here: Definition, whole: Sequence[Definition]) -> Deduction:
    alike = [d for d in whole if d.line < here.line and d.base == here.base and d.always and not d.again]
    before = [definition for definition in alike if definition.table not in (None, table)]
    if before and here.always:
        first = before[0]
        return Deduction(
            f"{here.file} did not run twice: another definition of {table} was there before it",
            f"it defines {first.table} (line {first.line}) before {table} (line {here.line}); in a second run, under "
            f"whatever name, {first.table} would have been rejected first",
        )
    why = f"{table} is the first table that {here.file} defines"
    why = why if here.always else f"{here} is not at the top level of its module"
    says = f"Undecided whether {here.file} ran twice or another definition of {table} exists"
    return Deduction(says, f"{why}: either would look the same in the log", False)


def _count(table: str, tables: Tables, where: str) -> Deduction:
    named, open_ = tables.of(table), _open(table, tables)
    if not named:
        says = f"No definition in the source names {table}"
        return Deduction(says, f"{where}, no __tablename__, Table(...) or mixin reads so{open_}", not open_)
    times = {1: "once", 2: "twice"}.get(len(named), f"{len(named)} times")
    says = f"The source defines {table} {times}: {', '.join(map(str, named))}"
    return Deduction(says, f"read {where} without running it{open_}", not open_)


def _other(table: str, here: Definition | None, another: bool, tables: Tables, where: str) -> Deduction:
    others = [definition for definition in tables.of(table) if definition != here]
    open_ = _open(table, tables)
    if here is not None and another and len(others) == 1 and not open_:
        only = f"{where} it is the only other place that names {table}, no name is computed, and the log proves another"
        return Deduction(f"The other definition must be {others[0]}", only)
    listed = ", ".join(map(str, others))
    because = f"{where} {listed} names it as well, and the log alone does not show that it was used"
    if not others:
        because = f"{where} nothing else names it: a library, reflection or a second run may have{open_}"
    elif len(others) > 1 or open_:
        because = f"{where} it can be any of {listed}{open_}"
    return Deduction(f"Undecided which definition of {table} was the other one", because, False)


def _open(table: str, tables: Tables) -> str:
    """The end of a sentence: what the sources leave open."""
    computed, unread = tables.computed(table), tables.unread
    parts = []
    if computed:
        listed = ", ".join(map(str, computed[:_MOST])) + (" and others" if len(computed) > _MOST else "")
        parts.append(f"undecided for names that are computed: {listed}")
    if unread:
        parts.append(f"undecided for files that this Python cannot parse: {', '.join(unread[:_MOST])}")
    return f"; {'; '.join(parts)}" if parts else ""
