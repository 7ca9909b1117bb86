"""What `propose` shows: the changes that cure, each with its patch, then the changes that were tried and do not."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..base.errors import IncidentError
from ..base.janitor import write_whole
from ..base.scan import refuse_secrets
from ..incident.model import Incident
from .diff import patch, patch_file
from .markup import Shown, absent, code, fold, items, join, para, preformatted, strong
from .verification import passed

if TYPE_CHECKING:
    from ..verify.propose import Proposal, Proposals  # brings all that writes patches along

_BOTH = "with it both builds were started, and the incident shows in the build as it is"
_WORDS = {True: "pass", False: "fail", None: "undecided"}


def first_lines(proposal: "Proposal") -> list[str]:
    """The first proposal that cures, shown while the others are still being tried."""
    return ["the first proposal that cures, while others are still tried:", *_lines_of(proposal)]


def _lines_of(proposal: "Proposal") -> list[str]:
    lines = [f"cures: {proposal.name}: {proposal.says}"]
    lines += [f"  {_WORDS[check.ok]}  {check.check}: {check.seen}" for check in proposal.result.checks]
    lines += [f"  set {key}: {value}" for key, value in proposal.changes.items()]
    return lines + (["", proposal.patch.rstrip("\n"), ""] if proposal.patch else [])


def proposals_lines(proposals: "Proposals") -> list[str]:
    """The same as lines of text."""
    lines = [f"mechanism: {proposals.mechanism}"]
    for proposal in proposals.tried:
        lines += _lines_of(proposal) if proposal.verdict == "cures" else []
    failed = [proposal for proposal in proposals.tried if proposal.verdict != "cures"]
    lines += ["tried, and do not cure:"] if failed else []
    lines += [f"  {proposal.name}: {proposal.verdict}: {proposal.result.because}" for proposal in failed]
    lines += [f"no proposal is verified: {proposals.note}"] if not proposals.verified else []
    lines += _setup_lines(proposals)
    lines += ["changes that only hide the error, run on request and never proposed:"] if proposals.maskers else []
    lines += [f"  {masker.name}: {masker.verdict}: {masker.result.because}" for masker in proposals.maskers]
    return lines


def _setup_lines(proposals: "Proposals") -> list[str]:
    """What the setup lacked behind the incident: each reason, and the keys for the incident file."""
    if not proposals.lessons:
        return []
    lines = [f"the setup lacked something behind the incident; {_BOTH}:"]
    lines += [f"  {because}" for because in dict.fromkeys(lesson.because for lesson in proposals.lessons)]
    return [
        *lines,
        "so in the incident file, beside what is there:",
        *(f"  {line}" for line in _yaml(proposals.settings)),
    ]


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
                fix["patches"] = [_from(file, incident)]
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


def _from(file: Path, incident: Incident) -> str:
    """The patch's path as the incident file names it."""
    file, home = file.absolute(), incident.file.absolute().parent
    return file.relative_to(home).as_posix() if file.is_relative_to(home) else str(file)


def proposals(proposed: "Proposals | None") -> Shown:
    """Each change that cures, with its patch and what its checks saw; then the changes that were tried and do not."""
    if proposed is None:
        return absent("A fix of the incident file is verified, or there is nothing to fix: the kit proposed none.")
    parts = []
    for proposal in [tried for tried in proposed.tried if tried.verdict == "cures"]:
        says = para(strong(proposal.name), ": ", proposal.says)
        checks = items(join(passed(check), f" {check.check}: {check.seen}") for check in proposal.result.checks)
        changes = [para("Set ", code(f"{key}: {value}")) for key, value in proposal.changes.items()]
        shown = [patch(proposal.patch)] if proposal.patch else []
        parts += [says, *changes, *shown, fold("What the checks saw", checks)]
    failed = [proposal for proposal in proposed.tried if proposal.verdict != "cures"]
    if failed:
        failures = items(join(code(it.name), f": {it.verdict}: {it.result.because}") for it in failed)
        parts.append(fold(f"{len(failed)} that were tried and do not cure", failures))
    if proposed.lessons:
        reasons = items(lesson.because for lesson in proposed.lessons)
        parts += [para(f"The setup lacked something behind the incident; {_BOTH}:"), reasons]
        parts.append(fold("What to write into the incident file", preformatted("\n".join(_yaml(proposed.settings)))))
    if not proposed.verified:
        parts.insert(0, para(strong("No proposal is verified. "), proposed.note[:1].upper() + proposed.note[1:], "."))
    return Shown(parts)
