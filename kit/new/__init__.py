"""From an application's folder and a log to an incident that was tried: a startup is a hypothesis, tested by running it."""

from .writing import Written, new, report_of, told_of

__all__ = ["Written", "new", "report_of", "told_of"]
