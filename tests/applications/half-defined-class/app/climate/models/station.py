from sqlalchemy import Column, Integer, String

from climate.db import Base


class Station(Base):
    __tablename__ = "stations"

    code = Column(String(8), primary_key=True)
    farm = Column(String(60), nullable=False)
    altitude_m = Column(Integer)
