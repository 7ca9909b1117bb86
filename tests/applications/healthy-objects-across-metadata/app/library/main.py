import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from library.base import Base
from library.books import Book
from library.imported import catalogue
from library.subjects import Subject


def start():
    engine = create_engine(os.environ["DATABASE_URL"])
    Base.metadata.create_all(engine)
    catalogue.create_all(engine)
    with Session(engine) as session:
        book = Book(title="On Growth and Form", subjects=[Subject(name="biology")])
        session.add(book)
        session.commit()
        return [subject.name for subject in session.query(Book).one().subjects]
