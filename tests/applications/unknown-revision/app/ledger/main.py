import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from ledger.models import Account


def start():
    with Session(create_engine(os.environ["DATABASE_URL"])) as session:
        return session.query(Account).count()
