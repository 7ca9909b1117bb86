from sqlalchemy import Column, DateTime, Enum, Float, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from fleet.db import Base


class Vehicle(Base):
    __tablename__ = "vehicles"

    id = Column(Integer, primary_key=True)
    plate = Column(String(12), nullable=False, unique=True)
    depot = Column(String(30))
    readings = relationship("Reading", back_populates="vehicle")


from fleet.telemetry import CHANNELS  # noqa: E402


class Reading(Base):
    __tablename__ = "readings"

    id = Column(Integer, primary_key=True)
    vehicle_id = Column(ForeignKey("vehicles.id"), nullable=False)
    at = Column(DateTime, nullable=False)
    channel = Column(Enum(*CHANNELS, name="channel"), nullable=False)
    value = Column(Float)
    vehicle = relationship("Vehicle", back_populates="readings")
