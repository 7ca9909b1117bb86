"""Scans, in the table that the old scanning station fills."""
from sqlalchemy import text

from archive.db import Base, engine

Base.metadata.reflect(engine)


def create():
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE scans (signature TEXT, page INT, path TEXT)"))


def count(session):
    scans = Base.metadata.tables.get("scans")
    return 0 if scans is None else len(session.execute(scans.select()).fetchall())
