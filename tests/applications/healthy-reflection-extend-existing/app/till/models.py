from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from till import tables  # noqa: F401
from till.db import Base


class Article(Base):
    __tablename__ = "articles"
    __table_args__ = {"extend_existing": True}

    code = Column(String, primary_key=True)


class Sale(Base):
    __tablename__ = "sales"
    __table_args__ = {"extend_existing": True}

    receipt = Column(Integer, primary_key=True)
    line = Column(Integer, primary_key=True)
    article = relationship(
        Article, primaryjoin="foreign(Sale.code) == Article.code", viewonly=True
    )
