from sqlalchemy import Column, Date, ForeignKey, Integer
from sqlalchemy.orm import relationship

from clinic.base import Base


class Visit(Base):
    __tablename__ = "visits"
    id = Column(Integer, primary_key=True)
    day = Column(Date)
    patient_id = Column(ForeignKey("patients.id"))
    patient = relationship("Patient", back_populates="visits")
