"""The command line: ``python -m kit COMMAND INCIDENT [--json] [-o FILE]``."""

from .entry import main

__all__ = ["main"]
