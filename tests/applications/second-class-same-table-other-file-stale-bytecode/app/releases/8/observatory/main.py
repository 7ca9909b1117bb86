from observatory import models  # noqa: F401
from observatory.db import Base, engine


def start():
    Base.metadata.create_all(engine)
