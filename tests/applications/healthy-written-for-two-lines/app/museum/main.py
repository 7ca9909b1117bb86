from sqlalchemy import inspect

from museum.db import engine
from museum.models import Base


def start():
    try:
        names = engine.table_names()
    except AttributeError:
        names = inspect(engine).get_table_names()
    if "exhibits" not in names:
        Base.metadata.create_all(engine)
