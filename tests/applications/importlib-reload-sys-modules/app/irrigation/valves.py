from sqlalchemy import Column, Integer, String

from irrigation.db import Base


class Valve(Base):
    __tablename__ = "valves"

    id = Column(Integer, primary_key=True)
    bed = Column(String(40), nullable=False)
    litres_per_minute = Column(Integer, nullable=False)
