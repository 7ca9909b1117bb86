from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from wholesale.db import Base


class Address(Base):
    __tablename__ = "depot_addresses"

    id = Column(Integer, primary_key=True)
    street = Column(String(80), nullable=False)
    ramp = Column(Integer)


class Depot(Base):
    __tablename__ = "depots"

    id = Column(Integer, primary_key=True)
    code = Column(String(4), nullable=False, unique=True)
    address_id = Column(ForeignKey("depot_addresses.id"))
    address = relationship(Address)
