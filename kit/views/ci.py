"""A diagnosis as CI systems read it: annotations of GitHub, SARIF 2.1.0, GitLab's code quality report, a job summary.

Each is made from the report of ``diagnose``, which is masked already; paths are relative to where CI runs.
"""

import hashlib
import json
import os
from typing import Any

from .. import __version__
from ..diagnose.explanations import MEANINGS
from ..incident.model import Incident
from .wording import sentence


def ci_text(kind: str, incident: Incident, report: dict[str, Any]) -> str:
    """The report in the format of ``github``, ``sarif`` or ``gitlab``, as text."""
    lines = _lines(incident, report)
    if kind == "github":
        return "\n".join(_annotation(line, report) for line in lines)
    document = _sarif(lines, report) if kind == "sarif" else _gitlab(lines, report)
    return json.dumps(document, indent=2, ensure_ascii=False)


def summary(incident: Incident, report: dict[str, Any]) -> str:
    """Verdict, cause, lines and what to do, as Markdown for a job's summary."""
    state = "reproduces" if report["reproduced"] else "does not reproduce"
    parts = [f"### {_plain(report['incident'])}", "", f"It **{state}**. {_cause(report)}"]
    parts += [f"- `{line['path']}:{line['line']}` {line['role']}" for line in _lines(incident, report)]
    if report.get("advice"):
        parts += ["", f"What to do: {report['advice']}"]
    return "\n".join(parts) + "\n"


def _cause(report: dict[str, Any]) -> str:
    meaning = MEANINGS.get(report["mechanism"])
    because = report["because"][-1] if report["because"] else ""
    return _plain(f"{meaning.happened} {sentence(because)}" if meaning else because)


def _lines(incident: Incident, report: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines that are at fault, of the application's own files."""
    if report["mechanism"] == "none":
        return []
    return [
        {"path": _path(incident, site["file"]), "line": max(1, site.get("line") or 1), "role": site["role"]}
        for site in report["sites"]
        if not os.path.isabs(site["file"]) and not site["file"].startswith("<")
    ]


def _path(incident: Incident, file: str) -> str:
    """The path of an application's file from the folder where CI runs; from the application's root if it lies elsewhere."""
    root = incident.resolve(incident.app.root or incident.app.repository) / (
        incident.app.subdir if incident.app.repository else "."
    )
    relative = os.path.relpath(os.path.realpath(root / file), os.path.realpath(os.getcwd()))
    return file if relative.startswith("..") else relative.replace(os.sep, "/")


def _annotation(line: dict[str, Any], report: dict[str, Any]) -> str:
    title = escaped(report["mechanism"], of_property=True)
    message = escaped(
        f"{_plain(report['incident'])}: {line['role']}. {_cause(report)} {report.get('advice') or ''}".strip()
    )
    return f"::error file={escaped(line['path'], of_property=True)},line={line['line']},title={title}::{message}"


def escaped(text: str, *, of_property: bool = False) -> str:
    """Text escaped for GitHub's workflow commands: characters that would end a value are percent-encoded."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if of_property else text


def _sarif(lines: list[dict[str, Any]], report: dict[str, Any]) -> dict[str, Any]:
    meaning = MEANINGS.get(report["mechanism"])
    rule: dict[str, Any] = {"id": report["mechanism"]}
    if meaning:
        rule |= {"shortDescription": {"text": meaning.happened}, "help": {"text": meaning.advice}}
    message = f"{_plain(report['incident'])}: {_cause(report)}"
    results = []
    if lines:
        first, *others = (_location(line) for line in lines)
        related = [{**location, "id": number} for number, location in enumerate(others, 1)]
        result = {"ruleId": report["mechanism"], "level": "error", "message": {"text": message}, "locations": [first]}
        results.append({**result, "relatedLocations": related} if related else result)
    driver = {"name": "incident-kit", "version": __version__, "rules": [rule]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _location(line: dict[str, Any]) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": line["path"]}, "region": {"startLine": line["line"]}}
    return {"physicalLocation": place, "message": {"text": line["role"]}}


def _gitlab(lines: list[dict[str, Any]], report: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "description": f"{_plain(report['incident'])}: {line['role']}. {_cause(report)}",
            "check_name": report["mechanism"],
            "fingerprint": hashlib.sha256(f"{report['mechanism']} {line['path']} {line['role']}".encode()).hexdigest(),
            "severity": "critical",
            "location": {"path": line["path"], "lines": {"begin": line["line"]}},
        }
        for line in lines
    ]


def _plain(text: str) -> str:
    """The text in one line, without characters that Markdown reads as markup."""
    return " ".join(text.split()).replace("<", "‹").replace(">", "›")
