from sqlalchemy import Column, DateTime, ForeignKey, Integer, Text

from practice.db import Base, Record


class Session(Record, Base):
    client_id = Column(ForeignKey("client.id"), nullable=False)
    starts = Column(DateTime, nullable=False)
    minutes = Column(Integer, default=45)
    notes = Column(Text)


def book(db, client, starts):
    session = Session(client_id=client.id, starts=starts)
    db.add(session)
    return session
