from chatbot import people, plugins
from chatbot.commands import COMMANDS
from chatbot.db import Base, Session, engine


def start():
    plugins.load()
    Base.metadata.create_all(engine)
    with Session() as session:
        session.query(people.Person).count()
    return sorted(COMMANDS)
