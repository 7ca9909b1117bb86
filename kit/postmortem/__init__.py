"""The postmortem of an incident: notebook, page and JSON; and whether recorded ones are still true."""

from .publication import publish

__all__ = ["publish"]
