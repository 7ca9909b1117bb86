from sqlalchemy import Column, Date, Float, ForeignKey, Integer

from orchard.db import Base
from orchard.trees import Tree


class Harvest(Base):
    __tablename__ = "harvests"

    id = Column(Integer, primary_key=True)
    tree_id = Column(Integer, ForeignKey("trees.id"), nullable=False)
    picked = Column(Date)
    kilograms = Column(Float, nullable=False)


def total(session, variety):
    picked = session.query(Harvest).join(Tree, Tree.id == Harvest.tree_id)
    return sum(h.kilograms for h in picked.filter(Tree.variety == variety))
