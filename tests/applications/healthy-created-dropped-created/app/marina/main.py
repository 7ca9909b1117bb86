import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from marina.models import Berth


def start():
    with Session(create_engine(os.environ["DATABASE_URL"])) as session:
        return session.query(Berth).count()
