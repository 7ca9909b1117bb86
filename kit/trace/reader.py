"""Reads what the probe wrote of a run into a :class:`~kit.trace.Trace`: a method for each kind of event."""

import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from ..incident.model import Incident
from . import values
from .edges import FileEdges, Place, together
from .events import in_order, no_garbage, read_events
from .outcome import Outcome, refusal
from .printed_errors import names_missing
from .processes import Ended, Paths, RunPlace
from .reader_state import At, Code, Collected, Stepped, innermost
from .sites import named, texts_of
from .trace import Trace

# What a trace has as it was read.
_AS_COLLECTED = ("imports", "cleared", "created", "engines", "behind", "judged", "entries", "records", "silenced")
# The kinds of events that have a method of their name.
_KINDS = "behind cleared created engine entry exec exit gone handled judged mapped metadata record refused silenced step stepped table"
# What a request of the kit's own makes the application do, and the startup did not.
_OF_ANSWERS = re.compile(
    "exec|script|done|table|gone|mapped|handled|record|entry|engine|created|cleared|refused"
).fullmatch
# Libraries with registries.
_REGISTRIES = {"prometheus_client", "flask", "celery", "kombu", "vine", "starlette", "fastapi", "marshmallow", "django"}


def read_trace(incident: Incident, space: RunPlace, ended: Sequence[Ended]) -> Trace:
    """Read what the probe left of a run; the workspace must still be there."""
    with no_garbage():
        collected = Collected(Paths(space))
        _Reader(collected).read(ended)
        return _trace(incident, space, ended, collected)


def entries_so_far(space: RunPlace, ended: Sequence[Ended]) -> list[values.Entry]:
    """What took a name in a registry until now, in processes that may still run."""
    with no_garbage():
        collected = Collected(Paths(space))
        _Reader(collected).read(ended)
        return collected.entries


def _trace(incident: Incident, space: RunPlace, ended: Sequence[Ended], collected: Collected) -> Trace:
    outcome = Outcome(incident, space, ended, collected)
    steps = outcome.steps()
    ended = (*(step.exception for step in steps), *(caught.error for caught in outcome.printed(steps)))
    sources = texts_of(space.root, collected, ended)
    registrations = tuple(named(registration, sources, collected.paths) for registration in collected.registrations)
    edges = together(_edges(collected))
    return Trace(
        steps=steps,
        edges=edges,
        metadata=tuple(collected.metadata.values()),
        registrations=registrations,
        swallowed=tuple(outcome.swallowed(registrations, steps, sources)),
        refused=tuple(outcome.refusals()),
        broke=outcome.broke(),
        lost=tuple(dict.fromkeys(collected.lost)),
        provenance=outcome.provenance(),
        forks=collected.forks,
        sources=sources,
        **{name: tuple(getattr(collected, name)) for name in _AS_COLLECTED},
    )


def _edges(collected: Collected) -> Iterator[tuple[FileEdges, dict[int, Place]]]:
    """The edges of each process that has any, with its places."""
    for outcome, edges in collected.edges:
        for file, written in sorted(edges.items()):
            places = {}
            for number in set(written.columns[0]):
                with suppress(KeyError):
                    places[number] = collected.code(collected.process_of.get(file), number).place
            written.leave_out(places, min(outcome.until, outcome.answering.at if outcome.answering else math.inf))
            written.tell(partial(_source, collected, collected.process_of.get(file)))
            if written.lost:
                collected.lose("edge")
            yield written, places


def _source(collected: Collected, process: int, number: int, at: int) -> bytes:
    """The source of the body that a process names by a number; none where it was written since, or so short before that nobody can say."""
    path = collected.paths.space.root / collected.code(process, number).raw
    with suppress(OSError, ValueError):
        written = path.stat().st_ctime_ns - time.time_ns() + time.perf_counter_ns()
        return path.read_bytes() if written < at - 10_000_000 else b""
    return b""


class _Reader:
    """Collects what the events of one run say; judges nothing."""

    def __init__(self, collected: Collected):
        self.collected = collected
        self.interrupted: set[str] = set()  # trace files of processes that were executing a body when they were stopped
        self.printing: set[tuple[int, int]] = set()  # process and number of the bodies that ran to print an error
        self.unbound: set[str] = set()  # names that a failed statement did not bind
        self.kinds: dict[str, Callable[[dict, At], None]] = {
            **{kind: getattr(self, kind) for kind in _KINDS.split()},
            "script": collected.script,
            "done": collected.end,
            "guard": lambda event, _: collected.listening.add(str(event["name"])),
            "library": lambda event, _: collected.libraries.setdefault(str(event["name"]), str(event["version"])),
            "lost": lambda event, _: collected.lost.append(collected.paths.text(event.get("why"))),
            "place": lambda event, where: self.place(event, where, str(event["fn"])),
        }

    def read(self, ended: Sequence[Ended]) -> None:
        """Read the events of every process that the runner started, in the order of its steps."""
        for outcome in ended:
            step, until = f"step {outcome.steps[0][0]}", outcome.until
            before = process = None
            edges: dict[str, FileEdges] = {}
            self.collected.edges.append((outcome, edges))
            for _, file, event in read_events(outcome.folder, edges):
                # What came of our asking is nothing of the application's.
                if until != math.inf and _stamped(event) > until:
                    self.hung(event, self.collected.process_of.get(file))
                    continue
                kind = event["k"]
                if outcome.answering and _stamped(event) > outcome.answering.at and _OF_ANSWERS(kind):
                    if "c" in event:  # what comes later may name it too
                        process = self.collected.process(file, event, outcome)
                        self.place(event, At(process, step, 0), "<module>")
                    continue
                if outcome.stopped is not None and self.of_the_stop(event, file, outcome.stopped.at):
                    continue
                if not in_order(event):
                    self.collected.lose(kind)
                    continue
                if file is not before:
                    before, process = file, self.collected.process(file, event, outcome)
                if self.of_the_printing(event, process):
                    if "c" in event:  # what comes later may name it too
                        self.place(event, At(process, step, 0), "<module>")
                    continue
                try:
                    if kind == "edge":
                        self.collected.within(event, At(process, step, event["t"]))
                        edges.setdefault(file, FileEdges()).add([event])
                    elif kind in self.kinds:
                        self.kinds[kind](event, At(process, step, event.get("t", 0)))
                except (LookupError, TypeError, ValueError, AttributeError):
                    self.collected.lose(kind)
        self.collected.forget_our_interrupt()
        self.collected.imports.sort(key=lambda import_: import_.number)

    def of_the_stop(self, event: dict, file: str, stopped: int) -> bool:
        """Is it an end that came of the kit's stopping a server: an error that passes a body, or mappers of half a startup?"""
        if _stamped(event) <= stopped:
            return False
        if event["k"] == "done" and event.get("error") is not None:
            self.interrupted.add(file)
            return True
        return event["k"] in ("exit", "stepped") or event["k"] == "judged" and file in self.interrupted

    def of_the_printing(self, event: dict, process: int) -> bool:
        """Is it what Python, from 3.13 on, executes to print the error that ends the startup?

        It imports the module anew whose name could not be imported, for the names that it has. Nothing but the runner's own
        frame stands below that.
        """
        within, via, codes = event.get("b") or 0, event.get("via"), self.collected.codes[process]
        below = [codes.get(number) for number, _ in via[:2]] if via and not within else []
        printer = ("traceback", "_print_exception_bltin")
        printing = any(code is not None and (code.module, code.function) == printer for code in below)
        printed = (process, within) in self.printing or printing
        if printed and event["k"] == "exec":
            self.printing.add((process, event["n"]))
        return printed or event["k"] == "done" and (process, event["n"]) in self.printing

    def hung(self, event: dict, process: int | None) -> None:
        """The interrupt passed the frames that the main thread was in: the application's innermost is where it was."""
        error, hung = event.get("error") or event.get("uncaught"), self.collected.hung
        if process is None or process in hung or not isinstance(error, dict):
            return
        if error.get("type") == "KeyboardInterrupt":
            frame = innermost(self.collected.frames(process, error.get("frames")))
            if frame is not None:
                hung[process] = frame

    def place(self, event: dict, where: At, function: str) -> None:
        """A number of code, that frames and edges after it name."""
        file, application = self.collected.paths.shown(event["f"])
        function, module = sys.intern(function), event.get("m")
        place = Place(where.process, module, file, function, event.get("p"))
        self.collected.codes[where.process][event["c"]] = Code(event["f"], file, application, function, module, place)

    def exec(self, event: dict, where: At) -> None:
        if "c" in event:
            self.place(event, where, "<module>")
        self.collected.begin(event, where)

    def step(self, event: dict, where: At) -> None:
        self.collected.stepped[event["s"]] = Stepped(where.at)

    def stepped(self, event: dict, where: At) -> None:
        began = self.collected.stepped.get(event["s"], Stepped()).began
        error = self.collected.error(where.process, event.get("error"))
        self.collected.stepped[event["s"]] = Stepped(began, where.at, error)

    def exit(self, event: dict, where: At) -> None:
        self.collected.uncaught[where.process] = self.collected.error(where.process, event.get("uncaught"))

    def metadata(self, event: dict, where: At) -> None:
        """A ``MetaData`` came to be; it is called by where the application says so.

        A ``Base`` that a helper or a library makes for the application is so told apart from the next.
        """
        key, chain = (where.process, event["i"]), self.collected.chain(where.process, event)
        outside = [frame for frame in chain if not frame.file.startswith("sqlalchemy/")]
        site = outside[-1] if outside else None
        levels = [number for number, frame in enumerate(outside) if frame.function == "<module>"]
        outer = outside[levels[-1] :] if levels else outside[-1:]
        # What a server's own program has a factory of the application make, the factory's line tells.
        own = [frame for frame in outer if frame.application] if not any(it.application for it in outer[:1]) else []
        label_site = next(iter(own[-1:] or outer[:1]), None)
        base, known = str(label_site or "unknown place"), self.collected.metadata.values()
        same = sum(1 for other in known if other.process == where.process and other.label.split("#")[0] == base)
        # Its catalogues' tables, that the import of a dialect makes; a Base is made within a function of it, for somebody.
        of_dialect = bool(chain) and chain[-1].file.startswith("sqlalchemy/") and chain[-1].function == "<module>"
        application = not of_dialect and site is not None and (site.application or not site.file.startswith("alembic/"))
        label = base if not same else f"{base}#{same + 1}"
        self.collected.metadata[key] = values.Metadata(*key, label, site, chain, application)

    def _metadata_of(self, process: int, number: int) -> values.Metadata:
        """That of a table; one made before the process was forked is its parent's."""
        known, parent = self.collected.metadata, process
        while (parent, number) not in known and parent in self.collected.forks:
            parent = self.collected.forks[parent][0]
        unknown = values.Metadata(process, number, "unknown place", None, (), True)
        return known.setdefault((process, number), known.get((parent, number), unknown))

    def table(self, event: dict, where: At) -> None:
        """``Table(...)`` reached a ``MetaData``."""
        metadata = self._metadata_of(where.process, event["i"])
        chain = self.collected.chain(where.process, event)
        frame = chain[-1] if chain else values.Frame("?", 0, "?", None, False)
        self.collected.registrations.append(
            values.Registration(
                table=str(event["table"]),
                process=where.process,
                step=where.step,
                thread=event.get("th"),
                metadata=metadata,
                outcome=str(event["outcome"]),
                site=values.Site(frame.file, frame.line, frame.module, event.get("cls")),
                frame=frame,
                real=self.collected.paths.real(self.collected.raw_file(where.process, event.get("via"))),
                chain=chain,
                within=self.collected.within(event, where),
                class_=event.get("cls"),
                class_module=event.get("mod"),
                named=event.get("named"),
                columns=event.get("cols", 0),
                at=where.at,
                existing=tuple(event.get("existing") or ()),
                new=tuple(event.get("new") or ()),
                mapped=event.get("mapped"),
                later=bool(event.get("later")),
                inside=bool(event.get("inside")),
                since=event.get("since"),
                application=metadata.application,
            )
        )

    def mapped(self, event: dict, where: At) -> None:
        """The newest registration of that class and table, or of that Table mapped by itself: its mapper is whole."""
        for wanted in ((event.get("mod"), event.get("cls")), (None, None)):
            for index, registration in self._newest(event, where.process):
                same = (registration.class_module, registration.class_) == wanted
                if same and registration.outcome != "rejected" and not registration.made_mapper:
                    self.collected.registrations[index] = replace(registration, made_mapper=True)
                    return

    def gone(self, event: dict, where: At) -> None:
        """A table left its ``MetaData`` again."""
        for index, registration in self._newest(event, where.process):
            if not registration.removed:
                self.collected.registrations[index] = replace(registration, removed=True)
                return

    def _newest(self, event: dict, process: int) -> Iterator[tuple[int, values.Registration]]:
        """The registrations of the table that an event is about, with their indexes, the newest first."""
        registrations = self.collected.registrations
        for index in range(len(registrations) - 1, -1, -1):
            made = registrations[index]
            if (made.process, made.metadata.number, made.table) == (process, event["i"], event["table"]):
                yield index, made

    def _label(self, event: dict, process: int) -> str | None:
        metadata = self.collected.metadata.get((process, event["i"]))
        return metadata.label if metadata else None

    def cleared(self, event: dict, where: At) -> None:
        label, chain = self._label(event, where.process), self.collected.chain(where.process, event)
        self.collected.cleared.append(values.Cleared(label, chain, where.at))

    def created(self, event: dict, where: At) -> None:
        chain = self.collected.chain(where.process, event) if "via" in event else ()
        url = self.collected.paths.text(event["url"])
        label = self._label(event, where.process)
        self.collected.created.append(values.Creation(label, url, event.get("table"), *where, chain))

    def engine(self, event: dict, where: At) -> None:
        chain, driver = self.collected.chain(where.process, event), self.collected.paths.text(event["driver"])
        database = self.collected.paths.text(event.get("db", ""))
        self.collected.engines.append(values.EngineMade(driver, bool(event.get("async")), chain, *where, database))

    def behind(self, event: dict, where: At) -> None:
        """A run that goes on past failures went past this one."""
        error = self.collected.error(where.process, event["error"])
        chain = self.collected.chain(where.process, event) + error.frames
        follows, unbound = bool(names_missing(error) & self.unbound), tuple(event.get("bound") or ())
        self.unbound.update(unbound)
        self.collected.behind.append(values.Behind(error, innermost(chain), chain, follows, unbound))

    def entry(self, event: dict, where: At) -> None:
        """Something took a name in a registry; the line that registers it is the first outward that is no registry's."""
        chain = self.collected.chain(where.process, event)
        while len(chain) > 1 and not chain[-1].application and chain[-1].file.split("/")[0] in _REGISTRIES:
            chain = chain[:-1]
        frame = chain[-1] if chain else values.Frame("?", 0, "?", None, False)
        raw = next((code.raw for code in self._codes(where.process, event) if code.file == frame.file), None)
        at, paths = event.get("at"), self.collected.paths
        self.collected.entries.append(
            values.Entry(
                kind=event["r"],
                registry=event["i"],
                key=paths.text(event["key"]),
                object=event["o"],
                definition=values.Site(paths.shown(str(at[0]))[0], int(at[1]), None, event.get("name")) if at else None,
                more=tuple(event.get("more") or ()),
                process=where.process,
                step=where.step,
                thread=event.get("th"),
                frame=frame,
                real=paths.real(raw) if raw else frame.file,
                chain=chain,
                within=self.collected.within(event, where),
                at=where.at,
            )
        )

    def _codes(self, process: int, event: dict) -> Iterator[Code]:
        """What the frames of an event stand in, the innermost first."""
        for entry in reversed(event.get("via") or ()):
            with suppress(KeyError, TypeError, IndexError):
                yield self.collected.code(process, entry[0])

    def record(self, event: dict, where: At) -> None:
        """A log record with an exception, or one that is lost."""
        chain, error = self.collected.chain(where.process, event), self.collected.error(where.process, event["error"])
        text, lost = self.collected.paths.text(event.get("text")), bool(event.get("lost"))
        record = values.Record(event["logger"], event["level"], text, lost, error, innermost(chain), chain, *where)
        self.collected.records.append(record)

    def handled(self, event: dict, where: At) -> None:
        """An exception came to a handler of the application."""
        self.collected.handled.append((self.collected.error(where.process, event["error"]), where))

    def silenced(self, event: dict, where: At) -> None:
        """Loggers are about to be disabled."""
        chain = self.collected.chain(where.process, event)
        self.collected.silenced.append(values.Silenced(tuple(event["loggers"]), innermost(chain), chain, *where))

    def refused(self, event: dict, where: At) -> None:
        chain = self.collected.chain(where.process, event)
        self.collected.refused.append(refusal(self.collected.paths.text(event["what"]), innermost(chain), chain))

    def judged(self, event: dict, where: At) -> None:
        """A forked copy of the process had its mappers configured."""
        error = self.collected.error(where.process, event.get("error"))
        self.collected.judged.append(values.Judgement.of(where.step, where.process, error, event.get("mappers")))


def _stamped(event: dict) -> int:
    stamp = event.get("t")
    return stamp if isinstance(stamp, int) else 0
