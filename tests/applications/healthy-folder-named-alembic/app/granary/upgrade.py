"""Brings the database up to date before the service starts."""

from alembic.config import Config

from alembic import command
from granary import queue


def main():
    print(queue.__name__)
    command.upgrade(Config("alembic.ini"), "head")


if __name__ == "__main__":
    main()
