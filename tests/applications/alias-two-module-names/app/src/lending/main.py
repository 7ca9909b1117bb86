from lending import catalogue, desk, overdue
from lending.db import Base, Session, engine

COMMANDS = {"lend": desk.lend, "find": catalogue.by_isbn, "overdue": overdue.open_loans}


def start():
    Base.metadata.create_all(engine)
    return Session()
