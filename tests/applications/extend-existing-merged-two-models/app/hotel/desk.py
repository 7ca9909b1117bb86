from sqlalchemy import Column, Date, ForeignKey, Integer, String

from hotel.db import Base


class Booking(Base):
    __tablename__ = "bookings"
    __table_args__ = {"extend_existing": True}

    id = Column(Integer, primary_key=True)
    room_id = Column(ForeignKey("rooms.id"))
    guest = Column(String(80), nullable=False)
    arrives = Column(Date)
    leaves = Column(Date)


def arrivals(session, day):
    return session.query(Booking).filter_by(arrives=day).all()
