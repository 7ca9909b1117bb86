"""What the end of a startup says of its state: every step succeeded, nothing was swallowed, every mapper configures."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from .chains import executed_by_alembic
from .trace import Trace
from .values import Mapper, Swallowed

_MOST = 5  # sentences shown of a long list
# Of what is caught where it is raised nothing shows: what is said to be missing says where it was looked for.
LOOKED_AT = "that left a module, was logged, or was printed"
HANDLED = ", or that a broad `except` caught in another function"  # CPython tells of it from 3.12 on


@dataclass(frozen=True)
class Answer:
    """What came of a GET for one route.

    :ivar status: None: nothing came
    :ivar error: what the server printed of it, or why nothing came
    :ivar late: nothing came in time, which decides nothing
    """

    path: str
    status: int | None
    error: str = ""
    late: bool = False

    @property
    def fails(self) -> bool:
        return not self.late and (self.status is None or self.status >= 500)

    @property
    def came(self) -> str:
        return str(self.status or "nothing") + (f" ({self.error})" if self.error else "")

    def __str__(self) -> str:
        return f"{self.path} answers {self.came}"


@dataclass(frozen=True)
class CheckResult:
    """One check: ``ok`` is None where it could not be decided; ``seen`` is what was there, or why nothing could be seen."""

    check: str
    ok: bool | None
    seen: str
    tables: tuple[str, ...] = ()  # what a failed check is about, where that is known
    kind: str = ""
    behind: bool = False  # of migrations: not at head, or not compared, so that of tables it tells nothing
    answers: tuple[Answer, ...] = ()  # of routes: those that were asked


def judge_start(trace: Trace, known: Iterable[str] = ()) -> CheckResult:
    """Every step succeeded and nothing was swallowed; ``known`` errors are passed over.

    Undecided where nothing is wrong but that the run was ended from outside.
    """
    known = set(known)
    steps = [step for step in trace.steps if not step.ok]
    if trace.cut:
        steps = [step for step in steps if step.ok is False and not (step.broke and step.broke.from_outside)]
    failed = [f"step {step.number} ({step}): {step.error or 'did not run'}" for step in steps]
    new_ones = [error for error in trace.swallowed if str(error.error) not in known]
    caught = [f"swallowed at {where_caught(trace, error)}: {error.error}" for error in new_ones]
    failed += dict.fromkeys(caught)  # one that is caught again and again is told once
    if trace.cut and not failed:
        return CheckResult("clean_start", None, f"the run broke: {trace.broke}", kind="clean_start")
    new = " new" if trace.swallowed else ""
    seen = listed(failed) if failed else f"every step succeeded, nothing{new} was swallowed {looked_at(trace)}"
    return CheckResult("clean_start", not failed, seen, kind="clean_start")


def looked_at(trace: Trace) -> str:
    """Where a swallowed error would have been seen, as the end of a sentence."""
    version = re.match(r"(\d+)\.(\d+)", trace.provenance.get("python") or "")
    lately = version and (int(version[1]), int(version[2])) >= (3, 12)
    handled = lately and trace.provenance.get("implementation") == "cpython"
    return LOOKED_AT + (HANDLED if handled else "")


def where_caught(trace: Trace, error: Swallowed) -> str:
    """Where a swallowed error was raised, and what became of it: who caught it, or that it was only logged or printed."""
    catcher = trace.catcher(error)
    became = [f"caught at {catcher}" if catcher else None, error.how if error.how in ("logged", "printed") else None]
    return f"{error.site}" + (f" ({', '.join(filter(None, became))})" if any(became) else "")


def judge_mappers(trace: Trace, tables: Sequence[str] = ()) -> CheckResult:
    """Every mapper configures, its table is in its metadata, and no table has two mapped classes that do not inherit from each other."""
    result = partial(CheckResult, "mappers", kind="mappers")
    if not trace.judged:
        if trace.whole and not any(import_.module == "sqlalchemy.orm" for import_ in trace.imports):
            return result(True, "no process loaded sqlalchemy.orm: there is nothing to configure")
        long = next((reason for reason in trace.lost if reason.startswith("judging the mappers took")), None)
        return result(None, long or "the processes ended before their mappers could be tried" + _how_far(trace))
    frozen = executed_by_alembic_modules(trace)
    problems, about, classes_seen = [], set(), set()
    lost: dict[str, str] = {}  # what metadata.clear() and remove() leave behind: a class to its table
    for judged in trace.judged:
        if judged.error is not None:
            problems.append(f"configure_mappers(): {judged.error}")
        by_table: dict[str, list[Mapper]] = {}
        for mapper in judged.mappers:
            classes_seen.add(str(mapper))
            if not mapper.ok:
                problems.append(f"class {mapper} is not mapped")
            if mapper.orphans:
                columns = ", ".join(mapper.orphans)
                problems.append(f"{mapper} maps columns that table {mapper.table} replaced: {columns}")
                about.add(mapper.table)
            elif not mapper.held and mapper.metadata and mapper.module not in frozen:
                lost[f"{mapper} ({mapper.table})"] = mapper.table
            if mapper.table and not mapper.inherits:
                by_table.setdefault(mapper.table, []).append(mapper)
        for table, classes in sorted(by_table.items()):
            apart = [c for c in classes if c.module in frozen and sum(o.metadata == c.metadata for o in classes) == 1]
            classes = [c for c in classes if c not in apart]
            met = sum(1 for r in trace.registrations if r.process == judged.process and r.table == table) > 1
            one_metadata = met and len({c.metadata for c in classes}) < len(classes)
            if len(classes) > 1 and (one_metadata or table in tables and not _views(classes)):
                problems.append(f"{len(classes)} mapped classes for table {table}: {' and '.join(map(str, classes))}")
                about.add(table)
    problems = list(dict.fromkeys(problems))
    if lost:
        named = ", ".join(list(lost)[:_MOST]) + (f" and {len(lost) - _MOST} more" if len(lost) > _MOST else "")
        maps = "1 mapped class has" if len(lost) == 1 else f"{len(lost)} mapped classes have"
        problems.append(f"{maps} a table that is no longer in its MetaData: {named}")
        about.update(lost.values())
    if problems:
        return result(False, listed(problems), tuple(sorted(about)))
    if not classes_seen and not trace.whole:
        return result(None, "no class was mapped" + _how_far(trace))
    count = f"{len(classes_seen)} mapped class{'es configure' if len(classes_seen) != 1 else ' configures'}"
    seen = f"{count}, one per table"
    # Classes that were seen are right; of those that a run from outside kept away nothing is known.
    return result(None if trace.cut else True, seen + _how_far(trace))


def _how_far(trace: Trace) -> str:
    """That a startup did not come to its end, and where that was, as the end of a sentence; nothing where it did."""
    ended = next((step for step in trace.steps if not step.ok), None)
    return "" if ended is None else f", as far as the startup came: step {ended.number} did not succeed"


def executed_by_alembic_modules(trace: Trace) -> set[str]:
    """Modules that Alembic executed: what a revision declares on a base of its own is how a table once was, on purpose."""
    return {import_.module for import_ in trace.imports if executed_by_alembic(import_)}


def _views(classes: Sequence[Mapper]) -> bool:
    """Could these be views of one table on purpose, each on a metadata of its own: are its columns among the widest's?"""
    widest = max((set(mapper.columns) for mapper in classes), key=len)
    return all(set(mapper.columns) <= widest for mapper in classes)


def listed(sentences: Sequence[str]) -> str:
    """Sentences in one line; the end of a long list as a count."""
    more = len(sentences) - _MOST
    return "; ".join(sentences[:_MOST]) + (f"; and {more} more" if more > 0 else "")


def answers_in_words(answers: Sequence[Answer], kept_from: Sequence[str] = (), unasked: int = 0) -> str:
    """What was asked and what answered, as one sentence.

    :param kept_from: routes that are not asked since their names say that they end or take away something
    :param unasked: how many routes were not asked, those among them
    """
    alike: dict[str, list[str]] = {}
    for answer in sorted(answers, key=lambda answer: (answer.fails, answer.status or 0)):
        alike.setdefault(answer.came, []).append(answer.path if answer.fails or answer.late else "")
    kinds = [f"{len(them)} answer {came}" + (f": {listed(them)}" if them[0] else "") for came, them in alike.items()]
    out_of = f" of {len(answers) + unasked}" if unasked else ""
    words = f"GET asked of {len(answers)}{out_of} routes without a parameter: " + "; ".join(kinds)
    return words + (f"; not asked for what their names say: {', '.join(kept_from[:_MOST])}" if kept_from else "")
