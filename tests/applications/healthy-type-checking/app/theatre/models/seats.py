from __future__ import annotations

from typing import TYPE_CHECKING, List

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from theatre.db import Base

if TYPE_CHECKING:
    from theatre.models import Ticket


class Seat(Base):
    __tablename__ = "seats"

    id: Mapped[int] = mapped_column(primary_key=True)
    row: Mapped[str] = mapped_column(String(2))
    number: Mapped[int]
    tickets: Mapped[List[Ticket]] = relationship(back_populates="seat")
