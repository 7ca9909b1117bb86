from sqlalchemy import Boolean, Column, Integer, String

from authkit.base import Base


class User(Base):
    __tablename__ = "authkit_users"

    id = Column(Integer, primary_key=True)
    login = Column(String(40), nullable=False, unique=True)
    password_hash = Column(String(128), nullable=False)
    active = Column(Boolean, nullable=False, default=True)
