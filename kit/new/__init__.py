"""From an application and a log to an incident file that reproduces."""

from .writing import new, told_of

__all__ = ["new", "told_of"]
