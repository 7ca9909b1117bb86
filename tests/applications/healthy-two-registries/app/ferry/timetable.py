from sqlalchemy import Column, Integer

from ferry.base import Base
from ferry.measures import crossings, crossings_of_the_crew


class Departure(Base):
    __tablename__ = "departures"
    id = Column(Integer, primary_key=True)


def depart():
    crossings.inc()
    crossings_of_the_crew.inc()
