import importlib

from kiosk import settings, texts
from kiosk.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    return show()


def show():
    with Session() as session:
        return texts.page(session)


def refresh():
    for module in (settings, texts):
        importlib.reload(module)
    return show()
