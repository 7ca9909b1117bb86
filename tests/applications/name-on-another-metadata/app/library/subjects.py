from sqlalchemy import Column, Integer, String

from library.base import Base


class Subject(Base):
    __tablename__ = "subjects"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
