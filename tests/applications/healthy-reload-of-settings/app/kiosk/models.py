from sqlalchemy import Column, DateTime, Integer, String

from kiosk.db import Base


class Sighting(Base):
    __tablename__ = "sightings"

    id = Column(Integer, primary_key=True)
    species = Column(String(60), nullable=False)
    place = Column(String(60))
    at = Column(DateTime)
