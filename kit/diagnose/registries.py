"""Names that are taken twice in a registry of a library: metrics, blueprints, endpoints, tasks, schemas, models."""

import re
from collections.abc import Callable

from ..trace.values import Entry, Metadata, Registration, Site
from .case import Case, Fault, Place
from .mechanisms import judge
from .pair import Pair

_UNIQUE = ("metric", "blueprint", "endpoint", "task", "schema", "model")
_TWICE = ("Duplicated timeseries in CollectorRegistry", "is already registered for", "overwriting an existing endpoint")
_TWICE += ("Multiple classes with name", "Conflicting '")


def name_taken(case: Case) -> Fault | None:
    """A name came to a registry a second time, and an error says so: by which mechanism, or by two statements."""
    error = next((failure for failure in case.failures if any(text in failure.text for text in _TWICE)), None)
    if error is None:
        return None
    held: dict[tuple, Entry] = {}
    for entry in case.trace.entries:
        key = (entry.process, entry.kind, entry.registry, entry.key)
        first = held.setdefault(key, entry)
        short = entry.key.split(".")[-1]
        if first is entry or entry.kind not in _UNIQUE or short not in error.text or first.object == entry.object != 0:
            continue
        pair = Pair(case.trace, _as_registration(first), _as_registration(entry))
        sites = tuple(Place.of(role, twin.frame, entry.key) for role, twin in (("first", first), ("second", entry)))
        sites += tuple(Place.of("definition", twin.definition) for twin in (first, entry) if twin.definition)
        known = f"the {entry.kind} {entry.key} is registered at {first.frame} and again at {entry.frame}: {error}"
        if not pair.one_definition:
            return Fault("name-taken-in-registry", (known,), sites=sites, error=error)
        finding = judge(pair)
        return Fault(finding.mechanism, (known, finding.because[-1]), sites=sites, against=finding.against, error=error)
    return None


def _as_registration(entry: Entry) -> Registration:
    """An entry in the form that the mechanisms of tables are asked about."""
    frame = entry.frame
    return Registration(
        table=entry.key,
        process=entry.process,
        step=entry.step,
        thread=entry.thread,
        metadata=Metadata(entry.process, entry.registry, f"the registry of {entry.kind}s", None, (), True),
        outcome="registered",
        site=Site(frame.file, frame.line, frame.module, entry.key),
        frame=frame,
        real=entry.real,
        chain=entry.chain,
        within=entry.within,
        class_=None,
        class_module=None,
        named=True,
        columns=0,
        at=entry.at,
    )


def route_shadowed(case: Case) -> Fault | None:
    """A route that an earlier one answers for: the same path and method, by another function."""
    held: dict[tuple, list[Entry]] = {}
    for entry in case.trace.entries:
        if entry.kind != "route" or not entry.frame.application or entry.definition is None:
            continue
        earlier = held.setdefault((entry.process, entry.registry), [])
        for first in earlier:
            if (
                set(first.more) & set(entry.more)
                and first.definition != entry.definition
                and _covers(first.key, entry.key)
            ):
                because = (
                    f"{entry.frame} gives {entry.key} to {entry.definition.name} ({entry.definition}), and {first.frame} had given "
                    f"{first.key} to {first.definition.name} ({first.definition}) before: the first that fits answers",
                )
                sites = (
                    Place.of("answers", first.frame, first.key),
                    Place.of("never reached", entry.frame, entry.key),
                    Place.of("first endpoint", first.definition),
                    Place.of("second endpoint", entry.definition),
                )
                return Fault("route-shadowed", because, sites=sites)
        earlier.append(entry)
    return None


def _covers(first: str, second: str) -> bool:
    """Does every request for the second path fit the first?"""
    if first == second:
        return True
    parts, other = first.strip("/").split("/"), second.strip("/").split("/")
    plain = [re.fullmatch(r"\{\w+\}|<\w+>", part) is not None for part in parts]
    fits = (p or a == b for p, a, b in zip(plain, parts, other, strict=False))
    return len(parts) == len(other) and any(plain) and not any(part[:1] in "{<" for part in other) and all(fits)


MECHANISMS: tuple[Callable[[Case], Fault | None], ...] = (name_taken, route_shadowed)
