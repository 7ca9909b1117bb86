from sqlalchemy import Column, ForeignKey, Integer

from bakery.base import Base


class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    bread_id = Column(ForeignKey("breads.id"))
