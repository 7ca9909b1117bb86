from sqlalchemy import Column, Integer
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Bin(Base):
    __tablename__ = "bins"

    id = Column(Integer, primary_key=True)
