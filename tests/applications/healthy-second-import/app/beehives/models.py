from sqlalchemy import Column, Float, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from .db import Base


class Hive(Base):
    __tablename__ = "hives"

    id = Column(Integer, primary_key=True)
    name = Column(String(40), nullable=False)
    weighings = relationship("Weighing", back_populates="hive")


class Weighing(Base):
    __tablename__ = "weighings"

    id = Column(Integer, primary_key=True)
    hive_id = Column(ForeignKey("hives.id"), nullable=False)
    kilograms = Column(Float, nullable=False)
    hive = relationship("Hive", back_populates="weighings")
