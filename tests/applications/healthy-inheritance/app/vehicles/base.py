from sqlalchemy import Column, Integer, String

from vehicles.db import Base


class Vehicle(Base):
    __tablename__ = "vehicles"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}

    id = Column(Integer, primary_key=True)
    kind = Column(String(20), nullable=False)
    plate = Column(String(12), nullable=False, unique=True)
