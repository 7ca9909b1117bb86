from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from chatbot.commands import command
from chatbot.db import Base


class Reminder(Base):
    __tablename__ = "reminders"

    id = Column(Integer, primary_key=True)
    person_id = Column(ForeignKey("people.id"), nullable=False)
    text = Column(String(400), nullable=False)
    person = relationship("Person", back_populates="reminders")


@command("remind")
def remind(session, person, text):
    session.add(Reminder(person=person, text=text))
    return "noted"
