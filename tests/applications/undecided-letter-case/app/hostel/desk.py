from sqlalchemy import Column, Integer, String

from hostel.db import Base


class RegisteredGuest(Base):
    __tablename__ = "Guests"

    id = Column(Integer, primary_key=True)
    name = Column(String(80), nullable=False)
    passport = Column(String(20))


def arrive(session, name, passport):
    session.add(RegisteredGuest(name=name, passport=passport))
