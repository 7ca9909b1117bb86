from climate import frost
from climate.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        return frost.due(session)
