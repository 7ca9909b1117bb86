from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from board.db import Base


class Account(Base):
    __tablename__ = "accounts"

    id = Column(Integer, primary_key=True)
    number = Column(String(10), nullable=False, unique=True)
    title = Column(String(80), nullable=False)
    expenses = relationship("Expense", back_populates="account")
