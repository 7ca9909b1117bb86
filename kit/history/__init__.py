"""Which commit brought an incident in, and which took it out, by running."""

from .search import History, history_of

__all__ = ["History", "history_of"]
