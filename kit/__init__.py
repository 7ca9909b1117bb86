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
_MODULES = {  # by the names that notebooks know
    "errors": "kit.base.errors",
    "history_views": "kit.views.history",
    "reasons": "kit.views.diagnosis",
    "report": "kit.views.report",
    "tables": "kit.trace.tables",
}

__all__ = ["Incident", "IncidentError", "KitError", "RunBroke", "Trace", "load", "reproduce"]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'kit' has no attribute {name!r}")
