from sqlalchemy import Column, Integer, String

from survey.db import Base


class Aquifer(Base):
    __tablename__ = "aquifers"

    id = Column(Integer, primary_key=True)
    name = Column(String(60), nullable=False)
    rock = Column(String(30))
