import sys

from archive import scans
from archive.db import Base, Session, engine
from archive.models import Item


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        return session.query(Item).count(), scans.count(session)


if __name__ == "__main__":
    if "--with-scans" in sys.argv:
        scans.create()
    print("items and scans:", start())
