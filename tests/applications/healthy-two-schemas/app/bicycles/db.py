import os

from sqlalchemy import create_engine, event
from sqlalchemy.orm import declarative_base, sessionmaker

Base = declarative_base()
engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://"))
Session = sessionmaker()


@event.listens_for(engine, "connect")
def attach(connection, record):
    connection.execute("ATTACH DATABASE ':memory:' AS shop")
    connection.execute("ATTACH DATABASE ':memory:' AS workshop")
