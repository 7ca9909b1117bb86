"""Conclusions from a log and the sources, by reading alone."""

from .origin import triage, triage_incident

__all__ = ["triage", "triage_incident"]
