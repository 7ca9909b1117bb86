"""The smallest reproduction: the shortest list of imports and calls that still fails the same way."""

import re
import shlex
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from ..base.known_secrets import says_secret, secrets_in
from ..base.redact import redact
from ..incident.model import Expect, Incident
from ..incident.steps import Step
from ..startup.run import reproduce
from ..trace.values import Frame, Registration, Trace

_MOST_RUNS = 40
_MOST_CALLS = 3  # functions that are tried by themselves


@dataclass(frozen=True)
class Smallest:
    """Steps that fail as the startup does, none of which can be left out, and how to run them by hand.

    Where nothing shorter was found, ``steps`` are the startup's own and ``command`` is empty; ``runs`` is what it cost.
    ``command`` gives the variables without which it does not fail so, and those that name a database the application reads.
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
    executor: Executor,
    progress: Callable[[str], None] = lambda text: None,
) -> Smallest:
    """Delta debugging over runs: from the modules that were imported before the second registration down to the few needed.

    A run fails the same way when the same two statements register the same table, in that order.

    :param read: variables that the application's files name: of these, one that holds the database is always given
    """
    runs = 0

    def fails(steps: Sequence[Step], variables: Sequence[str] | None = None) -> bool:
        nonlocal runs
        runs += 1
        progress(
            f"smallest reproduction: run {runs}, {len(steps)} step{'s' * (len(steps) != 1)} (at most {_MOST_RUNS} runs)"
        )
        return executor.submit(_same_failure, incident, tuple(steps), first, second, variables).result()

    def any_of(candidates: Sequence[Sequence[Step]]) -> Sequence[Step] | None:
        """The first of several lists that fails, tried side by side."""
        nonlocal runs
        runs += len(candidates)
        futures = [executor.submit(_same_failure, incident, tuple(c), first, second) for c in candidates]
        answers = [one.result() for one in futures]
        return next((c for c, failed in zip(candidates, answers, strict=True) if failed), None)

    # What mostly suffices: the two modules, or the one that imports both; then all imports, then what the startup calls.
    guesses, calls = _guesses(trace, first, second), _calls(incident, first, second)
    start = any_of(guesses) if guesses else None
    if start is None:
        everything = _everything(incident, trace, second)
        start = everything if everything and fails(everything) else None
        if start is None and calls:
            start = any_of([*([one] for one in calls), [*everything, *calls]])
    if start is None:
        own = tuple(incident.startup)
        return Smallest(own, "", runs, "no list of imports and calls in one interpreter fails the same way")
    steps = shrink(list(start), fails, lambda: runs < _MOST_RUNS)
    variables = list(dict.fromkeys((incident.database_env, *incident.app.env)))
    # Without a variable of these the application may reach the database that it names by default.
    holding = {incident.database_env} | {name for name, value in incident.app.env.items() if "{database_" in value}
    free = [one for one in variables if one not in holding.intersection(read)]
    if free and runs < _MOST_RUNS:
        needed = [one for one in variables if one not in free]
        if fails(steps, needed):
            variables = needed
        else:
            kept = shrink(free, lambda some: fails(steps, [*needed, *some]), lambda: runs < _MOST_RUNS)
            variables = [one for one in variables if one in needed or one in kept]
    note = "" if runs < _MOST_RUNS else "stopped at the most runs allowed"
    return Smallest(tuple(steps), paste(incident, steps, variables), runs, note)


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


def _same_failure(
    incident: Incident,
    steps: tuple[Step, ...],
    first: Registration,
    second: Registration,
    variables: Sequence[str] | None = None,
) -> bool:
    """Do these steps make the same two statements register the same table, in that order?

    :param variables: those that are set; None for all of the incident file's
    """
    tried = incident.model_copy(update={"startup": list(steps), "expect": Expect(), "checks": []})
    if variables is not None:
        env = {name: value for name, value in incident.app.env.items() if name in variables}
        named = incident.database_env if incident.database_env in variables else "INCIDENT_UNREAD"
        app = incident.app.model_copy(update={"env": env})
        tried = tried.model_copy(update={"app": app, "database_env": named})
    trace = reproduce(tried)
    for one in trace.registrations:
        if (one.table, one.outcome) == (second.table, second.outcome) and _place(one) == _place(second):
            held = trace.holder(one)
            if held is not None and _place(held) == _place(first):
                return True
    return False


def _place(one: Registration) -> tuple:
    return one.site.file, one.site.line, one.site.name


def _importable(module: str | None) -> bool:
    return (
        bool(module) and bool(re.fullmatch(r"\w+(\.\w+)*", module)) and module not in ("__main__", "__mp_main__", "?")
    )


def _step(module: str) -> Step:
    return Step.model_validate({"import": module})


def _guesses(trace: Trace, first: Registration, second: Registration) -> list[list[Step]]:
    by_path = {one.module for one in trace.imports if one.how in ("loader", "exec")}
    names = [one.frame.module for one in (first, second)]
    lists = []
    if all(_importable(name) and name not in by_path for name in names):
        lists = [[names[1]], names] if names[0] != names[1] else [[names[0]]]
    return [[_step(name) for name in chosen] for chosen in lists]


def _calls(incident: Incident, first: Registration, second: Registration) -> list[Step]:
    """The functions by which the application was entered on the ways to the two, as ``create_app``: as steps that call them.

    With the arguments that a command line gives them, where one does.
    """
    found: dict[str, Step] = {}
    texts = [*(one.text for one in incident.startup if one.kind in ("serve", "command")), *incident.app.env.values()]
    given = [one for text in texts for one in re.findall(r"(?<![\w.])([\w.]+:\w+)(\([^()]*\))", text)]
    for chain in (first.chain, second.chain):
        before: Frame | None = None
        for frame in chain:
            # From a library, or from the file that was started, which has no name to import it by.
            entered = frame.application and (before is None or not (before.application and _importable(before.module)))
            before = frame
            if not entered or not _importable(frame.module) or not frame.function.isidentifier():
                continue
            name = f"{frame.module}:{frame.function}"
            arguments = next((one for target, one in given if target == name and one != "()"), None)
            if arguments is None:
                found.setdefault(name, Step.model_validate({"call": name}))
            else:
                text = f"import {frame.module}; {frame.module}.{frame.function}{arguments}"
                found.setdefault(name, Step.model_validate({"code": text}))
    return list(found.values())[:_MOST_CALLS]


def _everything(incident: Incident, trace: Trace, second: Registration) -> list[Step]:
    """Every module of the application that was imported by name before the second registration, then the startup's own steps."""
    modules = [
        one.module
        for one in trace.imports
        if one.application
        and one.how == "import"
        and one.process == second.process
        and one.began < second.at
        and _importable(one.module)
    ]
    own = [step for step in incident.startup if step.in_process]
    return [_step(name) for name in dict.fromkeys(modules)] + own


def paste(incident: Incident, steps: Sequence[Step], variables: Sequence[str] | None = None) -> str:
    """One line for a shell in the application's folder, where ``python`` is the application's own.

    It gives the variables of ``app.env`` too; of one that is or may hold a secret the name, with ``…``.

    :param variables: those that are given; None for all
    """
    parts = []
    for step in steps:
        if step.kind == "import":
            parts.append(f"import {step.text}")
        elif step.kind == "call":
            module, _, name = step.text.partition(":")
            parts.append(f"import {module}; {module}.{name}()")
        else:
            parts.append(step.text)
    folders = [str(Path(entry)) for entry in incident.app.path]
    where = "" if folders == ["."] and incident.app.workdir == "." else f"PYTHONPATH={shlex.quote(':'.join(folders))} "
    driver = f"+{incident.database_driver}" if incident.database_driver else ""
    url = f"sqlite{driver}://" if incident.database == "sqlite" else f"postgresql{driver}://localhost/scratch"
    values = {incident.database_env: url}
    values |= {name: _plain(name, value, url) for name, value in incident.app.env.items() if name not in values}
    own = "".join(
        f"{name}={value} "
        for name, value in values.items()
        if (variables is None or name in variables) and not (name == "PYTHONPATH" and where)
    )
    return f"{own}{where}python -c {shlex.quote('; '.join(parts))}"


def _plain(name: str, value: str, url: str) -> str:
    """A variable's value for a shell, or ``…`` where it may be a secret or only the kit can fill it in."""
    value = value.replace("{database_url}", url)
    hidden = says_secret(name) or any(secrets_in(name, value)) or redact(value) != value
    return "…" if hidden or re.search(r"\{database_\w+\}", value) else shlex.quote(value)
