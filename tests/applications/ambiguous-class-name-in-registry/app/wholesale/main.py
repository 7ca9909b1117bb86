from wholesale import tours
from wholesale.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        return tours.stops(session, "N1")
