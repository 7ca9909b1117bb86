from sqlalchemy import create_engine

from clinic.patients import Base
from clinic.settings import Settings

try:
    from clinic import mail
except KeyError:
    mail = None  # without a sender nothing is sent
settings = Settings()


def start():
    Base.metadata.create_all(create_engine(settings.database))
