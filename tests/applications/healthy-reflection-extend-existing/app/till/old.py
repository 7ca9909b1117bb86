"""The database as the till leaves it."""
from sqlalchemy import text

from till.db import engine

STATEMENTS = (
    "CREATE TABLE articles (code TEXT, name TEXT, cents INT)",
    "CREATE TABLE sales (receipt INT, line INT, code TEXT, pieces INT)",
    "INSERT INTO articles VALUES ('B1', 'bread', 420)",
    "INSERT INTO sales VALUES (1, 1, 'B1', 2)",
)

if __name__ == "__main__":
    with engine.begin() as connection:
        for statement in STATEMENTS:
            connection.execute(text(statement))
