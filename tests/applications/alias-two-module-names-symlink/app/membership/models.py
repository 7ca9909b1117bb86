from sqlalchemy import Column, Date, ForeignKey, Integer, String

from membership.db import Base


class Member(Base):
    __tablename__ = "members"

    id = Column(Integer, primary_key=True)
    name = Column(String(80), nullable=False)
    joined = Column(Date)
    lane = Column(Integer)


class Fee(Base):
    __tablename__ = "fees"

    id = Column(Integer, primary_key=True)
    member_id = Column(ForeignKey("members.id"), nullable=False)
    year = Column(Integer, nullable=False)
    cents = Column(Integer, nullable=False)
