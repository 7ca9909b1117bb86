"""Why it happened: the mechanism with its evidence, each hypothesis, the smallest reproduction."""

from .answer import reproduce
from .diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose", "reproduce"]
