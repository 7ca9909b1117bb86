from sqlalchemy import Column, Integer, String

from allotments.db import Base


class Garden(Base):
    __tablename__ = "gardens"

    id = Column(Integer, primary_key=True)
    number = Column(Integer, nullable=False)
    square_metres = Column(Integer)


class Tenant(Base):
    __tablename__ = "tenants"

    id = Column(Integer, primary_key=True)
    garden_id = Column(Integer)
    name = Column(String(80), nullable=False)
