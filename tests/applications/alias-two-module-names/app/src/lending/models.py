from sqlalchemy import Column, Date, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from lending.db import Base


class Member(Base):
    __tablename__ = "members"

    id = Column(Integer, primary_key=True)
    card = Column(String(12), nullable=False, unique=True)
    name = Column(String(80), nullable=False)
    loans = relationship("Loan", back_populates="member")


class Book(Base):
    __tablename__ = "books"

    id = Column(Integer, primary_key=True)
    isbn = Column(String(13), index=True)
    title = Column(String(200), nullable=False)


class Loan(Base):
    __tablename__ = "loans"

    id = Column(Integer, primary_key=True)
    member_id = Column(ForeignKey("members.id"), nullable=False)
    book_id = Column(ForeignKey("books.id"), nullable=False)
    due = Column(Date, nullable=False)
    returned = Column(Date)
    member = relationship("Member", back_populates="loans")
    book = relationship("Book")
