import os

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base, sessionmaker

URL = os.environ.get("DATABASE_URL", "sqlite://")

Base = declarative_base()
engine = create_async_engine(URL.replace("sqlite://", "sqlite+aiosqlite://", 1))
Session = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
