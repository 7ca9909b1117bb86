"""What can go wrong that is not a finding.

::

    KitError
    ├── IncidentError   the call or the incident file is wrong             exit 2
    ├── SecretFound     what was about to be published holds a secret      exit 1
    └── RunBroke        the run could not be brought to its end            exit 4

A message says what, where, what it usually means and what to do next; the command line prints it
without a traceback. No message holds a secret, whatever it was made of.
"""

from .redact import redact


class KitError(Exception):
    """Base of every error that the kit raises on purpose; ``exit_code`` is the command line's."""

    exit_code = 4

    def __init__(self, message: str = ""):
        super().__init__(redact(message))


class IncidentError(KitError):
    """The call or the incident file is wrong."""

    exit_code = 2


class SecretFound(KitError):
    """What was about to be published holds a secret; the message names the place and the kind, never the secret."""

    exit_code = 1


class RunBroke(KitError):
    """The run broke: interpreter missing, time limit, memory, killed."""

    exit_code = 4
