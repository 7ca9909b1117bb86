from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from chatbot.db import Base


class Person(Base):
    __tablename__ = "people"

    id = Column(Integer, primary_key=True)
    handle = Column(String(40), nullable=False, unique=True)
    reminders = relationship("Reminder", back_populates="person")
