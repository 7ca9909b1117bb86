from sqlalchemy import String, func, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

import league.players
from league.db import Base


class Team(Base):
    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    town: Mapped[str] = mapped_column(String(60), unique=True)
    players = relationship("Player", back_populates="team")


def find(session, town):
    return session.scalars(select(Team).where(Team.town == town)).one()


def strength(session, team):
    player = league.players.Player
    return session.scalar(select(func.count(player.id)).where(player.team == team))
