from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Toll(Base):
    __tablename__ = "tolls"

    id = Column(Integer, primary_key=True)
    span = Column(String(40))
