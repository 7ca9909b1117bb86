from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from wholesale.db import Base


class Customer(Base):
    __tablename__ = "customers"

    id = Column(Integer, primary_key=True)
    name = Column(String(80), nullable=False)
    addresses = relationship("Address")


class Address(Base):
    __tablename__ = "customer_addresses"

    id = Column(Integer, primary_key=True)
    customer_id = Column(ForeignKey("customers.id"), nullable=False)
    street = Column(String(80), nullable=False)
    town = Column(String(60))
