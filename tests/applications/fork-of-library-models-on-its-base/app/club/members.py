from sqlalchemy import Column, Date, Integer, String

from authkit.base import Base


class Member(Base):
    __tablename__ = "authkit_users"

    id = Column(Integer, primary_key=True)
    login = Column(String(40), nullable=False, unique=True)
    password_hash = Column(String(128), nullable=False)
    boat_licence = Column(String(20))
    joined = Column(Date)
