from sqlalchemy import Column, Integer

from museum.base import Base


class Room(Base):
    __tablename__ = "rooms"
    id = Column(Integer, primary_key=True)
