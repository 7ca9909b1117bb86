from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from bicycles.db import Base


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = {"schema": "workshop"}

    id = Column(Integer, primary_key=True)
    frame_number = Column(String(20), nullable=False)
    customer_id = Column(Integer)
    customer = relationship(
        "Customer",
        primaryjoin="foreign(bicycles.workshop.Order.customer_id) == Customer.id",
    )
