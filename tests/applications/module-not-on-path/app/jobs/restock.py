"""Runs at night, by cron: ``python jobs/restock.py``."""

import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from pharmacy.base import Base
from pharmacy.stock import Remedy


def restock():
    engine = create_engine(os.environ["DATABASE_URL"])
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Remedy(name="camomile"))
        session.commit()


if __name__ == "__main__":
    restock()
