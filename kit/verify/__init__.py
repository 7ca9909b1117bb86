"""Which fix cures: each against each check, with the control; and the guard that keeps an incident from coming back."""

from .verification import Verification, verify

__all__ = ["Verification", "verify"]
