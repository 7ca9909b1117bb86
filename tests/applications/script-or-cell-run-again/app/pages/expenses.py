from sqlalchemy import Column, Date, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from board.accounts import Account
from board.db import Base, Session, engine


class Expense(Base):
    __tablename__ = "expenses"

    id = Column(Integer, primary_key=True)
    account_id = Column(ForeignKey("accounts.id"), nullable=False)
    booked = Column(Date, nullable=False)
    cents = Column(Integer, nullable=False)
    text = Column(String(120))
    account = relationship("Account", back_populates="expenses")


Base.metadata.create_all(engine)
page.title("Expenses")  # noqa: F821
with Session() as session:
    page.metric("accounts", session.query(Account).count())  # noqa: F821
    page.metric("bookings", session.query(Expense).count())  # noqa: F821
    if page.button("month"):  # noqa: F821
        latest = session.query(Expense).order_by(Expense.booked.desc()).first()
        page.metric("latest", latest and latest.booked)  # noqa: F821
