"""Writes a command's result to the terminal, as JSON, to a file or for a CI system; each is checked for secrets here."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import IncidentError

if TYPE_CHECKING:
    from ..incident.model import Incident


def plain(text: str) -> str:
    """Text that is safe on a terminal: without secrets and without terminal codes."""
    from ..base.redact import redact, safe

    return "\n".join(map(safe, redact(text).split("\n")))


def _say(text: str) -> None:
    print(plain(f"kit: {' '.join(text.split())}"), file=sys.stderr, flush=True)


def progress():
    """Shows progress: a bar on a terminal, elsewhere one line per message."""
    from ..base.progress import on_terminal

    return on_terminal(_say)


def give(options, report: dict, lines: list[str]) -> None:
    words = plain("\n".join(lines))
    text = as_json(report) if options.json or options.output else words
    if options.output:
        write(options.output, text + "\n")
        if not options.json:
            print(words)
    if options.json or not options.output:
        print(text)


def give_to_ci(options, incident: "Incident", report: dict) -> None:
    """Write a diagnosis in a CI system's format; on GitHub also into the job's summary."""
    from ..base.redact import redacted
    from ..base.scan import refuse_secrets
    from ..views.ci import ci_text, summary

    report = redacted(report)
    text, job_summary = ci_text(options.format, incident, report), summary(incident, report)
    refuse_secrets({f"result.{options.format}": text, "summary.md": job_summary})
    if options.output:
        write(options.output, text + "\n")
    elif text:
        print(text)
    if options.format == "github" and (file := os.environ.get("GITHUB_STEP_SUMMARY")):
        with open(file, "a", encoding="utf-8") as job:
            job.write(job_summary)


def as_json(report: dict) -> str:
    """A report as text, without secrets.

    :raises SecretFound: it would hold one all the same
    """
    import json

    from ..base.redact import redacted
    from ..base.scan import refuse_secrets

    text = json.dumps(redacted(report), indent=2, ensure_ascii=False)
    refuse_secrets({"result.json": text})
    return text


def can_write(target: str) -> None:
    """Raise before the work begins if its result could not be written; a missing folder is made when the result is written.

    :raises IncidentError: there is a folder of that name, or none can be made or written to
    """
    path = Path(target).expanduser().absolute()
    folder = next(parent for parent in path.parents if parent.exists() or parent.is_symlink())
    why = None
    if path.is_dir():
        why = "this is a folder; name a file in it"
    elif not folder.is_dir():
        why = f"{folder} is no folder"
    elif not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        why = f"{path if path.exists() else folder} is not to be written to"
    if why:
        raise IncidentError(f"-o {target}: cannot be written: {why}")


def write(target: str, text: str) -> None:
    path = Path(target).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IncidentError(f"-o {target}: cannot be written: {error.strerror}") from None
