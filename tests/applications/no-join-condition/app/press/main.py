import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from press.articles import Article
from press.authors import Author
from press.base import Base


def start():
    engine = create_engine(os.environ["DATABASE_URL"])
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        return session.query(Author).count()
