from sqlalchemy import Column, Integer, String

from pharmacy.base import Base


class Remedy(Base):
    __tablename__ = "remedies"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
