"""The postmortem of an incident: its notebook executed, its page and its JSON, side by side."""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import RunBroke
from .incident import Incident, find_interpreter
from .redact import redacted

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "postmortem.ipynb"


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
        return {
            0: f"reproduced; verified: {verified}",
            1: "reproduced; no fix is verified",
            3: "not reproduced",
        }.get(self.code, f"the run broke: {self.report.get('broke')}")


def publish(
    incident: Incident, output: Path | None = None, *, progress: Callable[[str], None] = lambda text: None
) -> Published:
    """Execute the postmortem notebook with this incident; write ``.ipynb``, ``.html`` and ``.json`` side by side.

    :param output: where to; its suffix does not count. Default: ``results/<incident>/postmortem``
    :raises RunBroke: the notebook could not be executed to its end; what it shows until then is kept and named
    :raises SecretFound: one of the three would show a secret; none is written, and those of an earlier run are gone
    """
    import nbformat
    from papermill.exceptions import PapermillException

    from .page import render
    from .scan import refuse_secrets

    find_interpreter(incident)  # what cannot begin is said now, and not from within the notebook
    name = incident.folder.name if incident.file.name == "incident.yaml" else incident.file.stem
    base = (output.with_suffix("") if output else Path("results") / name / "postmortem").absolute()
    base.parent.mkdir(parents=True, exist_ok=True)
    notebook, html, report = (base.with_suffix(suffix) for suffix in (".ipynb", ".html", ".json"))
    for path in (notebook, html, report):  # what an earlier run proved is not what this one does
        path.unlink(missing_ok=True)
    progress(f"executing {NOTEBOOK.name} for {incident.file.name}")
    with tempfile.TemporaryDirectory(prefix="incident-") as scratch:
        executed, answer = Path(scratch) / "postmortem.ipynb", Path(scratch) / "result.json"
        failure = None
        try:
            execute(NOTEBOOK, executed, {"incident": str(incident.file), "result": str(answer)}, scratch=Path(scratch))
        except (PapermillException, RuntimeError) as error:  # a cell failed; the kernel did not start, or died
            failure = str(error).strip().splitlines()[-1]
        texts = {}
        if executed.exists():
            progress("writing the page")
            content = _made_public(json.loads(executed.read_text("utf-8")))
            texts[notebook] = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            texts[html] = render(nbformat.reads(texts[notebook], as_version=4), title=incident.title)
        if not failure and answer.exists():
            texts[report] = answer.read_text("utf-8")
    refuse_secrets({path.name: text for path, text in texts.items()})
    for path, text in texts.items():
        write_whole(path, text)
    if report not in texts:
        raise RunBroke(
            f"{NOTEBOOK.name}: the notebook did not come to its end: {failure or 'no result was written'}. "
            f"What it shows until then: {html if html in texts else 'nothing'}"
        )
    found = json.loads(texts[report])
    return Published(notebook, html, report, found, exit_code(found))


def execute(
    notebook: Path, output: Path, parameters: dict[str, str], *, scratch: Path, cwd: Path | None = None
) -> None:
    """Run a notebook through papermill, quietly.

    :param scratch: a short path of its own for this run: the kernel's sockets lie there, so that it listens on no
        port, and two runs at once do not meet
    :raises papermill.exceptions.PapermillException: a cell failed
    """
    import papermill
    from traitlets.config import Config

    papermill.execute_notebook(
        str(notebook),
        str(output),
        parameters=parameters,
        cwd=str(cwd or notebook.parent),
        kernel_name="python3",
        progress_bar=False,
        log_output=False,
        config=Config({"KernelManager": {"transport": "ipc", "ip": str(scratch / "kernel")}}),
    )


def exit_code(report: dict[str, Any]) -> int:
    """The command line's exit code for a postmortem's report."""
    if report["broke"]:
        return 4
    if not report["reproduced"]:
        return 3
    return 0 if report["verify"]["verified"] else 1


def _made_public(content: dict[str, Any]) -> dict[str, Any]:
    """An executed notebook without what papermill notes of this machine: parameters stay in their cell, by their file's name.

    What is printed and what a failed cell says is text that no view has looked at: it is redacted here.
    """
    kept = content["metadata"].get("papermill", {})
    for key in ("input_path", "output_path", "parameters", "environment_variables"):
        kept.pop(key, None)
    for cell in content["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["source"] = [
                line if "=" not in line else f"{line.split('=')[0]}= {_shown(line.split('=', 1)[1])}\n"
                for line in "".join(cell["source"]).splitlines()
            ]
        for output in cell.get("outputs", []):
            for name in {"text", "ename", "evalue", "traceback"}.intersection(output):
                output[name] = redacted(_joined(output[name]) if name == "text" else output[name])
    return content


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _shown(value: str) -> str:
    path = value.strip().strip("\"'")
    return repr("/".join(Path(path).parts[-2:]) if os.path.isabs(path) else path)


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
