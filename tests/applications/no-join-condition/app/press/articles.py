from sqlalchemy import Column, Integer, String

from press.base import Base


class Article(Base):
    __tablename__ = "articles"
    id = Column(Integer, primary_key=True)
    title = Column(String(40))
    author_id = Column(Integer)
