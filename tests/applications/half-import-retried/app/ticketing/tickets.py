from sqlalchemy import Column, DateTime, Integer, String

from ticketing.db import Base


class Ticket(Base):
    __tablename__ = "tickets"

    id = Column(Integer, primary_key=True)
    machine = Column(String(8), nullable=False)
    zone = Column(Integer, nullable=False)
    cents = Column(Integer, nullable=False)
    sold_at = Column(DateTime)
