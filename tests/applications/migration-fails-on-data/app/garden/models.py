from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Plot(Base):
    __tablename__ = "plots"
    id = Column(Integer, primary_key=True)
    crop = Column(String(40))
    soil = Column(String(40), nullable=False)
