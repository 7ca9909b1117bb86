from sqlalchemy import Column, Date, Integer, String

from .db import Base


class Sample(Base):
    __tablename__ = "samples"

    id = Column(Integer, primary_key=True)
    well = Column(String(20), nullable=False)
    taken = Column(Date)
