"""Sign-in for applications on SQLAlchemy."""
from authkit.config import configure

__all__ = ["configure"]
__version__ = "2.4.0"
