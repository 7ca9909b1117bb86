"""Why it happened: the mechanism with its evidence, each hypothesis, the smallest reproduction."""

from .diagnosis import Diagnosis, diagnose, reproduce

__all__ = ["Diagnosis", "diagnose", "reproduce"]
