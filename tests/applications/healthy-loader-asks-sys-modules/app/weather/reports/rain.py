from sqlalchemy import Column, Float, String, Table, func, select

from weather.db import metadata
from weather.observations import observations

rain_months = Table(
    "rain_months",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("millimetres", Float),
)


def run(connection):
    return connection.execute(select(func.sum(observations.c.millimetres))).scalar() or 0
