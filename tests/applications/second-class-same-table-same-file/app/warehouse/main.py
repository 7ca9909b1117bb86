from warehouse import balance, receiving
from warehouse.db import Base, engine

COMMANDS = {"on-hand": balance.on_hand, "book": receiving.book}


def start():
    Base.metadata.create_all(engine)
