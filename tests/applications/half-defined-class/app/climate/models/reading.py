from sqlalchemy import Column, DateTime, Float, ForeignKey, Integer
from sqlalchemy.exc import ArgumentError

from climate import settings
from climate.db import Base

try:

    class Reading(Base):
        __tablename__ = "readings"

        station = Column(ForeignKey("stations.code"), primary_key=settings.NATURAL_KEY)
        taken_at = Column(DateTime, primary_key=settings.NATURAL_KEY)
        celsius = Column(Float)
        humidity = Column(Float)

except ArgumentError:

    class Reading(Base):
        __tablename__ = "readings"

        id = Column(Integer, primary_key=True)
        station = Column(ForeignKey("stations.code"))
        taken_at = Column(DateTime)
        celsius = Column(Float)
        humidity = Column(Float)
