from sqlalchemy import select

from lending import settings
from src.lending.models import Loan


def open_loans(session, today):
    statement = select(Loan).where(Loan.returned.is_(None), Loan.due < today)
    return session.execute(statement).scalars().all()


def fine(loan, today):
    return max(0, (today - loan.due).days) * settings.FINE_PER_DAY
