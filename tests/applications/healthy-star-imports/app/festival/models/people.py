from sqlalchemy import *  # noqa: F403
from sqlalchemy.orm import *  # noqa: F403

from festival.db import *  # noqa: F403


class Director(Base):  # noqa: F405
    __tablename__ = "directors"

    id = Column(Integer, primary_key=True)  # noqa: F405
    name = Column(String(80), nullable=False)  # noqa: F405
    films = relationship("Film", back_populates="director")  # noqa: F405
