"""Makes a postmortem executable: runs an application's startup, says why it fails, and which fix cures.

One direction, a room a step: ``incident`` → ``startup`` → ``trace`` → ``diagnose`` → ``verify`` → ``postmortem``; the
face of a room, its ``__init__.py``, has what others use of it. The names here are what a notebook begins with; each is
imported when it is first asked for, so that ``import kit`` costs nothing.
"""

import importlib

__version__ = "1.0.0"

_NAMES = {
    "Incident": "kit.incident",
    "IncidentError": "kit.base.errors",
    "KitError": "kit.base.errors",
    "RunBroke": "kit.base.errors",
    "Trace": "kit.trace",
    "load": "kit.incident",
    "reproduce": "kit.diagnose",
}
__all__ = sorted(_NAMES)


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module 'kit' has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)
