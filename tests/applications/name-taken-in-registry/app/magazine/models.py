from sqlalchemy import Column, Integer, String

from magazine.base import Base


class Article(Base):
    __tablename__ = "articles"
    id = Column(Integer, primary_key=True)
    title = Column(String(80))
