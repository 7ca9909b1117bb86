from sqlalchemy import Column, Date, String

from practice.db import Base, Record


class Client(Record, Base):
    name = Column(String(80), nullable=False)
    born = Column(Date)
