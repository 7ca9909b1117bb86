from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from press.base import Base


class Author(Base):
    __tablename__ = "authors"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
    articles = relationship("Article", primaryjoin="Author.id == foreign(Article.author_id)")
