import authkit
from authkit.base import Base
from club import booking, settings
from club.db import Session, engine


def start():
    authkit.configure(settings.AUTHKIT)
    Base.metadata.create_all(engine)
    with Session() as session:
        return session.query(booking.Outing).count()
