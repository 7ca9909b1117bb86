import datetime

from sqlalchemy import Column, Date, Integer, String

from hotel.db import Base, Session


class WebBooking(Base):
    __tablename__ = "bookings"
    __table_args__ = {"extend_existing": True}

    id = Column(Integer, primary_key=True)
    email = Column(String(120))
    arrives = Column(Date)
    nights = Column(Integer, default=1)


def book(session, email, arrives, nights):
    session.add(WebBooking(email=email, arrives=arrives, nights=nights))
    session.commit()


def book_sample():
    with Session() as session:
        book(session, "guest@example.org", datetime.date(2024, 8, 2), 3)
