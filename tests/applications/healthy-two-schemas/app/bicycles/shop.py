from sqlalchemy import Column, Integer, String

from bicycles.db import Base


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = {"schema": "shop"}

    id = Column(Integer, primary_key=True)
    customer_id = Column(Integer, nullable=False)
    article = Column(String(40), nullable=False)
