from sqlalchemy import Column, Date, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from ticketing import settings, terminal
from ticketing.db import Base


class Settlement(Base):
    __tablename__ = "settlements"

    id = Column(Integer, primary_key=True)
    day = Column(Date, nullable=False)
    acquirer = Column(String(30), nullable=False)
    cents = Column(Integer, nullable=False)


class Payment(Base):
    __tablename__ = "payments"

    id = Column(Integer, primary_key=True)
    ticket_id = Column(ForeignKey("tickets.id"), nullable=False)
    settlement_id = Column(ForeignKey("settlements.id"))
    reference = Column(String(40))
    ticket = relationship("Ticket")


driver = terminal.load(settings.TERMINAL)


def settle(day):
    return driver.close_batch(day)
