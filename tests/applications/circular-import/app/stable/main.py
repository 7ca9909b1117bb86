import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from stable.base import Base
from stable.horses import Horse
from stable.owners import Owner


def start():
    engine = create_engine(os.environ["DATABASE_URL"])
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Horse(name="Bella", owner=Owner(name="Ada", town="Linz")))
        session.commit()
        return session.query(Horse).one().letters_to
