from sqlalchemy import Column, ForeignKey, Integer

from vehicles.base import Vehicle


class Ladder(Vehicle):
    __tablename__ = "ladders"
    __mapper_args__ = {"polymorphic_identity": "ladder"}

    id = Column(ForeignKey("vehicles.id"), primary_key=True)
    metres = Column(Integer, nullable=False)
