"""The record of what a postmortem proved, beside its incident file; and which parts of it no longer hold.

``recorded.json`` (for ``orders.yaml``: ``orders.recorded.json``), written by ``check --record``, to be committed::

    {"schema": 1, "mechanism": slug, "table": name or null,
     "first": "file name", "second": "file name" or null,   the two definitions; no lines, which move with every edit
     "fixes": {name: verdict}, "hypotheses": {claim: verdict}}
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import IncidentError
from ..base.janitor import write_whole
from ..diagnose.diagnosis import reproduce
from ..history.runs import at_build
from ..incident.builds import builds_of
from ..incident.copying import beside_git
from ..incident.model import Incident
from ..trace.expected import shows_incident

_MOST_NAMED = 5  # files named in a message
_TEXTS = ("mechanism", "table", "first", "second")
_TABLES = ("fixes", "hypotheses")


@dataclass(frozen=True)
class Claim:
    """One claim of a postmortem; ``ok`` is None if nothing was recorded, or if it could not be checked."""

    name: str
    ok: bool | None
    says: str


def record_file(incident: Incident) -> Path:
    """Where the record of an incident lies."""
    file = incident.file
    return file.with_name("recorded.json" if file.name == "incident.yaml" else f"{file.stem}.recorded.json")


def record_of(report: dict[str, Any]) -> dict[str, Any]:
    """The parts of a postmortem's report that are recorded."""
    sites = [*report["sites"][:2], None, None]  # what it is about; further lines are its evidence
    return {
        "schema": 1,
        "mechanism": report["mechanism"],
        "table": report["table"],
        "first": _site(sites[0]),
        "second": _site(sites[1]),
        "fixes": {fix["name"]: fix["verdict"] for fix in report["verify"]["fixes"]},
        # The kit's own hypotheses change with the kit; what people believed is part of the postmortem.
        "hypotheses": {
            hypothesis["claim"]: hypothesis["verdict"]
            for hypothesis in report["hypotheses"]
            if hypothesis["of"] == "people"
        },
    }


def _site(site: dict[str, Any] | None) -> str | None:
    return None if site is None else " ".join(filter(None, (site["file"], site["name"])))


def read_record(incident: Incident) -> dict[str, Any] | None:
    """The record of an incident; None where there is none.

    :raises IncidentError: it is there and cannot be read
    """
    file = record_file(incident)
    again = "Write it again with 'python -m kit check --record', and look at what changed."
    try:
        record = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise IncidentError(f"{file}: this record cannot be read: {error}. {again}") from None
    whole = isinstance(record, dict) and record.get("schema") == 1
    texts, tables = ([record.get(key) for key in keys] if whole else [] for keys in (_TEXTS, _TABLES))
    right = whole and all(isinstance(text, str | None) for text in texts)
    right = right and all(isinstance(row, dict) and all(isinstance(it, str) for it in row.values()) for row in tables)
    if not right:
        raise IncidentError(f"{file}: this is no record of schema 1. {again}")
    return record


def write_record(incident: Incident, report: dict[str, Any]) -> None:
    """Write the record, whole or not at all.

    :raises IncidentError: it cannot be written, or what git holds of the application does not show the incident alone
    """
    _refuse_untracked(incident)
    file = record_file(incident)
    try:
        write_whole(file, json.dumps(record_of(report), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise IncidentError(f"{file}: the record cannot be written: {error.strerror}") from None


def _refuse_untracked(incident: Incident) -> None:
    """A record is checked in a fresh clone: what decides has to be there too."""
    beside = beside_git(incident.resolve(incident.app.root)) if incident.app.root else ()
    repository = builds_of(incident) if beside else None
    if repository is None:
        return
    clone = at_build(incident, repository, repository.resolve("HEAD"))
    if not shows_incident(clone, reproduce(clone)):
        named = ", ".join(beside[:_MOST_NAMED]) + " …" * (len(beside) > _MOST_NAMED)
        raise IncidentError(
            f"{incident.file}: it is not recorded: a fresh clone of the application does not show the incident, which needs "
            f"what git does not hold ({named}). Write what decides under app.env of the incident file, or commit it"
        )


def compared(recorded: dict[str, Any], report: dict[str, Any]) -> list[Claim]:
    """Every recorded fact compared with a report of now; what is new since then has ``ok`` None."""
    now = record_of(report)
    claims = [_claim(key, recorded.get(key) or "none", now[key] or "none") for key in _TEXTS]
    for key, word in (("fixes", "fix"), ("hypotheses", "hypothesis")):
        for name in dict.fromkeys((*recorded[key], *now[key])):
            claims.append(_claim(f"{word} {name}", recorded[key].get(name), now[key].get(name)))
    return claims


def _claim(name: str, then: str | None, now: str | None) -> Claim:
    verdict = f"{name}: recorded {then or 'nothing'}, now {now or 'not there'}"
    # A fix whose run broke is not known to be otherwise; of a hypothesis it is a verdict like another.
    unknown = name.startswith("fix ") and then != now and "undecided" in (then, now)
    return Claim(name, None if then is None or unknown else then == now, verdict)
