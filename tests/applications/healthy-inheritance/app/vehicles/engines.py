from sqlalchemy import Column, Integer

from vehicles.base import Vehicle


class Engine(Vehicle):
    __mapper_args__ = {"polymorphic_identity": "engine"}

    litres = Column(Integer)


class Tender(Engine):
    __mapper_args__ = {"polymorphic_identity": "tender"}
