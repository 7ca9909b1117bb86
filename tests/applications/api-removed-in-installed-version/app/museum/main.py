from museum.db import engine
from museum.models import Base


def start():
    if "exhibits" not in engine.table_names():
        Base.metadata.create_all(engine)
