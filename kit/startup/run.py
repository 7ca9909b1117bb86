"""Runs an incident's startup in child processes with the probe, within limits, and gives its trace."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from ..base import interrupt
from ..base.errors import RunBroke
from ..base.progress import Hears, silent
from ..incident.deployments import stays_up
from ..incident.model import Incident, Limits
from ..trace.processes import Ended, ended_by
from ..trace.reader import read_trace
from ..trace.trace import Trace
from ..trace.values import Broke, Creation
from .migrations import KINDS, bring
from .ports import free_port
from .process import (
    LOOK,
    Process,
    beyond,
    command_line,
    end_at_limit,
    limit_of,
    outcome_of,
    printed_too_much,
    so_far,
    start,
    wait,
)
from .readiness import Readiness, answers_again
from .workspace import Workspace, workspace

HELD = 3  # seconds, less than the five after which SQLite's driver gives up on a lock
_POLL = 0.02  # seconds between looks whether a server answers
_DRIVER = "import sys; sys.__dict__.pop('_incident_steps')()"


@interrupt.interruptible
def reproduce(incident: Incident, *, patches: Sequence[Path] = (), **asked) -> Trace:
    """Run the startup once, in a workspace of its own, and give what was seen.

    :param patches: applied to the copy before it starts
    :param asked: what :func:`run_startup` is asked beside
    :raises IncidentError: a patch does not apply
    :raises RunBroke: before anything could run (no interpreter, no space); a run that breaks later
        gives a trace whose ``broke`` says why
    """
    with workspace(incident, patches) as space:
        return run_startup(incident, space, **asked)


def run_startup(
    incident: Incident,
    space: Workspace,
    *,
    judge: bool = False,
    go_on: bool = False,
    hold: str | None = None,
    while_up: Callable[[Workspace, int | None], None] | None = None,
    unless: Callable[[Trace], bool] | None = None,
    progress: Hears = silent,
) -> Trace:
    """As :func:`reproduce`, in a workspace that is already there.

    :param judge: when a process has ended its work, ask in a forked copy of it whether its mappers configure
    :param go_on: go on past failures: a rejected table takes the place of the first, a module's failing statement
        is passed over; what comes out is marked as such (``Trace.behind``) and is no picture of the real startup
    :param hold: each process waits before its first statement that begins so (or ``file NAME``, ``port``: before it makes or opens
        that) until another has come as far, or :data:`HELD` seconds
    :param while_up: called with the workspace and the served port (or None) after the last step, while
        what ``serve`` started is still up; also called when a step failed
    :param unless: it is not called where nothing is up, nor where this is so of the trace until then
    """
    before = _prepare(incident, space, progress)
    wanted = {"INCIDENT_JUDGE": judge, "INCIDENT_GO_ON": go_on, "INCIDENT_HOLD": hold and f"{HELD} {hold}"}
    orders = {name: str(value) for name, value in wanted.items() if value}
    # Consecutive import, call and code steps share one interpreter.
    together = groupby(enumerate(incident.startup, 1), lambda it: (it[1].in_process, not it[1].in_process and it[0]))
    groups = [list(group) for _, group in together]
    ended: list[Ended] = []
    silent: list[Process] = []  # servers that were up and answer no more
    port = None
    try:
        for group in groups:
            progress("; ".join(f"step {number}: {step}" for number, step in group))
            if group[0][1].kind == "serve":
                process, outcome = _serve(incident, space, group, orders)
                if outcome is None:
                    space.up.append(process)
                    port = process.port
                    continue
            else:
                outcome = _run_steps(incident, space, group, "startup", orders)
            ended.append(outcome)
            if outcome.why or not (outcome.ok or go_on):
                break
        silent = [process for process in space.up if not answers_again(process)]
        shown = unless is not None and (not space.up or unless(read_trace(incident, space, [*ended, *so_far(space)])))
        if while_up is not None and not shown:
            while_up(space, port)
    finally:
        up, space.up[:] = list(space.up), []
        for process in up:
            died, gone = process.ended(), any(mute is process for mute in silent)
            process.finish()
            why = _died(process) if died else Broke("died", "the server no longer answers") if gone else None
            outcome = outcome_of(process, ok=why is None, why=why)
            ended.append(outcome._replace(answering=space.asked.get(process.folder)))
    trace = read_trace(incident, space, sorted(ended, key=lambda outcome: outcome.steps[0][0]))
    return replace(trace, before=tuple(before))


def _prepare(incident: Incident, space: Workspace, progress: Hears) -> list[Creation]:
    """Run the steps under ``prepare``; what they created in the database.

    :raises RunBroke: one of them failed
    """
    before: list[Creation] = []
    for number, step in enumerate(incident.prepare, 1):
        progress(f"prepare {number}: {step}")
        if step.kind in KINDS:
            prepared = bring(incident, space, step, f"prepare-{number}").ended
        else:
            prepared = _run_steps(incident, space, [(number, step)], "prepare", {})
            created = read_trace(incident, space, [prepared]).created
            before += [replace(creation, step=f"prepare {number}") for creation in created]
        if prepared.why or not prepared.ok:
            printed = (path for name in ("stdout", "stderr") if (path := prepared.folder / name).exists())
            lines = "".join(path.read_text("utf-8", "replace") for path in printed).strip().splitlines()[-8:]
            raise RunBroke(
                f"{incident.file}: prepare {number}: {step}: {prepared.why or 'it failed'}. Steps under 'prepare' are not "
                "judged and must succeed. Its last lines:\n" + "\n".join(f"    {line}" for line in lines)
            )
    return before


def _died(process: Process) -> Broke:
    """How a server ended that should have stayed up."""
    status = process.answer["status"]
    code = None if status is None else os.waitstatus_to_exitcode(status)
    why = limit_of(process.answer) or (ended_by(-code) if code is not None and code < 0 else None)
    how = why.says if why is not None else "" if code is None else f"exit code {code}"
    says = "the server ended while it was asked" + (f" ({how})" if how else "")
    return Broke("died", says) if why is None else replace(why, says=says)


def _run_steps(incident: Incident, space: Workspace, group, phase: str, orders: dict[str, str]) -> Ended:
    limits = incident.limits
    process = _start_steps(space, group, limits, phase=phase, orders=orders)
    waits = any(step.kind == "command" and stays_up(step.text) for _, step in group)
    done = Readiness(process).rests if waits else None
    return wait(process, limits.seconds, limits, space, ask_where=True, done=done)


def _serve(incident: Incident, space: Workspace, group, orders: dict[str, str]) -> tuple[Process, Ended | None]:
    """Start a server and wait until it answers; an outcome only if it did not come up."""
    limits = incident.limits
    process = _start_steps(space, group, limits, orders=orders)
    free = shutil.disk_usage(space.folder).free
    look, readiness = 0.0, Readiness(process)
    try:
        # Asked less often the longer it takes: the wait adds at most a fiftieth.
        while not process.ended(max(_POLL, (time.monotonic() - process.started) / 50)):
            if readiness.up():
                return process, None
            if time.monotonic() < look:
                continue
            look = time.monotonic() + LOOK
            if readiness.ends_anew():
                process.finish()
                says = "its workers end as they start, and the server starts others for ever"
                return process, outcome_of(process, ok=False, why=Broke("died", says))
            why = beyond(process, limits.seconds, limits, space, free)
            if why:
                asked = end_at_limit(process, limits.seconds, limits, space, free)
                process.finish(kill=True)
                why = replace(why, says=f"no answer on its port; {why}")
                return process, outcome_of(process, ok=False, why=why, asked=asked)
    except BaseException:
        process.finish(kill=True)
        raise
    why = printed_too_much(process, limits) or (_died(process) if readiness.answered else None)
    return process, outcome_of(process, ok=False, why=why)


def _start_steps(space: Workspace, group, limits: Limits, *, phase="startup", orders: dict[str, str]) -> Process:
    """Start the traced process of one group of steps."""
    folder = space.folder / "trace" / f"{phase}-{group[0][0]}"
    environment = {**space.environment, **orders, "INCIDENT_TRACE": str(folder)}
    step, port = group[0][1], None
    if step.in_process:
        environment["INCIDENT_STEPS"] = repr([(number, member.kind, member.text) for number, member in group])
        argv = [space.python, "-c", _DRIVER]
    else:
        if step.kind == "serve":
            port = free_port()
            environment["PORT"] = str(port)
        argv = command_line(space.filled(step.text.replace("{port}", str(port))), space)
    process = start(argv, environment, folder, space, limits)
    process.steps, process.port = list(group), port
    return process
