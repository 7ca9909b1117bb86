from sqlalchemy import Column, Integer, String

from finder.db import Base


class Document(Base):
    __tablename__ = "documents"

    id = Column(Integer, primary_key=True)
    source = Column(String(20), nullable=False)
    title = Column(String(200), nullable=False)
