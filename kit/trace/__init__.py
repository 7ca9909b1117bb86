"""What a startup did, as values."""

from .values import Trace

__all__ = ["Trace"]
