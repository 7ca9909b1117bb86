"""Keys and values in a table."""
from kvbox.box import Box

__all__ = ["Box"]
__version__ = "0.9.1"
