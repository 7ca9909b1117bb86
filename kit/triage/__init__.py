"""What a log and the sources tell, by reading alone."""

from .origin import triage, triage_incident

__all__ = ["triage", "triage_incident"]
