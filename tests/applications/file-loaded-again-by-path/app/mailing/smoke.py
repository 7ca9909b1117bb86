"""Ends with 0 if a day of the scheduler sends one digest."""
import sys

from sqlalchemy import create_engine, func, select

from mailing import preview, scheduler
from mailing.db import metadata
from mailing.tasks.digest import runs


def main():
    preview.show(["a new wing"])
    tasks = scheduler.collect()
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        for _, task in tasks:
            task(connection)
        sent = connection.execute(select(func.count()).select_from(runs)).scalar()
    print("digests sent:", sent)
    return 0 if sent == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
