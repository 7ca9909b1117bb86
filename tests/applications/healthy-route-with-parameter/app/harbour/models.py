from sqlalchemy import Column, Integer, String

from harbour.base import Base


class Buoy(Base):
    __tablename__ = "buoys"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
