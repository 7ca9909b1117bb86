"""A film festival."""
from festival.db import *  # noqa: F401,F403
