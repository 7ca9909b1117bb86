"""Writes fixes, tries each as any fix is tried, and shows only what was tried."""

from .search import Proposal, Proposals, propose

__all__ = ["Proposal", "Proposals", "propose"]
