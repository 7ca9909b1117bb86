"""Without a log: in which order startups are tried, when that is enough, and which failures are the application's own.

The application's own start decides. What else can be run, a migration of years ago, a script that asks a question, fails for a hundred
reasons; none of them is an incident of the service.
"""

import re
from collections.abc import Sequence

from ..triage.evidence import Evidence

SHOWN = 3  # the level of a trial that shows an incident
_OF_THE_SURROUNDINGS = {  # what an application ends with where a file, a service, a terminal or an argument is missing
    "ArgumentError", "BrokenPipeError", "ClickException", "ConnectError", "ConnectTimeout", "ConnectionError", "ConnectionRefusedError",
    "ConnectionResetError", "EOFError", "FileNotFoundError", "InterfaceError", "IsADirectoryError", "NoSuchOption", "NotADirectoryError", "OSError",
    "PermissionError", "ReadOnlyError", "SystemExit", "TimeoutError", "UsageError", "gaierror",
}  # fmt: skip
_INSTALL = re.compile(r"\b(?:pip3?|poetry|uv) (?:install|add|sync)\b|\bnot installed\b")


def of_the_surroundings(seen: Evidence, causes: Sequence[str] = ()) -> bool:
    """Does an error, or its cause, come from where and how the application was started, as far as its type tells?"""
    if seen.type.endswith("ImportError") and _INSTALL.search(seen.text):
        return True
    return bool({kind.rpartition(".")[2] for kind in (seen.type, *causes)} & _OF_THE_SURROUNDINGS)


def order(setup) -> tuple[int, float]:
    """The application's own start first; of equals the likeliest."""
    return setup.start.tier, -setup.score


def decided(trials: Sequence, tier: int) -> bool:
    """Have the startups that are surer than a tier answered: failed of themselves, or come up?

    From the tier of application objects on, they are ways to start the same: those that are left need not be tried once it is up.
    """
    surer = [trial for trial in trials if trial.setup.start.tier < tier or trial.setup.start.tier == tier > 0]
    return any(trial.level >= SHOWN or trial.up for trial in surer)


def worth_trying(tier: int, tiers: Sequence[int]) -> bool:
    """May a startup of this tier answer? A script of tests or docs is no answer if a surer startup is known."""
    return tier < 2 or tier == min(tiers, default=tier)


def nearness(trial) -> tuple:
    """How near a trial is to an answer: it came up, it is the application's own start, it has what others lacked."""
    return trial.up, -trial.setup.start.tier, len(trial.setup.known), trial.broke is None
