from sqlalchemy import Column, DateTime, ForeignKey, Integer
from sqlalchemy.orm import relationship

from authkit.base import Base
from club.boats import Boat
from club.members import Member


class Outing(Base):
    __tablename__ = "outings"

    id = Column(Integer, primary_key=True)
    boat_id = Column(ForeignKey("boats.id"), nullable=False)
    member_id = Column(ForeignKey("authkit_users.id"), nullable=False)
    starts = Column(DateTime, nullable=False)
    boat = relationship(Boat)
    member = relationship(Member)
