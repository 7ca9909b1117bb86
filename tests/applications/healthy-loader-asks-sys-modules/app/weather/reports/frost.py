from sqlalchemy import Column, Date, Integer, Table, func, select

from weather.db import metadata
from weather.observations import observations

frost_days = Table(
    "frost_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("hours", Integer),
)


def run(connection):
    cold = select(func.count()).where(observations.c.celsius < 0)
    return connection.execute(cold).scalar()
