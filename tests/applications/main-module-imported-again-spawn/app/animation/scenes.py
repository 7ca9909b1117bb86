from sqlalchemy import Column, Integer, String

from animation.db import Base


class Scene(Base):
    __tablename__ = "scenes"

    id = Column(Integer, primary_key=True)
    title = Column(String(80), nullable=False)
    first_frame = Column(Integer, nullable=False)
    last_frame = Column(Integer, nullable=False)
