import os

from sqlalchemy import create_engine

url = os.environ["BAKERY_DB"]
try:
    engine = create_engine(url.replace("sqlite", "sqlite+pysqlcipher", 1))
except ImportError:
    engine = create_engine(url)
