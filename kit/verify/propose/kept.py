"""What a change has to leave as it was: tables, routes, the names of endpoints, and the pages that answer."""

import ast
import re
from collections.abc import Mapping
from dataclasses import replace

from ...incident.source import parsed
from ...trace.end_state import Answer, CheckResult
from ...trace.trace import Trace
from ..attempts import words_of
from ..verification import FixResult

_QUOTED = re.compile(r"['\"]([\w./-]+)['\"]|: ([\w.]+)")


def nothing_lost(result: FixResult, before: Trace) -> FixResult:
    """A fix after which a table is defined no more, or a route mounted no more, that was there before, breaks."""
    if result.verdict != "cures":
        return result
    for kind, there in (("table", _tables), ("route", _routes)):
        lost = sorted(there(before) - there(result.trace))
        if lost:
            because = f"{kind} {', '.join(lost[:3])} was there before, and is missing now"
            return breaks(result, f"every {kind} is still there", because)
    return result


def breaks(result: FixResult, check: str, because: str) -> FixResult:
    checks = (*result.checks, CheckResult(check, False, because, kind="kept"))
    return replace(result, verdict="breaks", because=because, checks=checks)


def _tables(trace: Trace) -> set[str]:
    """The tables that the application itself defines, or tried to."""
    registrations = (r for r in trace.registrations if r.application and r.frame.application)
    return {r.table for r in registrations if r.outcome != "reflected" and not r.removed}


def _routes(trace: Trace) -> set[str]:
    """What requests and callers ask for: the path of a route, whatever the name of its endpoint; the name of a task."""
    entries = (entry for entry in trace.entries if entry.frame.application)
    served = (entry for entry in entries if entry.kind in ("route", "endpoint", "task"))
    return {entry.more[0] if entry.kind == "endpoint" and entry.more else entry.key for entry in served}


def endpoints_kept(result: FixResult, edits: Mapping[str, str], sources: Mapping[str, str]) -> FixResult:
    """A fix that takes the name of an endpoint from where it is asked for, while the endpoint keeps it, breaks that page."""
    mounted = {entry.key for entry in result.trace.entries if entry.kind == "endpoint"}
    for file, text in edits.items() if result.verdict == "cures" and mounted else ():
        before, after = _texts(sources.get(file, "")), _texts(text)
        renamed = {name.rpartition(".")[2] for name in after - before - mounted}
        lost = sorted(name for name in (before - after) & mounted if name.rpartition(".")[2] in renamed)
        if lost:
            because = f"{file} asks for the endpoint {lost[0]} under another name, which no endpoint has"
            return breaks(result, "every endpoint is asked for by its name", because)
    return result


def _texts(source: str) -> set[str]:
    nodes = ast.walk(parsed(source))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def answers_of(result: FixResult) -> dict[str, Answer]:
    """What each route that was asked answered, where a server was up."""
    return {answer.path: answer for check in result.checks for answer in check.answers}


def touched(answers: list[Answer], change: str, trace: Trace) -> list[Answer]:
    """The answers whose route or error names what a change writes, takes away or renames; those without an error among them.

    :param change: a patch, or what is set otherwise
    :param trace: of the build with the change
    """
    words = words_of(change) or set(re.findall(r"\w+", change))
    blueprints = {entry.object: entry.key for entry in trace.entries if entry.kind == "blueprint made"}
    registered = [entry for entry in trace.entries if entry.kind == "blueprint"]
    words |= {blueprints.get(it.object, it.key) for it in registered if blueprints.get(it.object) != it.key}
    endpoints = {entry.more[0]: entry.key for entry in trace.entries if entry.kind == "endpoint" and entry.more}

    def names(answer: Answer) -> set[str]:
        quoted = " ".join(map(" ".join, _QUOTED.findall(answer.error)))
        return set(re.findall(r"\w+", f"{quoted} {answer.path} {endpoints.get(answer.path, '')}"))

    return [answer for answer in answers if not answer.error or names(answer) & words]


def settled(
    result: FixResult, change: str, others: Mapping[str, Mapping[str, Answer]], hidden: str | None
) -> FixResult | None:
    """The verdict on a fix with which a route fails that nobody asked before, by what it answers in other builds.

    :param others: by the name of a build what its routes answered
    :param hidden: the one among them in which the error is only hidden
    :returns: None where only such a build can tell, and none was asked
    """
    failing = [answer for answer in answers_of(result).values() if answer.fails]
    for answer in failing:
        for name, answers in others.items():
            other = answers.get(answer.path)
            if other is not None and other.status is not None and not other.fails:
                because = f"{answer}, and {other.status} with {name}"
                return breaks(result, "every route answers that answers in another build", because)
    if any(answer.path not in others.get(hidden or "", {}) for answer in touched(failing, change, result.trace)):
        return None
    alike = all(any(answer.path in answers for answers in others.values()) for answer in failing)
    unnamed = "and neither its path nor its error names what the change touches: nothing else tells whether it answered before"
    why = "as in every other build that serves" if alike else unnamed
    says = f"{result.because}; {failing[0]}, {why}"
    checks = tuple(replace(check, ok=True) if check.answers else check for check in result.checks)
    return replace(result, because=says, checks=checks)
