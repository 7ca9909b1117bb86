import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from press.articles import Article
from press.authors import Author
from press.base import Base

engine = create_engine(os.environ["DATABASE_URL"])
Base.metadata.create_all(engine)
with Session(engine) as session:
    author = Author(name="Ada")
    session.add(author)
    session.flush()
    session.add_all([Article(title="One", author_id=author.id), Article(title="Two", author_id=author.id)])
    session.commit()
    assert [a.title for a in session.query(Author).filter_by(name="Ada").one().articles] == ["One", "Two"]
