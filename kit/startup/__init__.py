"""Runs one build of the application, held in, and gives its trace."""

from .run import reproduce

__all__ = ["reproduce"]
