import os

from sqlalchemy import MetaData, create_engine

metadata = MetaData()
engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://"))
