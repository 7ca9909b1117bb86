from sqlalchemy import Column, String

from practice.db import Base, Record


class StaffMember(Record, Base):
    name = Column(String(80), nullable=False)
    password_hash = Column(String(128))
