from kitchen import labels
from kitchen.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        return labels.all_names(session)
