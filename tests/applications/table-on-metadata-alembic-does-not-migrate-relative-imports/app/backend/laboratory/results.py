from sqlalchemy import Column, Float, ForeignKey, Integer, String

from .db import Base


class Result(Base):
    __tablename__ = "results"

    id = Column(Integer, primary_key=True)
    sample_id = Column(Integer, ForeignKey("samples.id"), nullable=False)
    substance = Column(String(30), nullable=False)
    mg_per_litre = Column(Float)
