from sqlalchemy import Column, Date, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from permits.db import Base


class Plot(Base):
    __tablename__ = "plots"

    id = Column(Integer, primary_key=True)
    register = Column(String(20), nullable=False, unique=True)
    street = Column(String(80))


class Permit(Base):
    __tablename__ = "permits"

    id = Column(Integer, primary_key=True)
    plot_id = Column(ForeignKey("plots.id"), nullable=False)
    applicant = Column(String(80), nullable=False)
    granted = Column(Date)
    plot = relationship("Plot")
