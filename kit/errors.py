"""What can go wrong that is not a finding.

::

    KitError
    ├── IncidentError   the call or the incident file is wrong             exit 2
    └── RunBroke        the run could not be brought to its end            exit 4

A message says what, where, what it usually means and what to do next; the command line prints it
without a traceback.
"""


class KitError(Exception):
    """Base of every error that the kit raises on purpose; ``exit_code`` is the command line's."""

    exit_code = 4


class IncidentError(KitError):
    """The call or the incident file is wrong."""

    exit_code = 2


class RunBroke(KitError):
    """The run broke: interpreter missing, time limit, memory, killed."""

    exit_code = 4
