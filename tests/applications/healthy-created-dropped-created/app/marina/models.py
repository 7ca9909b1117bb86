from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Boat(Base):
    __tablename__ = "boats"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))


class Berth(Base):
    __tablename__ = "berths"
    id = Column(Integer, primary_key=True)
    pier = Column(String(40))
