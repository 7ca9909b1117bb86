import argparse

from ticketing import optional, tickets
from ticketing.db import Base, Session, engine

optional.load()

from ticketing import refunds  # noqa: E402

TASKS = {"refund": refunds.refund}


def work(session):
    return session.query(tickets.Ticket).count()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--once", action="store_true")
    parser.parse_args()
    Base.metadata.create_all(engine)
    with Session() as session:
        print("tickets:", work(session))


if __name__ == "__main__":
    main()
