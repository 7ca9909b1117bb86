from sqlalchemy import Column, Integer, String

from seeds.db import Base


class Seed(Base):
    __tablename__ = "seeds"

    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False)
