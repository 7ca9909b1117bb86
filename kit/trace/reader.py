"""Reads what the probe wrote of a run into a :class:`~kit.trace.Trace`."""

import math
import os
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..base.redact import redact
from ..incident.model import Incident
from ..incident.statement import hands_on, statement_at
from ..incident.steps import Step
from .edges import FileEdges, Place, together
from .events import in_order, read_events
from .values import (
    Behind,
    Broke,
    EngineMade,
    Error,
    Frame,
    Import,
    Metadata,
    Registration,
    Site,
    StepResult,
    Swallowed,
    Trace,
    application_frames,
    no_garbage,
)

# The folder that a library is installed in says where a machine keeps things, not what went wrong.
_INSTALLED = re.compile(r"/[^\s\"':]*/(?:site-packages|dist-packages|lib(?=/python3\.\d+/))/")


class Guards(NamedTuple):
    """What the supervisor says of a process: guards in force, what is missing, and what the kernel refused."""

    in_force: Sequence[str] = ()
    missing: Sequence[str] = ()
    refused: Sequence[dict] = ()


class Asked(NamedTuple):
    """When a process that was past its time was asked by ``SIGINT`` to end, and what it had printed by then."""

    at: int  # nanoseconds, of the probe's clock
    printed: dict[str, int]  # stdout and stderr: bytes


class Ended(NamedTuple):
    """What the runner knows of a process that ended: whether it succeeded, and why it broke if it did."""

    steps: Sequence[tuple[int, Step]]
    folder: Path
    ok: bool
    why: Broke | None
    code: int | None
    port: int | None
    guards: Guards = Guards()
    asked: Asked | None = None

    @property
    def until(self) -> float:
        """What came later, of the probe's clock, came of our asking."""
        return self.asked.at if self.asked else math.inf


class RunPlace(Protocol):
    """Where a startup ran, as far as a trace tells of it: a :class:`~kit.startup.workspace.Workspace`."""

    folder: Path
    root: Path
    workdir: Path
    python: str
    left: tuple[str, ...]
    postgresql: Any  # name, server and door of the scratch database, or None


def read_trace(incident: Incident, space: RunPlace, ended: Sequence[Ended]) -> Trace:
    """Read what the probe left of a run; the workspace must still be there."""
    with no_garbage():
        return _Reader(incident, space, ended).trace()


class _Code(NamedTuple):
    """What frames and edges name by a number: ``raw`` as the interpreter names the file, ``file`` as it is shown."""

    raw: str
    file: str
    application: bool
    function: str
    module: str | None
    place: Place


class _Reader:
    """Collects one trace; exists only while it is read."""

    def __init__(self, incident: Incident, space: RunPlace, ended: Sequence[Ended]):
        self.incident, self.space, self.ended = incident, space, ended
        self.roots = tuple(dict.fromkeys((str(space.root) + os.sep, os.path.realpath(space.root) + os.sep)))
        # Where the interpreter's own environment lies, for console scripts that a traceback names.
        place = Path(space.python).parent.parent
        self.environment = f"{place}{os.sep}" if (place / "pyvenv.cfg").is_file() else None
        self.paths: dict[str, tuple[str, bool]] = {}
        self.places: dict[int, dict[int, _Code]] = defaultdict(dict)  # of each process, by number
        self.reals: dict[str, str] = {}
        self.folders: dict[str, str] = {}  # each with where it really is
        self.imports: list[Import] = []
        self.open: dict[tuple[int, int], int] = {}  # (process, body) -> index in imports
        self.forks: dict[int, tuple[int, int]] = {}
        self.seen_by_frame: dict[tuple, int] = {}
        self.edges: list[tuple[Ended, dict[str, FileEdges]]] = []  # of each process that was started, by trace file
        self.metadata: dict[tuple[int, int], Metadata] = {}
        self.registrations: list[Registration] = []
        self.cleared: list[dict] = []
        self.created: list[dict] = []
        self.engines: list[EngineMade] = []
        self.behind: list[Behind] = []
        self.unbound: set[str] = set()  # names that a failed statement did not bind
        self.judged: list[dict] = []
        self.lost: list[str] = []
        self.refused: list[dict] = []
        self.listening: set[str] = set()  # guards that the probe itself put in place
        self.processes: list[dict] = []
        self.process_of: dict[str, int] = {}  # trace file to its process
        self.libraries: dict[str, str] = {}
        self.stepped: dict[int, tuple[int | None, int | None, Error | None]] = {}
        self.uncaught: dict[int, Error | None] = {}
        self.hung: dict[int, Frame] = {}  # process that was ended past its time -> where it was

    # -- paths and frames

    def path(self, name: str | None) -> tuple[str, bool]:
        """A file as it is shown, and whether it is the application's."""
        known = self.paths.get(name)
        if known is None:
            known = self.paths[name] = self._path(name)
        return known

    def _path(self, name: str | None) -> tuple[str, bool]:
        if not name:
            return "?", False
        full = name if os.path.isabs(name) or name.startswith("<") else os.path.join(self.space.workdir, name)
        full = os.path.normpath(full) if not full.startswith("<") else full
        for root in self.roots:
            if full.startswith(root):
                below = full[len(root) :].replace(os.sep, "/")
                return below, not re.search(r"(^|/)(site|dist)-packages/", below)
        for mark in ("/site-packages/", "/dist-packages/"):
            if mark in full:
                return full.rsplit(mark, 1)[1], False
        library = re.search(r"/lib/(python3\.\d+/.*)$", full)
        if library:
            return library.group(1), False
        full = full.replace(str(self.space.folder), "<workspace>")
        if not full.startswith("<"):  # a console script, say: where a machine keeps it is nobody's business
            full = "…/" + "/".join(full.split("/")[-2:])
        return (full if full.startswith("<") else redact(full)), False

    def real(self, name: str | None) -> str | None:
        if not name:
            return None
        if name not in self.reals:
            self.reals[name] = self.path(self.resolved(os.path.join(self.space.workdir, name)))[0]
        return self.reals[name]

    def see_place(self, event: dict, process: int, function: str) -> None:
        file, application = self.path(event["f"])
        function, module = sys.intern(function), event.get("m")
        place = Place(process, module, file, function, event.get("p"))
        self.places[process][event["c"]] = _Code(event["f"], file, application, function, module, place)

    def code(self, process: int, number: int) -> _Code:
        """What a process means by a number; one that was forked goes on with the numbers of its parent.

        :raises KeyError: it wrote none under that number
        """
        above, known = process, self.places[process].get(number)
        while known is None:
            above = self.forks[above][0]
            known = self.places[above].get(number)
        if above != process:
            known = self.places[process][number] = known._replace(place=known.place._replace(process=process))
        return known

    def resolved(self, path: str) -> str:
        """``os.path.realpath``, asking for each folder once."""
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        if folder not in self.folders:
            self.folders[folder] = os.path.realpath(folder)
        path = os.path.join(self.folders[folder], name)
        return os.path.realpath(path) if os.path.islink(path) else path

    def frames(self, process: int, raw) -> tuple[Frame, ...]:
        found = []
        for entry in raw or ():
            try:
                place = self.code(process, entry[0])
                found.append(Frame(place.file, int(entry[1]), place.function, place.module, place.application))
            except (TypeError, ValueError, KeyError, IndexError):
                continue
        return tuple(found)

    def raw(self, process: int, via) -> str | None:
        """The file of the innermost frame, as the interpreter names it."""
        try:
            return self.code(process, via[-1][0]).raw if via else None
        except KeyError:
            return None

    def error(self, process: int, raw) -> Error | None:
        if not isinstance(raw, dict):
            return None
        kind, text = str(raw.get("type")), self.text(raw.get("text"))
        links = [one for one in raw.get("links") or () if isinstance(one, list) and len(one) == 3]
        shown = tuple((identity, str(name), self.text(said)) for identity, name, said in links)
        return Error(kind, text, self.frames(process, raw.get("frames")), shown or ((0, kind, text),), raw.get("name"))

    def text(self, raw) -> str:
        """Text of the application: paths of the workspace taken back to the application's root, secrets masked."""
        text = str(raw)
        for root in self.roots:
            text = text.replace(root, "")
        if self.space.postgresql:  # named anew in every run
            text = text.replace(self.space.postgresql.name, "scratch")
        text = _INSTALLED.sub("", text.replace(str(self.space.folder), "<workspace>"))
        return redact(text.replace(self.environment, "…/") if self.environment else text)

    # -- events

    def trace(self) -> Trace:
        for outcome in self.ended:
            label, until = f"step {outcome.steps[0][0]}", outcome.until
            before = process = None
            edges: dict[str, FileEdges] = {}
            self.edges.append((outcome, edges))
            for _, file, event in read_events(outcome.folder, edges):
                # What came of our asking is nothing of the application's.
                if until != math.inf and _stamped(event) > until:
                    self.see_where_it_hung(event, self.process_of.get(file))
                    continue
                kind = event["k"]
                if not in_order(event):
                    self.lost_one(kind)
                    continue
                if file is not before:
                    before, process = file, self.process(file, event, outcome)
                try:
                    if kind == "edge":
                        self.within(process, event, label, event["t"])
                        edges.setdefault(file, FileEdges()).add([event])
                    else:
                        self.see(event, process, label)
                except (LookupError, TypeError, ValueError, AttributeError):
                    self.lost_one(kind)
        self.forget_our_interrupt()
        self.imports.sort(key=lambda one: one.number)
        steps = self.steps()
        sources = self.sources()
        registrations = tuple(self.named(one, sources) for one in self.registrations)
        edges = together(self.written())
        # A server that ended of its own is a step that failed, as one is that does not come up.
        broke = next((why for one in self.ended if (why := self.why(one)) and why.kind != "died"), None)
        return Trace(
            steps=steps,
            imports=tuple(self.imports),
            edges=edges,
            metadata=tuple(self.metadata.values()),
            registrations=registrations,
            cleared=tuple(self.cleared),
            created=tuple(self.created),
            engines=tuple(self.engines),
            behind=tuple(self.behind),
            swallowed=tuple(self.swallowed(steps, registrations)),
            judged=tuple(self.judged),
            refused=tuple(self.refusals()),
            broke=broke,
            lost=tuple(dict.fromkeys(self.lost)),
            provenance=self.provenance(),
            forks=self.forks,
            sources=sources,
        )

    def written(self) -> Iterator[tuple[FileEdges, dict[int, Place]]]:
        """The edges of each process that has any, with its places."""
        for outcome, edges in self.edges:
            for file, written in sorted(edges.items()):
                places = {}
                for number in set(written.columns[0]):
                    with suppress(KeyError):
                        places[number] = self.code(self.process_of.get(file), number).place
                written.leave_out(places, outcome.until)
                if written.lost:
                    self.lost_one("edge")
                yield written, places

    def forget_our_interrupt(self) -> None:
        """A process that the runner ended was asked by ``SIGINT`` first: what came of that is nothing of the application's."""
        ours = {n for n, process in enumerate(self.processes) if process["outcome"].why}
        for index, one in enumerate(self.imports):
            if one.process in ours and _interrupted(one.error):
                self.imports[index] = replace(one, ended=None, error=None)
        for number in ours:
            if _interrupted(self.uncaught.get(number)):
                self.uncaught[number] = None
            for step, _ in self.processes[number]["outcome"].steps:
                began, _, error = self.stepped.get(step, (None, None, None))
                if _interrupted(error):
                    self.stepped[step] = (began, None, None)

    def see_where_it_hung(self, event: dict, process: int | None) -> None:
        """The interrupt passed the frames that the main thread was in: the application's innermost is where it was."""
        error = event.get("error") or event.get("uncaught")
        if (
            process is None
            or process in self.hung
            or not isinstance(error, dict)
            or error.get("type") != "KeyboardInterrupt"
        ):
            return
        frames = [frame for frame in self.frames(process, error.get("frames")) if frame.application]
        if frames:
            self.hung[process] = frames[-1]

    def see(self, event: dict, process: int, step: str) -> None:
        kind, at = event["k"], event.get("t", 0)
        if kind == "exec":
            self.see_exec(event, process, step, at)
        elif kind == "place":
            self.see_place(event, process, str(event["fn"]))
        elif kind == "script":
            self.see_script(event, process, step, at)
        elif kind == "done":
            index = self.open.get((process, event["n"]))
            if index is not None:
                self.imports[index] = replace(
                    self.imports[index], ended=at, error=self.error(process, event.get("error"))
                )
        elif kind == "metadata":
            self.see_metadata(event, process)
        elif kind == "table":
            self.see_table(event, process, step, at)
        elif kind == "gone":
            self.see_gone(event, process)
        elif kind == "cleared":
            metadata = self.metadata.get((process, event["i"]))
            chain = self.chain(process, event)
            self.cleared.append({"metadata": metadata.label if metadata else None, "chain": chain, "at": at})
        elif kind == "created":
            metadata = self.metadata.get((process, event["i"]))
            label = metadata.label if metadata else None
            created = {"metadata": label, "url": self.text(event["url"]), "table": event.get("table")}
            where = self.chain(process, event) if "via" in event else ()
            self.created.append({**created, "process": process, "step": step, "at": at, "chain": where})
        elif kind == "engine":
            chain, asynchronous = self.chain(process, event), bool(event.get("async"))
            driver, database = self.text(event["driver"]), self.text(event.get("db", ""))
            self.engines.append(EngineMade(driver, asynchronous, chain, process, step, at, database))
        elif kind == "mapped":
            self.see_mapped(event, process)
        elif kind == "behind":
            self.see_behind(event, process)
        elif kind == "refused":
            self.see_refused(event, process)
        elif kind == "guard":
            self.listening.add(str(event["name"]))
        elif kind == "step":
            self.stepped[event["s"]] = (at, None, None)
        elif kind == "stepped":
            began = self.stepped.get(event["s"], (None,))[0]
            self.stepped[event["s"]] = (began, at, self.error(process, event.get("error")))
        elif kind == "exit":
            self.uncaught[process] = self.error(process, event.get("uncaught"))
        elif kind == "judged":
            self.judged.append(
                {
                    "step": step,
                    "process": process,
                    "error": self.error(process, event.get("error")),
                    "mappers": event.get("mappers"),
                }
            )
        elif kind == "library":
            self.libraries.setdefault(str(event["name"]), str(event["version"]))
        elif kind == "lost":
            self.lost.append(self.text(event.get("why")))

    def lost_one(self, kind: str) -> None:
        self.lost.append(f"an event of kind {self.text(kind)[:40]} was not in order")

    def process(self, file: str, event: dict, outcome: Ended) -> int:
        """A process's number; each trace file is one process."""
        known = self.process_of.get(file)
        if known is not None:
            return known
        if event.get("forked"):
            parents = [n for n, known in enumerate(self.processes) if known.get("pid") == event.get("parent")]
            if parents:
                self.forks[len(self.processes)] = (parents[-1], event.get("t", 0))
        self.processes.append({"outcome": outcome, **event})
        number = self.process_of[file] = len(self.processes) - 1
        return number

    def body(self, process: int, event: dict) -> int | None:
        """The import that an event names as the body it is in; a forked process goes on in bodies of its parent."""
        while (process, event.get("b") or 0) not in self.open and process in self.forks:
            process = self.forks[process][0]
        return self.open.get((process, event.get("b") or 0))

    def chain(self, process: int, event: dict) -> tuple[Frame, ...]:
        """Every frame from the step to an event: those of the body it is in, then its own."""
        outer = self.body(process, event)
        own = self.frames(process, event.get("via"))
        return (self.imports[outer].chain if outer is not None else ()) + own

    def within(self, process: int, event: dict, step: str, at: int) -> int | None:
        """The number of the innermost import that an event happened in.

        A body that no standard loader executes (a script, ``python -m``, ``exec`` of a file's code) gives
        no event of its own: it is known by its frame, from the first thing that happens in it.
        """
        index = self.body(process, event)
        number = None if index is None else self.imports[index].number
        outer = () if index is None else self.imports[index].chain
        own = self.frames(process, event.get("via"))
        for position, frame in enumerate(own):
            its_own = position == 0 and index is not None and frame.module == self.imports[index].module
            if frame.function != "<module>" or not frame.application or its_own:
                continue
            before = outer + own[:position]
            key = (process, number, before, frame.file)
            if key not in self.seen_by_frame:
                self.add_script(event, key, frame.module, self.raw(process, event["via"][: position + 1]), step, at)
            elif self.imports[self.seen_by_frame[key] - 1].module == "?":  # its name shows only now
                index = self.seen_by_frame[key] - 1
                self.imports[index] = replace(self.imports[index], module=frame.module or "?")
            number = self.seen_by_frame[key]
        return number

    def see_script(self, event: dict, process: int, step: str, at: int) -> None:
        """A script is about to run, perhaps once more: what follows under its frame belongs to this run."""
        within = self.within(process, event, step, at)
        file, _ = self.path(event["f"])
        index = self.body(process, event)
        number = None if index is None else self.imports[index].number
        key = (process, within if within is not None else number, self.chain(process, event), file)
        self.add_script(event, key, "?", event["f"], step, at)

    def add_script(self, event: dict, key: tuple, module: str | None, raw: str, step: str, at: int) -> None:
        """An execution that no loader had to do with; its end is out of sight."""
        process, within, before, file = key
        self.seen_by_frame[key] = len(self.imports) + 1
        self.imports.append(
            Import(
                number=len(self.imports) + 1,
                process=process,
                step=step,
                thread=event.get("th"),
                module=module or "?",
                file=file,
                real=self.real(raw),
                application=True,
                by=_importer(before),
                chain=before,
                within=within,
                began=at,
                ended=None,
                error=None,
                again=False,
                how="exec",
            )
        )

    def see_exec(self, event: dict, process: int, step: str, at: int) -> None:
        if "c" in event:
            self.see_place(event, process, "<module>")
        chain = self.chain(process, event)
        within = self.within(process, event, step, at)
        file, application = self.path(event.get("f")) if event.get("f") else (None, False)
        self.open[process, event["n"]] = len(self.imports)
        self.imports.append(
            Import(
                number=len(self.imports) + 1,
                process=process,
                step=step,
                thread=event.get("th"),
                module=str(event["m"]),
                file=file,
                real=self.real(event.get("f")),
                application=application,
                by=_importer(chain),
                chain=chain,
                within=within,
                began=at,
                ended=None,
                error=None,
                again=bool(event.get("again")),
                how=str(event.get("how", "import")),
            )
        )

    def see_metadata(self, event: dict, process: int) -> None:
        chain = self.chain(process, event)
        site = next((f for f in reversed(chain) if not f.file.startswith("sqlalchemy/")), None)
        # By where the application says so: a Base that a helper or a library makes for it is told apart from the next.
        module_level = [f for f in chain if f.function == "<module>" and not f.file.startswith("sqlalchemy/")]
        named = module_level[-1] if module_level and site and site.function != "<module>" else site
        base = str(named) if named else "unknown place"
        same = sum(1 for m in self.metadata.values() if m.process == process and m.label.split("#")[0] == base)
        application = bool(site) and not site.file.startswith("alembic/") or bool(site and site.application)
        label = base if not same else f"{base}#{same + 1}"
        self.metadata[process, event["i"]] = Metadata(process, event["i"], label, site, chain, application)

    def see_table(self, event: dict, process: int, step: str, at: int) -> None:
        metadata = self.metadata.get((process, event["i"]))
        if metadata is None:  # made before this process was forked
            parent = process
            while metadata is None and parent in self.forks:
                parent = self.forks[parent][0]
                metadata = self.metadata.get((parent, event["i"]))
            if metadata is None:
                metadata = Metadata(process, event["i"], "unknown place", None, (), True)
            self.metadata[process, event["i"]] = metadata
        chain = self.chain(process, event)
        frame = chain[-1] if chain else Frame("?", 0, "?", None, False)
        self.registrations.append(
            Registration(
                table=str(event["table"]),
                process=process,
                step=step,
                thread=event.get("th"),
                metadata=metadata,
                outcome=str(event["outcome"]),
                site=Site(frame.file, frame.line, frame.module, event.get("cls")),
                frame=frame,
                real=self.real(self.raw(process, event.get("via"))),
                chain=chain,
                within=self.within(process, event, step, at),
                class_=event.get("cls"),
                class_module=event.get("mod"),
                named=event.get("named"),
                columns=event.get("cols", 0),
                at=at,
                existing=tuple(event.get("existing") or ()),
                new=tuple(event.get("new") or ()),
                mapped=event.get("mapped"),
                later=bool(event.get("later")),
                inside=bool(event.get("inside")),
                since=event.get("since"),
                application=metadata.application,
            )
        )

    def see_mapped(self, event: dict, process: int) -> None:
        """The newest registration of that class and table, or of that Table mapped by itself: its mapper is whole."""
        for wanted in ((event.get("mod"), event.get("cls")), (None, None)):
            for index in range(len(self.registrations) - 1, -1, -1):
                one = self.registrations[index]
                same = (one.process, one.metadata.number, one.table) == (process, event["i"], event["table"])
                same = same and (one.class_module, one.class_) == wanted
                if same and one.outcome != "rejected" and not one.made_mapper:
                    self.registrations[index] = replace(one, made_mapper=True)
                    return

    def see_behind(self, event: dict, process: int) -> None:
        error = self.error(process, event["error"])
        chain = self.chain(process, event) + error.frames
        site = next((f for f in reversed(chain) if f.application), None)
        wanted = set(re.findall(r"name '(\w+)'|import name '(\w+)'|has no attribute '(\w+)'", error.text))
        follows = any(name in self.unbound for names in wanted for name in names if name)
        self.unbound.update(event.get("bound") or ())
        self.behind.append(Behind(error, site, chain, follows))

    def see_refused(self, event: dict, process: int) -> None:
        chain = self.chain(process, event)
        site = next((f for f in reversed(chain) if f.application), None)
        self.refused.append(_refusal(self.text(event["what"]), site, chain))

    def see_gone(self, event: dict, process: int) -> None:
        for index in range(len(self.registrations) - 1, -1, -1):
            one = self.registrations[index]
            if (
                one.process == process
                and one.metadata.number == event["i"]
                and one.table == event["table"]
                and not one.removed
            ):
                self.registrations[index] = replace(one, removed=True)
                return

    # -- after the events

    def refusals(self) -> Iterator[dict]:
        """What was refused, each once: with its site where the probe saw it, else with the program that tried."""
        seen = [(None, one) for one in self.refused]
        for outcome in self.ended:
            for one in outcome.guards.refused:
                seen.append((one.get("by"), _refusal(self.text(one.get("what")), None, ())))
        for one in self.space.postgresql.door.refused if self.space.postgresql else ():
            seen.append((one["by"], _refusal(self.text(one["what"]), None, ())))
        known: list[dict] = []
        for program, one in seen:
            if program is not None:
                one["by"] = self.text(program)
            if one not in known:
                known.append(one)
                yield one

    def why(self, outcome: Ended) -> Broke | None:
        """Why a process broke, where that is not an error of the application's steps."""
        why = self._why(outcome)
        return why and replace(why, says=self.text(why.says))

    def _why(self, outcome: Ended) -> Broke | None:
        if outcome.why:
            # The first process that says it: those that it began, it waited for.
            hung = next((at for n, at in sorted(self.hung.items()) if self.processes[n]["outcome"] is outcome), None)
            where = f", at {hung}; raise limits.seconds if it is only slow" if hung else ""
            number, step = self.running(outcome)
            return replace(outcome.why, says=f"{step}: {outcome.why}{where}", step=number)
        ended_by = [self.uncaught.get(n) for n, one in enumerate(self.processes) if one["outcome"] is outcome]
        if (
            not outcome.ok
            and not outcome.steps[0][1].in_process
            and any(e and e.type == "MemoryError" for e in ended_by)
        ):
            return self.out_of_memory(*outcome.steps[0])
        if outcome.steps[0][1].in_process:
            for number, step in outcome.steps:
                began, ended, error = self.stepped.get(number, (None, None, None))
                if error is not None and error.type == "MemoryError":
                    return self.out_of_memory(number, step)
                if error is not None and error.name == "sqlalchemy" and error.type == "ModuleNotFoundError":
                    says = (
                        f"{step}: the interpreter {os.path.basename(self.space.python)} has no SQLAlchemy. "
                        "Name the python of the application's own environment in app.python."
                    )
                    return Broke("no-sqlalchemy", says, step=number)
                if error is not None:
                    return None
                if ended is None:
                    how = (
                        ended_by(-outcome.code)
                        if (outcome.code or 0) < 0
                        else Broke("ended", f"exit code {outcome.code}")
                    )
                    says = f"{step}: the process ended in the middle of it ({how}), as os._exit() or a crash does"
                    if began is None and not any(p["outcome"] is outcome for p in self.processes):
                        says = f"{step}: the interpreter started nothing ({how}): {self.output(outcome)[-400:].strip()}"
                    return replace(how, says=says, step=number)
        return None

    def out_of_memory(self, number: int, step: Step) -> Broke:
        most = self.incident.limits.memory_mb
        return Broke("limit", f"{step}: out of memory at {most} MB (limits.memory_mb)", "memory_mb", number)

    def running(self, outcome: Ended) -> tuple[int, Step]:
        """The step at which a process was when it ended: the last that began, of those that share one interpreter."""
        begun = [(number, step) for number, step in outcome.steps if number in self.stepped]
        return begun[-1] if begun else outcome.steps[0]

    def steps(self) -> tuple[StepResult, ...]:
        results = {}
        for outcome in self.ended:
            output = self.output(outcome)
            for number, step in outcome.steps:
                if step.in_process:
                    began, ended, error = self.stepped.get(number, (None, None, None))
                    seconds = None if began is None or ended is None else (ended - began) / 1e9
                    ok = None if began is None else ended is not None and error is None
                else:
                    times = [p["t"] for p in self.processes if p["outcome"] is outcome and "t" in p]
                    last = max(
                        (one.ended or one.began for one in self.imports if one.step == f"step {number}"), default=None
                    )
                    seconds = (last - min(times)) / 1e9 if times and last else None
                    error = next(
                        (e for n, e in self.uncaught.items() if e and self.processes[n]["outcome"] is outcome), None
                    )
                    ok = outcome.ok
                shown = broke = None
                if ok is False:
                    broke = None if error else self.why(outcome)
                    shown = str(error or broke or f"exit code {outcome.code}: {_last_line(output)}")
                text = self.text(step.text)
                results[number] = StepResult(number, step.kind, text, ok, shown, seconds, error, output, broke)
        for number, step in enumerate(self.incident.startup, 1):
            results.setdefault(number, StepResult(number, step.kind, self.text(step.text), None, None, None))
        return tuple(results[number] for number in sorted(results))

    def output(self, outcome: Ended) -> str:
        """What a process printed, as text; its end if it is long."""
        text = ""
        for name in ("stdout", "stderr"):
            path = outcome.folder / name
            if path.exists():
                with path.open("rb") as file:
                    size = outcome.asked.printed.get(name, 0) if outcome.asked else path.stat().st_size
                    file.seek(max(0, size - 200_000))
                    text += file.read(min(size, 200_000)).decode("utf-8", "replace")
        return self.text(text)

    def swallowed(self, steps, registrations) -> Iterator[Swallowed]:
        """Exceptions that left a body of the application, or a rejected table, and were then caught for good."""
        ended_with = {n: list(self.final_errors(n, steps)) for n in range(len(self.processes))}
        by_number = {one.number: one for one in self.imports}
        told: list[Error] = []
        for one in self.imports:
            if one.error is None or not one.application:
                continue
            if any(seen.links and seen.links[0] == one.error.links[0] and seen.text == one.error.text for seen in told):
                continue
            outer = by_number.get(one.within)
            while outer is not None and outer.error is not None and outer.error.comes_from(one.error):
                outer = by_number.get(outer.within)
            if outer is None and self.failed(one.process, one.error, ended_with):
                continue
            if outer is not None and outer.ended is None and self.failed(one.process, one.error, ended_with):
                continue  # the process ended inside that body, or its end was out of sight
            told.append(one.error)
            frames = one.error.frames
            chain = one.chain + frames
            site = next((f for f in reversed(chain) if f.application), None)
            yield Swallowed(one.error, site, chain, one.ended or one.began)
        for one in registrations:
            if one.outcome != "rejected":
                continue
            phrase = f"Table '{one.table}' is already defined"
            outer = by_number.get(one.within)
            passed = [e for e in (outer.error if outer else None, *ended_with[one.process]) if e]
            if any(phrase in text for error in passed for _, _, text in error.links):
                continue
            if outer is None and self.failed(one.process, None, ended_with):
                continue
            error = Error("sqlalchemy.exc.InvalidRequestError", phrase + " for this MetaData instance.")
            yield Swallowed(error, one.frame, one.chain, one.at)

    def final_errors(self, process: int, steps) -> Iterator[Error]:
        """The exceptions that ended a process or one of its steps."""
        outcome = self.processes[process]["outcome"]
        for number, step in outcome.steps:
            if step.in_process and number in self.stepped and self.stepped[number][2]:
                yield self.stepped[number][2]
        if self.uncaught.get(process):
            yield self.uncaught[process]

    def failed(self, process: int, error: Error | None, ended_with) -> bool:
        """Did ``error`` end its process, as far as can be told?"""
        finals = ended_with[process]
        if finals:
            return error is None or any(final.comes_from(error) for final in finals)
        outcome = self.processes[process]["outcome"]
        ran_on = outcome.asked is not None and process not in self.uncaught  # until we ended it
        return not outcome.steps[0][1].in_process and not outcome.ok and not ran_on

    def sources(self) -> dict[str, str]:
        """The text of the application's files that hold a site, a link of a chain or an error."""
        wanted = {name for one in self.registrations for name in (one.frame.file, one.real) if name}
        errors = [i.error for i in self.imports] + [error for _, _, error in self.stepped.values()]
        errors += [*self.uncaught.values(), *(one["error"] for one in self.judged)]
        for chain in (
            *(one.chain for one in self.registrations),
            *(error.frames for error in errors if error),
            *(one.chain for one in self.engines),
            *(one["chain"] for one in self.created),
        ):
            wanted.update(frame.file for frame in chain if frame.application)
        texts = {}
        for name in sorted(wanted):
            path = self.space.root / name
            try:
                if path.is_file() and path.stat().st_size < 2_000_000:
                    texts[name] = path.read_text("utf-8", "replace")
            except OSError:
                continue
        return texts

    def named(self, one: Registration, sources: dict[str, str]) -> Registration:
        """With the site's class or variable, and its line that of the ``class`` statement or the call.

        A function of the application that stands in for ``Table`` defines nothing: whoever calls it does.
        """
        while (
            one.class_ is None and one.frame.application and hands_on(sources.get(one.frame.file, ""), one.frame.line)
        ):
            chain = one.chain[:-1]
            while chain and not chain[-1].application:
                chain = chain[:-1]
            if not chain:
                break
            site = one.site._replace(file=chain[-1].file, line=chain[-1].line, module=chain[-1].module)
            real = self.real(str(self.space.root / chain[-1].file))
            one = replace(one, chain=chain, frame=chain[-1], site=site, real=real)
        text = sources.get(one.site.file)
        if text is None:
            return one
        site = one.site
        if one.frame.application and one.real and one.real != site.file and not one.real.startswith(("/", "~", "<")):
            site = site._replace(file=one.real)  # reached through a link: the file that is really there
        line, name, in_class = statement_at(text, one.site.line, one.class_)
        return replace(one, site=site._replace(line=line, name=name or site.name), in_class=in_class)

    def provenance(self) -> dict[str, Any]:
        first = next((p for p in self.processes if p.get("version")), {})
        return {
            "python": ".".join(map(str, first.get("version", ()))) or None,
            "implementation": first.get("implementation"),
            "sqlalchemy": self.libraries.get("sqlalchemy"),
            "processes": len(self.processes),
            "untraced": [str(o.steps[0][1]) for o in self.ended if not any(p["outcome"] is o for p in self.processes)],
            "database": self.incident.database,
            "database_server": self.space.postgresql.server if self.space.postgresql else None,
            "left_behind": list(self.space.left),
            "guards": ["clean environment", *self.guards(), *sorted(self.listening), *self.doors()],
            "unguarded": list(dict.fromkeys(self.text(one) for each in self.ended for one in each.guards.missing)),
        }

    def doors(self) -> list[str]:
        return ["postgresql door"] if self.space.postgresql else []

    def guards(self) -> list[str]:
        """The kernel's guards that every process of the startup was under."""
        each = [outcome.guards.in_force for outcome in self.ended]
        return [str(name) for name in (each[0] if each else ()) if all(name in others for others in each)]


def _refusal(what: str, site: Frame | None, chain: Sequence[Frame]) -> dict[str, Any]:
    """``{what, site: {file, line, module, name} or None, chain: [{file, line, module}]}``, of the application."""
    place = site and {"file": site.file, "line": site.line, "module": site.module, "name": site.function}
    steps = [{"file": f.file, "line": f.line, "module": f.module} for f in application_frames(chain)]
    return {"what": what, "site": place, "chain": steps}


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; a number of which there is no name, as such."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ended_by(number: int) -> Broke:
    """A process was ended by a signal: one that somebody sends, or one that a crash makes."""
    name = signal_name(number)
    return Broke("killed" if name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP") else "crashed", f"ended by {name}")


def _importer(chain: Sequence[Frame]) -> Frame | None:
    """The statement that led to an import: the application's nearest, else a library's, not the import system's."""
    own = [frame for frame in chain if frame.application]
    others = [frame for frame in chain if "/importlib/" not in frame.file]
    return (own or others or [None])[-1]


def _stamped(event: dict) -> int:
    stamp = event.get("t")
    return stamp if isinstance(stamp, int) else 0


def _interrupted(error: Error | None) -> bool:
    return error is not None and any(name == "KeyboardInterrupt" for _, name, _ in error.links)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed nothing"
