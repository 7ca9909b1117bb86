from sqlalchemy import Column, Integer

from ferry.base import Base
from ferry.measures import crossings


class Departure(Base):
    __tablename__ = "departures"
    id = Column(Integer, primary_key=True)
    minute = Column(Integer)


def depart():
    crossings.inc()
