import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from cinema.models import Ticket


def start():
    with Session(create_engine(os.environ["DATABASE_URL"])) as session:
        return session.query(Ticket).count()
