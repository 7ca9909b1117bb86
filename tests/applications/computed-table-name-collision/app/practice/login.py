import secrets

from sqlalchemy import Column, DateTime, ForeignKey, String

from practice.db import Base, Record


class Session(Record, Base):
    staff_member_id = Column(ForeignKey("staff_member.id"), nullable=False)
    token = Column(String(64), nullable=False, unique=True)
    expires = Column(DateTime)


def start(db, member):
    session = Session(staff_member_id=member.id, token=secrets.token_hex(32))
    db.add(session)
    return session
