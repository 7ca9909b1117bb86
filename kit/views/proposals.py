"""What `propose` shows, on a page and on a terminal: the changes that cure, and those that do not."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..base.errors import IncidentError
from ..base.janitor import write_whole
from ..base.scan import refuse_secrets
from ..incident.model import Incident
from .diff import patch, patch_file
from .markup import Part, Shown, absent, code, fold, items, join, para, preformatted, stack, strong
from .verification import passed

if TYPE_CHECKING:
    from ..verify.propose import Proposal, Proposals  # brings all that writes patches along

_BOTH = "with it both builds were started, and the incident shows in the build as it is"


def _yaml(content: dict[str, Any]) -> list[str]:
    return yaml.safe_dump(content, sort_keys=False, width=100, allow_unicode=True).rstrip().splitlines()


def write_proposals(proposals: "Proposals", folder: Path, incident: Incident) -> list[str]:
    """Write the patch of each verified proposal, and give the lines for ``fixes:`` of the incident file.

    :raises IncidentError: the folder cannot be written
    """
    fixes: dict[str, dict[str, Any]] = {}
    applied: list[str] = []
    try:
        for proposal in proposals.tried:
            if proposal.verdict != "cures":
                continue
            fix: dict[str, Any] = {"claim": proposal.says, **proposal.changes}
            if proposal.patch:
                file = folder / patch_file(proposal.name)
                refuse_secrets({file.name: proposal.patch})
                folder.mkdir(parents=True, exist_ok=True)
                write_whole(file, proposal.patch)
                place, home = file.absolute(), incident.file.absolute().parent
                fix["patches"] = [str(place.relative_to(home) if place.is_relative_to(home) else place)]
                applied.append(f"git apply {shlex.quote(str(file.absolute()))}")
            fixes[proposal.name] = fix
    except OSError as error:
        raise IncidentError(f"-o {folder}: it cannot be written: {error.strerror}") from None
    if not fixes:
        return []
    return [
        "in the application's folder:",
        *(f"  {line}" for line in applied),
        f"in {incident.file.name}:",
        *(f"  {line}" for line in _yaml({"fixes": fixes})),
    ]


def cure(proposal: "Proposal") -> Part:
    """A change that cures, with its patch and what its checks saw."""
    checks = items(join(passed(check), f" {check.check}: {check.seen}") for check in proposal.result.checks)
    changes = [para("Set ", code(f"{key}: {value}")) for key, value in proposal.changes.items()]
    shown = [patch(proposal.patch)] if proposal.patch else []
    says = para(strong(proposal.name), ": ", proposal.says)
    return stack(says, *changes, *shown, _folded("What the checks saw", checks))


def proposals(proposed: "Proposals | None") -> Shown:
    """Each change that cures; then the changes that were tried and do not, and what the setup lacked behind the incident."""
    if proposed is None:
        return absent("A fix of the incident file is verified, or there is nothing to fix: the kit proposed none.")
    parts = []
    if not proposed.verified:
        parts.append(para(strong("No proposal is verified. "), proposed.note[:1].upper() + proposed.note[1:], "."))
    parts += [cure(tried) for tried in proposed.tried if tried.verdict == "cures"]
    failed = [proposal for proposal in proposed.tried if proposal.verdict != "cures"]
    hide = "Changes that only hide the error, run on request and never proposed"
    for says, tried in ((f"{len(failed)} that were tried and do not cure", failed), (hide, proposed.maskers)):
        if tried:
            listed = items(join(code(fix.name), f": {fix.verdict}: {fix.result.because}") for fix in tried)
            parts.append(_folded(says, listed))
    if proposed.lessons:
        reasons = items(dict.fromkeys(lesson.because for lesson in proposed.lessons))
        parts += [para(f"The setup lacked something behind the incident; {_BOTH}:"), reasons]
        parts.append(_folded("What to write into the incident file", preformatted("\n".join(_yaml(proposed.settings)))))
    return Shown(parts)


def _folded(summary: str, content: Part) -> Part:
    """Content that a line opens; in plain text it is open."""
    return Part(fold(summary, content).html, f"{summary}\n{content.text}")
