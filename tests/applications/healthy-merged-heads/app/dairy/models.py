from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Cow(Base):
    __tablename__ = "cows"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
    breed = Column(String(40))
    stall = Column(String(40))
