from sqlalchemy import Column, Integer, String

from thumbnails.db import Base


class Picture(Base):
    __tablename__ = "pictures"

    id = Column(Integer, primary_key=True)
    path = Column(String(200), nullable=False)
    width = Column(Integer, nullable=False)
    height = Column(Integer, nullable=False)


class Thumbnail(Base):
    __tablename__ = "thumbnails"

    id = Column(Integer, primary_key=True)
    picture_id = Column(Integer, nullable=False)
    width = Column(Integer, nullable=False)
    height = Column(Integer, nullable=False)
