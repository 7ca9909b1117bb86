import datetime

from lending import catalogue, settings
from lending.models import Loan


def lend(session, member, isbn, today):
    book = catalogue.by_isbn(session, isbn)
    due = today + datetime.timedelta(days=settings.LOAN_DAYS)
    loan = Loan(member=member, book=book, due=due)
    session.add(loan)
    return loan
