from sqlalchemy import Column, Integer, String

from exhibits.db import Base


class Exhibit(Base):
    __tablename__ = "exhibits"

    id = Column(Integer, primary_key=True)
    room = Column(String(6))
    title = Column(String(120), nullable=False)
