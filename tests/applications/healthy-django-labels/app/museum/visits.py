from sqlalchemy import Column, Date, Integer

from museum.base import Base


class Visit(Base):
    __tablename__ = "visits"
    id = Column(Integer, primary_key=True)
    day = Column(Date, nullable=False)
    people = Column(Integer, nullable=False)
