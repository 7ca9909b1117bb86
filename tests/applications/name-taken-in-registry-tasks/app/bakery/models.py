from sqlalchemy import Column, Integer, String

from bakery.base import Base


class Loaf(Base):
    __tablename__ = "loaves"
    id = Column(Integer, primary_key=True)
    kind = Column(String(20), nullable=False)
