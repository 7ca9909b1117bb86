import os

from sqlmodel import Session, create_engine

engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://"))


def session():
    return Session(engine)
