import os

from radio.store import Store


def start():
    return Store(os.environ["DATABASE_URL"])
