from __future__ import annotations

from typing import TYPE_CHECKING, List

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from theatre.db import Base

if TYPE_CHECKING:
    from theatre.models.tickets import Ticket


class Play(Base):
    __tablename__ = "plays"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    tickets: Mapped[List[Ticket]] = relationship(back_populates="play")
