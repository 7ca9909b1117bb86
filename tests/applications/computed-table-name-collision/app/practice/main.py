from practice import clients, login, staff, therapy
from practice.db import Base, engine

ACTIONS = {"login": login.start, "book": therapy.book}
PEOPLE = (clients.Client, staff.StaffMember)


def start():
    Base.metadata.create_all(engine)
