import os

from sqlalchemy import create_engine

from cinema.models import Base


def make_tables():
    Base.metadata.create_all(create_engine(os.environ["DATABASE_URL"]))
