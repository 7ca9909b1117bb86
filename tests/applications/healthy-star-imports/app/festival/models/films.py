from sqlalchemy import *  # noqa: F403
from sqlalchemy.orm import *  # noqa: F403

from festival.db import *  # noqa: F403
from festival.models.people import *  # noqa: F403


class Film(Base):  # noqa: F405
    __tablename__ = "films"

    id = Column(Integer, primary_key=True)  # noqa: F405
    director_id = Column(ForeignKey("directors.id"), nullable=False)  # noqa: F405
    title = Column(String(120), nullable=False)  # noqa: F405
    minutes = Column(Integer)  # noqa: F405
    director = relationship("Director", back_populates="films")  # noqa: F405
