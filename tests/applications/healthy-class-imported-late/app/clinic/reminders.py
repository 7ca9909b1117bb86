import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from clinic.base import Base
from clinic.patients import Patient


def remind():
    from clinic import visits  # noqa: F401

    engine = create_engine(os.environ["DATABASE_URL"])
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        return [patient.name for patient in session.query(Patient)]
