"""The postmortem of an incident: its notebook executed, its page and its JSON, side by side."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base import interrupt
from ..base.errors import IncidentError, RunBroke
from ..base.janitor import folder as temporary_folder
from ..base.janitor import write_whole
from ..base.places import notebooks
from ..base.progress import Hears, silent
from ..base.redact import redacted
from ..diagnose.diagnosis import reproduce
from ..diagnose.observation import look_at
from ..incident.model import Incident
from ..startup.kept_runs import handing_over, keeps
from ..startup.portable import VARIABLE
from ..startup.workspace import refuse_patches
from ..trace.expected import shows_incident

_LONGEST_SOCKET = 100  # bytes; macOS takes 103 with what ZeroMQ appends, Linux 107
NOTEBOOK = notebooks() / "postmortem.ipynb"


@dataclass(frozen=True)
class Published:
    """What was written, and the exit code that the verdict stands for."""

    notebook: Path
    html: Path
    json: Path
    report: dict[str, Any]
    code: int

    @property
    def verdict(self) -> str:
        verified = ", ".join(self.report["verify"]["verified"])
        broke = self.report.get("broke")
        undecided = [fix for fix in self.report["verify"]["fixes"] if fix["verdict"] == "undecided"]
        if self.code == 4 and not broke and undecided:
            return f"reproduced; no fix is verified, and {undecided[0]['name']} is undecided: {undecided[0]['because']}"
        words = {0: f"reproduced; verified: {verified}", 1: "reproduced; no fix is verified", 3: "not reproduced"}
        return words.get(self.code, f"the run broke: {broke}")


@contextmanager
def _first_startup(incident: Incident, progress: Hears) -> Iterator[tuple[Hears, Callable[[], None]]]:
    """Begin at once with the build as it is, while papermill and its kernel only start, and say what it shows; the notebook takes the kept run.

    :returns: hears what the notebook says, but for what was said of this startup; and ends it, where the notebook takes nothing any more
    """
    if os.environ.get(VARIABLE) or not keeps():  # it is run elsewhere, or would be run again
        yield progress, lambda: None
        return
    heard: list[str] = []
    # What goes wrong goes wrong in the notebook too, and is told there.
    with handing_over(), interrupt.pool_of(None) as pool:
        startup = pool.submit(look_at, incident, lambda text: heard.append(text) or progress(text), hand_over=True)

        def end() -> None:
            with interrupt.everything_ends():
                wait([startup])

        yield lambda text: text in heard or progress(text), end


@interrupt.interruptible
def publish(
    incident: Incident, output: Path | None = None, *, trace: str | None = None, progress: Hears = silent
) -> Published:
    """Execute the postmortem notebook with this incident; write ``.ipynb``, ``.html`` and ``.json`` side by side.

    :param output: the path to write to; its suffix is ignored. Default: ``results/<incident>/postmortem``
    :param trace: the file to write the startup's trace to, with the diagnosis; None: nowhere
    :raises IncidentError: a patch does not apply
    :raises RunBroke: the notebook did not run to its end; the page shows what ran, and the message names it
    :raises SecretFound: one of the three files would show a secret; none is written, and those of an earlier run are removed
    """
    incident.python  # noqa: B018 - what cannot begin is said now, and not from within the notebook
    _refuse_patches(incident)
    notebook, html, report = _places(incident, output)
    progress(f"executing {NOTEBOOK.name} for {incident.file.name}")
    with _first_startup(incident, progress) as (heard, end_startup), temporary_folder() as scratch:
        with _without_address_grammar():
            import nbformat
            from papermill.exceptions import PapermillException

        from ..base.scan import refuse_secrets
        from .page import render

        executed, answer = scratch / "postmortem.ipynb", scratch / "result.json"
        failure = None
        try:
            parameters = {"incident": str(incident.file), "result": str(answer)}
            if trace:
                parameters["trace"] = str(Path(trace).expanduser().absolute())
            execute(NOTEBOOK, executed, parameters, scratch=scratch, progress=heard)
        except (PapermillException, RuntimeError) as error:  # a cell failed; the kernel did not start, or died
            failure = str(error).strip().splitlines()[-1]
            end_startup()
        interrupt.check()
        texts = {}
        if executed.exists():
            progress("writing the page")
            content = _made_public(json.loads(executed.read_text("utf-8")))
            texts[notebook] = _without_place(json.dumps(content, indent=1, ensure_ascii=False), incident) + "\n"
            texts[html] = render(nbformat.reads(texts[notebook], as_version=4), title=incident.title)
        if not failure and answer.exists():
            texts[report] = answer.read_text("utf-8")
    refuse_secrets({path.name: text for path, text in texts.items()})
    for path, text in texts.items():
        write_whole(path, text)
    if report not in texts:
        raise RunBroke(
            f"{NOTEBOOK.name}: the notebook did not finish: {failure or 'no result was written'}. "
            f"What it shows until then: {html if html in texts else 'nothing'}"
        )
    result = json.loads(texts[report])
    return Published(notebook, html, report, result, exit_code(result))


def _refuse_patches(incident: Incident) -> None:
    """Refuse patches that do not apply; of a build that is mended nobody asks for them."""
    try:
        refuse_patches(incident, incident.fixes)
    except IncidentError:
        if shows_incident(incident, reproduce(incident)):
            raise


def _places(incident: Incident, output: Path | None) -> tuple[Path, Path, Path]:
    """The paths of the notebook, the page and the JSON; the files of an earlier run, which proved something else, are removed."""
    name = incident.folder.name if incident.file.name == "incident.yaml" else incident.file.stem
    base = (output.with_suffix("") if output else Path("results") / name / "postmortem").absolute()
    base.parent.mkdir(parents=True, exist_ok=True)
    notebook, html, report = (base.with_suffix(suffix) for suffix in (".ipynb", ".html", ".json"))
    for path in (notebook, html, report):
        path.unlink(missing_ok=True)
    return notebook, html, report


def execute(
    notebook: Path,
    output: Path,
    parameters: dict[str, str],
    *,
    scratch: Path,
    cwd: Path | None = None,
    progress: Hears = silent,
) -> None:
    """Run a notebook through papermill, quietly.

    Nobody has checked the executed notebook for secrets: who publishes it has to.

    :param scratch: a folder of its own for this run: what is the kernel's lies there, so that two runs at once do not
        meet, and nothing is left of it
    :param progress: called with each text of the notebook's progress line
    :raises papermill.exceptions.PapermillException: a cell failed
    """
    with _without_address_grammar():
        import papermill
    from traitlets.config import Config

    from .engine import NAME

    papermill.execute_notebook(
        str(notebook),
        str(output),
        engine_name=NAME,
        progress=progress,
        parameters=parameters,
        cwd=str(cwd or notebook.parent),
        kernel_name="python3",
        progress_bar=False,
        log_output=False,
        config=Config({"KernelManager": {"connection_file": str(scratch / "kernel.json"), **_transport(scratch)}}),
    )


@contextmanager
def _without_address_grammar() -> Iterator[None]:
    """Import what needs jsonschema without the grammar of URLs that it would build first, for two seconds.

    No schema of a notebook asks for that format (python-jsonschema/jsonschema#1521).
    """
    absent = "rfc3987_syntax" not in sys.modules
    if absent:
        sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["rfc3987_syntax"]


def _transport(scratch: Path) -> dict[str, str]:
    """The kernel's transport: sockets that are files, so that no port is open, unless the path is too long for one."""
    sockets = scratch / "kernel"
    return {"transport": "ipc", "ip": str(sockets)} if len(os.fsencode(sockets)) < _LONGEST_SOCKET else {}


def exit_code(report: dict[str, Any]) -> int:
    """The command line's exit code for a postmortem's report."""
    if report["broke"]:
        return 4
    if not report["reproduced"]:
        return 3
    if report["verify"]["verified"]:
        return 0
    return 4 if any(fix["verdict"] == "undecided" for fix in report["verify"]["fixes"]) else 1


def _made_public(content: dict[str, Any]) -> dict[str, Any]:
    """An executed notebook without what papermill notes of this machine: parameters stay in their cell, by their file's name.

    The output of print and the message of a failed cell come from no view, so they are redacted here.
    """
    kept = content["metadata"].get("papermill", {})
    for key in ("input_path", "output_path", "parameters", "environment_variables"):
        kept.pop(key, None)
    for cell in content["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            lines = (line.partition("=") for line in "".join(cell["source"]).splitlines())
            cell["source"] = [f"{name}= {_shown(value)}\n" if sign else name for name, sign, value in lines]
        for output in cell.get("outputs", []):
            for name in {"text", "ename", "evalue", "traceback"}.intersection(output):
                output[name] = redacted("".join(output[name]) if name == "text" else output[name])
    return content


def _without_place(text: str, incident: Incident) -> str:
    """The JSON text without the incident file's folder, which the message of a failed cell names."""
    for folder in dict.fromkeys((str(incident.folder), os.path.realpath(incident.folder))):
        named = re.escape(json.dumps(folder + os.sep, ensure_ascii=False)[1:-1])
        text = re.sub(rf"(?<![\w.]){named}", "", text)  # the end of a relative path is none
    return text


def _shown(value: str) -> str:
    path = value.strip().strip("\"'")
    return repr("/".join(Path(path).parts[-2:]) if os.path.isabs(path) else path)
