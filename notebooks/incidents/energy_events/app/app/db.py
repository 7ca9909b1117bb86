"""The engine, the session and the one Base that every model derives from."""

from datetime import datetime, timezone
from typing import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

from app.config import settings

# SQLite connections are bound to their thread; FastAPI runs a request in several.
_connect_args = {"check_same_thread": False} if settings.database_url.startswith("sqlite") else {}

engine = create_engine(settings.database_url, connect_args=_connect_args, pool_pre_ping=True)
SessionLocal = sessionmaker(bind=engine, autoflush=False, expire_on_commit=False)

Base = declarative_base()


def utcnow() -> datetime:
    """Now in UTC, without a zone: what the DateTime columns hold."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def get_db() -> Iterator[Session]:
    """FastAPI dependency: one session a request."""
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
