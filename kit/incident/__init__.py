"""What is looked at: the incident file, the build in git, copies, patches, sources."""

from .model import Incident, load

__all__ = ["Incident", "load"]
