from sqlalchemy import Column, ForeignKey, Integer, String, Time

from timetable.db import Base


class Stop(Base):
    __tablename__ = "stops"

    id = Column(Integer, primary_key=True)
    name = Column(String(60), nullable=False, unique=True)


class Departure(Base):
    __tablename__ = "departures"

    id = Column(Integer, primary_key=True)
    stop_id = Column(Integer, ForeignKey("stops.id"), nullable=False)
    at = Column(Time, nullable=False)
