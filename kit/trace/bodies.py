"""Which module's body was executed when, and which of them an event happened in."""

from collections.abc import Sequence
from dataclasses import replace

from .collected import Collected
from .values import Frame, Import


class Bodies:
    """Adds executions of modules to what is collected."""

    def __init__(self, collected: Collected):
        self.collected = collected
        self._by_frame: dict[tuple, int] = {}  # of those that no loader executes: to its number

    def begin(self, event: dict, process: int, step: str, at: int) -> None:
        """A loader is about to execute a module."""
        chain = self.collected.chain(process, event)
        within = self.within(process, event, step, at)
        file, application = self.collected.paths.shown(event["f"]) if event.get("f") else (None, False)
        self.collected.open[process, event["n"]] = len(self.collected.imports)
        self.collected.imports.append(
            Import(
                number=len(self.collected.imports) + 1,
                process=process,
                step=step,
                thread=event.get("th"),
                module=str(event["m"]),
                file=file,
                real=self.collected.paths.real(event.get("f")),
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

    def end(self, event: dict, process: int, at: int) -> None:
        """The module's body came to its end, or was left by an exception."""
        index = self.collected.open.get((process, event["n"]))
        if index is not None:
            import_ = self.collected.imports[index]
            error = self.collected.error(process, event.get("error"))
            self.collected.imports[index] = replace(import_, ended=at, error=error)

    def script(self, event: dict, process: int, step: str, at: int) -> None:
        """A script is about to run, perhaps once more: what follows under its frame belongs to this run."""
        within = self.within(process, event, step, at)
        file, _ = self.collected.paths.shown(event["f"])
        index = self.collected.body(process, event)
        number = None if index is None else self.collected.imports[index].number
        key = (process, within if within is not None else number, self.collected.chain(process, event), file)
        self._add(event, key, "?", event["f"], step, at)

    def within(self, process: int, event: dict, step: str, at: int) -> int | None:
        """The number of the innermost import that an event happened in.

        A body that no standard loader executes (a script, ``python -m``, ``exec`` of a file's code) gives
        no event of its own: it is known by its frame, from the first thing that happens in it.
        """
        collected = self.collected
        index = collected.body(process, event)
        number = None if index is None else collected.imports[index].number
        outer = () if index is None else collected.imports[index].chain
        frames = collected.frames(process, event.get("via"))
        for position, frame in enumerate(frames):
            its_own = position == 0 and index is not None and frame.module == collected.imports[index].module
            if frame.function != "<module>" or not frame.application or its_own:
                continue
            before = outer + frames[:position]
            key = (process, number, before, frame.file)
            if key not in self._by_frame:
                raw = collected.raw_file(process, event["via"][: position + 1])
                self._add(event, key, frame.module, raw, step, at)
            elif collected.imports[self._by_frame[key] - 1].module == "?":  # its name shows only now
                index = self._by_frame[key] - 1
                collected.imports[index] = replace(collected.imports[index], module=frame.module or "?")
            number = self._by_frame[key]
        return number

    def _add(self, event: dict, key: tuple, module: str | None, raw: str | None, step: str, at: int) -> None:
        """An execution that no loader had to do with; its end is out of sight."""
        process, within, before, file = key
        self._by_frame[key] = len(self.collected.imports) + 1
        self.collected.imports.append(
            Import(
                number=len(self.collected.imports) + 1,
                process=process,
                step=step,
                thread=event.get("th"),
                module=module or "?",
                file=file,
                real=self.collected.paths.real(raw),
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


def _importer(chain: Sequence[Frame]) -> Frame | None:
    """The statement that led to an import: the application's nearest, else a library's, not the import system's."""
    of_application = [frame for frame in chain if frame.application]
    others = [frame for frame in chain if "/importlib/" not in frame.file]
    return (of_application or others or [None])[-1]
