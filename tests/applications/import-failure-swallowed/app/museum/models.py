from sqlalchemy import Column, Integer, String

from museum.base import Base


class Coin(Base):
    __tablename__ = "coins"
    id = Column(Integer, primary_key=True)
    name = Column(String(40))
    year = Column(Integer)


def minted_until(coin, year):
    return f"{coin.year} <= {year}"
