from theatre import sales
from theatre.db import Base, Session, engine
from theatre.models import Play, Seat


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        sales.sell(session, Play(title="The Seagull"), Seat(row="C", number=7), "Nina")
        session.flush()
