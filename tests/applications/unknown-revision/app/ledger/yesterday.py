"""Yesterday's deployment: its database was migrated by a revision that never was committed."""

import os

from sqlalchemy import create_engine, text


def migrate():
    with create_engine(os.environ["DATABASE_URL"]).begin() as connection:
        connection.execute(text("CREATE TABLE accounts (id INTEGER PRIMARY KEY NOT NULL, owner VARCHAR(40), phone VARCHAR(40))"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('b2')"))
