from sqlalchemy import Column, Date, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from plants.common.db import Base


class Pot(Base):
    __tablename__ = "pots"

    id = Column(Integer, primary_key=True)
    species = Column(String(60), nullable=False)
    waterings = relationship("Watering", back_populates="pot")


class Watering(Base):
    __tablename__ = "waterings"

    id = Column(Integer, primary_key=True)
    pot_id = Column(ForeignKey("pots.id"), nullable=False)
    day = Column(Date)
    millilitres = Column(Integer, nullable=False)
    pot = relationship("Pot", back_populates="waterings")
