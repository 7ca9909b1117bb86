"""What is wrong with a startup and that no error of it shows: the signs that ``expect`` asks for, put to its trace."""

from dataclasses import replace

from ..incident.model import Incident
from ..trace.expected import EXPECTED, own_errors
from ..trace.judged import CheckResult, judge_mappers
from ..trace.trace import Trace
from ..trace.values import Sign
from .case import Fault


def with_signs(
    incident: Incident,
    trace: Trace,
    checks: tuple[CheckResult, ...],
    expected: CheckResult | None,
    fault: Fault | None,
) -> Trace:
    """The trace with the signs that ``expect`` asks for; those of checks that it has already stay.

    :param checks: as far as they were asked
    :param expected: the result of the check that the incident is
    :param fault: the mechanism that was decided, where it rejects no table
    """
    signs = [sign for sign in trace.signs if sign.kind != "mechanism"]
    by_the_kit = broken_by_the_kit(trace)
    if expected is not None and expected.ok is False and not by_the_kit:
        signs.append(Sign(EXPECTED, expected.check, seen=expected.seen))
    if incident.expect.empty and not by_the_kit:
        # Of the start itself the trace's own errors tell, and which of them the kit made.
        failed = [check for check in checks if check.ok is False and check.kind != "clean_start"]
        if judge_mappers(trace).ok is False and not any(check.kind == "mappers" for check in failed):
            signs.append(Sign("mappers", "mappers"))
        signs += [
            Sign("mappers" if check.kind == "mappers" else "check", check.check, seen=check.seen) for check in failed
        ]
    if incident.expect.error is None and incident.expect.check is None and fault is not None and fault.error is None:
        signs.append(Sign("mechanism", fault.mechanism, fault.table))
    return replace(trace, signs=tuple(dict.fromkeys(signs)))


def broken_by_the_kit(trace: Trace) -> bool:
    """Did a step fail for something that the kit made, so that what fails after it says nothing?"""
    failed = [step for step in trace.steps if step.ok is False]
    return bool(failed or trace.broke) and not any(True for _ in own_errors(trace))


def may_race(trace: Trace) -> bool:
    """Did several processes of one serving step execute the same module of the application, and did nothing break?"""
    if trace.cut:
        return False
    serving = {f"step {step.number}" for step in trace.steps if step.kind == "serve"}
    ran: dict[tuple[str, str], set[int]] = {}
    for import_ in trace.imports:
        if import_.application and import_.file and import_.step in serving and import_.how != "exec":
            ran.setdefault((import_.step, import_.file), set()).add(import_.process)
    return any(len(processes) > 1 for processes in ran.values())
