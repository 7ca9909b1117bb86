from fleet import reports
from fleet.db import Base, engine

REPORTS = {"by-depot": reports.by_depot}


def start():
    Base.metadata.create_all(engine)
