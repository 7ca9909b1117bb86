"""Makes a postmortem executable: runs an application's startup, says why it fails, and which fix cures.

The flow, one module a step: ``incident`` → ``workspace`` → ``startup`` (with ``supervisor`` and ``probe``) →
``reader`` → ``trace`` → ``diagnose`` → ``verify`` → ``postmortem``. The names here are what a notebook begins
with; everything else is imported from the module that holds it.
"""

from .errors import IncidentError, KitError, RunBroke
from .incident import Incident, load
from .startup import reproduce
from .trace import Trace

__all__ = ["Incident", "IncidentError", "KitError", "RunBroke", "Trace", "load", "reproduce"]
