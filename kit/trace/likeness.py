"""Do two startups of one build show the same?"""

import re
from collections.abc import Iterator
from typing import Any

from .chains import application_frames
from .expected import stable
from .trace import Trace

_NUMBER = re.compile(r"\d+")


def difference(trace: Trace, other: Trace) -> str | None:
    """The first thing that one shows and the other does not, in a few words; None where they show the same.

    Whatever differs from run to run is left out: times, processes, ports, addresses, the workspace's name. So is the way by which
    packages came to be imported.
    """
    for (what, shown), (_, again) in zip(_shown(trace), _shown(other), strict=True):
        if shown != again:
            differing = [str(item) for item in [*shown, *again] if item not in shown or item not in again]
            return f"{what}: {differing[0][:200] if differing else 'in another order'}"
    return None


def _shown(trace: Trace) -> Iterator[tuple[str, list[Any]]]:
    """What a startup shows, kind by kind, in its order."""
    steps = [(step.number, step.ok, _text(step.error), step.broke and step.broke.kind) for step in trace.steps]
    yield "steps", steps
    yield "output", [_text(line) for step in trace.steps for line in step.output.splitlines()]
    own = [import_ for import_ in trace.imports if import_.application]
    yield "imports", [(it.module, it.file, str(it.by), it.again, it.how, it.error and str(it.error)) for it in own]
    yield "packages", sorted({it.module for it in trace.imports if not it.application})
    yield "metadata", [(it.label, str(it.site)) for it in trace.metadata if it.application]
    for name in ("registrations", "entries"):
        values = [(_is_own(trace, value), _of_registration(value)) for value in getattr(trace, name)]
        yield name, [shown for application, shown in values if application]
        yield f"{name} by packages", sorted(str(shown[:2]) for application, shown in values if not application)
    yield "swallowed errors", [(stable(str(it.error)), str(it.site), it.how) for it in trace.swallowed]
    yield "log records", [(it.logger, it.level, _text(it.text), it.lost, str(it.site)) for it in trace.records]
    yield "silenced loggers", [(it.loggers, str(it.site)) for it in trace.silenced]
    yield "created tables", [(it.metadata, it.table, it.step) for it in trace.created]
    yield "cleared metadata", [(it.metadata, _way(it.chain)) for it in trace.cleared]
    yield "engines", [(it.driver, it.asynchronous, str(it.site), it.on_scratch) for it in trace.engines]
    yield "mappers", [(it.step, it.error and str(it.error), it.mappers) for it in trace.judged]
    yield "refused", sorted({_text(it["what"]) for it in trace.refused})
    yield "signs", [(it.kind, it.text, it.table) for it in trace.signs]


def _of_registration(value: Any) -> tuple:
    what = (value.table, value.outcome, value.metadata.label) if hasattr(value, "table") else (value.kind, value.key)
    own = value.frame.application
    return *what, str(value.frame) if own else "", value.step, _way(value.chain) if own else ()


def _is_own(trace: Trace, value: Any) -> bool:
    """Did the application do it, and no package while it was imported?"""
    within = trace.import_of(value.within)
    return value.frame.application and (within is None or within.application)


def _way(chain) -> tuple[str, ...]:
    return tuple(map(str, application_frames(chain)))


def _text(text: str | None) -> str:
    return _NUMBER.sub("0", stable(text or ""))
