from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import foreign, relationship

from library.base import Base
from library.imported import book_subjects
from library.subjects import Subject


class Book(Base):
    __tablename__ = "books"
    id = Column(Integer, primary_key=True)
    title = Column(String(80))
    subjects = relationship(
        "Subject",
        secondary=book_subjects,
        primaryjoin=lambda: Book.id == foreign(book_subjects.c.book_id),
        secondaryjoin=lambda: Subject.id == foreign(book_subjects.c.subject_id),
    )
