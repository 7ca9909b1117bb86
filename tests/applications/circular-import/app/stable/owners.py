from sqlalchemy import Column, Integer, String

from stable.base import Base
from stable.letters import greeting


class Owner(Base):
    __tablename__ = "owners"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
    town = Column(String(40))


def address_of(owner):
    return f"{greeting(owner)}, {owner.town}"
