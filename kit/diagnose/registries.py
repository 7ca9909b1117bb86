"""Names that are taken twice in a registry of a library: metrics, blueprints, endpoints, tasks, schemas, models."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from operator import attrgetter

from ..incident.source import nodes_at
from ..trace.routes import Route, endpoint_of, routes_of
from ..trace.trace import Trace
from ..trace.values import Entry, Error, Frame, Metadata, Registration, Site
from .experiments import (
    Judge,
    called_once,
    executed_once,
    failure,
    gone,
    with_class_renamed,
    with_keyword,
    with_line_before,
    with_replaced,
    with_swapped,
)
from .registered_twice import ONE_DEFINITION, judge
from .two_registrations import Pair
from .values import Case, Experiment, Fault, Place

_UNIQUE = ("metric", "blueprint", "endpoint", "task", "schema", "model", "app", "proto")
_ROUTING = {"route", "get", "post", "put", "patch", "delete", "add_url_rule", "add_resource"}
_TWICE = ("Duplicated timeseries in CollectorRegistry", "is already registered for", "overwriting an existing endpoint")
_TWICE += ("Multiple classes with name", "Conflicting '", "Application labels aren't unique")
_TWICE += ("into descriptor pool", "already defined in file")


def name_taken(case: Case) -> Fault | None:
    """A name came to a registry a second time, and an error says so: by which mechanism, or by two statements."""
    error = next((failure for failure in case.failures if any(text in failure.text for text in _TWICE)), None)
    if error is None:
        return None
    made = {(entry.process, entry.object): entry for entry in case.trace.entries if entry.kind.endswith(" made")}
    itself = "for this blueprint" in error.text
    held: dict[tuple, Entry] = {}
    for entry in case.trace.entries:
        key = (entry.process, entry.kind, entry.registry, entry.key)
        first = held.setdefault(key, entry)
        if first is entry or entry.kind not in _UNIQUE or not _is_named(entry, error):
            continue
        if (first.object == entry.object != 0) == itself:
            taken = (first, entry)
            return _taken(case, error, taken, [made.get((entry.process, entry.object)) for entry in taken])
    return None


def _is_named(entry: Entry, error: Error) -> bool:
    """Does an error say an entry's name, in full or by its last part? Of a file or message of protobuf only in full."""
    names = {entry.key, entry.key if entry.kind == "proto" else entry.key.split(".")[-1]}
    return any(re.search(rf"(?<![\w./]){re.escape(name)}(?![\w/])", error.text) for name in names)


def _taken(case: Case, error: Error, taken: tuple[Entry, Entry], made: list[Entry | None]) -> Fault:
    """The mechanism by which a name came twice: of what takes it, where that was made, else of the lines that register it."""
    first, second = taken
    if second.kind == "app":
        return _label_taken(case, error, first, second)
    apart = None not in made and made[0] is not made[1]
    pair = Pair(case.trace, *map(_as_registration, made if apart else taken))
    first, second, *made = (entry and _at_own_line(entry) for entry in (*taken, *made))
    sites = tuple(Place.of(role, entry.frame, entry.key) for role, entry in (("first", first), ("second", second)))
    known = f"the {second.kind} {second.key} is registered at {first.frame} and again at {second.frame}: {error}"
    functions = [entry.definition for entry in taken if entry.definition]
    two = len(functions) == 2 and functions[0][:2] != functions[1][:2]
    sites += tuple(Place.of("definition", it.frame, it.key) for it in made if it is not None and not two)
    sites += tuple(Place.of("definition", function) for function in functions)
    says_so = next(text for text in _TWICE if text in error.text)
    name = second.key if second.key.endswith(".proto") else second.key.split(".")[-1]
    twice = gone(says_so, name=name)
    if two or not pair.one_definition:
        makers = f"what takes it is made at {made[0].frame} and at {made[1].frame}" if apart else None
        makers = f"what takes it is defined at {functions[0]} and at {functions[1]}" if two else makers
        makers = makers or "two statements register it"
        run = renamed(case, (made[1] or second).frame, name, twice, endpoint=second.kind == "endpoint")
        against = {} if pair.one_definition else _against(judge(pair).against)
        more = {"sites": sites, "against": against, "error": error, "experiment": run}
        return Fault("name-taken-in-registry", (known, makers), **more)
    finding = judge(pair)
    because, against = (known, finding.because[-1]), _against(finding.against)
    ran, frame = not pair.in_function, pair.second.frame
    run = executed_once(case, frame.file, twice) if ran else called_once(case, frame, twice)
    return Fault(finding.mechanism, because, sites=sites, against=against, error=error, experiment=run)


def _at_own_line(entry: Entry) -> Entry:
    """An entry at the application's line, where that called the library's that registers it."""
    return replace(entry, frame=next((frame for frame in reversed(entry.chain) if frame.application), entry.frame))


def _against(facts: dict[str, str]) -> dict[str, str]:
    """What of the facts is true of every registry: those of how often a statement ran; the others are of tables."""
    of_executions = {"script-or-cell-run-again", *dict(ONE_DEFINITION)} - {"computed-table-name-collision"}
    return {slug: fact for slug, fact in facts.items() if slug in of_executions}


def _label_taken(case: Case, error: Error, first: Entry, second: Entry) -> Fault:
    """Two of Django's applications have one label: the texts in a list that name them, wherever the settings have it."""
    listed = sorted(
        (file, text.lineno, text.col_offset, text)
        for file in {import_.file for import_ in case.trace.imports if import_.application}
        for node in ast.walk(case.tree(file))
        if isinstance(node, ast.List | ast.Tuple | ast.Set)
        for text in node.elts
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    )
    places: list[tuple] = []
    for entry in (first, second):
        name = entry.more[0]
        fits = [item for item in listed if item not in places and f"{item[-1].value}.".startswith(f"{name}.")]
        places += sorted(fits, key=lambda item: item[-1].value != name)[:1]  # or by its class: shop.apps.Shop
    labelled = f"of {first.more[0]} and of {second.more[0]}"
    known = f"{second.key} is the label, by which Django knows an application, {labelled}: {error}"
    setup, listed = second.frame, "__import__('django.conf').conf.settings.INSTALLED_APPS"
    others = f"{listed} = [it for it in {listed} if not f'{{it}}.'.startswith('{second.more[0]}.')]"
    edited = with_line_before(case.sources.get(setup.file, ""), setup.line, others)
    twice = gone(f"labels aren't unique, duplicates: {second.key}")
    says = f"without {second.more[0]} in the INSTALLED_APPS that come to {setup}"
    run = Experiment(says, case.incident, twice, {setup.file: edited}) if edited is not None else None
    sites, because = (Place.of("setup", setup),), (known,)
    if len(places) == 2:
        both = zip(("first", "second"), places, (first, second), strict=True)
        sites = tuple(Place(role, file, line, entry.more[0]) for role, (file, line, *_), entry in both)
        because += (f"they are listed at {sites[0]} and at {sites[1]}",)
    return Fault("name-taken-in-registry", because, sites=sites, error=error, experiment=run)


def _both_run(name: str) -> Judge:
    def judge(trace: Trace) -> tuple[bool | None, str]:
        functions = {str(e.definition) for e in trace.entries if e.kind == "task" and e.key == name and e.definition}
        failed = failure(trace)
        says = f"; then {failed}" if failed else ", and every step succeeds"
        decided = len(functions) == 1 or (None if failed else False)
        return decided, f"the task {name} is {' and '.join(sorted(functions)) or 'no function'}{says}"

    return judge


def renamed(case: Case, site: Site | Frame, name: str, judge: Judge, *, endpoint: bool = False) -> Experiment | None:
    """The run in which what comes second has another name, whether its line writes the name or computes it.

    :param endpoint: it is one of Flask's, which has the name of its function where the line gives none
    """
    calls = nodes_at(case.tree(site.file), site.line, ast.Call)
    here = (node for call in calls for node in ast.walk(call) if isinstance(node, ast.Constant))
    packed = next((node for node in here if isinstance(node.value, bytes)), None)  # a file of protobuf
    routing = next((call for call in calls if getattr(call.func, "attr", "") in _ROUTING), None) if endpoint else None
    other, text, line, computed = f"{name}_of_its_own", case.sources.get(site.file, ""), site.line, False
    if packed is not None:  # the name keeps its length
        other, line = ("x" if name[0] != "x" else "y") + name[1:], packed.lineno
        edited = with_replaced(text, packed, repr(packed.value.replace(name.encode(), other.encode())))
    elif routing is not None:
        edited = with_keyword(text, routing, "endpoint", other)
    elif (edited := with_class_renamed(text, line, other)) is None and (computed := bool(calls)):
        copied = ast.parse(ast.unparse(calls[0]), mode="eval")
        edited = with_replaced(text, calls[0], ast.unparse(_Renaming(name, other).visit(copied)))
    if edited is None:
        return None

    def decides(trace: Trace) -> tuple[bool | None, str]:
        holds, seen = judge(trace)
        there = any(re.search(rf"\b{re.escape(other)}$", entry.key) for entry in trace.entries)
        if computed and not there:
            return None, f"nothing that {site.file}:{line} computes is {name}; {seen}"
        third = there and holds is False
        return (True, f"{other} is registered then, and a third one fails: {seen}") if third else (holds, seen)

    return Experiment(f"{other} in place of {name} at {site.file}:{line}", case.incident, decides, {site.file: edited})


class _Renaming(ast.NodeTransformer):
    """Each value that a call takes, with another name in its place where it turns out to be the name, begins with it or is its last part."""

    def __init__(self, name: str, other: str):
        longer = f"it.replace({name!r}, {other!r}, 1) if it.startswith({name + '_'!r}) else it"
        part = f"it + '_of_its_own' if {name!r}.endswith('_' + it) else {longer}"
        self.text = f"(lambda it: {other!r} if it == {name!r} else it if type(it) is not str else {part})"

    def visit_Call(self, call: ast.Call) -> ast.Call:
        self.generic_visit(call)
        for number, arg in enumerate(call.args):
            if isinstance(arg, ast.Starred):
                arg.value = self._changed("map({0}, {1})", arg.value)
            else:
                call.args[number] = self._changed("{0}({1})", arg)
        for keyword in call.keywords:
            form = "{0}({1})" if keyword.arg else "{{name: {0}(value) for name, value in ({1}).items()}}"
            keyword.value = self._changed(form, keyword.value)
        return call

    def _changed(self, form: str, value: ast.expr) -> ast.expr:
        return ast.parse(form.format(self.text, ast.unparse(value)), mode="eval").body


def task_defined_twice(case: Case) -> Fault | None:
    """Two functions are tasks of one name in one application: nothing is raised, and only one of them runs."""
    if case.failures or case.incident.expect.error is not None:
        return None
    files = {import_.file for import_ in case.trace.imports if import_.application}
    held: dict[tuple, Entry] = {}
    for entry in case.trace.entries:
        if entry.kind != "task" or entry.definition is None or entry.definition.file not in files:
            continue
        first = held.setdefault((entry.process, entry.registry, entry.key), entry)
        if first.definition[:2] == entry.definition[:2]:
            continue
        # Which comes first differs from run to run.
        first, entry = sorted((first, entry), key=lambda task: task.definition[:2])
        because = (
            f"{first.definition.name} at {first.definition} and {entry.definition.name} at {entry.definition} are both the task "
            f"{entry.key} of one application: only one of them can be it, and nothing is raised",
        )
        sites = tuple(Place.of(role, task.definition) for role, task in (("first", first), ("second", entry)))
        experiment = renamed(case, entry.definition, entry.key, _both_run(entry.key))
        return Fault("name-taken-in-registry", because, sites=sites, experiment=experiment)
    return None


def _as_registration(entry: Entry) -> Registration:
    """An entry in the form that the mechanisms of tables are asked about."""
    frame, of_both = entry.frame, ("process", "step", "thread", "frame", "real", "chain", "within", "at")
    metadata = Metadata(entry.process, entry.registry, f"the registry of {entry.kind}s", None, (), True)
    site = Site(frame.file, frame.line, frame.module, entry.key)
    more = {"metadata": metadata, "site": site, "outcome": "registered"}
    more |= {"class_": None, "class_module": None, "named": True, "columns": 0}
    return Registration(table=entry.key, **{name: getattr(entry, name) for name in of_both}, **more)


def route_shadowed(case: Case) -> Fault | None:
    """A route that an earlier one answers for: every request that fits it fits that one, and another function answers."""
    if case.failures or case.incident.expect.error is not None:
        return None  # it raises nothing: an error has another cause
    request = _request_of(case)
    for routes in routes_of(case.trace.entries):
        for first, second in _shadowed(routes):
            # Two of Flask's for one rule stand side by side in one file so that url_for() knows both: only a request tells.
            twins = second.entry.kind == "endpoint" and first.entry.definition.file == second.entry.definition.file
            if all(route.takes(*request) for route in (first, second)) if request else not twins:
                return _is_shadowed(case, first, second)
    return None


def route_on_another_application(case: Case) -> Fault | None:
    """What a request asks is a route of one application object, and the same statement made another one without it."""
    request = _request_of(case)
    if request is None or case.failures or case.expected is None or case.expected.ok is not False:
        return None
    first_routes: dict[tuple, Entry] = {}  # the first route of an application comes of its construction
    for entry in case.trace.entries:
        first_routes.setdefault((entry.process, entry.registry), entry)

    def judges(trace: Trace) -> tuple[bool | None, str]:
        held = list(_taking(trace, request).values())
        says = f"of {len(held)} applications with routes {len(held) - held.count(None)} has one for {' '.join(request)}"
        return None not in held if any(held) else None, says

    for (application, route), (other, lacks) in permutations(_taking(case.trace, request).items(), 2):
        if route is None or lacks is not None or application[0] != other[0]:
            continue
        entries = sorted((first_routes[application], first_routes[other]), key=attrgetter("at"))
        pair = Pair(case.trace, *map(_as_registration, entries))
        if not pair.one_definition or (finding := judge(pair)).mechanism == "undecided":
            continue
        maker = first_routes[application].frame
        because = (
            f"{' '.join(request)} fits a route that {route.entry.frame} adds to the application that {maker} makes in "
            f"module {maker.module}; another one, which the same line made, has no such route",
            finding.because[-1],
        )
        sites = (Place.of("first", pair.first.frame), Place.of("second", pair.second.frame))
        sites += (Place.of("route", route.entry.frame, route.path),)
        run, against = executed_once(case, maker.file, judges), _against(finding.against)
        return Fault(finding.mechanism, because, sites=sites, against=against, experiment=run)
    return None


def _taking(trace: Trace, request: tuple[str, str]) -> dict[tuple, Route | None]:
    """Of each application, by its process and number, the route that takes a request."""
    taking = {}
    for routes in routes_of(trace.entries):
        outermost = (*routes[0].includes, routes[0].entry)[0]
        taking[outermost.process, outermost.registry] = next((it for it in routes if it.takes(*request)), None)
    return taking


def _request_of(case: Case) -> tuple[str, str] | None:
    """Method and path of the check that the incident is, where it is an HTTP check."""
    http = getattr(case.incident.expect.check, "http", None)
    return (http.method, http.path.partition("?")[0]) if http is not None else None


def _shadowed(routes: list[Route]) -> Iterator[tuple[Route, Route]]:
    """Pairs of which the second is never reached by a request of one of its methods."""
    for index, second in enumerate(routes):
        if not second.entry.frame.application or second.entry.definition is None:
            continue
        for first in routes[:index]:
            if first[:2] == second[:2] and first.entry.definition == second.entry.definition:
                break  # as where a router is included: what answers is the same
            if first.entry.definition not in (None, second.entry.definition) and _covers(first, second):
                yield first, second
                break


def _covers(first: Route, second: Route) -> bool:
    """Does every request for the second route, of one of its methods, come to the first?"""
    methods = (second.methods or {"GET"}) & (first.methods or second.methods or {"GET"})
    if not methods - {"HEAD", "OPTIONS"}:
        return False
    if second.entry.kind == "endpoint":  # Flask asks those without parameters first, whatever the order
        return first.shape == second.shape
    if first.path.count("/") != second.path.count("/") and "path" not in first.shape:
        return False
    return first.takes(min(methods), second.example)


def _is_shadowed(case: Case, first: Route, second: Route) -> Fault:
    method = min((second.methods or {"GET"}) & (first.methods or second.methods or {"GET"}) - {"HEAD", "OPTIONS"})
    answers, reached = first.entry.definition, second.entry.definition
    earlier, other = _comes_in(case, first, second)
    because = (
        f"{method} {second.example} matches two routes: {first.path}, which {earlier} adds for {answers.name} ({answers}), and {second.path}, "
        f"which {other} adds for {reached.name} ({reached}). The first that matches answers",
    )
    sites = (
        Place.of("answers", earlier, first.path),
        Place.of("never reached", other, second.path),
        Place.of("first endpoint", answers),
        Place.of("second endpoint", reached),
    )
    experiment = _swapped(case, earlier, other, method, second)
    return Fault("route-shadowed", because, sites=sites, experiment=experiment)


def _comes_in(case: Case, first: Route, second: Route) -> tuple[Frame, Frame]:
    """The two lines that set the order: the outermost at which the ways of the routes into the application part."""
    made = {(e.process, e.object, e.key): e.frame for e in case.trace.entries if e.kind == "route made"}
    chains = []
    for route in (first, second):
        entry = route.entry
        frames = [entry.frame for entry in (*route.includes, entry)]
        chains.append([*frames, made.get((entry.process, entry.object, entry.key), entry.frame)])
    return next((pair for pair in zip(*chains, strict=False) if pair[0] != pair[1]), (chains[0][-1], chains[1][-1]))


def _swapped(case: Case, earlier: Frame, other: Frame, method: str, second: Route) -> Experiment | None:
    """The run with the two statements in the other order."""
    text = case.sources.get(earlier.file)
    edited = with_swapped(text, earlier.line, other.line) if text is not None and earlier.file == other.file else None
    if edited is None:
        return None
    wanted = second.entry.definition

    def judge(trace: Trace) -> tuple[bool | None, str]:
        answers = endpoint_of(trace, method, second.example)
        if answers is None:
            return None, f"no route was seen that takes {method} {second.example}"
        says = f"{method} {second.example} then reaches {answers.name}"
        return (answers.module, answers.name) == (wanted.module, wanted.name), says

    says = f"{earlier} and {other} in the other order, and then {method} {second.example}"
    return Experiment(says, case.incident, judge, {earlier.file: edited})


MECHANISMS = (name_taken, task_defined_twice, route_shadowed, route_on_another_application)
