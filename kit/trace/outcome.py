"""How a startup came out, of all that was collected: its steps, why it broke, what was swallowed and refused, what it ran with."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..incident.model import Incident
from ..incident.steps import Step
from .chains import application_frames, catcher
from .printed_errors import last_error, printed_error, printed_errors
from .processes import Ended, RunPlace, ended_by
from .reader_state import Collected, Stepped, innermost
from .values import Broke, Error, Frame, Registration, StepResult, Swallowed

_PRINTED = 200_000  # bytes of each stream that are kept
_SHOWN = 200  # letters by which a text is known again
# How something is ended.
_ENDS = ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "asyncio.exceptions.CancelledError")


class Outcome:
    """What the whole run says, where the single event does not."""

    def __init__(self, incident: Incident, space: RunPlace, ended: Sequence[Ended], collected: Collected):
        self.incident, self.space, self.ended, self.collected = incident, space, ended, collected
        self.text = collected.paths.text

    def broke(self) -> Broke | None:
        """Why the run itself broke: the first process that did. A server that ended of its own is a step that failed."""
        return next((why for outcome in self.ended if (why := self._why(outcome)) and why.kind != "died"), None)

    def _why(self, outcome: Ended) -> Broke | None:
        """Why a process broke, where that is not an error of the application's steps."""
        if outcome.why:
            why = self._ended_by_us(outcome, outcome.why)
        elif outcome.in_process:
            why = next(filter(None, (self._step_broke(outcome, *numbered) for numbered in outcome.steps)), None)
        else:
            errors = [self.collected.uncaught.get(number) for number in self.collected.processes_of(outcome)]
            no_memory = not outcome.ok and any(error and error.type == "MemoryError" for error in errors)
            why = self._out_of_memory(*outcome.steps[0]) if no_memory else None
        return why and replace(why, says=self.text(why.says))

    def _ended_by_us(self, outcome: Ended, why: Broke) -> Broke:
        begun = [numbered for numbered in outcome.steps if numbered[0] in self.collected.stepped]
        number, step = begun[-1] if begun else outcome.steps[0]  # the last that began, of those in one interpreter
        # The first process that says it: those that it began, it waited for.
        processes = self.collected.processes_of(outcome)
        hung = next((at for process, at in sorted(self.collected.hung.items()) if process in processes), None)
        where = f", at {hung}; raise limits.seconds if it is only slow" if hung else ""
        return replace(why, says=f"{step}: {why}{where}", step=number)

    def _step_broke(self, outcome: Ended, number: int, step: Step) -> Broke | None:
        """Why a step inside an interpreter broke; None where it ended, failed with an error of its own, or never was begun."""
        earlier = (self.collected.stepped.get(before) for before, _ in outcome.steps if before < number)
        if any(stepped is not None and stepped.error is not None for stepped in earlier):
            return None  # it never began
        stepped = self.collected.stepped.get(number, Stepped())
        error = stepped.error
        if error is not None and error.type == "MemoryError":
            return self._out_of_memory(number, step)
        if error is not None and error.name == "sqlalchemy" and error.type == "ModuleNotFoundError":
            says = (
                f"{step}: the interpreter {os.path.basename(self.space.python)} has no SQLAlchemy. "
                "Name the python of the application's own environment in app.python."
            )
            return Broke("no-sqlalchemy", says, step=number)
        if error is not None or stepped.ended is not None:
            return None
        how = ended_by(-outcome.code) if (outcome.code or 0) < 0 else Broke("ended", f"exit code {outcome.code}")
        says = f"{step}: the process ended in the middle of it ({how}), as os._exit() or a crash does"
        if stepped.began is None and not self.collected.processes_of(outcome):
            says = f"{step}: the interpreter started nothing ({how}): {self.output(outcome)[-400:].strip()}"
        return replace(how, says=says, step=number)

    def _out_of_memory(self, number: int, step: Step) -> Broke:
        most = self.incident.limits.memory_mb
        return Broke("limit", f"{step}: out of memory at {most} MB (limits.memory_mb)", "memory_mb", number)

    def steps(self) -> tuple[StepResult, ...]:
        """How every step ended; one that never ran too."""
        results = {}
        for number, step in enumerate(self.incident.startup, 1):
            results[number] = StepResult(number, step.kind, self.text(step.text), None, None, None)
        for outcome in self.ended:
            output = self.output(outcome)
            for number, step in outcome.steps:
                ok, error, seconds = self._inside(number) if step.in_process else self._command(outcome, number)
                broke = shown = None
                if ok is False:
                    printed = printed_error(output, self._is_application)
                    outside = error and not application_frames(error.frames)
                    if outside and printed and application_frames(printed.frames):
                        error = printed  # the other is a server's own, over a worker that failed to start
                    broke = None if error else self._why(outcome)
                    shown = str(error or broke or f"exit code {outcome.code}: {printed or last_error(output)}")
                    if error is None and (broke is None or broke.kind == "died"):
                        error = printed
                        shown += f": {error}" if error and broke else ""
                text = self.text(step.text)
                results[number] = StepResult(number, step.kind, text, ok, shown, seconds, error, output, broke)
        return tuple(results[number] for number in sorted(results))

    def _inside(self, number: int) -> tuple[bool | None, Error | None, float | None]:
        """A step inside an interpreter: whether it succeeded, its error and its seconds."""
        began, ended, error = self.collected.stepped.get(number, Stepped())
        seconds = None if began is None or ended is None else (ended - began) / 1e9
        return None if began is None else ended is not None and error is None, error, seconds

    def _command(self, outcome: Ended, number: int) -> tuple[bool, Error | None, float | None]:
        """A step that is a process of its own, likewise; its seconds are those of its imports."""
        collected, processes = self.collected, self.collected.processes_of(outcome)
        firsts = [collected.processes[process].first for process in processes]
        times = [first["t"] for first in firsts if "t" in first]
        imports = [import_ for import_ in collected.imports if import_.step == f"step {number}"]
        last = max((import_.ended or import_.began for import_ in imports), default=None)
        errors = [error for process, error in collected.uncaught.items() if error and process in processes]
        error = next((error for error in errors if application_frames(error.frames)), errors[0] if errors else None)
        return outcome.ok, error, (last - min(times)) / 1e9 if times and last else None

    def _is_application(self, file: str) -> bool:
        """Is a file, as what was printed names it, one of the application's?"""
        inside = not os.path.isabs(file) and "-packages/" not in file and ".." not in file
        return inside and (self.space.root / file).is_file()

    def output(self, outcome: Ended) -> str:
        """What a process printed, as text; its end if it is long."""
        text = ""
        for name in ("stdout", "stderr"):
            path = outcome.folder / name
            if path.exists():
                with path.open("rb") as file:
                    only_asked = outcome.answering or outcome.asked or outcome.stopped
                    size = only_asked.printed.get(name, 0) if only_asked else path.stat().st_size
                    file.seek(max(0, size - _PRINTED))
                    text += file.read(min(size, _PRINTED)).decode("utf-8", "replace")
        return self.text(text)

    def swallowed(
        self, registrations: Sequence[Registration], steps: Sequence[StepResult], sources: Mapping[str, str]
    ) -> Iterator[Swallowed]:
        """What went wrong and failed no step: see :class:`Swallowed`. What is seen in several ways is told once."""
        failed = [step for step in steps if step.ok is False]
        known = {first for step in failed if step.exception for first in _firsts(step.exception)}
        texts = [step.error or "" for step in failed]
        for caught in (*self._left(registrations), *self._logged(), *self.printed(steps), *self._handled(sources)):
            first = _firsts(caught.error)[0]
            shown = first in known or any(": ".join(filter(None, first)) in text for text in texts)
            if caught.how == "left" or not shown:
                known.add(first)
                yield caught

    def _logged(self) -> Iterator[Swallowed]:
        """Exceptions that passed the application and that a record of the log carries; what then ended the process was not kept."""
        for record in self.collected.records:
            error = record.error
            site = error and (innermost(error.frames) or record.site)
            if site and error.type not in _ENDS and not self._failed(record.process, error):
                yield Swallowed(error, site, error.frames or record.chain, record.at, "logged")

    def _handled(self, sources: Mapping[str, str]) -> Iterator[Swallowed]:
        """Exceptions that came to a handler of the application for any error: one for a kind of error knows what it does."""
        for error, where in self.collected.handled:
            site = error and innermost(error.frames)
            handler = error and error.frames and catcher(error.frames[:1], sources, error)
            broad = handler and handler == catcher(error.frames[:1], sources, None)
            if site and broad and not self._failed(where.process, error):
                yield Swallowed(error, site, error.frames, where.at, "handled")

    def printed(self, steps: Sequence[StepResult]) -> Iterator[Swallowed]:
        """Exceptions whose traceback a step printed, where it passed the application: of a thread, of what runs at the exit, of a child."""
        for step in steps:
            for error in printed_errors(step.output, self._is_application):
                if (site := innermost(error.frames)) and error.type not in _ENDS:
                    yield Swallowed(error, site, error.frames, 0, "printed")

    def _left(self, registrations: Sequence[Registration]) -> Iterator[Swallowed]:
        """Exceptions that left a body of the application, or a rejected table, and were then caught for good."""
        by_number = {import_.number: import_ for import_ in self.collected.imports}
        seen: list[Error] = []
        for import_ in self.collected.imports:
            error = import_.error
            if error is None or not import_.application:
                continue
            if any(it.links and it.links[0] == error.links[0] and it.text == error.text for it in seen):
                continue
            outer = by_number.get(import_.within)
            while outer is not None and outer.error is not None and outer.error.comes_from(error):
                outer = by_number.get(outer.within)
            # In a body that never ended: the process ended inside it, or its end was out of sight.
            if (outer is None or outer.ended is None) and self._failed(import_.process, error):
                continue
            seen.append(error)
            chain = import_.chain + error.frames
            yield Swallowed(error, innermost(chain), chain, import_.ended or import_.began)
        for registration in registrations:
            if registration.outcome != "rejected":
                continue
            phrase = f"Table '{registration.table}' is already defined"
            outer = by_number.get(registration.within)
            passed = [e for e in (outer.error if outer else None, *self._final_errors[registration.process]) if e]
            if any(phrase in text for error in passed for _, _, text in error.links):
                continue
            if outer is None and self._failed(registration.process, None):
                continue
            error = Error("sqlalchemy.exc.InvalidRequestError", phrase + " for this MetaData instance.")
            yield Swallowed(error, registration.frame, registration.chain, registration.at)

    @cached_property
    def _final_errors(self) -> list[list[Error]]:
        """Of each process, the exceptions that ended it or one of its steps."""
        finals = []
        for number, process in enumerate(self.collected.processes):
            in_process = [step for step, end in process.outcome.steps if end.in_process]
            errors = [self.collected.stepped.get(step, Stepped()).error for step in in_process]
            finals.append([error for error in (*errors, self.collected.uncaught.get(number)) if error])
        return finals

    def _failed(self, process: int, error: Error | None) -> bool:
        """Did ``error`` end its process, as far as can be told?"""
        finals, outcome = self._final_errors[process], self.collected.processes[process].outcome
        if finals:
            return error is None or any(final.comes_from(error) for final in finals)
        ran_on = outcome.asked is not None and process not in self.collected.uncaught  # until we ended it
        return not outcome.in_process and not outcome.ok and not ran_on

    def refusals(self) -> Iterator[dict]:
        """What was refused, each once: with its site where the probe saw it, else with the program that tried."""
        by_kernel = [entry for outcome in self.ended for entry in outcome.guards.refused]
        by_door = self.space.postgresql.door.refused if self.space.postgresql else ()
        seen = list(self.collected.refused)
        for entry in (*by_kernel, *by_door):
            program = entry.get("by")
            attempt = refusal(self.text(entry.get("what")), None, ())
            seen.append(attempt if program is None else {**attempt, "by": self.text(program)})
        known: list[dict] = []
        for attempt in seen:
            if attempt not in known:
                known.append(attempt)
                yield attempt

    def provenance(self) -> dict[str, Any]:
        """What the run ran with, as the JSON has it."""
        collected, space = self.collected, self.space
        first = next((process.first for process in collected.processes if process.first.get("version")), {})
        in_force = [outcome.guards.in_force for outcome in self.ended]
        guards = [str(name) for name in (in_force[0] if in_force else ()) if all(name in of for of in in_force)]
        missing = [self.text(name) for outcome in self.ended for name in outcome.guards.missing]
        doors = ["postgresql door"] if space.postgresql else []
        return {
            "python": ".".join(map(str, first.get("version", ()))) or None,
            "implementation": first.get("implementation"),
            "sqlalchemy": collected.libraries.get("sqlalchemy"),
            "processes": len(collected.processes),
            "untraced": [str(outcome.steps[0][1]) for outcome in self.ended if not collected.processes_of(outcome)],
            "database": self.incident.database,
            "database_server": space.postgresql.server if space.postgresql else None,
            "left_behind": list(space.left),
            "guards": ["clean environment", *guards, *sorted(collected.listening), *doors],
            "unguarded": list(dict.fromkeys(missing)),
        }


def refusal(what: str, site: Frame | None, chain: Sequence[Frame]) -> dict[str, Any]:
    """``{what, site: {file, line, module, name} or None, chain: [{file, line, module}]}``, of the application."""
    place = site and {"file": site.file, "line": site.line, "module": site.module, "name": site.function}
    steps = [{"file": f.file, "line": f.line, "module": f.module} for f in application_frames(chain)]
    return {"what": what, "site": place, "chain": steps}


def _firsts(error: Error) -> list[tuple[str, str]]:
    """Of an error and of each that it came from its type and what a traceback shows of its text: the first line."""
    named = [(error.type, error.text), *((type_, text) for _, type_, text in error.links[1:])]
    return [(type_.rpartition(".")[2], text.partition("\n")[0].strip()[:_SHOWN]) for type_, text in named]
