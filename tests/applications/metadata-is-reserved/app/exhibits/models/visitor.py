from sqlalchemy import Column, Integer, String

from exhibits.db import Base


class Visitor(Base):
    __tablename__ = "visitors"

    id = Column(Integer, primary_key=True)
    ticket = Column(String(20), nullable=False, unique=True)
