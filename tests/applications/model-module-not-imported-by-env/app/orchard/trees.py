from sqlalchemy import Column, Integer, String

from orchard.db import Base


class Tree(Base):
    __tablename__ = "trees"

    id = Column(Integer, primary_key=True)
    row = Column(Integer, nullable=False)
    variety = Column(String(40), nullable=False)
    planted = Column(Integer)
