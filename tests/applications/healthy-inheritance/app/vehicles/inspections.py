from sqlalchemy import Column, Date, ForeignKey, Integer
from sqlalchemy.orm import relationship

from vehicles.db import Base


class Inspection(Base):
    __tablename__ = "inspections"

    id = Column(Integer, primary_key=True)
    vehicle_id = Column(ForeignKey("vehicles.id"), nullable=False)
    day = Column(Date)
    vehicle = relationship("Vehicle")
