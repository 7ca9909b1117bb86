from sqlalchemy import select

from lending.models import Book


def by_isbn(session, isbn):
    return session.execute(select(Book).where(Book.isbn == isbn)).scalars().first()


def add(session, isbn, title):
    book = Book(isbn=isbn, title=title)
    session.add(book)
    return book
