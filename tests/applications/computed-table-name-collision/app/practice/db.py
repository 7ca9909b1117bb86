import os
import re

from sqlalchemy import Column, Integer, create_engine
from sqlalchemy.orm import declarative_base, declared_attr

engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://"))
Base = declarative_base()


class Record:
    """What all tables have: a name after the class, and a number."""

    id = Column(Integer, primary_key=True)

    @declared_attr
    def __tablename__(cls):
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
