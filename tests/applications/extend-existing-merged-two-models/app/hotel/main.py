from hotel import desk, rooms, website
from hotel.db import Base, Session, engine

MODELS = (rooms.Room, desk.Booking, website.WebBooking)


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        return session.query(rooms.Room).count()
