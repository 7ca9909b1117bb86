from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Exhibit(Base):
    __tablename__ = "exhibits"
    id = Column(Integer, primary_key=True)
    label = Column(String(40))
