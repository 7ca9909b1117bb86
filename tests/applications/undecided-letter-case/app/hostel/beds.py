from sqlalchemy import Column, Date, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from hostel.db import Base


class Guest(Base):
    __tablename__ = "guests"

    id = Column(Integer, primary_key=True)
    name = Column(String(80), nullable=False)


class Bed(Base):
    __tablename__ = "beds"

    id = Column(Integer, primary_key=True)
    room = Column(String(4), nullable=False)
    guest_id = Column(ForeignKey("guests.id"))
    until = Column(Date)
    guest = relationship(Guest)
