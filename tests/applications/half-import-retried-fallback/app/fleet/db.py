import os

from sqlalchemy import create_engine
from sqlalchemy.orm import declarative_base

Base = declarative_base()
engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://"))
