import datetime
from typing import Optional

from sqlalchemy import ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from warehouse.catalogue import Part
from warehouse.db import Base


class Shelf(Base):
    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(10), unique=True)
    row: Mapped[int]


class StockMove(Base):
    __tablename__ = "stock_moves"

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("parts.id"))
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
    quantity: Mapped[int]
    at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    part: Mapped[Part] = relationship()
    shelf: Mapped[Shelf] = relationship()


class Count(Base):
    """What was really on a shelf when somebody counted."""

    __tablename__ = "counts"

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("parts.id"))
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
    counted: Mapped[int]
    counted_by: Mapped[str] = mapped_column(String(40))


class Supplier(Base):
    __tablename__ = "suppliers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    country: Mapped[Optional[str]] = mapped_column(String(2))


class Delivery(Base):
    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(primary_key=True)
    supplier_id: Mapped[int] = mapped_column(ForeignKey("suppliers.id"))
    arrived: Mapped[Optional[datetime.date]]
    supplier: Mapped[Supplier] = relationship()


class Movement(Base):
    __tablename__ = "stock_moves"

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("parts.id"))
    delivery_id: Mapped[Optional[int]] = mapped_column(ForeignKey("deliveries.id"))
    quantity: Mapped[int]
    booked_by: Mapped[str] = mapped_column(String(40))
    part: Mapped[Part] = relationship()
    delivery: Mapped[Optional[Delivery]] = relationship()
