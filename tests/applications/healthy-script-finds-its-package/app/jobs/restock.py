"""Runs at night, by cron: ``python jobs/restock.py``."""

import os
import sys
from pathlib import Path

from sqlalchemy import create_engine

try:
    from pharmacy.base import Base
except ModuleNotFoundError:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from pharmacy.base import Base
from pharmacy import stock  # noqa: F401

if __name__ == "__main__":
    Base.metadata.create_all(create_engine(os.environ["DATABASE_URL"]))
