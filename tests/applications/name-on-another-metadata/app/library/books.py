from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from library.base import Base


class Book(Base):
    __tablename__ = "books"
    id = Column(Integer, primary_key=True)
    title = Column(String(80))
    subjects = relationship(
        "Subject",
        secondary="book_subjects",
        primaryjoin="Book.id == foreign(book_subjects.c.book_id)",
        secondaryjoin="Subject.id == foreign(book_subjects.c.subject_id)",
    )
