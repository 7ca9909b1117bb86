"""From an application's folder and a log to an incident that was tried: a startup is a hypothesis, tested by running it."""

from .writing import Written, new

__all__ = ["Written", "new"]
