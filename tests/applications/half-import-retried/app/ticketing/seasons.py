from sqlalchemy import Column, Date, Integer, String

from ticketing.db import Base


class SeasonTicket(Base):
    __tablename__ = "season_tickets"

    id = Column(Integer, primary_key=True)
    holder = Column(String(80), nullable=False)
    valid_until = Column(Date, nullable=False)
