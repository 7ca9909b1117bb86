import datetime
from typing import Optional

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from league import players, teams  # noqa: F401
from league.db import Base


class Match(Base):
    __tablename__ = "matches"

    id: Mapped[int] = mapped_column(primary_key=True)
    home_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    guest_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    day: Mapped[Optional[datetime.date]]
