"""What is looked at: the incident file, the build in git, copies, patches, sources."""

from .load import load
from .model import Incident

__all__ = ["Incident", "load"]
