from sqlalchemy import Column, Integer, String

from bakery.base import Base


class Bread(Base):
    __tablename__ = "breads"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
