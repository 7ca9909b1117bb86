"""What a notebook begins with: ``from kit.notebook import open_incident, reproduce, views``.

One line for what stands in several rooms; each name is imported when it is asked for. From the line that asks for
``open_incident`` on, JupyterLab's window moves to a cell that fails, so it stands above the parameters.
"""

import importlib

_FROM = {
    "after_each_import": "kit.trace.tables:metadata_after_each_import",
    "diagnose": "kit.diagnose",
    "history_of": "kit.history",
    "investigate": "kit.investigate",
    "open_incident": "kit.views.notebook",
    "propose_where_none_cures": "kit.investigate",
    "report": "kit.views.report:",
    "reproduce": "kit.diagnose",
    "tables": "kit.trace.tables:",
    "triage_incident": "kit.triage",
    "verify": "kit.verify",
    "views": "kit.views:",
    "write_result": "kit.views.notebook",
    "write_trace": "kit.views.notebook",
}

__all__ = sorted(_FROM)


def __getattr__(name: str):
    if name not in _FROM:
        raise AttributeError(f"module 'kit.notebook' has no attribute {name!r}")
    module, colon, other = _FROM[name].partition(":")
    if name == "open_incident":
        importlib.import_module("kit.views.notebook").begin_notebook()
    found_module = importlib.import_module(module)
    return found_module if colon and not other else getattr(found_module, other or name)
