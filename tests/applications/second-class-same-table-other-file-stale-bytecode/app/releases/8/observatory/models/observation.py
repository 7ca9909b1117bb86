from sqlalchemy import Column, DateTime, ForeignKey, Integer, String

from observatory.db import Base


class Observation(Base):
    __tablename__ = "observations"

    id = Column(Integer, primary_key=True)
    instrument_id = Column(ForeignKey("instruments.id"), nullable=False)
    target = Column(String(40), nullable=False)
    started = Column(DateTime, nullable=False)
