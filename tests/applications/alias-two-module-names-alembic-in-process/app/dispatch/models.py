from sqlalchemy import Column, DateTime, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from dispatch.db import Base


class Rider(Base):
    __tablename__ = "riders"

    id = Column(Integer, primary_key=True)
    name = Column(String(60), nullable=False)
    jobs = relationship("Job", back_populates="rider")


class Job(Base):
    __tablename__ = "jobs"

    id = Column(Integer, primary_key=True)
    rider_id = Column(ForeignKey("riders.id"))
    address = Column(String(200), nullable=False)
    picked_up = Column(DateTime)
    rider = relationship("Rider", back_populates="jobs")
