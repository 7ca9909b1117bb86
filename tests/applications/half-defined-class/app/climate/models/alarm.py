from sqlalchemy import Column, Float, ForeignKey, Integer, String

from climate.db import Base


class Alarm(Base):
    __tablename__ = "alarms"

    id = Column(Integer, primary_key=True)
    station = Column(ForeignKey("stations.code"), nullable=False)
    below = Column(Float)
    notify = Column(String(120), nullable=False)
