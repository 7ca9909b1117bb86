import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from dairy.models import Cow


def start():
    with Session(create_engine(os.environ["DATABASE_URL"])) as session:
        return session.query(Cow).count()
