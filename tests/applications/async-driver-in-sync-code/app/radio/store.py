from sqlalchemy import create_engine, inspect

from radio.models import Base


class Store:
    def __init__(self, url):
        self.engine = create_engine(url)
        self.names = inspect(self.engine).get_table_names()
        Base.metadata.create_all(self.engine)
