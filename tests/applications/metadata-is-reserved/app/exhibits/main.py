from exhibits import wall
from exhibits.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        return wall.of(session, "2.07")
