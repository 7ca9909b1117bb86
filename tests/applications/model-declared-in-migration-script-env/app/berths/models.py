from sqlalchemy import Column, Float, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from berths.db import Base


class Berth(Base):
    __tablename__ = "berths"

    id = Column(Integer, primary_key=True)
    pier = Column(String(2), nullable=False)
    metres = Column(Float, nullable=False)


class Boat(Base):
    __tablename__ = "boats"

    id = Column(Integer, primary_key=True)
    berth_id = Column(Integer, ForeignKey("berths.id"))
    name = Column(String(40), nullable=False)
    berth = relationship(Berth)
