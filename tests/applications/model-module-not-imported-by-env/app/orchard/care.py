from sqlalchemy import Column, Date, ForeignKey, Integer, String

from orchard import trees  # noqa: F401
from orchard.db import Base


class Pruning(Base):
    __tablename__ = "prunings"

    id = Column(Integer, primary_key=True)
    tree_id = Column(Integer, ForeignKey("trees.id"), nullable=False)
    done = Column(Date)
    by = Column(String(40))
