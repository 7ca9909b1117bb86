from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from clinic.base import Base


class Patient(Base):
    __tablename__ = "patients"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
    visits = relationship("Visit", back_populates="patient")
