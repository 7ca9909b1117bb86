"""The errors that the kit raises on purpose; a finding is never one.

::

    KitError
    ├── IncidentError   the call or the incident file is wrong             exit 2
    ├── SecretFound     what was about to be published holds a secret      exit 1
    └── RunBroke        the run could not be brought to its end            exit 4
    Interrupted         somebody interrupted it                            exit 4

A message says what, where, what it usually means and what to do next; the command line and the notebook
print it without a traceback. No message holds a secret, whatever it was made of.
"""

import os
import traceback

from .redact import redact


def _alone(error: BaseException) -> list[str]:
    """What IPython shows: the message alone; with ``KIT_TRACEBACK`` set, the whole traceback."""
    if "KIT_TRACEBACK" in os.environ:
        return traceback.format_exception(error)
    return [f"{type(error).__name__}: {error}"]


class KitError(Exception):
    """Base of every error that the kit raises on purpose; ``exit_code`` is the command line's."""

    exit_code = 4

    def __init__(self, message: str = ""):
        super().__init__(redact(message))

    _render_traceback_ = _alone


class IncidentError(KitError):
    """The call or the incident file is wrong."""

    exit_code = 2


class SecretFound(KitError):
    """What was about to be published holds a secret; the message names the place and the kind, never the secret."""

    exit_code = 1


class RunBroke(KitError):
    """The run broke: interpreter missing, time limit, memory, killed."""

    exit_code = 4


class Interrupted(KeyboardInterrupt):
    """The run was interrupted, and nothing of it is left."""

    exit_code = 4

    def __init__(self):
        super().__init__("every process of the run has been ended; run it again to start over")

    _render_traceback_ = _alone


def last_line(text: str) -> str:
    """What a program printed last, as a part of a message."""
    return next((line.strip()[:400] for line in reversed(text.splitlines()) if line.strip()), "")
