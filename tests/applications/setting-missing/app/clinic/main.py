from sqlalchemy import create_engine

from clinic.patients import Base
from clinic.settings import Settings

settings = Settings()


def start():
    Base.metadata.create_all(create_engine(settings.database))
