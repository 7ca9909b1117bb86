"""Writes fixes, tries each as any fix is tried, and shows only what was tried."""

from .lessons import Lesson
from .proposals import Proposal, Proposals
from .search import propose

__all__ = ["Lesson", "Proposal", "Proposals", "propose"]
