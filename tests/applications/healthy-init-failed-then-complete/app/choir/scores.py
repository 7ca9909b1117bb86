from sqlalchemy import Column, Integer, String

from choir.db import Base


class Score(Base):
    __tablename__ = "scores"

    id = Column(Integer, primary_key=True)
    composer = Column(String(80))
    title = Column(String(120), nullable=False)
    copies = Column(Integer, default=1)
