import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from garden.models import Plot


def start():
    with Session(create_engine(os.environ["DATABASE_URL"])) as session:
        return session.query(Plot).count()
