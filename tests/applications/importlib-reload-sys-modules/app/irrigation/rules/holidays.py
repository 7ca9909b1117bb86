from sqlalchemy import Column, Date, Integer, String

from irrigation.db import Base


class DryDay(Base):
    __tablename__ = "exceptions"

    id = Column(Integer, primary_key=True)
    day = Column(Date, nullable=False)
    reason = Column(String(80))


def dry(session, day):
    return session.query(DryDay).filter_by(day=day).count() > 0
