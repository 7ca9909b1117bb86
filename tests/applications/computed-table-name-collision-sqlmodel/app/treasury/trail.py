from typing import Optional

from sqlmodel import Field, SQLModel

from treasury.cash import Booking


class Auditlog(SQLModel, table=True):
    """Who changed which booking."""

    id: Optional[int] = Field(default=None, primary_key=True)
    booking_id: int = Field(foreign_key="booking.id")
    changed_by: str


def changed(session, booking: Booking, who):
    session.add(Auditlog(booking_id=booking.id, changed_by=who))
