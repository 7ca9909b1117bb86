import datetime

from alembic import context
from sqlalchemy import Column, DateTime, Integer, String
from sqlalchemy.orm import Session

from berths import models  # noqa: F401
from berths.db import Base, engine


class Release(Base):
    __tablename__ = "releases"

    id = Column(Integer, primary_key=True)
    head = Column(String(32), nullable=False)
    at = Column(DateTime, nullable=False)


def note(connection):
    head = context.get_head_revision()
    session = Session(bind=connection)
    session.add(Release(head=head, at=datetime.datetime(2024, 5, 1)))
    session.flush()


with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
        note(connection)
