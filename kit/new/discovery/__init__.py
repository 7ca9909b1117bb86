"""What an application's folder and its log tell of how it is started, by reading alone."""

from .discover import discover
from .found import Discovery, Planned
from .layout import application_of
from .plan import given_step

__all__ = ["Discovery", "Planned", "application_of", "discover", "given_step"]
