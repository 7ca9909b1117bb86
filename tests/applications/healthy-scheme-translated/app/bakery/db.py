import os

from sqlalchemy import create_engine

url = os.environ["BAKERY_DB"].replace("sqlite3://", "sqlite://", 1)
engine = create_engine(url)
