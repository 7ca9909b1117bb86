from sqlalchemy import Column, Integer, String

from authkit.base import Base


class Boat(Base):
    __tablename__ = "boats"

    id = Column(Integer, primary_key=True)
    name = Column(String(40), nullable=False)
    seats = Column(Integer, nullable=False)
