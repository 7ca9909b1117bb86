"""What has been read of a run so far, and what the numbers in its events mean: processes, files, frames, errors, bodies."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from . import values
from .edges import FileEdges, Place
from .frames import from_the_outermost
from .processes import Ended, Paths


class Code(NamedTuple):
    """What frames and edges name by a number: ``raw`` as the interpreter names the file, ``file`` as it is shown."""

    raw: str
    file: str
    application: bool
    function: str
    module: str | None
    place: Place


class Process(NamedTuple):
    """A traced process: that which the runner started, or one that it came to start; ``first`` is its first event."""

    outcome: Ended
    first: dict[str, Any]


class At(NamedTuple):
    """Where an event stands: its process, its step, and its time in nanoseconds."""

    process: int
    step: str
    at: int


class Stepped(NamedTuple):
    """A step inside an interpreter: when it began and ended, nanoseconds, and the error that ended it."""

    began: int | None = None
    ended: int | None = None
    error: values.Error | None = None


@dataclass
class Collected:
    """A run while it is read: the reader adds to it event by event, and the outcome is made of it."""

    paths: Paths
    processes: list[Process] = field(default_factory=list)
    process_of: dict[str, int] = field(default_factory=dict)  # trace file to its process
    forks: dict[int, tuple[int, int]] = field(default_factory=dict)  # process to (its parent, when it was forked)
    codes: dict[int, dict[int, Code]] = field(default_factory=lambda: defaultdict(dict))  # of each process, by number
    imports: list[values.Import] = field(default_factory=list)
    open: dict[tuple[int, int], int] = field(default_factory=dict)  # (process, body) -> index in imports
    edges: list[tuple[Ended, dict[str, FileEdges]]] = field(default_factory=list)  # of each started process, by file
    metadata: dict[tuple[int, int], values.Metadata] = field(default_factory=dict)
    registrations: list[values.Registration] = field(default_factory=list)
    cleared: list[values.Cleared] = field(default_factory=list)
    created: list[values.Creation] = field(default_factory=list)
    engines: list[values.EngineMade] = field(default_factory=list)
    entries: list[values.Entry] = field(default_factory=list)
    records: list[values.Record] = field(default_factory=list)
    handled: list[tuple[values.Error | None, At]] = field(default_factory=list)
    silenced: list[values.Silenced] = field(default_factory=list)
    behind: list[values.Behind] = field(default_factory=list)
    judged: list[values.Judgement] = field(default_factory=list)
    refused: list[dict] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    listening: set[str] = field(default_factory=set)  # guards that the probe itself put in place
    libraries: dict[str, str] = field(default_factory=dict)
    stepped: dict[int, Stepped] = field(default_factory=dict)
    uncaught: dict[int, values.Error | None] = field(default_factory=dict)  # process to what ended it
    hung: dict[int, values.Frame] = field(default_factory=dict)  # process that was ended past its time -> where it was
    by_frame: dict[tuple, int] = field(default_factory=dict)  # bodies that no loader executes: to their numbers

    def lose(self, kind: str) -> None:
        """Note that an event could not be read."""
        self.lost.append(f"an event of kind {self.paths.text(kind)[:40]} was not in order")

    def process(self, file: str, event: dict, outcome: Ended) -> int:
        """A process's number; each trace file is one process."""
        number = self.process_of.get(file)
        if number is not None:
            return number
        number = self.process_of[file] = len(self.processes)
        if event.get("forked"):
            parents = [n for n, earlier in enumerate(self.processes) if earlier.first.get("pid") == event.get("parent")]
            if parents:
                self.forks[number] = (parents[-1], event.get("t", 0))
        self.processes.append(Process(outcome, event))
        return number

    def processes_of(self, outcome: Ended) -> list[int]:
        """The numbers of the traced processes that one started process stands for."""
        return [number for number, process in enumerate(self.processes) if process.outcome is outcome]

    def code(self, process: int, number: int) -> Code:
        """What a process means by a number; one that was forked goes on with the numbers of its parent.

        :raises KeyError: it wrote none under that number
        """
        above, known = process, self.codes[process].get(number)
        while known is None:
            above = self.forks[above][0]
            known = self.codes[above].get(number)
        if above != process:
            known = self.codes[process][number] = known._replace(place=known.place._replace(process=process))
        return known

    def frames(self, process: int, raw: Sequence | None) -> tuple[values.Frame, ...]:
        """The frames that an event names, outermost first; one that cannot be read is left out."""
        frames = []
        for entry in raw or ():
            try:
                code = self.code(process, entry[0])
                frames.append(values.Frame(code.file, int(entry[1]), code.function, code.module, code.application))
            except (TypeError, ValueError, KeyError, IndexError):
                continue
        return tuple(frames)

    def raw_file(self, process: int, via: Sequence | None) -> str | None:
        """The file of the innermost frame, as the interpreter names it."""
        try:
            return self.code(process, via[-1][0]).raw if via else None
        except KeyError:
            return None

    def error(self, process: int, raw: Any) -> values.Error | None:
        """An exception as the probe describes it."""
        if not isinstance(raw, dict):
            return None
        kind, text = str(raw.get("type")), self.paths.text(raw.get("text"))
        links = [link for link in raw.get("links") or () if isinstance(link, list) and len(link) == 3]
        shown = tuple((identity, str(name), self.paths.text(words)) for identity, name, words in links)
        frames, causes = self.frames(process, raw.get("frames")), []
        for number, cause in enumerate(raw.get("causes") or (), 1):
            inner = self.error(process, {**cause, "links": links[number:]})
            passed = from_the_outermost(causes[-1].frames if causes else frames, inner.frames)
            causes.append(replace(inner, frames=passed, handled=bool(cause.get("handled"))))
        return values.Error(kind, text, frames, shown or ((0, kind, text),), raw.get("name"), tuple(causes))

    def body(self, process: int, event: dict) -> int | None:
        """The index of the import that an event names as the body it is in; a forked process goes on in bodies of its parent."""
        while (process, event.get("b") or 0) not in self.open and process in self.forks:
            process = self.forks[process][0]
        return self.open.get((process, event.get("b") or 0))

    def chain(self, process: int, event: dict) -> tuple[values.Frame, ...]:
        """Every frame from the step to an event: those of the body it is in, then its own."""
        outer = self.body(process, event)
        frames = self.frames(process, event.get("via"))
        return (self.imports[outer].chain if outer is not None else ()) + frames

    def begin(self, event: dict, where: At) -> None:
        """A loader is about to execute a module."""
        chain, within = self.chain(where.process, event), self.within(event, where)
        self.open[where.process, event["n"]] = len(self.imports)
        again, how = bool(event.get("again")), str(event.get("how", "import"))
        self._execute(event, where, str(event["m"]), event.get("f"), chain, within, again=again, how=how)

    def end(self, event: dict, where: At) -> None:
        """The module's body came to its end, or was left by an exception."""
        index = self.open.get((where.process, event["n"]))
        if index is not None:
            error = self.error(where.process, event.get("error"))
            vars(self.imports[index]).update(ended=where.at, error=error)  # nobody else has it yet, and there are many

    def script(self, event: dict, where: At) -> None:
        """A script is about to run, perhaps once more: what follows under its frame belongs to this run."""
        within = self.within(event, where)
        index = self.body(where.process, event)
        number = None if index is None else self.imports[index].number
        within = number if within is None else within
        chain, (file, _) = self.chain(where.process, event), self.paths.shown(event["f"])
        self.by_frame[where.process, within, chain, file] = len(self.imports) + 1
        self._execute(event, where, "?", event["f"], chain, within, how="exec")

    def within(self, event: dict, where: At) -> int | None:
        """The number of the innermost import that an event happened in.

        A body that no standard loader executes (a script, ``python -m``, ``exec`` of a file's code) gives
        no event of its own, and its end is out of sight: it is known by its frame, from the first thing that happens in it.
        """
        process, index = where.process, self.body(where.process, event)
        number = None if index is None else self.imports[index].number
        outer = () if index is None else self.imports[index].chain
        frames = self.frames(process, event.get("via"))
        for position, frame in enumerate(frames):
            its_own = position == 0 and index is not None and frame.module == self.imports[index].module
            if frame.function != "<module>" or not frame.application or its_own:
                continue
            before = outer + frames[:position]
            key = (process, number, before, frame.file)
            if key not in self.by_frame:
                self.by_frame[key] = len(self.imports) + 1
                raw = self.raw_file(process, event["via"][: position + 1])
                self._execute(event, where, frame.module or "?", raw, before, number, how="exec")
            elif self.imports[self.by_frame[key] - 1].module == "?":  # its name shows only now
                index = self.by_frame[key] - 1
                self.imports[index] = replace(self.imports[index], module=frame.module or "?")
            number = self.by_frame[key]
        return number

    def _execute(self, event: dict, where: At, module: str, raw: str | None, chain, within, how, again=False):
        file, application = self.paths.shown(raw) if raw else (None, False)
        outside = [frame for frame in chain if "/importlib/" not in frame.file][-1:]  # of the import system
        self.imports.append(
            values.Import(
                number=len(self.imports) + 1,
                process=where.process,
                step=where.step,
                thread=event.get("th"),
                module=module,
                file=file,
                real=self.paths.real(raw),
                application=application or how == "exec",  # what no loader executes is only told of for the application
                by=innermost(chain) or next(iter(outside), None),
                chain=chain,
                within=within,
                began=where.at,
                ended=None,
                error=None,
                again=again,
                how=how,
            )
        )

    def forget_our_interrupt(self) -> None:
        """A process that the runner ended was asked by ``SIGINT`` first: what came of that is nothing of the application's."""
        ours = {number for number, process in enumerate(self.processes) if process.outcome.why}
        for index, import_ in enumerate(self.imports):
            if import_.process in ours and _interrupted(import_.error):
                self.imports[index] = replace(import_, ended=None, error=None)
        for number in ours:
            if _interrupted(self.uncaught.get(number)):
                self.uncaught[number] = None
            for step, _ in self.processes[number].outcome.steps:
                stepped = self.stepped.get(step, Stepped())
                if _interrupted(stepped.error):
                    self.stepped[step] = Stepped(stepped.began)


def innermost(chain: Sequence[values.Frame]) -> values.Frame | None:
    """The application's innermost frame of a chain."""
    return next((frame for frame in reversed(chain) if frame.application), None)


def _interrupted(error: values.Error | None) -> bool:
    return error is not None and any(name == "KeyboardInterrupt" for _, name, _ in error.links)
