from gallery import wall
from gallery.db import Session, engine, metadata


def start():
    metadata.create_all(engine)
    with Session() as session:
        return wall.newest(session)
