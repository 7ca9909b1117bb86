from sqlalchemy import *  # noqa: F403
from sqlalchemy.orm import *  # noqa: F403

from festival.db import *  # noqa: F403
from festival.models.films import *  # noqa: F403


class Screening(Base):  # noqa: F405
    __tablename__ = "screenings"

    id = Column(Integer, primary_key=True)  # noqa: F405
    film_id = Column(ForeignKey("films.id"), nullable=False)  # noqa: F405
    starts = Column(DateTime, nullable=False)  # noqa: F405
    hall = Column(String(20))  # noqa: F405
    film = relationship(Film)  # noqa: F405
