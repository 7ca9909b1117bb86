"""What a startup did, as values."""

from .trace import Trace

__all__ = ["Trace"]
