from sqlalchemy import Column, Integer, String

from hotel.db import Base


class Room(Base):
    __tablename__ = "rooms"

    id = Column(Integer, primary_key=True)
    door = Column(String(6), nullable=False, unique=True)
    beds = Column(Integer, nullable=False, default=2)
