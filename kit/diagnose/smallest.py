"""The smallest reproduction: the shortest list of imports and calls that still fails the same way.

An anytime search: it stops at a number of runs and of seconds, and gives the shortest list that it has by then.
"""

import re
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path

from ..base.known_secrets import says_secret, secrets_in
from ..base.progress import Hears, silent
from ..base.redact import redact
from ..incident.model import Incident
from ..incident.steps import Step
from ..startup.kept_runs import keeps
from ..trace.trace import Trace
from ..trace.values import Frame, Registration
from .observation import RACES, only, ran_of
from .registered_twice import Pair, judge

_MOST_CALLS = 3  # functions that are tried by themselves
_QUICK = 20.0  # seconds that a search may always take
_SOMEWHERE = -1  # a step that nothing tells
_STARTUPS = 2.0  # and as many times the startup's own time, where that is more


@dataclass
class Budget:
    """What a search may cost: runs, and seconds from now on."""

    runs: int = 40
    seconds: float = float("inf")
    spent: int = 0
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def beside(cls, trace: Trace) -> "Budget":
        """A search that does not keep a person waiting for much longer than the startup did."""
        took = sum(step.seconds or 0 for step in trace.steps)
        return cls(seconds=max(_QUICK, _STARTUPS * took))

    @property
    def left(self) -> bool:
        return self.spent < self.runs and time.monotonic() - self.began < self.seconds


@dataclass(frozen=True)
class Smallest:
    """Steps that fail as the startup does, none of which can be left out, and how to run them by hand.

    Where nothing shorter was found, ``steps`` are the startup's own and ``command`` is empty; ``runs`` is what it cost.
    ``command`` gives the variables without which it does not fail so, and those that name a database the application reads.
    ``note`` says what kept the search from its end.
    """

    steps: tuple[Step, ...]
    command: str
    runs: int
    note: str = ""


def reduce_startup(
    incident: Incident,
    trace: Trace,
    first: Registration,
    second: Registration,
    *,
    read: Collection[str] = (),
    budget: Budget | None = None,
    begun: Mapping[tuple, Future[int]] = {},  # noqa: B006 - only read
    known: Callable[[Sequence[Step]], None] = lambda steps: None,
    executor: Executor,
    progress: Hears = silent,
) -> Smallest:
    """Delta debugging over runs, from what lies on the ways to the two registrations down to the few steps needed.

    A run fails the same way when the same two statements register the same table, in that order.

    :param read: variables that the application's files name: of these, one that holds the database is always given
    :param budget: runs and seconds; by default what a person waits for beside the startup
    :param begun: what :func:`begin_tries` gave
    :param known: hears the steps, before it is tried which variables they need
    """
    budget = budget or Budget.beside(trace)
    tries = _Tries((incident, first, second), budget, begun, executor, progress)
    lists = _starts(incident, trace, first, second)
    failing = (tries.first_that_fails(candidates) for candidates in lists if budget.left)
    start = next((steps for steps in failing if steps), None)
    if start is None:
        why = "no tried list of imports and calls in one interpreter fails in the same way"
        if not budget.left:
            why = "no shorter list was found in the time that the search may take; --smallest full searches on"
        return Smallest(tuple(incident.startup), "", budget.spent, why)
    steps = shrink(list(start), tries.fails, lambda: budget.left)
    known(steps)
    variables = _needed_variables(incident, steps, read, tries.fails, budget)
    note = "" if budget.left else "stopped at what the search may take; --smallest full searches on"
    return Smallest(tuple(steps), paste(incident, steps, variables), budget.spent, note)


def begin_tries(incident: Incident, trace: Trace, executor: Executor) -> dict[tuple, Future[int]]:
    """Begin with the lists that mostly suffice for two registrations that collide, before a smallest reproduction is searched.

    The other order first: it also tells what the hypothesis of the order asks. None is begun where it may be a race.
    """
    both = next(((it.first, it.second) for it in trace.conflicts if it.first is not None), None)
    if both is None or judge(Pair(trace, *both)).mechanism in RACES:
        return {}
    lists, at = map(tuple, reversed(_by_modules(trace, *both))), tuple(it.at for it in both)
    return {(steps, *at): executor.submit(_fails_at, incident, steps, *both, None, keeps()) for steps in lists}


class _Tries:
    """Lists of steps that are run, and those of which an earlier run tells already: what a longer list begins with went as it does alone."""

    def __init__(self, about: tuple, budget: Budget, begun, executor: Executor, progress):
        self.about = about  # the incident and the two registrations
        self.budget, self.begun, self.executor, self.progress = budget, begun, executor, progress
        self.failed_at: dict[tuple, int] = {}  # variables and steps that were run -> the step that failed so, or 0

    def fails(self, steps: Sequence[Step], variables: Sequence[str] | None = None) -> bool:
        known = self._known(steps, variables)
        if known is None:
            self.budget.spent += 1
            steps_text = f"{len(steps)} step{'s' * (len(steps) != 1)} (at most {self.budget.runs} runs)"
            self.progress(f"smallest reproduction: run {self.budget.spent}, {steps_text}")
            self._remember([steps], variables)
        return bool(self._known(steps, variables))

    def first_that_fails(self, candidates: Sequence[Sequence[Step]]) -> Sequence[Step] | None:
        """The first of several lists that fails, tried side by side, as far as it is needed for that."""
        self.budget.spent += len(candidates)
        self._remember(candidates, None)
        failing = ((steps, self._known(steps, None)) for steps in candidates)
        return next((steps[:at] for steps, at in failing if at), None)

    def _remember(self, candidates: Sequence[Sequence[Step]], variables: Sequence[str] | None) -> None:
        incident, first, second = self.about
        begun = self.begun if variables is None else {}
        futures = [
            begun.get((tuple(steps), first.at, second.at))
            or self.executor.submit(_fails_at, incident, tuple(steps), first, second, variables)
            for steps in candidates
        ]
        for steps, future in zip(candidates, futures, strict=True):
            self.failed_at[_named(variables), tuple(steps)] = future.result()

    def _known(self, steps: Sequence[Step], variables: Sequence[str] | None) -> int | None:
        """The step at which these fail, 0 where they do not, None where no run tells."""
        for (names, longer), at in self.failed_at.items():
            if names == _named(variables) and longer == tuple(steps):
                return len(steps) if at == _SOMEWHERE else at
            if names == _named(variables) and longer[: len(steps)] == tuple(steps) and at != _SOMEWHERE:
                return at if at <= len(steps) else 0
        return None


def _named(variables: Sequence[str] | None) -> frozenset[str] | None:
    return None if variables is None else frozenset(variables)


def _starts(incident: Incident, trace: Trace, first: Registration, second: Registration) -> Iterable[list[list[Step]]]:
    """Lists of steps to begin with, those that mostly suffice first; the lists of one row are tried side by side."""
    modules = _by_modules(trace, first, second)
    if modules:
        yield modules
    on_the_ways = _on_the_ways(trace, first, second)
    if len(on_the_ways) > 1:
        yield [on_the_ways]
    everything = _everything(incident, trace, second)
    if everything and everything != on_the_ways:
        yield [everything]
    calls = _calls(incident, first, second)
    if calls:
        yield [*([call] for call in calls), [*everything, *calls]]


def _needed_variables(incident: Incident, steps, read: Collection[str], fails, budget: Budget) -> list[str]:
    """The variables without which the steps do not fail so."""
    variables = list(dict.fromkeys((incident.database_env, *incident.app.env)))
    # Without a variable of these the application may reach the database that it names by default.
    holding = {incident.database_env} | {name for name, value in incident.app.env.items() if "{database_" in value}
    free = [name for name in variables if name not in holding.intersection(read)]
    if not free or not budget.left:
        return variables
    needed = [name for name in variables if name not in free]
    if fails(steps, needed):
        return needed
    kept = shrink(free, lambda some: fails(steps, [*needed, *some]), lambda: budget.left)
    return [name for name in variables if name in needed or name in kept]


def shrink(items: list, fails: Callable[[list], bool], may_go_on: Callable[[], bool] = lambda: True) -> list:
    """Delta debugging (Zeller and Hildebrandt, 2002): a part of ``items`` that fails and of which no item can be left out."""
    parts = 2
    while len(items) > 1 and may_go_on():
        size = max(1, len(items) // parts)
        for start in range(0, len(items), size):
            rest = items[:start] + items[start + size :]
            if rest and may_go_on() and fails(rest):
                items, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(items))
    return items


def _fails_at(
    incident: Incident,
    steps: tuple[Step, ...],
    first: Registration,
    second: Registration,
    variables: Sequence[str] | None = None,
    past: bool = False,
) -> int:
    """The number of the step in which the same two statements register the same table, in that order; 0 where none does.

    ``_SOMEWHERE`` where a thread does.

    :param variables: those that are set; None for all of the incident file's
    :param past: where they fail for something else, run them once more, going on past it, for who asks for that run next
    """
    tried = only(incident, steps)
    if variables is not None:
        env = {name: value for name, value in incident.app.env.items() if name in variables}
        named = incident.database_env if incident.database_env in variables else "INCIDENT_UNREAD"
        app = incident.app.model_copy(update={"env": env})
        tried = tried.model_copy(update={"app": app, "database_env": named})
    trace = ran_of(tried).trace
    for registration in trace.registrations:
        same = (registration.table, registration.outcome) == (second.table, second.outcome)
        if same and _site(registration) == _site(second):
            held = trace.holder(registration)
            if held is not None and _site(held) == _site(first):
                numbers = (re.fullmatch(r"<step (\d+)>", frame.file) for frame in registration.chain)
                return next((int(number[1]) for number in numbers if number), _SOMEWHERE)
    if past and not all(step.ok for step in trace.steps) and all(it.table != second.table for it in trace.conflicts):
        ran_of(tried, go_on=True)
    return 0


def _site(registration: Registration) -> tuple:
    return registration.site.file, registration.site.line, registration.site.name


def _importable(module: str | None) -> bool:
    return module not in ("__main__", "__mp_main__") and re.fullmatch(r"\w+(\.\w+)*", module or "") is not None


def _step(module: str) -> Step:
    return Step.model_validate({"import": module})


def _by_path(trace: Trace) -> set[str]:
    """Modules that were executed by a path, and not imported by their name."""
    return {import_.module for import_ in trace.imports if import_.how in ("loader", "exec")}


def _by_modules(trace: Trace, first: Registration, second: Registration) -> list[list[Step]]:
    """The two modules that register the table, in both orders: so each of them stands alone at first; or the one that holds both."""
    by_path = _by_path(trace)
    names = list(dict.fromkeys(registration.frame.module for registration in (first, second)))
    if not all(_importable(name) and name not in by_path for name in names):
        return []
    return [[_step(name) for name in chosen] for chosen in ([names, names[::-1]] if names[1:] else [names])]


def _on_the_ways(trace: Trace, first: Registration, second: Registration) -> list[Step]:
    """The modules whose lines lead to the two registrations, in the order in which they began."""
    by_path = _by_path(trace)
    leading = [frame.module for registration in (first, second) for frame in registration.chain if frame.application]
    names = dict.fromkeys(name for name in leading if _importable(name) and name not in by_path)
    return [_step(name) for name in names]


def _calls(incident: Incident, first: Registration, second: Registration) -> list[Step]:
    """The functions by which the application was entered on the ways to the two, as ``create_app``: as steps that call them.

    With the arguments that a command line gives them, where one does.
    """
    calls: dict[str, Step] = {}
    texts = [*(step.text for step in incident.startup if step.kind in ("serve", "command")), *incident.app.env.values()]
    written = [call for text in texts for call in re.findall(r"(?<![\w.])([\w.]+:\w+)(\([^()]*\))", text)]
    for chain in (first.chain, second.chain):
        before: Frame | None = None
        for frame in chain:
            # From a library, or from the file that was started, which has no name to import it by.
            entered = frame.application and (before is None or not (before.application and _importable(before.module)))
            before = frame
            if not entered or not _importable(frame.module) or not frame.function.isidentifier():
                continue
            name = f"{frame.module}:{frame.function}"
            arguments = next((text for target, text in written if target == name and text != "()"), "")
            code = f"import {frame.module}; {frame.module}.{frame.function}{arguments}"
            calls.setdefault(name, Step.model_validate({"code": code} if arguments else {"call": name}))
    return list(calls.values())[:_MOST_CALLS]


def _everything(incident: Incident, trace: Trace, second: Registration) -> list[Step]:
    """Every module of the application that was imported by name before the second registration, then the startup's own steps."""
    by_name = [i for i in trace.imports if i.application and i.how == "import" and i.process == second.process]
    modules = [import_.module for import_ in by_name if import_.began < second.at and _importable(import_.module)]
    steps_of_startup = [step for step in incident.startup if step.in_process]
    return [_step(name) for name in dict.fromkeys(modules)] + steps_of_startup


def paste(incident: Incident, steps: Sequence[Step], variables: Sequence[str] | None = None) -> str:
    """One line for a shell in the application's folder, where ``python`` is the application's own.

    It gives the variables of ``app.env`` too; of one that is or may hold a secret the name, with ``…``.

    :param variables: those that are given; None for all
    """
    of_kind = {"import": "import {0}", "call": "import {1}; {1}.{2}()"}
    parts = [of_kind.get(step.kind, "{0}").format(step.text, *step.text.partition(":")[::2]) for step in steps]
    folders = [str(Path(entry)) for entry in incident.app.path]
    plain = not folders or folders == ["."] and incident.app.workdir == "."
    where = "" if plain else f"PYTHONPATH={shlex.quote(':'.join(folders))} "
    driver = f"+{incident.database_driver}" if incident.database_driver else ""
    url = f"sqlite{driver}://" if incident.database == "sqlite" else f"postgresql{driver}://localhost/scratch"
    values = {incident.database_env: url}
    values |= {name: _plain(name, value, url) for name, value in incident.app.env.items() if name not in values}
    shown = {name: value for name, value in values.items() if variables is None or name in variables}
    environment = "".join(f"{name}={value} " for name, value in shown.items() if not (name == "PYTHONPATH" and where))
    return f"{environment}{where}python -c {shlex.quote('; '.join(parts))}"


def _plain(name: str, value: str, url: str) -> str:
    """A variable's value for a shell, or ``…`` where it may be a secret or only the kit can fill it in."""
    value = value.replace("{database_url}", url)
    hidden = says_secret(name) or any(secrets_in(name, value)) or redact(value) != value
    return "…" if hidden or re.search(r"\{database_\w+\}", value) else shlex.quote(value)
