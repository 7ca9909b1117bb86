from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from theatre.db import Base

if TYPE_CHECKING:
    from theatre.models.plays import Play
    from theatre.models.seats import Seat


class Ticket(Base):
    __tablename__ = "tickets"

    id: Mapped[int] = mapped_column(primary_key=True)
    play_id: Mapped[int] = mapped_column(ForeignKey("plays.id"))
    seat_id: Mapped[int] = mapped_column(ForeignKey("seats.id"))
    buyer: Mapped[Optional[str]] = mapped_column(String(80))
    play: Mapped[Play] = relationship(back_populates="tickets")
    seat: Mapped[Seat] = relationship(back_populates="tickets")
