"""Ends with 0 if a cart can be kept and a language be set."""
from sqlalchemy import create_engine

from checkout import carts, main, preferences
from checkout.db import metadata


def run():
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        preferences.preferences.put(connection, "language:v1", "nl")
        carts.keep(connection, "v1", ["spade"], now=1000)
        assert main.ROUTES["cart"](connection, "v1") == ["spade"]
        assert main.ROUTES["language"](connection, "v1") == "nl"


if __name__ == "__main__":
    run()
