from allotments import migrate, rent
from allotments.db import Session


def start():
    migrate.to_head()
    with Session() as session:
        return rent.yearly(session)
