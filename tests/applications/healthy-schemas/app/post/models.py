from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Letter(Base):
    __tablename__ = "letters"
    id = Column(Integer, primary_key=True)
    town = Column(String(40), nullable=False)

    @property
    def address(self):
        return {"town": self.town}
